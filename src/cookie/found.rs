//! The cookies of a request: which of them are ours.

use std::borrow::Cow;
use std::fmt;

use memchr::{memchr, memmem};

use crate::bytes::base64url;
use crate::cookie::limits::MAX_TEXT;
use crate::seal::OVERHEAD;

/// The cookies of one session that a request carries, by index.
///
/// Finding them is one pass over the header, whatever else is in it: other cookies with broken bytes do no harm, names
/// are compared exactly, and at most eight values of one name are kept. What cannot be ours does not count as one.
#[derive(Debug, Clone, Default)]
pub(crate) struct FoundCookies<'a> {
    /// The one cookie of ours that most requests have, and the others.
    first: Option<Chunk<'a>>,
    further: Vec<Chunk<'a>>,
    /// Bit i: a cookie of index i is there.
    present: u16,
    /// Whether there were more values of one name than are kept.
    too_many: bool,
}

/// One cookie of ours: the base cookie has index 0.
#[derive(Clone)]
struct Chunk<'a> {
    index: u8,
    value: Cow<'a, [u8]>,
}

/// Shows no value: whoever reads it in a log is logged in.
impl fmt::Debug for Chunk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, value } = self;
        f.debug_struct("Chunk").field("index", index).field("characters", &value.len()).finish()
    }
}

impl<'a> FoundCookies<'a> {
    /// Copies what is borrowed, so that the request's headers can go their way.
    pub(crate) fn into_owned(self) -> FoundCookies<'static> {
        let own = |chunk: Chunk<'_>| {
            let value = Cow::Owned(chunk.value.into_owned());
            Chunk { index: chunk.index, value }
        };
        let Self { first, further, present, too_many } = self;
        let further = further.into_iter().map(own).collect();
        FoundCookies { first: first.map(own), further, present, too_many }
    }

    /// Finds our cookies in one `Cookie` header value.
    pub(crate) fn read_header(&mut self, name: &memmem::Finder<'_>, header: &'a [u8]) {
        for (rest, value) in cookies(name, header) {
            if let Some(index) = parse_suffix(rest) {
                self.add(index, value);
            }
        }
    }

    fn add(&mut self, index: u8, value: &'a [u8]) {
        self.present |= 1 << index;
        if self.values(index).any(|known| known == value) {
            return;
        }
        let values = self.values(index).count();
        // What the first one is worth is for the seal to say. Further ones must not crowd out a good one.
        if values > 0 && !can_be_ours(index, value) {
            return;
        }
        if values == MAX_VALUES {
            self.too_many = true;
            return;
        }
        let chunk = Chunk { index, value: Cow::Borrowed(value) };
        match self.first {
            None => self.first = Some(chunk),
            Some(_) => self.further.push(chunk),
        }
    }

    /// Returns the different values of the cookie of this index.
    pub(crate) fn values(&self, index: u8) -> impl Iterator<Item = &[u8]> {
        let chunks = self.first.iter().chain(&self.further);
        chunks.filter(move |chunk| chunk.index == index).map(|chunk| &*chunk.value)
    }

    /// Returns the indexes, from `from` on, of cookies that the client has.
    pub(crate) fn present_from(&self, from: u8) -> impl Iterator<Item = u8> + use<> {
        let present = self.present;
        (from..=MAX_INDEX).filter(move |index| present & 1 << index != 0)
    }

    /// Returns whether the request has more values of one name than are kept.
    pub(crate) fn too_many(&self) -> bool {
        self.too_many
    }
}

/// Returns the cookies of a `Cookie` header value whose names begin with `name`: how each name goes on, and the value.
///
/// A cookie begins with the header or after a `;`, spaces and tabs aside. So it is enough to look at the places where the
/// name occurs. Other white space is part of a name, as it is to browsers: a sibling domain may set the cookie
/// `\x0c__Host-session`, though not `__Host-session`.
pub(crate) fn cookies<'h>(
    name: &memmem::Finder<'_>,
    header: &'h [u8],
) -> impl Iterator<Item = (&'h [u8], &'h [u8])> {
    let mut next = 0;
    let places = std::iter::from_fn(move || {
        let at = next + name.find(header.get(next..)?)?;
        let (before, from) = header.split_at(at);
        let (cookie, _) = from.split_at(memchr(b';', from).unwrap_or(from.len()));
        // None begins before this one ends.
        next = at + cookie.len();
        Some((before, cookie))
    });
    places.filter_map(|(before, cookie)| {
        let begins = trim_end(before);
        if !(begins.is_empty() || begins.ends_with(b";")) {
            return None;
        }
        let after = cookie.get(name.needle().len()..)?;
        let (rest, value) = after.split_at(memchr(b'=', after)?);
        Some((rest, unquote(trim(value.get(1..)?))))
    })
}

/// Returns whether a value can be of a session, of whatever version: each is base64url, and the first cookie has its
/// header, nonce and tag.
pub(crate) fn can_be_ours(index: u8, value: &[u8]) -> bool {
    let of_text = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_');
    let least = if index == 0 { base64url::encoded_len(OVERHEAD) } else { 1 };
    (least..=MAX_TEXT).contains(&value.len()) && value.iter().all(of_text)
}

/// A value may stand in double quotes, which are no part of it (RFC 6265, 4.1.1).
fn unquote(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        _ => value,
    }
}

/// Cuts spaces and tabs off both ends, as browsers do (RFC 6265bis, 5.6).
fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    trim_end(bytes)
}

fn trim_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Reads the end of a name: nothing, or `.1` to `.8`. One digit, so that each index has one spelling.
fn parse_suffix(suffix: &[u8]) -> Option<u8> {
    match suffix {
        [] => Some(0),
        [b'.', digit @ b'1'..=b'8'] => Some(digit - b'0'),
        _ => None,
    }
}

/// More cookies than a session has today, so that the leftovers of another configuration go too.
const MAX_INDEX: u8 = 8;

/// The same name can come more than once, when a sibling domain or another path sets it too. Each one that could be
/// ours is opened, so their number bounds the work.
const MAX_VALUES: usize = 8;
