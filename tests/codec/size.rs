//! Limits hold for what is really sent, and capacity is known beforehand.

use std::collections::BTreeMap;
use std::time::Duration;

use sealed_session::{Codec, Compression, EncodeError, Limit, Limits, Padding, SetCookies};
use serde::{Deserialize, Serialize};

use super::browser::Browser;
use super::{at, noise, ring};

const LIMITS: [(&str, Limits, usize); 4] = [
    ("default", Limits::UNMODIFIED_NGINX, 3000),
    ("8k", Limits::NGINX_PROXY_BUFFER_8K, 7000),
    ("16k", Limits::NGINX_PROXY_BUFFER_16K, 14_000),
    ("small", Limits::NGINX_PROXY_BUFFER_16K.cookie_bytes(300).response_bytes(1000), 1000),
];

fn response_bytes(set: &SetCookies) -> usize {
    set.values().map(|value| format!("Set-Cookie: {value}\r\n").len()).sum()
}

fn request_bytes(set: &SetCookies) -> usize {
    let pairs: Vec<_> = set.values().map(|value| value.split(';').next().unwrap()).collect();
    pairs.join("; ").len()
}

#[test]
fn cost_and_capacity_equal_what_is_sent_for_every_length() {
    for (name, limits, response) in LIMITS {
        for padding in [Padding::Padme, Padding::DangerousNone] {
            let codec = Codec::<Noise>::builder(ring())
                .limits(limits)
                .padding(padding)
                .compression(Compression::Off)
                .schema(300)
                .session_ids()
                .build()
                .unwrap();
            let capacity = codec.capacity();
            assert_eq!(codec.cost(usize::MAX), None);
            assert_eq!(codec.cost(usize::MAX - 100), None);
            // Every length would take long for the widest limits; the steps are those of no padding.
            let step = if capacity > 4000 { 7 } else { 1 };
            let lengths = (1..capacity - 3).step_by(step).chain(capacity - 3..capacity + 3);
            for len in lengths.filter(|len| !IMPOSSIBLE.contains(len)) {
                let result = codec.encode_at(&Noise(len), &codec.request([""]), at(0));
                assert_eq!(result.is_ok(), len <= capacity, "{name}: {len} of {capacity}");
                let cost = codec.cost(len);
                assert_eq!(cost.is_some(), len <= capacity, "{name}: {len} of {capacity}");
                if let (Ok(set), Some(cost)) = (result, cost) {
                    assert_eq!(usize::from(cost.cookies), set.values().len(), "{name}: {len}");
                    assert_eq!(cost.response_bytes, response_bytes(&set), "{name}: {len}");
                    assert_eq!(cost.request_bytes, request_bytes(&set), "{name}: {len}");
                    assert!(cost.response_bytes <= response, "{name}: {len}");
                    for line in set.values() {
                        assert!(line.len() <= 4000, "{name}: {len}");
                    }
                }
            }
        }
    }
}

/// A session of exactly so many bytes when serialized, of which the head of the string takes some.
struct Noise(usize);

/// No string of MessagePack has these lengths.
const IMPOSSIBLE: [usize; 2] = [33, 258];

impl Serialize for Noise {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let head = match self.0 {
            ..33 => 1,
            33..258 => 2,
            _ => 3,
        };
        noise(self.0 - head).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Noise {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let len = String::deserialize(from)?.len();
        let head = match len {
            ..32 => 1,
            32..256 => 2,
            _ => 3,
        };
        Ok(Self(len + head))
    }
}

#[test]
fn a_session_that_is_too_large_says_how_much_and_what_weighs_most() {
    #[derive(Serialize, Deserialize)]
    struct Session {
        user: u64,
        cart: Vec<String>,
        notes: String,
        map: BTreeMap<String, String>,
    }
    let session = Session {
        user: 7,
        cart: vec![noise(500), noise(500)],
        notes: noise(3000),
        map: BTreeMap::from([("inner".into(), noise(10))]),
    };
    let codec = Codec::<Session>::new(ring());
    let error = codec.encode_at(&session, &codec.request([""]), at(0)).unwrap_err();
    let EncodeError::TooLarge(large) = &error else { panic!("{error:?}") };
    assert_eq!((large.limit, large.allowed), (Limit::Response, 3000));
    let weights: Vec<_> = large.heaviest.iter().map(|f| (f.name.as_str(), f.bytes)).collect();
    assert_eq!(weights, [("notes", 3009), ("cart", 1012), ("map", 22), ("user", 6)]);
    assert!(error.to_string().starts_with("the session needs "), "{error}");
    assert!(
        error.to_string().ends_with(
            " bytes of Set-Cookie lines in the response, 3000 are allowed; \
             heaviest fields before compression: notes 3009, cart 1012, map 22"
        ),
        "{error}"
    );
    // With this much allowed, it passes; with one byte less, it does not.
    let with = |bytes| {
        let limits = Limits::NGINX_PROXY_BUFFER_16K.response_bytes(bytes);
        let codec = Codec::<Session>::builder(ring()).limits(limits.cookies(2)).build().unwrap();
        codec.encode_at(&session, &codec.request([""]), at(0)).map(|set| response_bytes(&set))
    };
    let needed = (3000..7000).find(|bytes| with(*bytes).is_ok()).unwrap();
    assert_eq!(with(needed).unwrap(), needed);
}

