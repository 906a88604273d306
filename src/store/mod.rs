//! Overflow: a session that is larger than its cookies, and values that are kept beside it.
//!
//! In comes what was packed and does not fit; out go a sealed *blob* for a store, and the reference (id and key) that is
//! sealed into the cookie in its place. The store sees ids, lengths and times, and nothing else.
//!
//! `blob` seals and opens. `blob_store` is what a store has to do; `directory`, `memory` and `redis` are those in the box,
//! and use nothing else of this crate. `work` is what has to be done in a store before cookies are sent.

mod attached;
mod blob;
mod blob_store;
mod directory;
mod memory;
mod work;
mod workers;

pub(crate) use attached::Scope;
pub use attached::Attached;
pub use blob::{Blob, BlobError, BlobId};
pub(crate) use blob::{BlobRef, Kind, MAX_BLOB};
pub use blob_store::{BlobStore, StoreError, StoreFuture};
pub use directory::DirectoryStore;
pub use memory::MemoryStore;
pub(crate) use work::{Overflow, Work};
