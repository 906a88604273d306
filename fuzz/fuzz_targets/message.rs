//! Any bytes behind a valid seal, as a thief of a key could send them: never a panic, never more than the
//! limit of inflating, and what opens can be sealed and opened again.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sealed_session::Codec;
use sealed_session_fuzz::{NAME, at, builder, seal};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Something of each kind that serde knows and that all formats hold.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Typed {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    list: Vec<(u16, Kind)>,
    #[serde(default)]
    bytes: Vec<u8>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Kind {
    Unit,
    Newtype(String),
    Struct { a: i64, b: char },
}

static TYPED: LazyLock<Codec<Typed>> = LazyLock::new(|| builder().build().expect("settings"));
static VALUE: LazyLock<Codec<Value>> = LazyLock::new(|| builder().build().expect("settings"));

fuzz_target!(|message: &[u8]| {
    if message.len() > 9000 {
        return;
    }
    let value = seal(message);
    let header = format!("{NAME}={value}");
    if let Ok(opened) = TYPED.decode_at(&TYPED.request([&header]), at(0)) {
        let session = opened.expect("the request has a cookie").session;
        if let Ok(set) = TYPED.renew_at(&session, &TYPED.request([""]), at(0)) {
            let pairs: Vec<_> = set.values().map(|line| line.split(';').next().unwrap()).collect();
            let again =
                TYPED.decode_at(&TYPED.request(pairs), at(0)).expect("opens").expect("is there");
            assert_eq!(again.session, session);
        }
    }
    let _ = VALUE.decode_at(&VALUE.request([&header]), at(0));
});
