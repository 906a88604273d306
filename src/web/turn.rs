//! Who changes the session takes turns with the others.

use std::mem;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::TARGET;
use super::change_error::ChangeError;
use super::settings::Unreadable;
use super::state::{Intent, Shared};
use crate::Begin;

impl<T: Serialize + DeserializeOwned + 'static> Shared<T> {
    /// Waits until no other thread writes, and keeps others from it.
    pub(super) fn turn(&self) -> Turn<'_, T> {
        self.open();
        let this = thread::current().id();
        let mut state = self.state();
        assert!(
            state.writer != Some(this),
            "a closure given to `Session::change` changed the session in another way than by its argument"
        );
        assert!(state.opened.is_some(), "the session was changed while it was being opened");
        while state.writer.is_some() {
            state = self.written.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.writer = Some(this);
        Turn { shared: self, took: false }
    }
}

/// The turn of one thread to write the session, until it is dropped.
pub(super) struct Turn<'a, T> {
    shared: &'a Shared<T>,
    /// Whether the session of before was moved out, and is lost if nothing follows.
    took: bool,
}

impl<T: Serialize + DeserializeOwned + 'static> Turn<'_, T> {
    pub(super) fn check_open(&self) -> Result<(), ChangeError> {
        let settled = self.shared.state().settled;
        if settled { Err(ChangeError::HeadersSent.logged(self.name())) } else { Ok(()) }
    }

    /// Returns what a change makes of the session, unless it would destroy one.
    pub(super) fn writable(&self) -> Result<Intent, ChangeError> {
        self.check_open()?;
        let state = self.shared.state();
        let intent = match state.intent {
            Intent::Continue | Intent::Change => Intent::Change,
            // What was renewed or cleared before stays so.
            Intent::Renew | Intent::Clear => return Ok(Intent::Renew),
        };
        let Some(Err(error)) = &state.opened else { return Ok(intent) };
        if !error.is_readable_elsewhere() {
            return Ok(intent);
        }
        let error = error.clone();
        drop(state);
        match self.shared.settings.unreadable {
            Unreadable::Keep => Err(ChangeError::WouldReplace(error).logged(self.name())),
            Unreadable::Replace => {
                let cookie = self.name();
                tracing::warn!(target: TARGET, cookie, "a session that this node cannot read is replaced: {error}");
                Ok(Intent::Renew)
            }
        }
    }

    /// Takes the session as it is now, to own it.
    pub(super) fn take(&mut self) -> Result<Option<T>, ChangeError> {
        let mut state = self.shared.state();
        if state.session.is_none() {
            return Ok(None);
        }
        if state.intent == Intent::Continue {
            drop(state);
            // As the request brought it: so it can be read once more, and what others hold of it is theirs.
            return match self.shared.codec().decode(&self.shared.request) {
                Ok(opened) => Ok(opened.map(|opened| opened.session)),
                Err(error) if error.is_readable_elsewhere() => {
                    Err(ChangeError::WouldReplace(error).logged(self.name()))
                }
                Err(_) => Ok(None),
            };
        }
        match state.session.take().map(Arc::try_unwrap) {
            Some(Err(held)) => {
                state.session = Some(held);
                drop(state);
                Err(ChangeError::Held.logged(self.name()))
            }
            taken => {
                self.took = true;
                Ok(taken.and_then(Result::ok))
            }
        }
    }

    pub(super) fn finish(
        mut self,
        session: Option<Arc<T>>,
        intent: Intent,
    ) -> Result<(), ChangeError> {
        let mut state = self.shared.state();
        if state.settled {
            drop(state);
            return Err(ChangeError::HeadersSent.logged(self.name()));
        }
        let before = mem::replace(&mut state.session, session);
        if intent == Intent::Renew && state.intent != Intent::Renew {
            state.begin = Begin::new();
        }
        (state.intent, state.used) = (intent, true);
        self.took = false;
        // Its destructor is the application's.
        drop(state);
        drop(before);
        Ok(())
    }

    fn name(&self) -> &str {
        self.shared.codec().name()
    }
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        if self.took && thread::panicking() {
            self.shared.panicked.store(true, Ordering::Relaxed);
        }
        self.shared.state().writer = None;
        self.shared.written.notify_one();
    }
}
