//! Keys: which key seals, which keys open, and where they come from.
//!
//! In: the text of keys, a key file, an environment variable, the time. Out: a [`KeyRing`](ring::KeyRing), from which
//! the seal takes the cipher of a key, found by the [`KeyId`](key_id::KeyId) that a sealed value carries.
//! `rotation` decides how the keys of a file change, `edit` changes the file in its `folder`, and `watch` follows it, woken
//! by requests through `wake_up`. A `source` is a file or a `command`. `mask` keeps secrets from the parser, and
//! `revocations` finds what a file takes back that is refused. Uses `xaes`, `cutoff` and `bytes`.

#[cfg(feature = "key-file")]
pub(crate) mod command;
#[cfg(feature = "key-file")]
pub(crate) mod edit;
pub(crate) mod env;
pub(crate) mod error;
#[cfg(feature = "key-file")]
pub(crate) mod file;
#[cfg(feature = "key-file")]
pub(crate) mod folder;
pub(crate) mod key;
pub(crate) mod key_id;
#[cfg(feature = "key-file")]
pub(crate) mod mask;
#[cfg(feature = "watch")]
pub(crate) mod revocations;
pub(crate) mod ring;
#[cfg(feature = "key-file")]
pub(crate) mod rotation;
#[cfg(feature = "key-file")]
pub(crate) mod source;
#[cfg(feature = "watch")]
pub(crate) mod wake_up;
#[cfg(feature = "watch")]
pub(crate) mod watch;
