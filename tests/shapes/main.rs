//! The universe of shapes that serde types have, in each format: what is sealed comes back equal, or is refused at once.
//!
//! Some 50 values stand in each of 25 containers. `cargo test --all-features --test shapes -- --nocapture` prints the table.
//! What attributes and hand-written code make of types is in `neighbours`.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod neighbours;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Debug};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU64;
use std::ops::Bound;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use sealed_session::{Codec, EncodeError, Format, Key, Limits};
use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Plain {
    value: Leaf,
    after: u8,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Newtype(Leaf);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Tuple(u8, Leaf, String);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Skipping {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first: Option<Leaf>,
    second: Option<u64>,
    on: bool,
    note: String,
}

/// Its element is left out without a word to the serializer.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct SkippingTuple(
    #[serde(default, skip_serializing_if = "Option::is_none")] Option<Leaf>,
    #[serde(default)] Option<u64>,
    #[serde(default)] String,
);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Flattened {
    user: u64,
    #[serde(flatten)]
    inner: Plain,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct FlattenedOption {
    user: u64,
    #[serde(flatten)]
    inner: Option<Plain>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct FlattenedTwice {
    #[serde(flatten)]
    inner: Flattened,
    last: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct FlattenedMap {
    user: u64,
    #[serde(flatten)]
    rest: BTreeMap<String, Leaf>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum External {
    Newtype(Leaf),
    Struct { value: Leaf },
    Tuple(u8, Leaf),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Internal {
    Struct { value: Leaf },
    Newtype(Plain),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", content = "content")]
enum Adjacent {
    Newtype(Leaf),
    Struct { value: Leaf },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Struct {
        value: Leaf,
        only: u8,
    },
    #[allow(dead_code, reason = "what is read could be this one")]
    Other {
        note: String,
    },
}

/// What a type does that is one thing for people and another for machines: a UUID, say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Id([u8; 16]);

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(&format_args!("{:032x}", u128::from_be_bytes(self.0)))
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            let number = u128::from_str_radix(&text, 16).map_err(de::Error::custom)?;
            Ok(Self(number.to_be_bytes()))
        } else {
            Bytes::deserialize(deserializer)?
                .0
                .try_into()
                .map(Self)
                .map_err(|_| de::Error::custom("length"))
        }
    }
}

/// As `serde_bytes` has them.
#[derive(Debug, Clone)]
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Bytes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Bytes, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = seq.next_element()? {
                    bytes.push(byte);
                }
                Ok(Bytes(bytes))
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

/// A map that says that it has another length than it has.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
struct Liar(BTreeMap<String, u8>);

impl Serialize for Liar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(Some(self.0.len() + 1))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// A map that does not say how long it is, and grows each time it is looked at.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
struct Growing(BTreeMap<u8, u8>);

impl Serialize for Growing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use std::cell::Cell;

        use serde::ser::SerializeMap;
        thread_local! { static LOOKS: Cell<u8> = const { Cell::new(0) } }
        LOOKS.set(LOOKS.get().wrapping_add(1) % 100);
        let mut map = serializer.serialize_map(None)?;
        for n in (0..LOOKS.get()).chain(self.0.keys().copied()) {
            map.serialize_entry(&n, &n)?;
        }
        map.end()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Unit {
    One,
    Two,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Equal,
    Refused,
    Wrong,
    Unreadable,
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_763_996_400 + seconds)
}

/// A value of any type. What is read is of the type that was sealed last: so each container need be compiled once.
macro_rules! leaves {
    ($($variant:ident($type:ty)),* $(,)?) => {
        #[derive(Debug, Clone)]
        enum Leaf { $($variant($type)),* }

        #[derive(Debug, Clone, Copy)]
        enum Kind { $($variant),* }

        $(impl From<$type> for Leaf {
            fn from(value: $type) -> Self { Self::$variant(value) }
        })*

        impl Leaf {
            fn kind(&self) -> Kind {
                match self { $(Self::$variant(_) => Kind::$variant),* }
            }
        }

        impl Serialize for Leaf {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self { $(Self::$variant(value) => value.serialize(serializer)),* }
            }
        }

        impl<'de> Deserialize<'de> for Leaf {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                match KIND.get() {
                    $(Kind::$variant => <$type>::deserialize(deserializer).map(Self::$variant)),*
                }
            }
        }
    };
}

