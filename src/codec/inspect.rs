//! Inspection: what a session cookie is made of, for the tool and for debugging.

use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bytes::base64url;
use crate::bytes::secret_bytes::SecretBytes;
use crate::codec::Codec;
use crate::codec::error::DecodeError;
use crate::codec::request_cookies::RequestCookies;
use crate::cookie::chunk;
use crate::keys::key_id::KeyId;
use crate::message::envelope::Envelope;
use crate::message::format::Format;
use crate::message::session_id::SessionId;
use crate::message::unpack;
use crate::seal;

/// A description of what one value of a session cookie is made of.
#[derive(Debug)]
#[non_exhaustive]
pub struct Inspection<T> {
    /// What stands in clear. Nothing of it is known to be authentic before the seal was opened.
    pub header: Result<Header, DecodeError>,
    /// The characters of the value, and of the further cookies that belong to it.
    pub characters: usize,
    /// What is inside the seal.
    pub contents: Result<Contents<T>, DecodeError>,
}

/// What stands in clear before the seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// The wire version.
    pub version: u8,
    /// The number of cookies.
    pub cookies: u8,
    /// The key that is said to have sealed it.
    pub key: KeyId,
}

/// What was inside a seal that held.
#[derive(Debug)]
#[non_exhaustive]
pub struct Contents<T> {
    /// When the session began.
    pub began: SystemTime,
    /// When it was sealed.
    pub sealed: SystemTime,
    /// When it expires by the codec's timeouts.
    pub expires: SystemTime,
    /// The schema in which it was sealed.
    pub schema: u32,
    /// Its id, if it has one.
    pub id: Option<SessionId>,
    /// The format in which it was serialized.
    pub format: Format,
    /// How it was made smaller: `none`, `lz4` or `deflate`.
    pub packing: &'static str,
    /// The bytes inside the seal, padding included.
    pub message_bytes: usize,
    /// The bytes of padding.
    pub padding_bytes: usize,
    /// The bytes of the session as packed.
    pub packed_bytes: usize,
    /// The bytes of the session as serialized.
    pub body_bytes: usize,
    /// The session itself, whatever its schema.
    pub session: Result<T, DecodeError>,
}

impl<T: Serialize + DeserializeOwned + 'static> Codec<T> {
    /// Inspects each value of the session cookie in a request, whether it has expired or not.
    ///
    /// For people: it tells more than a server should tell anybody, and [`decode`](Self::decode) is what
    /// judges a session.
    #[must_use]
    pub fn inspect_at(&self, request: &RequestCookies<'_>, now: SystemTime) -> Vec<Inspection<T>> {
        request.found.values(0).map(|base| self.inspect_one(base, request, now)).collect()
    }

    fn inspect_one(
        &self,
        base: &[u8],
        request: &RequestCookies<'_>,
        now: SystemTime,
    ) -> Inspection<T> {
        let text = match chunk::join(base, &request.found) {
            Ok(text) => text,
            Err(error) => {
                let (header, characters) = (header(base), base.len());
                return Inspection { header, characters, contents: Err(error.into()) };
            }
        };
        let contents = self.contents(&text, now);
        Inspection { header: header(base), characters: text.len(), contents }
    }

    fn contents(&self, text: &[u8], now: SystemTime) -> Result<Contents<T>, DecodeError> {
        let sealed = base64url::decode(text).ok_or(DecodeError::Malformed)?;
        let mut buffer = SecretBytes::new(sealed);
        let keys = self.ring().load();
        seal::open(&mut buffer, &keys, self.settings.binding, now)?;
        let message = buffer.get(seal::PREFIX..).unwrap_or_default();
        let (envelope, range) = Envelope::parse(message)?;
        let packed = message.get(range.clone()).unwrap_or_default();
        let body = match unpack::plain(packed) {
            Some(plain) => SecretBytes::new(plain.to_vec()),
            None => unpack::unpack(packed)?,
        };
        let packing = unpack::packing(packed);
        let sealed = envelope.sealed.into();
        Ok(Contents {
            began: envelope.began.into(),
            sealed,
            expires: sealed + self.settings.lifetimes.remaining(&envelope),
            schema: envelope.schema,
            id: envelope.id,
            format: envelope.format,
            packing,
            message_bytes: message.len(),
            padding_bytes: message.len() - range.end,
            packed_bytes: packed.len(),
            body_bytes: body.len(),
            session: envelope.format.deserialize(&body).map_err(DecodeError::from),
        })
    }
}

fn header(base: &[u8]) -> Result<Header, DecodeError> {
    let head = base.get(..HEAD).and_then(base64url::decode).ok_or(DecodeError::Malformed)?;
    let (cookies, key) = seal::parse_header(&head)?;
    Ok(Header { version: seal::VERSION, cookies, key })
}

/// The characters that hold the header.
const HEAD: usize = 8;
