//! What was sealed once opens for ever, what another implementation seals opens too, and what must be
//! refused is refused by the same name.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::time::{Duration, SystemTime};

use sealed_session::{Codec, DecodeError, Format, Key, Lifetime, Opened};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

#[test]
fn every_vector_of_version_1_reads_as_it_was_written() {
    assert_eq!(check_all(include_str!("vectors/v1.json")), (29, 23), "vectors are only ever added");
}

/// By `interop/seal.py`, which was written from the specification alone.
#[test]
fn what_was_sealed_in_python_reads_as_it_was_written() {
    assert_eq!(check_all(include_str!("vectors/sealed_by_python.json")), (60, 105));
}

/// The same for any number of fresh ones, in a file that the environment names.
#[test]
fn what_was_sealed_in_python_just_now_reads_as_it_was_written() {
    let Ok(file) = std::env::var("SEALED_SESSION_VECTORS") else { return };
    let (opened, refused) = check_all(&std::fs::read_to_string(file).unwrap());
    println!("opened {opened} sessions that were sealed in Python, and refused {refused} messages");
    assert!(opened > 0 && refused > 0);
}

/// Gives how many vectors opened and how many were refused, each as it should.
fn check_all(vectors: &str) -> (usize, usize) {
    let vectors: Vec<Value> = serde_json::from_str(vectors).unwrap();
    let mut refused = 0;
    for vector in &vectors {
        let name = text(vector, "name");
        match vector.get("error") {
            Some(error) => {
                refused += 1;
                let found = open::<Value>(vector).map(|_| ()).expect_err(name);
                let unknown_format = vector["name"].as_str().unwrap().starts_with("body: JSON")
                    && cfg!(not(feature = "json"));
                let error =
                    if unknown_format { "UnsupportedFormat" } else { error.as_str().unwrap() };
                assert_eq!(variant(&found), error, "{name}");
            }
            None => check(vector, name),
        }
    }
    (vectors.len() - refused, refused)
}

fn check(vector: &Value, name: &str) {
    match vector["format"].as_u64().unwrap() {
        1 => check_as::<Value>(vector, name, |body| rmp_serde::from_slice(body).unwrap()),
        #[cfg(feature = "json")]
        2 => check_as::<Value>(vector, name, |body| serde_json::from_slice(body).unwrap()),
        #[cfg(feature = "postcard")]
        3 => check_as::<Typed>(vector, name, |body| postcard::from_bytes(body).unwrap()),
        #[cfg(feature = "bincode")]
        4 => check_as::<Typed>(vector, name, |body| {
            bincode::serde::decode_from_slice(body, bincode::config::standard()).unwrap().0
        }),
        _ => {
            let error = open::<Value>(vector).map(|_| ()).unwrap_err();
            assert_eq!(variant(&error), "UnsupportedFormat", "{name}");
        }
    }
}

#[cfg(any(feature = "postcard", feature = "bincode"))]
type Typed = (u32, String, Vec<u16>, Option<bool>);

fn check_as<T>(vector: &Value, name: &str, read: impl Fn(&[u8]) -> T)
where
    T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug + 'static,
{
    let opened = open::<T>(vector).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(opened.session, read(&bytes(text(vector, "body"))), "{name}");
    assert_eq!(opened.began, time(vector, "began"), "{name}");
    assert_eq!(opened.sealed, time(vector, "sealed"), "{name}");
    assert_eq!(u64::from(opened.schema), vector["schema"], "{name}");
    assert_eq!(opened.id.map(|id| id.to_string()).as_deref(), vector["id"].as_str(), "{name}");
    assert_eq!(opened.lifetime, lifetime(vector), "{name}");
}

fn open<T: Serialize + DeserializeOwned + 'static>(
    vector: &Value,
) -> Result<Opened<T>, DecodeError> {
    const LONGEST: Duration = Duration::from_secs(400 * 86_400);
    let key: Key = text(vector, "key").parse().unwrap();
    let schema = vector["schema"].as_u64().unwrap_or(0);
    let codec = Codec::<T>::builder(key)
        .name(text(vector, "cookie_name"))
        .context(bytes(text(vector, "context")))
        .schema(u32::try_from(schema).unwrap())
        .format(match vector["format"].as_u64() {
            #[cfg(feature = "postcard")]
            Some(3) => Format::Postcard,
            #[cfg(feature = "bincode")]
            Some(4) => Format::Bincode,
            _ => Format::MessagePack,
        })
        .absolute_timeout(LONGEST)
        .idle_timeout(LONGEST)
        .build()
        .unwrap();
    let cookies = vector["cookies"].as_object().unwrap();
    let cookies: Vec<_> =
        cookies.iter().map(|(name, value)| format!("{name}={}", value.as_str().unwrap())).collect();
    let a_second_later = Duration::from_secs(1_763_996_406);
    let now = match vector.get("sealed") {
        Some(_) => time(vector, "sealed"),
        None => SystemTime::UNIX_EPOCH + a_second_later,
    };
    codec.decode_at(&codec.request(&cookies), now).map(|found| found.expect("a cookie"))
}

fn lifetime(vector: &Value) -> Lifetime {
    let seconds = |name| vector["lifetime"][name].as_u64().map(Duration::from_secs);
    let mut lifetime = Lifetime::new();
    if let Some(absolute) = seconds("absolute") {
        lifetime = lifetime.absolute_timeout(absolute);
    }
    if let Some(idle) = seconds("idle") {
        lifetime = lifetime.idle_timeout(idle);
    }
    match vector["lifetime"]["browser_session"].as_bool() {
        Some(true) => lifetime.browser_session(),
        _ => lifetime,
    }
}

/// The name of an error's variant.
fn variant(error: &DecodeError) -> String {
    let debug = format!("{error:?}");
    debug.split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned()
}

fn text<'a>(vector: &'a Value, field: &str) -> &'a str {
    vector[field].as_str().unwrap()
}

fn time(vector: &Value, field: &str) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(vector[field].as_u64().unwrap())
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}
