//! What is compressed, and that nothing can be learnt from it about another field.

use std::collections::BTreeMap;

use sealed_session::{Codec, Compression, Limits, Padding};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{at, noise, ring};

fn size<T: Serialize + DeserializeOwned + 'static>(session: &T, compression: Compression) -> usize {
    let codec = Codec::<T>::builder(ring())
        .compression(compression)
        .padding(Padding::DangerousNone) // the worst case: every byte is seen
        .limits(Limits::NGINX_PROXY_BUFFER_16K)
        .build()
        .unwrap();
    let set = codec.encode_at(session, &codec.request([""]), at(0)).unwrap();
    set.values().map(str::len).sum()
}

#[derive(Clone, Serialize, Deserialize)]
struct Flat {
    secret: String,
    written_by_user: String,
}

#[derive(Clone, Serialize, Deserialize)]
enum Tree {
    Leaf { inner: Flat, list: Vec<String> },
    Newtype(Option<Box<Flat>>),
    Tuple(u8, String, String),
}

#[derive(Clone, Serialize, Deserialize)]
struct Flattened {
    #[serde(flatten)]
    inner: Flat,
}

/// Whose tuples serde makes into sequences.
#[derive(Clone, Serialize, Deserialize)]
struct FlattenedTree {
    #[serde(flatten)]
    inner: Tree,
}

/// Holds that a guess tells nothing: beside the secret that it guesses it weighs what it weighs beside
/// another one of the same shape.
fn tells_nothing<T: Serialize + DeserializeOwned + 'static>(make: impl Fn(&str, &str) -> T) {
    let secret = "correct horse battery staple, and more of that kind";
    let other: String = secret.bytes().map(|c| char::from(c + 1)).collect();
    for compression in [Compression::Adaptive, Compression::Smallest] {
        for known in 1..=secret.len() {
            let guess = secret[..known].repeat(60 / known + 1);
            let [right, wrong] = [secret, &other].map(|s| size(&make(s, &guess), compression));
            assert_eq!(right, wrong, "{compression:?} tells {known} characters");
        }
    }
}

#[test]
fn no_guess_in_one_field_tells_of_another() {
    let flat = |secret: &str, guess: &str| Flat {
        secret: secret.to_owned(),
        written_by_user: guess.to_owned(),
    };
    tells_nothing(flat);
    tells_nothing(move |s, g| Tree::Leaf { inner: flat(s, g), list: vec![g.to_owned(); 3] });
    tells_nothing(move |s, g| Tree::Newtype(Some(Box::new(flat(s, g)))));
    tells_nothing(move |s, g| Flattened { inner: flat(s, g) });
    tells_nothing(|s, g| Tree::Tuple(7, s.to_owned(), g.to_owned()));
    tells_nothing(|s, g| FlattenedTree { inner: Tree::Tuple(7, s.to_owned(), g.to_owned()) });
    tells_nothing(move |s, g| FlattenedTree { inner: Tree::Newtype(Some(Box::new(flat(s, g)))) });
    tells_nothing(|s, g| (s.to_owned(), g.to_owned()));
    tells_nothing(|s, g| [g.to_owned(), s.to_owned()]);
    tells_nothing(|s, g| {
        BTreeMap::from([("a".to_owned(), s.to_owned()), ("b".to_owned(), g.to_owned())])
    });
}

#[test]
fn one_list_is_one_context_as_the_docs_say() {
    let secret = "correct horse battery staple";
    let list = |guess: &str| {
        size(
            &BTreeMap::from(
                [("l", vec![secret.to_owned(), guess.to_owned()])].map(|(k, v)| (k.to_owned(), v)),
            ),
            Compression::Smallest,
        )
    };
    assert!(list(secret) < list(&noise(secret.len())));
}

#[test]
fn tokens_and_repetitive_fields_get_smaller() {
    let map = |value: String| BTreeMap::from([("field".to_owned(), value)]);
    let off = |value: &str| size(&map(value.to_owned()), Compression::Off);
    let token = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY".repeat(4);
    // A quarter of the token, less the heads of its segments.
    assert!(off(&token) * 10 < off(&noise(token.len())) * 9);
    let repetitive = "shirt, size L; ".repeat(40);
    let adaptive = size(&map(repetitive.clone()), Compression::Adaptive);
    assert!(adaptive * 2 < off(&repetitive));
    let smallest = size(&map(repetitive), Compression::Smallest);
    assert!(smallest <= adaptive);
}

#[test]
fn lengths_are_hidden_in_steps() {
    let codec = Codec::<String>::new(ring());
    let len = |n| {
        let set = codec.encode_at(&noise(n), &codec.request([""]), at(0)).unwrap();
        set.values().next().unwrap().len()
    };
    let steps: std::collections::BTreeSet<_> = (1000..1100).map(len).collect();
    assert!(steps.len() <= 3, "{steps:?}");
}

#[test]
fn a_flattened_session_packs_like_a_plain_one() {
    #[derive(Clone, Serialize, Deserialize)]
    struct Plain {
        token: String,
        repetitive: String,
    }
    #[derive(Serialize, Deserialize)]
    struct Outer {
        #[serde(flatten)]
        inner: Inner,
        last: u8,
    }
    #[derive(Serialize, Deserialize)]
    struct Inner {
        #[serde(flatten)]
        plain: Plain,
    }
    let plain = Plain { token: "QUJD".repeat(40), repetitive: "size L; ".repeat(60) };
    let flat = Outer { inner: Inner { plain: plain.clone() }, last: 1 };
    let (flat_size, plain_size) =
        (size(&flat, Compression::Adaptive), size(&plain, Compression::Adaptive));
    assert!(flat_size < plain_size + 20, "{flat_size} and {plain_size}");
    let large =
        Outer { inner: Inner { plain: Plain { repetitive: noise(5000), ..plain } }, last: 1 };
    let codec = Codec::<Outer>::new(ring());
    let error = codec.encode_at(&large, &codec.request([""]), at(0)).unwrap_err();
    assert!(error.to_string().contains("repetitive 5014, token 168"), "{error}");
}
