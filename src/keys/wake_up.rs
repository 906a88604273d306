//! The bell: how requests wake whoever watches the keys of their ring.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;

/// Lets requests wake the thread of a ring, if it has one.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Bell {
    /// Wakes the thread, unless it was woken already and has not looked since.
    pub(crate) fn ring(&self) {
        if let Some(thread) = self.thread.get()
            && !self.rung.swap(true, Ordering::AcqRel)
        {
            thread.unpark();
        }
    }

    pub(crate) fn attach(&self, thread: Thread) {
        // One ring has one watcher, which is used up by `spawn`.
        let _ = self.thread.set(thread);
    }

    pub(crate) fn rung(&self) -> bool {
        self.rung.load(Ordering::Acquire)
    }

    pub(crate) fn hush(&self) {
        self.rung.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bell_without_a_thread_is_not_rung() {
        let bell = Bell::default();
        bell.ring();
        assert!(!bell.rung());
        bell.attach(std::thread::current());
        bell.ring();
        assert!(bell.rung());
        bell.hush();
        assert!(!bell.rung());
    }
}
