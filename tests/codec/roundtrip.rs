//! Whatever serde can write comes back.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sealed_session::{Codec, Compression, Format, Limits, Padding};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::browser::Browser;
use super::{at, ring};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Session {
    id: u64,
    name: String,
    nested: Option<Box<Session>>,
    kind: Kind,
    list: Vec<String>,
    map: BTreeMap<String, Kind>,
    bytes: Vec<u8>,
    pair: (i64, char),
    newtype: Wrapper,
    unit: (),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Wrapper(String);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Kind {
    Unit,
    Newtype(String),
    Tuple(u8, String),
    Struct { token: String, float: f64 },
}

/// Strings of each kind that packing treats in its own way.
fn string() -> impl Strategy<Value = String> {
    let token = "[A-Za-z0-9_-]{16,90}";
    prop_oneof![
        ".{0,40}",
        token,
        (token, token, token).prop_map(|(a, b, c)| format!("{a}.{b}.{c}")),
        (".{1,9}", 1..40_usize).prop_map(|(s, n)| s.repeat(n)),
        "[\\\\\"\n.A-Za-z]{20,60}",
    ]
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Unit),
        string().prop_map(Kind::Newtype),
        (any::<u8>(), string()).prop_map(|(a, b)| Kind::Tuple(a, b)),
        (string(), -1e9..1e9).prop_map(|(token, float)| Kind::Struct { token, float }),
    ]
}

fn session() -> impl Strategy<Value = Session> {
    let leaf = (
        (any::<u64>(), string(), kind(), prop::collection::vec(string(), 0..4)),
        prop::collection::btree_map(string(), kind(), 0..4),
        (prop::collection::vec(any::<u8>(), 0..60), any::<(i64, char)>(), string()),
    )
        .prop_map(|((id, name, kind, list), map, (bytes, pair, wrapped))| Session {
            id,
            name,
            nested: None,
            kind,
            list,
            map,
            bytes,
            pair,
            newtype: Wrapper(wrapped),
            unit: (),
        });
    leaf.prop_recursive(3, 4, 1, |inner| {
        (inner.clone(), inner)
            .prop_map(|(session, nested)| Session { nested: Some(Box::new(nested)), ..session })
    })
}

fn formats() -> Vec<Format> {
    vec![
        Format::MessagePack,
        #[cfg(feature = "json")]
        Format::Json,
        #[cfg(feature = "postcard")]
        Format::Postcard,
        #[cfg(feature = "bincode")]
        Format::Bincode,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_session_comes_back_under_every_setting(
        session in session(),
        format in prop::sample::select(formats()),
        compression in prop::sample::select(vec![
            Compression::Adaptive, Compression::Smallest, Compression::Off,
        ]),
        padding in prop::sample::select(vec![Padding::Padme, Padding::DangerousNone]),
        ids: bool,
    ) {
        let mut builder = Codec::<Session>::builder(ring())
            .format(format)
            .schema(1)
            .compression(compression)
            .padding(padding)
            .limits(Limits::NGINX_PROXY_BUFFER_16K);
        if ids {
            builder = builder.session_ids();
        }
        comes_back(&builder.build().unwrap(), &session);
    }
}

fn comes_back<T>(codec: &Codec<T>, session: &T)
where
    T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug + 'static,
{
    let mut browser = Browser::default();
    browser.take(&codec.encode_at(session, &codec.request([""]), at(0)).unwrap());
    let header = browser.header();
    let request = codec.request([&header]);
    let opened = codec.decode_at(&request, at(5)).unwrap().expect("a session");
    assert_eq!(opened.session, *session);
    assert_eq!((opened.began, opened.sealed, opened.reseal), (at(0), at(0), None));
    assert!(codec.encode_at(session, &request, at(5)).unwrap().is_empty(), "nothing changed");
}

#[test]
fn sessions_of_odd_shapes_come_back() {
    fn check<T>(session: T)
    where
        T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug + 'static,
    {
        for format in formats() {
            let codec = Codec::builder(ring()).format(format).schema(1).build().unwrap();
            comes_back(&codec, &session);
        }
    }
    check(());
    check(0_u8);
    check(String::new());
    check(Some(Some(3_i8)));
    check([0_u8; 32]);
    check(
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJlIGlzIG5vdCBjaGVja2Vk"
            .repeat(3),
    );
    check("A".repeat(40)); // base64url of 30 zero bytes
    check(format!("{}.", "A".repeat(40)));
    check(format!(".{}", "A".repeat(40)));
    check(format!("{}.{}", "A".repeat(41), "A".repeat(40))); // 41 characters stand for no bytes
    check(format!("{}B", "A".repeat(41))); // bits after the last byte
    check((f64::MAX, f32::MIN_POSITIVE, u128::MAX, i64::MIN, '\u{10ffff}'));
    check(BTreeMap::from([(1_u64, "one".repeat(20)), (u64::MAX, "A".repeat(64))]));
}

#[test]
fn what_a_format_cannot_hold_is_an_error_and_sets_nothing() {
    #[derive(Deserialize)]
    struct Broken;
    impl Serialize for Broken {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("secret reason"))
        }
    }
    let codec = Codec::<Broken>::new(ring());
    let error = codec.encode_at(&Broken, &codec.request([""]), at(0)).unwrap_err();
    assert_eq!(error.to_string(), "the session cannot be serialized");
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("secret reason"));
}

