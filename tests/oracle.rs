//! The attack CRIME on the codec: text that the attacker chooses stands beside a secret in one session, and the
//! attacker sees how long the cookie gets. `ORACLE_REQUESTS=100000 cargo test --release --test oracle -- --nocapture`
//! prints how much of the secret is learnt.
//!
//! The attacker is strong: knows the secret's alphabet and how it begins, is told each character after the guess at
//! it, and sends each guess with many fillers, so that padding and rounding do not hide a byte for long.

#![allow(
    clippy::unwrap_used,
    clippy::as_conversions,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::time::{Duration, SystemTime};

use flate2::{Compress, Compression as Level, FlushCompress};
use sealed_session::{Codec, Compression, Key, Limits, Padding};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// 64 bits that the attacker wants.
const SECRET: usize = 16;
const ALPHABET: &[u8; 16] = b"0123456789abcdef";
const BEGINNING: &str = "tok_";
/// With so many fillers is each guess sent: three make a step of base64, and 16 a step of Padmé at this length.
const FILLERS: usize = 48;

#[derive(Serialize, Deserialize)]
struct Fields {
    csrf: String,
    note: String,
}

/// So much that it fits the default limits only with DEFLATE for both.
fn long(secret: &str, note: &str) -> Fields {
    // Digits, of which LZ4 finds none twice.
    let digits = |seed: u32| {
        let number = |i: u32| (seed + i).wrapping_mul(0x9e37_79b9).to_string();
        (0..200).map(number).collect::<String>()
    };
    let csrf = format!("{}:{secret}", digits(0));
    Fields { csrf, note: format!("{note}:{}", digits(1000)) }
}

#[test]
fn the_length_of_the_cookie_tells_nothing_of_another_field() {
    let requests: usize =
        std::env::var("ORACLE_REQUESTS").map_or(4 * 16 * FILLERS, |n| n.parse().expect("a number"));
    println!(
        "| secret and note | compression | padding | guesses right | bits per 100,000 requests |"
    );
    println!("|---|---|---|--:|--:|");
    let row = |beside: &str, how: &str, padding: &str, oracle: &dyn Fn(&str, &str) -> usize| {
        let (guesses, right) = attack(requests, oracle);
        let bits = bits(right / guesses) * 100_000.0 / (16 * FILLERS) as f64;
        println!("| {beside} | {how} | {padding} | {:.0} % | {bits:.0} |", 100.0 * right / guesses);
        right / guesses
    };

    // The attack works, where a body is compressed as a whole.
    let whole = row("two fields", "DEFLATE over the body", "none", &|secret, note| {
        let (csrf, note) = (secret.to_owned(), note.to_owned());
        let body = rmp_serde::to_vec_named(&Fields { csrf, note }).unwrap();
        let mut out = vec![0; body.len() + 64];
        let mut deflate = Compress::new(Level::new(6), false);
        deflate.compress(&body, &mut out, FlushCompress::Finish).unwrap();
        deflate.total_out() as usize
    });
    assert!(whole > 0.8, "{whole}");

    // What an application asks for by a dangerous name has the leak that the name tells of.
    let one = codec::<Fields>(Compression::DangerousOneContext, Padding::DangerousNone);
    let found = row("two fields", "DangerousOneContext", "DangerousNone", &|secret, note| {
        length(&one, &Fields { csrf: secret.to_owned(), note: note.to_owned() })
    });
    assert!(found > 0.8, "{found}");

    for compression in [Compression::Off, Compression::Adaptive, Compression::Smallest] {
        for padding in [Padding::Padme, Padding::DangerousNone] {
            let how = (format!("{compression:?}"), format!("{padding:?}"));
            let fields = codec::<Fields>(compression, padding);
            let found = row("two fields", &how.0, &how.1, &|secret, note| {
                length(&fields, &Fields { csrf: secret.to_owned(), note: note.to_owned() })
            });
            // All guesses weigh the same, so that none is better than a throw of dice.
            assert!((found - 1.0 / 16.0).abs() < f64::EPSILON, "{compression:?}: {found}");

            let list = codec::<Vec<String>>(compression, padding);
            row("two elements of a list", &how.0, &how.1, &|secret, note| {
                length(&list, &vec![secret.to_owned(), note.to_owned()])
            });
        }
    }
}

