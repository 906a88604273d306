//! Notations: strings that stand for fewer bytes than they have characters.
//!
//! Tokens, hashes, ids and times fill sessions, and all of them are bytes or numbers written as text. Packing stores what
//! they stand for. Each notation is strict: a string has one value in it, and a value one string, so that what is read
//! from a string gives the very string again.

use memchr::memchr2;

use crate::bytes::timestamp::{self, Form};
use crate::bytes::varint::{read_varint, write_varint};
use crate::bytes::{base64, base64url, hex};

/// A way to write bytes or a number as text. Of bytes, it knows how many they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notation {
    /// base64url without padding.
    Base64Url(usize),
    /// base64 of the standard alphabet, with padding.
    Base64(usize),
    /// Hexadecimal digits in lower case.
    Hex(usize),
    /// A UUID in lower case.
    Uuid,
    /// A decimal number of at most 64 bits without zeros in front.
    Decimal,
    /// A time of RFC 3339.
    Time(Form),
}

/// What one string in a notation stands for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    Bytes(&'a [u8]),
    Number(u64),
}

impl Notation {
    /// Appends what the string stands for in the notation that takes the fewest bytes, of those that are worth it.
    pub(crate) fn decode(chars: &[u8], out: &mut Vec<u8>) -> Option<Self> {
        let start = out.len();
        Self::candidates(chars).into_iter().flatten().find(|notation| {
            let decoded = notation.decode_onto(chars, out);
            if decoded.is_none() {
                out.truncate(start);
            }
            decoded.is_some()
        })
    }

    /// Returns whether a string may be in some notation, by its first characters.
    #[inline]
    pub(crate) fn may_hold(chars: &[u8]) -> bool {
        classes(chars.get(..chars.len().min(FIRST)).unwrap_or_default()) & OTHER == 0
    }

    /// Returns the notations that a string may be in by its length and its first characters, best first.
    pub(crate) fn candidates(chars: &[u8]) -> [Option<Self>; 3] {
        let len = chars.len();
        let first = chars.get(..len.min(FIRST)).unwrap_or_default();
        let classes = classes(first);
        let is_time = chars.get(10) == Some(&b'T') && first.first().is_some_and(u8::is_ascii_digit);
        if is_time && (20..=35).contains(&len) {
            return [timestamp::parse(chars).map(|(_, form)| Self::Time(form)), None, None];
        }
        if classes & OTHER != 0 || len < MIN_DECIMAL {
            return [None; 3];
        }
        let decimal = (classes == DIGIT && len <= 20 && first.first() != Some(&b'0'))
            .then_some(Self::Decimal);
        let uuid = (len == hex::UUID_LEN && chars.get(8) == Some(&b'-')).then_some(Self::Uuid);
        let is_hex = classes & !(DIGIT | HEX) == 0 && len.is_multiple_of(2) && len >= MIN_TEXT;
        let is_url = classes & STANDARD == 0 && len >= MIN_TEXT;
        // Of a standard base64 that has none of its own characters in it, it is the padding that tells.
        let is_standard = len.is_multiple_of(4) && len >= MIN_TEXT;
        [
            decimal.or(uuid),
            is_hex.then_some(Self::Hex(len / 2)),
            match chars {
                [.., b'=', b'='] if is_standard => Some(Self::Base64(len / 4 * 3 - 2)),
                [.., b'='] if is_standard => Some(Self::Base64(len / 4 * 3 - 1)),
                _ if is_standard && memchr2(b'+', b'/', chars).is_some() => {
                    Some(Self::Base64(len / 4 * 3))
                }
                _ => is_url.then_some(Self::Base64Url(base64url::decoded_len(len))),
            },
        ]
    }

    fn decode_onto(self, chars: &[u8], out: &mut Vec<u8>) -> Option<()> {
        match self {
            Self::Base64Url(_) => base64url::decode_onto(chars, out),
            Self::Base64(_) => base64::decode_onto(chars, out),
            Self::Hex(_) => hex::decode_onto(chars, out),
            Self::Uuid => {
                out.extend_from_slice(&hex::decode_uuid(chars)?);
                Some(())
            }
            Self::Decimal => {
                // Digits alone: `parse` would take a sign.
                let digits = chars.iter().all(u8::is_ascii_digit);
                let number = std::str::from_utf8(chars).ok().filter(|_| digits)?.parse().ok()?;
                write_varint(number, out);
                Some(())
            }
            Self::Time(_) => {
                write_varint(timestamp::parse(chars)?.0, out);
                Some(())
            }
        }
    }

