//! XAES-256-GCM from RustCrypto's AES-256 and AES-256-GCM.

use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{AeadInOut, Nonce};
use aes_gcm::aes::cipher::BlockCipherEncrypt;
use aes_gcm::aes::{Aes256Enc, Block};
use aes_gcm::{AesGcm, KeyInit};
use zeroize::Zeroizing;

use super::{InvalidTag, KEY, NONCE, TAG, doubled, key_blocks};

/// One key, expanded; it wipes itself where it lies, so it should not be moved about.
pub(crate) struct Cipher {
    aes: Aes256Enc,
    k1: Zeroizing<u128>,
}

/// The cipher of one message. GCM never decrypts by AES, so the keys for that are not made.
type Gcm = AesGcm<Aes256Enc, U12>;

impl Cipher {
    pub(crate) fn new(key: &[u8; KEY]) -> Self {
        let aes = Aes256Enc::new(key.into());
        let mut block = Zeroizing::new([0; 16]);
        aes.encrypt_block((&mut *block).into());
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
        Gcm::new((&*key).into())
            .encrypt_inout_detached(nonce, associated, message.into())
            .expect("a message is shorter than AES-GCM's 64 GiB")
            .into()
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
        Gcm::new((&*key).into())
            .decrypt_inout_detached(nonce, associated, message.into(), tag.into())
            .map_err(|_| InvalidTag)
    }

    /// Returns the key and the nonce of one message. Both blocks of the key are encrypted by one call, since each call
    /// prepares the round keys anew.
    fn derive<'n>(&self, nonce: &'n [u8; NONCE]) -> (Zeroizing<[u8; KEY]>, &'n Nonce<Gcm>) {
        let mut key = Zeroizing::new(key_blocks(nonce, *self.k1));
        let (blocks, _) = Block::slice_as_chunks_mut(key.as_mut_slice());
        self.aes.encrypt_blocks(blocks);
        let second = nonce.last_chunk().expect("a nonce is longer than AES-GCM's");
        (key, <&[u8; 12]>::into(second))
    }
}
