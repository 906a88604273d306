//! Blobs: what lies in a store under the name and the key that a [`BlobRef`] gives it.
//!
//! ```text
//! blob      = nonce(24) · ciphertext · tag(16)
//! message   = content · 0x80 · 0x00*
//!
//! (ciphertext, tag) = XAES-256-GCM.seal(key, nonce, associated data = label · kind(1) · id(16) · binding(32), message)
//! ```
//!
//! Id and key are random and made anew for each blob, and are nowhere but in the sealed cookie. So whoever has the store
//! cannot read a blob; nor make one up, since the key is unknown to it; nor put an older one of the same session in its
//! place, since that has another key. The binding is that of the cookie: its name and the application's context.

use std::fmt;
use std::time::Duration;

use crate::bytes::secret_bytes::SecretBytes;
use crate::message::blob_ref::{BlobId, BlobRef};
use crate::seal::Random;
use crate::seal::binding::Binding;
use crate::store::blob_store::StoreError;
use crate::xaes::{Cipher, NONCE, TAG};

/// A sealed blob that has to be in the store before the cookies that refer to it are sent.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Blob {
    /// Its name.
    pub id: BlobId,
    /// What to store.
    pub bytes: Vec<u8>,
    /// For how long to keep it.
    pub lives: Duration,
}

/// Shows no bytes: they are of no use to a reader, and many.
impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, bytes, lives } = self;
        let mut debug = f.debug_struct("Blob");
        debug.field("id", id).field("bytes", &bytes.len()).field("lives", lives).finish()
    }
}

/// The reason why what lies in a store could not be read.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// It was not fetched yet, or this codec has no store. *Keep.*
    #[error("the blob {0} has to be fetched first")]
    NotFetched(BlobId),
    /// The store did not answer, or not in time. *Keep*: the next request may be luckier.
    #[error("the blob could not be fetched")]
    Unavailable(#[source] StoreError),
    /// The store does not have it: evicted, flushed, lost, or ended by a logout. *Clear.*
    #[error("the store does not have the blob")]
    Gone,
    /// The store has something else under its id: damaged, cut, swapped, or forged. No client can cause this. *Keep*
    /// when reading; the next write replaces it.
    #[error("what the store has is not the blob that was stored")]
    Unauthentic,
}

/// What a blob holds. A blob of one kind does not open as one of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A packed session.
    Session,
    /// A value beside the session.
    Attached,
}

impl BlobRef {
    /// Seals what `append` writes, padded to a length that `padded` chooses for the whole blob.
    pub(crate) fn seal(
        &self,
        kind: Kind,
        binding: Binding,
        random: Random,
        padded: impl FnOnce(usize) -> usize,
        append: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Vec<u8>, crate::bytes::random::SysError> {
        let mut buffer = SecretBytes::new(vec![0; PREFIX]);
        append(&mut buffer);
        buffer.push(MARKER);
        let len = padded(buffer.len() + TAG).saturating_sub(TAG).max(buffer.len());
        buffer.resize(len, 0);
        buffer.reserve_exact(TAG);
        let (nonce, message) =
            buffer.split_first_chunk_mut::<PREFIX>().expect("the buffer begins with room for it");
        random(nonce)?;
        // A fresh nonce though the key is fresh too: whoever seals twice under one reference does no harm.
        let tag =
            Cipher::new(self.key()).seal(nonce, &self.associated_data(kind, binding), message);
        buffer.extend_from_slice(&tag);
        Ok(std::mem::take(&mut *buffer))
    }

    /// Opens a blob. Its content then begins at [`PREFIX`] and ends with the buffer.
    pub(crate) fn open(&self, kind: Kind, binding: Binding, blob: Vec<u8>) -> Option<SecretBytes> {
        let mut buffer = SecretBytes::new(blob);
        let (nonce, rest) = buffer.split_first_chunk_mut::<PREFIX>()?;
        let (message, tag) = rest.split_last_chunk_mut::<TAG>()?;
        let data = self.associated_data(kind, binding);
        Cipher::new(self.key()).open(nonce, &data, message, tag).ok()?;
        let marker = message.iter().rposition(|byte| *byte != 0)?;
        if message.get(marker) != Some(&MARKER) {
            return None;
        }
        buffer.truncate(PREFIX + marker);
        Some(buffer)
    }

    fn associated_data(&self, kind: Kind, binding: Binding) -> [u8; DATA] {
        let mut data = [0; DATA];
        let kind = match kind {
            Kind::Session => b"S",
            Kind::Attached => b"A",
        };
        let parts = [&LABEL[..], kind, &self.id.to_bytes(), binding.as_bytes()];
        for (to, from) in data.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        data
    }
}

/// The content of an opened blob begins here.
pub(crate) const PREFIX: usize = NONCE;

/// The most bytes of a blob: the largest body, packed and padded.
pub(crate) const MAX_BLOB: usize = 72 * 1024;

const LABEL: [u8; 21] = *b"sealed-session/blob/1";
const DATA: usize = LABEL.len() + 1 + 16 + 32;
const MARKER: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    fn binding() -> Binding {
        Binding::new("__Host-session", b"context")
    }

