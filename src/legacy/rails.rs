//! Encrypted cookies of Rails, for teams that come from Ruby.
//!
//! ```text
//! value    = base64(ciphertext) · "--" · base64(iv(12)) · "--" · base64(tag(16)), percent-encoded
//! key      = PBKDF2(secret_key_base, "authenticated encrypted cookie", 1000 iterations)
//!            with HMAC-SHA-256 by the defaults of 7.0, and HMAC-SHA-1 by those before
//! message  = {"_rails": {"message": base64(JSON), "exp": RFC 3339 or null, "pur": "cookie." · name}}
//! ```

use std::fmt;
use std::time::SystemTime;

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha1::Sha1;
use sha2::Sha256;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use zeroize::Zeroizing;

use super::key::LegacyKeyError;
use super::percent;
use super::reader::{Found, Reader, Refusal};

/// Opens encrypted cookies of Rails 5.2 to 8: `session` with the `CookieStore`, and `cookies.encrypted`.
///
/// They must be serialized as JSON (`config.action_dispatch.cookies_serializer = :json`, the default of
/// applications since Rails 7.0, or `:hybrid`, for what was written since). Ruby's Marshal format is refused: what
/// reads it builds any object that it names.
///
/// # Example
///
/// ```
/// use sealed_session::legacy::RailsSession;
/// use serde::Deserialize;
///
/// struct Session { user: u64 }
/// #[derive(Deserialize)]
/// struct Old { user_id: u64 } // session[:user_id]
///
/// # let secret_key_base = "0".repeat(64);
/// let reader = RailsSession::new(secret_key_base)?
///     .json("_app_session", |old: Old| Some(Session { user: old.user_id }));
/// # Ok::<(), sealed_session::legacy::LegacyKeyError>(())
/// ```
pub struct RailsSession {
    /// By the defaults of 7.0, and by those before.
    ciphers: Box<[Aes256Gcm; 2]>,
}

impl RailsSession {
    /// Creates one that opens by the `secret_key_base` of the application.
    ///
    /// It derives the keys of both hash functions, which takes a millisecond.
    ///
    /// # Errors
    ///
    /// [`LegacyKeyError::TooShort`] for fewer than 30 bytes, as Rails has it.
    pub fn new(secret_key_base: impl Into<String>) -> Result<Self, LegacyKeyError> {
        let secret = Zeroizing::new(secret_key_base.into());
        if secret.len() < LEAST {
            return Err(LegacyKeyError::TooShort { needed: LEAST, found: secret.len() });
        }
        let mut keys = Zeroizing::new([[0; 32]; 2]);
        let [sha256, sha1] = &mut *keys;
        pbkdf2::pbkdf2_hmac::<Sha256>(secret.as_bytes(), SALT, ITERATIONS, sha256);
        pbkdf2::pbkdf2_hmac::<Sha1>(secret.as_bytes(), SALT, ITERATIONS, sha1);
        Ok(Self { ciphers: Box::new(keys.each_ref().map(|key| Aes256Gcm::new(key.into()))) })
    }

    /// Creates a reader of the cookie of this name, which is deserialized as `Old`. Its expiry is heeded, and it has
    /// to be of this name.
    pub fn json<Old: DeserializeOwned, T>(
        self,
        name: impl Into<String>,
        read: impl Fn(Old) -> Option<T> + Send + Sync + 'static,
    ) -> Reader<T> {
        let name = name.into();
        Reader::with(name.clone(), move |value, now| {
            let mut readings = percent::readings(value);
            let opened = readings.find_map(|reading| Some((self.open(&reading)?, reading)));
            let (message, canonical) = opened.ok_or(Refusal::Unauthentic)?;
            let json = unwrap(&message, &name, now)?;
            let old = serde_json::from_slice(&json).map_err(|_| Refusal::Content)?;
            Ok(Found { session: read(old).ok_or(Refusal::Declined)?, canonical })
        })
    }

    fn open(&self, value: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut parts = str::from_utf8(value).ok()?.split("--");
        let mut next = || STANDARD.decode(parts.next()?).ok();
        let (ciphertext, iv, tag) = (next()?, next()?, next()?);
        if parts.next().is_some() {
            return None;
        }
        let iv: [u8; 12] = iv.try_into().ok()?;
        let tag: [u8; 16] = tag.try_into().ok()?;
        self.ciphers.iter().find_map(|cipher| {
            let mut message = Zeroizing::new(ciphertext.clone());
            let (iv, tag) = ((&iv).into(), (&tag).into());
            cipher.decrypt_inout_detached(iv, b"", message.as_mut_slice().into(), tag).ok()?;
            Some(message)
        })
    }
}

/// Takes the JSON out of its envelope, which says of which cookie it is and until when.
fn unwrap(message: &[u8], name: &str, now: SystemTime) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let Envelope { rails } = serde_json::from_slice(message).map_err(|_| Refusal::Content)?;
    if rails.pur.strip_prefix("cookie.") != Some(name) {
        return Err(Refusal::Content);
    }
    if let Some(exp) = &rails.exp {
        let expires = OffsetDateTime::parse(exp, &Rfc3339).map_err(|_| Refusal::Content)?;
        if expires <= OffsetDateTime::from(now) {
            return Err(Refusal::Expired);
        }
    }
    STANDARD.decode(&rails.message).map(Zeroizing::new).map_err(|_| Refusal::Content)
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "_rails")]
    rails: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    message: String,
    exp: Option<String>,
    pur: String,
}

impl fmt::Debug for RailsSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RailsSession(..)")
    }
}

const SALT: &[u8] = b"authenticated encrypted cookie";
const ITERATIONS: u32 = 1000;

/// As Rails asks for.
const LEAST: usize = 30;