#[test]
fn what_does_not_fit_the_cookies_says_by_how_much() {
    let limits = Limits::NGINX_PROXY_BUFFER_16K.cookies(2).cookie_bytes(500);
    let codec = Codec::<Noise>::builder(ring())
        .limits(limits)
        .padding(Padding::DangerousNone)
        .compression(Compression::Off)
        .build()
        .unwrap();
    let needed = |len| match codec.encode_at(&Noise(len), &codec.request([""]), at(0)) {
        Err(EncodeError::TooLarge(large)) => (large.limit, large.needed, large.allowed),
        other => panic!("{other:?}"),
    };
    let capacity = codec.capacity();
    let (limit, least, allowed) = needed(capacity + 1);
    assert_eq!(
        (limit, allowed),
        (Limit::Cookie, 500),
        "for the second one, which would get the rest"
    );
    assert!((501..=504).contains(&least), "{least}");
    // Three bytes are four characters.
    assert_eq!(needed(capacity + 1 + 300), (Limit::Cookie, least + 400, 500));
}

/// Else a name that a user makes longer, until it no longer fits or takes a second cookie, would tell to the byte how
/// long what stands beside it is.
#[test]
fn neither_the_limit_nor_the_number_of_cookies_tells_what_the_padding_hides() {
    for (name, limits, _) in LIMITS {
        let build = |padding| {
            let codec = Codec::<Noise>::builder(ring()).limits(limits).padding(padding);
            codec.compression(Compression::Off).build().unwrap()
        };
        let (codec, exact) = (build(Padding::Padme), build(Padding::DangerousNone));
        assert!(codec.capacity() <= exact.capacity());
        let lengths = (1..codec.capacity()).step_by(7).chain([codec.capacity()]);
        for len in lengths.filter(|len| !IMPOSSIBLE.contains(len)) {
            let set = codec.encode_at(&Noise(len), &codec.request([""]), at(0)).unwrap();
            let value = |line: &str| cookie::Cookie::parse(line).unwrap().value().len();
            let tags = 4 * (set.set().count() - 1);
            let sealed = (set.values().map(value).sum::<usize>() - tags) * 3 / 4;
            let exponent = sealed.ilog2();
            let step = 1 << (exponent - exponent.ilog2() - 1);
            assert_eq!(sealed % step, 0, "{name}: {len} bytes give {sealed}");
        }
        // And it is the padding that decides: without it, there is room.
        let most = codec.capacity() + 1;
        assert!(codec.encode_at(&Noise(most), &codec.request([""]), at(0)).is_err(), "{name}");
    }
}

#[test]
fn what_fitted_once_can_be_touched_until_it_ends() {
    const DAY: u64 = 86_400;
    for limits in LIMITS.map(|(_, limits, _)| limits) {
        let codec = Codec::<Noise>::builder(ring())
            .limits(limits)
            .absolute_timeout(Duration::from_secs(400 * DAY))
            .padding(Padding::DangerousNone)
            .compression(Compression::Off)
            .build()
            .unwrap();
        let session = Noise(codec.capacity());
        let mut browser = Browser::default();
        browser.take(&codec.encode_at(&session, &codec.request([""]), at(0)).unwrap());
        let cookies = browser.cookies.len();
        for days in (1..799).map(|half| half * DAY / 2) {
            let header = browser.header();
            let request = codec.request([&header]);
            let opened = codec.decode_at(&request, at(days)).unwrap().unwrap();
            assert!(opened.reseal.is_some());
            let set = codec.encode_at(&opened.session, &request, at(days)).unwrap();
            assert_eq!(set.set().count(), cookies, "after {days} s");
            browser.take(&set);
        }
    }
}

