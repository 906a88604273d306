//! Keys: 32 secret bytes, their short public id, and their text form.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::bytes::base64url;
use crate::bytes::random;
use crate::keys::error::KeyError;
use crate::keys::key_id::KeyId;
use crate::xaes::Cipher;

/// The 32 secret bytes from which everything else is derived.
///
/// A key comes from the operating system's generator ([`Key::generate`]) or from its text form
/// (`str::parse`). There is no way to make one from a passphrase: a passphrase can be guessed offline
/// by anyone who holds one cookie.
///
/// The bytes are wiped when the key is dropped. `Key` has no `Display`, no serde traits and no
/// `Clone`; its `Debug` shows the [`KeyId`] alone.
///
/// # The text form
///
/// `SEALED-SESSION-KEY-1-` and 48 characters of base64url: the 32 bytes and a checksum of 4. The
/// prefix is for secret scanners and for people; the checksum makes a truncated paste an error at
/// start instead of at the first login.
///
/// # Example
///
/// ```
/// use sealed_session::Key;
///
/// let key = Key::generate()?;
/// let text = key.expose_text(); // to be stored like any other secret
/// let same: Key = text.parse()?;
/// assert_eq!(key.id(), same.id());
/// # Ok::<(), sealed_session::KeyError>(())
/// ```
pub struct Key {
    secret: Zeroizing<[u8; Key::LEN]>,
    id: KeyId,
}

impl Key {
    /// The length of a key: 32 bytes.
    pub const LEN: usize = 32;

    /// Generates a key from the operating system's random source.
    ///
    /// # Errors
    ///
    /// [`KeyError::Random`] when the operating system cannot answer.
    pub fn generate() -> Result<Self, KeyError> {
        let mut secret = Zeroizing::new([0; Self::LEN]);
        random::fill(secret.as_mut_slice()).map_err(|e| KeyError::Random(Arc::new(e)))?;
        Self::from_bytes(secret)
    }

    /// Creates a key from 32 random bytes made elsewhere, for example by a key management service.
    ///
    /// # Errors
    ///
    /// [`KeyError::Weak`] when all bytes are equal, as those of a forgotten buffer are.
    pub fn from_bytes(secret: impl Into<Zeroizing<[u8; Self::LEN]>>) -> Result<Self, KeyError> {
        let secret = secret.into();
        let [first, rest @ ..] = &*secret;
        if rest.iter().fold(0, |differ, byte| differ | (byte ^ first)) == 0 {
            return Err(KeyError::Weak);
        }
        let mut id = [0; KeyId::LEN];
        expand(&secret, b"sealed-session key id", &mut id);
        Ok(Self { secret, id: KeyId(id) })
    }

