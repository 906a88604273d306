//! Waking after a while, for those who wait without a runtime: one thread, started when it is first needed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::task::Waker;
use std::thread;
use std::time::Instant;

/// Wakes the task at this time or soon after; at once, where there is no thread for it.
pub(crate) fn wake_at(deadline: Instant, waker: Waker) {
    static TIMER: OnceLock<Option<&'static Timer>> = OnceLock::new();
    match TIMER.get_or_init(Timer::start) {
        Some(timer) => timer.add(deadline, waker),
        None => waker.wake(),
    }
}

#[derive(Default)]
struct Timer {
    waiting: Mutex<BinaryHeap<Reverse<Waiting>>>,
    earlier: Condvar,
}

struct Waiting {
    deadline: Instant,
    waker: Waker,
}

impl Timer {
    fn start() -> Option<&'static Self> {
        let timer: &'static Self = Box::leak(Box::default());
        let thread = thread::Builder::new().name("sealed-session-timer".to_owned());
        thread.spawn(move || timer.run()).ok().map(|_| timer)
    }

    fn add(&self, deadline: Instant, waker: Waker) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push(Reverse(Waiting { deadline, waker }));
        drop(waiting);
        self.earlier.notify_one();
    }

    fn run(&self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let now = Instant::now();
            let mut due = Vec::new();
            while let Some(first) = waiting.peek_mut().filter(|first| first.0.deadline <= now) {
                due.push(std::collections::binary_heap::PeekMut::pop(first).0.waker);
            }
            if !due.is_empty() {
                drop(waiting);
                // A waker that panics is its task's own fault; others wait for this thread too.
                for waker in due {
                    let _ = panic::catch_unwind(AssertUnwindSafe(|| waker.wake()));
                }
                waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            waiting = match waiting.peek().map(|first| first.0.deadline) {
                Some(deadline) => {
                    let wait = deadline.saturating_duration_since(now);
                    let woken = self.earlier.wait_timeout(waiting, wait);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.earlier.wait(waiting).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.deadline == other.deadline
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.deadline.cmp(&other.deadline)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Wake;

    use super::*;

    struct Panics;

    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("expected by the test");
        }
    }

    struct Unparks(thread::Thread, Mutex<bool>);

    impl Wake for Unparks {
        fn wake(self: Arc<Self>) {
            *self.1.lock().unwrap() = true;
            self.0.unpark();
        }
    }

    #[test]
    fn a_waker_that_panics_does_not_keep_others_from_being_woken() {
        wake_at(Instant::now(), Arc::new(Panics).into());
        for _ in 0..2 {
            let woken = Arc::new(Unparks(thread::current(), Mutex::new(false)));
            let begin = Instant::now();
            wake_at(begin, Arc::clone(&woken).into());
            while !*woken.1.lock().unwrap() {
                let waited = begin.elapsed().as_secs();
                assert!(waited < 60, "the thread has ended");
                thread::park_timeout(std::time::Duration::from_secs(1));
            }
        }
    }
}
