//! Where a session came from, if another library's cookie brought it.
//!
//! ```text
//! origin = flags · tag(16)
//! flags  = 0x1 beside: valid only beside that very cookie
//! ```

use crate::message::error::MessageError;

/// The cookie of another library that a session was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Distinguishes that cookie from others.
    pub(crate) tag: OriginTag,
    /// Whether the session is valid only beside that very cookie, since nodes of the old application run.
    pub(crate) beside: bool,
}

/// A truncated SHA-256.
pub(crate) type OriginTag = [u8; 16];

impl Origin {
    /// A release that does not know of it could not tell that the session has ended.
    pub(crate) fn is_critical(self) -> bool {
        self.beside
    }

    pub(crate) fn to_bytes(self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        let (flags, tag) = bytes.split_at_mut(1);
        flags.fill(if self.beside { BESIDE } else { 0 });
        tag.copy_from_slice(&self.tag);
        bytes
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, MessageError> {
        let (&[flags, ref tag @ ..], []) =
            bytes.split_first_chunk::<LEN>().ok_or(MessageError::Malformed)?
        else {
            return Err(MessageError::Malformed);
        };
        match flags {
            0 => Ok(Self { tag: *tag, beside: false }),
            BESIDE => Ok(Self { tag: *tag, beside: true }),
            _ => Err(MessageError::UnsupportedFormat),
        }
    }
}

const BESIDE: u8 = 1;
const LEN: usize = 1 + size_of::<OriginTag>();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_one_spelling() {
        for beside in [false, true] {
            let origin = Origin { tag: [7; 16], beside };
            assert_eq!(Origin::parse(&origin.to_bytes()).unwrap(), origin);
        }
        assert!(matches!(Origin::parse(&[0; 16]), Err(MessageError::Malformed)));
        assert!(matches!(Origin::parse(&[0; 18]), Err(MessageError::Malformed)));
        let mut later = [0; 17];
        later[0] = 2;
        assert!(matches!(Origin::parse(&later), Err(MessageError::UnsupportedFormat)));
    }
}
