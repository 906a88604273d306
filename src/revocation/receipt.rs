//! The receipt of a revocation: it holds here already, and this tells where it is stored.

use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::revocation::guarded;
use crate::timer;

/// How safely a revocation is stored; the least of what its journal and its feed say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Stored {
    /// It holds in this process and is queued: the journal or the server has not answered yet, or there is none.
    /// It is kept and sent when they are back. It is lost if this process ends before.
    Queued,
    /// The journal is on the disk, and the server has it.
    Acknowledged,
    /// As acknowledged, and a replica of the server has it too.
    Replicated,
}

/// What is known of a revocation's way to the journal and the server. It may be dropped: nothing is undone by that.
#[derive(Debug, Clone)]
pub struct Receipt {
    ticket: Arc<Ticket>,
}

/// What all parts of the way share.
#[derive(Debug)]
struct Ticket {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// How many have not answered.
    left: usize,
    least: Stored,
    wakers: Vec<Waker>,
}

impl Receipt {
    /// Creates the receipt of what this many store.
    pub(super) fn new(parts: usize) -> Self {
        // With nowhere to store it, it is queued for good.
        let least = if parts == 0 { Stored::Queued } else { Stored::Replicated };
        let state = State { left: parts, least, wakers: Vec::new() };
        let ticket = Ticket { state: Mutex::new(state), changed: Condvar::new() };
        Self { ticket: Arc::new(ticket) }
    }

    /// Returns the share of one who stores it.
    pub(super) fn part(&self) -> Part {
        Part { ticket: Some(Arc::clone(&self.ticket)) }
    }

    /// Returns how safely it is stored, as far as is known now.
    #[must_use]
    pub fn now(&self) -> Stored {
        self.ticket.lock().known()
    }

    /// Waits until it is stored, for at most this long, and returns how safely. Blocks the thread: in async code use
    /// [`within`](Self::within).
    #[must_use]
    pub fn wait(&self, limit: Duration) -> Stored {
        let state = self.ticket.lock();
        let waited = self.ticket.changed.wait_timeout_while(state, limit, |state| state.left > 0);
        waited.unwrap_or_else(PoisonError::into_inner).0.known()
    }

    /// Returns a future of how safely it is stored, ready when that is known, and after this long at the latest.
    /// It needs no runtime.
    pub fn within(&self, limit: Duration) -> Within {
        let deadline = Instant::now().checked_add(limit);
        Within { ticket: Arc::clone(&self.ticket), deadline, asked: false }
    }
}

/// The future of [`Receipt::within`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Within {
    ticket: Arc<Ticket>,
    deadline: Option<Instant>,
    /// Whether the timer has been asked to wake this.
    asked: bool,
}

impl Future for Within {
    type Output = Stored;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Stored> {
        let ticket = Arc::clone(&self.ticket);
        let mut state = ticket.lock();
        let late = self.deadline.is_some_and(|deadline| deadline <= Instant::now());
        if state.left == 0 || late {
            return Poll::Ready(state.known());
        }
        if !state.wakers.iter().any(|waker| waker.will_wake(context.waker())) {
            state.wakers.push(context.waker().clone());
            self.asked = false;
        }
        drop(state);
        if let (Some(deadline), false) = (self.deadline, self.asked) {
            self.asked = true;
            timer::wake_at(deadline, context.waker().clone());
        }
        Poll::Pending
    }
}

impl Ticket {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn known(&self) -> Stored {
        if self.left == 0 { self.least } else { Stored::Queued }
    }
}

/// The share of one who stores a revocation. If it is dropped, the revocation stays queued.
#[derive(Debug)]
pub(super) struct Part {
    ticket: Option<Arc<Ticket>>,
}

impl Part {
    pub(super) fn stored(mut self, how: Stored) {
        self.answer(how);
    }

    fn answer(&mut self, how: Stored) {
        let Some(ticket) = self.ticket.take() else { return };
        let mut state = ticket.lock();
        state.left = state.left.saturating_sub(1);
        state.least = state.least.min(how);
        if state.left == 0 {
            let wakers = std::mem::take(&mut state.wakers);
            drop(state);
            ticket.changed.notify_all();
            wakers.into_iter().for_each(|waker| guarded(|| waker.wake()));
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.answer(Stored::Queued);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_receipt_is_as_good_as_the_least_of_its_parts_and_known_when_the_last_has_answered() {
        let receipt = Receipt::new(2);
        let (one, two) = (receipt.part(), receipt.part());
        assert_eq!(receipt.now(), Stored::Queued);
        one.stored(Stored::Replicated);
        assert_eq!(receipt.now(), Stored::Queued);
        assert_eq!(receipt.wait(Duration::ZERO), Stored::Queued);
        assert!(receipt.within(Duration::from_secs(600)).now_or_never().is_none());
        two.stored(Stored::Acknowledged);
        assert_eq!(receipt.now(), Stored::Acknowledged);
        assert_eq!(
            receipt.within(Duration::from_secs(600)).now_or_never(),
            Some(Stored::Acknowledged)
        );
        assert_eq!(Receipt::new(0).wait(Duration::from_secs(600)), Stored::Queued);
        let receipt = Receipt::new(1);
        drop(receipt.part());
        assert_eq!(receipt.wait(Duration::from_secs(600)), Stored::Queued);
    }

    #[test]
    fn who_waits_is_woken_by_the_answer_or_by_the_time_and_needs_no_runtime() {
        let receipt = Receipt::new(1);
        let part = receipt.part();
        let waiting = receipt.clone();
        let waiter = std::thread::spawn(move || {
            pollster(waiting.within(Duration::from_millis(20)));
            pollster(waiting.within(Duration::from_secs(600)))
        });
        while Arc::strong_count(&receipt.ticket) < 4 {
            std::thread::yield_now();
        }
        part.stored(Stored::Replicated);
        assert_eq!(waiter.join().unwrap(), Stored::Replicated);
    }

    fn pollster<F: Future + Unpin>(mut future: F) -> F::Output {
        struct Unpark(std::thread::Thread);
        impl std::task::Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Arc::new(Unpark(std::thread::current())).into();
        loop {
            match future.poll_unpin(&mut Context::from_waker(&waker)) {
                Poll::Ready(output) => return output,
                Poll::Pending => std::thread::park(),
            }
        }
    }
}
