//! What the targets share. Sealing is written anew here, from `docs/FORMAT.md`, so that a target can put any
//! bytes behind a valid seal.

pub mod universe;

use std::time::{Duration, SystemTime};

use aes_gcm::KeyInit;
use aes_gcm::aead::AeadInOut;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use sealed_session::{Builder, Codec, Key, Limits};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use xaes_256_gcm::Xaes256Gcm;

pub const NAME: &str = "__Host-session";
pub const SECRET: [u8; 32] = *b"this key is public, never use it";

pub fn key() -> Key {
    Key::from_bytes(SECRET).expect("the key is a key")
}

pub fn builder<T: Serialize + DeserializeOwned + 'static>() -> Builder<T> {
    Codec::builder(key()).limits(Limits::NGINX_PROXY_BUFFER_16K)
}

/// So many seconds after a time in 2025.
pub fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_763_996_400 + seconds)
}

/// Seals any message for the cookie `NAME`, under a nonce made of the message itself.
pub fn seal(message: &[u8]) -> String {
    let mut id = [0; 4];
    let mut sealing_key = [0; 32];
    let hkdf = Hkdf::<Sha256>::new(None, &SECRET);
    hkdf.expand(b"sealed-session key id", &mut id).expect("4 bytes");
    hkdf.expand(b"sealed-session/1 XAES-256-GCM", &mut sealing_key).expect("32 bytes");

    let header = [0x11, id[0], id[1], id[2], id[3]];
    let mut binding = Sha256::new();
    for part in [&b"sealed-session/1"[..], NAME.as_bytes(), b""] {
        binding.update((part.len() as u64).to_be_bytes());
        binding.update(part);
    }
    let mut associated = header.to_vec();
    associated.extend_from_slice(&binding.finalize());

    let mut nonce = [0; 24];
    nonce.copy_from_slice(&Sha256::digest(message)[..24]);
    let mut sealed = message.to_vec();
    let tag = Xaes256Gcm::new((&sealing_key).into())
        .encrypt_inout_detached((&nonce).into(), &associated, sealed.as_mut_slice().into())
        .expect("a short message");
    URL_SAFE_NO_PAD.encode([&header[..], &nonce, &sealed, &tag].concat())
}
