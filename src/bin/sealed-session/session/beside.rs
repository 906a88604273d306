//! What lies in a store: the body of a session that is larger than its cookies, and values beside a session.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use clap::Args;
use sealed_session::store::{BlobId, BlobStore, DirectoryStore, StoreError};
use sealed_session::{Attached, Codec};
use serde_json::{Value, json};

use super::any::Any;
use crate::output::Failure;

/// Where the store is. A URL may hold a password, so it is no argument.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The directory of the store. The server's URL is in SEALED_SESSION_REDIS_URL.
    #[arg(long, value_name = "DIRECTORY")]
    store: Option<PathBuf>,
    /// What the keys on the server begin with, as the application says to RedisStore::prefix.
    #[arg(long, value_name = "TEXT", default_value = "sealed-session")]
    prefix: String,
    /// A field of the session whose value lies beside it, of the type Attached. Its value is shown in place of the
    /// reference, which holds a key; without a store, the name of its blob.
    #[arg(long, value_name = "FIELD")]
    attached: Vec<String>,
}

/// A store, if one was given. Nothing is asked of it before something is to be shown that lies there.
pub(crate) struct Beside<'a> {
    store: Option<Box<dyn BlobStore>>,
    attached: &'a [String],
}

impl Place {
    pub(crate) fn open(&self) -> Result<Beside<'_>, Failure> {
        Ok(Beside { store: self.store()?, attached: &self.attached })
    }

    fn store(&self) -> Result<Option<Box<dyn BlobStore>>, Failure> {
        if let Some(path) = &self.store {
            // One that is made by the tool's user is none that the nodes could write to.
            if !path.join("new").is_dir() {
                let path = path.display();
                return Err(Failure::Io(format!("{path} is no directory of a DirectoryStore")));
            }
            return Ok(Some(Box::new(DirectoryStore::open(path)?)));
        }
        #[cfg(feature = "store-redis")]
        if let Ok(url) = std::env::var("SEALED_SESSION_REDIS_URL") {
            let store = sealed_session::store::RedisStore::new(&url);
            let store = store
                .map_err(|error| Failure::Usage(format!("SEALED_SESSION_REDIS_URL: {error}")))?;
            return Ok(Some(Box::new(store.prefix(&self.prefix))));
        }
        #[cfg(not(feature = "store-redis"))]
        if std::env::var_os("SEALED_SESSION_REDIS_URL").is_some() {
            return Err(Failure::Usage(
                "this tool was built without the feature store-redis; unset SEALED_SESSION_REDIS_URL".to_owned(),
            ));
        }
        Ok(None)
    }
}

impl Beside<'_> {
    /// Fetches a blob; `None` without a store.
    pub(crate) fn fetch(&self, id: BlobId) -> Option<Result<Option<Vec<u8>>, StoreError>> {
        // More than a blob has: what is longer is none.
        self.store.as_ref().map(|store| block_on(store.get(id, MOST)))
    }

    /// Puts the values of the attached fields, or the names of their blobs, in the place of their references.
    pub(crate) fn show(&self, codec: &Codec<Any>, session: &mut Value) -> Result<(), Failure> {
        for name in self.attached {
            let no = |why: String| Failure::No("attached", format!("the field {name} {why}"));
            let field = session.get_mut(name).ok_or_else(|| no("is not there".to_owned()))?;
            let attached: Attached<Any> = serde_json::from_value(field.take())
                .map_err(|_| no("holds no reference to a value beside the session".to_owned()))?;
            let Some(id) = attached.blob() else { continue };
            *field = match self.fetch(id) {
                None => json!({ "blob": id.to_string() }),
                Some(fetched) => match codec.load_with(&attached, fetched) {
                    Ok(value) => value.map_or(Value::Null, |value| value.0.clone()),
                    Err(error) => return Err(no(format!("has the blob {id}: {error}"))),
                },
            };
        }
        Ok(())
    }
}

/// Waits for a future: the tool has one thing to do.
pub(crate) fn block_on<V>(future: impl Future<Output = V>) -> V {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

const MOST: usize = 1024 * 1024;
