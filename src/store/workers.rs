//! Threads for what would block a thread of the application's runtime, whichever that is.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use futures_channel::oneshot;

use crate::store::blob_store::{StoreError, StoreFuture};

type Job = Box<dyn FnOnce() + Send>;

/// A few threads and a bounded queue before them. They end when this is dropped.
pub(super) struct Workers {
    queue: SyncSender<Job>,
}

impl Workers {
    pub(super) fn start() -> io::Result<Self> {
        let (queue, jobs) = sync_channel::<Job>(QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..THREADS {
            let jobs = Arc::clone(&jobs);
            thread::Builder::new()
                .name("sealed-session-store".into())
                .spawn(move || work(&jobs))?;
        }
        Ok(Self { queue })
    }

    /// Runs a job on one of the threads; it is queued at once, and done even if the future is dropped.
    pub(super) fn run<V: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<V, StoreError> + Send + 'static,
    ) -> StoreFuture<'static, V> {
        let (answer, answered) = oneshot::channel();
        // Who no longer waits need not be told.
        let queued = self.queue.try_send(Box::new(move || drop(answer.send(job()))));
        Box::pin(async move {
            queued.map_err(|_| StoreError::Busy)?;
            // A job that panicked gives no answer.
            answered.await.map_err(|_| StoreError::unavailable("the operation panicked"))?
        })
    }
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    loop {
        // One waits for the queue, the others for the lock.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // A panic is the job's own; the thread is there for the next one.
        drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)));
    }
}

const THREADS: usize = 4;
const QUEUE: usize = 1024;
