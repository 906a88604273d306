//! What is done in the store: fetching for a request, and the work before cookies are sent.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::{join, join_all, join3};

use crate::error::Causes;
use crate::message::blob_ref::{BlobId, BlobRef};
use crate::observe;
use crate::store::blob::{Blob, MAX_BLOB};
use crate::store::blob_store::{BlobStore, StoreError};

/// The store of a codec, and which blobs were given their last minute lately.
pub(crate) struct Overflow {
    store: Arc<dyn BlobStore>,
    released: Released,
}

impl Overflow {
    pub(crate) fn new(store: Arc<dyn BlobStore>) -> Self {
        Self { store, released: Released::default() }
    }

    /// Fetches a blob that a browser shows the reference of: it has got the cookie, so the blob in whose place this one
    /// came is needed by the requests under way alone.
    pub(crate) async fn fetch(&self, reference: &BlobRef) -> Result<Option<Vec<u8>>, StoreError> {
        let get = self.store.get(reference.id, MAX_BLOB);
        let found = match reference.previous.filter(|previous| self.released.is_first(*previous)) {
            None => get.await,
            Some(previous) => {
                let (found, released) =
                    join(get, self.store.expire_within(previous, LAST_MINUTE)).await;
                drop(released.inspect_err(|error| failed("expire", error)));
                found
            }
        };
        found.inspect_err(|error| failed("get", error))
    }

    /// Does what has to be done before cookies are sent, all of it at once.
    ///
    /// The error is that of a blob that could not be stored: the cookies must not be sent then. All else is logged, and
    /// ends by its time.
    pub(crate) async fn run(&self, work: &Work) -> Result<(), StoreError> {
        let Work { puts, keeps, expires } = work;
        let store = &self.store;
        let puts = puts.iter().map(|Blob { id, bytes, lives }| store.put(*id, bytes, *lives));
        let keeps = keeps.iter().map(|(id, lives)| store.keep_for(*id, *lives));
        let expires = expires.iter().map(|(id, rest)| store.expire_within(*id, *rest));
        let (puts, keeps, expires) =
            join3(join_all(puts), join_all(keeps), join_all(expires)).await;
        for (operation, results) in [("keep", keeps), ("expire", expires)] {
            for error in results.into_iter().filter_map(Result::err) {
                failed(operation, &error);
            }
        }
        let stored = puts.into_iter().collect::<Result<(), _>>();
        stored.inspect_err(|error| failed("put", error))
    }
}

impl fmt::Debug for Overflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overflow").finish_non_exhaustive()
    }
}

fn failed(operation: &'static str, error: &StoreError) {
    observe::store_failed(operation, &Causes(error));
}

/// What has to be done in the store before cookies are sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Work {
    pub(crate) puts: Vec<Blob>,
    /// What has to live longer than was known when it was stored.
    pub(crate) keeps: Vec<(BlobId, Duration)>,
    /// What is not needed any more.
    pub(crate) expires: Vec<(BlobId, Duration)>,
}

impl Work {
    pub(crate) fn append(&mut self, mut more: Self) {
        self.puts.append(&mut more.puts);
        self.keeps.append(&mut more.keeps);
        self.expires.append(&mut more.expires);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.puts.is_empty() && self.keeps.is_empty() && self.expires.is_empty()
    }
}

/// The predecessors that this node has released lately, so that it does not at every request.
///
/// One place for each first byte, and in it the last eight. What is forgotten is released once more.
struct Released([AtomicU64; 256]);

impl Released {
    fn is_first(&self, id: BlobId) -> bool {
        let bytes = id.to_bytes();
        let (first, last) = (bytes.first(), bytes.last_chunk());
        let (Some(first), Some(last)) = (first, last) else { return true };
        let last = u64::from_ne_bytes(*last);
        self.0
            .get(usize::from(*first))
            .is_none_or(|place| place.swap(last, Ordering::Relaxed) != last)
    }
}

impl Default for Released {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; 256])
    }
}

/// For the requests that were sent before the browser got the new cookie.
const LAST_MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_predecessor_is_released_once_until_it_is_forgotten() {
        let released = Released::default();
        let id = |first, last| {
            let mut bytes = [7; 16];
            (bytes[0], bytes[15]) = (first, last);
            BlobId::from_bytes(bytes)
        };
        assert!(released.is_first(id(1, 1)) && !released.is_first(id(1, 1)));
        assert!(released.is_first(id(2, 1)) && !released.is_first(id(1, 1)));
        assert!(released.is_first(id(1, 2)) && released.is_first(id(1, 1)));
    }
}