#[test]
fn what_is_nested_too_deeply_to_be_read_is_not_sealed() {
    // A chain of lists, which MessagePack nests.
    #[derive(Debug, Serialize, Deserialize, PartialEq)]
    struct Nested(Vec<Nested>);
    let nested = |depth| (0..depth).fold(Nested(vec![]), |inner, _| Nested(vec![inner]));
    let named = [
        Format::MessagePack,
        #[cfg(feature = "json")]
        Format::Json,
    ];
    for format in named {
        let codec = Codec::builder(ring()).format(format).build().unwrap();
        comes_back(&codec, &nested(60));
        for depth in 100..200 {
            match codec.encode_at(&nested(depth), &codec.request([""]), at(0)) {
                Ok(set_cookies) => {
                    let mut browser = Browser::default();
                    browser.take(&set_cookies);
                    let header = browser.header();
                    let opened =
                        codec.decode_at(&codec.request([&header]), at(0)).unwrap().unwrap();
                    assert_eq!(opened.session, nested(depth));
                }
                Err(error) => {
                    assert!(depth > 120);
                    assert_eq!(error.to_string(), "the session cannot be serialized");
                }
            }
        }
        assert!(codec.encode_at(&nested(199), &codec.request([""]), at(0)).is_err());
    }
}

#[cfg(feature = "postcard")]
#[test]
fn what_a_positional_format_could_not_read_is_not_sealed() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Skips {
        #[serde(skip_serializing_if = "Option::is_none", default)]
        a: Option<u8>,
        b: u8,
    }
    let codec = Codec::builder(ring()).format(Format::Postcard).schema(1).build().unwrap();
    let error = codec.encode_at(&Skips { a: None, b: 7 }, &codec.request([""]), at(0)).unwrap_err();
    assert_eq!(error.to_string(), "the session cannot be serialized");
}

/// `flatten` makes maps whose length nobody tells beforehand.
#[test]
fn flattened_sessions_come_back_whatever_their_maps_hold() {
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Outer {
        user: u64,
        #[serde(flatten)]
        rest: BTreeMap<String, String>,
        list: Vec<Inner>,
        one: Inner,
        other: Inner,
    }
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Inner {
        #[serde(flatten)]
        rest: BTreeMap<String, Option<Box<Self>>>,
    }
    let texts = |n: usize| (0..n).map(|i| (format!("k{i}"), "of a text ".repeat(i + 4))).collect();
    let inner = |n: usize| {
        let one = Inner { rest: BTreeMap::from([("leaf".to_owned(), None)]) };
        Inner { rest: (0..n).map(|i| (format!("i{i}"), Some(Box::new(one.clone())))).collect() }
    };
    for compression in [Compression::Off, Compression::Adaptive] {
        let codec = Codec::<Outer>::builder(ring()).compression(compression).build().unwrap();
        for (n, nested) in [(0, &[][..]), (1, &[0]), (3, &[2, 0, 1]), (5, &[4, 4])] {
            let list = nested.iter().map(|n| inner(*n)).collect();
            let (one, other) = (inner(nested.len()), inner(n + 1));
            let session = Outer { user: 7, rest: texts(n), list, one, other };
            let mut browser = Browser::default();
            browser.take(&codec.encode_at(&session, &codec.request([""]), at(0)).unwrap());
            let header = browser.header();
            let request = codec.request([&header]);
            assert_eq!(codec.decode_at(&request, at(0)).unwrap().unwrap().session, session);
            assert!(codec.encode_at(&session, &request, at(0)).unwrap().is_empty(), "unchanged");
        }
    }
}

/// Some types are written as text for people and as bytes for machines, by what the format says of itself.
#[test]
fn a_format_says_whether_people_read_it() {
    use std::net::IpAddr;
    let session: (IpAddr, IpAddr) = ([127, 0, 0, 1].into(), [7; 16].into());
    for format in formats() {
        let codec = Codec::<(IpAddr, IpAddr)>::builder(ring()).format(format).schema(1);
        let codec = codec.build().unwrap();
        let mut browser = Browser::default();
        browser.take(&codec.encode_at(&session, &codec.request([""]), at(0)).unwrap());
        let opened = codec.decode_at(&codec.request([&browser.header()]), at(0)).unwrap().unwrap();
        assert_eq!(opened.session, session, "{format:?}");
    }
}
