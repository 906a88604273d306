//! Bytes: the small encodings that every other room uses.
//!
//! In: numbers and byte strings. Out: base64url without padding, other texts that stand for bytes or numbers, unsigned
//! LEB128, random bytes, and buffers that are wiped from memory when dropped. Decoding is strict: each value has one
//! spelling. Uses nothing of this crate.

pub(crate) mod base64;
pub(crate) mod base64url;
pub(crate) mod hex;
pub(crate) mod random;
pub(crate) mod secret_bytes;
pub(crate) mod timestamp;
pub(crate) mod varint;
