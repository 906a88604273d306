//! Resealing: when an unchanged session is resealed, and whether one that was opened still holds.

use std::time::SystemTime;

use crate::codec::error::DecodeError;
use crate::codec::request_cookies::OpenedCookie;
use crate::codec::settings::Settings;
use crate::keys::ring::Keys;
use crate::message::envelope::Envelope;

/// The reason why a session is due to be resealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reseal {
    /// It was read from the cookie of another library ([`Builder::also_reads`](crate::Builder::also_reads)), or need
    /// no longer stay beside that one.
    Moved,
    /// A newer key than the one that sealed it is the primary now. Where the ring does not tell which of the two
    /// is newer, and where the primary is the older one (a promotion was taken back, or clocks differ by
    /// seconds), not before it was idle for the touch threshold: else two nodes could each undo what the other
    /// did, at every request.
    Key,
    /// It was idle for the touch threshold, and was migrated from an older schema. Not before that:
    /// while a deploy runs, older nodes can go on reading what is only read.
    Schema,
    /// It was idle for the touch threshold, and is in another format than that of the codec. It changes over then,
    /// unless it holds what this release does not know and would drop.
    Format,
    /// It was idle for the touch threshold.
    Touch,
}

/// Checks that a session began late enough, by the cutoff of the ring.
pub(crate) fn check_cutoff(envelope: &Envelope, keys: &Keys) -> Result<(), DecodeError> {
    if keys.cutoff().ends(envelope.began.0) { Err(DecodeError::BeforeCutoff) } else { Ok(()) }
}

impl<T> Settings<T> {
    /// Returns whether a session is due to be resealed, and why.
    pub(crate) fn reseal(
        &self,
        found: &OpenedCookie,
        keys: &Keys,
        now: SystemTime,
    ) -> Option<Reseal> {
        let OpenedCookie { envelope, key, .. } = found;
        if found.moved_from.is_some() || self.old.releases(envelope.origin, now) {
            return Some(Reseal::Moved);
        }
        let touch = self.lifetimes.touch_due(envelope, now);
        if touch && envelope.schema != self.schema {
            return Some(Reseal::Schema);
        }
        if touch && envelope.format != self.format {
            return Some(Reseal::Format);
        }
        let primary = keys.primary_at(now).filter(|primary| primary.id != *key);
        let sealing = keys.opening(*key, now).ok().map(|(sealing, _)| sealing);
        match (primary, sealing) {
            (Some(primary), Some(sealing)) if touch || sealing.precedes(primary) => {
                Some(Reseal::Key)
            }
            _ => touch.then_some(Reseal::Touch),
        }
    }

    /// Judges once more what was opened before: its time may have passed, and its key been revoked, retired, or taken
    /// out of the ring, or a cutoff been set. What such a key sealed must not live on under another.
    pub(crate) fn check(
        &self,
        found: &OpenedCookie,
        keys: &Keys,
        now: SystemTime,
    ) -> Result<(), DecodeError> {
        keys.opening(found.key, now)?;
        self.lifetimes.check(&found.envelope, now)?;
        check_cutoff(&found.envelope, keys)?;
        self.judge.ended.check(&found.envelope)
    }
}
