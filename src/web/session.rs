//! The session of one request, as handlers and middlewares share it.

use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::before::Before;
#[cfg(feature = "store")]
use super::overflow;
#[cfg(feature = "revocation")]
use super::revocation;
#[cfg(feature = "store")]
use crate::store::BlobError;
use crate::{Advice, Codec, DecodeError, EncodeError, Opened, RequestCookies, SetCookies};

/// The session of the request at hand: reads it, changes it, begins and ends it.
///
/// An extractor in axum and actix-web; in other tower services see `tower::session`. Every
/// clone speaks of the same session, so that what one extractor changes, the next one sees. Nothing is
/// opened before the first read, and all is written once, when the head of the response is ready.
///
/// # Example
///
/// ```
/// use sealed_session::web::{ChangeError, Session};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Default, Serialize, Deserialize)]
/// struct Shop { user: Option<u64>, cart: Vec<String> }
///
/// fn show(session: Session<Shop>) -> String {
///     match session.get() {
///         Some(shop) => shop.cart.join(", "),
///         None => "an empty cart".into(),
///     }
/// }
///
/// fn buy(session: Session<Shop>) -> Result<(), ChangeError> {
///     session.change(|shop| shop.cart.push("SKU-1".into()))
/// }
///
/// fn login(session: Session<Shop>) -> Result<(), ChangeError> {
///     // Take along what the visitor may keep, and begin anew.
///     let cart = session.get().map(|shop| shop.cart.clone()).unwrap_or_default();
///     session.renew(Shop { user: Some(7), cart })
/// }
///
/// fn logout(session: Session<Shop>) -> Result<(), ChangeError> {
///     session.clear()
/// }
/// ```
pub struct Session<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    codec: Codec<T>,
    state: Mutex<State<T>>,
    /// The thread that runs a closure given to `change`, which has the state locked.
    changing: Mutex<Option<ThreadId>>,
    panicked: AtomicBool,
}

struct State<T> {
    /// What the request carries; empty until a handler asks for the session.
    request: Option<RequestCookies<'static>>,
    /// What was found in it; empty until a handler looks at the session.
    opened: Option<Result<Option<Opened<Arc<T>>>, DecodeError>>,
    /// The same, before a handler looks at it.
    #[cfg(feature = "store")]
    ahead: Option<Result<Option<Opened<T>>, DecodeError>>,
    /// What the response waits for: revocations that are on their way.
    #[cfg(feature = "revocation")]
    receipts: Vec<crate::revocation::Receipt>,
    /// The session as it is now.
    session: Option<Arc<T>>,
    intent: Intent,
    settled: bool,
}

/// What to do with the session when the head of the response is ready.
#[derive(Clone, Copy)]
enum Intent {
    Continue,
    Change,
    Renew,
    Clear,
}

