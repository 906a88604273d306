//! The cookies of a request, and the session that was opened from them.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use memchr::memmem;

use crate::bytes::secret_bytes::SecretBytes;
use crate::codec::error::DecodeError;
use crate::codec::judge::Tags;
#[cfg(feature = "store")]
use crate::codec::overflow::Fetched;
use crate::cookie::found::FoundCookies;
use crate::cookie::old::OldValues;
use crate::keys::key_id::KeyId;
use crate::message::envelope::Envelope;
use crate::message::unpack;
use crate::seal::binding::Binding;
#[cfg(feature = "store")]
use crate::store::work::Work;

/// The cookies of one request that are a codec's, and what was opened from them.
///
/// Created by [`Codec::request`](crate::Codec::request) and passed to the other operations, so that a
/// session is opened once, and writing knows what the client has: when the session began, whether it
/// changed, and which cookies to remove.
///
/// It belongs to that codec and its clones; to others it is [`DecodeError::OtherCodec`], even to one with the same
/// name and keys. An application that reads by two codecs makes two of them.
///
/// Finding our cookies is one pass over the header, whatever else is in it: other cookies with broken bytes do no
/// harm, and names are compared exactly. Of one name, the first value and seven more that can be sessions are tried.
#[derive(Debug, Clone)]
pub struct RequestCookies<'a> {
    pub(crate) codec: CodecId,
    pub(crate) binding: Binding,
    pub(crate) found: FoundCookies<'a>,
    /// Those of other libraries, for each reader.
    pub(crate) old: Vec<OldValues<'a>>,
    /// In a box, since it is large, and on its way here it is handed on often.
    pub(crate) opened: OnceLock<Result<Option<Box<OpenedCookie>>, DecodeError>>,
}

impl<'a> RequestCookies<'a> {
    pub(crate) fn new(codec: CodecId, binding: Binding) -> Self {
        let (found, old) = (FoundCookies::default(), Vec::new());
        Self { codec, binding, found, old, opened: OnceLock::new() }
    }

    /// Copies what is borrowed, so that the request's headers can go their way.
    #[must_use]
    pub fn into_owned(self) -> RequestCookies<'static> {
        let Self { codec, binding, found, old, opened } = self;
        let old = old.into_iter().map(OldValues::into_owned).collect();
        RequestCookies { codec, binding, found: found.into_owned(), old, opened }
    }

    pub(crate) fn read_header(&mut self, name: &memmem::Finder<'_>, header: &'a [u8]) {
        self.found.read_header(name, header);
    }
}

/// The identity of a codec within a program: what one opened, with its keys and timeouts, is no answer for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CodecId(u64);

impl CodecId {
    /// Returns an id that no other codec of this process has.
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// What is kept of an opened session until the response is written.
#[derive(Debug, Clone)]
pub(crate) struct OpenedCookie {
    pub(crate) envelope: Envelope,
    pub(crate) key: KeyId,
    /// What was opened, and where the packed session lies in it.
    pub(crate) opened: SecretBytes,
    pub(crate) packed: Range<usize>,
    /// The session as it was serialized, unless it lies there plainly.
    pub(crate) unpacked: Option<SecretBytes>,
    /// The reader whose cookie it was read from, if it is not ours.
    pub(crate) moved_from: Option<usize>,
    /// By what else it can be revoked.
    pub(crate) tags: Tags,
    /// What was fetched of a session whose body lies in a store.
    #[cfg(feature = "store")]
    pub(crate) fetched: Fetched,
    /// What has to be stored for a session that an old cookie brought, when it is sealed.
    #[cfg(feature = "store")]
    pub(crate) work: Work,
}

impl OpenedCookie {
    /// Returns the session as it was sealed.
    pub(crate) fn packed(&self) -> &[u8] {
        #[cfg(feature = "store")]
        if let Some(Ok(content)) = self.fetched.get() {
            return content.packed();
        }
        self.opened.get(self.packed.clone()).unwrap_or_default()
    }

    /// Returns the session as it was serialized.
    pub(crate) fn body(&self) -> &[u8] {
        #[cfg(feature = "store")]
        if let Some(Ok(content)) = self.fetched.get() {
            return content.body();
        }
        match &self.unpacked {
            Some(body) => body,
            None => unpack::plain(self.packed()).unwrap_or_default(),
        }
    }
}

/// Without a store, the body is always in the cookie.
#[cfg(not(feature = "store"))]
impl OpenedCookie {
    pub(super) const fn is_here(&self) -> bool {
        true
    }
}
