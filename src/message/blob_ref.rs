//! The reference to a blob: what stands in a message in the place of a body that lies in a store.
//!
//! ```text
//! reference = id(16) · key(32) · [previous id(16)]
//! ```
//!
//! Id and key are random and made anew for each blob, and are nowhere but inside of the seal.

use std::fmt;

use zeroize::Zeroizing;

/// The name of a blob in a store: 16 random bytes.
///
/// It opens nothing, so it may be logged. Shown as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobId([u8; Self::LEN]);

impl BlobId {
    const LEN: usize = 16;

    /// Creates an id from its bytes, for the tests of a store.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes, for a store that names blobs by them.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobId({self})")
    }
}

/// Where a blob lies, and the key that opens it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct BlobRef {
    pub(crate) id: BlobId,
    key: Zeroizing<[u8; KEY]>,
    /// The blob in whose place this one came.
    pub(crate) previous: Option<BlobId>,
}

impl BlobRef {
    /// The most bytes of a reference.
    pub(crate) const MAX: usize = 2 * BlobId::LEN + KEY;

    /// Creates the reference of a new blob.
    pub(crate) fn fresh<E>(
        previous: Option<BlobId>,
        random: impl Fn(&mut [u8]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut fresh =
            Self { id: BlobId([0; BlobId::LEN]), key: Zeroizing::new([0; KEY]), previous };
        random(&mut fresh.id.0)?;
        random(fresh.key.as_mut_slice())?;
        Ok(fresh)
    }

    pub(crate) fn key(&self) -> &[u8; KEY] {
        &self.key
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.0);
        out.extend_from_slice(self.key.as_slice());
        if let Some(previous) = &self.previous {
            out.extend_from_slice(&previous.0);
        }
    }

    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (id, rest) = bytes.split_first_chunk()?;
        let (key, rest) = rest.split_first_chunk::<KEY>()?;
        let previous = match rest {
            [] => None,
            rest => Some(BlobId(rest.try_into().ok()?)),
        };
        let mut found = Self { id: BlobId(*id), key: Zeroizing::new([0; KEY]), previous };
        found.key.copy_from_slice(key);
        Some(found)
    }
}

/// Shows no key.
impl fmt::Debug for BlobRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, previous, .. } = self;
        f.debug_struct("BlobRef")
            .field("id", id)
            .field("previous", previous)
            .finish_non_exhaustive()
    }
}

const KEY: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh(previous: Option<BlobId>) -> BlobRef {
        BlobRef::fresh(previous, crate::bytes::random::fill).unwrap()
    }

    #[test]
    fn a_reference_round_trips_and_no_other_length_parses() {
        for previous in [None, Some(BlobId::from_bytes([9; 16]))] {
            let reference = fresh(previous);
            let mut bytes = Vec::new();
            reference.write(&mut bytes);
            assert!(bytes.len() <= BlobRef::MAX);
            assert_eq!(BlobRef::parse(&bytes), Some(reference));
        }
        for len in (0..80).filter(|len| ![48, 64].contains(len)) {
            assert_eq!(BlobRef::parse(&vec![1; len]), None, "{len}");
        }
    }

    #[test]
    fn each_reference_is_new() {
        let (one, other) = (fresh(None), fresh(None));
        assert!(one.id != other.id && one.key() != other.key());
        assert!(BlobRef::fresh(None, |_| Err("no random bytes")).is_err());
    }

    #[test]
    fn nothing_secret_is_shown() {
        let id = BlobId::from_bytes([7; 16]);
        let reference = BlobRef { id, key: Zeroizing::new([0xab; KEY]), ..fresh(None) };
        let shown = format!("{reference:?}").to_lowercase();
        assert!(!shown.contains("abab") && !shown.contains("171, 171"), "{shown}");
    }
}
