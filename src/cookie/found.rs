//! The cookies of a request: which of them are ours.

use std::borrow::Cow;
use std::fmt;

use memchr::{memchr, memmem};

/// The cookies of one session that a request carries, by index.
///
/// Finding them is one pass over the header, whatever else is in it: other cookies with broken bytes do no harm, names
/// are compared exactly, and at most four values of one name are kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct FoundCookies<'a> {
    /// The one cookie of ours that most requests have, and the others.
    first: Option<Chunk<'a>>,
    further: Vec<Chunk<'a>>,
    /// Bit i: a cookie of index i is there.
    present: u16,
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
        let Self { first, further, present } = self;
        let further = further.into_iter().map(own).collect();
        FoundCookies { first: first.map(own), further, present }
    }

    /// Takes our cookies out of one `Cookie` header value.
    ///
    /// A cookie begins with the header or after a `;`, spaces aside. So it is enough to look at the
    /// places where our name occurs.
    pub(crate) fn read_header(&mut self, name: &memmem::Finder<'_>, header: &'a [u8]) {
        for at in name.find_iter(header) {
            let (before, from) = header.split_at(at);
            let begins = before.trim_ascii_end();
            if !(begins.is_empty() || begins.ends_with(b";")) {
                continue;
            }
            let after = from.get(name.needle().len()..).unwrap_or_default();
            let end = memchr(b';', after).unwrap_or(after.len());
            let (rest, _) = after.split_at(end);
            if let Some((index, value)) = split_index(rest) {
                self.add(index, value.trim_ascii());
            }
        }
    }

    pub(crate) fn read_pair(&mut self, ours: &str, name: &'a str, value: &'a str) {
        let index = match name.strip_prefix(ours) {
            Some("") => Some(0),
            Some(suffix) => parse_index(suffix.as_bytes()),
            None => None,
        };
        if let Some(index) = index {
            self.add(index, value.as_bytes());
        }
    }

    fn add(&mut self, index: u8, value: &'a [u8]) {
        self.present |= 1 << index;
        let known = self.values(index).any(|known| known == value);
        if known || self.values(index).count() == MAX_VALUES {
            return;
        }
        let chunk = Chunk { index, value: Cow::Borrowed(value) };
        match self.first {
            None => self.first = Some(chunk),
            Some(_) => self.further.push(chunk),
        }
    }

    /// Gives the different values of the cookie of this index.
    pub(crate) fn values(&self, index: u8) -> impl Iterator<Item = &[u8]> {
        let chunks = self.first.iter().chain(&self.further);
        chunks.filter(move |chunk| chunk.index == index).map(|chunk| &*chunk.value)
    }

    /// Gives the indexes, from `from` on, of cookies that the client has.
    pub(crate) fn present_from(&self, from: u8) -> impl Iterator<Item = u8> + use<> {
        let present = self.present;
        (from..=MAX_INDEX).filter(move |index| present & 1 << index != 0)
    }
}

/// Splits `=value` or `.3=value`.
fn split_index(rest: &[u8]) -> Option<(u8, &[u8])> {
    match rest {
        [b'=', value @ ..] => Some((0, value)),
        [b'.', _, b'=', value @ ..] => Some((parse_index(rest.get(..2)?)?, value)),
        _ => None,
    }
}

/// Reads `.1` to `.8`. One digit, so that each index has one spelling.
fn parse_index(suffix: &[u8]) -> Option<u8> {
    match suffix {
        [b'.', digit @ b'1'..=b'8'] => Some(digit - b'0'),
        _ => None,
    }
}

/// More cookies than a session has today, so that the leftovers of another configuration go too.
const MAX_INDEX: u8 = 8;

/// The same name can come more than once, when a sibling domain or another path sets it too.
const MAX_VALUES: usize = 4;
