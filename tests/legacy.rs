//! Cookies of other libraries, made by these libraries and checked in: each is opened, and nothing near it is.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealed_session::legacy::{IronSession, Jar, JarKey, RailsSession, Reader};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One cookie as `tests/legacy` made it.
#[derive(Deserialize)]
struct Vector {
    by: String,
    reader: String,
    key: Value,
    name: String,
    value: String,
    session: Old,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Old {
    user: u64,
    name: String,
}

impl Vector {
    fn reader(&self) -> Reader<Old> {
        self.reader_of(&self.name)
    }

    fn reader_of(&self, name: &str) -> Reader<Old> {
        let jar = || match self.reader.split('_').next() {
            Some("private") => Jar::private(&self.jar_key()),
            _ => Jar::signed(&self.jar_key()),
        };
        let password = || self.key["password"].as_str().unwrap();
        match self.reader.split('_').next_back().unwrap() {
            "text" => jar().text(name, |text| serde_json::from_str(text).ok()),
            "json" => jar().json(name, Some),
            "actix" => jar().actix_session(name, Some),
            "tower" => jar().tower_session(name, Some),
            "iron" => IronSession::new(password()).unwrap().json(name, Some),
            "rails" => RailsSession::new(password()).unwrap().json(name, Some),
            other => panic!("{other}"),
        }
    }

