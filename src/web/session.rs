//! The session of the request at hand, as handlers and middlewares hold it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::change_error::ChangeError;
use super::settings::Settings;
use super::state::{Intent, Shared};
#[cfg(feature = "revocation")]
use crate::RequestCookies;
use crate::{Codec, DecodeError, EncodeError, Key, Lifetime, Limits, Opened, SessionId};

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

impl<T: Serialize + DeserializeOwned + 'static> Session<T> {
    /// Returns the session as it is now: as the request brought it, or as it was changed since.
    ///
    /// `None` if there is none, or if it does not open; [`opened`](Self::opened) tells which.
    #[must_use]
    pub fn get(&self) -> Option<Arc<T>> {
        self.shared.open();
        let mut state = self.shared.state();
        state.used = true;
        state.session.clone()
    }

    /// Returns what [`get`](Self::get) does, and does not keep the session alive by it: for requests that the user did not
    /// make, such as a page that asks for news every minute.
    #[must_use]
    pub fn peek(&self) -> Option<Arc<T>> {
        self.shared.open();
        self.shared.state().session.clone()
    }

    /// Returns what the request carries: the session and its times, id and key; or why there is none. Does not keep the
    /// session alive, as [`peek`](Self::peek).
    ///
    /// # Errors
    ///
    /// The reason why the cookie gives no session. Show it to nobody.
    pub fn opened(&self) -> Result<Option<Opened<Arc<T>>>, DecodeError> {
        self.shared.open();
        self.shared.state().opened.clone().unwrap_or(Ok(None))
    }

    /// Returns the id under which the session will go out, where the codec gives ids: after [`renew`](Self::renew) that of
    /// the new session, for a list of the user's devices, say; else that of the request's. `None` if there is no session.
    #[must_use]
    pub fn id(&self) -> Option<SessionId> {
        self.shared.open();
        let mut state = self.shared.state();
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
        self.shared.open();
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
        let turn = self.shared.turn();
        let intent = turn.writable()?;
        let before = self.shared.state().session.clone();
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
        let mut turn = self.shared.turn();
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
        let turn = self.shared.turn();
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
        self.shared.turn().finish(Some(Arc::new(session)), Intent::Renew)
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
        let turn = self.shared.turn();
        turn.check_open()?;
        let old = self.shared.state().session.clone();
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
        let turn = self.shared.turn();
        turn.check_open()?;
        let mut state = self.shared.state();
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
        self.shared.turn().finish(None, Intent::Clear)?;
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
        Self::new(Arc::new(Shared::new(Arc::new(Settings::new(codec)), request)))
    }
}

impl<T> Session<T> {
    pub(super) fn new(shared: Arc<Shared<T>>) -> Self {
        Self { shared }
    }

    pub(super) fn codec(&self) -> &Codec<T> {
        self.shared.codec()
    }

    #[cfg(feature = "store")]
    pub(super) fn shared(&self) -> &Shared<T> {
        &self.shared
    }

    #[cfg(feature = "revocation")]
    pub(super) fn request(&self) -> &RequestCookies<'static> {
        &self.shared.request
    }

    /// Makes the response wait until something is stored.
    #[cfg(feature = "revocation")]
    pub(super) fn await_stored(&self, receipt: crate::revocation::Receipt) {
        self.shared.state().receipts.push(receipt);
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
