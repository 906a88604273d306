//! The key of a `cookie` jar, in each form in which applications keep it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// The key of `cookie`'s jars: `cookie::Key`, and what axum-extra, actix-web, tower-cookies, poem and Rocket make of it.
///
/// It only opens and verifies. Nothing is ever written under it.
///
/// # Example
///
/// ```
/// use sealed_session::legacy::JarKey;
///
/// # let old = [7; 64];
/// let key = JarKey::from_bytes(&old)?; // cookie::Key::from(&old)
/// let key = JarKey::derive_from(b"a master key of 32 bytes or more")?; // cookie::Key::derive_from(…)
/// let key = JarKey::from_rocket("hPRYyVRiMyxpw5sBB1XeCMN1kFsDCqKvBi2QJxBVHQk=")?; // ROCKET_SECRET_KEY
/// # Ok::<(), sealed_session::legacy::LegacyKeyError>(())
/// ```
pub struct JarKey {
    pub(super) signing: Zeroizing<[u8; HALF]>,
    pub(super) encryption: Zeroizing<[u8; HALF]>,
}

impl JarKey {
    /// Creates the key of `cookie::Key::from`: its first 64 bytes.
    ///
    /// # Errors
    ///
    /// [`LegacyKeyError::TooShort`], and [`LegacyKeyError::Zero`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LegacyKeyError> {
        let short = LegacyKeyError::TooShort { needed: 2 * HALF, found: bytes.len() };
        let Some((signing, rest)) = bytes.split_first_chunk() else { return Err(short) };
        let Some((encryption, _)) = rest.split_first_chunk() else { return Err(short) };
        if signing.iter().chain(encryption).all(|byte| *byte == 0) {
            return Err(LegacyKeyError::Zero);
        }
        let (signing, encryption) = (Zeroizing::new(*signing), Zeroizing::new(*encryption));
        Ok(Self { signing, encryption })
    }

    /// Creates the key of `cookie::Key::derive_from`, from a master key.
    ///
    /// # Errors
    ///
    /// [`LegacyKeyError::TooShort`] for a master of fewer than 32 bytes, and [`LegacyKeyError::Zero`].
    pub fn derive_from(master: &[u8]) -> Result<Self, LegacyKeyError> {
        let short = LegacyKeyError::TooShort { needed: HALF, found: master.len() };
        if master.len() < HALF {
            return Err(short);
        }
        if master.iter().all(|byte| *byte == 0) {
            return Err(LegacyKeyError::Zero);
        }
        let mut both = Zeroizing::new([0; 2 * HALF]);
        let hkdf = Hkdf::<Sha256>::from_prk(master).map_err(|_| short)?;
        hkdf.expand(INFO, &mut *both).map_err(|_| short)?;
        Self::from_bytes(&*both)
    }

    /// Creates the key of Rocket's `secret_key`, as `Rocket.toml` or `ROCKET_SECRET_KEY` has it: 44 characters of
    /// base64 or 64 of hexadecimal digits are a master, 88 of base64 the whole key.
    ///
    /// # Errors
    ///
    /// [`LegacyKeyError::Malformed`] for another form, and [`LegacyKeyError::Zero`] for the key that Rocket takes for
    /// none.
    pub fn from_rocket(secret_key: &str) -> Result<Self, LegacyKeyError> {
        let bytes = match secret_key.len() {
            44 | 88 if secret_key.ends_with('=') => STANDARD.decode(secret_key).ok(),
            44 | 88 => STANDARD_NO_PAD.decode(secret_key).ok(),
            64 => hex(secret_key.as_bytes()),
            _ => None,
        };
        let bytes = Zeroizing::new(bytes.ok_or(LegacyKeyError::Malformed)?);
        if bytes.len() < 2 * HALF { Self::derive_from(&bytes) } else { Self::from_bytes(&bytes) }
    }
}

fn hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

/// Shows nothing of the key.
impl fmt::Debug for JarKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JarKey(..)")
    }
}

/// The reason why the key of another library was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LegacyKeyError {
    /// That library would not take it either.
    #[error("the key has {found} bytes, and needs {needed}")]
    TooShort {
        /// The number of bytes that it needs.
        needed: usize,
        /// The number of bytes that it has.
        found: usize,
    },
    /// It has none of the known forms.
    #[error("the key has none of the known forms")]
    Malformed,
    /// All of its bytes are zero, as where nobody set one.
    #[error("the key is all zeros")]
    Zero,
}

/// The two keys of a jar have 32 bytes each.
const HALF: usize = 32;

/// What `cookie` expands a master with.
const INFO: &[u8] = b"COOKIE;SIGNED:HMAC-SHA256;PRIVATE:AEAD-AES-256-GCM";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_is_refused_by_name() {
        use LegacyKeyError::{Malformed, TooShort, Zero};
        let of = |result: Result<JarKey, LegacyKeyError>| result.map(|_| ()).unwrap_err();
        assert_eq!(of(JarKey::from_bytes(&[1; 63])), TooShort { needed: 64, found: 63 });
        assert_eq!(of(JarKey::from_bytes(&[0; 64])), Zero);
        assert_eq!(of(JarKey::derive_from(&[1; 31])), TooShort { needed: 32, found: 31 });
        assert_eq!(of(JarKey::derive_from(&[0; 32])), Zero);
        for (text, expected) in [
            ("".to_owned(), Malformed),
            ("1".repeat(63), Malformed),
            ("g".repeat(64), Malformed),
            ("\u{e9}".repeat(32), Malformed),
            ("A".repeat(43) + "!", Malformed),
            ("A".repeat(43) + "=", Zero),
            ("A".repeat(86) + "==", Zero),
            ("0".repeat(64), Zero),
        ] {
            assert_eq!(of(JarKey::from_rocket(&text)), expected, "{text}");
        }
        assert_eq!(
            of(Err(TooShort { needed: 2, found: 1 })).to_string(),
            "the key has 1 bytes, and needs 2"
        );
    }

    #[test]
    fn half_of_a_key_may_be_zero() {
        let mut bytes = [0; 64];
        bytes[63] = 1;
        assert!(JarKey::from_bytes(&bytes).is_ok());
    }

    #[test]
    fn no_key_is_shown() {
        let key = JarKey::from_bytes(&[0xab; 64]).unwrap();
        assert_eq!(format!("{key:?}"), "JarKey(..)");
    }
}
