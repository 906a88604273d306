//! Text: base64url without padding (RFC 4648, section 5), of which every character is a
//! cookie-octet, so that nothing is ever escaped on the way.
//!
//! Decoding is strict: no padding, no white space, no trailing bits. So each text has one byte string
//! and each byte string one text, and a string that decodes can be stored as its bytes.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::NO_PAD;

/// Returns the number of characters that `bytes` bytes take.
pub(crate) const fn encoded_len(bytes: usize) -> usize {
    bytes / 3 * 4 + (bytes % 3 * 4).div_ceil(3)
}

/// Returns the number of bytes that fit into `chars` characters.
pub(crate) const fn decoded_len(chars: usize) -> usize {
    chars / 4 * 3 + chars % 4 * 3 / 4
}

pub(crate) fn encode(bytes: &[u8], out: &mut String) {
    ENGINE.encode_string(bytes, out);
}

/// Encodes to a buffer of exactly the right length.
pub(crate) fn encode_into(bytes: &[u8], out: &mut [u8]) {
    ENGINE.encode_slice(bytes, out).expect("the buffer has the length of the text");
}

pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(decoded_len(text.len()) + 3);
    decode_onto(text, &mut bytes)?;
    Some(bytes)
}

/// Decodes to a buffer of exactly the right length.
pub(crate) fn decode_into(text: &[u8], out: &mut [u8]) -> Option<()> {
    (ENGINE.decode_slice(text, out).ok()? == out.len()).then_some(())
}

pub(crate) fn decode_onto(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    ENGINE.decode_vec(text, out).ok()
}

/// The vector instructions of this processor, looked for once.
#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon")))]
static ENGINE: LazyLock<base64::engine::Simd> =
    LazyLock::new(|| base64::engine::Simd::url_safe(NO_PAD));

/// All other processors, for which `base64` has no vector instructions.
#[cfg(not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon"))))]
static ENGINE: LazyLock<base64::engine::GeneralPurpose> =
    LazyLock::new(|| base64::engine::GeneralPurpose::new(&base64::alphabet::URL_SAFE, NO_PAD));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_exact_for_every_size() {
        for n in 0..300 {
            let mut text = String::new();
            encode(&vec![0xa5; n], &mut text);
            assert_eq!(text.len(), encoded_len(n), "{n}");
            assert_eq!(decoded_len(text.len()), n, "{n}");
            assert_eq!(decode(text.as_bytes()).unwrap(), vec![0xa5; n]);
        }
    }

    #[test]
    fn decoding_is_strict() {
        for bad in [
            "A", "AAAAA", "AA==", "AAA=", "A A", "AA\n", "AB", "AAB", "A+AA", "A/AA", "A%3D",
            "\u{e9}A",
        ] {
            assert!(decode(bad.as_bytes()).is_none(), "{bad:?}");
        }
        // The fast paths see long inputs only, so the same faults at each place of a long one.
        let good = "A".repeat(400);
        for at in 0..good.len() {
            for bad in [b'=', b'+', b'/', b' ', b'%', 0, 0x80, 0xff] {
                let mut text = good.clone().into_bytes();
                text[at] = bad;
                assert!(decode(&text).is_none(), "{bad} at {at}");
            }
        }
    }
}
