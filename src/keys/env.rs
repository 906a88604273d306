//! Keys from an environment variable: the ring of the simplest deployments.

use std::str::FromStr;

use zeroize::Zeroizing;

use crate::keys::error::{KeyError, RingError};
use crate::keys::key::Key;
use crate::keys::ring::{KeyRing, RingKey};

/// The reason why an environment variable gave no ring.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum KeyListError {
    /// The variable is not set.
    #[error(
        "the environment variable {0} is not set; put a key of `sealed-session keygen` into it"
    )]
    NotSet(String),
    /// The variable holds bytes that are no text.
    #[error(
        "the environment variable {0} holds bytes that are not UTF-8; put a key of `sealed-session keygen` into \
         it, as it is printed"
    )]
    NotText(String),
    /// There are quotation marks around the keys: a shell takes them away, and a file of variables may not.
    #[error(
        "the list of keys has quotation marks, which are part of it where no shell reads it, as in an env file of \
         Docker; take them out"
    )]
    Quoted,
    /// There is no key in it.
    #[error("the list of keys is empty; write a key of `sealed-session keygen` into it")]
    Empty,
    /// One of the keys is damaged.
    #[error("key number {position} of the list is refused: {error}{}", .error.mend())]
    Key {
        /// Which of the keys, counted from 1.
        position: usize,
        /// What is wrong with it.
        error: KeyError,
    },
    /// The keys are no ring together.
    #[error("{0}; correct the list")]
    Ring(RingError),
}

impl KeyRing {
    /// The environment variable that [`KeyRing::from_env`] reads.
    pub const ENV: &str = "SEALED_SESSION_KEYS";

    /// Creates a ring of the keys in the environment variable `SEALED_SESSION_KEYS`, with commas or white space
    /// between them. The first one seals, the others only open; so outside a rotation the newest stands first.
    ///
    /// A rotation takes three deploys then, because all nodes must open by a key before one seals
    /// by it: `old,new`, then `new,old`, and once the sessions of the old key have ended, `new`.
    /// A key file does the same in one.
    ///
    /// # Example
    ///
    /// ```no_run
    /// use sealed_session::{Codec, KeyRing};
    ///
    /// // SEALED_SESSION_KEYS="SEALED-SESSION-KEY-1-… SEALED-SESSION-KEY-1-…"
    /// let codec = Codec::<String>::new(KeyRing::from_env()?);
    /// # Ok::<(), sealed_session::KeyListError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Each [`KeyListError`]; none holds any part of a key.
    pub fn from_env() -> Result<Self, KeyListError> {
        let name = || Self::ENV.to_owned();
        let keys = std::env::var_os(Self::ENV).ok_or_else(|| KeyListError::NotSet(name()))?;
        let keys = Zeroizing::new(keys.into_encoded_bytes());
        std::str::from_utf8(&keys).map_err(|_| KeyListError::NotText(name()))?.parse()
    }
}

impl FromStr for KeyRing {
    type Err = KeyListError;

    /// Reads what [`KeyRing::from_env`] describes.
    fn from_str(list: &str) -> Result<Self, KeyListError> {
        let texts = list.split(|c: char| c == ',' || c.is_whitespace()).filter(|s| !s.is_empty());
        if list.contains(['"', '\'']) {
            return Err(KeyListError::Quoted);
        }
        let mut keys = Vec::new();
        for (i, text) in texts.enumerate() {
            let position = i + 1;
            let key = text.parse().and_then(|key: Key| key.check_private().map(|()| key));
            let key = key.map_err(|error| KeyListError::Key { position, error })?;
            keys.push(if i == 0 { RingKey::new(key) } else { RingKey::open_only(key) });
        }
        if keys.is_empty() {
            return Err(KeyListError::Empty);
        }
        Self::new(keys).map_err(KeyListError::Ring)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_of_a_list_seals_and_the_others_open() {
        let keys: Vec<Key> = (0..3).map(|_| Key::generate().unwrap()).collect();
        let [a, b, c] = [0, 1, 2].map(|i: usize| keys[i].expose_text());
        for list in [
            format!("{},{},{}", *a, *b, *c),
            format!("{}\n{}\n{}\n", *a, *b, *c),
            format!("  {} ,\t{},, {} ,", *a, *b, *c),
        ] {
            let ring: KeyRing = list.parse().unwrap();
            assert_eq!(ring.primary(), Some(keys[0].id()));
            assert_eq!(ring.ids(), keys.iter().map(Key::id).collect::<Vec<_>>());
        }
    }

    #[test]
    fn each_fault_of_a_list_is_told_and_no_key_is_shown() {
        let (key, other) = (Key::generate().unwrap(), Key::generate().unwrap());
        let (text, other) = (key.expose_text(), other.expose_text());
        let cut = &other[..other.len() - 3];
        for (list, told) in [
            (
                String::new(),
                "the list of keys is empty; write a key of `sealed-session keygen` into it".into(),
            ),
            (
                " , \n".to_owned(),
                "the list of keys is empty; write a key of `sealed-session keygen` into it".into(),
            ),
            (
                format!("{},{cut}", *text),
                "key number 2 of the list is refused: a key has 48 characters after its prefix, this has 45; \
                 copy it anew"
                    .to_owned(),
            ),
            (
                format!("'{}'", *text),
                "the list of keys has quotation marks, which are part of it where no shell reads it, as in an \
                 env file of Docker; take them out"
                    .to_owned(),
            ),
            (
                "SEALED-SESSION-KEY-1-AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh_RBvJO".to_owned(),
                "key number 1 of the list is refused: the key 8a346e56 is that of the documentation, which \
                 everybody knows; make one with `sealed-session keygen`"
                    .to_owned(),
            ),
            (
                format!("{0},{0}", *text),
                format!("the key {} stands in the ring twice; correct the list", key.id()),
            ),
        ] {
            let error = list.parse::<KeyRing>().unwrap_err();
            assert_eq!(error.to_string(), told);
        }
    }
}
