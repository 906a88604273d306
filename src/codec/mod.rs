//! The codec: a session in, cookies out, and back.
//!
//! In: a session and the cookies of a request. Out: the session that they carry, or the `Set-Cookie` lines of the
//! response. `builder` checks the `settings`, `calls` has what everybody calls, `lookup` and `open` read a request,
//! `write` writes a response, `reseal` and `lifetimes` decide when an unchanged session is written anew, `inspect` takes a
//! cookie apart for people. Uses `cookie`, `seal`, `keys`, `message` and `bytes`.

use std::fmt;
use std::sync::Arc;

use crate::codec::settings::Settings;
use crate::cookie::limits::Limits;
use crate::keys::ring::KeyRing;

pub(crate) mod begin;
pub(crate) mod builder;
mod calls;
pub(crate) mod error;
#[cfg(feature = "cli")]
pub(crate) mod inspect;
mod judge;
pub(crate) mod lifetimes;
mod lookup;
mod old_cookies;
mod open;
pub(crate) mod opened;
#[cfg(feature = "store")]
mod overflow;
pub(crate) mod request_cookies;
pub(crate) mod reseal;
pub(crate) mod settings;
mod write;

/// A codec that turns sessions of type `T` into cookies and back.
///
/// Cheap to clone and to share; all operations take `&self`, do no I/O but ask the operating system
/// for random bytes, and need no runtime. Each that reads the clock has a twin that takes the time.
///
/// # Example
///
/// ```
/// use sealed_session::{Codec, Key};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Session { user: String }
///
/// let codec = Codec::<Session>::new(Key::generate()?);
///
/// // A login: the request has no session yet.
/// let request = codec.request(["theme=dark"]);
/// assert!(codec.decode(&request)?.is_none());
/// let set_cookies = codec.renew(&Session { user: "jane".into() }, &request)?;
/// let cookie = set_cookies.values().next().unwrap();
/// assert!(cookie.starts_with("__Host-session="));
///
/// // The next request brings it back.
/// let header = format!("theme=dark; {}", cookie.split(';').next().unwrap());
/// let request = codec.request([&header]);
/// let opened = codec.decode(&request)?.expect("a session");
/// assert_eq!(opened.session.user, "jane");
///
/// // Nothing changed, so nothing need be sent.
/// assert!(codec.encode(&opened.session, &request)?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Codec<T> {
    pub(crate) settings: Arc<Settings<T>>,
}

impl<T> Codec<T> {
    /// Returns the name of the cookie.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.settings.attributes.name
    }

    /// Returns the limits, for [`Limits::holds`](crate::Limits::holds).
    pub fn limits(&self) -> Limits {
        self.settings.layout.limits()
    }

    /// Returns the key ring, whose keys can be replaced while requests run.
    #[must_use]
    pub fn ring(&self) -> &KeyRing {
        &self.settings.ring
    }

    /// Returns whether both are clones of one codec, as `Arc::ptr_eq` does.
    #[must_use]
    pub fn ptr_eq(this: &Self, other: &Self) -> bool {
        Arc::ptr_eq(&this.settings, &other.settings)
    }
}

impl<T> Clone for Codec<T> {
    fn clone(&self) -> Self {
        Self { settings: Arc::clone(&self.settings) }
    }
}

impl<T> fmt::Debug for Codec<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codec")
            .field("name", &self.settings.attributes.name)
            .field("ring", &self.settings.ring)
            .finish_non_exhaustive()
    }
}
