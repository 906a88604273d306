//! Errors: why a session was not sealed or not opened, and what to do about the cookie then.
//!
//! No message holds a secret, an offset, or a byte of a cookie. `TooLarge` names fields, escaped; with maps, those
//! are keys of the session.

use std::fmt;
use std::time::Duration;

use crate::cookie::chunk::ChunkError;
use crate::cookie::error::TooLarge;
use crate::error::{Causes, Source};
use crate::keys::error::KeyRefusal;
use crate::keys::key_id::KeyId;
use crate::message::error::MessageError;
use crate::observe::{self, RefusedKey, Severity};
use crate::seal::{OpenError, SealError};
#[cfg(feature = "store")]
use crate::store::attached::Unopened;
#[cfg(feature = "store")]
use crate::store::blob::BlobError;

/// The reason why a session was not sealed. No cookie is set then, so the client keeps the old one.
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
    /// revoked. Nothing of it is resealed: the user has to log in.
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

impl EncodeError {
    /// Informs operators of it.
    pub(crate) fn observe(&self) {
        let (reason, severity) = match self {
            Self::TooLarge(too_large) => {
                ("too_large", Severity::TooLarge(too_large.needed, too_large.allowed))
            }
            Self::WouldReplace(_) => ("would_replace", Severity::Info),
            Self::Ended(_) => ("ended", Severity::Info),
            Self::NoActiveKey => ("no_active_key", Severity::Error),
            Self::Serialize(_) => ("serialize", Severity::Error),
            Self::Random(_) => ("random", Severity::Error),
        };
        observe::not_sealed(reason, severity, &Causes(self));
    }
}

impl From<SealError> for EncodeError {
    fn from(error: SealError) -> Self {
        match error {
            SealError::NoActiveKey => Self::NoActiveKey,
            SealError::Random(source) => Self::Random(source),
        }
    }
}

