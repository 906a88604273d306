//! The settings of a codec, checked, and what follows from them alone.

use std::collections::BTreeMap;

use memchr::memmem;

use crate::bytes::base64url;
use crate::codec::lifetimes::Lifetimes;
use crate::cookie::attributes::Attributes;
use crate::cookie::layout::Layout;
use crate::cookie::padding::{Padding, padme};
use crate::keys::ring::KeyRing;
use crate::message::envelope::Envelope;
use crate::message::error::MessageError;
use crate::message::format::Format;
use crate::message::lifetime::Lifetime;
use crate::message::pack::{Compression, Method};
use crate::message::seconds::Seconds;
use crate::message::session_id::SessionId;
use crate::seal::binding::Binding;
use crate::seal::{self, Random};

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
pub(crate) type Migrate<T> = Box<dyn Fn(Format, &[u8]) -> Result<T, MessageError> + Send + Sync>;

impl<T> Settings<T> {
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
            lifetime: Lifetime::new(),
            skipped: Vec::new(),
        };
        envelope.write(&mut out);
        (out.len() + 2, envelope.growth(self.lifetimes.absolute))
    }

    /// Gives the number of cookies for a message of this length, marker included, and its padded length.
    ///
    /// There is room for `growth` more bytes, so that a session which fits once fits until it ends.
    pub(crate) fn padded(&self, message: usize, growth: usize) -> Option<(u8, usize)> {
        let cookies_for =
            |len| self.layout.cookies_for(base64url::encoded_len(len + seal::OVERHEAD));
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

/// The most that an envelope takes.
pub(crate) const ENVELOPE: usize = 40;
