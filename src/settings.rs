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
        if keys.primary_at(now).is_some_and(|primary| primary.id != *key) {
            Some(Reseal::Key)
        } else if !self.lifetimes.touch_due(envelope, now) {
            None
        } else if envelope.schema != self.schema {
            Some(Reseal::Schema)
        } else if envelope.format != self.format {
            Some(Reseal::Format)
        } else {
            Some(Reseal::Touch)
        }
    }

    /// Gives the length of what a message has beside a plain body and with the marker, for a session
    /// that begins today.
    pub(crate) fn envelope_len(&self) -> usize {
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
        out.len() + 2
    }

    /// Gives the number of cookies for a message of this length, marker included, and its padded length.
    pub(crate) fn padded(&self, message: usize) -> Option<(u8, usize)> {
        let chars = text::encoded_len(message + seal::OVERHEAD);
        let cookies = self.layout.cookies_for(chars)?;
        let wanted = match self.padding {
            // What is seen is the length of the sealed value.
            Padding::Padme => padme(message + seal::OVERHEAD) - seal::OVERHEAD,
            Padding::DangerousNone => message,
        };
        // Padding never costs a cookie, nor makes a session too large.
        let most = self.layout.max_sealed(cookies) - seal::OVERHEAD;
        Some((cookies, wanted.min(most)))
    }
}

/// Says why a session is due to be sealed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reseal {
    /// The key that sealed it is not the primary.
    Key,
    /// It was idle for the touch threshold, and was migrated from an older schema. Not before that:
    /// while a deploy runs, older nodes can go on reading what is only read.
    Schema,
    /// It was idle for the touch threshold, and is in another format than that of the codec.
    Format,
    /// It was idle for the touch threshold.
    Touch,
}

/// The most that an envelope takes.
pub(crate) const ENVELOPE: usize = 40;