leaves! {
    Bool(bool), I8(i8), I64(i64), U64(u64), I128(i128), U128(u128), F32(f32), F64(f64), Char(char), Text(String),
    Unit(()), Address(IpAddr), Socket(SocketAddr), ForPeople(Id), Duration(Duration), Time(SystemTime), Path(PathBuf),
    NonZero(NonZeroU64), Bounded(Bound<u8>), Either(Result<u8, String>), Range(std::ops::Range<u8>), Array([u8; 3]),
    Array32([u8; 32]), ByteList(Vec<u8>), Raw(Bytes), Pair((u8, String)), Texts(Vec<String>), Ids(Vec<Id>),
    Set(BTreeSet<String>), ByNumber(BTreeMap<u64, u8>), ByBool(BTreeMap<bool, u8>), ByChar(BTreeMap<char, u8>),
    ByVariant(BTreeMap<Unit, u8>), ById(BTreeMap<Id, u8>), ByPair(BTreeMap<(u8, u8), u8>), ByLarge(BTreeMap<i128, u8>),
    ByText(BTreeMap<String, u8>), Option(Option<u8>), Options(Option<Option<u8>>), OptionOfUnit(Option<()>),
    Variant(Unit), Lying(Liar), Changing(Growing), Anything(Any),
}

thread_local! {
    static KIND: std::cell::Cell<Kind> = const { std::cell::Cell::new(Kind::Bool) };
}

/// What becomes of a session. It is compared by what `Debug` shows, since a NaN is not equal to itself.
fn outcome<T>(format: Format, session: &T) -> Outcome
where
    T: Serialize + DeserializeOwned + Debug + 'static,
{
    let key = Key::from_bytes(*b"this key is public, never use it").unwrap();
    let codec = Codec::<T>::builder(key).format(format).schema(1);
    let codec = codec.limits(Limits::NGINX_PROXY_BUFFER_16K).build().unwrap();
    let set = match codec.renew_at(session, &codec.request([""]), at(0)) {
        Ok(set) => set,
        Err(EncodeError::Serialize(_)) => return Outcome::Refused,
        Err(error) => unreachable!("{error}: {session:?}"),
    };
    let pairs: Vec<_> = set.values().filter_map(|line| line.split(';').next()).collect();
    match codec.decode_at(&codec.request(pairs), at(1)) {
        Ok(Some(opened)) if format!("{:?}", opened.session) == format!("{session:?}") => {
            Outcome::Equal
        }
        Ok(Some(_)) => Outcome::Wrong,
        Ok(None) | Err(_) => Outcome::Unreadable,
    }
}

const FORMATS: [Format; 4] = [Format::MessagePack, Format::Json, Format::Postcard, Format::Bincode];

#[derive(Default)]
struct Table {
    rows: Vec<(String, [Outcome; 4])>,
}

impl Table {
    fn row<T>(&mut self, name: String, session: &T)
    where
        T: Serialize + DeserializeOwned + Debug + 'static,
    {
        self.rows.push((name, FORMATS.map(|format| outcome(format, session))));
    }

    /// Puts a value into each container.
    fn value(&mut self, name: &str, value: impl Into<Leaf>) {
        let value = value.into();
        KIND.set(value.kind());
        let v = || value.clone();
        let plain = || Plain { value: v(), after: 7 };
        let mut row = |container: &str, session: &dyn Fn(&mut Self, String)| {
            session(self, format!("{container} of {name}"));
        };
        macro_rules! rows {
            ($($container:literal: $session:expr;)*) => {$(
                row($container, &|table, name| table.row(name, &$session));
            )*};
        }
        rows! {
            "the session": v();
            "a struct": plain();
            "a newtype": Newtype(v());
            "a tuple": Tuple(7, v(), "\0\0".into());
            "an option": Some(v());
            "a list": vec![v(), v()];
            "a map": BTreeMap::from([("a".to_owned(), v())]);
            "a field that may be skipped": Skipping {
                first: Some(v()), second: Some(7), on: true, note: "\0\0".into(),
            };
            "a field that is skipped": Skipping {
                first: None, second: Some(7), on: true, note: "\0\0".into(),
            };
            "an element that may be skipped": SkippingTuple(Some(v()), Some(7), "\0\0".into());
            "an element that is skipped": SkippingTuple(None, Some(7), "\0\0".into());
            "a flattened struct": Flattened { user: 7, inner: plain() };
            "a flattened struct that may lack": FlattenedOption { user: 7, inner: Some(plain()) };
            "a flattened struct that lacks": FlattenedOption { user: 7, inner: None };
            "a struct flattened twice": FlattenedTwice {
                inner: Flattened { user: 7, inner: plain() }, last: "x".into(),
            };
            "a flattened map": FlattenedMap {
                user: 7, rest: BTreeMap::from([("a".to_owned(), v()), ("b".to_owned(), v())]),
            };
            "a flattened map that hides a field": FlattenedMap {
                user: 7, rest: BTreeMap::from([("user".to_owned(), v())]),
            };
            "an enum": External::Newtype(v());
            "a struct of an enum": External::Struct { value: v() };
            "a tuple of an enum": External::Tuple(1, v());
            "a tagged enum": Internal::Struct { value: v() };
            "a tagged enum of a struct": Internal::Newtype(plain());
            "an enum tagged beside": Adjacent::Newtype(v());
            "a struct tagged beside": Adjacent::Struct { value: v() };
            "an untagged enum": Untagged::Struct { value: v(), only: 1 };
        }
    }
}

