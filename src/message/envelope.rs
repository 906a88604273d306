//! The message: what is inside the seal beside the session.
//!
//! ```text
//! message = tag · began · age · [schema] · [id(16)] · [extensions] · packed · 0x80 · 0x00*
//! tag     = flags(4 bits) · format(4 bits)
//! flags   = 0x1 schema | 0x2 id | 0x4 extensions; 0x8 is reserved
//! began   = varint, seconds since 1970-01-01T00:00:00Z when the session began
//! age     = varint, seconds from there to this sealing
//! schema  = varint, only if not 0
//! varint  = unsigned LEB128, minimal, of at most 64 bits
//!
//! extensions = see `extension`; by type:
//!   1 elsewhere, critical  the reference of the blob in which the body lies, which is empty here: see `blob_ref`
//!   2 origin               reserved for a session that another library's cookie brought
//!   3 lifetime, critical   flags · [absolute] · [idle]: see `lifetime`
//! ```
//!
//! The padding is that of ISO/IEC 7816-4: one 0x80, then zeros.

use std::ops::Range;
use std::time::Duration;

use crate::bytes::secret_bytes::SecretBytes;
use crate::bytes::varint::{read_varint, take, varint_len, write_varint};
#[cfg(feature = "store")]
use crate::message::blob_ref::BlobRef;
use crate::message::error::MessageError;
use crate::message::extension::{Extension, Extensions, MAX_EXTENSIONS, take_extensions};
use crate::message::format::Format;
use crate::message::lifetime::Lifetime;
use crate::message::origin::Origin;
use crate::message::seconds::Seconds;
use crate::message::session_id::SessionId;

/// What stands before the packed session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) format: Format,
    pub(crate) began: Seconds,
    pub(crate) sealed: Seconds,
    pub(crate) schema: u32,
    pub(crate) id: Option<SessionId>,
    /// Where the body lies, if not here.
    #[cfg(feature = "store")]
    pub(crate) elsewhere: Option<BlobRef>,
    pub(crate) lifetime: Lifetime,
    pub(crate) origin: Option<Origin>,
    /// The extensions that this release does not know and may skip, as they were written. They stay with a session that
    /// is resealed as it is.
    pub(crate) skipped: Vec<u8>,
}

