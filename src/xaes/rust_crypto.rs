//! XAES-256-GCM of RustCrypto.

use aes_gcm::KeyInit;
use aes_gcm::aead::AeadInOut;
use xaes_256_gcm::Xaes256Gcm;

use super::{InvalidTag, KEY, NONCE, TAG};

/// One key, expanded; it wipes itself where it lies, so it should not be moved about.
pub(crate) struct Cipher(Xaes256Gcm);

impl Cipher {
    pub(crate) fn new(key: &[u8; KEY]) -> Self {
        Self(Xaes256Gcm::new(key.into()))
    }

    /// Seals in place and gives the tag.
    pub(crate) fn seal(
        &self,
        nonce: &[u8; NONCE],
        associated: &[u8],
        message: &mut [u8],
    ) -> [u8; TAG] {
        self.0
            .encrypt_inout_detached(nonce.into(), associated, message.into())
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
        self.0
            .decrypt_inout_detached(nonce.into(), associated, message.into(), tag.into())
            .map_err(|_| InvalidTag)
    }
}