fn universe() -> Table {
    let mut table = Table::default();
    table.value("true", true);
    table.value("i8", i8::MIN);
    table.value("i64", i64::MIN);
    table.value("u64", u64::MAX);
    table.value("a small i128", -1_i128);
    table.value("i128", i128::MIN);
    table.value("a small u128", 1_u128);
    table.value("u128", u128::MAX);
    table.value("f32", 0.1_f32);
    table.value("f64", 0.1_f64);
    table.value("a whole f64", 1.0_f64);
    table.value("NaN", f64::NAN);
    table.value("an infinite f32", f32::INFINITY);
    table.value("minus 0", -0.0_f64);
    table.value("char", '\u{10ffff}');
    table.value("a string", "a \"string\"\n".to_owned());
    table.value("a token", "AAECAwQFBgcICQoLDA0ODw".to_owned());
    table.value("a time as text", "2025-11-24T15:00:00.123Z".to_owned());
    table.value("unit", ());
    table.value("an address", IpAddr::from([10, 0, 0, 1]));
    table.value("an IPv6 address", IpAddr::from([7_u16; 8]));
    table.value("a socket address", SocketAddr::from(([10, 0, 0, 1], 443)));
    table.value("an id for people or machines", Id([7; 16]));
    table.value("a duration", Duration::from_nanos(1_234_567_890_123));
    table.value("a system time", at(7));
    table.value("a path", PathBuf::from("/tmp/a"));
    table.value("a number that is not 0", NonZeroU64::MIN);
    table.value("a bound", Bound::Included(7_u8));
    table.value("a result", Err::<u8, String>("no".into()));
    table.value("a range", 1_u8..7);
    table.value("an array", [1_u8, 2, 3]);
    table.value("an array of 32 bytes", [0xa5_u8; 32]);
    table.value("a list of bytes", vec![0xa5_u8; 40]);
    table.value("bytes", Bytes(vec![0xa5; 40]));
    table.value("a pair", (1_u8, "a".to_owned()));
    table.value("an empty list", Vec::<String>::new());
    table.value("a list of ids", vec![Id([7; 16]); 5]);
    table.value("a set", BTreeSet::from(["a".to_owned(), "b".to_owned()]));
    table.value("a map by numbers", BTreeMap::from([(1_u64, 2_u8), (300, 4)]));
    table.value("a map by bools", BTreeMap::from([(true, 1_u8)]));
    table.value("a map by chars", BTreeMap::from([('a', 1_u8)]));
    table.value("a map by variants", BTreeMap::from([(Unit::One, 1_u8), (Unit::Two, 2)]));
    table.value("a map by ids", BTreeMap::from([(Id([7; 16]), 1_u8)]));
    table.value("a map by pairs", BTreeMap::from([((1_u8, 2_u8), 3_u8)]));
    table.value("a map by i128", BTreeMap::from([(i128::MAX, 1_u8)]));
    table.value("an empty map", BTreeMap::<String, u8>::new());
    table.value("Some", Some(7_u8));
    table.value("None", None::<u8>);
    table.value("Some of None", Some(None::<u8>));
    table.value("Some of unit", Some(()));
    table.value("a variant", Unit::Two);
    table.value("a map that lies", Liar([("a".to_owned(), 1)].into()));
    table
}

#[test]
fn each_shape_comes_back_equal_or_is_refused_at_once() {
    let table = universe();
    println!("| | ok | refused | wrong | unreadable |\n|---|--:|--:|--:|--:|");
    for (i, format) in FORMATS.iter().enumerate() {
        let count =
            |outcome| table.rows.iter().filter(|(_, found)| found.get(i) == Some(&outcome)).count();
        let [ok, refused] = [Outcome::Equal, Outcome::Refused].map(count);
        let [wrong, unreadable] = [Outcome::Wrong, Outcome::Unreadable].map(count);
        println!("| {format} | {ok} | {refused} | {wrong} | {unreadable} |");
    }
    let mut faults = Vec::new();
    for (name, outcomes) in &table.rows {
        for (format, outcome) in FORMATS.iter().zip(outcomes) {
            if matches!(outcome, Outcome::Wrong | Outcome::Unreadable) {
                faults.push(format!("{format}: {name}: {outcome:?}"));
            }
        }
    }
    println!("{} shapes in {} formats", table.rows.len(), FORMATS.len());
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    // Refusing all would be safe too.
    let equal = |format: usize| {
        table.rows.iter().filter(|(_, found)| found.get(format) == Some(&Outcome::Equal)).count()
    };
    assert!(equal(0) * 100 >= table.rows.len() * 80, "{} in the default format", equal(0));
}

