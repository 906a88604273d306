//! Stores: where a session goes that is larger than its cookies, and what is kept beside a session.
//!
//! What does not fit is sealed under a key of its own and put into a store as a *blob*; the cookie holds the
//! blob's id and key. A store sees ids, lengths and times: it can neither read a session, nor forge one, nor roll one
//! back. A session that fits its cookies asks no store.
//!
//! | store | for | feature |
//! |---|---|---|
//! | [`DirectoryStore`] | one machine; nothing to run | `store` |
#![cfg_attr(
    feature = "store-redis",
    doc = "| [`RedisStore`] | several machines: Redis or Valkey | `store-redis` |"
)]
#![cfg_attr(
    not(feature = "store-redis"),
    doc = "| `RedisStore` | several machines: Redis or Valkey | `store-redis` |"
)]
//! | [`MemoryStore`] | tests | `store` |
//! | one of your own | any other: implement [`BlobStore`] | `store` |
// In comes what was packed and does not fit; out go a sealed blob and the reference that is sealed into the cookie in its
// place. `blob` seals and opens. `blob_store` is what a store has to do; `directory` (with `workers`), `memory` and `redis` are
// those in the box. `attached` is a field whose value lies in a store. `work` is what has to be done before cookies are
// sent. Uses `seal`, `message`, `xaes` and `bytes`.

pub(crate) mod attached;
pub(crate) mod blob;
pub(crate) mod blob_store;
mod directory;
mod memory;
#[cfg(feature = "store-redis")]
mod redis;
pub(crate) mod work;
mod workers;

pub use crate::message::blob_ref::BlobId;
pub use blob::{Blob, BlobError};
pub use blob_store::{BlobStore, StoreError, StoreFuture};
pub use directory::DirectoryStore;
pub use memory::MemoryStore;
#[cfg(feature = "store-redis")]
pub use redis::RedisStore;
