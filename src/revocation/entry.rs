//! One revocation: what it ends, and until when it has to be known.

use std::fmt;
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::cutoff::Cutoff;
use crate::message::seconds::Seconds;
use crate::message::session_id::SessionId;

/// A mark of what sessions have in common, such as a user, a device, or the `sid` of an identity provider.
///
/// A session may have several. It is a hash, so that neither the journal nor the server names users; it can
/// be tried out with names that one guesses, so it is no secret.
///
/// # Example
///
/// ```
/// use sealed_session::revocation::SubjectTag;
///
/// let user = SubjectTag::new("user", "jane");
/// assert_ne!(user, SubjectTag::new("device", "jane"));
/// assert_eq!(user, SubjectTag::new("user", b"jane"));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubjectTag([u8; 16]);

impl SubjectTag {
    /// Creates the tag of a subject within a context, which says what kind of subject it is: `("user", "7")`.
    ///
    /// It is the same on all nodes and in all releases: the first 16 bytes of SHA-256 of `sealed-session-tag-1`,
    /// the length of the context as one byte (255 stands for all above), the context, and the subject.
    #[must_use]
    pub fn new(context: &str, subject: impl AsRef<[u8]>) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"sealed-session-tag-1");
        hash.update([u8::try_from(context.len()).unwrap_or(u8::MAX)]);
        hash.update(context);
        hash.update(subject);
        let hash: [u8; 32] = hash.finalize().into();
        let mut tag = [0; 16];
        tag.copy_from_slice(hash.first_chunk::<16>().unwrap_or(&[0; 16]));
        Self(tag)
    }

    /// Creates a tag from its bytes, for whoever keeps tags.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns its bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for SubjectTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for SubjectTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubjectTag({self})")
    }
}

/// What a revocation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// One session, whenever it began.
    Session(SessionId),
    /// The sessions with this tag that began before the cutoff.
    Subject(SubjectTag),
    /// All that began before the cutoff.
    Everything,
}

/// A revocation, as [`Revocations::list`](super::Revocations::list) has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Revoked {
    /// What it ends.
    pub target: Target,
    /// What began before this has ended; for one session, it has ended in any case.
    pub before: Option<SystemTime>,
    /// When it may be forgotten, since all that it ends is dead by then.
    pub until: SystemTime,
}

/// A revocation as the set, the journal and the server have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    pub(crate) target: [u8; 16],
    /// What began before it has ended. For a session id: [`SESSION`].
    pub(crate) before: u64,
    /// The second from which on it may be forgotten.
    pub(crate) until: u64,
}

/// The cutoff of session ids, which are of one session each.
pub(crate) const SESSION: u64 = (1 << 36) - 1;

/// The target of what ends everything before a cutoff. No id and no tag is zero.
pub(crate) const EVERYTHING: [u8; 16] = [0; 16];

impl Entry {
    /// kind (1) · target (16) · before (5) · until (5), the numbers big-endian.
    pub(crate) const LEN: usize = 27;

    pub(crate) fn to_bytes(self) -> [u8; Self::LEN] {
        let kind = match self {
            Self { before: SESSION, .. } => KIND_SESSION,
            Self { target: EVERYTHING, .. } => KIND_EVERYTHING,
            _ => KIND_SUBJECT,
        };
        let mut bytes = [0; Self::LEN];
        let mut put = |at: usize, from: &[u8]| {
            if let Some(to) = bytes.get_mut(at..at + from.len()) {
                to.copy_from_slice(from);
            }
        };
        put(0, &[kind]);
        put(1, &self.target);
        put(17, five(self.before).as_slice());
        put(22, five(self.until).as_slice());
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) writes. What has another kind, of a later release, is not known.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::LEN] = bytes.try_into().ok()?;
        let (kind, rest) = bytes.split_first()?;
        let (target, rest) = rest.split_first_chunk::<16>()?;
        let (before, until) = rest.split_first_chunk::<5>()?;
        let number = |bytes: &[u8]| bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
        let (target, before, until) = (*target, number(before), number(until));
        let before = match *kind {
            KIND_SESSION if target != EVERYTHING => SESSION,
            KIND_SUBJECT if target != EVERYTHING => before.min(SESSION - 1),
            KIND_EVERYTHING if target == EVERYTHING => before.min(SESSION - 1),
            _ => return None,
        };
        Some(Self { target, before, until })
    }

    pub(crate) fn revoked(self) -> Revoked {
        let Self { target, before, until } = self;
        let target = match (target, before) {
            (target, SESSION) => Target::Session(SessionId(target)),
            (EVERYTHING, _) => Target::Everything,
            (target, _) => Target::Subject(SubjectTag(target)),
        };
        let time = |seconds| SystemTime::from(Seconds(seconds));
        Revoked { target, before: (before != SESSION).then(|| time(before)), until: time(until) }
    }

    pub(crate) fn cutoff(before: u64) -> Cutoff {
        if before == SESSION { Cutoff::ALL } else { Cutoff::from_secs(before) }
    }
}

fn five(number: u64) -> [u8; 5] {
    let [_, _, _, bytes @ ..] = number.min(Seconds::MAX.0).to_be_bytes();
    bytes
}

const KIND_SESSION: u8 = 1;
const KIND_SUBJECT: u8 = 2;
const KIND_EVERYTHING: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_from_their_bytes_and_what_is_not_known_does_not() {
        for entry in [
            Entry { target: [7; 16], before: SESSION, until: 1_800_000_000 },
            Entry { target: [7; 16], before: 1_800_000_000, until: Seconds::MAX.0 },
            Entry { target: EVERYTHING, before: 1, until: 2 },
        ] {
            assert_eq!(Entry::from_bytes(&entry.to_bytes()), Some(entry));
        }
        let mut bytes = Entry { target: [7; 16], before: 3, until: 4 }.to_bytes();
        assert_eq!(Entry::from_bytes(&bytes[1..]), None);
        for kind in [0, KIND_EVERYTHING, 4, 255] {
            bytes[0] = kind;
            assert_eq!(Entry::from_bytes(&bytes), None, "{kind}");
        }
        assert_eq!(Entry::from_bytes(&[KIND_SUBJECT; 1].repeat(27)[..26]), None);
        assert_eq!(Entry::from_bytes(&[&[KIND_SUBJECT][..], &[0; 26]].concat()), None);
    }

    /// Nodes of all releases must agree on it.
    #[test]
    fn the_tag_of_a_subject_never_changes() {
        assert_eq!(SubjectTag::new("user", "jane").to_string(), "7de44b1651a231b7dcc66593bedd3ec1");
        assert_ne!(SubjectTag::new("us", "erjane"), SubjectTag::new("user", "jane"));
    }
}
