//! Any bytes as a cookie of another library, any change to a real one, and any text that is authentic: never a panic,
//! and a session only from what the library made.
#![no_main]

use std::borrow::Cow;
use std::sync::LazyLock;

use arbitrary::Arbitrary;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use libfuzzer_sys::fuzz_target;
use sealed_session::legacy::{IronSession, Jar, JarKey, RailsSession, Reader};
use sealed_session_fuzz::at;
use serde_json::Value;
use sha2::Sha256;

#[derive(Debug, Arbitrary)]
enum Input<'a> {
    Junk(&'a [u8]),
    /// Takes bytes out of a real one, and puts others there.
    Changed(u16, u16, u8, &'a [u8]),
    /// Signed under the key of the reader.
    Signed(&'a str),
}

struct Real {
    reader: Reader<Value>,
    value: String,
}

/// The cookies that are checked in, and how each is read.
static REAL: LazyLock<Vec<Real>> = LazyLock::new(|| {
    let vectors: Vec<Value> =
        serde_json::from_str(include_str!("../../tests/vectors/legacy.json")).expect("JSON");
    let real = |vector: &Value| {
        let text = |field: &str| vector[field].as_str().expect("text").to_owned();
        let (form, key) = vector["key"].as_object().expect("a key").iter().next().expect("one");
        let key = key.as_str().expect("text");
        let bytes = || STANDARD.decode(key).expect("base64");
        let jar_key = || match form.as_str() {
            "bytes" => JarKey::from_bytes(&bytes()).expect("a key"),
            "master" => JarKey::derive_from(&bytes()).expect("a key"),
            _ => JarKey::from_rocket(key).expect("a key"),
        };
        let kind = text("reader");
        let jar = || match kind.starts_with("private") {
            true => Jar::private(&jar_key()),
            false => Jar::signed(&jar_key()),
        };
        let name = text("name");
        let reader = match kind.rsplit('_').next().expect("a kind") {
            "text" => jar().text(name, |text| Some(Value::from(text))),
            "json" => jar().json(name, Some),
            "actix" => jar().actix_session(name, Some),
            "tower" => jar().tower_session(name, Some),
            "iron" => IronSession::new(key).expect("long").json(name, Some),
            _ => RailsSession::new(key).expect("long").json(name, Some),
        };
        Real { reader, value: text("value") }
    };
    vectors.iter().map(real).collect()
});

const SIGNING: [u8; 32] = [7; 32];

/// Readers of what anybody may sign here.
static SIGNED: LazyLock<[Reader<Value>; 3]> = LazyLock::new(|| {
    let key = JarKey::from_bytes(&[SIGNING, SIGNING].concat()).expect("a key");
    let jar = || Jar::signed(&key);
    [jar().json("a", Some), jar().actix_session("a", Some), jar().tower_session("a", Some)]
});

fuzz_target!(|input: (u8, Input)| {
    let (which, input) = input;
    let real = &REAL[usize::from(which) % REAL.len()];
    match input {
        Input::Junk(bytes) => {
            if decoded(bytes) != decoded(real.value.as_bytes()) {
                assert_eq!(real.reader.read_at(bytes, at(0)), None, "nobody made this");
            }
        }
        Input::Changed(from, taken, flipped, put) => {
            let mut value = real.value.clone().into_bytes();
            let from = usize::from(from) % value.len();
            value[from] ^= flipped;
            let to = (from + usize::from(taken) % 64).min(value.len());
            value.splice(from..to, put.iter().copied());
            let found = real.reader.read_at(&value, at(0));
            let same = decoded(&value) == decoded(real.value.as_bytes());
            assert!(found.is_none() || same, "{}", String::from_utf8_lossy(&value));
            assert!(found.is_some() || value != real.value.as_bytes(), "this is the real one");
        }
        Input::Signed(text) => {
            let mac = Hmac::<Sha256>::new_from_slice(&SIGNING).expect("any length");
            let mac = mac.chain_update(text).finalize().into_bytes();
            let value = STANDARD.encode(mac) + text;
            let [json, actix, tower] = &*SIGNED;
            let found = json.read_at(value.as_bytes(), at(0));
            assert_eq!(found, serde_json::from_str(text).ok());
            if let Some(state) = actix.read_at(value.as_bytes(), at(0)) {
                assert!(state.is_object() && found.is_some_and(|found| found.is_object()));
            }
            if let Some(data) = tower.read_at(value.as_bytes(), at(0)) {
                assert!(data.is_object());
            }
        }
    }
});

/// Percent-encoding has many spellings of one value.
fn decoded(value: &[u8]) -> Cow<'_, [u8]> {
    percent_encoding::percent_decode(value).into()
}