    /// Returns the public name of this key: see [`KeyId`].
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Returns the text form, which is the secret itself; it is wiped when dropped.
    #[must_use]
    pub fn expose_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([0; Self::LEN + CHECKSUM_LEN]);
        let (secret, sum) = bytes.split_at_mut(Self::LEN);
        secret.copy_from_slice(self.secret.as_slice());
        sum.copy_from_slice(&checksum(&self.secret));
        // Sized once, so that no part of the secret stays behind in a smaller allocation.
        let mut out = Zeroizing::new(String::with_capacity(PREFIX.len() + TEXT_LEN));
        out.push_str(PREFIX);
        base64url::encode(bytes.as_slice(), &mut out);
        out
    }

    /// Refuses a key that everybody knows, where keys come from that a service is to use.
    pub(crate) fn check_private(&self) -> Result<(), KeyError> {
        match PUBLIC
            .into_iter()
            .find(|(id, sum, _)| *id == self.id.0 && *sum == checksum(&self.secret))
        {
            Some((.., whose)) => Err(KeyError::Public { id: self.id, whose }),
            None => Ok(()),
        }
    }

    /// Copies the key, for a ring that is made of a key file again and again.
    #[cfg(feature = "key-file")]
    pub(crate) fn copy(&self) -> Self {
        Self { secret: self.secret.clone(), id: self.id }
    }

    /// Derives the cipher that seals under this key.
    pub(crate) fn cipher(&self) -> Cipher {
        let mut derived = Zeroizing::new([0; Self::LEN]);
        expand(&self.secret, b"sealed-session/1 XAES-256-GCM", derived.as_mut_slice());
        Cipher::new(&derived)
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let text = text.trim().strip_prefix(PREFIX).ok_or(KeyError::Prefix)?;
        if text.len() != TEXT_LEN {
            return Err(KeyError::Length { found: text.len() });
        }
        let mut bytes = Zeroizing::new([0; Self::LEN + CHECKSUM_LEN]);
        base64url::decode_into(text.as_bytes(), bytes.as_mut_slice()).ok_or(KeyError::Alphabet)?;
        let (secret, sum) = bytes.split_first_chunk::<{ Self::LEN }>().ok_or(KeyError::Alphabet)?;
        if sum != checksum(secret) {
            return Err(KeyError::Checksum);
        }
        Self::from_bytes(*secret)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The secret wipes itself.
impl ZeroizeOnDrop for Key {}

/// HKDF-SHA256 (RFC 5869) with no salt: the input is uniformly random already.
fn expand(secret: &[u8; Key::LEN], info: &[u8], out: &mut [u8]) {
    Hkdf::<Sha256>::new(None, secret)
        .expand(info, out)
        .expect("HKDF-SHA256 gives up to 8160 bytes, and we ask for at most 32");
}

/// The first bytes of SHA-256 over the prefix and the secret.
fn checksum(secret: &[u8; Key::LEN]) -> [u8; CHECKSUM_LEN] {
    let hash = Sha256::new().chain_update(PREFIX).chain_update(secret).finalize();
    let mut sum = [0; CHECKSUM_LEN];
    sum.copy_from_slice(hash.as_slice().split_at(CHECKSUM_LEN).0);
    sum
}

/// The ids and checksums of keys that everybody knows, and where they stand.
const PUBLIC: [([u8; KeyId::LEN], [u8; CHECKSUM_LEN], &str); 3] = [
    (*b"\x8a\x34\x6e\x56", *b"\xd1\x06\xf2\x4e", DOCUMENTATION),
    (*b"\x3b\x27\x52\x60", *b"\xb3\x22\x98\x2b", DOCUMENTATION),
    (*b"\x0a\xa0\x48\x94", *b"\x31\xfe\x40\x85", "the test vectors"),
];
const DOCUMENTATION: &str = "the documentation";

const PREFIX: &str = "SEALED-SESSION-KEY-1-";
const CHECKSUM_LEN: usize = 4;
const TEXT_LEN: usize = (Key::LEN + CHECKSUM_LEN) / 3 * 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn counting() -> Key {
        Key::from_bytes(std::array::from_fn::<u8, 32, _>(|i| u8::try_from(i).unwrap())).unwrap()
    }

    #[test]
    fn text_and_id_of_a_key_never_change() {
        let key = counting();
        assert_eq!(
            *key.expose_text(),
            "SEALED-SESSION-KEY-1-AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh_RBvJO"
        );
        assert_eq!(key.id().to_string(), "8a346e56");
        assert_eq!(key.id().to_string().parse::<KeyId>().unwrap(), key.id());
    }

    #[test]
    fn debug_shows_the_id_and_nothing_else() {
        assert_eq!(format!("{:?}", counting()), "Key { id: KeyId(8a346e56), .. }");
    }

    #[test]
    fn each_damage_to_a_key_text_has_its_own_error() {
        let good = counting().expose_text();
        let body = &good[PREFIX.len()..];
        for (text, expected) in [
            (String::new(), KeyError::Prefix),
            (body.to_owned(), KeyError::Prefix),
            (good.to_lowercase(), KeyError::Prefix),
            (good.replace("KEY-1", "KEY-2"), KeyError::Prefix),
            (PREFIX.to_owned(), KeyError::Length { found: 0 }),
            (good[..good.len() - 1].to_owned(), KeyError::Length { found: 47 }),
            (format!("{}A", *good), KeyError::Length { found: 49 }),
            (good.replace("AAEC", "AA+C"), KeyError::Alphabet),
            (good.replace("AAEC", "AAED"), KeyError::Checksum),
        ] {
            let found = text.parse::<Key>().unwrap_err();
            assert_eq!(found.to_string(), expected.to_string(), "{text}");
        }
        assert!(format!("  {}\n", *good).parse::<Key>().is_ok(), "white space around is a file's");
        for byte in [0, 7, 255] {
            assert!(matches!(Key::from_bytes([byte; 32]), Err(KeyError::Weak)));
        }
        for id in ["", "8a346e5", "8a346e565", "+a346e56", "8a346e5g"] {
            assert!(matches!(id.parse::<KeyId>(), Err(KeyError::Id)), "{id}");
        }
    }
}
