//! For maintainers: makes test vectors of the present release, to be added to `tests/vectors/`.
//!
//! ```sh
//! cargo test --all-features --test make_vectors   # writes tmp/vectors.json in cargo's target directory
//! ```
//!
//! Vectors are only ever added: a file that stands in `tests/vectors/` is never written again, because each of
//! its values must open for ever. To add one, write it below and copy it over; the variable `SEALED_SESSION_VECTORS` makes
//! `--test vectors` try the file first.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::time::{Duration, SystemTime};

use sealed_session::{
    Builder, Codec, Compression, Format, Key, Lifetime, Limits, Padding, SessionId,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const BEGAN: u64 = 1_763_996_400;
const SECRET: [u8; Key::LEN] = *b"this key is public, never use it";

#[test]
fn every_vector_can_still_be_made() -> Result<(), Box<dyn Error>> {
    let login = session(include_str!("../benches/sessions/login.json"))?;
    let shop = session(include_str!("../benches/sessions/shop.json"))?;
    let tokens = session(include_str!("../benches/sessions/openid_connect.json"))?;
    let claims = session(include_str!("../benches/sessions/openid_connect_large.json"))?;
    let as_is = |builder: Builder<Value>| builder;

    let mut vectors = vec![
        vector("unit", &(), |b| b)?,
        vector("string", &"session".to_owned(), |b| b)?,
        vector("string_with_zeros_at_the_end", &"\0\0\0".to_owned(), |b| b)?,
        vector("login", &login, as_is)?,
        vector("login_without_padding", &login, |b| b.padding(Padding::DangerousNone))?,
        vector("cart_as_lz4", &shop, as_is)?,
        vector("cart_as_deflate", &shop, |b| b.compression(Compression::Smallest))?,
        vector("cart_not_compressed", &shop, |b| b.compression(Compression::Off))?,
        vector("claims_as_lz4_with_dictionary", &tokens, as_is)?,
        vector("claims_as_deflate_with_dictionary", &tokens, |b| {
            b.compression(Compression::Smallest)
        })?,
        vector("claims_not_compressed", &tokens, |b| {
            b.compression(Compression::Off).limits(Limits::NGINX_PROXY_BUFFER_8K)
        })?,
        vector("two_chunks", &claims, |b| {
            b.compression(Compression::Off).limits(Limits::NGINX_PROXY_BUFFER_16K)
        })?,
        vector("four_chunks", &claims, |b| {
            let limits = Limits::NGINX_PROXY_BUFFER_16K.cookie_bytes(2100);
            b.compression(Compression::Off).limits(limits)
        })?,
        vector("json", &shop, |b| b.format(Format::Json))?,
        vector("json_with_escapes", &json!({"note": "\"a\"\n\u{e9}".repeat(9)}), |b| {
            b.format(Format::Json)
        })?,
        vector("postcard", &typed(), |b| b.format(Format::Postcard).schema(1))?,
        vector("bincode", &typed(), |b| b.format(Format::Bincode).schema(1))?,
        vector("schema_300", &login, |b| b.schema(300))?,
        vector("schema_largest", &login, |b| b.schema(u32::MAX))?,
        vector("session_id", &login, |b| b.session_ids())?,
        vector("other_name", &login, |b| b.name("id"))?,
        vector("with_context", &login, |b| b.context(*b"tenant \xff"))?,
        vector("lifetime", &login, as_is)?,
        vector("ids_and_times", &ids_and_times(), as_is)?,
        vector("ids_and_times_as_json", &ids_and_times(), |b| b.format(Format::Json))?,
        vector("runs", &runs(), as_is)?,
        vector("words_as_lz4", &words(), as_is)?,
        vector("words_as_deflate", &words(), |b| b.compression(Compression::Smallest))?,
        vector("one_context", &attributes(), |b| b.compression(Compression::DangerousOneContext))?,
    ];

    // What must be refused, each made from a value that opens.
    let one = |name| vector(name, &login, as_is);
    let two = |name| {
        vector(name, &claims, |b| {
            b.compression(Compression::Off).limits(Limits::NGINX_PROXY_BUFFER_16K)
        })
    };
    // A text whose last character has bits that stand for nothing.
    let with_spare_bits = |name| {
        for len in 0.. {
            let text = "x".repeat(len);
            let mut vector = vector(name, &text, |b| b.padding(Padding::DangerousNone))?;
            if vector.value("").len() % 4 != 0 {
                return Ok::<_, Box<dyn Error>>(vector);
            }
        }
        unreachable!("lengths go on")
    };
    vectors.extend([
        one("empty")?.refuse("Malformed", |v| v.value("").clear()),
        one("length_of_no_bytes")?.refuse("Malformed", |v| {
            // Of any length over a multiple of four characters, only this one stands for no bytes.
            while v.value("").len() % 4 != 1 {
                v.value("").pop();
            }
        }),
        one("with_padding_characters")?.refuse("Malformed", |v| v.value("").push_str("==")),
        one("standard_alphabet")?.refuse("Malformed", |v| v.value("").replace_range(20..22, "+/")),
        with_spare_bits("bit_after_the_last_byte")?.refuse("Malformed", |v| {
            let last = v.value("").pop().expect("a character");
            v.value("").push(char::from(u8::try_from(last).expect("ASCII") + 1));
        }),
        one("shorter_than_a_seal")?.refuse("Malformed", |v| v.value("").truncate(56)),
        one("version_0")?.refuse("Malformed", |v| v.value("").replace_range(..1, "A")),
        one("version_2")?.refuse("UnsupportedVersion", |v| v.value("").replace_range(..1, "I")),
        one("version_15")?.refuse("UnsupportedVersion", |v| v.value("").replace_range(..1, "_")),
        one("no_chunks")?.refuse("Malformed", |v| v.value("").replace_range(1..2, "C")),
        one("five_chunks")?.refuse("TooManyChunks", |v| v.value("").replace_range(..1, "F")),
        one("another_key")?.refuse("UnknownKey", |v| v.value("").replace_range(3..5, "AA")),
        one("six_bytes_cut")?.refuse("InvalidTag", |v| cut(v.value(""), 100, 108)),
        one("six_bytes_more")?.refuse("InvalidTag", |v| v.value("").insert_str(100, "AAAAAAAA")),
        one("nonce_changed")?.refuse("InvalidTag", |v| flip(v.value(""), 20)),
        one("ciphertext_changed")?.refuse("InvalidTag", |v| flip(v.value(""), 60)),
        one("tag_changed")?.refuse("InvalidTag", |v| {
            let last = v.value("").len() - 4;
            flip(v.value(""), last);
        }),
        one("moved_to_another_name")?.refuse("InvalidTag", |v| {
            let value = std::mem::take(v.value(""));
            v.cookies = [("other".to_owned(), value)].into();
            v.cookie_name = "other".to_owned();
        }),
        one("moved_to_another_context")?.refuse("InvalidTag", |v| v.context.push(0)),
        two("chunk_missing")?.refuse("MissingChunk", |v| {
            let name = format!("{}.1", v.cookie_name);
            v.cookies.remove(&name);
        }),
        two("chunk_of_another_write")?.refuse("MixedChunks", |v| flip(v.value(".1"), 1)),
        two("chunk_changed")?.refuse("InvalidTag", |v| flip(v.value(".1"), 100)),
        two("chunk_cut")?.refuse("InvalidTag", |v| cut(v.value(".1"), 100, 108)),
    ]);
    let lines: Vec<_> = vectors.iter().map(|vector| vector.to_json().to_string()).collect();
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("vectors.json");
    std::fs::write(file, format!("[\n{}\n]\n", lines.join(",\n")))?;

    let made: Vec<_> = vectors.iter().map(|vector| vector.name).collect();
    let kept: Vec<Value> = serde_json::from_str(include_str!("vectors/v1.json"))?;
    for vector in kept {
        let name = vector["name"].as_str().unwrap();
        assert!(made.contains(&name), "{name} is kept and no longer made");
    }
    Ok(())
}

struct Vector {
    name: &'static str,
    key: String,
    cookie_name: String,
    context: Vec<u8>,
    cookies: BTreeMap<String, String>,
    expected: Value,
}

impl Vector {
    fn value(&mut self, suffix: &str) -> &mut String {
        let name = format!("{}{suffix}", self.cookie_name);
        self.cookies.get_mut(&name).expect("the vector has this cookie")
    }

    fn refuse(mut self, error: &str, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self.expected = json!({ "error": error });
        self
    }

    fn to_json(&self) -> Value {
        let mut vector = json!({
            "name": self.name,
            "key": self.key,
            "cookie_name": self.cookie_name,
            "context": hex(&self.context),
            "cookies": self.cookies,
        });
        let expected = self.expected.as_object().expect("an object").clone();
        vector.as_object_mut().expect("an object").extend(expected);
        vector
    }
}

fn vector<T: Serialize + DeserializeOwned + 'static>(
    name: &'static str,
    session: &T,
    setup: impl Fn(Builder<T>) -> Builder<T>,
) -> Result<Vector, Box<dyn Error>> {
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let key = || Key::from_bytes(SECRET);
    let codec = setup(Codec::builder(key()?)).build()?;
    // Sealed first a while before, so that the age is not 0.
    let (lifetime, told) = match name {
        "lifetime" => (
            Lifetime::new()
                .absolute_timeout(Duration::from_secs(86_400))
                .idle_timeout(Duration::from_secs(60_000))
                .browser_session(),
            json!({"absolute": 86_400, "idle": 60_000, "browser_session": true}),
        ),
        _ => (Lifetime::new(), Value::Null),
    };
    let first = codec.renew_with_at(session, &codec.request([""]), lifetime, at(BEGAN))?;
    let header = cookies(&first).map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join("; ");
    let request = codec.request([&header]);
    let set_cookies = codec.encode_at(session, &request, at(BEGAN + 50_000))?;
    let cookies: BTreeMap<_, _> = cookies(&set_cookies).collect();
    let header = cookies.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join("; ");
    let opened =
        codec.decode_at(&codec.request([&header]), at(BEGAN + 50_000))?.expect("a session");
    let (format, body) = match opened.format {
        Format::MessagePack => (1, rmp_serde::to_vec_named(session)?),
        Format::Json => (2, serde_json::to_vec(session)?),
        Format::Postcard => (3, postcard::to_stdvec(session)?),
        _ => (4, bincode::serde::encode_to_vec(session, bincode::config::standard())?),
    };
    let mut expected = json!({
        "format": format,
        "began": BEGAN,
        "sealed": BEGAN + 50_000,
        "schema": opened.schema,
        "id": opened.id.map(SessionId::to_bytes).map(|id| hex(&id)),
        "body": hex(&body),
    });
    if let (Some(expected), false) = (expected.as_object_mut(), told.is_null()) {
        expected.insert("lifetime".to_owned(), told);
    }
    Ok(Vector {
        name,
        key: key()?.expose_text().to_string(),
        cookie_name: codec.name().to_owned(),
        context: if name == "with_context" { b"tenant \xff".to_vec() } else { Vec::new() },
        cookies,
        expected,
    })
}

