//! Random sessions, sealed with random settings, for the reader in Python to open: `interop/open.py`. The other
//! direction is in `vectors.rs`.
//!
//! `SEALED_SESSION_FOR_PYTHON=FILE` says where to write them, `SEALED_SESSION_COUNT=N` how many, and
//! `SEALED_SESSION_SEED=N` which; without, some are made and opened here alone.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sealed_session::{Codec, Compression, Format, Key, Limits, Padding};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[test]
fn random_sessions_are_written_for_another_implementation() {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |number| number.parse().expect("a number"))
    };
    let mut seed = [0; 32];
    let (seed_bytes, _) = seed.split_first_chunk_mut().unwrap();
    *seed_bytes = number("SEALED_SESSION_SEED", 1).to_be_bytes();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let cases = (settings(), any::<Named>(), any::<Positional>());
    let vectors: Vec<Value> = (0..number("SEALED_SESSION_COUNT", 100))
        .map(|n| {
            let (settings, named, positional) = cases.new_tree(&mut runner).unwrap().current();
            let name = format!("{n}: {settings:?}");
            match settings.format {
                Format::MessagePack => settings
                    .seal(name, &named, 1, |session| rmp_serde::to_vec_named(session).unwrap()),
                Format::Json => {
                    settings.seal(name, &named, 2, |session| serde_json::to_vec(session).unwrap())
                }
                Format::Postcard => settings
                    .seal(name, &positional, 3, |session| postcard::to_stdvec(session).unwrap()),
                _ => settings.seal(name, &positional, 4, |session| {
                    bincode::serde::encode_to_vec(session, bincode::config::standard()).unwrap()
                }),
            }
        })
        .collect();
    // As random as they are said to be.
    let several = |field: &str| vectors.iter().filter(|vector| !vector[field].is_null()).count();
    assert!(several("id") > 10 && several("id") < vectors.len());
    let split = vectors.iter().filter(|v| v["cookies"].as_object().unwrap().len() > 1).count();
    assert!(split > 0, "none is in several cookies");
    if let Ok(file) = std::env::var("SEALED_SESSION_FOR_PYTHON") {
        std::fs::write(&file, serde_json::to_vec(&vectors).unwrap()).unwrap();
        println!("wrote {} sessions, {split} of them in several cookies", vectors.len());
    }
}

/// What a session is sealed with.
#[derive(Debug, Clone)]
struct Settings {
    secret: [u8; 32],
    name: String,
    context: Vec<u8>,
    format: Format,
    compression: Compression,
    padding: Padding,
    schema: u32,
    ids: bool,
    cookie_bytes: usize,
    began: u32,
    /// When it was written once more, in seconds after that.
    age: Option<u32>,
}

fn settings() -> impl Strategy<Value = Settings> {
    let format = prop_oneof![
        Just(Format::MessagePack),
        Just(Format::Json),
        Just(Format::Postcard),
        Just(Format::Bincode)
    ];
    let compression = prop_oneof![
        Just(Compression::Adaptive),
        Just(Compression::Smallest),
        Just(Compression::Off)
    ];
    let padding = prop_oneof![Just(Padding::Padme), Just(Padding::DangerousNone)];
    let binding = ("[!#$%&'*+^_`|~a-zA-Z0-9-]{1,30}", any::<Vec<u8>>());
    let times = (any::<u32>(), proptest::option::of(1..86_399_u32));
    let rest = (prop_oneof![Just(0), any::<u32>()], any::<bool>(), 300..4000_usize);
    (any::<[u8; 32]>(), binding, format, compression, padding, times, rest).prop_map(
        |(secret, (name, context), format, compression, padding, (began, age), rest)| {
            // The prefixes that ask for attributes are tested elsewhere.
            let name = format!("x{name}");
            let (schema, ids, cookie_bytes) = rest;
            Settings {
                secret,
                name,
                context,
                format,
                compression,
                padding,
                schema,
                ids,
                cookie_bytes,
                began,
                age,
            }
        },
    )
}

