//! The settings of a codec, checked, and what follows from them alone.

use std::collections::BTreeMap;
use std::time::SystemTime;

use memchr::memmem;

use crate::attributes::Attributes;
use crate::envelope::{Envelope, Seconds, SessionId};
use crate::error::DecodeError;
use crate::format::Format;
use crate::limits::{Layout, Padding, padme};
use crate::pack::{Compression, Method};
use crate::request::Remembered;
use crate::ring::{KeyRing, Keys};
use crate::seal::{self, Binding, Random};
use crate::text;
use crate::time::Lifetimes;

pub(crate) struct Settings<T> {
    pub(crate) ring: KeyRing,
    pub(crate) binding: Binding,
    pub(crate) finder: memmem::Finder<'static>,
    pub(crate) attributes: Attributes,
    pub(crate) layout: Layout,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) format: Format,
    pub(crate) compression: Compression,
    pub(crate) padding: Padding,
    pub(crate) session_ids: bool,
    pub(crate) schema: u32,
    pub(crate) migrations: BTreeMap<u32, Migrate<T>>,
    pub(crate) random: Random,
}

/// Reads a session of an older schema.
pub(crate) type Migrate<T> = Box<dyn Fn(Format, &[u8]) -> Result<T, DecodeError> + Send + Sync>;

impl<T> Settings<T> {
    /// Says whether a session is due to be sealed again, and why.
    pub(crate) fn reseal(
        &self,
        found: &Remembered,
        keys: &Keys,
        now: SystemTime,
    ) -> Option<Reseal> {
        let Remembered { envelope, key, .. } = found;
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

    /// Judges once more what was opened before: its time may have passed, and its key been revoked.
    pub(crate) fn check(
        &self,
        found: &Remembered,
        keys: &Keys,
        now: SystemTime,
    ) -> Result<(), DecodeError> {
        if let Err(error @ DecodeError::RevokedKey(_)) = keys.opening(found.key, now) {
            return Err(error);
        }
        self.lifetimes.check(&found.envelope, now)
    }

    /// Gives the length of what a message has beside a plain body and with the marker, for a session
    /// that begins today, and by how much it grows.
    pub(crate) fn envelope_len(&self) -> (usize, usize) {
        let mut out = Vec::with_capacity(ENVELOPE);
        let today = Seconds(1 << 31);
        let envelope = Envelope {
            format: self.format,
            method: Method::Lz4,
            began: today,
            sealed: today,
            schema: self.schema,
            id: self.session_ids.then_some(SessionId([0; SessionId::LEN])),
        };
        envelope.write(&mut out);
        (out.len() + 2, envelope.growth(self.lifetimes.absolute))
    }

    /// Gives the number of cookies for a message of this length, marker included, and its padded length.
    ///
    /// There is room for `growth` more bytes, so that a session which fits once fits until it ends.
    pub(crate) fn padded(&self, message: usize, growth: usize) -> Option<(u8, usize)> {
        let cookies_for = |len| self.layout.cookies_for(text::encoded_len(len + seal::OVERHEAD));
        let cookies = cookies_for(message + growth)?;
        // It has to fill the cookies that it announces.
        let least = if cookies_for(message) == Some(cookies) { message } else { message + growth };
        let wanted = match self.padding {
            // What is seen is the length of the sealed value.
            Padding::Padme => padme(message + seal::OVERHEAD) - seal::OVERHEAD,
            Padding::DangerousNone => message,
        };
        // Padding never costs a cookie, nor makes a session too large.
        let most = self.layout.max_sealed(cookies) - seal::OVERHEAD;
        Some((cookies, wanted.max(least).min(most)))
    }
}

/// Says why a session is due to be sealed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reseal {
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

/// The most that an envelope takes.
pub(crate) const ENVELOPE: usize = 40;
