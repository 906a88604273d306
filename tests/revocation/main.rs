//! Revocation: the set, the journal, the codec that asks, and, with real servers, what carries it between nodes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

#[cfg(all(feature = "revocation-redis", feature = "axum"))]
mod acceptance;
#[cfg(feature = "revocation-redis")]
mod backlog;
mod codec;
#[cfg(feature = "revocation-redis")]
mod feed;
mod journal;
#[cfg(feature = "tracing")]
mod log;
#[cfg(feature = "revocation-redis")]
mod servers;
mod set;
#[cfg(feature = "cli")]
mod tool;
#[cfg(all(feature = "revocation-redis", feature = "axum", feature = "actix-web"))]
mod web;

use std::time::{Duration, SystemTime};

use sealed_session::SessionId;

const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// Long enough for a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

fn id(number: u64) -> SessionId {
    let mut bytes = [0xa5; 16];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    SessionId::from_bytes(bytes)
}

fn now() -> SystemTime {
    SystemTime::now()
}

/// Waits until something holds, as it soon must.
#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}
