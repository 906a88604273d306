//! Inspection: what a session cookie is made of, for the tool and for debugging.

use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bytes::base64url;
use crate::bytes::secret_bytes::SecretBytes;
use crate::codec::Codec;
use crate::codec::error::DecodeError;
#[cfg(feature = "store")]
use crate::codec::overflow::Content;
use crate::codec::request_cookies::RequestCookies;
use crate::cookie::chunk;
use crate::keys::key_id::KeyId;
use crate::message::envelope::Envelope;
use crate::message::format::Format;
use crate::message::session_id::SessionId;
use crate::message::unpack;
use crate::seal;
#[cfg(feature = "store")]
use crate::store::{BlobError, BlobId, StoreError};

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
    /// The name of the blob in which the session lies, if it does not lie in the cookie.
    #[cfg(feature = "store")]
    pub blob: Option<BlobId>,
    /// The bytes of that blob, if it was fetched.
    #[cfg(feature = "store")]
    pub blob_bytes: Option<usize>,
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
        #[cfg(feature = "store")]
        return self.inspect_with_at(request, now, |_| None);
        #[cfg(not(feature = "store"))]
        self.inspect(request, now, &mut ())
    }

    /// Behaves as [`inspect_at`](Self::inspect_at) does, with what `fetch` gives of a store. Where it gives `None`,
    /// such a session is shown as [not fetched](crate::store::BlobError::NotFetched).
    #[cfg(feature = "store")]
    #[must_use]
    pub fn inspect_with_at(
        &self,
        request: &RequestCookies<'_>,
        now: SystemTime,
        mut fetch: impl FnMut(BlobId) -> Option<Result<Option<Vec<u8>>, StoreError>>,
    ) -> Vec<Inspection<T>> {
        self.inspect(request, now, &mut fetch)
    }

    fn inspect(
        &self,
        request: &RequestCookies<'_>,
        now: SystemTime,
        fetch: &mut Fetch<'_>,
    ) -> Vec<Inspection<T>> {
        request.found.values(0).map(|base| self.inspect_one(base, request, now, fetch)).collect()
    }

    fn inspect_one(
        &self,
        base: &[u8],
        request: &RequestCookies<'_>,
        now: SystemTime,
        fetch: &mut Fetch<'_>,
    ) -> Inspection<T> {
        let text = match chunk::join(base, &request.found) {
            Ok(text) => text,
            Err(error) => {
                let (header, characters) = (header(base), base.len());
                return Inspection { header, characters, contents: Err(error.into()) };
            }
        };
        let contents = self.contents(&text, now, fetch);
        Inspection { header: header(base), characters: text.len(), contents }
    }

    #[cfg_attr(not(feature = "store"), expect(unused_variables, reason = "all lies in the cookie"))]
    fn contents(
        &self,
        text: &[u8],
        now: SystemTime,
        fetch: &mut Fetch<'_>,
    ) -> Result<Contents<T>, DecodeError> {
        let sealed = base64url::decode(text).ok_or(DecodeError::Malformed)?;
        let mut buffer = SecretBytes::new(sealed);
        let keys = self.ring().load();
        seal::open(&mut buffer, &keys, self.settings.binding, now)?;
        let message = buffer.get(seal::PREFIX..).unwrap_or_default();
        let (envelope, range) = Envelope::parse(message)?;
        let sealed = envelope.sealed.into();
        let mut contents = Contents {
            began: envelope.began.into(),
            sealed,
            expires: sealed + self.settings.lifetimes.remaining(&envelope),
            schema: envelope.schema,
            id: envelope.id,
            format: envelope.format,
            #[cfg(feature = "store")]
            blob: None,
            #[cfg(feature = "store")]
            blob_bytes: None,
            packing: "none",
            message_bytes: message.len(),
            padding_bytes: message.len() - range.end,
            packed_bytes: 0,
            body_bytes: 0,
            session: Err(DecodeError::Message),
        };
        #[cfg(feature = "store")]
        if let Some(reference) = &envelope.elsewhere {
            contents.blob = Some(reference.id);
            let Some(fetched) = fetch(reference.id) else {
                contents.session = Err(DecodeError::Blob(BlobError::NotFetched(reference.id)));
                return Ok(contents);
            };
            contents.blob_bytes = fetched.as_ref().ok().and_then(|blob| Some(blob.as_ref()?.len()));
            match Content::open(&self.settings, &envelope, fetched) {
                Ok(content) => contents.read(content.packed())?,
                Err(error) => contents.session = Err(error),
            }
            return Ok(contents);
        }
        contents.read(message.get(range).unwrap_or_default())?;
        Ok(contents)
    }
}

impl<T: DeserializeOwned> Contents<T> {
    /// Reads the session from where it lies.
    fn read(&mut self, packed: &[u8]) -> Result<(), DecodeError> {
        let body = match unpack::plain(packed) {
            Some(plain) => SecretBytes::new(plain.to_vec()),
            None => unpack::unpack(packed)?,
        };
        (self.packing, self.packed_bytes) = (unpack::packing(packed), packed.len());
        self.body_bytes = body.len();
        self.session = self.format.deserialize(&body).map_err(DecodeError::from);
        Ok(())
    }
}

/// What gives the blobs of a store.
#[cfg(feature = "store")]
type Fetch<'a> = dyn FnMut(BlobId) -> Option<Result<Option<Vec<u8>>, StoreError>> + 'a;
#[cfg(not(feature = "store"))]
type Fetch<'a> = ();

fn header(base: &[u8]) -> Result<Header, DecodeError> {
    let head = base.get(..HEAD).and_then(base64url::decode).ok_or(DecodeError::Malformed)?;
    let (cookies, key) = seal::parse_header(&head)?;
    Ok(Header { version: seal::VERSION, cookies, key })
}

/// The characters that hold the header.
const HEAD: usize = 8;
