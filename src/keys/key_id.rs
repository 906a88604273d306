//! Key ids: the public name of a key.

use std::fmt;
use std::str::FromStr;

use crate::keys::error::KeyError;

/// The public name of a key: 4 bytes derived from it with HKDF-SHA256, shown as 8 hexadecimal digits.
///
/// Each sealed value carries the id of its key, so that opening is one lookup and never a trial of
/// one key after another. The id tells nothing about the key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub(crate) [u8; KeyId::LEN]);

impl KeyId {
    pub(crate) const LEN: usize = 4;
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl FromStr for KeyId {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        if text.len() != 2 * Self::LEN || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(KeyError::Id);
        }
        let id = u32::from_str_radix(text, 16).map_err(|_| KeyError::Id)?;
        Ok(Self(id.to_be_bytes()))
    }
}

/// Shows ids with commas between them.
#[cfg(feature = "watch")]
pub(crate) struct KeyIds<'a>(pub(crate) &'a [KeyId]);

#[cfg(feature = "watch")]
impl fmt::Display for KeyIds<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, id) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{id}")?;
        }
        Ok(())
    }
}
