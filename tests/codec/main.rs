//! The codec as a user sees it: sessions in, cookies out, and back.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::as_conversions,
    reason = "a test may panic"
)]

mod also_reads;
mod browser;
mod chunks;
mod deploy;
mod errors;
mod evolution;
mod leaks;
mod order;
#[cfg(feature = "store")]
mod overflow;
mod readme;
mod request;
mod ring;
mod roundtrip;
mod set_cookie;
mod settings;
mod size;
mod tampering;
mod time;

#[path = "../../benches/sessions/mod.rs"]
mod sessions;
#[cfg(feature = "store")]
#[path = "../stores/mod.rs"]
mod stores;

use std::time::{Duration, SystemTime};

use sealed_session::{Key, KeyRing};

/// A time in 2025, and so many seconds later.
fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_763_996_400 + seconds)
}

/// A key that is the same in each test run.
fn key(n: u8) -> Key {
    let mut secret = [n; Key::LEN];
    secret[0] = !n;
    Key::from_bytes(secret).unwrap()
}

fn ring() -> KeyRing {
    key(1).into()
}

/// Text that nothing compresses: the same in each test run.
fn noise(len: usize) -> String {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // The space keeps it from being base64url, which would be stored in fewer bytes.
        char::from(b" !#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`abcdefghijklmnopqrstuvwxyz{|}~"[(state >> 40) as usize % 92])
    };
    (0..len).map(|_| next()).collect()
}
