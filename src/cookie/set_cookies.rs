//! What to put into the response.

use crate::cookie::attributes::SetCookie;
use crate::message::session_id::SessionId;
#[cfg(feature = "store")]
use crate::store::blob::Blob;
#[cfg(feature = "store")]
use crate::store::work::Work;

/// The `Set-Cookie` values that an operation gave; it acts only when they are sent.
///
/// **Send all of them or none**: a part of them would mix with the cookies that the client has.
/// Append each as a header of its own; they must not be joined by commas.
///
/// # Example
///
/// ```
/// # use sealed_session::{Codec, Key};
/// # let codec = Codec::<u32>::new(Key::generate()?);
/// # let request = codec.request::<_, str>([]);
/// let set_cookies = codec.encode(&7, &request)?;
/// let mut head = String::from("HTTP/1.1 200 OK\r\n");
/// for (name, value) in set_cookies.headers() {
///     head += &format!("{name}: {value}\r\n");
/// }
/// assert!(head.contains("\r\nset-cookie: __Host-session="));
/// assert!(head.contains("\r\ncache-control: no-store\r\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "cookies are set only when these values are sent in the response"]
pub struct SetCookies {
    cookies: Vec<SetCookie>,
    id: Option<SessionId>,
    #[cfg(feature = "store")]
    work: Option<Box<Work>>,
}

impl SetCookies {
    pub(crate) fn new(cookies: Vec<SetCookie>, id: Option<SessionId>) -> Self {
        Self {
            cookies,
            id,
            #[cfg(feature = "store")]
            work: None,
        }
    }

    /// Returns what has to be done in the store before these cookies are sent.
    #[cfg(feature = "store")]
    pub(crate) fn work(&self) -> Option<&Work> {
        self.work.as_deref()
    }

    #[cfg(feature = "store")]
    pub(crate) fn add_work(&mut self, work: Work) {
        if !work.is_empty() {
            self.work.get_or_insert_default().append(work);
        }
    }

    /// Returns the blobs that have to be in the store before these cookies are sent. [`Codec::store`] puts
    /// them there.
    ///
    /// [`Codec::store`]: crate::Codec::store
    #[cfg(feature = "store")]
    #[must_use]
    pub fn blobs(&self) -> &[Blob] {
        self.work.as_ref().map_or(&[], |work| &work.puts)
    }

    /// Returns whether nothing need be sent: the session is unchanged and fresh.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cookies.is_empty()
    }

    /// Returns the values of the `Set-Cookie` headers. A framework that takes cookies parses them; those that remove one
    /// have `Max-Age=0`, and are added like the others.
    #[must_use]
    pub fn values(&self) -> impl ExactSizeIterator<Item = &str> {
        self.cookies.iter().map(|cookie| cookie.line.as_str())
    }

    /// Returns all headers to append, as lower-case names and values: each `set-cookie`, and
    /// `cache-control: no-store`, without which a shared cache may hand one user's session to others.
    /// Nothing if nothing need be set.
    ///
    /// If the response has a `cache-control` already, it must be at least as strict. What overrules it for a cache on the way
    /// must go: `cdn-cache-control` and others that end so, `surrogate-control`, `edge-control`, `x-accel-expires`.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let hygiene = (!self.is_empty()).then_some(("cache-control", "no-store"));
        self.values().map(|value| ("set-cookie", value)).chain(hygiene)
    }

    /// Returns the id of the session that these cookies hold, if it has one: at a login, the new one, for your
    /// records or a deny list. `None` where nothing is set or a session is cleared.
    #[must_use]
    pub fn id(&self) -> Option<SessionId> {
        self.id
    }

    /// Returns the names of the cookies that get a new value, in the order of their chunks.
    pub fn set(&self) -> impl Iterator<Item = &str> {
        self.cookies.iter().filter(|cookie| !cookie.removes).map(SetCookie::name)
    }

    /// Returns the names of the cookies that are removed.
    pub fn removed(&self) -> impl Iterator<Item = &str> {
        self.cookies.iter().filter(|cookie| cookie.removes).map(SetCookie::name)
    }
}