    fn jar_key(&self) -> JarKey {
        let (form, text) = self.key.as_object().unwrap().iter().next().unwrap();
        let text = text.as_str().unwrap();
        match form.as_str() {
            "bytes" => JarKey::from_bytes(&STANDARD.decode(text).unwrap()),
            "master" => JarKey::derive_from(&STANDARD.decode(text).unwrap()),
            _ => JarKey::from_rocket(text),
        }
        .unwrap()
    }
}

fn vectors() -> Vec<Vector> {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("vectors/legacy.json")).unwrap();
    assert!(vectors.len() >= 21, "{}", vectors.len());
    vectors
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

#[test]
fn each_cookie_is_opened_as_its_library_made_it() {
    for vector in vectors() {
        let found = vector.reader().read_at(vector.value.as_bytes(), now());
        assert_eq!(found.as_ref(), Some(&vector.session), "{}", vector.by);
    }
}

/// Percent-encoding has many spellings of one value: what they decode to is what must differ.
#[test]
fn no_cookie_is_opened_with_any_bit_flipped() {
    for vector in vectors() {
        let reader = vector.reader();
        let meant = decoded(vector.value.as_bytes());
        for at in 0..vector.value.len() {
            for bit in 0..8 {
                let mut value = vector.value.clone().into_bytes();
                value[at] ^= 1 << bit;
                if decoded(&value) != meant {
                    let found = reader.read_at(&value, now());
                    assert_eq!(found, None, "{}: bit {bit} of {at}", vector.by);
                }
            }
        }
    }
}

#[test]
fn no_cookie_is_opened_in_part_or_with_more() {
    for vector in vectors() {
        let (reader, value) = (vector.reader(), vector.value.as_bytes());
        for len in 0..value.len() {
            assert_eq!(reader.read_at(&value[..len], now()), None, "{}: {len}", vector.by);
        }
        for more in ["A", "=", "==", "*", "--", "~2", "%", "%3D", " "] {
            let longer = [value, more.as_bytes()].concat();
            assert_eq!(reader.read_at(&longer, now()), None, "{}: {more}", vector.by);
            let longer = [more.as_bytes(), value].concat();
            assert_eq!(reader.read_at(&longer, now()), None, "{}: {more}", vector.by);
        }
    }
}

#[test]
fn no_cookie_is_opened_by_a_reader_of_another_kind_or_key() {
    let vectors = vectors();
    let kind = |vector: &Vector| vector.reader.split('_').next().map(str::to_owned);
    // Rocket's forms of one key are one: 88 characters are the bytes of the others, 44 and 64 the same master.
    let key = |vector: &Vector| match vector.key["rocket"].as_str() {
        Some(text) if text.len() < 88 => "the master of Rocket".to_owned(),
        _ => vector.key.to_string().replace("rocket", "bytes"),
    };
    for vector in &vectors {
        for other in &vectors {
            if kind(vector) != kind(other) || key(vector) != key(other) {
                let found = other.reader().read_at(vector.value.as_bytes(), now());
                assert_eq!(found, None, "{} by that of {}", vector.by, other.by);
            }
        }
    }
}

/// Neither what is signed is bound to its name, nor what iron-session seals.
#[test]
fn what_is_bound_to_a_name_is_not_opened_under_another() {
    let mut bound = 0;
    for vector in vectors() {
        let found = vector.reader_of("another").read_at(vector.value.as_bytes(), now());
        if vector.reader.starts_with("signed") || vector.reader == "iron" {
            assert_eq!(found, Some(vector.session), "{}", vector.by);
        } else {
            assert_eq!(found, None, "{}", vector.by);
            bound += 1;
        }
    }
    assert!(bound >= 12, "{bound}");
}

#[test]
fn junk_gives_nothing() {
    for vector in vectors() {
        for junk in ["", "~2", "Fe26.2*~2", "Fe26.2*1*****~2", "Fe26.2*1******~2", "--", "----"] {
            assert_eq!(vector.reader().read_at(junk.as_bytes(), now()), None, "{junk}");
        }
        let digest = "A".repeat(43) + "=";
        for junk in [&digest, "%", "%%", "\u{ff}", &"%3D".repeat(5000), &"A".repeat(9000)] {
            assert_eq!(vector.reader().read_at(junk.as_bytes(), now()), None);
        }
        assert_eq!(vector.reader().read_at(&[0xff; 100], now()), None);
    }
}

#[test]
fn readers_show_nothing_of_their_keys() {
    for vector in vectors() {
        let shown = format!("{:?}", vector.reader());
        assert_eq!(shown, format!("Reader {{ name: {:?}, .. }}", vector.name));
    }
    let password = "this password is public, never use it";
    let iron = IronSession::new(password).unwrap().password(2, password).unwrap();
    assert_eq!(format!("{iron:?}"), r#"IronSession { numbers: ["1", "2"] }"#);
    assert_eq!(format!("{:?}", RailsSession::new(password).unwrap()), "RailsSession(..)");
    let key = JarKey::from_bytes(&[7; 64]).unwrap();
    assert_eq!(format!("{:?}", Jar::private(&key)), "Jar::Private(..)");
    assert_eq!(format!("{:?}", Jar::signed(&key)), "Jar::Signed(..)");
}

#[test]
fn short_secrets_are_refused() {
    assert!(IronSession::new("1".repeat(31)).is_err());
    assert!(IronSession::new("1".repeat(32)).unwrap().password(2, "short").is_err());
    assert!(RailsSession::new("1".repeat(29)).is_err());
}

/// Who copies a cookie may write it in another way that means the same.
#[cfg(feature = "revocation")]
#[test]
fn no_copy_comes_back_after_a_logout_however_it_is_spelled() {
    use sealed_session::revocation::Revocations;
    use sealed_session::{Codec, Key};

    let mut spellings = 0;
    for vector in vectors() {
        let decoded = String::from_utf8(decoded(vector.value.as_bytes())).unwrap();
        let encoded = |c: u8| format!("%{c:02x}");
        let copies = [
            decoded.clone(),
            decoded.bytes().map(encoded).collect(),
            vector.value.replace("%2", "%%32"),
            vector.value.replace("%3D", "%3d").replace("%2F", "%2f").replace("%2B", "%2b"),
        ];
        let day = Duration::from_secs(86_400);
        let codec = Codec::<Old>::builder(Key::generate().unwrap())
            .also_reads(vector.reader(), now() + 7 * day)
            .revocations(Revocations::new(30 * day), |_| [])
            .build()
            .unwrap();
        let read = |value: &str| {
            let header = format!("{}={value}", vector.name);
            let found = codec.decode_at(&codec.request([&header]), now());
            found.is_ok_and(|found| found.is_some())
        };
        assert!(read(&vector.value), "{}", vector.by);
        spellings += copies.iter().filter(|copy| **copy != vector.value && read(copy)).count();
        let header = format!("{}={}", vector.name, vector.value);
        let receipt = codec.revoke_at(&codec.request([&header]), now()).unwrap();
        assert!(receipt.is_some());
        for copy in copies.iter().chain([&vector.value]) {
            assert!(!read(copy), "{}: {copy}", vector.by);
        }
    }
    assert!(spellings >= 20, "{spellings} other spellings were read before");
}

fn decoded(value: &[u8]) -> Vec<u8> {
    let hex = |c: u8| char::from(c).to_digit(16).map(|digit| u8::try_from(digit).unwrap());
    let (mut out, mut rest) = (Vec::new(), value);
    while let Some((first, tail)) = rest.split_first() {
        let escape = match tail {
            [high, low, after @ ..] if *first == b'%' => {
                hex(*high).zip(hex(*low)).map(|(high, low)| (high << 4 | low, after))
            }
            _ => None,
        };
        let (byte, after) = escape.unwrap_or((*first, tail));
        out.push(byte);
        rest = after;
    }
    out
}
