//! The seal: a message under a key of the ring, bound to its cookie.
//!
//! ```text
//! sealed  = header · nonce(24) · ciphertext · tag(16)
//! header  = version(4 bits) · chunks(4 bits) · key id(4)
//! binding = SHA-256(part(label) · part(name) · part(context))
//! part(x) = the number of bytes of x in 8 bytes · x
//!
//! (ciphertext, tag) = XAES-256-GCM.seal(key, nonce, associated data = header · binding, message)
//! ```

use std::sync::Arc;
use std::time::SystemTime;

use zeroize::Zeroize;

use crate::bytes::random::SysError;
use crate::error::Source;
use crate::keys::error::KeyRefusal;
use crate::keys::key_id::KeyId;
use crate::keys::ring::{Entry, Keys};
use crate::seal::binding::Binding;
use crate::xaes::{NONCE, TAG};

pub(crate) mod binding;

/// The bytes that sealing adds to a message: 45.
pub(crate) const OVERHEAD: usize = PREFIX + TAG;

/// The message begins here.
pub(crate) const PREFIX: usize = HEADER + NONCE;

pub(crate) const MAX_CHUNKS: u8 = 4;

/// The reason why a sealed value does not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OpenError {
    /// It is too short, or has no version.
    Malformed,
    /// A newer version sealed it.
    UnsupportedVersion(u8),
    /// It announces more chunks than a session may have.
    TooManyChunks(u8),
    /// Its key does not open.
    Key(KeyRefusal),
    /// The tag does not fit this key of the ring: it is damaged, forged, or of another cookie or context.
    InvalidTag(KeyId),
}

/// The reason why a message cannot be sealed.
#[derive(Debug, Clone)]
pub(crate) enum SealError {
    /// The key is revoked, or there is none.
    NoActiveKey,
    /// The operating system gave no random bytes.
    Random(Source),
}

/// A function that fills a buffer with random bytes: `random::fill`, save in tests.
pub(crate) type Random = fn(&mut [u8]) -> Result<(), SysError>;

/// Seals in place: `buffer` holds [`PREFIX`] bytes of any content and then the message.
pub(crate) fn seal(
    buffer: &mut Vec<u8>,
    chunks: u8,
    key: &Entry,
    binding: Binding,
    random: Random,
) -> Result<(), SealError> {
    let cipher = key.cipher().ok_or(SealError::NoActiveKey)?;
    let (prefix, message) =
        buffer.split_first_chunk_mut::<PREFIX>().expect("the caller leaves room for the prefix");
    let (front, back) = prefix.split_at_mut(HEADER);
    let nonce: &mut [u8; NONCE] = back.try_into().expect("the prefix ends with the nonce");
    random(nonce).map_err(|e| SealError::Random(Arc::new(e)))?;
    let header = header(chunks, key.id);
    front.copy_from_slice(&header);
    let tag = cipher.seal(nonce, &binding.associated_data(header), message);
    buffer.extend_from_slice(&tag);
    Ok(())
}

/// Opens in place and gives the key that sealed it; the message then begins at [`PREFIX`] and ends
/// with the buffer. The buffer is wiped when the seal does not hold.
pub(crate) fn open<'k>(
    buffer: &mut Vec<u8>,
    keys: &'k Keys,
    binding: Binding,
    now: SystemTime,
) -> Result<&'k Entry, OpenError> {
    let (_, id) = parse_header(buffer)?;
    if buffer.len() < OVERHEAD {
        return Err(OpenError::Malformed);
    }
    let (key, cipher) = keys.opening(id, now).map_err(OpenError::Key)?;
    let (header, rest) = buffer.split_first_chunk_mut::<HEADER>().ok_or(OpenError::Malformed)?;
    let (nonce, rest) = rest.split_first_chunk_mut::<NONCE>().ok_or(OpenError::Malformed)?;
    let (message, tag) = rest.split_last_chunk_mut::<TAG>().ok_or(OpenError::Malformed)?;
    if cipher.open(nonce, &binding.associated_data(*header), message, tag).is_err() {
        buffer.zeroize();
        return Err(OpenError::InvalidTag(key.id));
    }
    buffer.truncate(buffer.len() - TAG);
    Ok(key)
}

