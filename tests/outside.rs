//! Vectors that others made, run against the functions of other crates that the codec calls. How the codec itself
//! puts XAES-256-GCM together is held against the same vectors in `src/xaes/`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit};
use hkdf::Hkdf;
use hkdf::hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;
use shake::digest::{ExtendableOutput, Update, XofReader};
use shake::{Shake128, Shake128Reader};
use xaes_256_gcm::Xaes256Gcm;

#[test]
fn xaes_256_gcm_agrees_with_the_vectors_of_its_specification() {
    let vectors = read(include_str!("vectors/outside/xaes_256_gcm.json"));
    for vector in vectors["single"].as_array().unwrap() {
        let ascii = |field: &str| vector[field].as_str().unwrap().as_bytes().to_vec();
        let key: [u8; 32] = hex(&vector["key"]).try_into().unwrap();
        let sealed =
            seal(&key, &ascii("nonce_ascii"), ascii("plaintext_ascii"), &ascii("aad_ascii"));
        assert_eq!(sealed, hex(&vector["ciphertext_and_tag"]));
    }
}

#[test]
fn xaes_256_gcm_agrees_over_ten_thousand_random_messages() {
    let vectors = read(include_str!("vectors/outside/xaes_256_gcm.json"));
    let mut random = Stream(Shake128::default().finalize_xof());
    let mut result = Shake128::default();
    for _ in 0..10_000 {
        let key: [u8; 32] = random.take(32).try_into().unwrap();
        let nonce = random.take(24);
        let message = random.take_short();
        let associated = random.take_short();
        let sealed = seal(&key, &nonce, message.clone(), &associated);
        result.update(&sealed);
        assert_eq!(open(&key, &nonce, sealed, &associated), Some(message));
    }
    let mut hash = [0; 32];
    result.finalize_xof().read(&mut hash);
    assert_eq!(hash.to_vec(), hex(&vectors["accumulated"]["iterations_10000"]));
}

struct Stream(Shake128Reader);

impl Stream {
    fn take(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.read(&mut bytes);
        bytes
    }

    fn take_short(&mut self) -> Vec<u8> {
        let len = self.take(1)[0];
        self.take(len.into())
    }
}

fn seal(key: &[u8; 32], nonce: &[u8], mut message: Vec<u8>, associated: &[u8]) -> Vec<u8> {
    let nonce = nonce.try_into().unwrap();
    let cipher = Xaes256Gcm::new(key.into());
    let tag =
        cipher.encrypt_inout_detached(nonce, associated, message.as_mut_slice().into()).unwrap();
    message.extend_from_slice(&tag);
    message
}

fn open(key: &[u8; 32], nonce: &[u8], mut sealed: Vec<u8>, associated: &[u8]) -> Option<Vec<u8>> {
    let tag = sealed.split_off(sealed.len() - 16);
    let (nonce, tag) = (nonce.try_into().unwrap(), tag.as_slice().try_into().unwrap());
    let cipher = Xaes256Gcm::new(key.into());
    cipher
        .decrypt_inout_detached(nonce, associated, sealed.as_mut_slice().into(), tag)
        .is_ok()
        .then_some(sealed)
}

/// The cipher that is below XAES-256-GCM, of RustCrypto.
#[test]
fn aes_256_gcm_agrees_with_wycheproof() {
    wycheproof_aes_256_gcm(
        |key, nonce, associated, message| {
            let cipher = Aes256Gcm::new(key.into());
            let tag = cipher.encrypt_inout_detached(nonce.into(), associated, message.into());
            tag.unwrap().into()
        },
        |key, nonce, associated, message, tag| {
            let cipher = Aes256Gcm::new(key.into());
            cipher
                .decrypt_inout_detached(nonce.into(), associated, message.into(), tag.into())
                .is_ok()
        },
    );
}

