//! The cookies of a request, and the session that was opened from them.

use std::ops::Range;
use std::sync::OnceLock;

use memchr::memmem;

use crate::bytes::secret_bytes::SecretBytes;
use crate::codec::error::DecodeError;
use crate::cookie::found::FoundCookies;
use crate::keys::key_id::KeyId;
use crate::message::envelope::Envelope;
use crate::message::pack;
use crate::seal::binding::Binding;

/// The cookies of one request that are a codec's, and what was opened from them.
///
/// Created by [`Codec::request`](crate::Codec::request) and passed to the other operations, so that a
/// session is opened once, and writing knows what the client has: when the session began, whether it
/// changed, and which cookies to remove.
///
/// Finding our cookies is one pass over the header, whatever else is in it: other cookies with
/// broken bytes do no harm, names are compared exactly, and at most four values of one name
/// are tried.
#[derive(Debug, Clone)]
pub struct RequestCookies<'a> {
    pub(crate) binding: Binding,
    pub(crate) found: FoundCookies<'a>,
    pub(crate) opened: OnceLock<Result<Option<OpenedCookie>, DecodeError>>,
}

impl<'a> RequestCookies<'a> {
    pub(crate) fn new(binding: Binding) -> Self {
        Self { binding, found: FoundCookies::default(), opened: OnceLock::new() }
    }

    /// Copies what is borrowed, so that the request's headers can go their way.
    #[must_use]
    pub fn into_owned(self) -> RequestCookies<'static> {
        let Self { binding, found, opened } = self;
        RequestCookies { binding, found: found.into_owned(), opened }
    }

    pub(crate) fn read_header(&mut self, name: &memmem::Finder<'_>, header: &'a [u8]) {
        self.found.read_header(name, header);
    }

    pub(crate) fn read_pair(&mut self, ours: &str, name: &'a str, value: &'a str) {
        self.found.read_pair(ours, name, value);
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
}

impl OpenedCookie {
    /// Gives the session as it was sealed.
    pub(crate) fn packed(&self) -> &[u8] {
        self.opened.get(self.packed.clone()).unwrap_or_default()
    }

    /// Gives the session as it was serialized.
    pub(crate) fn body(&self) -> &[u8] {
        match &self.unpacked {
            Some(body) => body,
            None => pack::plain(self.packed()).unwrap_or_default(),
        }
    }
}
