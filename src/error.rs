//! Errors: one enum for each moment, and what to do about a cookie that does not open.
//!
//! No message holds a secret, an offset, or a byte of a cookie. `TooLarge` names fields, escaped; with maps, those
//! are keys of the session.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::{Format, KeyId};

/// Carries the error of another crate behind [`Error::source`](std::error::Error::source).
pub type Source = Arc<dyn std::error::Error + Send + Sync>;

/// Says why a [`Key`](crate::Key) or a [`KeyId`] could not be had.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text is no key: it does not begin with the prefix of one.
    #[error("a key begins with SEALED-SESSION-KEY-1-")]
    Prefix,
    /// The text was cut or has too much: 48 characters follow the prefix.
    #[error("a key has 48 characters after its prefix, this has {found}")]
    Length {
        /// The number of characters found.
        found: usize,
    },
    /// A character is not of base64url.
    #[error("a key is written in base64url, and this holds another character")]
    Alphabet,
    /// The checksum does not fit: a character was mistyped.
    #[error("the checksum of the key does not fit, so it was not copied whole")]
    Checksum,
    /// All bytes are equal: a buffer that nobody filled.
    #[error("all bytes of the key are equal; keys must be random")]
    Weak,
    /// The text is no key id.
    #[error("a key id is 8 hexadecimal digits")]
    Id,
    /// The operating system gave no random bytes.
    #[error("the operating system's random source failed")]
    Random(#[source] Source),
}

/// Says why a [`KeyRing`](crate::KeyRing) refused a set of keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RingError {
    /// No key may ever seal: each one only opens or is revoked.
    #[error("the ring has no key that may seal; one must be neither revoked nor open-only")]
    NoSealingKey,
    /// Two keys have one id; most likely one key stands there twice.
    #[error("the key {0} stands in the ring twice")]
    DuplicateId(KeyId),
    /// Two keys would become primary at the same time, so the choice would be left to chance.
    #[error(
        "the keys {0} and {1} become primary at the same time; let one of them activate later, or only open"
    )]
    SameActivation(KeyId, KeyId),
    /// A key would retire before it is used.
    #[error("the key {0} retires before it activates")]
    RetiresFirst(KeyId),
    /// More keys than any rotation needs.
    #[error("the ring has {found} keys, {allowed} are allowed")]
    TooManyKeys {
        /// The number of keys given.
        found: usize,
        /// The most that a ring takes.
        allowed: usize,
    },
}

/// Says why [`Builder::build`](crate::Builder::build) refused a setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The cookie-name is empty or holds a character that is not of a token (RFC 6265bis, 4.1.1).
    #[error("the cookie name is empty or holds a character that cookie names must not have")]
    Name,
    /// The cookie-name is so long that no room is left.
    #[error("the cookie name has {found} bytes, {allowed} are allowed")]
    NameTooLong {
        /// The length given.
        found: usize,
        /// The longest allowed.
        allowed: usize,
    },
    /// A `__Host-` cookie must have Path=/, Secure and no Domain, or browsers refuse it.
    #[error(
        "a __Host- cookie must be Secure, with Path=/ and without Domain, or browsers refuse it"
    )]
    HostPrefix,
    /// A `__Secure-` or `__Http-` cookie must be Secure, or browsers refuse it.
    #[error("a __Secure- or __Http- cookie must be Secure, or browsers refuse it")]
    SecurePrefix,
    /// `SameSite=None` and `Partitioned` need Secure, or browsers refuse the cookie.
    #[error("SameSite=None and Partitioned need Secure, or browsers refuse the cookie")]
    NeedsSecure,
    /// The path does not begin with `/`, or holds a `;` or a control character, or is over 1024 bytes.
    #[error("the path must begin with / and hold no semicolon and no control character")]
    Path,
    /// The domain is not a host name.
    #[error("the domain must be a host name")]
    Domain,
    /// A duration is zero, or so long that browsers would shorten it.
    #[error("{what} must be at least 1 second (0 for the skew) and at most 400 days")]
    Duration {
        /// Which of the durations.
        what: &'static str,
    },
    /// The idle timeout is longer than the absolute one and would never end a session.
    #[error("the idle timeout is longer than the absolute timeout")]
    IdleExceedsAbsolute,
    /// The touch threshold reaches the idle timeout, so that an active user would be logged out.
    #[error("the touch threshold must be shorter than the idle timeout")]
    TouchExceedsIdle,
    /// A positional format was chosen without a schema number.
    #[error("{0} stores no field names, so a schema number must be given with Builder::schema")]
    SchemaRequired(Format),
    /// A migration starts from the present schema or a newer one.
    #[error("a migration from schema {from} was given, but the present schema is {schema}")]
    Migration {
        /// The schema from which the migration starts.
        from: u32,
        /// The present schema.
        schema: u32,
    },
    /// A limit is above what browsers and proxies keep.
    #[error("{what} must be at most {allowed}")]
    LimitTooHigh {
        /// Which of the limits.
        what: &'static str,
        /// The highest value allowed.
        allowed: usize,
    },
    /// The limits leave no room for a session.
    #[error(
        "the limits leave no room for a session; raise them, or shorten the name and the attributes"
    )]
    LimitTooLow,
}