impl<T: Serialize + DeserializeOwned + 'static> Session<T> {
    /// Returns the session as it is now: as the request brought it, or as it was changed since.
    ///
    /// `None` if there is none, or if it does not open; [`opened`](Self::opened) tells which.
    #[must_use]
    pub fn get(&self) -> Option<Arc<T>> {
        let mut state = self.state();
        state.open(&self.shared.codec);
        state.session.clone()
    }

    /// Returns what the request carries: the session and its times, id and key; or why there is none.
    ///
    /// # Errors
    ///
    /// The reason why the cookie gives no session. The middleware follows its advice; show it to nobody.
    pub fn opened(&self) -> Result<Option<Opened<Arc<T>>>, DecodeError> {
        self.state().open(&self.shared.codec).clone()
    }

    /// Changes the session, which begins as the default one if there is none.
    ///
    /// If `change` panics, the session stays as it was.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set); `change` is not called then.
    ///
    /// # Panics
    ///
    /// If `change` uses this session in another way than by its argument, a clone of it included. Of
    /// two tasks that change it, one waits for the other.
    pub fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> Result<R, ChangeError>
    where
        T: Clone + Default,
    {
        let mut state = self.writable()?;
        // A copy, so that nothing half made is left if the closure panics.
        let mut session = state.session.as_deref().cloned().unwrap_or_default();
        let changing = Changing::begin(&self.shared.changing);
        let result = change(&mut session);
        drop(changing);
        state.session = Some(Arc::new(session));
        state.intent = state.intent.after_change();
        Ok(result)
    }

    /// Replaces the session, which continues: it keeps its beginning and id.
    /// If there is none, it begins.
    ///
    /// # Errors
    ///
    /// [`ChangeError::WouldReplace`] if the request carries a session that this node cannot read but
    /// another may, and [`ChangeError::HeadersSent`].
    pub fn set(&self, session: T) -> Result<(), ChangeError> {
        let mut state = self.writable()?;
        state.session = Some(Arc::new(session));
        state.intent = state.intent.after_change();
        Ok(())
    }

    /// Begins a new session, with a new beginning and a new id, whatever the request carries.
    ///
    /// Use it at each login and change of rights.
    ///
    /// # Errors
    ///
    /// [`ChangeError::HeadersSent`].
    pub fn renew(&self, session: T) -> Result<(), ChangeError> {
        self.replace(Some(Arc::new(session)), Intent::Renew)
    }

    /// Ends the session: all of its cookies are removed.
    ///
    /// With [revocations](crate::Builder::revocations), it ends on all nodes, and each copy of the cookie with it: at once,
    /// whatever becomes of the response, which waits until this is stored, for at most as long as is set there.
    ///
    /// # Errors
    ///
    /// [`ChangeError::HeadersSent`], and [`ChangeError::NotRevoked`], with which the cookies are removed all the same.
    pub fn clear(&self) -> Result<(), ChangeError> {
        self.replace(None, Intent::Clear)?;
        #[cfg(feature = "revocation")]
        self.revoke()?;
        Ok(())
    }

    fn replace(&self, session: Option<Arc<T>>, intent: Intent) -> Result<(), ChangeError> {
        let mut state = self.open()?;
        state.session = session;
        state.intent = intent;
        Ok(())
    }

    /// Opens the session to change it, unless this would destroy one.
    fn writable(&self) -> Result<MutexGuard<'_, State<T>>, ChangeError> {
        let state = self.open()?;
        match (state.intent, &state.opened) {
            (Intent::Continue | Intent::Change, Some(Err(error)))
                if error.is_readable_elsewhere() =>
            {
                let error = ChangeError::WouldReplace(error.clone());
                Err(error.logged(self.shared.codec.name()))
            }
            _ => Ok(state),
        }
    }

    /// Opens the session to change it or to put another in its place.
    fn open(&self) -> Result<MutexGuard<'_, State<T>>, ChangeError> {
        let mut state = self.state();
        // Even if it is to be replaced: what the request brought must not come up at a later read.
        state.open(&self.shared.codec);
        if state.settled {
            return Err(ChangeError::HeadersSent.logged(self.shared.codec.name()));
        }
        Ok(state)
    }
}

#[cfg(feature = "revocation")]
impl<T> Session<T> {
    /// Lets the response wait until something is stored.
    pub(super) fn await_stored(&self, receipt: crate::revocation::Receipt) {
        self.state().receipts.push(receipt);
    }
}

impl<T> Session<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        let changing = *lock(&self.shared.changing);
        assert!(
            changing != Some(thread::current().id()),
            "a closure given to `Session::change` used the session in another way than by its argument"
        );
        lock(&self.shared.state)
    }
}

#[cfg(any(feature = "store", feature = "revocation"))]
impl<T> Session<T> {
    pub(super) fn codec(&self) -> &Codec<T> {
        &self.shared.codec
    }
}

