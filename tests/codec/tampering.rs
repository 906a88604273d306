//! No change of a sealed value opens.

use sealed_session::{Codec, DecodeError};

use super::browser::Browser;
use super::{at, key, ring};

const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn seal(codec: &Codec<String>, session: &str) -> String {
    let mut browser = Browser::default();
    browser.take(&codec.renew_at(&session.to_owned(), &codec.request([""]), at(0)).unwrap());
    browser.cookies.remove(codec.name()).unwrap()
}

fn read(codec: &Codec<String>, value: &str) -> Result<String, DecodeError> {
    let header = format!("{}={value}", codec.name());
    let request = codec.request([&header]);
    codec.decode_at(&request, at(0)).map(|opened| opened.unwrap().session)
}

#[test]
fn every_bit_that_is_flipped_is_refused() {
    let codec = Codec::<String>::new(ring());
    let value = seal(&codec, "a session of some length, so that there is something to flip");
    let mut refused = 0;
    for at in 0..value.len() {
        for bit in 0..6 {
            let old = ALPHABET.iter().position(|c| *c == value.as_bytes()[at]).unwrap();
            let mut changed = value.clone().into_bytes();
            changed[at] = ALPHABET[old ^ 1 << bit];
            let error = read(&codec, std::str::from_utf8(&changed).unwrap()).unwrap_err();
            let right = match at * 6 + 5 - bit {
                // The version in 4 bits, the number of chunks in 4, the key id in 32.
                0..4 => {
                    matches!(error, DecodeError::UnsupportedVersion(_) | DecodeError::Malformed)
                }
                4..8 => matches!(
                    error,
                    DecodeError::MissingChunk
                        | DecodeError::TooManyChunks(_)
                        | DecodeError::Malformed
                ),
                8..40 => matches!(error, DecodeError::UnknownKey(_)),
                _ => matches!(error, DecodeError::InvalidTag | DecodeError::Malformed),
            };
            assert!(right, "bit {bit} of character {at}: {error:?}");
            refused += 1;
        }
    }
    assert_eq!(refused, value.len() * 6);
}

#[test]
fn every_truncation_and_extension_is_refused() {
    let codec = Codec::<String>::new(ring());
    let value = seal(&codec, "session");
    for len in 0..value.len() {
        let error = read(&codec, &value[..len]).unwrap_err();
        assert!(
            matches!(error, DecodeError::Malformed | DecodeError::InvalidTag),
            "{len}: {error:?}"
        );
    }
    for more in 1..100 {
        let error = read(&codec, &(value.clone() + &"A".repeat(more))).unwrap_err();
        assert!(
            matches!(error, DecodeError::Malformed | DecodeError::InvalidTag),
            "{more}: {error:?}"
        );
    }
}

#[test]
fn parts_of_two_values_do_not_fit_together() {
    let codec = Codec::<String>::new(ring());
    let (a, b) = (seal(&codec, "session a"), seal(&codec, "session b"));
    for cut in 8..a.len() - 1 {
        let mixed = a[..cut].to_owned() + &b[cut..];
        // By chance the little that is exchanged at either end is the same in both.
        if mixed == a || mixed == b {
            continue;
        }
        let error = read(&codec, &mixed).unwrap_err();
        assert!(matches!(error, DecodeError::InvalidTag), "{cut}: {error:?}");
    }
}

#[test]
fn a_value_opens_for_its_own_name_context_and_key_alone() {
    let own = || Codec::<String>::builder(ring()).name("a").context("shop");
    let value = seal(&own().build().unwrap(), "session");
    assert_eq!(read(&own().build().unwrap(), &value).unwrap(), "session");
    for (reason, other) in [
        ("another name", own().name("b")),
        ("another case of the name", own().name("A")),
        ("no context", own().context("")),
        ("another context", own().context("shop2")),
        ("name and context joined otherwise", own().name("as").context("hop")),
    ] {
        let error = read(&other.build().unwrap(), &value).unwrap_err();
        assert!(matches!(error, DecodeError::InvalidTag), "{reason}: {error:?}");
    }
    let other_key = Codec::<String>::builder(key(2)).name("a").context("shop").build().unwrap();
    assert!(matches!(read(&other_key, &value).unwrap_err(), DecodeError::UnknownKey(_)));
}

#[test]
fn two_seals_of_one_session_have_nothing_in_common() {
    let codec = Codec::<String>::new(ring());
    let (a, b) = (seal(&codec, "session"), seal(&codec, "session"));
    let same = a.bytes().zip(b.bytes()).skip(7).filter(|(a, b)| a == b).count();
    assert!(same < a.len() / 4, "{same} of {} characters", a.len());
}
