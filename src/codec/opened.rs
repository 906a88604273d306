//! Opened sessions: the session and what is known about it.

use std::time::SystemTime;

use crate::codec::error::Advice;
use crate::codec::reseal::Reseal;
use crate::keys::key_id::KeyId;
use crate::message::format::Format;
use crate::message::lifetime::Lifetime;
use crate::message::session_id::SessionId;

/// A session that was opened, and what is known about it.
///
/// # Example: logging a user out everywhere
///
/// Keep one time for each user, beside the password, and set it to now when all sessions are to end:
///
/// ```
/// use std::time::SystemTime;
/// use sealed_session::{Codec, Key, Opened};
///
/// struct User { logged_out: SystemTime } // a row of your database
///
/// fn is_valid<T>(opened: &Opened<T>, user: &User) -> bool {
///     opened.began > user.logged_out
/// }
/// # let codec = Codec::<u32>::new(Key::generate()?);
/// # let set_cookies = codec.renew(&7, &codec.request([""]))?;
/// # let cookie = set_cookies.values().next().unwrap().split(';').next().unwrap().to_owned();
/// # let opened = codec.decode(&codec.request([&cookie]))?.unwrap();
/// # assert!(is_valid(&opened, &User { logged_out: SystemTime::UNIX_EPOCH }));
/// # assert!(!is_valid(&opened, &User { logged_out: SystemTime::now() }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Times are whole seconds, cut off: a login in the second of the logout counts as before it.
/// [`Builder::session_ids`](crate::Builder::session_ids) shows how to end one session alone.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Opened<T> {
    /// The session itself.
    pub session: T,
    /// When it began: the time of the [`Codec::renew`](crate::Codec::renew) or of the first [`Codec::encode`](crate::Codec::encode).
    pub began: SystemTime,
    /// When it was last sealed.
    pub sealed: SystemTime,
    /// When it expires, if it is not resealed before.
    pub expires: SystemTime,
    /// Its id, if the codec gives ids.
    pub id: Option<SessionId>,
    /// How long it lives, where that is less than the codec allows.
    pub lifetime: Lifetime,
    /// The schema in which it was sealed.
    pub schema: u32,
    /// The format in which it was sealed.
    pub format: Format,
    /// The key that sealed it.
    pub key: KeyId,
    /// The name of the cookie of another library that it was read from, by a reader of
    /// [`Builder::also_reads`](crate::Builder::also_reads). Then it begins now, has no id yet, and `key` is the one that
    /// will seal it.
    pub moved_from: Option<String>,
    /// Why [`Codec::encode`](crate::Codec::encode) will reseal it even if it is unchanged; `None` if it will not.
    pub reseal: Option<Reseal>,
}

impl<T> Opened<T> {
    /// Replaces the session by another value: a shared one, or a part of it.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Opened<U> {
        let Self {
            session,
            began,
            sealed,
            expires,
            id,
            lifetime,
            schema,
            format,
            key,
            moved_from,
            reseal,
        } = self;
        let session = f(session);
        Opened {
            session,
            began,
            sealed,
            expires,
            id,
            lifetime,
            schema,
            format,
            key,
            moved_from,
            reseal,
        }
    }

    /// Returns what to do with the cookie: [`Advice::Reseal`] or [`Advice::Keep`].
    #[must_use]
    pub fn advice(&self) -> Advice {
        if self.reseal.is_some() { Advice::Reseal } else { Advice::Keep }
    }
}
