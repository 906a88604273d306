//! The session of one request, as handlers and middlewares share it.

use std::any::type_name;
use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Advice, Codec, DecodeError, EncodeError, Opened, Request, SetCookies};

/// The session of the request at hand: reads it, changes it, begins and ends it.
///
/// An extractor in axum and actix-web; in other tower services see `tower::session`. Every
/// clone speaks of the same session, so that what one extractor changes, the next one sees. Nothing is
/// opened before the first look, and all is written once, when the head of the response is ready.
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
    panicked: AtomicBool,
}

struct State<T> {
    /// What the request carries; empty until a handler asks for the session.
    request: Option<Request<'static>>,
    /// What was found in it; empty until a handler looks at the session.
    opened: Option<Result<Option<Opened<Arc<T>>>, DecodeError>>,
    /// The session as it is now.
    session: Option<Arc<T>>,
    write: Write,
    settled: bool,
}

/// What to do with the session when the head of the response is ready.
#[derive(Clone, Copy)]
enum Write {
    GoOn,
    Change,
    Renew,
    Clear,
}

impl<T: Serialize + DeserializeOwned + 'static> Session<T> {
    /// Gives the session as it is now: as the request brought it, or as it was changed since.
    ///
    /// `None` if there is none, or if it does not open; [`opened`](Self::opened) tells which.
    #[must_use]
    pub fn get(&self) -> Option<Arc<T>> {
        let mut state = self.state();
        state.open(&self.shared.codec);
        state.session.clone()
    }

    /// Tells what the request carries: the session and its times, id and key; or why there is none.
    ///
    /// # Errors
    ///
    /// The reason why the cookie gives no session. The middleware follows its advice; show it to nobody.
    pub fn opened(&self) -> Result<Option<Opened<Arc<T>>>, DecodeError> {
        self.state().open(&self.shared.codec).clone()
    }

    /// Changes the session, which begins as the default one if there is none.
    ///
    /// `change` must not use this session in another way, as it would wait for itself.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set); `change` is not called then.
    pub fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> Result<R, ChangeError>
    where
        T: Clone + Default,
    {
        let mut state = self.writable()?;
        let result = change(Arc::make_mut(state.session.get_or_insert_default()));
        state.write = state.write.after_change();
        Ok(result)
    }

    /// Puts this session in the place of the present one, which goes on: it keeps its beginning and id.
    /// If there is none, it begins.
    ///
    /// # Errors
    ///
    /// [`ChangeError::WouldReplace`] if the request carries a session that this node cannot read but
    /// another may, and [`ChangeError::Late`].
    pub fn set(&self, session: T) -> Result<(), ChangeError> {
        let mut state = self.writable()?;
        state.session = Some(Arc::new(session));
        state.write = state.write.after_change();
        Ok(())
    }

    /// Begins anew with this session, with a new beginning and a new id, whatever the request carries.
    ///
    /// Use it at each login and change of rights.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Late`].
    pub fn renew(&self, session: T) -> Result<(), ChangeError> {
        self.replace(Some(Arc::new(session)), Write::Renew)
    }

    /// Ends the session: all of its cookies are removed.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Late`].
    pub fn clear(&self) -> Result<(), ChangeError> {
        self.replace(None, Write::Clear)
    }

    fn replace(&self, session: Option<Arc<T>>, write: Write) -> Result<(), ChangeError> {
        let mut state = self.open()?;
        state.session = session;
        state.write = write;
        Ok(())
    }

    /// Opens the session to change it, unless this would destroy one.
    fn writable(&self) -> Result<MutexGuard<'_, State<T>>, ChangeError> {
        let state = self.open()?;
        match (state.write, &state.opened) {
            (Write::GoOn | Write::Change, Some(Err(error))) if error.is_readable_elsewhere() => {
                let error = ChangeError::WouldReplace(error.clone());
                Err(error.logged(self.shared.codec.name()))
            }
            _ => Ok(state),
        }
    }

    /// Opens the session to change it or to put another in its place.
    fn open(&self) -> Result<MutexGuard<'_, State<T>>, ChangeError> {
        let mut state = self.state();
        // Even if it is to be replaced: what the request brought must not come up at a later look.
        state.open(&self.shared.codec);
        if state.settled {
            return Err(ChangeError::Late.logged(self.shared.codec.name()));
        }
        Ok(state)
    }
}

impl<T> Session<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        // A closure given to `change` panicked: `panicked` keeps the session from being written.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Serialize + DeserializeOwned + 'static> State<T> {
    fn open(&mut self, codec: &Codec<T>) -> &Result<Option<Opened<Arc<T>>>, DecodeError> {
        let Self { request, opened, session, .. } = self;
        opened.get_or_insert_with(|| {
            let request = request.get_or_insert_with(|| codec.request::<_, str>([]));
            let opened = codec.decode(request).map(|opened| opened.map(|o| o.map(Arc::new)));
            if let Ok(Some(opened)) = &opened {
                *session = Some(Arc::clone(&opened.session));
            }
            opened
        })
    }
}