/// Anything that a session may hold.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Any {
    Float(f64),
    Single(f32),
    Large(i128),
    Unsigned(u128),
    Text(String),
    Id(Id8),
    Address(IpAddr),
    Map(BTreeMap<u64, String>),
    Flags(BTreeMap<bool, Option<u8>>),
    List(Vec<Any>),
    Letters(BTreeMap<char, u128>),
    Pairs(BTreeMap<(u8, bool), f32>),
    Variants(BTreeMap<Unit, Option<Option<u8>>>),
    Socket(SocketAddr),
    Unit(Option<()>),
    Boxed(Option<Box<Any>>),
    Tuple(u8, Option<bool>),
    Named { char: char, bytes: Vec<u8>, option: Option<String> },
}

/// So that `Any` can be made of it.
type Id8 = (u64, bool);

fn any_value() -> impl Strategy<Value = Any> {
    let leaf = prop_oneof![
        any::<f64>().prop_map(Any::Float),
        prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(-0.0)].prop_map(Any::Float),
        any::<f32>().prop_map(Any::Single),
        any::<i128>().prop_map(Any::Large),
        prop_oneof![
            ".{0,40}",
            "[0-9a-f]{16,64}",
            "[A-Za-z0-9_-]{16,64}",
            "[0-9]{12,21}",
            "[A-Za-z0-9+/]{16,62}=="
        ]
        .prop_map(Any::Text),
        any::<Id8>().prop_map(Any::Id),
        any::<u128>().prop_map(Any::Unsigned),
        any::<IpAddr>().prop_map(Any::Address),
        any::<SocketAddr>().prop_map(Any::Socket),
        any::<Option<()>>().prop_map(Any::Unit),
        any::<(u8, Option<bool>)>().prop_map(|(a, b)| Any::Tuple(a, b)),
        proptest::collection::btree_map(any::<char>(), any::<u128>(), 0..3).prop_map(Any::Letters),
        proptest::collection::btree_map(any::<(u8, bool)>(), any::<f32>(), 0..3)
            .prop_map(Any::Pairs),
        proptest::collection::btree_map(
            prop_oneof![Just(Unit::One), Just(Unit::Two)],
            any::<Option<Option<u8>>>(),
            0..2
        )
        .prop_map(Any::Variants),
        proptest::collection::btree_map(any::<u64>(), ".{0,9}", 0..4).prop_map(Any::Map),
        proptest::collection::btree_map(any::<bool>(), any::<Option<u8>>(), 0..2)
            .prop_map(Any::Flags),
        (any::<char>(), any::<Vec<u8>>(), any::<Option<String>>())
            .prop_map(|(char, bytes, option)| Any::Named { char, bytes, option }),
    ];
    leaf.prop_recursive(3, 20, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Any::List),
            proptest::option::of(inner).prop_map(|any| Any::Boxed(any.map(Box::new))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_sealed_opens_equal(value in any_value()) {
        let mut table = Table::default();
        table.value("any", value.clone());
        for (name, outcomes) in table.rows {
            for (format, outcome) in FORMATS.iter().zip(outcomes) {
                prop_assert!(
                    matches!(outcome, Outcome::Equal | Outcome::Refused),
                    "{}: {}: {:?}: {:?}", format, name, outcome, value
                );
            }
        }
    }
}

/// As applications tell "set it to nothing" from "leave it": the type reads `Some(None)` by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Patch {
    #[serde(default, deserialize_with = "some", skip_serializing_if = "Option::is_none")]
    name: Option<Option<String>>,
    after: u8,
}

/// Without the attribute that leaves out what is not set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct CarelessPatch {
    #[serde(default, deserialize_with = "some")]
    name: Option<Option<String>>,
    after: u8,
}

fn some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Marker;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Wrapped<T>(T);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum UnitOrNumber {
    Number(u8),
    Unit,
}

