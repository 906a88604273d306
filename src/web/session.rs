//! The session of one request, as handlers and middlewares share it.
//!
//! No lock is held while anything runs that others wrote: closures, serde, the destructor of a session, a subscriber of
//! `tracing`. So each of them may use the session, as a subscriber does that adds the user to each line.

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::before::Before;
#[cfg(feature = "store")]
use super::overflow;
#[cfg(feature = "revocation")]
use super::revocation;
use super::settings::{Settings, Unreadable};
#[cfg(feature = "store")]
use crate::store::BlobError;
use crate::{
    Begin, Codec, DecodeError, EncodeError, Key, Lifetime, Limits, Opened, RequestCookies,
    SessionId, SetCookies,
};

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
///     session.renew_with(|old| {
///         let cart = old.map(|old| old.cart.clone()).unwrap_or_default();
///         Shop { user: Some(7), cart }
///     })
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
    settings: Arc<Settings<T>>,
    /// The session's cookies as they came to the middleware.
    request: RequestCookies<'static>,
    state: Mutex<State<T>>,
    /// Notified when a write has ended.
    written: Condvar,
    panicked: AtomicBool,
}

struct State<T> {
    /// What was found in the request; empty until a handler looks at the session.
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
    /// How the session begins, if it does.
    begin: Begin,
    /// Whether anybody looked at the session in a way that keeps it alive.
    used: bool,
    /// The thread that writes. Its closure runs without the lock, and other writers wait for it.
    writer: Option<ThreadId>,
    settled: bool,
}

