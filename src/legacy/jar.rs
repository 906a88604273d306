//! The jars of the `cookie` crate.
//!
//! ```text
//! private = base64(nonce(12) · ciphertext · tag(16))
//!           AES-256-GCM, associated data = the cookie's name
//! signed  = base64(HMAC-SHA256(value)) (44 characters) · value
//! ```
//!
//! axum-extra, actix-web, poem and Rocket percent-encode what comes out, tower-cookies does not.

use std::borrow::Cow;
use std::fmt;

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use serde::de::DeserializeOwned;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::key::JarKey;
use super::percent;
use super::reader::{Found, Reader, Refusal};
use super::state;

/// Opens cookies of a `cookie::PrivateJar` or `cookie::SignedJar`, and makes readers of what may be in them.
///
/// # Example
///
/// ```
/// use sealed_session::legacy::{Jar, JarKey};
/// use serde::Deserialize;
///
/// struct Session { user: u64 }
/// # let bytes = [7; 64];
///
/// // axum-extra, with the user's id as text.
/// let reader = Jar::private(&JarKey::from_bytes(&bytes)?)
///     .text("user_id", |id| Some(Session { user: id.parse().ok()? }));
///
/// // actix-session, with `session.insert("user", 7)`.
/// #[derive(Deserialize)]
/// struct Old { user: u64 }
/// let reader = Jar::private(&JarKey::from_bytes(&bytes)?)
///     .actix_session("id", |old: Old| Some(Session { user: old.user }));
/// # let _: sealed_session::legacy::Reader<Session> = reader;
/// # Ok::<(), sealed_session::legacy::LegacyKeyError>(())
/// ```
pub struct Jar(Kind);

enum Kind {
    Private(Box<Aes256Gcm>),
    Signed(Zeroizing<[u8; 32]>),
}

impl Jar {
    /// Creates a jar that opens private cookies: encrypted, and bound to their name.
    #[must_use]
    pub fn private(key: &JarKey) -> Self {
        Self(Kind::Private(Box::new(Aes256Gcm::new((&*key.encryption).into()))))
    }

    /// Creates a jar that verifies signed cookies.
    ///
    /// The name is not signed: a cookie of another name under the same key passes too. So the closure has to
    /// decline what does not look like a session.
    #[must_use]
    pub fn signed(key: &JarKey) -> Self {
        Self(Kind::Signed(key.signing.clone()))
    }

    /// Creates a reader of a cookie that holds text.
    pub fn text<T>(
        self,
        name: impl Into<String>,
        read: impl Fn(&str) -> Option<T> + Send + Sync + 'static,
    ) -> Reader<T> {
        self.reader(name.into(), move |text| read(text).ok_or(Refusal::Declined))
    }

    /// Creates a reader of a cookie that holds JSON, which is deserialized as `Old`. Such are the cookies of poem's
    /// `CookieSession`, and of many applications with axum-extra or Rocket.
    pub fn json<Old: DeserializeOwned, T>(
        self,
        name: impl Into<String>,
        read: impl Fn(Old) -> Option<T> + Send + Sync + 'static,
    ) -> Reader<T> {
        self.reader(name.into(), move |text| {
            let old = serde_json::from_str(text).map_err(|_| Refusal::Content)?;
            read(old).ok_or(Refusal::Declined)
        })
    }

    /// Creates a reader of actix-session's `CookieSessionStore`: what was inserted under each key is the field of
    /// that name in `Old`.
    ///
    /// Reads the cookies of releases up to 0.11, whose entries are JSON within JSON, and those of the versioned format
    /// that comes after it. actix-session's name is `id` unless it was set, and its cookies are private unless they were
    /// asked to be signed.
    pub fn actix_session<Old: DeserializeOwned, T>(
        self,
        name: impl Into<String>,
        read: impl Fn(Old) -> Option<T> + Send + Sync + 'static,
    ) -> Reader<T> {
        self.reader(name.into(), move |text| {
            let old = state::actix(text).ok_or(Refusal::Content)?;
            read(old).ok_or(Refusal::Declined)
        })
    }

    /// Creates a reader of tower-sessions-cookie-store: what was inserted under each key is the field of that name in
    /// `Old`. Its date of expiry is heeded.
    ///
    /// That library's name is `session` unless it was set. Of tower-sessions with a store on the server, the guide
    /// tells.
    pub fn tower_session<Old: DeserializeOwned, T>(
        self,
        name: impl Into<String>,
        read: impl Fn(Old) -> Option<T> + Send + Sync + 'static,
    ) -> Reader<T> {
        let name = name.into();
        Reader::with(name.clone(), move |value, now| {
            let (text, canonical) = self.open(&name, value).ok_or(Refusal::Unauthentic)?;
            let session = read(state::tower(&text, now)?).ok_or(Refusal::Declined)?;
            Ok(Found { session, canonical })
        })
    }

    fn reader<T>(
        self,
        name: String,
        read: impl Fn(&str) -> Result<T, Refusal> + Send + Sync + 'static,
    ) -> Reader<T> {
        Reader::with(name.clone(), move |value, _| {
            let (text, canonical) = self.open(&name, value).ok_or(Refusal::Unauthentic)?;
            Ok(Found { session: read(&text)?, canonical })
        })
    }

    /// Opens a value, and returns beside it the reading of it that was authentic.
    fn open<'v>(&self, name: &str, value: &'v [u8]) -> Option<(Zeroizing<String>, Cow<'v, [u8]>)> {
        percent::readings(value).find_map(|reading| {
            let opened = match &self.0 {
                Kind::Private(cipher) => open_private(cipher, name, &reading),
                Kind::Signed(key) => open_signed(key, &reading),
            }?;
            Some((opened, reading))
        })
    }
}

fn open_private(cipher: &Aes256Gcm, name: &str, value: &[u8]) -> Option<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(STANDARD.decode(value).ok()?);
    let (nonce, rest) = bytes.split_first_chunk_mut::<12>()?;
    let (message, tag) = rest.split_last_chunk_mut::<16>()?;
    let (nonce, tag) = ((&*nonce).into(), (&*tag).into());
    cipher.decrypt_inout_detached(nonce, name.as_bytes(), (&mut *message).into(), tag).ok()?;
    Some(Zeroizing::new(str::from_utf8(message).ok()?.to_owned()))
}

fn open_signed(key: &[u8; 32], value: &[u8]) -> Option<Zeroizing<String>> {
    let (digest, value) = value.split_first_chunk::<44>()?;
    let digest = STANDARD.decode(digest).ok()?;
    let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).ok()?;
    mac.chain_update(value).verify_slice(&digest).ok()?;
    Some(Zeroizing::new(str::from_utf8(value).ok()?.to_owned()))
}

impl fmt::Debug for Jar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Private(_) => "Jar::Private(..)",
            Kind::Signed(_) => "Jar::Signed(..)",
        })
    }
}
