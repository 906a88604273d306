//! Text: base64 with padding, of the standard alphabet (RFC 4648, section 4), as other programs write it.
//!
//! Decoding is strict, so each text has one byte string and each byte string one text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Returns the number of characters that `bytes` bytes take.
pub(crate) const fn encoded_len(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

/// Encodes to a buffer of exactly the right length.
pub(crate) fn encode_into(bytes: &[u8], out: &mut [u8]) {
    STANDARD.encode_slice(bytes, out).expect("the buffer has the length of the text");
}

/// Appends what the text stands for.
pub(crate) fn decode_onto(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    STANDARD.decode_vec(text, out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_round_trips_and_is_strict() {
        for n in 0..100 {
            let bytes = vec![0xfb; n];
            let mut text = vec![0; encoded_len(n)];
            encode_into(&bytes, &mut text);
            let mut back = Vec::new();
            decode_onto(&text, &mut back).unwrap();
            assert_eq!(back, bytes);
        }
        for bad in ["A", "AA", "AA=", "AB==", "AAB=", "A-AA", "A_AA", "A A=", "AAAA=", "AA==AAAA"] {
            assert!(decode_onto(bad.as_bytes(), &mut Vec::new()).is_none(), "{bad}");
        }
    }
}