/// Says why a session was not sealed. No cookie is set then, so the client keeps the old one.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The session does not fit the limits of the codec.
    #[error("{0}")]
    TooLarge(TooLarge),
    /// The request carries a session that this node cannot read but another one may, so that writing
    /// would log the user out. [`Codec::renew`](crate::Codec::renew) replaces it deliberately.
    #[error(
        "the request carries a session that this node cannot read and another may; only Codec::renew replaces it"
    )]
    WouldReplace(#[source] DecodeError),
    /// The session of the request was opened, and before the response was written it expired or its key was
    /// revoked. Nothing of it is sealed again: the user has to log in.
    #[error("the session has ended since the request opened it")]
    Ended(#[source] DecodeError),
    /// No key of the ring may seal at this time.
    #[error("no key of the ring is active: none is past its activation and before its retirement")]
    NoActiveKey,
    /// The session's own `Serialize` failed, or the format cannot hold it.
    #[error("the session cannot be serialized")]
    Serialize(#[source] Source),
    /// The operating system gave no random bytes, without which nothing may be sealed.
    #[error("the operating system's random source failed")]
    Random(#[source] Source),
}

/// Tells how far over which limit a session is, and what weighs most in it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TooLarge {
    /// The limit that the session breaks.
    pub limit: Limit,
    /// The bytes that it needs under that limit, after compression and sealing.
    pub needed: usize,
    /// The bytes that the limit allows.
    pub allowed: usize,
    /// The top-level fields, the heaviest first, with their serialized size before compression.
    pub heaviest: Vec<FieldSize>,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, needed, allowed, heaviest } = self;
        write!(f, "the session needs {needed} bytes {limit}, {allowed} are allowed")?;
        for (i, FieldSize { name, bytes }) in heaviest.iter().take(3).enumerate() {
            let lead = if i == 0 { "; heaviest fields before compression: " } else { ", " };
            write!(f, "{lead}{} {bytes}", name.escape_debug())?;
        }
        Ok(())
    }
}

/// Names the limits that a session can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// The serialized session, before compression.
    Session,
    /// One cookie, with its name and attributes.
    Cookie,
    /// All `Set-Cookie` lines of the response together.
    Response,
    /// All cookies of the session together in the `Cookie` line of later requests.
    Request,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Session => "before compression",
            Self::Cookie => "in one cookie",
            Self::Response => "of Set-Cookie lines in the response",
            Self::Request => "of cookies in each request",
        })
    }
}

/// Gives the size of one top-level field of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldSize {
    /// The name of the field, or the key of the map entry, cut to 64 characters.
    pub name: String,
    /// Its serialized bytes, name included.
    pub bytes: usize,
}

