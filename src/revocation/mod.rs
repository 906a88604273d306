//! Revocation: sessions that end before their time, on all nodes, at the price of a lookup in memory.
//!
//! - In: "end this session", "end those of this user", "end all that began before"; and what other nodes and
//!   processes ended, from a [`Journal`] on this machine or a `RedisFeed` between machines.
//! - Out: [`Revocations`], which a codec asks for each session it opens, and which never waits.
//! - A fault of a journal or a feed never takes back what is known: the set only grows, until its sessions are dead.
//!
//! How to use it, what holds, and for how long: [`guide::revocation`](crate::guide::revocation).

pub(crate) mod entry;
#[cfg(feature = "revocation-redis")]
mod feed;
mod journal;
mod receipt;
mod set;
mod table;

pub use entry::{Revoked, SubjectTag, Target};
#[cfg(feature = "revocation-redis")]
pub use feed::{Feed, FeedStatus, RedisFeed, WhenStale};
pub use journal::{Journal, JournalError};
pub use receipt::{Receipt, Stored, Within};
pub use set::{Full, Revocations};

/// Runs what is others' code in the end, a subscriber or a waker. If it panics, none of our threads ends by that.
fn guarded(work: impl FnOnce()) {
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
}

/// How far sessions may at least be dated ahead of "now".
pub(crate) const LEAST_SKEW: std::time::Duration = std::time::Duration::from_secs(5);
