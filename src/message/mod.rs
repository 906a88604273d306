//! The message: what is inside the seal.
//!
//! In: a session of any serde type. Out: the plaintext of the seal, and back. `format` serializes to a `sink`, `fields`
//! notes on a `recorder` where each value lies meanwhile, `same` compares what was serialized, `pack` makes each value
//! smaller by itself, by `compress` and by `notation`, into `segment`s that `unpack` reads, `envelope` puts the times, the
//! schema, the id and the extensions before the whole and the padding after it. Uses `bytes`.

#[cfg(feature = "store")]
pub(crate) mod blob_ref;
pub(crate) mod compress;
pub(crate) mod envelope;
pub(crate) mod error;
pub(crate) mod extension;
pub(crate) mod fields;
pub(crate) mod format;
pub(crate) mod lifetime;
pub(crate) mod notation;
pub(crate) mod origin;
pub(crate) mod pack;
pub(crate) mod recorder;
pub(crate) mod same;
pub(crate) mod seconds;
pub(crate) mod segment;
pub(crate) mod session_id;
pub(crate) mod shrink;
pub(crate) mod sink;
pub(crate) mod unpack;

/// The most bytes that a session may have before packing, and so the hard limit of inflating: 64 KiB, far
/// more than four cookies hold.
pub(crate) const MAX_BODY: usize = 64 * 1024;
