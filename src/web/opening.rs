//! The session is opened once in a request: when a handler looks at it first.

use std::cell::Cell;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::TARGET;
use super::settings::Settings;
use super::state::Shared;
use crate::DecodeError;
#[cfg(feature = "store")]
use crate::store::BlobError;
#[cfg(feature = "store")]
use crate::{Opened, RequestCookies};

impl<T: Serialize + DeserializeOwned + 'static> Shared<T> {
    /// Opens what the request carries, if that was not done before.
    ///
    /// Nothing is locked meanwhile. What looks at the session from within, such as a subscriber that is told of a junk
    /// cookie, finds none yet.
    pub(super) fn open(&self) {
        if self.state().opened.is_some() {
            return;
        }
        let Some(_opening) = Opening::begin() else { return };
        let Settings { codec, accept, .. } = &*self.settings;
        #[cfg(feature = "store")]
        let ahead = self.state().ahead.take();
        #[cfg(feature = "store")]
        let opened = ahead.unwrap_or_else(|| codec.decode(&self.request));
        #[cfg(not(feature = "store"))]
        let opened = codec.decode(&self.request);
        let opened = match (opened, accept) {
            (Ok(Some(opened)), Some(accept)) if !accept(&opened) => {
                let error = DecodeError::NotAccepted;
                tracing::info!(target: TARGET, cookie = codec.name(), "{error}");
                Err(error)
            }
            (opened, _) => opened.map(|opened| opened.map(|opened| opened.map(Arc::new))),
        };
        let session = opened.as_ref().ok().and_then(|opened| opened.as_ref());
        let session = session.map(|opened| Arc::clone(&opened.session));
        let mut state = self.state();
        // Another thread may have been faster.
        if state.opened.is_none() {
            (state.opened, state.session) = (Some(opened), session);
        }
    }
}

#[cfg(feature = "store")]
impl<T: Serialize + DeserializeOwned + 'static> Shared<T> {
    /// Keeps what `open` finds in the request for the first handler that looks, or returns what it lacks. `open` is not
    /// called if the session was opened before.
    pub(super) fn open_ahead<E>(
        &self,
        open: impl FnOnce(
            &RequestCookies<'_>,
        ) -> Result<Result<Option<Opened<T>>, DecodeError>, Option<E>>,
    ) -> Option<E> {
        let mut state = self.state();
        if let Some(Err(DecodeError::Blob(BlobError::NotFetched(_)))) = &state.opened {
            // Somebody looked too early.
            state.opened = None;
        }
        if state.opened.is_some() || state.ahead.is_some() {
            return None;
        }
        drop(state);
        let _opening = Opening::begin()?;
        match open(&self.request) {
            Ok(opened) => {
                let mut state = self.state();
                if state.ahead.is_none() {
                    state.ahead = Some(opened);
                }
                None
            }
            Err(lacks) => lacks,
        }
    }

    /// Returns why the session was not opened, if it was tried and no handler has looked yet.
    pub(super) fn opened_ahead(&self) -> Option<DecodeError> {
        self.state().ahead.as_ref().and_then(|opened| opened.as_ref().err().cloned())
    }
}

/// While a thread opens a session.
struct Opening;

impl Opening {
    /// `None` if this thread is about it already.
    fn begin() -> Option<Self> {
        OPENING.with(|opening| (!opening.replace(true)).then_some(Self))
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        OPENING.with(|opening| opening.set(false));
    }
}

thread_local! {
    static OPENING: Cell<bool> = const { Cell::new(false) };
}
