//! Logouts that are final, and answers while nobody knows what is revoked.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::TARGET;
use super::before::{Before, Outcome};
use super::change_error::ChangeError;
use super::installed::LayerError;
use super::session::Session;
use crate::revocation::{Receipt, Stored, SubjectTag};
use crate::{Codec, DecodeError};

impl<T: Serialize + DeserializeOwned + 'static> Session<T> {
    /// Ends all sessions with this tag that have begun up to now, on all nodes: "log out everywhere", "end this device".
    ///
    /// That of the request ends too, if it has the tag; [`renew`](Self::renew) it to stay logged in here, in this order.
    /// It holds at once, whatever becomes of the response, which waits until it is stored, for at most
    /// [as long as is set](crate::revocation::Revocations::set_patience).
    ///
    /// # Errors
    ///
    /// [`ChangeError::NotRevoked`].
    ///
    /// # Panics
    ///
    /// If the codec was not given [revocations](crate::Builder::revocations): a fault in the program.
    pub fn revoke_subject(&self, tag: SubjectTag) -> Result<(), ChangeError> {
        let revocations = self.codec().revocations();
        let revocations = revocations.expect("the codec was given revocations");
        let receipt = revocations.revoke_subject(tag);
        self.await_stored(receipt.map_err(|full| self.not_revoked(full))?);
        Ok(())
    }

    /// Revokes the session of the request, and the old cookie that it was read from.
    pub(super) fn revoke(&self) -> Result<(), ChangeError> {
        let receipt = self.codec().revoke(self.request()).map_err(|full| self.not_revoked(full))?;
        if let Some(receipt) = receipt {
            self.await_stored(receipt);
        }
        Ok(())
    }

    fn not_revoked(&self, full: crate::revocation::Full) -> ChangeError {
        ChangeError::NotRevoked(full).logged(self.codec().name())
    }

    /// Checks that it is known whether the session is revoked, where that matters.
    pub(super) fn check_known(&self) -> Result<(), LayerError> {
        let codec = self.codec();
        // Nothing is opened ahead as long as all is well.
        if codec.revocations().is_some_and(|revocations| !revocations.is_fresh())
            && let Err(DecodeError::RevocationsStale) = self.opened()
        {
            return Err(LayerError::revocations_stale(codec.name()));
        }
        Ok(())
    }
}

/// Returns what has to happen before the response of a logout, or of a session that nobody can judge.
pub(super) fn before<T: Serialize + DeserializeOwned + 'static>(
    codec: &Codec<T>,
    receipts: Vec<Receipt>,
    stale: bool,
    then: Option<Before>,
) -> Option<Before> {
    if stale {
        // That the feed is lost was told once, and is no news at each request.
        tracing::debug!(target: TARGET, cookie = codec.name(), "{}", DecodeError::RevocationsStale);
        return Some(Box::pin(std::future::ready(Outcome::Refuse)));
    }
    if receipts.is_empty() {
        return then;
    }
    let patience = codec.revocations().map(crate::revocation::Revocations::patience)?;
    let cookie = codec.name().to_owned();
    Some(Box::pin(async move {
        // Side by side: all are on their way.
        let waiting: Vec<_> = receipts.iter().map(|receipt| receipt.within(patience)).collect();
        for waiting in waiting {
            if waiting.await == Stored::Queued {
                // It holds here, and comes to the others when they can be reached.
                tracing::warn!(target: TARGET, cookie, "a revocation is not stored yet");
            }
        }
        match then {
            Some(then) => then.await,
            None => Outcome::Send,
        }
    }))
}