#[test]
fn deflate_for_the_longest_fields_tells_nothing_of_the_others() {
    let requests: usize =
        std::env::var("ORACLE_REQUESTS").map_or(16 * FILLERS, |n| n.parse().expect("a number"));
    let builder = Codec::<Fields>::builder(Key::generate().unwrap());
    let codec = builder.padding(Padding::DangerousNone).build().unwrap();
    let builder = Codec::<Fields>::builder(Key::generate().unwrap());
    let off = builder.compression(Compression::Off).build().unwrap();
    let request = off.request([""]);
    assert!(off.renew(&long("tok_", "tok_"), &request).is_err(), "it fits without compression");

    let oracle = |secret: &str, note: &str| length(&codec, &long(secret, note));
    let (guesses, right) = attack(requests, &oracle);
    // Each guess has a weight of its own here, which depends on the note alone: as good as dice.
    println!("two long fields: {right} of {guesses} right");
    assert!(right / guesses < 0.3, "{right} of {guesses}");
}

/// Makes so many requests, and gives the number of characters guessed at and those guessed right; where several
/// guesses are equal, their share.
fn attack(requests: usize, oracle: &dyn Fn(&str, &str) -> usize) -> (f64, f64) {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |limit: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        ((random >> 20) % limit) as usize
    };
    let (mut guesses, mut right) = (0.0, 0.0);
    let mut secret = String::new();
    for at in (0..SECRET).cycle().take(requests / (16 * FILLERS)) {
        if at == 0 {
            secret = BEGINNING.to_owned();
            secret.extend((0..SECRET).map(|_| char::from(ALPHABET[below(16)])));
        }
        let known = &secret[..BEGINNING.len() + at];
        let fillers: Vec<String> = (0..FILLERS)
            .map(|len| (0..len).map(|_| char::from(b'A' + below(26) as u8)).collect())
            .collect();
        let weight = |guess: u8| -> usize {
            let guess = format!("{known}{}", char::from(guess));
            fillers.iter().map(|filler| oracle(&secret, &format!("{filler}{guess}!{filler}"))).sum()
        };
        let weights = ALPHABET.map(weight);
        let least = weights.into_iter().min().unwrap();
        let best = weights.iter().filter(|weight| **weight == least).count();
        let truth = ALPHABET.iter().position(|c| *c == secret.as_bytes()[BEGINNING.len() + at]);
        if weights[truth.unwrap()] == least {
            right += 1.0 / best as f64;
        }
        guesses += 1.0;
    }
    (guesses, right)
}

/// What one guess among 16 tells that is right with this probability.
fn bits(right: f64) -> f64 {
    let wrong = 1.0 - right;
    let part = |p: f64, of: f64| if p > 0.0 { p * (p * of).log2() } else { 0.0 };
    part(right, 16.0) + part(wrong, 16.0 / 15.0)
}

fn codec<T: Serialize + DeserializeOwned + 'static>(
    compression: Compression,
    padding: Padding,
) -> Codec<T> {
    Codec::builder(Key::generate().unwrap())
        .compression(compression)
        .padding(padding)
        .limits(Limits::NGINX_PROXY_BUFFER_16K)
        .build()
        .unwrap()
}

fn length<T: Serialize + DeserializeOwned + 'static>(codec: &Codec<T>, session: &T) -> usize {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_763_996_400);
    let set = codec.renew_at(session, &codec.request([""]), now).unwrap();
    set.values().map(str::len).sum()
}
