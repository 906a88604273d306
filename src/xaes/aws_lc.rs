//! XAES-256-GCM from AWS-LC's AES-256 and AES-256-GCM.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_256, EncryptingKey, UnboundCipherKey};
use zeroize::Zeroizing;

use super::{InvalidTag, KEY, NONCE, TAG, doubled, key_blocks};

/// One key, expanded; it wipes itself when dropped.
pub(crate) struct Cipher {
    aes: EncryptingKey,
    k1: Zeroizing<u128>,
}

impl Cipher {
    pub(crate) fn new(key: &[u8; KEY]) -> Self {
        let aes = UnboundCipherKey::new(&AES_256, key).and_then(EncryptingKey::ecb);
        let aes = aes.expect("32 bytes are a key of AES-256");
        let mut block = Zeroizing::new([0; 16]);
        encrypt(&aes, block.as_mut_slice());
        let k1 = doubled(&block);
        Self { aes, k1 }
    }

    /// Seals in place and gives the tag.
    pub(crate) fn seal(
        &self,
        nonce: &[u8; NONCE],
        associated: &[u8],
        message: &mut [u8],
    ) -> [u8; TAG] {
        let (key, nonce) = self.derive(nonce);
        let tag = key.seal_in_place_separate_tag(nonce, Aad::from(associated), message);
        let tag = tag.expect("a message is shorter than AES-GCM's 64 GiB");
        tag.as_ref().try_into().expect("a tag of AES-GCM has 16 bytes")
    }

    /// Opens in place.
    pub(crate) fn open(
        &self,
        nonce: &[u8; NONCE],
        associated: &[u8],
        message: &mut [u8],
        tag: &[u8; TAG],
    ) -> Result<(), InvalidTag> {
        let (key, nonce) = self.derive(nonce);
        key.open_in_place_separate_tag(nonce, Aad::from(associated), tag, message)
            .map(|_| ())
            .map_err(|_| InvalidTag)
    }

    /// Returns the key and the nonce of one message.
    fn derive(&self, nonce: &[u8; NONCE]) -> (LessSafeKey, Nonce) {
        let second = nonce.last_chunk().expect("a nonce is longer than AES-GCM's");
        let mut key = Zeroizing::new(key_blocks(nonce, *self.k1));
        encrypt(&self.aes, key.as_mut_slice());
        let key = UnboundKey::new(&AES_256_GCM, key.as_slice());
        let key = LessSafeKey::new(key.expect("32 bytes are a key of AES-256-GCM"));
        (key, Nonce::assume_unique_for_key(*second))
    }
}

fn encrypt(aes: &EncryptingKey, blocks: &mut [u8]) {
    aes.encrypt(blocks).expect("the length is a multiple of a block");
}
