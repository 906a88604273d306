//! The end of a request: what becomes of its session, when the head of the response is ready.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::TARGET;
use super::before::Before;
#[cfg(feature = "store")]
use super::overflow;
#[cfg(feature = "revocation")]
use super::revocation;
use super::session::Session;
use super::settings::Settings;
use super::state::{Intent, Shared};
use crate::{Begin, Codec, DecodeError, EncodeError, SetCookies};

/// What a middleware puts into the request, for the handlers to find.
///
/// It is made for every request. The session's cookies are taken as they come to the middleware, so that no layer
/// within can take them away; but nothing is opened.
pub(super) struct Slot<T>(Session<T>);

/// What a middleware keeps, to settle the session when the response is there.
///
/// If it is dropped before, there is no response, and what was changed is lost. That is told.
pub(super) struct Pending<T>(Arc<Shared<T>>);

impl<T: Serialize + DeserializeOwned + 'static> Slot<T> {
    /// Creates both for a request that has these `Cookie` headers.
    pub(super) fn new<'a, B: AsRef<[u8]> + ?Sized + 'a>(
        settings: &Arc<Settings<T>>,
        cookie_headers: impl IntoIterator<Item = &'a B>,
    ) -> (Self, Pending<T>) {
        let request = settings.codec.request(cookie_headers).into_owned();
        let shared = Arc::new(Shared::new(Arc::clone(settings), request));
        (Self(Session::new(Arc::clone(&shared))), Pending(shared))
    }

    pub(super) fn session(&self) -> Session<T> {
        self.0.clone()
    }
}

impl<T: Serialize + DeserializeOwned + 'static> Pending<T> {
    /// Closes the session and returns what goes into the head of the response, which has this status.
    ///
    /// # Errors
    ///
    /// If the handlers' changes are not set. The response must not go out as if they had been.
    pub(super) fn settle(self, status: u16) -> Result<Settled, Refusal> {
        let Shared { settings, request, panicked, .. } = &*self.0;
        let codec = &settings.codec;
        let mut state = self.0.state();
        state.settled = true;
        let due = match &state.opened {
            // Others' sessions may have been revoked all the same.
            #[cfg(feature = "revocation")]
            None => {
                let receipts = std::mem::take(&mut state.receipts);
                drop(state);
                let before = revocation::before(codec, receipts, false, None);
                return Ok(Settled { before, ..Settled::default() });
            }
            #[cfg(not(feature = "revocation"))]
            None => return Ok(Settled::default()),
            Some(Ok(Some(opened))) => state.used && opened.reseal.is_some(),
            Some(_) => false,
        };
        let (intent, begin, begins) = (state.intent, state.begin, state.begins());
        let session = state.session.clone();
        // Nothing of a session that the application refuses is continued: neither its id nor its beginning.
        let refused = matches!(state.opened, Some(Err(DecodeError::NotAccepted)));
        #[cfg(feature = "revocation")]
        let receipts = std::mem::take(&mut state.receipts);
        #[cfg(feature = "revocation")]
        let stale = intent == Intent::Continue
            && matches!(state.opened, Some(Err(DecodeError::RevocationsStale)));
        drop(state);

        let panicked = panicked.load(Ordering::Relaxed);
        if panicked {
            tracing::error!(target: TARGET, cookie = codec.name(), "{}", Refusal::Panic);
        }
        let log = |error: &EncodeError| log_refusal(codec, error);
        let set_cookies = match (intent, session) {
            // That the user goes is kept in any case.
            (Intent::Clear, _) => codec.clear(request),
            // Nobody asked for it, so the response does not depend on it.
            (Intent::Continue, _) if due && !panicked => codec.touch(request),
            (Intent::Continue, _) => SetCookies::default(),
            _ if panicked && status < 400 => return Err(Refusal::Panic),
            _ if panicked => SetCookies::default(),
            _ if gave_up(status) => {
                let cookie = codec.name();
                tracing::warn!(target: TARGET, cookie, status, "the response tells of a failure; a change of the session is not kept");
                SetCookies::default()
            }
            // It was moved out for a closure that has not come to its end.
            (_, None) => {
                tracing::error!(target: TARGET, cookie = codec.name(), "{}", Refusal::Unfinished);
                return Err(Refusal::Unfinished);
            }
            (Intent::Renew, Some(session)) => {
                codec.renew_with(&session, request, begin).inspect_err(log)?
            }
            // It keeps what was set for it, unless the request brought one that this node cannot read.
            (Intent::Change, Some(session)) if refused || begins && begin != Begin::new() => {
                codec.renew_with(&session, request, begin).inspect_err(log)?
            }
            (Intent::Change, Some(session)) => {
                codec.encode_changed(&session, request).inspect_err(log)?
            }
        };
        #[cfg(feature = "store")]
        let before = overflow::before(codec, &set_cookies, intent != Intent::Continue);
        #[cfg(not(feature = "store"))]
        let before = None;
        #[cfg(feature = "revocation")]
        let before = revocation::before(codec, receipts, stale, before);
        Ok(Settled { set_cookies, looked: true, before })
    }
}

/// Returns whether a response tells that the handler may not have come to its end: a fault of the server, or a time that ran
/// out. A layer made it then, as often as not, that dropped the handler in the middle.
fn gave_up(status: u16) -> bool {
    status >= 500 || status == 408
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        let lost = !state.settled && state.intent != Intent::Continue;
        state.settled = true;
        drop(state);
        if lost {
            let cookie = self.0.codec().name();
            tracing::warn!(target: TARGET, cookie, "there was no response; a change of the session is lost");
        }
    }
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// What goes into the head of the response.
#[derive(Default)]
pub(super) struct Settled {
    pub(super) set_cookies: SetCookies,
    /// Whether the response may depend on the session.
    pub(super) looked: bool,
    /// What has to happen before the head is written.
    pub(super) before: Option<Before>,
}

/// The reason why a response was refused. It is in the log already.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error("a handler panicked; the cookie is left alone")]
    Panic,
    #[error(
        "a change of the session was under way when the response was there; the cookie is left alone"
    )]
    Unfinished,
    #[cfg(feature = "actix-web")]
    #[error("what had to happen before the response went out did not")]
    Before,
}

fn log_refusal<T: Serialize + DeserializeOwned + 'static>(codec: &Codec<T>, error: &EncodeError) {
    let cookie = codec.name();
    match error.source() {
        Some(source) => {
            tracing::error!(target: TARGET, cookie, "{error}: {}", one_line(&source.to_string()));
        }
        None => tracing::error!(target: TARGET, cookie, "{error}"),
    }
}

/// Escapes what would break a line of the log: the message of an application's own `Serialize` may hold what users wrote.
fn one_line(text: &str) -> String {
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.into() };
    text.chars().map(escape).collect()
}