fn pair(line: &str) -> (String, String) {
    let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
    (name.to_owned(), value.to_owned())
}

fn cookies(set: &sealed_session::SetCookies) -> impl Iterator<Item = (String, String)> {
    set.values().map(pair)
}

fn typed() -> (u32, String, Vec<u16>, Option<bool>) {
    (7, "a string that is long enough to be a field".repeat(3), vec![1, 300, 65_535], Some(true))
}

/// A string of each notation.
fn ids_and_times() -> Value {
    json!({
        "uuid": "67e55044-10b1-426f-9247-bb680e5fe0c8",
        "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "snowflake": "175928847299117063",
        "largest": u64::MAX.to_string(),
        "base64": "3q2+7wECAwQFBgcICQoLDA0ODw==",
        "base64url": "3q2-7wECAwQFBgcICQoLDA0ODw",
        "times": [
            "1970-01-01T00:00:00Z",
            "2025-11-24T15:00:00.123Z",
            "2025-11-24T15:00:00.000001Z",
            "2025-11-24T15:00:00.123456789Z",
            "2024-02-29T23:59:59+00:00",
            "9999-12-31T23:59:59.999+00:00",
        ],
    })
}

/// Lists of strings of one notation.
fn runs() -> Value {
    let uuids: Vec<_> =
        (0..20_u8).map(|i| format!("67e55044-10b1-426f-{i:02x}47-bb680e5fe0{i:02x}")).collect();
    let numbers: Vec<_> =
        (0..20_u64).map(|i| (175_928_847_299_117_063 + i * 7919).to_string()).collect();
    let times: Vec<_> = (10..24).map(|hour| format!("2025-11-24T{hour}:00:00Z")).collect();
    let hashes: Vec<_> = (0..5_u8).map(|i| format!("{i:02x}").repeat(20)).collect();
    json!({ "uuids": uuids, "numbers": numbers, "times": times, "hashes": hashes })
}

/// What the dictionary of words is for.
fn words() -> Value {
    json!({
        "agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
        "picture": "https://lh3.googleusercontent.com/a/ACg8ocK3cV4zq7Zf0b=s96-c",
    })
}

/// What a directory tells of a user.
fn attributes() -> Value {
    let attribute = |i: u8| {
        let name = format!("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/attribute{i}");
        (name, Value::from(format!("CN=group {i},OU=groups,DC=example,DC=com")))
    };
    Value::Object((0..20).map(attribute).collect())
}

fn session(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text)
}

/// Changes one character to another of the alphabet.
fn flip(text: &mut String, at: usize) {
    let other = if text.get(at..=at) == Some("A") { "B" } else { "A" };
    text.replace_range(at..=at, other);
}

fn cut(text: &mut String, from: usize, to: usize) {
    text.replace_range(from..to, "");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
