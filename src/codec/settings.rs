//! The settings of a codec, checked, and what follows from them alone.

use std::collections::BTreeMap;
#[cfg(feature = "store")]
use std::sync::Arc;
use std::time::SystemTime;

use memchr::memmem;

use crate::bytes::base64url;
use crate::codec::judge::Judge;
use crate::codec::lifetimes::Lifetimes;
use crate::codec::old_cookies::OldCookies;
use crate::codec::request_cookies::CodecId;
use crate::cookie::attributes::Attributes;
use crate::cookie::layout::Layout;
use crate::cookie::padding::{Padding, padme, padme_within};
use crate::keys::ring::KeyRing;
use crate::message::envelope::Envelope;
use crate::message::error::MessageError;
use crate::message::format::Format;
use crate::message::lifetime::Lifetime;
use crate::message::pack::Compression;
use crate::message::seconds::Seconds;
use crate::message::session_id::SessionId;
use crate::seal::binding::Binding;
use crate::seal::{self, Random};
#[cfg(feature = "store")]
use crate::store::work::Overflow;

pub(crate) struct Settings<T> {
    pub(crate) id: CodecId,
    pub(crate) ring: KeyRing,
    pub(crate) binding: Binding,
    pub(crate) finder: memmem::Finder<'static>,
    pub(crate) attributes: Attributes,
    pub(crate) layout: Layout,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) judge: Judge<T>,
    pub(crate) format: Format,
    pub(crate) compression: Compression,
    /// Whether what is sealed is read back before.
    pub(crate) reads_back: bool,
    pub(crate) padding: Padding,
    pub(crate) session_ids: bool,
    pub(crate) schema: u32,
    /// By the schema from which they start, and by the tag of the format if they are for that one alone.
    pub(crate) migrations: BTreeMap<(u32, Option<u8>), Migrate<T>>,
    pub(crate) old: OldCookies<T>,
    pub(crate) random: Random,
    pub(crate) clock: Option<Clock>,
    #[cfg(feature = "store")]
    pub(crate) overflow: Option<Arc<Overflow>>,
}

/// What tells the time in the place of [`SystemTime::now`].
pub(crate) type Clock = Box<dyn Fn() -> SystemTime + Send + Sync>;

/// A function that reads a session of an older schema.
pub(crate) type Migrate<T> = Box<dyn Fn(Format, &[u8]) -> Result<T, MessageError> + Send + Sync>;

impl<T> Settings<T> {
    /// Returns the time, by the codec's clock.
    pub(crate) fn now(&self) -> SystemTime {
        self.clock.as_ref().map_or_else(SystemTime::now, |clock| clock())
    }

    /// Returns the length of what a message has beside a plain body and with the marker, for a session
    /// that begins today, and by how much it grows.
    pub(crate) fn envelope_len(&self) -> (usize, usize) {
        let mut out = Vec::with_capacity(ENVELOPE);
        let today = Seconds(1 << 31);
        let envelope = Envelope {
            format: self.format,
            began: today,
            sealed: today,
            schema: self.schema,
            id: self.session_ids.then_some(SessionId([0; SessionId::LEN])),
            #[cfg(feature = "store")]
            elsewhere: None,
            lifetime: Lifetime::new(),
            origin: None,
            skipped: Vec::new(),
        };
        envelope.write(&mut out);
        (out.len() + 2, envelope.growth(self.lifetimes.absolute))
    }

    /// Returns the number of cookies for a message of this length, marker included, and its padded length.
    ///
    /// Both follow from padded lengths alone, and so does whether it fits at all: else the limit would tell to the byte
    /// what the padding hides. There is room for `growth` more bytes, so that a session which fits once fits until it
    /// ends.
    pub(crate) fn padded(&self, message: usize, growth: usize) -> Option<(u8, usize)> {
        let sealed = |message: usize| match self.padding {
            // What is seen is the length of the sealed value.
            Padding::Padme => padme(message + seal::OVERHEAD),
            Padding::DangerousNone => message + seal::OVERHEAD,
        };
        let cookies_for = |sealed| self.layout.cookies_for(base64url::encoded_len(sealed));
        let (now, grown) = (sealed(message), sealed(message + growth));
        let cookies = cookies_for(grown)?;
        // It has to fill the cookies that it announces.
        let fills = now == grown || cookies_for(now) == Some(cookies);
        let sealed = if fills { now } else { grown };
        Some((cookies, sealed - seal::OVERHEAD))
    }

    /// Returns the longest message, marker included, that any number of cookies holds with its padding.
    pub(crate) fn longest_message(&self) -> usize {
        let most = self.layout.max_sealed_at_all();
        let most = match self.padding {
            Padding::Padme => padme_within(most),
            Padding::DangerousNone => most,
        };
        most.saturating_sub(seal::OVERHEAD)
    }

    /// Returns the characters of a message of this length, with its padding.
    pub(crate) fn chars(&self, message: usize) -> usize {
        let sealed = message + seal::OVERHEAD;
        base64url::encoded_len(match self.padding {
            Padding::Padme => padme(sealed),
            Padding::DangerousNone => sealed,
        })
    }
}

/// The most that an envelope takes.
pub(crate) const ENVELOPE: usize = 40;