#[test]
fn some_of_what_is_null_comes_back_or_is_refused() {
    use Outcome::{Equal, Refused};
    let texts = |n: usize| vec!["a text of a list".to_owned(); n];
    for format in [Format::MessagePack, Format::Json] {
        let json = |other| if format == Format::Json { Refused } else { other };
        for name in [None, Some(None), Some(Some("jane".to_owned()))] {
            assert_eq!(outcome(format, &Patch { name, after: 7 }), Equal, "{format}");
        }
        let careless = |name| outcome(format, &CarelessPatch { name, after: 7 });
        assert_eq!(careless(None), Refused, "{format}: is read as Some(None)");
        assert_eq!(careless(Some(None)), Equal, "{format}");

        assert_eq!(outcome(format, &(None::<()>, None::<Option<u8>>, ())), Equal, "{format}");
        assert_eq!(outcome(format, &Some(Some(7_u8))), Equal, "{format}");
        assert_eq!(outcome(format, &Some((None::<u8>, 7))), Equal, "{format}: not itself a null");
        assert_eq!(outcome(format, &Some(vec![None::<u8>])), Equal, "{format}: nor this");
        assert_eq!(outcome(format, &Some(Unit::One)), Equal, "{format}: nor a variant");
        assert_eq!(outcome(format, &(texts(3), Some(texts(2)))), Equal, "{format}");
        // A unit struct is a null in JSON alone.
        assert_eq!(outcome(format, &Some(Marker)), json(Equal), "{format}");
        assert_eq!(outcome(format, &Some(())), Refused, "{format}");
        assert_eq!(outcome(format, &vec![Some(None), None::<Option<u8>>]), Refused, "{format}");
        let cancelling = (Some(None::<u8>), None::<Option<u8>>, None::<()>, Some(()));
        assert_eq!(outcome(format, &cancelling), Refused, "{format}");
        assert_eq!(outcome(format, &Some(Wrapped(None::<u8>))), Refused, "{format}");
        assert_eq!(outcome(format, &Some(Wrapped(Wrapped(())))), Refused, "{format}");
        assert_eq!(outcome(format, &Some(Some(None::<u8>))), Refused, "{format}");
        assert_eq!(outcome(format, &Some(UnitOrNumber::Unit)), Refused, "{format}");
        assert_eq!(outcome(format, &Some(UnitOrNumber::Number(7))), Equal, "{format}");
        assert_eq!(outcome(format, &Some(serde_json::Value::Null)), Refused, "{format}");
        let map = BTreeMap::from([("a".to_owned(), Some(serde_json::Value::Null))]);
        assert_eq!(outcome(format, &FlattenedAny { user: 7, rest: map }), Refused, "{format}");
    }
    for format in [Format::Postcard, Format::Bincode] {
        assert_eq!(outcome(format, &(Some(()), Some(None::<u8>), Some(Marker))), Equal, "{format}");
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct FlattenedAny {
    user: u64,
    #[serde(flatten)]
    rest: BTreeMap<String, Option<serde_json::Value>>,
}

/// What has the bytes of the client's session is not that session yet.
#[test]
fn a_null_that_is_put_into_some_is_refused_though_no_byte_changes() {
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Session {
        user: u64,
        nested: Option<Option<u8>>,
    }
    for format in FORMATS {
        let key = Key::from_bytes(*b"this key is public, never use it").unwrap();
        let codec = Codec::<Session>::builder(key).format(format).schema(1).build().unwrap();
        let sealed = |nested| Session { user: 7, nested };
        let set = codec.renew_at(&sealed(None), &codec.request([""]), at(0)).unwrap();
        let pairs: Vec<_> = set.values().filter_map(|line| line.split(';').next()).collect();
        let request = codec.request(pairs);
        let positional = matches!(format, Format::Postcard | Format::Bincode);
        for changed in [false, true] {
            let encode = |session: &Session| match changed {
                false => codec.encode_at(session, &request, at(1)),
                true => codec.encode_changed_at(session, &request, at(1)),
            };
            assert!(encode(&sealed(None)).unwrap().is_empty(), "{format}");
            match encode(&sealed(Some(None))) {
                Ok(set) => assert!(positional && !set.is_empty(), "{format}"),
                Err(error) => {
                    assert!(!positional, "{format}");
                    let why = std::error::Error::source(&error).unwrap().to_string();
                    assert!(why.ends_with("which differs in `nested`"), "{why}");
                }
            }
        }
    }
}

#[test]
fn a_map_that_is_another_each_time_is_refused_or_comes_back() {
    for format in FORMATS {
        KIND.set(Kind::Changing);
        let found = outcome(format, &Plain { value: Growing::default().into(), after: 7 });
        assert_eq!(found, Outcome::Refused, "{format}");
    }
}
