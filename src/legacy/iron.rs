//! Cookies of iron-session 8, for teams that come from Node.
//!
//! ```text
//! value = base · "*" · macsalt · "*" · base64url(HMAC-SHA256(PBKDF2(password, macsalt), base)) · "~2"
//! base  = "Fe26.2*" · password id · "*" · salt · "*" · base64url(iv) · "*" · base64url(ciphertext) · "*" · expires
//! PBKDF2 with HMAC-SHA-1 and one iteration, AES-256-CBC with PKCS #7 padding, expires in milliseconds or empty
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use aes::Aes256;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cbc::Decryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use hmac::{Hmac, KeyInit, Mac};
use serde::de::DeserializeOwned;
use sha1::Sha1;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::key::LegacyKeyError;
use super::reader::{Found, Reader, Refusal};

/// Opens cookies of iron-session 8.
///
/// # Example
///
/// ```
/// use sealed_session::legacy::IronSession;
/// use serde::Deserialize;
///
/// struct Session { user: u64 }
/// #[derive(Deserialize)]
/// struct Old { user: u64 }
///
/// let reader = IronSession::new("a password of at least 32 characters")?
///     .json("my-session", |old: Old| Some(Session { user: old.user }));
/// # Ok::<(), sealed_session::legacy::LegacyKeyError>(())
/// ```
pub struct IronSession {
    passwords: BTreeMap<String, Zeroizing<String>>,
}

impl IronSession {
    /// Creates one that opens by this password, which iron-session knows by the number 1.
    ///
    /// # Errors
    ///
    /// [`LegacyKeyError::TooShort`] for fewer than 32 bytes.
    pub fn new(password: impl Into<String>) -> Result<Self, LegacyKeyError> {
        Self { passwords: BTreeMap::new() }.password(1, password)
    }

    /// Adds a password by its number, for applications that rotate them.
    ///
    /// # Errors
    ///
    /// [`LegacyKeyError::TooShort`] for fewer than 32 bytes.
    pub fn password(
        mut self,
        number: u32,
        password: impl Into<String>,
    ) -> Result<Self, LegacyKeyError> {
        let password = Zeroizing::new(password.into());
        if password.len() < LEAST {
            return Err(LegacyKeyError::TooShort { needed: LEAST, found: password.len() });
        }
        self.passwords.insert(number.to_string(), password);
        Ok(self)
    }

    /// Creates a reader of the cookie of this name, which is deserialized as `Old`. Its expiry is heeded.
    pub fn json<Old: DeserializeOwned, T>(
        self,
        name: impl Into<String>,
        read: impl Fn(Old) -> Option<T> + Send + Sync + 'static,
    ) -> Reader<T> {
        Reader::with(name.into(), move |value, now| {
            let json = self.open(value, now)?;
            let old = serde_json::from_slice(&json).map_err(|_| Refusal::Content)?;
            let session = read(old).ok_or(Refusal::Declined)?;
            Ok(Found { session, canonical: Cow::Borrowed(value) })
        })
    }

    fn open(&self, value: &[u8], now: SystemTime) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let seal = Seal::parse(value).ok_or(Refusal::Unauthentic)?;
        let password = self.passwords.get(seal.password).ok_or(Refusal::Unauthentic)?;
        seal.verify(password).ok_or(Refusal::Unauthentic)?;
        if seal.expires().ok_or(Refusal::Content)?.is_some_and(|expires| expires <= now) {
            return Err(Refusal::Expired);
        }
        seal.decrypt(password).ok_or(Refusal::Content)
    }
}

/// The parts of a value.
struct Seal<'v> {
    /// What the MAC is of.
    base: &'v str,
    password: &'v str,
    salt: &'v str,
    iv: &'v str,
    ciphertext: &'v str,
    expires: &'v str,
    mac_salt: &'v str,
    mac: &'v str,
}

impl<'v> Seal<'v> {
    fn parse(value: &'v [u8]) -> Option<Self> {
        let value = str::from_utf8(value).ok()?.strip_suffix("~2")?;
        let (rest, mac) = value.rsplit_once('*')?;
        let (base, mac_salt) = rest.rsplit_once('*')?;
        let mut parts = base.strip_prefix("Fe26.2*")?.split('*');
        let (password, salt, iv) = (parts.next()?, parts.next()?, parts.next()?);
        let (ciphertext, expires) = (parts.next()?, parts.next()?);
        let all = parts.next().is_none();
        all.then_some(Self { base, password, salt, iv, ciphertext, expires, mac_salt, mac })
    }

    fn verify(&self, password: &str) -> Option<()> {
        let mac = URL_SAFE_NO_PAD.decode(self.mac).ok()?;
        let key = derive(password, self.mac_salt);
        let hmac = Hmac::<Sha256>::new_from_slice(&*key).ok()?;
        hmac.chain_update(self.base).verify_slice(&mac).ok()
    }

    /// Returns when it ends, or none in it for never.
    fn expires(&self) -> Option<Option<SystemTime>> {
        if self.expires.is_empty() {
            return Some(None);
        }
        let millis = self.expires.parse().ok()?;
        // As far away as the clock goes is as good as never.
        Some(SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis)))
    }

    fn decrypt(&self, password: &str) -> Option<Zeroizing<Vec<u8>>> {
        let iv: [u8; 16] = URL_SAFE_NO_PAD.decode(self.iv).ok()?.try_into().ok()?;
        let mut bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(self.ciphertext).ok()?);
        let key = derive(password, self.salt);
        let cipher = Decryptor::<Aes256>::new((&*key).into(), (&iv).into());
        let len = cipher.decrypt_padded::<Pkcs7>(&mut bytes).ok()?.len();
        bytes.truncate(len);
        Some(bytes)
    }
}

fn derive(password: &str, salt: &str) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    pbkdf2::pbkdf2_hmac::<Sha1>(password.as_bytes(), salt.as_bytes(), 1, &mut *key);
    key
}

impl fmt::Debug for IronSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IronSession").field("numbers", &self.passwords.keys()).finish()
    }
}

/// As iron-session asks for.
const LEAST: usize = 32;