    fn fresh() -> BlobRef {
        BlobRef::fresh(None, crate::bytes::random::fill).unwrap()
    }

    fn seal(reference: &BlobRef, content: &[u8]) -> Vec<u8> {
        let append = |out: &mut Vec<u8>| out.extend_from_slice(content);
        reference
            .seal(Kind::Session, binding(), crate::bytes::random::fill, |len| len, append)
            .unwrap()
    }

    fn open(reference: &BlobRef, blob: &[u8]) -> Option<Vec<u8>> {
        let opened = reference.open(Kind::Session, binding(), blob.to_vec())?;
        Some(opened[PREFIX..].to_vec())
    }

    #[test]
    fn what_was_sealed_opens_at_every_padding() {
        for content in [&b""[..], b"session", &[0x80], &[0, 0], &[0x80, 0, 0], &[7; 5000]] {
            for padded in [0, 100, 101, 6000] {
                let reference = fresh();
                let append = |out: &mut Vec<u8>| out.extend_from_slice(content);
                let kind = Kind::Attached;
                let blob = reference
                    .seal(kind, binding(), crate::bytes::random::fill, |_| padded, append)
                    .unwrap();
                assert_eq!(blob.len(), padded.max(NONCE + content.len() + 1 + TAG));
                let opened = reference.open(kind, binding(), blob).unwrap();
                assert_eq!(&opened[PREFIX..], content);
            }
        }
    }

    #[test]
    fn no_flipped_bit_and_no_cut_opens() {
        let reference = fresh();
        let blob = seal(&reference, b"session");
        assert_eq!(open(&reference, &blob).unwrap(), b"session");
        for bit in 0..blob.len() * 8 {
            let mut changed = blob.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&reference, &changed), None, "bit {bit}");
        }
        for len in 0..blob.len() {
            assert_eq!(open(&reference, &blob[..len]), None, "cut to {len}");
        }
        assert_eq!(open(&reference, &[&blob[..], &[0]].concat()), None);
    }

    #[test]
    fn no_other_blob_opens_in_its_place() {
        let (one, other) = (fresh(), fresh());
        let (of_one, of_other) = (seal(&one, b"1"), seal(&other, b"2"));
        assert_eq!((open(&one, &of_other), open(&other, &of_one)), (None, None), "swapped");
        // Not under another id, kind, cookie or context either, though the key is the same.
        let mut moved = one.clone();
        moved.id = other.id;
        assert_eq!(open(&moved, &of_one), None);
        assert!(one.open(Kind::Attached, binding(), of_one.clone()).is_none());
        let elsewhere = Binding::new("__Host-other", b"context");
        assert!(one.open(Kind::Session, elsewhere, of_one.clone()).is_none());
        assert!(open(&one, &of_one).is_some());
    }

    #[test]
    fn two_blobs_of_one_content_share_nothing() {
        let (one, other) = (fresh(), fresh());
        assert_ne!((one.id, one.key()), (other.id, other.key()));
        let blobs = [seal(&one, &[7; 64]), seal(&one, &[7; 64]), seal(&other, &[7; 64])];
        for window in blobs[0].windows(8) {
            assert!(!blobs[1..].iter().any(|blob| blob.windows(8).any(|other| other == window)));
        }
    }

    #[test]
    fn without_random_bytes_there_is_no_blob() {
        let broken: Random = |_| Err(crate::bytes::random::SysError::UNSUPPORTED);
        assert!(fresh().seal(Kind::Session, binding(), broken, |len| len, |_| {}).is_err());
    }

    #[test]
    fn what_was_sealed_in_python_opens() {
        let vectors = include_str!("../../tests/vectors/blob/v1.json");
        let vectors: Vec<serde_json::Value> = serde_json::from_str(vectors).unwrap();
        assert!(!vectors.is_empty());
        for vector in vectors {
            let hex = |name: &str| {
                let text = vector[name].as_str().unwrap();
                let bytes = (0..text.len()).step_by(2);
                bytes
                    .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
                    .collect::<Vec<_>>()
            };
            let binding = Binding::new(vector["cookie_name"].as_str().unwrap(), &hex("context"));
            let kind = if vector["kind"] == "S" { Kind::Session } else { Kind::Attached };
            let reference = BlobRef::parse(&hex("reference")).unwrap();
            let opened = reference.open(kind, binding, hex("blob")).unwrap();
            assert_eq!(&opened[PREFIX..], hex("content"), "{}", vector["name"]);
        }
    }
}
