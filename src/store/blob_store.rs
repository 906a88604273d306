//! What a store has to do.

use std::pin::Pin;
use std::time::Duration;

use crate::error::Source;
use crate::message::blob_ref::BlobId;

/// The future of an operation of a [`BlobStore`].
pub type StoreFuture<'a, V> = Pin<Box<dyn Future<Output = Result<V, StoreError>> + Send + 'a>>;

/// A place for blobs that is shared by all nodes: what of a session does not fit into cookies lies there, sealed.
///
/// Four operations over bytes. A blob never changes: each change of a session makes a new one, under a new id. So there is
/// nothing to lock, and an operation that is repeated does no harm.
///
/// In the box: [`DirectoryStore`](super::DirectoryStore) for one machine, `RedisStore` (feature `store-redis`) for several,
/// and [`MemoryStore`](super::MemoryStore) for tests.
///
/// # What a store must keep to
///
/// - **Answer in time.** A request waits for it: after a second or two an error is better than an answer.
/// - **Never evict** a blob before its time: its user would be logged out. When there is no room, refuse
///   the new one ([`StoreError::Full`]): its user sees a 503, and all others stay logged in.
/// - **Tell "gone" from "cannot say"**: `Ok(None)` ends the session, an error keeps it.
///
/// It need not be trusted: what it reads tells it nothing, and what it changes does not open.
///
/// # Example: a store over a database's client
///
/// ```
/// use std::time::Duration;
/// use sealed_session::store::{BlobId, BlobStore, StoreError, StoreFuture};
/// # struct Pool;
/// # impl Pool {
/// #     async fn insert(&self, _: [u8; 16], _: &[u8], _: Duration) -> Result<(), std::io::Error> { Ok(()) }
/// #     async fn select(&self, _: [u8; 16]) -> Result<Option<Vec<u8>>, std::io::Error> { Ok(None) }
/// #     async fn least(&self, _: [u8; 16], _: Duration) -> Result<(), std::io::Error> { Ok(()) }
/// #     async fn greatest(&self, _: [u8; 16], _: Duration) -> Result<(), std::io::Error> { Ok(()) }
/// # }
///
/// struct SqlStore(Pool);
///
/// impl BlobStore for SqlStore {
///     fn put<'a>(&'a self, id: BlobId, bytes: &'a [u8], lives: Duration) -> StoreFuture<'a, ()> {
///         // INSERT INTO blobs (id, bytes, until) VALUES ($1, $2, now() + $3) ON CONFLICT DO NOTHING
///         Box::pin(async move {
///             self.0.insert(id.to_bytes(), bytes, lives).await.map_err(StoreError::unavailable)
///         })
///     }
///
///     fn get(&self, id: BlobId, most: usize) -> StoreFuture<'_, Option<Vec<u8>>> {
///         // SELECT bytes FROM blobs WHERE id = $1 AND until > now() AND length(bytes) <= $2
///         Box::pin(async move { self.0.select(id.to_bytes()).await.map_err(StoreError::unavailable) })
///     }
///
///     fn expire_within(&self, id: BlobId, rest: Duration) -> StoreFuture<'_, ()> {
///         // UPDATE blobs SET until = least(until, now() + $2) WHERE id = $1
///         Box::pin(async move { self.0.least(id.to_bytes(), rest).await.map_err(StoreError::unavailable) })
///     }
///
///     fn keep_for(&self, id: BlobId, lives: Duration) -> StoreFuture<'_, ()> {
///         // UPDATE blobs SET until = greatest(until, now() + $2) WHERE id = $1 AND until > now()
///         Box::pin(async move { self.0.greatest(id.to_bytes(), lives).await.map_err(StoreError::unavailable) })
///     }
/// }
/// ```
pub trait BlobStore: Send + Sync + 'static {
    /// Stores a blob that lives for so long. If there is one of this id already, that one stays.
    ///
    /// When it returns, the blob is as safe as this store makes it: the cookie that refers to it is sent next.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the response becomes a 503 then, and the old cookie goes on.
    fn put<'a>(&'a self, id: BlobId, bytes: &'a [u8], lives: Duration) -> StoreFuture<'a, ()>;

    /// Returns a blob, or `None` if there is none of this id or its time has passed.
    ///
    /// Nothing that was put is longer than `most`. What is longer may be cut there: it is refused anyway.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the response becomes a 503 then, and the cookie goes on.
    fn get(&self, id: BlobId, most: usize) -> StoreFuture<'_, Option<Vec<u8>>>;

    /// Shortens the life of a blob to `rest` from now; with zero, removes it. Never prolongs its life. Nothing happens if
    /// there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; it is logged, and the blob ends at its time.
    fn expire_within(&self, id: BlobId, rest: Duration) -> StoreFuture<'_, ()>;

    /// Extends the life of a blob to `lives` from now. Never shortens its life. Nothing happens if there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; it is logged, and the blob ends at its time.
    fn keep_for(&self, id: BlobId, lives: Duration) -> StoreFuture<'_, ()>;
}

/// The reason why a store did not do what it was asked to.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It cannot be reached, does not answer in time, or has a fault.
    #[error("the store is unavailable")]
    Unavailable(#[source] Source),
    /// It has no room for another blob.
    #[error("the store is full")]
    Full,
    /// More is asked of it at once than it queues.
    #[error("the store is busy")]
    Busy,
}

impl StoreError {
    /// Creates an error from what the client of a database says.
    #[must_use]
    pub fn unavailable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable(Source::from(error.into()))
    }
}