/// The reason why the request's session cookie gave no session.
///
/// A client can bring about some of these by sending nonsense, so one alone is no fault of the server. Show
/// clients one and the same refusal for all; the reason is for the log.
///
/// | variant | [advice](Self::advice) | likely cause |
/// |---|---|---|
/// | [`Expired`](Self::Expired) | clear | none: the session reached a timeout |
/// | [`OldCookieGone`](Self::OldCookieGone) | clear | none: a node of the old application logged the user out |
/// | [`UnknownKey`](Self::UnknownKey) | keep | the key has not reached this node yet, or was removed too early |
/// | [`RetiredKey`](Self::RetiredKey) | keep | the key retired before its last session ended |
/// | [`RevokedKey`](Self::RevokedKey) | clear | the key leaked, and was revoked |
/// | [`BeforeCutoff`](Self::BeforeCutoff) | clear | a key leaked, and what it may have forged was ended |
/// | [`Revoked`](Self::Revoked) | clear | a logout, or "log out everywhere" |
/// | [`RevocationsStale`](Self::RevocationsStale) | keep | the feed of revocations is lost, and you chose to refuse then |
/// | [`UnsupportedVersion`](Self::UnsupportedVersion) | keep | a node with a newer release of this crate |
/// | [`UnsupportedFormat`](Self::UnsupportedFormat) | keep | a node with more features of this crate |
/// | [`NewerSchema`](Self::NewerSchema) | keep | a node with a newer release of the application |
/// | [`NoMigration`](Self::NoMigration) | keep | a [`migration`](crate::Builder::migration) is missing here |
/// | [`Deserialize`](Self::Deserialize) | keep | a field was added without `#[serde(default)]` |
/// | [`FromFuture`](Self::FromFuture) | keep | a clock is wrong, here or on the node that sealed it |
/// | [`MissingChunk`](Self::MissingChunk), [`MixedChunks`](Self::MixedChunks) | keep | the browser dropped a cookie, or two responses crossed |
/// | [`Malformed`](Self::Malformed) | clear | another program's cookie of this name, or a scanner |
/// | [`InvalidTag`](Self::InvalidTag) | clear | damage, an attack, or another name or [`context`](crate::Builder::context) |
/// | [`TooManyChunks`](Self::TooManyChunks) | clear | a scanner |
/// | [`NotAccepted`](Self::NotAccepted) | clear | the application refused it, for a deny list, say |
/// | [`TooManyValues`](Self::TooManyValues) | keep | a sibling domain set many cookies of this name |
/// | [`Message`](Self::Message) | keep | a fault of the program that sealed it |
/// | [`OtherCodec`](Self::OtherCodec) | keep | this program: the [`RequestCookies`](crate::RequestCookies) are of another codec |
#[cfg_attr(
    feature = "store",
    doc = "| [`Blob`](Self::Blob) | of [`BlobError`] | the store is down, was flushed, or lies |"
)]
///
/// # Example
///
/// ```
/// use sealed_session::{Codec, DecodeError, Opened, RequestCookies};
///
/// /// Returns the session, if there is one. Why there is none is for the log.
/// fn open(codec: &Codec<String>, request: &RequestCookies<'_>) -> Option<Opened<String>> {
///     codec.decode(request).unwrap_or_else(|error| {
///         match &error {
///             DecodeError::Expired(_) => {} // every session ends so
///             error if error.is_readable_elsewhere() => eprintln!("no session on this node: {error}"),
///             error => eprintln!("no session: {error}"),
///         }
///         None
///     })
/// }
/// # let codec = Codec::<String>::new(sealed_session::Key::generate().unwrap());
/// # assert!(open(&codec, &codec.request(["__Host-session=nonsense"])).is_none());
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
    /// The session began before the cutoff of the ring: all such sessions were ended, since one may have been forged.
    /// *Clear.*
    #[error("the session began before the cutoff of the key ring")]
    BeforeCutoff,
    /// The session was revoked: by its id, by one of its tags, or by when it began. *Clear.*
    #[error("the session was revoked")]
    Revoked,
    /// It is not known at present what is revoked, and the application chose to refuse sessions then. *Keep*: answer
    /// 503, and never as if there were no session.
    #[error("it is not known at present which sessions are revoked")]
    RevocationsStale,
    /// The seal does not hold: damaged, forged, or sealed for another cookie or context. *Clear.*
    #[error("the seal of the session cookie does not hold")]
    InvalidTag,
    /// A further cookie of a session in several is absent. *Keep*: the next request may be whole.
    #[error("a chunk of the session is missing")]
    MissingChunk,
    /// A further cookie is there, but it belongs to another write. *Keep*: as for a missing one.
    #[error("the chunks of the session are of different writes")]
    MixedChunks,
    /// More cookies are announced than a session may have. *Clear.*
    #[error("the session announces {0} chunks")]
    TooManyChunks(u8),
    /// None of the values that were tried gives a session, and there are more of this name. *Keep*: one of those may.
    /// A name that begins with `__Host-` keeps other domains from setting it.
    #[error("the request has more values of the session cookie than are tried")]
    TooManyValues,
    /// The session is older than the absolute timeout, or was idle for too long. *Clear.*
    #[error("the session has expired ({0})")]
    Expired(Expiry),
    /// It was sealed to be valid beside the cookie of an old application, which is gone: a node of that application
    /// ended it ([`Reader::old_nodes_until`](crate::legacy::Reader::old_nodes_until)). *Clear.*
    #[error("the session was valid beside the cookie of the old application, which is gone")]
    OldCookieGone,
    /// It was sealed later than now, by more than the allowed skew. *Keep*: a clock is wrong, and it
    /// may be this node's.
    #[error("the session was sealed {} s in the future", .by.as_secs())]
    FromFuture {
        /// How far in the future.
        by: Duration,
    },
    /// Its format is not compiled in, or it has a part that this version does not know; or its format is positional and
    /// not the codec's, and no [migration](crate::Builder::migration_in) is for it. *Keep.*
    #[error("the format of the session is not read by this node")]
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
    /// The [`RequestCookies`](crate::RequestCookies) were made by another codec: a fault in the program. *Keep.*
    #[error("the request was read by another codec")]
    OtherCodec,
    /// The application refused it: see `SessionLayer::accept` of the middlewares. *Clear.*
    #[error("the application does not accept the session")]
    NotAccepted,
    /// What lies in the store, the session or a value beside it, could not be had from there.
    #[cfg(feature = "store")]
    #[error(transparent)]
    Blob(BlobError),
}