/// Says why the request's session cookie gave no session.
///
/// A client can bring about some of these by sending nonsense, so one alone is no fault of the server. Show
/// clients one and the same refusal for all; the reason is for the log.
///
/// | variant | [advice](Self::advice) | likely cause |
/// |---|---|---|
/// | [`Expired`](Self::Expired) | clear | none: the session reached a timeout |
/// | [`UnknownKey`](Self::UnknownKey) | keep | the key has not reached this node yet, or was taken out too early |
/// | [`RetiredKey`](Self::RetiredKey) | keep | the key retired before its last session ended |
/// | [`RevokedKey`](Self::RevokedKey) | clear | the key leaked, and was revoked |
/// | [`UnsupportedVersion`](Self::UnsupportedVersion) | keep | a node with a newer release of this crate |
/// | [`UnsupportedFormat`](Self::UnsupportedFormat) | keep | a node with more features of this crate |
/// | [`NewerSchema`](Self::NewerSchema) | keep | a node with a newer release of the application |
/// | [`NoMigration`](Self::NoMigration) | keep | a [`migration`](crate::Builder::migration) is missing here |
/// | [`Deserialize`](Self::Deserialize) | keep | a field was added without `#[serde(default)]` |
/// | [`FromFuture`](Self::FromFuture) | keep | a clock is wrong, here or on the node that sealed it |
/// | [`MissingChunk`](Self::MissingChunk), [`MixedChunks`](Self::MixedChunks) | keep | the browser dropped a cookie, or two responses crossed |
/// | [`Malformed`](Self::Malformed) | clear | another program's cookie of this name, or a scanner |
/// | [`Unauthentic`](Self::Unauthentic) | clear | damage, an attack, or another name or [`context`](crate::Builder::context) |
/// | [`TooManyChunks`](Self::TooManyChunks) | clear | a scanner |
/// | [`Message`](Self::Message) | keep | a fault of the program that sealed it |
/// | [`OtherCodec`](Self::OtherCodec) | keep | this program: the [`Request`](crate::Request) is of another codec |
///
/// # Example
///
/// ```
/// use sealed_session::{Advice, Codec, Opened, Request, SetCookies};
///
/// /// The session, if there is one, and what to send if the cookie is of no use to any node.
/// fn open(codec: &Codec<String>, request: &Request<'_>) -> (Option<Opened<String>>, SetCookies) {
///     match codec.decode(request) {
///         Ok(opened) => (opened, SetCookies::default()),
///         Err(error) => {
///             eprintln!("{error}");
///             match error.advice() {
///                 Advice::Clear => (None, codec.clear(request)),
///                 // Another node may read it, or it ends by itself: leave it alone.
///                 _ => (None, SetCookies::default()),
///             }
///         }
///     }
/// }
/// # let codec = Codec::<String>::new(sealed_session::Key::generate().unwrap());
/// # let (session, set_cookies) = open(&codec, &codec.request(["__Host-session=nonsense"]));
/// # assert!(session.is_none() && set_cookies.removed().count() == 1);
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The cookie's value is no sealed session: wrong alphabet or too short. *Clear.*
    #[error("the session cookie is malformed")]
    Malformed,
    /// A newer version of this crate sealed it. *Keep*: newer nodes read it.
    #[error("the session cookie has wire version {0}, which this node does not know")]
    UnsupportedVersion(u8),
    /// The ring does not hold the key. *Keep*: the key may not have reached this node yet. If the key is
    /// lost for good, put its id into the ring with [`RingKey::revoked`](crate::RingKey::revoked).
    #[error("the key {0} of the session cookie is not in the ring")]
    UnknownKey(KeyId),
    /// The key has retired. *Keep*: it ends by itself.
    #[error("the key {0} of the session cookie has retired")]
    RetiredKey(KeyId),
    /// The key was revoked. *Clear.*
    #[error("the key {0} of the session cookie is revoked")]
    RevokedKey(KeyId),
    /// The seal does not hold: damaged, forged, or sealed for another cookie or context. *Clear.*
    #[error("the seal of the session cookie does not hold")]
    Unauthentic,
    /// A further cookie of a session in several is absent. *Keep*: the next request may be whole.
    #[error("a chunk of the session is missing")]
    MissingChunk,
    /// A further cookie is there, but it belongs to another write. *Keep*: as for a missing one.
    #[error("the chunks of the session are of different writes")]
    MixedChunks,
    /// More cookies are announced than a session may have. *Clear.*
    #[error("the session announces {0} chunks")]
    TooManyChunks(u8),
    /// The session is older than the absolute timeout, or was idle for too long. *Clear.*
    #[error("the session has expired ({0})")]
    Expired(Expiry),
    /// It was sealed later than now, by more than the allowed skew. *Keep*: a clock is wrong, and it
    /// may be this node's.
    #[error("the session was sealed {} s in the future", .by.as_secs())]
    FromFuture {
        /// How far in the future.
        by: Duration,
    },
    /// Its format is not compiled in, or it has a part that this version does not know. *Keep.*
    #[error("the format of the session is not known to this node")]
    UnsupportedFormat,
    /// A newer release of the application sealed it. *Keep.*
    #[error("the session has schema {found}, this node has schema {known}")]
    NewerSchema {
        /// The schema of the session.
        found: u32,
        /// The newest schema of this codec.
        known: u32,
    },
    /// An older release sealed it, and no migration from there was given. *Keep.*
    #[error("the session has schema {found}, and no migration starts there")]
    NoMigration {
        /// The schema of the session.
        found: u32,
    },
    /// The session does not fit the type, most likely because a field was added, or is left out by
    /// `skip_serializing_if`, without `#[serde(default)]`. *Keep*: the other release reads it.
    ///
    /// The source names the field or the types, and nothing of what the session holds.
    #[error("the session does not fit its type")]
    Deserialize(#[source] Source),
    /// The seal holds, but what is inside does not follow the format: a fault of the sealing side. *Keep.*
    #[error("the sealed message is malformed")]
    Message,
    /// The [`Request`](crate::Request) was made by a codec with another cookie or context: a fault in the
    /// program. *Keep.*
    #[error("the request was read by another codec")]
    OtherCodec,
}