    /// Takes one value off the front.
    pub(crate) fn take<'a>(self, rest: &mut &'a [u8]) -> Option<Value<'a>> {
        let len = match self {
            Self::Base64Url(len) | Self::Base64(len) | Self::Hex(len) => len,
            Self::Uuid => 16,
            Self::Decimal | Self::Time(_) => return read_varint(rest).map(Value::Number),
        };
        let bytes;
        (bytes, *rest) = rest.split_at_checked(len)?;
        Some(Value::Bytes(bytes))
    }

    /// Returns the number of characters of a value.
    pub(crate) fn text_len(self, value: Value<'_>) -> usize {
        match (self, value) {
            (Self::Base64Url(len), _) => base64url::encoded_len(len),
            (Self::Base64(len), _) => base64::encoded_len(len),
            (Self::Hex(len), _) => len.saturating_mul(2),
            (Self::Uuid, _) => hex::UUID_LEN,
            (Self::Decimal, Value::Number(number)) => {
                number.checked_ilog10().map_or(1, |log| usize::try_from(log).unwrap_or(0) + 1)
            }
            (Self::Decimal, Value::Bytes(_)) => 0,
            (Self::Time(form), _) => form.len(),
        }
    }

    /// Writes a value as text to a buffer of its length.
    pub(crate) fn encode_into(self, value: Value<'_>, out: &mut [u8]) -> Option<()> {
        match (self, value) {
            (Self::Base64Url(_), Value::Bytes(bytes)) => base64url::encode_into(bytes, out),
            (Self::Base64(_), Value::Bytes(bytes)) => base64::encode_into(bytes, out),
            (Self::Hex(_), Value::Bytes(bytes)) => hex::encode_into(bytes, out),
            (Self::Uuid, Value::Bytes(bytes)) => hex::encode_uuid(bytes.try_into().ok()?, out),
            (Self::Decimal, Value::Number(mut number)) => {
                for digit in out.iter_mut().rev() {
                    *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
                    number /= 10;
                }
            }
            (Self::Time(form), Value::Number(units)) => timestamp::format(units, form, out)?,
            _ => return None,
        }
        Some(())
    }
}

/// Shorter strings are not worth the heads of their segments.
pub(crate) const MIN_TEXT: usize = 16;

/// As [`MIN_TEXT`], for decimal numbers, which shrink to less than a half.
pub(crate) const MIN_DECIMAL: usize = 12;

/// So many characters tell most strings apart that are in no notation.
const FIRST: usize = 12;

/// Returns what these characters may be part of, all together.
#[inline]
fn classes(chars: &[u8]) -> u8 {
    chars.iter().fold(0, |classes, c| classes | CLASSES.get(usize::from(*c)).unwrap_or(&OTHER))
}

/// What each character may be part of.
const CLASSES: [u8; 256] = {
    let mut classes = [OTHER; 256];
    let (mut c, mut at) = (0_u8, 0);
    while c < 0x80 {
        let (_, rest) = classes.split_at_mut(at);
        if let [class, ..] = rest {
            *class = match c {
                b'0'..=b'9' => DIGIT,
                b'a'..=b'f' => HEX,
                b'A'..=b'Z' | b'g'..=b'z' => LETTER,
                b'-' | b'_' => URL,
                b'+' | b'/' | b'=' => STANDARD,
                _ => OTHER,
            };
        }
        (c, at) = (c + 1, at + 1);
    }
    classes
};

const DIGIT: u8 = 1;
const HEX: u8 = 2;
const LETTER: u8 = 4;
const URL: u8 = 8;
const STANDARD: u8 = 16;
const OTHER: u8 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn notation(text: &str) -> Option<Notation> {
        let mut bytes = Vec::new();
        let notation = Notation::decode(text.as_bytes(), &mut bytes)?;
        let mut rest = bytes.as_slice();
        let value = notation.take(&mut rest).unwrap();
        assert!(rest.is_empty());
        let mut back = vec![0; notation.text_len(value)];
        notation.encode_into(value, &mut back).unwrap();
        assert_eq!(String::from_utf8(back).unwrap(), text, "{notation:?}");
        assert!(bytes.len() + 4 <= text.len(), "{text}");
        Some(notation)
    }

    #[test]
    fn a_string_is_stored_in_the_notation_that_takes_the_least() {
        use Notation::{Base64, Base64Url, Decimal, Hex, Uuid};
        for (text, expected) in [
            ("67e55044-10b1-426f-9247-bb680e5fe0c8", Some(Uuid)),
            ("67e5504410b1426f9247bb680e5fe0c8", Some(Hex(16))),
            ("1234567890123456789", Some(Decimal)),
            ("18446744073709551615", Some(Decimal)),
            ("18446744073709551616", Some(Hex(10))), // over 64 bits
            ("123456789012", Some(Decimal)),
            ("012345678901", None), // a zero in front, and too short for hex
            ("0123456789012345", Some(Hex(8))), // a zero in front
            ("12345678901", None),  // too short
            ("67E5504410B1426F9247BB680E5FE0C8", Some(Base64Url(24))),
            ("AAECAwQFBgcICQoLDA0ODw", Some(Base64Url(16))),
            ("AAECAwQFBgcICQoLDA0ODw==", Some(Base64(16))),
            ("+AECAwQFBgcICQoL", Some(Base64(12))),
            ("AAECAwQFBgcICQoL+A==", Some(Base64(13))),
            ("AAECAwQFBgcICQoL/-A=", None),
            ("AAECAwQFBgcICQoLDA0ODx==", None), // a bit after the last byte
            ("correct horse battery", None),
            ("correct-horse-battery-staple", Some(Base64Url(21))),
            ("fourteen-chars", None),
            ("67e55044-10b1-426f-9247-bb680e5fe0cX", Some(Base64Url(27))),
        ] {
            assert_eq!(notation(text), expected, "{text}");
        }
        assert!(matches!(notation("2025-11-24T15:00:00Z"), Some(Notation::Time(_))));
        assert!(matches!(notation("2025-11-24T15:00:00.123456789+00:00"), Some(Notation::Time(_))));
        assert_eq!(notation("2025-11-24T15:00:00+02:00"), None);
        assert_eq!(notation("2025-11-31T15:00:00Z"), None);
    }
}
