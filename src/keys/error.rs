//! Errors: why a key, a key id or a set of keys was refused. No message holds any part of a key.

use crate::error::Source;
use crate::keys::key_id::KeyId;

/// The reason why a [`Key`](crate::Key) or a [`KeyId`] could not be had.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text is no key: it does not begin with the prefix of one.
    #[error("a key begins with SEALED-SESSION-KEY-1-")]
    Prefix,
    /// The text was cut or has too much: 48 characters follow the prefix.
    #[error("a key has 48 characters after its prefix, this has {found}")]
    Length {
        /// The number of characters found.
        found: usize,
    },
    /// A character is not of base64url.
    #[error("a key is written in base64url, and this holds another character")]
    Alphabet,
    /// The checksum does not fit: a character was mistyped.
    #[error("the checksum of the key does not fit, so it was not copied whole")]
    Checksum,
    /// All bytes are equal: a buffer that nobody filled.
    #[error("all bytes of the key are equal; keys must be random")]
    Weak,
    /// The key stands in this crate's documentation or test vectors, where everybody can read it.
    #[error(
        "the key {id} is that of {whose}, which everybody knows; make one with `sealed-session keygen`"
    )]
    Public {
        /// Its id.
        id: KeyId,
        /// Where it stands.
        whose: &'static str,
    },
    /// The text is no key id.
    #[error("a key id is 8 hexadecimal digits")]
    Id,
    /// The operating system gave no random bytes.
    #[error("the operating system's random source failed")]
    Random(#[source] Source),
}

impl KeyError {
    /// What to do about a key that stands in a list or a file.
    pub(crate) fn mend(&self) -> &'static str {
        match self {
            // Says so itself.
            Self::Public { .. } => "",
            _ => "; copy it anew",
        }
    }
}

/// The reason why a [`KeyRing`](crate::KeyRing) refused a set of keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RingError {
    /// No key may ever seal: each one only opens or is revoked.
    #[error("the ring has no key that may seal; one must be neither revoked nor open-only")]
    NoSealingKey,
    /// Two keys have one id; most likely one key stands there twice.
    #[error("the key {0} stands in the ring twice")]
    DuplicateId(KeyId),
    /// Two keys would become primary at the same time, so the choice would be left to chance.
    #[error(
        "the keys {0} and {1} become primary at the same time; let one of them activate later, or only open"
    )]
    SameActivation(KeyId, KeyId),
    /// A key would retire before it is used.
    #[error("the key {0} retires before it activates")]
    RetiresFirst(KeyId),
    /// More keys than any rotation needs.
    #[error("the ring has {found} keys, {allowed} are allowed")]
    TooManyKeys {
        /// The number of keys given.
        found: usize,
        /// The most that a ring takes.
        allowed: usize,
    },
}

/// The reason why a key id does not lead to a key that opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyRefusal {
    /// The ring does not hold it.
    Unknown(KeyId),
    /// It has retired.
    Retired(KeyId),
    /// It is revoked.
    Revoked(KeyId),
}