/// What to do with the session when the head of the response is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
        self.open();
        let mut state = self.state();
        state.used = true;
        state.session.clone()
    }

    /// Returns what [`get`](Self::get) does, and does not keep the session alive by it: for requests that the user did not
    /// make, such as a page that asks for news every minute.
    #[must_use]
    pub fn peek(&self) -> Option<Arc<T>> {
        self.open();
        self.state().session.clone()
    }

    /// Returns what the request carries: the session and its times, id and key; or why there is none. Does not keep the
    /// session alive, as [`peek`](Self::peek).
    ///
    /// # Errors
    ///
    /// The reason why the cookie gives no session. Show it to nobody.
    pub fn opened(&self) -> Result<Option<Opened<Arc<T>>>, DecodeError> {
        self.open();
        self.state().opened.clone().unwrap_or(Ok(None))
    }

    /// Returns the id under which the session will go out, where the codec gives ids: after [`renew`](Self::renew) that of
    /// the new session, for a list of the user's devices, say; else that of the request's. `None` if there is no session.
    #[must_use]
    pub fn id(&self) -> Option<SessionId> {
        self.open();
        let mut state = self.state();
        state.session.as_ref()?;
        if !state.begins() {
            let opened = state.opened.as_ref()?.as_ref().ok()?;
            return opened.as_ref()?.id;
        }
        if state.begin.chosen_id().is_none() && !state.settled {
            // Without random bytes nothing will be sealed either, and that is told then.
            state.begin = state.begin.id(self.codec().new_id().ok().flatten());
        }
        state.begin.chosen_id()
    }

    /// Checks that a session would fit the cookie, so that "your cart is full" is a page of yours. Without this, a session
    /// that is too large is a status 500 in place of the response.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TooLarge`], and what else would keep the session from being sealed.
    ///
    /// # Example
    ///
    /// ```
    /// use sealed_session::EncodeError;
    /// use sealed_session::web::{ChangeError, Session};
    /// # #[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
    /// # struct Shop { cart: Vec<String> }
    ///
    /// fn buy(session: Session<Shop>, item: String) -> Result<&'static str, ChangeError> {
    ///     let mut shop = session.get().as_deref().cloned().unwrap_or_default();
    ///     shop.cart.push(item);
    ///     match session.fits(&shop) {
    ///         Err(EncodeError::TooLarge(_)) => Ok("Your cart is full."),
    ///         _ => session.set(shop).map(|()| "It is in your cart."),
    ///     }
    /// }
    /// # let session = Session::new_for_test(None);
    /// # assert_eq!(buy(session.clone(), "pen".into()).unwrap(), "It is in your cart.");
    /// # let noise = (0..9000_u32).map(|n| format!("{:x}", n.wrapping_mul(2_654_435_761))).collect();
    /// # assert_eq!(buy(session, noise).unwrap(), "Your cart is full.");
    /// ```
    pub fn fits(&self, session: &T) -> Result<(), EncodeError> {
        self.open();
        self.codec().fits(session, &self.shared.request)
    }

    /// Changes the session, which begins as the default one if there is none.
    ///
    /// While `change` runs, the session is as it was before to all others, and if `change` panics, it stays so.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    ///
    /// # Panics
    ///
    /// If `change` changes this session in another way than by its argument, by a clone of it included. Of two threads
    /// that change it, one waits for the other.
    pub fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> Result<R, ChangeError>
    where
        T: Clone + Default,
    {
        let turn = self.turn();
        let intent = turn.writable()?;
        let before = self.state().session.clone();
        // A copy, so that nothing half made is left if the closure panics.
        let mut session = before.as_deref().cloned().unwrap_or_default();
        drop(before);
        let result = change(&mut session);
        turn.finish(Some(Arc::new(session)), intent)?;
        Ok(result)
    }

    /// Changes the session where there may be none: `update` gets it as an `Option`, and leaves it as it should be. What was
    /// `None` and stays so begins nothing and sets no cookie, and what becomes `None` is [cleared](Self::clear).
    ///
    /// For values that are read once, and for sessions that are neither `Clone` nor `Default`.
    ///
    /// If `update` panics, the session stays as it was, unless it had been changed before in this request: then nothing of
    /// it is kept.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set), where there is a session in the end; `update` has run then. [`ChangeError::Held`] if it was
    /// changed before in this request, and somebody holds what [`get`](Self::get) gave since.
    ///
    /// # Panics
    ///
    /// As [`change`](Self::change).
    ///
    /// # Example: a message that is shown once
    ///
    /// ```
    /// use sealed_session::web::{ChangeError, Session};
    ///
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// struct Login { user: u64, message: Option<String> }
    ///
    /// fn page(session: Session<Login>) -> Result<String, ChangeError> {
    ///     let message = session.update(|login| login.as_mut()?.message.take())?;
    ///     Ok(message.unwrap_or("nothing new".into()))
    /// }
    /// # let session = Session::new_for_test(Login { user: 7, message: Some("saved".into()) });
    /// # assert_eq!(page(session.clone()).unwrap(), "saved");
    /// # assert_eq!(page(session).unwrap(), "nothing new");
    /// # assert_eq!(page(Session::new_for_test(None)).unwrap(), "nothing new");
    /// ```
    pub fn update<R>(&self, update: impl FnOnce(&mut Option<T>) -> R) -> Result<R, ChangeError> {
        let mut turn = self.turn();
        turn.check_open()?;
        let mut session = turn.take()?;
        let had = session.is_some();
        let result = update(&mut session);
        match session {
            Some(session) => {
                let intent = turn.writable()?;
                turn.finish(Some(Arc::new(session)), intent)?;
            }
            None if had => {
                turn.finish(None, Intent::Clear)?;
                #[cfg(feature = "revocation")]
                self.revoke()?;
            }
            None => {}
        }
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
        let turn = self.turn();
        let intent = turn.writable()?;
        turn.finish(Some(Arc::new(session)), intent)
    }

    /// Begins a new session, with a new beginning and a new id, whatever the request carries.
    ///
    /// Use it at each login and change of rights.
    ///
    /// # Errors
    ///
    /// [`ChangeError::HeadersSent`].
    pub fn renew(&self, session: T) -> Result<(), ChangeError> {
        self.turn().finish(Some(Arc::new(session)), Intent::Renew)
    }

    /// Begins a new session, which `begin` makes of the present one, if there is one: for a login that keeps the cart.
    ///
    /// [`id`](Self::id) then returns the new session's id.
    ///
    /// # Errors
    ///
    /// [`ChangeError::HeadersSent`].
    ///
    /// # Panics
    ///
    /// As [`change`](Self::change).
    pub fn renew_with(&self, begin: impl FnOnce(Option<&T>) -> T) -> Result<(), ChangeError> {
        let turn = self.turn();
        turn.check_open()?;
        let old = self.state().session.clone();
        let session = begin(old.as_deref());
        turn.finish(Some(Arc::new(session)), Intent::Renew)
    }

    /// Sets how long the session lives that this request begins: after [`renew`](Self::renew), for "remember me". The codec's
    /// own timeouts are the most.
    ///
    /// # Errors
    ///
    /// [`ChangeError::NotBegun`] if the session is one that goes on, and [`ChangeError::HeadersSent`].
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::Duration;
    /// use sealed_session::Lifetime;
    /// use sealed_session::web::{ChangeError, Session};
    ///
    /// fn login(session: Session<u64>, remember_me: bool) -> Result<(), ChangeError> {
    ///     session.renew(7)?;
    ///     if !remember_me {
    ///         let an_hour = Duration::from_secs(3600);
    ///         session.set_lifetime(Lifetime::new().idle_timeout(an_hour).browser_session())?;
    ///     }
    ///     Ok(())
    /// }
    /// # login(Session::new_for_test(None), false).unwrap();
    /// # assert!(Session::new_for_test(7_u64).set_lifetime(Lifetime::new()).is_err());
    /// ```
    pub fn set_lifetime(&self, lifetime: Lifetime) -> Result<(), ChangeError> {
        let turn = self.turn();
        turn.check_open()?;
        let mut state = self.state();
        let begun = state.session.is_some() && state.begins();
        if begun {
            state.begin = state.begin.lifetime(lifetime);
        }
        drop(state);
        if begun { Ok(()) } else { Err(ChangeError::NotBegun.logged(self.codec().name())) }
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
        self.turn().finish(None, Intent::Clear)?;
        #[cfg(feature = "revocation")]
        self.revoke()?;
        Ok(())
    }

    /// Creates the session of a request that brings this one, or none, under a key that is new each time: to call a handler
    /// in a test, without a server.
    ///
    /// # Panics
    ///
    /// If the session cannot be sealed within [`Limits::NGINX_PROXY_BUFFER_16K`].
    ///
    /// # Example
    ///
    /// ```
    /// use sealed_session::web::{ChangeError, Session};
    ///
    /// async fn count(session: Session<u32>) -> Result<String, ChangeError> {
    ///     let visits = session.change(|visits| { *visits += 1; *visits })?;
    ///     Ok(format!("visit {visits}"))
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let session = Session::new_for_test(7);
    /// assert_eq!(count(session.clone()).await.unwrap(), "visit 8");
    /// assert_eq!(session.get().as_deref(), Some(&8));
    /// # }
    /// ```
    #[must_use]
    pub fn new_for_test(session: impl Into<Option<T>>) -> Self {
        let key = Key::generate().expect("random bytes");
        let codec = Codec::builder(key).session_ids().limits(Limits::NGINX_PROXY_BUFFER_16K);
        let codec = codec.build().expect("settings that fit each other");
        let mut request = codec.request::<_, str>([]);
        let session = session.into();
        if let Some(session) = &session {
            let set_cookies = codec.renew(session, &request).expect("a session that can be sealed");
            let pairs = set_cookies.values().filter_map(|value| value.split(';').next());
            request = codec.request(&pairs.map(str::to_owned).collect::<Vec<_>>()).into_owned();
        }
        Self::of(Arc::new(Settings::new(codec)), request)
    }

    /// Opens what the request carries, if that was not done before.
    ///
    /// Nothing is locked meanwhile. What looks at the session from within, such as a subscriber that is told of a junk
    /// cookie, finds none yet.
    fn open(&self) {
        if self.state().opened.is_some() {
            return;
        }
        let Some(_opening) = Opening::begin() else { return };
        let Settings { codec, accept, .. } = &*self.shared.settings;
        #[cfg(feature = "store")]
        let ahead = self.state().ahead.take();
        #[cfg(feature = "store")]
        let opened = ahead.unwrap_or_else(|| codec.decode(&self.shared.request));
        #[cfg(not(feature = "store"))]
        let opened = codec.decode(&self.shared.request);
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

    /// Waits until no other thread writes, and keeps others from it.
    fn turn(&self) -> Turn<'_, T> {
        self.open();
        let this = thread::current().id();
        let mut state = self.state();
        assert!(
            state.writer != Some(this),
            "a closure given to `Session::change` changed the session in another way than by its argument"
        );
        assert!(state.opened.is_some(), "the session was changed while it was being opened");
        while state.writer.is_some() {
            state = self.shared.written.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.writer = Some(this);
        Turn { session: self, took: false }
    }
}