#[cfg(feature = "store")]
impl<T: Serialize + DeserializeOwned + 'static> Session<T> {
    /// Keeps what `open` finds in the request for the first handler that looks, or returns what it lacks. `open` is not
    /// called if the session was opened before.
    pub(super) fn open_ahead<E>(
        &self,
        open: impl FnOnce(
            &RequestCookies<'_>,
        ) -> Result<Result<Option<Opened<T>>, DecodeError>, Option<E>>,
    ) -> Option<E> {
        let state = &mut *self.state();
        if let Some(Err(DecodeError::Blob(BlobError::NotFetched(_)))) = &state.opened {
            // Somebody looked too early.
            state.opened = None;
        }
        if state.opened.is_some() || state.ahead.is_some() {
            return None;
        }
        let codec = &self.shared.codec;
        match open(state.request.get_or_insert_with(|| codec.request::<_, str>([]))) {
            Ok(opened) => {
                state.ahead = Some(opened);
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

impl<T: Serialize + DeserializeOwned + 'static> State<T> {
    fn open(&mut self, codec: &Codec<T>) -> &Result<Option<Opened<Arc<T>>>, DecodeError> {
        let Self { request, opened, session, .. } = self;
        #[cfg(feature = "store")]
        let ahead = self.ahead.take();
        opened.get_or_insert_with(|| {
            let request = request.get_or_insert_with(|| codec.request::<_, str>([]));
            #[cfg(feature = "store")]
            let opened = ahead.unwrap_or_else(|| codec.decode(request));
            #[cfg(not(feature = "store"))]
            let opened = codec.decode(request);
            let opened = opened.map(|opened| opened.map(|o| o.map(Arc::new)));
            if let Ok(Some(opened)) = &opened {
                *session = Some(Arc::clone(&opened.session));
            }
            opened
        })
    }
}

impl Intent {
    /// What was renewed or cleared before stays so.
    fn after_change(self) -> Self {
        match self {
            Self::Continue | Self::Change => Self::Change,
            Self::Renew | Self::Clear => Self::Renew,
        }
    }
}

impl<T> Clone for Session<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

/// Remembers which thread runs a closure given to `change`, until the closure returns or panics.
struct Changing<'a>(&'a Mutex<Option<ThreadId>>);

impl<'a> Changing<'a> {
    fn begin(thread: &'a Mutex<Option<ThreadId>>) -> Self {
        *lock(thread) = Some(thread::current().id());
        Self(thread)
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        *lock(self.0) = None;
    }
}

/// Nothing half made is behind a lock, whoever panicked.
fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A handle that is dropped while a panic unwinds was a panicking handler's.
impl<T> Drop for Session<T> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.shared.panicked.store(true, Ordering::Relaxed);
        }
    }
}

impl<T> fmt::Debug for Session<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("codec", &self.shared.codec).finish_non_exhaustive()
    }
}

/// What a middleware puts into the request, for the handlers to find.
///
/// It is made for every request, so it looks at nothing.
pub(super) struct Slot<T>(Session<T>);

/// What a middleware keeps, to settle the session when the response is there.
///
/// If it is dropped before, there is no response, and what was changed is lost. That is told.
pub(super) struct Pending<T>(Session<T>);

impl<T: Serialize + DeserializeOwned + 'static> Slot<T> {
    pub(super) fn new(codec: Codec<T>) -> (Self, Pending<T>) {
        let state = State {
            request: None,
            opened: None,
            #[cfg(feature = "store")]
            ahead: None,
            #[cfg(feature = "revocation")]
            receipts: Vec::new(),
            session: None,
            intent: Intent::Continue,
            settled: false,
        };
        let (state, changing) = (Mutex::new(state), Mutex::new(None));
        let panicked = AtomicBool::new(false);
        let session = Session { shared: Arc::new(Shared { codec, state, changing, panicked }) };
        (Self(session.clone()), Pending(session))
    }

    /// Returns the session of the request that has these `Cookie` headers.
    pub(super) fn session<'a, B: AsRef<[u8]> + ?Sized + 'a>(
        &self,
        cookie_headers: impl IntoIterator<Item = &'a B>,
    ) -> Session<T> {
        let read = || self.0.shared.codec.request(cookie_headers).into_owned();
        self.0.state().request.get_or_insert_with(read);
        self.0.clone()
    }
}