impl DecodeError {
    /// Returns what to do with the cookie, so that a middleware need not guess.
    ///
    /// [`Advice::Clear`] only where no node can read the cookie again, as long as their clocks are right and
    /// their contexts and timeouts are the same. Not on a mere read even then: see there.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            _ if self.is_readable_elsewhere() => Advice::Keep,
            // The next request may be whole; what a retired key sealed ends by itself.
            Self::MissingChunk | Self::MixedChunks | Self::RetiredKey(_) => Advice::Keep,
            #[cfg(feature = "store")]
            Self::Blob(BlobError::Unauthentic) => Advice::Keep,
            _ => Advice::Clear,
        }
    }

    /// Returns whether another node, with another version, ring, release or clock, may read this session.
    ///
    /// [`Codec::encode`](crate::Codec::encode) does not overwrite such a session.
    #[must_use]
    pub fn is_readable_elsewhere(&self) -> bool {
        match self {
            #[cfg(feature = "store")]
            Self::Blob(error) => {
                matches!(error, BlobError::NotFetched(_) | BlobError::Unavailable(_))
            }
            Self::UnsupportedVersion(_)
            | Self::UnknownKey(_)
            | Self::FromFuture { .. }
            | Self::UnsupportedFormat
            | Self::NewerSchema { .. }
            | Self::NoMigration { .. }
            | Self::Deserialize(_)
            | Self::TooManyValues
            | Self::Message
            | Self::RevocationsStale
            | Self::OtherCodec => true,
            Self::Malformed
            | Self::RetiredKey(_)
            | Self::RevokedKey(_)
            | Self::BeforeCutoff
            | Self::Revoked
            | Self::InvalidTag
            | Self::MissingChunk
            | Self::MixedChunks
            | Self::TooManyChunks(_)
            | Self::NotAccepted
            | Self::Expired(_)
            | Self::OldCookieGone => false,
        }
    }
}

impl DecodeError {
    /// Informs operators of it, and of the key of the ring that the cookie names, if it got as far.
    pub(crate) fn observe(&self, key: Option<KeyId>) {
        let reason = match self {
            Self::Malformed => "malformed",
            Self::UnsupportedVersion(_) => "unsupported_version",
            Self::UnknownKey(_) => "unknown_key",
            Self::RetiredKey(_) => "retired_key",
            Self::RevokedKey(_) => "revoked_key",
            Self::BeforeCutoff => "before_cutoff",
            Self::Revoked => "revoked",
            Self::RevocationsStale => "revocations_stale",
            Self::InvalidTag => "invalid_tag",
            Self::MissingChunk => "missing_chunk",
            Self::MixedChunks => "mixed_chunks",
            Self::TooManyChunks(_) => "too_many_chunks",
            Self::TooManyValues => "too_many_values",
            Self::Expired(Expiry::Absolute) => "expired_absolute",
            Self::Expired(Expiry::Idle) => "expired_idle",
            Self::OldCookieGone => "old_cookie_gone",
            Self::FromFuture { .. } => "from_future",
            Self::UnsupportedFormat => "unsupported_format",
            Self::NewerSchema { .. } => "newer_schema",
            Self::NoMigration { .. } => "no_migration",
            Self::Deserialize(_) => "deserialize",
            Self::Message => "message",
            Self::OtherCodec => "other_codec",
            Self::NotAccepted => "not_accepted",
            #[cfg(feature = "store")]
            Self::Blob(BlobError::NotFetched(_)) => "blob_not_fetched",
            #[cfg(feature = "store")]
            Self::Blob(BlobError::Unavailable(_)) => "store_unavailable",
            #[cfg(feature = "store")]
            Self::Blob(BlobError::Gone) => "blob_gone",
            #[cfg(feature = "store")]
            Self::Blob(BlobError::Unauthentic) => "blob_unauthentic",
        };
        let (key, likely) = match self {
            Self::RetiredKey(id) | Self::RevokedKey(id) => (RefusedKey::Known(*id), None),
            Self::UnknownKey(id) => (RefusedKey::Unknown(*id), Some(UNKNOWN_KEY)),
            Self::InvalidTag => {
                (key.map_or(RefusedKey::None, RefusedKey::Known), Some(INVALID_TAG))
            }
            _ => (key.map_or(RefusedKey::None, RefusedKey::Known), None),
        };
        observe::refused(
            reason,
            key,
            &Causes(self),
            likely,
            matches!(self, Self::Expired(_) | Self::OldCookieGone),
        );
    }
}

