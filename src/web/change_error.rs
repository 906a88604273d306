//! Why a session was not changed.

use super::TARGET;
#[cfg(doc)]
use super::session::Session;
use crate::DecodeError;

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
