//! Errors: which setting browsers or proxies would turn into a silent failure, and which limit a session breaks.

use std::fmt;

use crate::message::format::Format;
use crate::message::recorder::FieldSize;

/// The reason why [`Builder::build`](crate::Builder::build) refused a setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The cookie-name is empty or holds a character that is not of a token (RFC 6265bis, 4.1.1).
    #[error("the cookie name is empty or holds a character that cookie names must not have")]
    Name,
    /// A reader is to read the cookie of another library that has the name of ours, which would be either's.
    #[error("the cookie of another library must have another name than ours")]
    OldName,
    /// Nodes of the old application are said to run up to the end date of its cookie, or until shortly before it: whoever
    /// comes with a session of these days after that date would be logged out.
    #[error(
        "the end date of an old cookie must be the idle timeout or more after the last old node is gone"
    )]
    OldNodesTooLong,
    /// The cookie-name ends with a dot and a number, as those of the further cookies of a split session do.
    #[error("the cookie name must not end with a dot and a number, as those of further cookies do")]
    NameOfChunk,
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
    /// No URL has this path, so that browsers would never send the cookie.
    #[error("the path {why}")]
    Path {
        /// What it must do.
        why: &'static str,
    },
    /// Browsers would ignore a cookie of this domain.
    #[error("the domain {why}")]
    Domain {
        /// What it must do.
        why: &'static str,
    },
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
    /// What is revoked would be forgotten while its sessions live.
    #[error(
        "the time given to Revocations::new is shorter than the absolute timeout, or the clock skew is over half a day"
    )]
    RevocationsTooShort,
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
    /// The codecs of an application may together exceed what its proxy takes.
    #[error("the codecs together have {what} of {needed}, {allowed} are allowed")]
    TooMuchTogether {
        /// Which of the limits.
        what: &'static str,
        /// The sum over the codecs.
        needed: usize,
        /// What the proxy takes.
        allowed: usize,
    },
    /// The limits leave no room for a session.
    #[error(
        "the limits leave no room for a session; raise them, or shorten the name and the attributes"
    )]
    LimitTooLow,
}

/// How far over which limit a session is, and what weighs most in it.
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

/// A limit that a session can break.
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