impl<T: Serialize + DeserializeOwned + 'static> Pending<T> {
    /// Closes the session and gives what goes into the head of the response, which may be one that tells
    /// of a failure.
    ///
    /// # Errors
    ///
    /// If the handlers' changes are not set. The response must not go out as if they had been.
    pub(super) fn settle(self, failed: bool) -> Result<Settled, Refusal> {
        let codec = &self.0.shared.codec;
        let state = &mut *self.0.state();
        state.settled = true;
        let (Some(request), Some(opened)) = (&state.request, &state.opened) else {
            return Ok(Settled::default());
        };
        if self.0.shared.panicked.load(Ordering::Relaxed) {
            tracing::error!(target: TARGET, cookie = codec.name(), "{}", Refusal::Panic);
            return match state.intent {
                Intent::Change | Intent::Renew | Intent::Clear if !failed => Err(Refusal::Panic),
                _ => Ok(Settled { looked: true, ..Settled::default() }),
            };
        }
        let set_cookies = match (state.intent, &state.session, opened) {
            (Intent::Continue, _, Err(error)) if error.advice() == Advice::Clear => {
                codec.clear(request)
            }
            (Intent::Continue, _, Ok(Some(opened))) if opened.advice() == Advice::Reseal => {
                // Nobody asked for it, so the response does not depend on it.
                codec.encode(&opened.session, request).unwrap_or_else(|error| {
                    log_refusal(codec, &error);
                    SetCookies::default()
                })
            }
            (Intent::Continue, ..) => SetCookies::default(),
            (Intent::Clear, ..) | (_, None, _) => codec.clear(request),
            (Intent::Change, Some(session), _) => {
                codec.encode(session, request).inspect_err(|error| log_refusal(codec, error))?
            }
            (Intent::Renew, Some(session), _) => {
                codec.renew(session, request).inspect_err(|error| log_refusal(codec, error))?
            }
        };
        #[cfg(feature = "store")]
        let before = {
            let asked = !matches!(state.intent, Intent::Continue);
            overflow::before(codec, &set_cookies, asked)
        };
        #[cfg(not(feature = "store"))]
        let before = None;
        #[cfg(feature = "revocation")]
        let before = {
            let continues = matches!(state.intent, Intent::Continue);
            let stale = continues && matches!(opened, Err(DecodeError::RevocationsStale));
            revocation::before(codec, std::mem::take(&mut state.receipts), stale, before)
        };
        Ok(Settled { set_cookies, looked: true, before })
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.shared.state);
        if !state.settled && !matches!(state.intent, Intent::Continue) {
            let cookie = self.0.shared.codec.name();
            tracing::warn!(target: TARGET, cookie, "there was no response; a change of the session is lost");
        }
        state.settled = true;
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

/// The reason why a response was refused. The reason is in the log already.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error("a handler panicked; the cookie is left alone")]
    Panic,
    #[cfg(feature = "actix-web")]
    #[error("what had to happen before the response went out did not")]
    Before,
}

fn log_refusal<T: Serialize + DeserializeOwned + 'static>(codec: &Codec<T>, error: &EncodeError) {
    match error.source() {
        Some(source) => tracing::error!(target: TARGET, cookie = codec.name(), "{error}: {source}"),
        None => tracing::error!(target: TARGET, cookie = codec.name(), "{error}"),
    }
}

/// The reason why a session was not changed.
///
/// As a response it has no body; the reason is in the log already.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// The request carries a session that this node cannot read but another may, so that a change would
    /// log the user out. [`Session::renew`] replaces it deliberately, [`Session::clear`] removes it.
    ///
    /// As a response: status 503 with `Retry-After: 1`, since another node may do better. Anybody can
    /// bring it about, with a cookie of a key that never was; so it is logged as a warning.
    #[error(
        "the request carries a session that this node cannot read and another may; a change would destroy it"
    )]
    WouldReplace(#[source] DecodeError),
    /// There is no room for what is revoked, so that the session lives on elsewhere, if anybody has a copy of its cookie:
    /// raise [`Revocations::set_capacity`](crate::revocation::Revocations::set_capacity).
    ///
    /// As a response: status 503 with `Retry-After: 1`.
    #[cfg(feature = "revocation")]
    #[error("the session is not revoked")]
    NotRevoked(#[source] crate::revocation::Full),
    /// The head of the response is written, and cookies travel in the head. Change the session before
    /// the response is returned.
    ///
    /// As a response: status 500.
    #[error("the session was changed after the head of the response was written")]
    HeadersSent,
}

impl ChangeError {
    pub(super) fn logged(self, cookie: &str) -> Self {
        match &self {
            Self::WouldReplace(reason) => {
                tracing::warn!(target: TARGET, cookie, "{self}: {reason}")
            }
            #[cfg(feature = "revocation")]
            Self::NotRevoked(full) => tracing::error!(target: TARGET, cookie, "{self}: {full}"),
            Self::HeadersSent => tracing::error!(target: TARGET, cookie, "{self}"),
        }
        self
    }
}

/// As what happens in the middlewares is named in the log.
pub(super) const TARGET: &str = "sealed_session::web";
