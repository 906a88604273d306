//! Wake-ups: how requests wake the thread that watches the keys of their ring.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;

/// A way for requests to wake the thread of a ring, if it has one.
#[derive(Debug, Default)]
pub(crate) struct WakeUp {
    requested: AtomicBool,
    thread: OnceLock<Thread>,
}

impl WakeUp {
    /// Wakes the thread, unless that was requested already and is not cleared yet.
    pub(crate) fn request(&self) {
        if let Some(thread) = self.thread.get()
            && !self.requested.swap(true, Ordering::AcqRel)
        {
            thread.unpark();
        }
    }

    /// Sets the thread to wake. Only the first one counts.
    pub(crate) fn attach(&self, thread: Thread) {
        // One ring has one watcher, which is used up by `spawn`.
        let _ = self.thread.set(thread);
    }

    /// Returns whether a wake-up was requested since it was last cleared.
    pub(crate) fn requested(&self) -> bool {
        self.requested.load(Ordering::Acquire)
    }

    /// Clears the request, before the thread does what it was woken for.
    pub(crate) fn clear(&self) {
        self.requested.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_thread_nothing_is_requested() {
        let wake_up = WakeUp::default();
        wake_up.request();
        assert!(!wake_up.requested());
        wake_up.attach(std::thread::current());
        wake_up.request();
        assert!(wake_up.requested());
        wake_up.clear();
        assert!(!wake_up.requested());
    }
}
