//! A store for tests: it notes what it is asked, and fails or lies when it is told to.

use std::fmt::Write as _;
use std::future::ready;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealed_session::store::{BlobId, BlobStore, MemoryStore, StoreError, StoreFuture};

/// What a store does wrong.
#[derive(Debug, Clone, Default)]
#[allow(dead_code, reason = "not each test needs all")]
pub(crate) enum Fault {
    #[default]
    None,
    /// It answers nothing, whatever it is asked.
    Down,
    /// It takes nothing new.
    Full,
    /// It has lost all that it had.
    Flushed,
    /// It answers with the blob of another id.
    Answers(BlobId),
    /// It answers with these bytes.
    Gives(Vec<u8>),
    /// It answers with the blob that was put before the last one.
    Replays,
    /// It has lost the last byte of what it had.
    Cut,
}

/// A store in memory, with its faults and with what it was asked.
#[derive(Clone, Default)]
pub(crate) struct TestStore(Arc<Inner>);

#[derive(Default)]
struct Inner {
    memory: MemoryStore,
    fault: Mutex<Fault>,
    asked: Mutex<Vec<String>>,
    put: Mutex<Vec<(BlobId, Vec<u8>)>>,
}

#[allow(dead_code, reason = "not each test needs all")]
impl TestStore {
    pub(crate) fn set(&self, fault: Fault) {
        *self.0.fault.lock().unwrap() = fault;
    }

    /// What was asked since this was called last, such as `put get expire:60 keep:3600`.
    pub(crate) fn asked(&self) -> String {
        self.0.asked.lock().unwrap().drain(..).collect::<Vec<_>>().join(" ")
    }

    /// The blobs that were put, the oldest first.
    pub(crate) fn blobs(&self) -> Vec<(BlobId, Vec<u8>)> {
        self.0.put.lock().unwrap().clone()
    }

    /// The number of blobs that are alive.
    pub(crate) fn len(&self) -> usize {
        self.0.memory.len()
    }

    fn ask(&self, operation: &str, seconds: Option<Duration>) -> Fault {
        let mut asked = operation.to_owned();
        if let Some(duration) = seconds {
            write!(asked, ":{}", duration.as_secs()).unwrap();
        }
        self.0.asked.lock().unwrap().push(asked);
        self.0.fault.lock().unwrap().clone()
    }
}

fn down<V: Send + 'static>() -> StoreFuture<'static, V> {
    Box::pin(ready(Err(StoreError::unavailable("down"))))
}

impl BlobStore for TestStore {
    fn put<'a>(&'a self, id: BlobId, bytes: &'a [u8], lives: Duration) -> StoreFuture<'a, ()> {
        match self.ask("put", None) {
            Fault::Down => down(),
            Fault::Full => Box::pin(ready(Err(StoreError::Full))),
            _ => {
                self.0.put.lock().unwrap().push((id, bytes.to_vec()));
                self.0.memory.put(id, bytes, lives)
            }
        }
    }

    fn get(&self, id: BlobId, most: usize) -> StoreFuture<'_, Option<Vec<u8>>> {
        match self.ask("get", None) {
            Fault::Down => down(),
            Fault::Flushed => Box::pin(ready(Ok(None))),
            Fault::Answers(other) => self.0.memory.get(other, most),
            Fault::Gives(bytes) => Box::pin(ready(Ok(Some(bytes)))),
            Fault::Replays => {
                let before = self.blobs().into_iter().rev().nth(1).map(|(_, bytes)| bytes);
                Box::pin(ready(Ok(before)))
            }
            Fault::Cut => Box::pin(async move {
                let found = self.0.memory.get(id, most).await?;
                Ok(found.map(|mut bytes| {
                    bytes.pop();
                    bytes
                }))
            }),
            Fault::None | Fault::Full => self.0.memory.get(id, most),
        }
    }

    fn expire_within(&self, id: BlobId, rest: Duration) -> StoreFuture<'_, ()> {
        match self.ask("expire", Some(rest)) {
            Fault::Down => down(),
            _ => self.0.memory.expire_within(id, rest),
        }
    }

    fn keep_for(&self, id: BlobId, lives: Duration) -> StoreFuture<'_, ()> {
        match self.ask("keep", Some(lives)) {
            Fault::Down => down(),
            _ => self.0.memory.keep_for(id, lives),
        }
    }
}
