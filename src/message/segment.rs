//! Segments: the pieces of a packed session.
//!
//! ```text
//! packed  = segment* · [rest]
//! rest    = 0x00 · all bytes up to the end, as they are
//! segment = head · what follows it; head is a varint of n and a kind
//!
//! n << 2                    n bytes, as they are
//! n << 2 | 1                expanded · n compressed bytes
//! n << 2 | 2                n bytes, which stand for their base64url
//! n << 5 | kind << 2 | 3
//!    kind 0                 expanded · n compressed bytes, from the dictionary of claims, which stand for base64url
//!         1                 n bytes, which stand for their hexadecimal digits
//!         2    n = 0        16 bytes, which stand for a UUID
//!         3    n = 0        varint, which stands for a decimal number
//!         4    n = form     varint, which stands for a time
//!         5    n > 1        a run: m · m bytes · head · n values
//!         6                 expanded · n compressed bytes, from the dictionary of words
//!         7                 n bytes, which stand for their base64 with padding
//!
//! expanded = varint, the bytes after inflating << 1 | deflate, else LZ4
//! ```
//!
//! A run stands for n values of one head (base64url, base64, hex, UUID, decimal or time) with the same m bytes between
//! them, at most 16, as a list has them.

use crate::bytes::base64url;
use crate::bytes::timestamp::Form;
use crate::bytes::varint::{read_varint, write_varint};
use crate::message::MAX_BODY;
use crate::message::compress::{Dictionary, Method};
use crate::message::notation::{Notation, Value};

/// What begins a segment. Of bytes, it knows how many follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Head {
    Rest,
    Plain(usize),
    Compressed(Dictionary, usize),
    Text(Notation),
    Run(usize),
}

impl Head {
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        let other = |kind: u64, n: usize| wide(n) << 5 | kind << 2 | 3;
        write_varint(
            match self {
                Self::Rest => 0,
                Self::Plain(n) => wide(n) << 2,
                Self::Compressed(Dictionary::None, n) => wide(n) << 2 | 1,
                Self::Text(Notation::Base64Url(n)) => wide(n) << 2 | 2,
                Self::Compressed(Dictionary::Claims, n) => other(0, n),
                Self::Text(Notation::Hex(n)) => other(1, n),
                Self::Text(Notation::Uuid) => other(2, 0),
                Self::Text(Notation::Decimal) => other(3, 0),
                Self::Text(Notation::Time(form)) => other(4, 0) | form.to_number() << 5,
                Self::Run(n) => other(5, n),
                Self::Compressed(Dictionary::Words, n) => other(6, n),
                Self::Text(Notation::Base64(n)) => other(7, n),
            },
            out,
        );
    }

    #[inline]
    fn read(rest: &mut &[u8]) -> Option<Self> {
        let head = read_varint(rest)?;
        let some = |n: u64| usize::try_from(n).ok().filter(|n| *n > 0);
        let n = head >> 5;
        Some(match (head & 3, head >> 2 & 7) {
            (0, _) if head == 0 => Self::Rest,
            (0, _) => Self::Plain(some(head >> 2)?),
            (1, _) => Self::Compressed(Dictionary::None, some(head >> 2)?),
            (2, _) => Self::Text(Notation::Base64Url(some(head >> 2)?)),
            (_, 0) => Self::Compressed(Dictionary::Claims, some(n)?),
            (_, 1) => Self::Text(Notation::Hex(some(n)?)),
            (_, 2) if n == 0 => Self::Text(Notation::Uuid),
            (_, 3) if n == 0 => Self::Text(Notation::Decimal),
            (_, 4) => Self::Text(Notation::Time(Form::from_number(n)?)),
            (_, 5) if n > 1 => Self::Run(some(n)?),
            (_, 6) => Self::Compressed(Dictionary::Words, some(n)?),
            (_, 7) => Self::Text(Notation::Base64(some(n)?)),
            _ => return None,
        })
    }
}

/// Writes a segment of what so many bytes were compressed to.
pub(crate) fn write_compressed(
    dictionary: Dictionary,
    method: Method,
    expanded: usize,
    bytes: &[u8],
    out: &mut Vec<u8>,
) {
    Head::Compressed(dictionary, bytes.len()).write(out);
    write_varint(wide(expanded) << 1 | u64::from(method == Method::Deflate), out);
    out.extend_from_slice(bytes);
}

/// One segment, as it was read.
pub(crate) enum Segment<'a> {
    Plain(&'a [u8]),
    Compressed { dictionary: Dictionary, method: Method, expanded: usize, bytes: &'a [u8] },
    Text { notation: Notation, value: Value<'a> },
    Run(Run<'a>),
}

/// Values of one notation, with the same bytes between them.
pub(crate) struct Run<'a> {
    pub(crate) separator: &'a [u8],
    pub(crate) notation: Notation,
    values: &'a [u8],
    body_len: usize,
}

impl<'a> Segment<'a> {
    pub(crate) fn read(rest: &mut &'a [u8]) -> Option<Self> {
        let take = |n: usize, rest: &mut &'a [u8]| {
            let bytes;
            (bytes, *rest) = rest.split_at_checked(n)?;
            Some(bytes)
        };
        Some(match Head::read(rest)? {
            Head::Rest => Self::Plain(std::mem::take(rest)),
            Head::Plain(n) => Self::Plain(take(n, rest)?),
            Head::Compressed(dictionary, n) => {
                let expanded = read_varint(rest)?;
                let method = if expanded & 1 == 0 { Method::Lz4 } else { Method::Deflate };
                let expanded = usize::try_from(expanded >> 1).ok();
                let expanded = expanded.filter(|n| (1..=MAX_BODY).contains(n))?;
                Self::Compressed { dictionary, method, expanded, bytes: take(n, rest)? }
            }
            Head::Text(notation) => Self::Text { notation, value: notation.take(rest)? },
            Head::Run(count) => {
                let m = usize::try_from(read_varint(rest)?).ok().filter(|m| *m <= MAX_SEPARATOR)?;
                let separator = take(m, rest)?;
                let Head::Text(notation) = Head::read(rest)? else { return None };
                Self::Run(Run::read(count, separator, notation, rest)?)
            }
        })
    }

    /// Returns the bytes that it stands for.
    pub(crate) fn body_len(&self) -> usize {
        match self {
            Self::Plain(bytes) => bytes.len(),
            Self::Compressed { dictionary: Dictionary::Claims, expanded, .. } => {
                base64url::encoded_len(*expanded)
            }
            Self::Compressed { expanded, .. } => *expanded,
            Self::Text { notation, value } => notation.text_len(*value),
            Self::Run(run) => run.body_len,
        }
    }
}

impl<'a> Run<'a> {
    /// Each value takes a byte at least, so this ends with the bytes, whatever the count says.
    fn read(
        count: usize,
        separator: &'a [u8],
        notation: Notation,
        rest: &mut &'a [u8],
    ) -> Option<Self> {
        let (all, mut body_len) = (*rest, 0_usize);
        for i in 0..count {
            let value = notation.take(rest)?;
            let between = if i == 0 { 0 } else { separator.len() };
            body_len = body_len.saturating_add(between + notation.text_len(value));
        }
        let values = all.get(..all.len() - rest.len())?;
        Some(Self { separator, notation, values, body_len })
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = Value<'a>> {
        let (notation, mut rest) = (self.notation, self.values);
        std::iter::from_fn(move || if rest.is_empty() { None } else { notation.take(&mut rest) })
    }
}

fn wide(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// The most bytes between two values of a run.
pub(crate) const MAX_SEPARATOR: usize = 16;