impl Envelope {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let extensions = self.extensions();
        let mut tag = self.format.tag();
        tag |= if self.schema == 0 { 0 } else { SCHEMA };
        tag |= if self.id.is_none() { 0 } else { ID };
        tag |= if extensions.is_empty() { 0 } else { EXTENSIONS };
        out.push(tag);
        write_varint(self.began.0, out);
        // A clock that was set back makes no session younger than it is.
        write_varint(self.sealed.0.saturating_sub(self.began.0), out);
        if self.schema != 0 {
            write_varint(self.schema.into(), out);
        }
        if let Some(SessionId(id)) = &self.id {
            out.extend_from_slice(id);
        }
        if !extensions.is_empty() {
            write_varint(u64::try_from(extensions.len()).unwrap_or(u64::MAX), out);
            out.extend_from_slice(&extensions);
        }
    }

    /// Returns the extensions, in ascending order of their types.
    fn extensions(&self) -> SecretBytes {
        let mut lifetime = Vec::new();
        self.lifetime.write(&mut lifetime);
        let mut all: Vec<_> = Vec::new();
        let origin = self.origin.map(|origin| (origin.is_critical(), origin.to_bytes()));
        if let Some((critical, bytes)) = &origin {
            all.push(Extension { kind: ORIGIN, critical: *critical, bytes });
        }
        #[cfg(feature = "store")]
        let mut reference = SecretBytes::default();
        #[cfg(feature = "store")]
        if let Some(elsewhere) = &self.elsewhere {
            reference.reserve_exact(BlobRef::MAX);
            elsewhere.write(&mut reference);
            all.push(Extension { kind: ELSEWHERE, critical: true, bytes: &reference });
        }
        if !lifetime.is_empty() {
            all.push(Extension { kind: LIFETIME, critical: true, bytes: &lifetime });
        }
        // Without them the session means the same, and a block without room for both nobody could read.
        let own: usize = all.iter().map(|extension| extension.bytes.len() + HEAD).sum();
        if own + self.skipped.len() <= MAX_EXTENSIONS {
            all.extend(Extensions::new(&self.skipped).filter_map(Result::ok));
        }
        all.sort_by_key(|extension| extension.kind);
        let mut out = SecretBytes::default();
        #[cfg(feature = "store")]
        if !reference.is_empty() {
            // All at once, so that no key is left behind where it grew.
            out.reserve_exact(MAX_EXTENSIONS);
        }
        all.iter().for_each(|extension| extension.write(&mut out));
        out
    }

    /// Returns the bytes by which this grows until the session is as old as `longest`.
    pub(crate) fn growth(&self, longest: Duration) -> usize {
        let age = self.sealed.since(self.began);
        varint_len(longest.as_secs()).saturating_sub(varint_len(age.as_secs()))
    }

    /// Reads an opened message, and tells where in it the packed session lies.
    pub(crate) fn parse(message: &[u8]) -> Result<(Self, Range<usize>), MessageError> {
        let message = strip_padding(message).ok_or(MessageError::Malformed)?;
        let (tag, mut rest) = message.split_first().ok_or(MessageError::Malformed)?;
        let format = Format::from_tag(tag & 0x0f)
            .filter(|_| tag & RESERVED == 0)
            .ok_or(MessageError::UnsupportedFormat)?;
        let mut envelope =
            Self::parse_fields(*tag, format, &mut rest).ok_or(MessageError::Malformed)?;
        if tag & EXTENSIONS != 0 {
            envelope.parse_extensions(&mut rest)?;
        }
        Ok((envelope, message.len() - rest.len()..message.len()))
    }

    /// Reads by what an opened message can be revoked, also where the rest of it is of a later release.
    #[cfg(feature = "revocation")]
    pub(crate) fn parse_names(message: &[u8]) -> Option<(Option<SessionId>, Option<Origin>)> {
        let (tag, mut rest) = strip_padding(message)?.split_first()?;
        if tag & RESERVED != 0 {
            return None;
        }
        // Whichever the format is.
        let mut envelope = Self::parse_fields(*tag, Format::MessagePack, &mut rest)?;
        if tag & EXTENSIONS != 0 {
            // What is known of them stands before what is not.
            let _ = envelope.parse_extensions(&mut rest);
        }
        Some((envelope.id, envelope.origin))
    }

    fn parse_fields(tag: u8, format: Format, rest: &mut &[u8]) -> Option<Self> {
        let began = read_varint(rest).filter(|began| *began <= Seconds::MAX.0)?;
        let age = read_varint(rest).filter(|age| *age <= Seconds::MAX.0)?;
        let schema = match tag & SCHEMA {
            0 => 0,
            _ => u32::try_from(read_varint(rest)?).ok().filter(|schema| *schema != 0)?,
        };
        let id = match tag & ID {
            0 => None,
            _ => Some(SessionId(*take(rest)?)),
        };
        let (began, sealed) = (Seconds(began), Seconds(began + age));
        let (lifetime, origin, skipped) = (Lifetime::new(), None, Vec::new());
        Some(Self {
            format,
            began,
            sealed,
            schema,
            id,
            #[cfg(feature = "store")]
            elsewhere: None,
            lifetime,
            origin,
            skipped,
        })
    }

    fn parse_extensions(&mut self, rest: &mut &[u8]) -> Result<(), MessageError> {
        for extension in take_extensions(rest)? {
            let extension = extension?;
            match (extension.kind, extension.critical) {
                (ORIGIN, critical) => {
                    let origin = Origin::parse(extension.bytes)?;
                    if origin.is_critical() != critical {
                        return Err(MessageError::Malformed);
                    }
                    self.origin = Some(origin);
                }
                (LIFETIME, true) => self.lifetime = Lifetime::parse(extension.bytes)?,
                #[cfg(feature = "store")]
                (ELSEWHERE, true) => {
                    let reference = BlobRef::parse(extension.bytes);
                    self.elsewhere = Some(reference.ok_or(MessageError::Malformed)?);
                }
                #[cfg(feature = "store")]
                (ELSEWHERE, false) => return Err(MessageError::Malformed),
                (LIFETIME, false) => return Err(MessageError::Malformed),
                (_, true) => return Err(MessageError::UnsupportedFormat),
                (_, false) => extension.write(&mut self.skipped),
            }
        }
        Ok(())
    }
}