#[cfg(feature = "revocation")]
impl<T> Session<T> {
    /// Makes the response wait until something is stored.
    pub(super) fn await_stored(&self, receipt: crate::revocation::Receipt) {
        self.state().receipts.push(receipt);
    }
}

impl<T> Session<T> {
    fn of(settings: Arc<Settings<T>>, request: RequestCookies<'static>) -> Self {
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
        Self { shared: Arc::new(Shared { settings, request, state, written, panicked }) }
    }

    #[cfg(feature = "revocation")]
    pub(super) fn request(&self) -> &RequestCookies<'static> {
        &self.shared.request
    }

    pub(super) fn codec(&self) -> &Codec<T> {
        &self.shared.settings.codec
    }

    /// Nothing half made is behind the lock, whoever panicked.
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
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
        match open(&self.shared.request) {
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

impl<T> State<T> {
    /// Returns whether the session is not the one that the request brought.
    fn begins(&self) -> bool {
        self.intent == Intent::Renew || !matches!(self.opened, Some(Ok(Some(_))))
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

/// The turn of one thread to write the session, until it is dropped.
struct Turn<'a, T> {
    session: &'a Session<T>,
    /// Whether the session of before was moved out, and is lost if nothing follows.
    took: bool,
}

impl<T: Serialize + DeserializeOwned + 'static> Turn<'_, T> {
    fn check_open(&self) -> Result<(), ChangeError> {
        let settled = self.session.state().settled;
        if settled { Err(ChangeError::HeadersSent.logged(self.name())) } else { Ok(()) }
    }

    /// Returns what a change makes of the session, unless it would destroy one.
    fn writable(&self) -> Result<Intent, ChangeError> {
        self.check_open()?;
        let state = self.session.state();
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
        match self.session.shared.settings.unreadable {
            Unreadable::Keep => Err(ChangeError::WouldReplace(error).logged(self.name())),
            Unreadable::Replace => {
                let cookie = self.name();
                tracing::warn!(target: TARGET, cookie, "a session that this node cannot read is replaced: {error}");
                Ok(Intent::Renew)
            }
        }
    }

    /// Takes the session as it is now, to own it.
    fn take(&mut self) -> Result<Option<T>, ChangeError> {
        let mut state = self.session.state();
        if state.session.is_none() {
            return Ok(None);
        }
        if state.intent == Intent::Continue {
            drop(state);
            // As the request brought it: so it can be read once more, and what others hold of it is theirs.
            return match self.session.codec().decode(&self.session.shared.request) {
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

    fn finish(mut self, session: Option<Arc<T>>, intent: Intent) -> Result<(), ChangeError> {
        let mut state = self.session.state();
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
        self.session.codec().name()
    }
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        if self.took && thread::panicking() {
            self.session.shared.panicked.store(true, Ordering::Relaxed);
        }
        self.session.state().writer = None;
        self.session.shared.written.notify_one();
    }
}

impl<T> Clone for Session<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
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
        f.debug_struct("Session").field("codec", self.codec()).finish_non_exhaustive()
    }
}

/// What a middleware puts into the request, for the handlers to find.
///
/// It is made for every request. The session's cookies are taken as they come to the middleware, so that no layer
/// within can take them away; but nothing is opened.
pub(super) struct Slot<T>(Session<T>);

/// What a middleware keeps, to settle the session when the response is there.
///
/// If it is dropped before, there is no response, and what was changed is lost. That is told.
pub(super) struct Pending<T>(Session<T>);

impl<T: Serialize + DeserializeOwned + 'static> Slot<T> {
    /// Creates both for a request that has these `Cookie` headers.
    pub(super) fn new<'a, B: AsRef<[u8]> + ?Sized + 'a>(
        settings: &Arc<Settings<T>>,
        cookie_headers: impl IntoIterator<Item = &'a B>,
    ) -> (Self, Pending<T>) {
        let request = settings.codec.request(cookie_headers).into_owned();
        let session = Session::of(Arc::clone(settings), request);
        (Self(session.clone()), Pending(session))
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
        let Shared { settings, request, panicked, .. } = &*self.0.shared;
        let codec = &settings.codec;
        let mut state = self.0.state();
        state.settled = true;
        let due = match &state.opened {
            // Others' sessions may have been revoked all the same.
            #[cfg(feature = "revocation")]
            None => {
                let receipts = mem::take(&mut state.receipts);
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
        let receipts = mem::take(&mut state.receipts);
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
    /// [`Session::update`] needs the session for itself, which was changed before in this request, and somebody holds what
    /// [`Session::get`] gave since: drop that first.
    ///
    /// As a response: status 500.
    #[error("the session is to be updated while a value that `Session::get` gave is held")]
    Held,
    /// The lifetime of a session is set when it begins: call [`Session::renew`] before.
    ///
    /// As a response: status 500.
    #[error("a lifetime was set for a session that did not begin in this request")]
    NotBegun,
}

impl ChangeError {
    pub(super) fn logged(self, cookie: &str) -> Self {
        match &self {
            Self::WouldReplace(DecodeError::UnknownKey(id)) => tracing::warn!(
                target: TARGET,
                cookie,
                "{self}: the key {id} of the session cookie is not in the ring. If it is a key of another application on \
                 this host, give the two cookies different names (`Builder::name`)"
            ),
            Self::WouldReplace(reason) => {
                tracing::warn!(target: TARGET, cookie, "{self}: {reason}")
            }
            #[cfg(feature = "revocation")]
            Self::NotRevoked(full) => tracing::error!(target: TARGET, cookie, "{self}: {full}"),
            _ => tracing::error!(target: TARGET, cookie, "{self}"),
        }
        self
    }
}

/// As what happens in the middlewares is named in the log.
pub(super) const TARGET: &str = "sealed_session::web";