#[cfg(feature = "store")]
impl From<Unopened> for DecodeError {
    fn from(error: Unopened) -> Self {
        match error {
            Unopened::Blob(error) => Self::Blob(error),
            Unopened::Message(error) => error.into(),
        }
    }
}

/// The causes of an unknown key, the likeliest first.
const UNKNOWN_KEY: &str = "another application uses this cookie name on this host, or the key has not reached this \
     node, or the key was lost";

/// Those of a seal that does not hold, under a key that the ring has.
const INVALID_TAG: &str = "the cookie was damaged or forged, or another application on this host uses this cookie name with \
     the same keys, or the context was changed";

impl From<KeyRefusal> for DecodeError {
    fn from(refusal: KeyRefusal) -> Self {
        match refusal {
            KeyRefusal::Unknown(id) => Self::UnknownKey(id),
            KeyRefusal::Retired(id) => Self::RetiredKey(id),
            KeyRefusal::Revoked(id) => Self::RevokedKey(id),
        }
    }
}

impl From<OpenError> for DecodeError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Malformed => Self::Malformed,
            OpenError::UnsupportedVersion(version) => Self::UnsupportedVersion(version),
            OpenError::TooManyChunks(chunks) => Self::TooManyChunks(chunks),
            OpenError::Key(refusal) => refusal.into(),
            OpenError::InvalidTag(_) => Self::InvalidTag,
        }
    }
}

impl From<ChunkError> for DecodeError {
    fn from(error: ChunkError) -> Self {
        match error {
            ChunkError::Header(error) => error.into(),
            ChunkError::Missing => Self::MissingChunk,
            ChunkError::Mixed => Self::MixedChunks,
        }
    }
}

impl From<MessageError> for DecodeError {
    fn from(error: MessageError) -> Self {
        match error {
            MessageError::Malformed => Self::Message,
            MessageError::UnsupportedFormat => Self::UnsupportedFormat,
            MessageError::Deserialize(source) => Self::Deserialize(source),
        }
    }
}

/// What to do with the cookie of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Advice {
    /// Leave it alone: it is fresh, or another node may read it.
    Keep,
    /// Read, but due to be resealed: pass it to [`Codec::encode`](crate::Codec::encode).
    Reseal,
    /// No node will read it again: a write replaces it, and [`Codec::clear`](crate::Codec::clear) may remove it.
    ///
    /// Do not remove it on a mere read. That buys little, for it gives nobody a session, and browsers forget it by its
    /// Max-Age. And it can do harm, whatever the reason was:
    ///
    /// - *Expired*, *RevokedKey*: just then users log in again. A slow read that began before a login and answers after
    ///   it would remove the new session.
    /// - *InvalidTag*, *Malformed*, *TooManyChunks*: it may be the good session of another application on this host, since
    ///   cookies know neither ports nor, but for `Path`, paths.
    Clear,
}

/// The two ways in which a session ends by time.
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