/// Pads the message at the end of `out`, so that `out` gets this length: at least one byte more.
pub(crate) fn pad(out: &mut Vec<u8>, len: usize) {
    out.push(MARKER);
    out.resize(len.max(out.len()), 0);
}

fn strip_padding(message: &[u8]) -> Option<&[u8]> {
    let last = message.iter().rposition(|byte| *byte != 0)?;
    match message.split_at(last) {
        (before, [MARKER, ..]) => Some(before),
        _ => None,
    }
}

const SCHEMA: u8 = 0x10;
const ID: u8 = 0x20;
const EXTENSIONS: u8 = 0x40;
const RESERVED: u8 = 0x80;
const MARKER: u8 = 0x80;

/// What type and length take of one of our own extensions, at most.
const HEAD: usize = 3;

/// The type of the extension that holds a `BlobRef`.
#[cfg(feature = "store")]
const ELSEWHERE: u64 = 1;

/// The type of the extension that holds an [`Origin`].
const ORIGIN: u64 = 2;

/// The type of the extension that holds a [`Lifetime`].
const LIFETIME: u64 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "revocation")]
    #[test]
    fn an_id_is_read_whatever_a_later_release_wrote_behind_it() {
        let id = SessionId([7; 16]);
        for (tag, rest) in [
            (0x21, &[][..]),
            (0x2f, &[]),         // a format of a later release
            (0x61, &[2, 13, 0]), // an extension that must be known
            (0x61, &[2, 13]),    // extensions that are malformed
        ] {
            let message = [&[tag, 0, 0][..], &[7; 16], rest, &[MARKER]].concat();
            assert_eq!(Envelope::parse_names(&message), Some((Some(id), None)), "{rest:?}");
        }
        for bad in [&[][..], &[0xa1, 0, 0, MARKER], &[0x21, 0, 0, 7, MARKER], &[0x21, 0, 0]] {
            assert_eq!(Envelope::parse_names(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn what_is_written_can_be_read_however_much_a_later_release_wrote() {
        for len in 0..MAX_EXTENSIONS - 3 {
            let mut skipped = Vec::new();
            Extension { kind: 9, critical: false, bytes: &vec![7; len] }.write(&mut skipped);
            let (mut envelope, _) = Envelope::parse(&[0x01, 0, 0, MARKER]).unwrap();
            envelope.skipped = skipped;
            envelope.lifetime = Lifetime::new().idle_timeout(Duration::from_secs(900));
            envelope.origin = Some(Origin { tag: [7; 16], beside: true });
            let mut message = Vec::new();
            envelope.write(&mut message);
            message.push(MARKER);
            let (read, _) = Envelope::parse(&message).unwrap();
            assert_eq!((read.lifetime, read.origin), (envelope.lifetime, envelope.origin));
            assert!(read.skipped == envelope.skipped || (read.skipped.is_empty() && len > 450));
        }
    }

    #[test]
    fn every_envelope_round_trips_at_every_padding() {
        for schema in [0, 1, 300, u32::MAX] {
            for id in [None, Some(SessionId([7; 16]))] {
                for body in [&b""[..], &[0x80], &[0, 0], &[0x80, 0, 0], b"session"] {
                    for padded in [0, 64, 65] {
                        let lifetime = Lifetime::new().idle_timeout(Duration::from_secs(900));
                        let skipped = [&[8, 0][..], &[12, 1, 7]].concat(); // types 4 and 6
                        let (lifetime, skipped) = match padded {
                            64 => (lifetime, skipped),
                            65 => (lifetime, Vec::new()),
                            _ => (Lifetime::new(), Vec::new()),
                        };
                        let envelope = Envelope {
                            format: Format::MessagePack,
                            began: Seconds(1_763_996_400),
                            sealed: Seconds(1_763_996_400 + 300),
                            schema,
                            id,
                            #[cfg(feature = "store")]
                            elsewhere: (padded == 64)
                                .then(|| BlobRef::fresh(None, crate::bytes::random::fill).unwrap()),
                            lifetime,
                            origin: (padded != 0)
                                .then_some(Origin { tag: [9; 16], beside: padded == 64 }),
                            skipped,
                        };
                        let mut out = vec![9; 3];
                        envelope.write(&mut out);
                        out.extend_from_slice(body);
                        pad(&mut out, padded);
                        let (found, range) = Envelope::parse(&out[3..]).unwrap();
                        assert_eq!((found, &out[3..][range]), (envelope, body));
                    }
                }
            }
        }
    }

    #[test]
    fn each_malformed_message_is_refused_by_name() {
        use MessageError::{Malformed as Message, UnsupportedFormat};
        let max = [0xff, 0xff, 0xff, 0xff, 0xff, 0x1f]; // 2⁴⁰ - 1
        let over = [0x80, 0x80, 0x80, 0x80, 0x80, 0x20]; // 2⁴⁰
        type Case<'a> = (&'a [&'a [u8]], Result<(), MessageError>);
        let cases: &[Case<'_>] = &[
            (&[], Err(Message)),
            (&[&[0, 0, 0]], Err(Message)),       // all padding
            (&[&[0x01, 0, 0]], Err(Message)),    // no marker
            (&[&[0x80]], Err(Message)),          // marker alone
            (&[&[0x01, 0x80]], Err(Message)),    // no times
            (&[&[0x01, 0, 0x80]], Err(Message)), // no age
            (&[&[0x01, 0, 0, 0x80]], Ok(())),    // empty body
            (&[&[0x00, 0, 0, 0x80]], Err(UnsupportedFormat)),
            (&[&[0x0f, 0, 0, 0x80]], Err(UnsupportedFormat)),
            (&[&[0x81, 0, 0, 0x80]], Err(UnsupportedFormat)), // a flag of later
            (&[&[0x01], &max, &max, &[0x80]], Ok(())),
            (&[&[0x01], &over, &[0, 0x80]], Err(Message)),
            (&[&[0x01, 0], &over, &[0x80]], Err(Message)),
            (&[&[0x11, 0, 0, 0, 0x80]], Err(Message)), // schema 0 is written by leaving it out
            (&[&[0x11, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x1f, 0x80]], Err(Message)), // schema over 32 bits
            (&[&[0x21, 0, 0], &[5; 15], &[0x80]], Err(Message)),                  // short id
            (&[&[0x21, 0, 0], &[5; 16], &[0x80]], Ok(())),
            (&[&[0x41, 0, 0, 3, 8, 0, 0x80]], Err(Message)), // extensions longer than the message
            (&[&[0x41, 0, 0, 0, 0x80]], Err(Message)),       // none is written by leaving them out
            (&[&[0x41, 0, 0, 2, 8, 0, 0x80]], Ok(())),       // an unknown one is skipped
            (&[&[0x41, 0, 0, 2, 9, 0, 0x80]], Err(UnsupportedFormat)), // but not if it is critical
            (&[&[0x41, 0, 0, 3, 7, 1, 4, 0x80]], Ok(())),    // a lifetime
            (&[&[0x41, 0, 0, 3, 6, 1, 4, 0x80]], Err(Message)), // which is always critical
            (&[&[0x41, 0, 0, 3, 7, 1, 8, 0x80]], Err(UnsupportedFormat)), // a bound of later releases
            (&[&[0x41, 0, 0, 3, 7, 1, 0, 0x80]], Err(Message)),           // of nothing
            (&[&[0x41, 0, 0, 19, 4, 17, 0], &[7; 16], &[0x80]], Ok(())),  // an origin
            (&[&[0x41, 0, 0, 19, 5, 17, 1], &[7; 16], &[0x80]], Ok(())), // beside its cookie, critical
            (&[&[0x41, 0, 0, 19, 4, 17, 1], &[7; 16], &[0x80]], Err(Message)), // and no less
            (&[&[0x41, 0, 0, 19, 5, 17, 0], &[7; 16], &[0x80]], Err(Message)), // nor more
            (&[&[0x41, 0, 0, 19, 5, 17, 2], &[7; 16], &[0x80]], Err(UnsupportedFormat)),
        ];
        for (parts, expected) in cases {
            let message = parts.concat();
            let found = Envelope::parse(&message).map(|_| ());
            assert_eq!(
                found.as_ref().map_err(ToString::to_string),
                expected.as_ref().map_err(ToString::to_string),
                "{message:x?}"
            );
        }
    }
}