/// Reads what stands in clear, before anything is known to be authentic: the number of chunks, from 1
/// to [`MAX_CHUNKS`], and the key id.
pub(crate) fn parse_header(sealed: &[u8]) -> Result<(u8, KeyId), OpenError> {
    let ([first, id @ ..], _) = sealed.split_first_chunk::<HEADER>().ok_or(OpenError::Malformed)?;
    match (first >> 4, first & 0x0f) {
        (0, _) | (VERSION, 0) => Err(OpenError::Malformed),
        (VERSION, chunks) if chunks > MAX_CHUNKS => Err(OpenError::TooManyChunks(chunks)),
        (VERSION, chunks) => Ok((chunks, KeyId(*id))),
        (newer, _) => Err(OpenError::UnsupportedVersion(newer)),
    }
}

fn header(chunks: u8, id: KeyId) -> [u8; HEADER] {
    let [a, b, c, d] = id.0;
    [VERSION << 4 | chunks, a, b, c, d]
}

/// The one byte that picks the whole suite; 4 bits of it.
pub(crate) const VERSION: u8 = 1;
pub(crate) const HEADER: usize = 1 + KeyId::LEN;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::random;
    use crate::keys::key::Key;
    use crate::keys::ring::{KeyRing, RingKey};

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn ring() -> KeyRing {
        KeyRing::from(Key::from_bytes(*b"this key is public, never use it").unwrap())
    }

    #[test]
    fn sealing_gives_these_very_bytes() {
        let keys = ring().load().clone();
        let binding = Binding::new("__Host-session", b"context");
        let counting = |bytes: &mut [u8]| {
            bytes.iter_mut().zip(0..).for_each(|(byte, n)| *byte = n);
            Ok(())
        };
        let mut buffer = vec![0; PREFIX];
        buffer.extend_from_slice(b"message");
        seal(&mut buffer, 1, keys.primary_at(NOW).unwrap(), binding, counting).unwrap();
        let mut text = String::new();
        crate::bytes::base64url::encode(&buffer, &mut text);
        assert_eq!(text, "EQqgSJQAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhfQSK4vMoOmS8IQipZa2zMJAKOXPN_taw");
        let key = open(&mut buffer, &keys, binding, NOW).unwrap();
        assert_eq!(
            (key.id, buffer.split_off(PREFIX)),
            (keys.primary_at(NOW).unwrap().id, b"message".to_vec())
        );
    }

    #[test]
    fn nothing_opened_is_left_behind_a_broken_seal() {
        let keys = ring().load().clone();
        let binding = Binding::new("a", b"");
        let mut buffer = vec![0; PREFIX];
        buffer.extend_from_slice(b"message");
        seal(&mut buffer, 1, keys.primary_at(NOW).unwrap(), binding, random::fill).unwrap();
        *buffer.last_mut().unwrap() ^= 1;
        let error = open(&mut buffer, &keys, binding, NOW).map(|_| ()).unwrap_err();
        assert!(matches!(error, OpenError::InvalidTag(_)));
        assert!(buffer.is_empty());
    }

    #[test]
    fn a_revoked_key_neither_seals_nor_opens() {
        let id = Key::from_bytes(*b"this key is public, never use it").unwrap().id();
        let keys = KeyRing::new([RingKey::revoked(id), RingKey::new(Key::generate().unwrap())]);
        let keys = keys.unwrap().load().clone();
        let mut buffer = vec![0; 60];
        let revoked = keys.find(id).unwrap();
        let error = seal(&mut buffer, 1, revoked, Binding::new("a", b""), random::fill);
        assert!(matches!(error, Err(SealError::NoActiveKey)));
    }
}
