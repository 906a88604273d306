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

use std::time::SystemTime;

use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use crate::error::{DecodeError, EncodeError};
use crate::key::KeyId;
use crate::ring::{Entry, Keys};
use crate::xaes::{NONCE, TAG};

/// Gives the bytes that sealing adds to a message: 45.
pub(crate) const OVERHEAD: usize = PREFIX + TAG;

/// The message begins here.
pub(crate) const PREFIX: usize = HEADER + NONCE;

pub(crate) const MAX_CHUNKS: u8 = 4;

/// Binds a sealed value to the cookie and to the application's context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Binding([u8; 32]);

impl Binding {
    pub(crate) fn new(name: &str, context: &[u8]) -> Self {
        let mut hash = Sha256::new();
        for part in [b"sealed-session/1", name.as_bytes(), context] {
            let len = u64::try_from(part.len()).expect("a length fits 64 bits");
            hash.update(len.to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    fn associated_data(self, header: [u8; HEADER]) -> [u8; HEADER + 32] {
        let mut data = [0; HEADER + 32];
        let (front, back) = data.split_at_mut(HEADER);
        front.copy_from_slice(&header);
        back.copy_from_slice(&self.0);
        data
    }
}

/// Fills a buffer with random bytes: `getrandom::fill`, save in tests.
pub(crate) type Random = fn(&mut [u8]) -> Result<(), getrandom::Error>;

/// Seals in place: `buffer` holds [`PREFIX`] bytes of any content and then the message.
pub(crate) fn seal(
    buffer: &mut Vec<u8>,
    chunks: u8,
    key: &Entry,
    binding: Binding,
    random: Random,
) -> Result<(), EncodeError> {
    let cipher = key.cipher().ok_or(EncodeError::NoActiveKey)?;
    let (prefix, message) =
        buffer.split_first_chunk_mut::<PREFIX>().expect("the caller leaves room for the prefix");
    let (front, back) = prefix.split_at_mut(HEADER);
    let nonce: &mut [u8; NONCE] = back.try_into().expect("the prefix ends with the nonce");
    random(nonce).map_err(|e| EncodeError::Random(std::sync::Arc::new(e)))?;
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
) -> Result<&'k Entry, DecodeError> {
    let (_, id) = parse_header(buffer)?;
    if buffer.len() < OVERHEAD {
        return Err(DecodeError::Malformed);
    }
    let (key, cipher) = keys.opening(id, now)?;
    let (header, rest) = buffer.split_first_chunk_mut::<HEADER>().ok_or(DecodeError::Malformed)?;
    let (nonce, rest) = rest.split_first_chunk_mut::<NONCE>().ok_or(DecodeError::Malformed)?;
    let (message, tag) = rest.split_last_chunk_mut::<TAG>().ok_or(DecodeError::Malformed)?;
    if cipher.open(nonce, &binding.associated_data(*header), message, tag).is_err() {
        buffer.zeroize();
        return Err(DecodeError::Unauthentic);
    }
    buffer.truncate(buffer.len() - TAG);
    Ok(key)
}

/// Reads what stands in clear, before anything is known to be authentic: the number of chunks, from 1
/// to [`MAX_CHUNKS`], and the key id.
pub(crate) fn parse_header(sealed: &[u8]) -> Result<(u8, KeyId), DecodeError> {
    let ([first, id @ ..], _) =
        sealed.split_first_chunk::<HEADER>().ok_or(DecodeError::Malformed)?;
    match (first >> 4, first & 0x0f) {
        (0, _) | (VERSION, 0) => Err(DecodeError::Malformed),
        (VERSION, chunks) if chunks > MAX_CHUNKS => Err(DecodeError::TooManyChunks(chunks)),
        (VERSION, chunks) => Ok((chunks, KeyId(*id))),
        (newer, _) => Err(DecodeError::UnsupportedVersion(newer)),
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
    use crate::{Codec, Key, KeyRing, RingKey};

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
        crate::text::encode(&buffer, &mut text);
        assert_eq!(text, "EQqgSJQAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhfQSK4vMoOmS8IQipZa2zMJAKOXPN_taw");
        let key = open(&mut buffer, &keys, binding, NOW).unwrap();
        assert_eq!(
            (key.id, buffer.split_off(PREFIX)),
            (keys.primary_at(NOW).unwrap().id, b"message".to_vec())
        );
    }

    #[test]
    fn nothing_is_sealed_without_random_bytes() {
        let mut codec = Codec::<u8>::builder(ring()).session_ids().build().unwrap();
        let settings = std::sync::Arc::get_mut(&mut codec.settings).unwrap();
        settings.random = |_| Err(getrandom::Error::UNSUPPORTED);
        let error = codec.encode_at(&1, &codec.request([""]), NOW).unwrap_err();
        assert!(matches!(error, EncodeError::Random(_)), "{error:?}");
        // Enough for the id, and no more.
        std::sync::Arc::get_mut(&mut codec.settings).unwrap().random = |bytes| {
            if bytes.len() == 16 { Ok(()) } else { Err(getrandom::Error::UNSUPPORTED) }
        };
        let error = codec.encode_at(&1, &codec.request([""]), NOW).unwrap_err();
        assert!(matches!(error, EncodeError::Random(_)), "{error:?}");
    }

    #[test]
    fn nothing_opened_is_left_behind_a_broken_seal() {
        let keys = ring().load().clone();
        let binding = Binding::new("a", b"");
        let mut buffer = vec![0; PREFIX];
        buffer.extend_from_slice(b"message");
        seal(&mut buffer, 1, keys.primary_at(NOW).unwrap(), binding, getrandom::fill).unwrap();
        *buffer.last_mut().unwrap() ^= 1;
        let error = open(&mut buffer, &keys, binding, NOW).map(|_| ()).unwrap_err();
        assert!(matches!(error, DecodeError::Unauthentic));
        assert!(buffer.is_empty());
    }

    #[test]
    fn a_binding_tells_its_parts_apart() {
        let all = [("ab", "c"), ("a", "bc"), ("abc", ""), ("", "abc"), ("ab", "c\0")];
        let bindings = all.map(|(name, context)| Binding::new(name, context.as_bytes()).0);
        for (i, binding) in bindings.iter().enumerate() {
            assert_eq!(bindings.iter().position(|other| other == binding), Some(i));
        }
    }

    #[test]
    fn a_revoked_key_neither_seals_nor_opens() {
        let id = Key::from_bytes(*b"this key is public, never use it").unwrap().id();
        let keys = KeyRing::new([RingKey::revoked(id), RingKey::new(Key::generate().unwrap())]);
        let keys = keys.unwrap().load().clone();
        let mut buffer = vec![0; 60];
        let revoked = keys.find(id).unwrap();
        let error = seal(&mut buffer, 1, revoked, Binding::new("a", b""), getrandom::fill);
        assert!(matches!(error, Err(EncodeError::NoActiveKey)));
    }
}
