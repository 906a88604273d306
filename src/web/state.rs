//! What is known of the session of one request, and what shall become of it.
//!
//! No lock is held while anything runs that others wrote: closures, serde, the destructor of a session, a subscriber of
//! `tracing`. So each of them may use the session, as a subscriber does that adds the user to each line.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

use super::settings::Settings;
use crate::{Begin, Codec, DecodeError, Opened, RequestCookies};

/// The session of one request: what all handles on it share.
pub(super) struct Shared<T> {
    pub(super) settings: Arc<Settings<T>>,
    /// The session's cookies as they came to the middleware.
    pub(super) request: RequestCookies<'static>,
    pub(super) state: Mutex<State<T>>,
    /// Notified when a write has ended.
    pub(super) written: Condvar,
    pub(super) panicked: AtomicBool,
}

/// What changes while the request runs.
pub(super) struct State<T> {
    /// What was found in the request; empty until a handler looks at the session.
    pub(super) opened: Option<Result<Option<Opened<Arc<T>>>, DecodeError>>,
    /// The same, before a handler looks at it.
    #[cfg(feature = "store")]
    pub(super) ahead: Option<Result<Option<Opened<T>>, DecodeError>>,
    /// What the response waits for: revocations that are on their way.
    #[cfg(feature = "revocation")]
    pub(super) receipts: Vec<crate::revocation::Receipt>,
    /// The session as it is now.
    pub(super) session: Option<Arc<T>>,
    pub(super) intent: Intent,
    /// How the session begins, if it does.
    pub(super) begin: Begin,
    /// Whether anybody looked at the session in a way that keeps it alive.
    pub(super) used: bool,
    /// The thread that writes. Its closure runs without the lock, and other writers wait for it.
    pub(super) writer: Option<ThreadId>,
    pub(super) settled: bool,
}

/// What to do with the session when the head of the response is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intent {
    Continue,
    Change,
    Renew,
    Clear,
}

impl<T> Shared<T> {
    pub(super) fn new(settings: Arc<Settings<T>>, request: RequestCookies<'static>) -> Self {
        let state = State {
            opened: None,
            #[cfg(feature = "store")]
            ahead: None,
            #[cfg(feature = "revocation")]
            receipts: Vec::new(),
            session: None,
            intent: Intent::Continue,
            begin: Begin::new(),
            used: false,
            writer: None,
            settled: false,
        };
        let (state, written) = (Mutex::new(state), Condvar::new());
        let panicked = AtomicBool::new(false);
        Self { settings, request, state, written, panicked }
    }

    pub(super) fn codec(&self) -> &Codec<T> {
        &self.settings.codec
    }

    /// Nothing half made is behind the lock, whoever panicked.
    pub(super) fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    /// Returns whether the session is not the one that the request brought.
    pub(super) fn begins(&self) -> bool {
        self.intent == Intent::Renew || !matches!(self.opened, Some(Ok(Some(_))))
    }
}
