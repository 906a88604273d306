//! A reader: from the value of another library's cookie to a session.

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

/// A reader of the session cookie of another library, which says how it is removed.
///
/// # Example: any format
///
/// A cookie `visitor=7`, which an application of yours set without a library:
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use sealed_session::{Codec, Key, legacy::Reader};
///
/// let reader = Reader::new("visitor", |value| std::str::from_utf8(value).ok()?.parse::<u64>().ok());
/// assert_eq!(reader.read(b"7"), Some(7));
/// assert_eq!(reader.read(b"seven"), None);
/// ```
pub struct Reader<T> {
    pub(crate) name: String,
    pub(crate) removal: Removal,
    pub(crate) old_nodes_until: Option<SystemTime>,
    read: Read<T>,
}

type Read<T> =
    Box<dyn for<'v> Fn(&'v [u8], SystemTime) -> Result<Found<'v, T>, Refusal> + Send + Sync>;

/// What a value gave.
pub(crate) struct Found<'v, T> {
    pub(crate) session: T,
    /// The value without what may be changed and leave it the same, such as percent-encoding: what tells this
    /// cookie from others.
    pub(crate) canonical: Cow<'v, [u8]>,
}

/// The reason why a value gives no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "legacy"), expect(dead_code, reason = "a closure only declines"))]
pub(crate) enum Refusal {
    /// It was not made under this key, or is not of this format.
    Unauthentic,
    /// It says itself that its time is over.
    Expired,
    /// It is authentic, and does not hold what was expected.
    Content,
    /// The application's closure gave none.
    Declined,
}

/// The attributes of the old cookie, as far as a browser needs them to remove it.
#[derive(Debug, Clone)]
pub(crate) struct Removal {
    pub(crate) path: String,
    pub(crate) domain: Option<String>,
    pub(crate) secure: bool,
    pub(crate) partitioned: bool,
}

impl<T> Reader<T> {
    /// Creates a reader of the cookie of this name, which makes a session of its value, or of none.
    ///
    /// The value comes as the browser sent it, spaces around it aside; browsers and attackers write it. **The closure
    /// has to authenticate it**: by a MAC or an AEAD under a key of the old application, or by asking its store.
    pub fn new(
        name: impl Into<String>,
        read: impl Fn(&[u8]) -> Option<T> + Send + Sync + 'static,
    ) -> Self {
        Self::with(name.into(), move |value, _| {
            let session = read(value).ok_or(Refusal::Declined)?;
            Ok(Found { session, canonical: Cow::Borrowed(value) })
        })
    }

    pub(crate) fn with(
        name: String,
        read: impl for<'v> Fn(&'v [u8], SystemTime) -> Result<Found<'v, T>, Refusal>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        let removal =
            Removal { path: "/".to_owned(), domain: None, secure: true, partitioned: false };
        Self { name, removal, old_nodes_until: None, read: Box::new(read) }
    }

    /// Sets the `Path` that the old cookie has. Default: `/`.
    ///
    /// A browser removes a cookie only by its own path and domain. One that was set without `Path` has the folder of
    /// the request that set it: `/account` for `/account/login`.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.removal.path = path.into();
        self
    }

    /// Sets the `Domain` that the old cookie has. Default: none.
    #[must_use]
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.removal.domain = Some(domain.into());
        self
    }

    /// Sets that the old cookie is `Partitioned`. Default: it is not.
    #[must_use]
    pub fn partitioned(mut self) -> Self {
        self.removal.partitioned = true;
        self
    }

    /// Omits `Secure` from the removal, for an old cookie that lacks it on a site that is served over plain HTTP.
    /// Default: the removal is `Secure`, which removes either kind over HTTPS.
    #[must_use]
    pub fn without_secure(mut self) -> Self {
        self.removal.secure = false;
        self
    }

    /// Sets until when nodes of the old application answer requests too. Default: none do.
    ///
    /// Until then the old cookie stays in the browser beside the new one, since the old nodes know no other, and
    /// it has the last word:
    ///
    /// - As long as it is the one that the session was read from, the new cookie is good, and new nodes go on from it.
    /// - Where it is another one, which an old node set meanwhile, the session is read from it again. What new nodes
    ///   had changed is lost then, as old nodes never saw it.
    /// - Where it is gone, because an old node logged the user out, the new cookie is good no more.
    /// - A login or a logout on a new node removes it.
    ///
    /// From this time on, it is removed with the next response. The end date has to be later by the idle timeout or more,
    /// so that who comes after it with a session of these days was idle for too long in any case.
    #[must_use]
    pub fn old_nodes_until(mut self, time: SystemTime) -> Self {
        self.old_nodes_until = Some(time);
        self
    }

    /// Returns what the reader makes of a value, for tests with a cookie of the old application.
    #[must_use]
    pub fn read(&self, value: &[u8]) -> Option<T> {
        self.read_at(value, SystemTime::now())
    }

    /// Behaves as [`read`](Self::read) does, at the time `now`: some formats seal one.
    #[must_use]
    pub fn read_at(&self, value: &[u8], now: SystemTime) -> Option<T> {
        self.find(value, now).ok().map(|found| found.session)
    }

    pub(crate) fn find<'v>(
        &self,
        value: &'v [u8],
        now: SystemTime,
    ) -> Result<Found<'v, T>, Refusal> {
        (self.read)(value, now)
    }
}

impl<T> fmt::Debug for Reader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("name", &self.name).finish_non_exhaustive()
    }
}
