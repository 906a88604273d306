//! Whether the time to refuse a cookie tells where it was changed: the test of dudect (Reparaz, Balasch,
//! Verbauwhede: "dude, is my code constant time?", DATE 2017). `cargo bench --bench timing -- 1000000`.
//!
//! All inputs take turns at random, in one buffer; what is above the 90th percentile of all is interruptions and is
//! cut off; then Welch's t-test compares each input with the first. |t| under 4.5 tells nothing apart.

use std::hint::black_box;
use std::time::{Instant, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sealed_session::{Codec, Key, Padding};

fn main() {
    let rounds = std::env::args().skip(1).find_map(|arg| arg.parse().ok());
    let Some(rounds) = rounds else {
        println!("timing: cargo bench --bench timing -- 1000000");
        return;
    };
    for len in [20, 1000] {
        measure(len, rounds);
    }
}

fn measure(len: usize, rounds: usize) {
    let build = || {
        let key = Key::generate().expect("random bytes");
        Codec::<String>::builder(key).padding(Padding::DangerousNone).build().expect("settings")
    };
    let (codec, stranger) = (build(), build());
    let now = SystemTime::now();
    let seal = |codec: &Codec<String>| {
        let session: String = ('!'..='~').cycle().take(len).collect();
        let set = codec.renew_at(&session, &codec.request([""]), now).expect("fits");
        let line = set.values().next().expect("a cookie").to_owned();
        let (_, value) =
            line.split(';').next().and_then(|pair| pair.split_once('=')).expect("a pair");
        BASE64_URL_SAFE_NO_PAD.decode(value).expect("base64url")
    };
    let sealed = seal(&codec);
    let changed = |at: usize| {
        let mut sealed = sealed.clone();
        if let Some(byte) = sealed.get_mut(at) {
            *byte ^= 1;
        }
        sealed
    };
    let end = sealed.len();
    let inputs = [
        ("last byte of the tag changed", changed(end - 1)),
        ("the same once more", changed(end - 1)),
        ("first byte of the tag changed", changed(end - 16)),
        ("first byte of the ciphertext changed", changed(29)),
        ("last byte of the ciphertext changed", changed(end - 17)),
        ("first byte of the nonce changed", changed(5)),
        ("sealed by a key that the ring has not", seal(&stranger)),
        ("valid", sealed),
    ]
    .map(|(name, sealed)| {
        (name, format!("{}={}", codec.name(), BASE64_URL_SAFE_NO_PAD.encode(sealed)))
    });

    let mut buffer = String::with_capacity(8192);
    let mut times: [Vec<f64>; 8] = Default::default();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..rounds * inputs.len() {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let which = usize::try_from((random >> 33) % 8).expect("below 8");
        let (Some((_, header)), Some(times)) = (inputs.get(which), times.get_mut(which)) else {
            unreachable!("below 8");
        };
        buffer.clear();
        buffer.push_str(header);
        let from = Instant::now();
        let _ = black_box(codec.decode_at(&codec.request([black_box(&buffer)]), now));
        let took = from.elapsed();
        if round > 10_000 {
            times.push(took.as_secs_f64() * 1e9);
        }
    }

    let mut all = times.concat();
    all.sort_by(f64::total_cmp);
    let cut = *all.get(all.len() * 9 / 10).expect("many");
    let figures = times.map(|times| Figures::of(times.into_iter().filter(|time| *time <= cut)));
    let [base, ..] = figures;
    println!("\nsession of {len} characters, cut at {cut:.0} ns\n");
    println!("| input | n | mean ns | t |\n|---|--:|--:|--:|");
    for ((name, _), figures) in inputs.iter().zip(figures) {
        println!("| {name} | {} | {:.1} | {:.1} |", figures.n, figures.mean, figures.t(base));
    }
}

#[derive(Clone, Copy)]
struct Figures {
    n: f64,
    mean: f64,
    variance: f64,
}

impl Figures {
    fn of(times: impl Iterator<Item = f64>) -> Self {
        let (mut n, mut mean, mut squares) = (0.0, 0.0, 0.0);
        for time in times {
            n += 1.0;
            let delta = time - mean;
            mean += delta / n;
            squares += delta * (time - mean);
        }
        Self { n, mean, variance: squares / (n - 1.0) }
    }

    /// Gives Welch's t.
    fn t(self, other: Self) -> f64 {
        let error = self.variance / self.n + other.variance / other.n;
        if error == 0.0 { 0.0 } else { (self.mean - other.mean) / error.sqrt() }
    }
}