impl Write {
    /// What was renewed or cleared before stays so.
    fn after_change(self) -> Self {
        match self {
            Self::GoOn | Self::Change => Self::Change,
            Self::Renew | Self::Clear => Self::Renew,
        }
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
        if std::thread::panicking() {
            self.shared.panicked.store(true, Ordering::Relaxed);
        }
    }
}

impl<T> fmt::Debug for Session<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("codec", &self.shared.codec).finish_non_exhaustive()
    }
}

/// What a middleware puts into the request, and settles when the response is there.
///
/// It is made for every request, so it looks at nothing.
pub(super) struct Slot<T>(Session<T>);

impl<T: Serialize + DeserializeOwned + 'static> Slot<T> {
    pub(super) fn new(codec: Codec<T>) -> Self {
        let state = State {
            request: None,
            opened: None,
            session: None,
            write: Write::GoOn,
            settled: false,
        };
        let panicked = AtomicBool::new(false);
        Self(Session { shared: Arc::new(Shared { codec, state: Mutex::new(state), panicked }) })
    }

    /// Gives the session of the request that has these `Cookie` headers.
    pub(super) fn session<'a, B: AsRef<[u8]> + ?Sized + 'a>(
        &self,
        cookie_headers: impl IntoIterator<Item = &'a B>,
    ) -> Session<T> {
        let read = || self.0.shared.codec.request(cookie_headers).into_owned();
        self.0.state().request.get_or_insert_with(read);
        self.0.clone()
    }

    /// Closes the session and gives what goes into the head of the response.
    ///
    /// # Errors
    ///
    /// If the handlers' changes cannot be sealed. The response must not go out as if they had been.
    pub(super) fn settle(&self) -> Result<Settled, EncodeError> {
        let codec = &self.0.shared.codec;
        let state = &mut *self.0.state();
        state.settled = true;
        let (Some(request), Some(opened)) = (&state.request, &state.opened) else {
            return Ok(Settled::default());
        };
        if self.0.shared.panicked.load(Ordering::Relaxed) {
            tracing::error!(target: TARGET, cookie = codec.name(), "a handler panicked; the cookie is left alone");
            return Ok(Settled { looked: true, ..Settled::default() });
        }
        let set_cookies = match (state.write, &state.session, opened) {
            (Write::GoOn, _, Err(error)) if error.advice() == Advice::Clear => codec.clear(request),
            (Write::GoOn, _, Ok(Some(opened))) if opened.advice() == Advice::SealAgain => {
                // Nobody asked for it, so the response does not depend on it.
                codec.encode(&opened.session, request).unwrap_or_else(|error| {
                    log_refusal(codec, &error);
                    SetCookies::default()
                })
            }
            (Write::GoOn, ..) => SetCookies::default(),
            (Write::Clear, ..) | (_, None, _) => codec.clear(request),
            (Write::Change, Some(session), _) => {
                codec.encode(session, request).inspect_err(|error| log_refusal(codec, error))?
            }
            (Write::Renew, Some(session), _) => {
                codec.renew(session, request).inspect_err(|error| log_refusal(codec, error))?
            }
        };
        Ok(Settled { set_cookies, looked: true })
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
}

fn log_refusal<T: Serialize + DeserializeOwned + 'static>(codec: &Codec<T>, error: &EncodeError) {
    match error.source() {
        Some(source) => tracing::error!(target: TARGET, cookie = codec.name(), "{error}: {source}"),
        None => tracing::error!(target: TARGET, cookie = codec.name(), "{error}"),
    }
}

/// Says why a session was not changed.
///
/// As a response it is a status 500 without a body. The reason is in the log already.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// The request carries a session that this node cannot read but another may, so that a change would
    /// log the user out. [`Session::renew`] replaces it deliberately, [`Session::clear`] removes it.
    #[error(
        "the request carries a session that this node cannot read and another may; a change would destroy it"
    )]
    WouldReplace(#[source] DecodeError),
    /// The head of the response is written, and cookies travel in the head. Change the session before
    /// the response is returned.
    #[error("the session was changed after the head of the response was written")]
    Late,
}

impl ChangeError {
    fn logged(self, cookie: &str) -> Self {
        match &self {
            Self::WouldReplace(reason) => {
                tracing::error!(target: TARGET, cookie, "{self}: {reason}")
            }
            Self::Late => tracing::error!(target: TARGET, cookie, "{self}"),
        }
        self
    }
}

/// Says that a session was asked for where no middleware provides one: a fault in the program.
///
/// As a response it is a status 500 that says how to mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoLayer {
    session: &'static str,
    middleware: &'static str,
}

impl NoLayer {
    pub(super) fn new<T>(middleware: &'static str) -> Self {
        let missing = Self { session: type_name::<T>(), middleware };
        tracing::error!(target: TARGET, "{missing}");
        missing
    }
}

impl fmt::Display for NoLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { session, middleware } = self;
        write!(
            f,
            "no session of type {session} is provided here; wrap this route in \
             {middleware}::new(codec), with a Codec<{session}>"
        )
    }
}

impl Error for NoLayer {}

/// As what happens in the middlewares is named in the log.
const TARGET: &str = "sealed_session::web";
