//! Threads for what would block a thread of the application's runtime, whichever that is.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use futures_channel::oneshot;

use crate::store::blob_store::{StoreError, StoreFuture};
use crate::timer;

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

    /// Runs a job on one of the threads, and waits for it for so long; it is queued at once, and done even if the future
    /// is dropped or nobody waits any more.
    pub(super) fn run<V: Send + 'static>(
        &self,
        limit: Duration,
        job: impl FnOnce() -> Result<V, StoreError> + Send + 'static,
    ) -> StoreFuture<'static, V> {
        let deadline = Instant::now().checked_add(limit);
        let (answer, mut answered) = oneshot::channel();
        // Who no longer waits need not be told.
        let queued = self.queue.try_send(Box::new(move || drop(answer.send(job()))));
        Box::pin(async move {
            queued.map_err(|_| StoreError::Busy)?;
            poll_fn(|context| {
                if let Poll::Ready(answer) = Pin::new(&mut answered).poll(context) {
                    // A job that panicked gives no answer.
                    let panicked = |_| Err(StoreError::unavailable("the operation panicked"));
                    return Poll::Ready(answer.unwrap_or_else(panicked));
                }
                let Some(deadline) = deadline else { return Poll::Pending };
                if deadline <= Instant::now() {
                    let late = "the directory does not answer in time";
                    return Poll::Ready(Err(StoreError::unavailable(late)));
                }
                timer::wake_at(deadline, context.waker().clone());
                Poll::Pending
            })
            .await
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[tokio::test]
    async fn who_waits_for_what_hangs_is_told_in_time_and_it_is_done_all_the_same() {
        let workers = Workers::start().unwrap();
        let (tell, done) = channel();
        let mut hang = Vec::new();
        for n in 0..THREADS + 1 {
            let (go_on, hangs) = channel::<()>();
            hang.push(go_on);
            let tell = tell.clone();
            let limit = Duration::from_millis(1);
            let late = workers.run(limit, move || {
                let _ = hangs.recv();
                tell.send(n).unwrap();
                Ok(())
            });
            assert!(matches!(late.await, Err(StoreError::Unavailable(_))));
        }
        hang.clear();
        let mut all: Vec<_> =
            (0..=THREADS).map(|_| done.recv_timeout(Duration::from_secs(60)).unwrap()).collect();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..=THREADS));
        assert_eq!(workers.run(Duration::MAX, || Ok(7)).await.unwrap(), 7);
    }
}