impl Settings {
    /// Seals a session, opens it again, and tells of it in the form of `vectors/v1.json`.
    fn seal<T>(&self, name: String, session: &T, format: u8, body: impl Fn(&T) -> Vec<u8>) -> Value
    where
        T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug + 'static,
    {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let began = u64::from(self.began);
        // In as many cookies as these limits let it have.
        let (codec, text, mut set) = [self.cookie_bytes, 4000]
            .into_iter()
            .find_map(|most| {
                let (codec, text) = self.codec::<T>(most);
                let set = codec.renew_at(session, &codec.request([""]), at(began)).ok()?;
                Some((codec, text, set))
            })
            .unwrap();
        let mut sealed = began;
        if let Some(age) = self.age {
            sealed += u64::from(age);
            let cookies = pairs(&set);
            let request = codec.request([&header(&cookies)]).into_owned();
            // A touch, where one is due.
            let again = codec.encode_at(session, &request, at(sealed)).unwrap();
            if again.is_empty() { sealed = began } else { set = again }
        }
        let cookies = pairs(&set);
        let request = codec.request([&header(&cookies)]).into_owned();
        let opened = codec.decode_at(&request, at(sealed)).unwrap().unwrap();
        assert_eq!(
            (&opened.session, opened.began, opened.sealed, opened.schema),
            (session, at(began), at(sealed), self.schema)
        );
        json!({
            "name": name,
            "key": text,
            "cookie_name": self.name,
            "context": hex(&self.context),
            "cookies": cookies,
            "format": format,
            "began": began,
            "sealed": sealed,
            "schema": self.schema,
            "id": opened.id.map(|id| id.to_string()),
            "body": hex(&body(session)),
        })
    }

    fn codec<T>(&self, cookie_bytes: usize) -> (Codec<T>, String)
    where
        T: Serialize + DeserializeOwned + 'static,
    {
        let key = Key::from_bytes(self.secret).unwrap();
        let text = key.expose_text().to_string();
        let mut builder = Codec::builder(key)
            .name(self.name.clone())
            .context(self.context.clone())
            .format(self.format)
            .compression(self.compression)
            .padding(self.padding)
            .schema(self.schema)
            .limits(Limits::NGINX_PROXY_BUFFER_16K.cookie_bytes(cookie_bytes));
        if self.ids {
            builder = builder.session_ids();
        }
        (builder.build().unwrap(), text)
    }
}

fn pair(line: &str) -> (String, String) {
    let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
    (name.to_owned(), value.to_owned())
}

fn pairs(set: &sealed_session::SetCookies) -> BTreeMap<String, String> {
    set.values().map(pair).collect()
}

fn header(cookies: &BTreeMap<String, String>) -> String {
    cookies.iter().map(|(name, value)| format!("{name}={value};")).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

/// For the formats with names: any fields.
type Named = Any<BTreeMap<String, Part>>;
/// For those without.
type Positional = Any<(u32, Part, Vec<Part>, Option<i64>, bool)>;

/// As it is written: transparently.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Any<T>(T);

impl Arbitrary for Named {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        proptest::collection::btree_map("[a-z_]{1,12}", part(), 0..12).prop_map(Any).boxed()
    }
}

impl Arbitrary for Positional {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        let parts = proptest::collection::vec(part(), 0..8);
        (any::<u32>(), part(), parts, any::<Option<i64>>(), any::<bool>()).prop_map(Any).boxed()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Part {
    Text(String),
    Number(i64),
    List(Vec<String>),
    Pair(String, u8),
    Named { token: String, on: bool },
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![
        4 => string().prop_map(Part::Text),
        1 => any::<i64>().prop_map(Part::Number),
        1 => proptest::collection::vec("[a-z/ ]{0,20}", 0..20).prop_map(Part::List),
        1 => (string(), any::<u8>()).prop_map(|(text, n)| Part::Pair(text, n)),
        1 => (string(), any::<bool>()).prop_map(|(token, on)| Part::Named { token, on }),
    ]
}

/// Strings of each kind that packing treats in its own way.
fn string() -> impl Strategy<Value = String> {
    let token = "[A-Za-z0-9_-]{16,90}";
    let claims = r#"\{"alg":"RS256","typ":"JWT","kid":"[a-z0-9]{0,60}"\}"#;
    let encoded = claims.prop_map(|claims| {
        use base64::Engine;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims)
    });
    prop_oneof![
        ".{0,40}",
        token,
        (encoded, token).prop_map(|(claims, rest)| format!("{claims}.{rest}")),
        (".{1,9}", 1..20_usize).prop_map(|(text, n)| text.repeat(n)), // so that all fit
    ]
}