#[test]
fn a_session_beyond_limits_that_were_lowered_is_read_until_it_ends() {
    const TOUCH: u64 = 8640;
    let wide = Codec::<Noise>::builder(ring()).limits(Limits::NGINX_PROXY_BUFFER_16K);
    let (wide, narrow) = (wide.build().unwrap(), Codec::<Noise>::new(ring()));
    let mut browser = Browser::default();
    browser.take(&wide.encode_at(&Noise(5000), &wide.request([""]), at(0)).unwrap());
    let header = browser.header();
    let request = narrow.request([&header]);
    let opened = narrow.decode_at(&request, at(TOUCH)).unwrap().unwrap();
    assert!(narrow.encode_at(&opened.session, &request, at(TOUCH)).unwrap().is_empty());
    let error = narrow.encode_at(&Noise(5001), &request, at(TOUCH)).unwrap_err();
    assert!(matches!(error, EncodeError::TooLarge(_)), "a change is told: {error:?}");
}

#[test]
fn keys_of_a_map_are_named_too_and_never_break_a_log() {
    let session = BTreeMap::from([("evil\n\u{1b}[31m".repeat(30), noise(4000))]);
    let codec = Codec::<BTreeMap<String, String>>::new(ring());
    let error = codec.encode_at(&session, &codec.request([""]), at(0)).unwrap_err();
    assert!(!error.to_string().contains(['\n', '\u{1b}']), "{error}");
    assert!(error.to_string().contains("evil\\n"), "{error}");
    assert!(error.to_string().len() < 600, "{error}");
}

#[test]
fn a_session_over_64_kib_is_refused_before_it_is_compressed() {
    let codec = Codec::<String>::new(ring());
    let error = codec.encode_at(&"a".repeat(70_000), &codec.request([""]), at(0)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the session needs 70005 bytes before compression, 65536 are allowed"
    );
    assert!(codec.encode_at(&"a".repeat(65_533), &codec.request([""]), at(0)).is_ok());
    let error = codec.encode_at(&"a".repeat(65_534), &codec.request([""]), at(0)).unwrap_err();
    assert!(error.to_string().starts_with("the session needs 65537 bytes before"), "{error}");
    let fits = codec.encode_at(&"a ".repeat(30_000), &codec.request([""]), at(0)).unwrap();
    let header = fits.values().next().unwrap().split(';').next().unwrap().to_owned();
    let opened = codec.decode_at(&codec.request([&header]), at(0)).unwrap().unwrap();
    assert_eq!(opened.session.len(), 60_000);
}

#[test]
fn deflate_steps_in_where_lz4_would_not_fit() {
    // Text of few different characters: DEFLATE gets at it, LZ4 does not.
    let dna: String =
        noise(6000).bytes().map(|c| char::from(b"acgt"[usize::from(c % 4)])).collect();
    let session = BTreeMap::from([("dna".to_owned(), format!("{dna} "))]);
    let cookies = |compression| {
        let codec = Codec::<BTreeMap<String, String>>::builder(ring())
            .compression(compression)
            .build()
            .unwrap();
        codec.encode_at(&session, &codec.request([""]), at(0)).map(|set| request_bytes(&set))
    };
    assert!(cookies(Compression::Off).is_err());
    let smallest = cookies(Compression::Smallest).unwrap();
    assert_eq!(cookies(Compression::Adaptive).unwrap(), smallest);
    // But not where it saves no cookie.
    let session = BTreeMap::from([
        ("dna".to_owned(), format!("{} ", &dna[..1000])),
        ("noise".to_owned(), noise(3000)),
    ]);
    let sizes = |compression, cookie_bytes| {
        let codec = Codec::<BTreeMap<String, String>>::builder(ring())
            .compression(compression)
            .limits(Limits::NGINX_PROXY_BUFFER_16K.cookie_bytes(cookie_bytes))
            .build()
            .unwrap();
        let set = codec.encode_at(&session, &codec.request([""]), at(0)).unwrap();
        (set.values().len(), request_bytes(&set))
    };
    let mut as_many = 0;
    for cookie_bytes in (1400..3900).step_by(100) {
        let fast = sizes(Compression::Adaptive, cookie_bytes);
        let small = sizes(Compression::Smallest, cookie_bytes);
        // Only the longest of values get it then, within a budget.
        assert!((small.0..=small.0 + 1).contains(&fast.0), "{cookie_bytes}");
        as_many += usize::from(fast.0 > 1 && fast.1 > small.1);
    }
    assert!(as_many > 0, "LZ4 stays where DEFLATE needs as many cookies");
}
