//! XAES-256-GCM (<https://c2sp.org/XAES-256-GCM>): AES-256-GCM with a 192-bit nonce.
//!
//! ```text
//! L   = AES-256(key, 0¹²⁸)
//! K1  = L doubled in GF(2¹²⁸)
//! Kₓ  = AES-256(key, (00 01 58 00 · nonce[..12]) ⊕ K1) · AES-256(key, (00 02 58 00 · nonce[..12]) ⊕ K1)
//! out = AES-256-GCM(Kₓ, nonce = nonce[12..], associated data, message)
//! ```
//!
//! Kₓ is a CMAC in counter mode (NIST SP 800-108r1), so each message has a key of its own, and random
//! nonces are safe for about 2⁸⁰ messages a key.
//!
//! Of this, AES and AES-GCM are those of a library. Two implementations give the same bytes: RustCrypto's, and AWS-LC's
//! with the feature `aws-lc-rs`. Nodes with the one and nodes with the other read each other's sessions.

use zeroize::Zeroizing;

#[cfg(feature = "aws-lc-rs")]
mod aws_lc;
#[cfg(any(test, not(feature = "aws-lc-rs")))]
mod rust_crypto;

#[cfg(feature = "aws-lc-rs")]
pub(crate) use aws_lc::Cipher;
#[cfg(not(feature = "aws-lc-rs"))]
pub(crate) use rust_crypto::Cipher;

pub(crate) const KEY: usize = 32;
pub(crate) const NONCE: usize = 24;
pub(crate) const TAG: usize = 16;

/// The tag is not that of the key, the nonce, the associated data and the message.
#[derive(Debug)]
pub(crate) struct InvalidTag;

/// Returns K1 from L: doubled in GF(2¹²⁸), in constant time (NIST SP 800-38B, 6.1).
fn doubled(l: &[u8; 16]) -> Zeroizing<u128> {
    let l = Zeroizing::new(u128::from_be_bytes(*l));
    Zeroizing::new(*l << 1 ^ (0x87 & 0_u128.wrapping_sub(*l >> 127)))
}

/// Returns the two blocks that, once they are encrypted, are the key of a message.
#[inline]
fn key_blocks(nonce: &[u8; NONCE], k1: u128) -> [u8; KEY] {
    let first = nonce.first_chunk().expect("a nonce is longer than a block");
    let input = 0x0000_5800 << 96 | u128::from_be_bytes(*first) >> 32;
    let block = |counter: u128| (counter << 112 | input) ^ k1;
    let mut blocks = [0; KEY];
    let (left, right) = blocks.split_at_mut(16);
    left.copy_from_slice(&block(1).to_be_bytes());
    right.copy_from_slice(&block(2).to_be_bytes());
    blocks
}

#[cfg(test)]
mod tests {
    use shake::Shake128;
    use shake::digest::{ExtendableOutput, Update, XofReader};

    #[cfg(feature = "aws-lc-rs")]
    use super::aws_lc;
    use super::{KEY, NONCE, TAG, rust_crypto};

    /// Checks both vectors of the specification, of which one has a first bit of L that is 0 and the other
    /// one that is 1.
    fn agrees(seal: impl Fn(&[u8; KEY], &[u8; NONCE], &[u8], &mut [u8]) -> [u8; TAG]) {
        for (key, associated, sealed) in [
            ([1; KEY], &b""[..], "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),
            (
                [3; KEY],
                b"c2sp.org/XAES-256-GCM",
                "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d",
            ),
        ] {
            let mut message = *b"XAES-256-GCM";
            let tag = seal(&key, b"ABCDEFGHIJKLMNOPQRSTUVWX", associated, &mut message);
            let hex: String = message.iter().chain(&tag).map(|b| format!("{b:02x}")).collect();
            assert_eq!(hex, sealed);
        }
        agrees_over_ten_thousand_random_messages(seal);
    }

    /// Checks the accumulated vector of the specification.
    fn agrees_over_ten_thousand_random_messages(
        seal: impl Fn(&[u8; KEY], &[u8; NONCE], &[u8], &mut [u8]) -> [u8; TAG],
    ) {
        let mut random = Shake128::default().finalize_xof();
        let mut results = Shake128::default();
        for _ in 0..10_000 {
            let (mut key, mut nonce) = ([0; KEY], [0; NONCE]);
            random.read(&mut key);
            random.read(&mut nonce);
            let mut short = || {
                let mut len = [0];
                random.read(&mut len);
                let mut bytes = vec![0; len[0].into()];
                random.read(&mut bytes);
                bytes
            };
            let (mut message, associated) = (short(), short());
            let tag = seal(&key, &nonce, &associated, &mut message);
            results.update(&message);
            results.update(&tag);
        }
        let mut hash = [0; 32];
        results.finalize_xof().read(&mut hash);
        let hex: String = hash.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939");
    }

    #[test]
    fn rust_crypto_agrees_with_the_specification() {
        agrees(|key, nonce, aad, message| rust_crypto::Cipher::new(key).seal(nonce, aad, message));
    }

    #[cfg(feature = "aws-lc-rs")]
    #[test]
    fn aws_lc_agrees_with_the_specification() {
        agrees(|key, nonce, aad, message| aws_lc::Cipher::new(key).seal(nonce, aad, message));
    }

    #[cfg(feature = "aws-lc-rs")]
    proptest::proptest! {
        #[test]
        fn both_implementations_give_the_same_bytes_and_open_each_others(
            key: [u8; KEY],
            nonce: [u8; NONCE],
            associated in proptest::collection::vec(proptest::num::u8::ANY, 0..64),
            message in proptest::collection::vec(proptest::num::u8::ANY, 0..5000),
            flip: proptest::sample::Index,
        ) {
            let (ours, theirs) = (rust_crypto::Cipher::new(&key), aws_lc::Cipher::new(&key));
            let (mut a, mut b) = (message.clone(), message.clone());
            let tag = ours.seal(&nonce, &associated, &mut a);
            assert_eq!((theirs.seal(&nonce, &associated, &mut b), &b), (tag, &a));

            ours.open(&nonce, &associated, &mut b, &tag).unwrap();
            theirs.open(&nonce, &associated, &mut a, &tag).unwrap();
            assert_eq!((&a, &b), (&message, &message));

            // One bit that differs, anywhere, is refused by both.
            let mut sealed = message;
            ours.seal(&nonce, &associated, &mut sealed);
            let parts = [&nonce[..], &associated, &sealed, &tag];
            let mut all = parts.concat();
            let bit = flip.index(all.len() * 8);
            all[bit / 8] ^= 1 << (bit % 8);
            let (nonce, rest) = all.split_first_chunk::<NONCE>().unwrap();
            let (associated, rest) = rest.split_at(associated.len());
            let (sealed, tag) = rest.split_last_chunk::<TAG>().unwrap();
            assert!(ours.open(nonce, associated, &mut sealed.to_vec(), tag).is_err());
            assert!(theirs.open(nonce, associated, &mut sealed.to_vec(), tag).is_err());
        }
    }
}