impl DecodeError {
    /// Says what to do with the cookie, so that a middleware need not guess.
    ///
    /// [`Advice::Clear`] only where no node can read the cookie again, as long as their clocks are right and
    /// their contexts and timeouts are the same.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            _ if self.is_readable_elsewhere() => Advice::Keep,
            // The next request may be whole; what a retired key sealed ends by itself.
            Self::MissingChunk | Self::MixedChunks | Self::RetiredKey(_) => Advice::Keep,
            _ => Advice::Clear,
        }
    }

    /// Tells whether another node, with another version, ring, release or clock, may read this session.
    ///
    /// [`Codec::encode`](crate::Codec::encode) does not overwrite such a session.
    #[must_use]
    pub fn is_readable_elsewhere(&self) -> bool {
        match self {
            Self::UnsupportedVersion(_)
            | Self::UnknownKey(_)
            | Self::FromFuture { .. }
            | Self::UnsupportedFormat
            | Self::NewerSchema { .. }
            | Self::NoMigration { .. }
            | Self::Deserialize(_)
            | Self::Message
            | Self::OtherCodec => true,
            Self::Malformed
            | Self::RetiredKey(_)
            | Self::RevokedKey(_)
            | Self::Unauthentic
            | Self::MissingChunk
            | Self::MixedChunks
            | Self::TooManyChunks(_)
            | Self::Expired(_) => false,
        }
    }
}

/// Says what to do with the cookie of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Advice {
    /// Leave it alone: it is fresh, or another node may read it.
    Keep,
    /// Read, but due to be sealed again: pass it to [`Codec::encode`](crate::Codec::encode).
    SealAgain,
    /// No node will read it again: remove it with [`Codec::clear`](crate::Codec::clear).
    Clear,
}

/// Names the two ways in which a session ends by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Expiry {
    /// It began too long ago.
    Absolute,
    /// It was last sealed too long ago.
    Idle,
}

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absolute => "absolute timeout",
            Self::Idle => "idle timeout",
        })
    }
}
