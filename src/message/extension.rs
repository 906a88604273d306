//! Extensions: what a message may carry beside its fixed fields.
//!
//! ```text
//! extensions = varint n · extension*, in n bytes, from 1 to 512
//! extension  = head · varint len · len bytes
//! head       = varint, type << 1 | critical
//! ```
//!
//! The types ascend, so each stands there once at most, and a set of extensions has one spelling. A reader skips what it
//! does not know, unless it is critical: then it must not go on, because what it knows means something else beside it.

use crate::bytes::varint::{read_varint, write_varint};
use crate::message::error::MessageError;

/// One extension of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extension<'a> {
    pub(crate) kind: u64,
    pub(crate) critical: bool,
    pub(crate) bytes: &'a [u8],
}

/// The most bytes that all extensions of a message take together.
pub(crate) const MAX_EXTENSIONS: usize = 512;

impl Extension<'_> {
    /// Appends the extension to others of lower types.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        write_varint(self.kind << 1 | u64::from(self.critical), out);
        write_varint(u64::try_from(self.bytes.len()).unwrap_or(u64::MAX), out);
        out.extend_from_slice(self.bytes);
    }
}

/// Takes the extensions off the front of a message.
pub(crate) fn take_extensions<'a>(rest: &mut &'a [u8]) -> Result<Extensions<'a>, MessageError> {
    take_counted(rest)
        .filter(|block| (1..=MAX_EXTENSIONS).contains(&block.len()))
        .map(Extensions::new)
        .ok_or(MessageError::Malformed)
}

/// Reads extensions one after another.
pub(crate) struct Extensions<'a> {
    rest: &'a [u8],
    last: u64,
}

impl<'a> Extensions<'a> {
    pub(crate) fn new(block: &'a [u8]) -> Self {
        Self { rest: block, last: 0 }
    }

    fn read(&mut self) -> Option<Extension<'a>> {
        let head = read_varint(&mut self.rest)?;
        let bytes = take_counted(&mut self.rest)?;
        let kind = head >> 1;
        let last = std::mem::replace(&mut self.last, kind);
        (kind > last).then_some(Extension { kind, critical: head & 1 == 1, bytes })
    }
}

impl<'a> Iterator for Extensions<'a> {
    type Item = Result<Extension<'a>, MessageError>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.rest.is_empty()).then(|| self.read().ok_or(MessageError::Malformed))
    }
}

/// Takes a number and so many bytes off the front.
fn take_counted<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(read_varint(rest)?).ok()?;
    let taken;
    (taken, *rest) = rest.split_at_checked(len)?;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<(u64, bool, usize)>, String> {
        let mut rest = bytes;
        let found = take_extensions(&mut rest)
            .and_then(|extensions| extensions.collect::<Result<Vec<_>, _>>())
            .map_err(|error| error.to_string())?;
        assert_eq!(rest, b"rest");
        Ok(found.iter().map(|found| (found.kind, found.critical, found.bytes.len())).collect())
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let written = [(1, true, 48), (2, false, 0), (300, false, 200)];
        let mut block = Vec::new();
        for (kind, critical, len) in written {
            Extension { kind, critical, bytes: &vec![7; len] }.write(&mut block);
        }
        let with_len = |block: &[u8]| {
            let mut out = Vec::new();
            write_varint(u64::try_from(block.len()).unwrap(), &mut out);
            [&out, block, b"rest"].concat()
        };
        assert_eq!(read(&with_len(&block)).unwrap(), written);
        let largest = [&[2, 0xfd, 0x03][..], &[7; 509]].concat();
        assert_eq!(read(&with_len(&largest)).unwrap(), [(1, false, 509)]);
        for (reason, bad) in [
            ("none", &[][..]),
            ("type 0", &[0, 0]),
            ("type 0, critical", &[1, 0]),
            ("one type twice", &[2, 0, 2, 0]),
            ("one type, critical and not", &[2, 0, 3, 0]),
            ("descending types", &[4, 0, 2, 0]),
            ("a head that is not minimal", &[0x82, 0x00, 0]),
            ("no length", &[2]),
            ("longer than the block", &[2, 2, 7]),
            ("too long", &[&[2, 0xfe, 0x03][..], &[7; 510]].concat()),
        ] {
            assert!(read(&with_len(bad)).is_err(), "{reason}");
        }
        assert!(take_extensions(&mut &[3, 2, 0][..]).is_err(), "cut");
        assert!(take_extensions(&mut &[][..]).is_err(), "absent");
    }
}
