//! What was sealed once opens for ever, and what was refused stays refused by the same name.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::time::{Duration, SystemTime};

use sealed_session::{Codec, DecodeError, Key, Opened};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

#[test]
fn every_vector_of_version_1_reads_as_it_was_written() {
    let vectors: Vec<Value> = serde_json::from_str(include_str!("vectors/v1.json")).unwrap();
    let mut refused = 0;
    for vector in &vectors {
        let name = text(vector, "name");
        match vector.get("error") {
            Some(error) => {
                refused += 1;
                let found = open::<Value>(vector).map(|_| ()).unwrap_err();
                assert_eq!(variant(&found), error.as_str().unwrap(), "{name}");
            }
            None => check(vector, name),
        }
    }
    assert_eq!((vectors.len(), refused), (45, 23), "vectors are only ever added");
}

fn check(vector: &Value, name: &str) {
    match vector["format"].as_u64().unwrap() {
        1 => check_as::<Value>(vector, name, |session| rmp_serde::to_vec_named(session).unwrap()),
        #[cfg(feature = "json")]
        2 => check_as::<Value>(vector, name, |session| serde_json::to_vec(session).unwrap()),
        #[cfg(feature = "postcard")]
        3 => check_as::<Typed>(vector, name, |session| postcard::to_stdvec(session).unwrap()),
        #[cfg(feature = "bincode")]
        4 => check_as::<Typed>(vector, name, |session| {
            bincode::serde::encode_to_vec(session, bincode::config::standard()).unwrap()
        }),
        _ => {
            let error = open::<Value>(vector).map(|_| ()).unwrap_err();
            assert_eq!(variant(&error), "UnsupportedFormat", "{name}");
        }
    }
}

#[cfg(any(feature = "postcard", feature = "bincode"))]
type Typed = (u32, String, Vec<u16>, Option<bool>);

fn check_as<T: Serialize + DeserializeOwned + 'static>(
    vector: &Value,
    name: &str,
    serialize: impl Fn(&T) -> Vec<u8>,
) {
    let opened = open::<T>(vector).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(hex(&serialize(&opened.session)), text(vector, "body"), "{name}");
    assert_eq!(opened.began, time(vector, "began"), "{name}");
    assert_eq!(opened.sealed, time(vector, "sealed"), "{name}");
    assert_eq!(u64::from(opened.schema), vector["schema"], "{name}");
    assert_eq!(opened.id.map(|id| id.to_string()).as_deref(), vector["id"].as_str(), "{name}");
}

fn open<T: Serialize + DeserializeOwned + 'static>(
    vector: &Value,
) -> Result<Opened<T>, DecodeError> {
    let key: Key = text(vector, "key").parse().unwrap();
    let name = text(vector, "cookie_name");
    let secure = Codec::<T>::builder(key).name(name).context(bytes(text(vector, "context")));
    let schema = vector["schema"].as_u64().unwrap_or(0);
    let codec = secure.schema(u32::try_from(schema).unwrap()).build().unwrap();
    let cookies = vector["cookies"].as_object().unwrap();
    let pairs = cookies.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
    let now = vector.get("sealed").map_or(SystemTime::UNIX_EPOCH, |_| time(vector, "sealed"));
    codec.decode_at(&codec.request_from_pairs(pairs), now).map(|found| found.expect("a cookie"))
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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