/// And of AWS-LC.
#[cfg(feature = "aws-lc-rs")]
#[test]
fn aes_256_gcm_of_aws_lc_agrees_with_wycheproof() {
    use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
    let cipher = |key: &[u8; 32]| LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap());
    let nonce_of = |nonce: &[u8; 12]| Nonce::assume_unique_for_key(*nonce);
    wycheproof_aes_256_gcm(
        |key, nonce, associated, message| {
            let aad = Aad::from(associated);
            let tag = cipher(key).seal_in_place_separate_tag(nonce_of(nonce), aad, message);
            tag.unwrap().as_ref().try_into().unwrap()
        },
        |key, nonce, associated, message, tag| {
            let aad = Aad::from(associated);
            cipher(key).open_in_place_separate_tag(nonce_of(nonce), aad, tag, message).is_ok()
        },
    );
}

/// Holds all vectors of our sizes.
fn wycheproof_aes_256_gcm(
    seal: impl Fn(&[u8; 32], &[u8; 12], &[u8], &mut [u8]) -> [u8; 16],
    open: impl Fn(&[u8; 32], &[u8; 12], &[u8], &mut [u8], &[u8; 16]) -> bool,
) {
    let (mut valid, mut invalid) = (0, 0);
    for (group, test) in tests(include_str!("vectors/outside/wycheproof_aes_gcm.json")) {
        if (&group["keySize"], &group["ivSize"], &group["tagSize"])
            != (&256.into(), &96.into(), &128.into())
        {
            continue;
        }
        let key = hex(&test["key"]).try_into().unwrap();
        let nonce = hex(&test["iv"]).try_into().unwrap();
        let tag = hex(&test["tag"]).try_into().unwrap();
        let (associated, mut buffer) = (hex(&test["aad"]), hex(&test["ct"]));
        let good = test["result"] == "valid";
        assert_eq!(open(&key, &nonce, &associated, &mut buffer, &tag), good, "{test}");
        if good {
            valid += 1;
            assert_eq!(buffer, hex(&test["msg"]), "{test}");
            assert_eq!(seal(&key, &nonce, &associated, &mut buffer), tag, "{test}");
            assert_eq!(buffer, hex(&test["ct"]), "{test}");
        } else {
            invalid += 1;
        }
    }
    assert!(valid > 30 && invalid > 20, "{valid} valid, {invalid} invalid");
}

#[test]
fn hkdf_sha256_agrees_with_wycheproof() {
    let mut count = 0;
    for (_, test) in tests(include_str!("vectors/outside/wycheproof_hkdf_sha256.json")) {
        let hkdf = Hkdf::<Sha256>::new(Some(&hex(&test["salt"])), &hex(&test["ikm"]));
        let mut okm = vec![0; usize::try_from(test["size"].as_u64().unwrap()).unwrap()];
        let expanded = hkdf.expand(&hex(&test["info"]), &mut okm);
        assert_eq!(expanded.is_ok(), test["result"] == "valid", "{test}");
        if expanded.is_ok() {
            assert_eq!(okm, hex(&test["okm"]), "{test}");
        }
        count += 1;
    }
    assert!(count > 80, "{count}");
}

#[test]
fn hmac_sha256_agrees_with_wycheproof() {
    let mut count = 0;
    for (_, test) in tests(include_str!("vectors/outside/wycheproof_hmac_sha256.json")) {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&hex(&test["key"])).unwrap();
        Mac::update(&mut mac, &hex(&test["msg"]));
        let verified = mac.verify_truncated_left(&hex(&test["tag"]));
        assert_eq!(verified.is_ok(), test["result"] == "valid", "{test}");
        count += 1;
    }
    assert!(count > 150, "{count}");
}

fn read(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

fn tests(json: &str) -> Vec<(Value, Value)> {
    let all = read(json);
    let groups = all["testGroups"].as_array().unwrap();
    let tests = |group: &Value| group["tests"].as_array().unwrap().clone();
    groups
        .iter()
        .flat_map(|group| tests(group).into_iter().map(|test| (group.clone(), test)))
        .collect()
}

fn hex(value: &Value) -> Vec<u8> {
    let hex = value.as_str().unwrap().as_bytes();
    let pairs = hex.chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}
