//! A store in this process's memory.

use std::collections::HashMap;
use std::fmt;
use std::future::ready;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::message::blob_ref::BlobId;
use crate::store::blob_store::{BlobStore, StoreError, StoreFuture};

/// A store in this process's memory, for tests: another process does not see it, and it ends with this one.
///
/// It holds up to 64 MiB.
#[derive(Default)]
pub struct MemoryStore {
    blobs: Mutex<HashMap<BlobId, Entry>>,
}

struct Entry {
    bytes: Vec<u8>,
    until: Instant,
}

impl MemoryStore {
    /// Creates an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the number of blobs that are alive.
    #[must_use]
    pub fn len(&self) -> usize {
        let mut blobs = self.blobs();
        sweep(&mut blobs);
        blobs.len()
    }

    /// Returns whether no blob is alive.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes all blobs, as a server that is flushed does.
    pub fn clear(&self) {
        self.blobs().clear();
    }

    fn blobs(&self) -> MutexGuard<'_, HashMap<BlobId, Entry>> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BlobStore for MemoryStore {
    fn put<'a>(&'a self, id: BlobId, bytes: &'a [u8], lives: Duration) -> StoreFuture<'a, ()> {
        let mut blobs = self.blobs();
        sweep(&mut blobs);
        let used = blobs.values().map(|entry| entry.bytes.len()).sum::<usize>();
        if used + bytes.len() > MOST {
            return Box::pin(ready(Err(StoreError::Full)));
        }
        if let Some(until) = Instant::now().checked_add(lives) {
            blobs.entry(id).or_insert_with(|| Entry { bytes: bytes.to_vec(), until });
        }
        Box::pin(ready(Ok(())))
    }

    fn get(&self, id: BlobId, _: usize) -> StoreFuture<'_, Option<Vec<u8>>> {
        let mut blobs = self.blobs();
        sweep(&mut blobs);
        Box::pin(ready(Ok(blobs.get(&id).map(|entry| entry.bytes.clone()))))
    }

    fn expire_within(&self, id: BlobId, rest: Duration) -> StoreFuture<'_, ()> {
        if let (Some(entry), Some(until)) =
            (self.blobs().get_mut(&id), Instant::now().checked_add(rest))
        {
            entry.until = entry.until.min(until);
        }
        Box::pin(ready(Ok(())))
    }

    fn keep_for(&self, id: BlobId, lives: Duration) -> StoreFuture<'_, ()> {
        let mut blobs = self.blobs();
        sweep(&mut blobs);
        if let (Some(entry), Some(until)) = (blobs.get_mut(&id), Instant::now().checked_add(lives))
        {
            entry.until = entry.until.max(until);
        }
        Box::pin(ready(Ok(())))
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

fn sweep(blobs: &mut HashMap<BlobId, Entry>) {
    let now = Instant::now();
    blobs.retain(|_, entry| entry.until > now);
}

const MOST: usize = 64 << 20;
