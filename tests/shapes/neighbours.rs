//! What attributes of serde and hand-written code make of types, each with what becomes of it: also where it is the last
//! resort of the documentation.

use std::borrow::Cow;

use serde::ser::{SerializeMap, SerializeSeq, SerializeStruct, SerializeTupleStruct};
use serde_json::{Value, json};

use super::*;

use Outcome::{Equal, Refused, Wrong};

type Row = (&'static str, [Outcome; 4]);

fn row<T>(name: &'static str, session: &T) -> Row
where
    T: Serialize + DeserializeOwned + Debug + 'static,
{
    (name, FORMATS.map(|format| outcome(format, session)))
}

macro_rules! types {
    ($($item:item)*) => {$(
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        $item
    )*};
}

types! {
    struct Flat<A, B> {
        user: u8,
        #[serde(flatten)]
        a: A,
        #[serde(flatten)]
        b: B,
    }
    enum Choice {
        V(u8),
        W(u8),
    }
    struct One {
        x: u8,
    }
    struct Other {
        x: u8,
    }
    struct Empty {}
    #[serde(tag = "kind")]
    enum Tagged {
        Struct { value: u8 },
        Map(BTreeMap<String, Value>),
        #[serde(other)]
        Other,
    }
    #[serde(tag = "kind")]
    enum TaggedTwice {
        Inner(Tagged),
    }
    struct Swapped {
        #[serde(serialize_with = "swapped")]
        at: (f64, f64),
    }
    struct SwappedArray {
        #[serde(serialize_with = "swapped_array")]
        at: [u8; 2],
    }
    struct SwappedStruct(#[serde(serialize_with = "plus_one")] u8, u8);
    struct Reversed {
        #[serde(serialize_with = "reversed")]
        list: Vec<u8>,
    }
    struct Pairs {
        #[serde(with = "as_map")]
        pairs: Vec<(String, u8)>,
    }
    struct DoubleOption {
        #[serde(default, with = "double_option")]
        name: Option<Option<u8>>,
        after: u8,
    }
    struct CarefulDoubleOption {
        #[serde(default, with = "double_option", skip_serializing_if = "Option::is_none")]
        name: Option<Option<u8>>,
        after: u8,
    }
    struct Cancelling {
        plain: Option<Option<String>>,
        #[serde(default, deserialize_with = "some")]
        careless: Option<Option<String>>,
    }
    struct DefaultTrue {
        #[serde(default = "yes", skip_serializing_if = "std::ops::Not::not")]
        on: bool,
    }
    #[serde(default)]
    #[derive(Default)]
    struct Lacking {
        #[serde(skip_serializing_if = "Option::is_none")]
        a: Option<Option<u8>>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        b: Vec<u8>,
        #[serde(skip_serializing_if = "String::is_empty")]
        c: String,
    }
    enum Renamed {
        #[serde(rename(serialize = "b", deserialize = "a"))]
        A,
        #[serde(rename(serialize = "a", deserialize = "b"))]
        B,
    }
    #[serde(rename_all = "camelCase", rename_all_fields = "kebab-case")]
    enum RenamedAll {
        FirstOne { some_field: u8, other_field: Option<u8> },
        #[allow(dead_code, reason = "another one")]
        SecondOne,
    }
    #[derive(Eq, PartialOrd, Ord)]
    enum ByName {
        Unit,
        Newtype(u8),
        Struct { x: u8 },
    }
    #[derive(Eq, PartialOrd, Ord)]
    #[serde(untagged)]
    enum Loose {
        Number(u64),
        Bool(bool),
        Text(String),
    }
    #[serde(untagged)]
    enum Numbers {
        Signed(i64),
        Float(f64),
        Null,
    }
    enum NoFields {
        Tuple(),
        Struct {},
        Unit,
    }
    #[serde(remote = "std::ops::RangeInclusive<u8>")]
    struct Ends {
        #[serde(getter = "std::ops::RangeInclusive::start")]
        start: u8,
        #[serde(getter = "std::ops::RangeInclusive::end")]
        end: u8,
    }
    struct Remote {
        #[serde(with = "Ends")]
        range: std::ops::RangeInclusive<u8>,
        after: Option<u8>,
    }
    #[serde(deny_unknown_fields)]
    struct Denying {
        a: u8,
        #[serde(skip)]
        b: u8,
    }
    struct TwoSkipped(
        #[serde(default, skip_serializing_if = "Option::is_none")] Option<u8>,
        #[serde(default, skip_serializing_if = "Option::is_none")] Option<u8>,
    );
    struct SkippedByMore {
        #[serde(default = "five", skip_serializing_if = "is_usual")]
        n: u8,
    }
}

impl From<Ends> for std::ops::RangeInclusive<u8> {
    fn from(ends: Ends) -> Self {
        ends.start..=ends.end
    }
}

fn yes() -> bool {
    true
}

fn five() -> u8 {
    5
}

fn is_usual(n: &u8) -> bool {
    matches!(n, 0 | 5)
}

fn plus_one<S: Serializer>(n: &u8, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8(n + 1)
}

/// As longitude and latitude are, where only one side knows of it.
fn swapped<S: Serializer>((a, b): &(f64, f64), serializer: S) -> Result<S::Ok, S::Error> {
    (b, a).serialize(serializer)
}

fn swapped_array<S: Serializer>([a, b]: &[u8; 2], serializer: S) -> Result<S::Ok, S::Error> {
    [b, a].serialize(serializer)
}

fn reversed<S: Serializer>(list: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(list.iter().rev())
}

/// As `serde_with` has them: an ordered map, in which a key may stand twice.
mod as_map {
    use super::*;

    pub(super) fn serialize<S: Serializer>(
        pairs: &[(String, u8)],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(pairs.iter().map(|(key, value)| (key, value)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<(String, u8)>, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Vec<(String, u8)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// As `serde_with` has it: `None` is a unit, for which only the attribute that skips it has a use.
mod double_option {
    use super::*;

    pub(super) fn serialize<S: Serializer>(
        option: &Option<Option<u8>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match option {
            None => serializer.serialize_unit(),
            Some(option) => option.serialize(serializer),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Option<u8>>, D::Error> {
        Option::deserialize(deserializer).map(Some)
    }
}

/// A number by its bits, since a NaN is not equal to itself and `Debug` shows none of these.
#[derive(Clone)]
struct Bits<T>(T);

macro_rules! bits {
    ($($float:ident)*) => {$(
        impl Debug for Bits<$float> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:x}", self.0.to_bits())
            }
        }
    )*};
}

bits! { f32 f64 }

impl<T: Serialize> Serialize for Bits<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Bits<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}

/// What a type does that people should not see, or not in full.
#[derive(Debug, Clone, PartialEq)]
struct Redacted(String);

impl Serialize for Redacted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shown = if serializer.is_human_readable() { "***" } else { &self.0 };
        serializer.serialize_str(shown)
    }
}

impl<'de> Deserialize<'de> for Redacted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

macro_rules! by_hand {
    ($($name:ident($inner:ty): |$this:ident, $serializer:ident| $write:expr;)*) => {$(
        #[derive(Debug, Clone, Deserialize)]
        #[serde(transparent)]
        struct $name($inner);

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, $serializer: S) -> Result<S::Ok, S::Error> {
                let $this = self;
                $write
            }
        }
    )*};
}

by_hand! {
    StructThatLies(One): |this, serializer| {
        let mut parts = serializer.serialize_struct("One", 2)?;
        parts.serialize_field("x", &this.0.x)?;
        parts.end()
    };
    TupleThatLies((u8, u8)): |this, serializer| {
        let mut parts = serializer.serialize_tuple_struct("Pair", 3)?;
        parts.serialize_field(&this.0.0)?;
        parts.serialize_field(&this.0.1)?;
        parts.end()
    };
    KeyWithoutValue(BTreeMap<String, u8>): |this, serializer| {
        let mut map = serializer.serialize_map(Some(this.0.len()))?;
        map.serialize_key("a")?;
        map.serialize_key("b")?;
        map.serialize_value(&1)?;
        map.end()
    };
    ValueWithoutKey(BTreeMap<String, u8>): |this, serializer| {
        let mut map = serializer.serialize_map(Some(this.0.len()))?;
        map.serialize_value(&1)?;
        map.end()
    };
    UnknownLength(Vec<Vec<u8>>): |this, serializer| {
        let mut list = serializer.serialize_seq(None)?;
        this.0.iter().try_for_each(|inner| list.serialize_element(inner))?;
        list.end()
    };
}

fn flat<A, B>(a: A, b: B) -> Flat<A, B> {
    Flat { user: 1, a, b }
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> BTreeMap<String, Value> {
    entries.map(|(key, value)| (key.to_owned(), value)).into()
}

fn deep(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!([inner]))
}

/// The outcome in the two named formats, and in the positional ones.
fn in_named(named: Outcome, positional: Outcome) -> [Outcome; 4] {
    [named, named, positional, positional]
}

#[test]
fn neighbours_of_what_was_wrong_once_come_back_or_are_refused() {
    let always = |outcome| in_named(outcome, outcome);
    let named = |outcome| in_named(outcome, Refused);
    let none = || BTreeMap::<String, Value>::new();
    let not_in_json = [Equal, Refused, Equal, Equal];
    #[rustfmt::skip]
    let rows = [
        // What is read in another order.
        (row("a swapped tuple", &Swapped { at: (1.5, 2.5) }), always(Refused)),
        (row("a swapped array", &SwappedArray { at: [1, 2] }), always(Refused)),
        (row("a tuple struct that looks swapped", &SwappedStruct(1, 1)), always(Refused)),
        (row("an ordered map", &Pairs { pairs: vec![("b".into(), 1), ("a".into(), 2)] }), always(Equal)),
        (row("a key twice", &Pairs { pairs: vec![("a".into(), 1), ("a".into(), 2)] }), always(Equal)),
        // Nulls.
        (row("a unit for None", &DoubleOption { name: None, after: 7 }), always(Refused)),
        (row("a null for Some(None)", &DoubleOption { name: Some(None), after: 7 }), always(Equal)),
        (row("a unit that is skipped", &CarefulDoubleOption { name: None, after: 7 }), named(Equal)),
        (row("nulls that cancel out", &Cancelling { plain: Some(None), careless: None }), always(Refused)),
        (row("an untagged null", &Numbers::Null), named(Equal)),
        (row("a null of JSON", &json!([null, { "a": null }])), named(Equal)),
        (row("strings as marks", &[Some("\u{7f}tuple"), Some("\u{7f}none in 1"), None].map(|s| s.map(str::to_owned))), always(Equal)),
        // Fields that are left out.
        (row("false, of which the default is true", &DefaultTrue { on: false }), always(Refused)),
        (row("true, of which the default is true", &DefaultTrue { on: true }), always(Equal)),
        (row("all skipped", &Lacking::default()), named(Equal)),
        (row("nothing skipped", &Lacking { a: Some(Some(1)), b: vec![1], c: "c".into() }), always(Equal)),
        (row("a null that is not skipped", &Lacking { a: Some(None), ..Lacking::default() }), named(Refused)),
        // Flattened twice, with what the other one has.
        (row("two structs", &flat(json!({ "a": 1 }), none())), named(Refused)),
        (row("a struct and a map", &flat(One { x: 1 }, map([("y", json!(null))]))), named(Equal)),
        (row("a struct and its field in a map", &flat(One { x: 1 }, map([("x", json!(2))]))), named(Refused)),
        (row("the outer field in a map", &flat(One { x: 1 }, map([("user", json!(2))]))), named(Refused)),
        (row("an enum and a map", &flat(Choice::V(1), map([("a", json!(2))]))), named(Equal)),
        (row("an enum and its variant in a map", &flat(Choice::V(1), map([("V", json!(2))]))), named(Equal)),
        (row("an enum and a variant in a map", &flat(Choice::V(1), map([("W", json!(2))]))), named(Equal)),
        (row("a map with a variant and an enum", &flat(map([("V", json!(1))]), Choice::V(2))), named(Refused)),
        (row("a tag in a map", &flat(map([("kind", json!("Other"))]), Tagged::Struct { value: 1 })), named(Refused)),
        (row("a tag and a map with it", &flat(Tagged::Struct { value: 1 }, map([("kind", json!("Other"))]))), named(Refused)),
        (row("a tagged map", &Tagged::Map(map([("a", json!(1))]))), named(Equal)),
        (row("a tagged map with the tag", &Tagged::Map(map([("kind", json!("Other"))]))), named(Refused)),
        (row("any other variant", &Tagged::Other), named(Equal)),
        (row("a tag twice", &TaggedTwice::Inner(Tagged::Struct { value: 1 })), named(Refused)),
        // Names.
        (row("names that read as another's", &Renamed::A), in_named(Refused, Equal)),
        (row("names of all kinds", &RenamedAll::FirstOne { some_field: 1, other_field: None }), always(Equal)),
        (row("no unknown field", &Denying { a: 1, b: 0 }), always(Equal)),
        // Keys of maps.
        (row("unit keys", &BTreeMap::from([(ByName::Unit, 1)])), always(Equal)),
        (row("newtype keys", &BTreeMap::from([(ByName::Newtype(1), 1)])), not_in_json),
        (row("struct keys", &BTreeMap::from([(ByName::Struct { x: 1 }, 1)])), not_in_json),
        (row("keys that are there", &BTreeMap::from([(Some("a".to_owned()), 1)])), always(Equal)),
        (row("keys that lack", &BTreeMap::from([(None::<String>, 1)])), not_in_json),
        (row("keys of any kind", &BTreeMap::from([(Loose::Number(1), 1), (Loose::Text("1".into()), 2)])), [Equal, Refused, Refused, Refused]),
        // Numbers.
        (row("a NaN with a payload", &Bits(f64::from_bits(0x7ff4_0000_0000_beef))), not_in_json),
        (row("a NaN of 32 bits", &Bits(f32::from_bits(0x7fa0_1234))), not_in_json),
        (row("minus zero", &Bits(-0.0_f32)), always(Equal)),
        (row("the least number", &Bits(f64::from_bits(1))), always(Equal)),
        (row("the largest number", &Bits(f64::MAX)), always(Equal)),
        (row("the least number of 32 bits, of many", &vec![Bits(f32::from_bits(1)); 3]), always(Equal)),
        (row("a whole float", &Numbers::Float(1.0)), named(Equal)),
        (row("an integer", &Numbers::Signed(i64::MIN)), named(Equal)),
        // Code that lies.
        (row("a struct that lies", &StructThatLies(One { x: 1 })), always(Refused)),
        (row("a tuple that lies", &TupleThatLies((1, 2))), always(Refused)),
        (row("a key without a value", &KeyWithoutValue([("b".to_owned(), 1)].into())), always(Refused)),
        (row("a value without a key", &ValueWithoutKey([("b".to_owned(), 1)].into())), always(Refused)),
        (row("a list of unknown length", &UnknownLength(vec![vec![], vec![1, 2]])), named(Equal)),
        // What has no content.
        (row("no fields", &[NoFields::Tuple(), NoFields::Struct {}, NoFields::Unit]), always(Equal)),
        (row("no fields, each in Some", &(Some(NoFields::Tuple()), Some(Empty {}), Some([0_u8; 0]))), always(Equal)),
        (row("a flattened unit", &flat((), Empty {})), named(Equal)),
        (row("results of nothing", &(Ok::<(), ()>(()), Err::<(), ()>(()))), always(Equal)),
        // Others.
        (row("a type of another crate", &Remote { range: 1..=3, after: None }), always(Equal)),
        (row("a text that may be borrowed", &Cow::Borrowed("a")), always(Equal)),
        (row("120 lists", &deep(120)), named(Equal)),
        (row("200 lists", &deep(200)), named(Refused)),
        (row("120 lists in a struct that is flattened", &flat(map([("a", deep(120))]), Empty {})), named(Equal)),
    ];
    let wrong: Vec<_> = rows.iter().filter(|((_, found), expected)| found != expected).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// What is written alike cannot be told apart. The documentation of `Format` lists it, and this holds it to that.
#[test]
fn what_the_documentation_lists_comes_back_as_another_value() {
    let named = |outcome| in_named(outcome, Refused);
    let always = |outcome| in_named(outcome, outcome);
    let nothing = || None::<Empty>;
    #[rustfmt::skip]
    let rows = [
        (row("a number as a key that may be text", &BTreeMap::from([(Loose::Number(1), 1)])), [Equal, Wrong, Refused, Refused]),
        (row("a bool as a key that may be text", &BTreeMap::from([(Loose::Bool(true), 1)])), [Equal, Wrong, Refused, Refused]),
        (row("Some of null as a key", &BTreeMap::from([(Some(None::<u8>), 1)])), [Wrong, Refused, Equal, Equal]),
        (row("None, of what may be empty", &flat(nothing(), nothing())), named(Wrong)),
        (row("None, of a map", &flat(None::<BTreeMap<String, u8>>, Empty {})), named(Wrong)),
        (row("the second of two that look alike", &flat(None::<One>, Some(Other { x: 1 }))), named(Wrong)),
        (row("what is skipped and no default", &SkippedByMore { n: 0 }), in_named(Wrong, Refused)),
        (row("what is skipped in a tuple struct", &TwoSkipped(None, Some(7))), named(Wrong)),
        (row("a field that is not sealed", &Denying { a: 1, b: 7 }), always(Wrong)),
        (row("a list in reverse", &Reversed { list: vec![1, 2] }), always(Wrong)),
        (row("what people may not see", &Redacted("secret".into())), in_named(Wrong, Equal)),
    ];
    let wrong: Vec<_> = rows.iter().filter(|((_, found), expected)| found != expected).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// Seals a session, and then a change of it.
fn changed<T>(format: Format, from: &T, to: &T, known: bool) -> Outcome
where
    T: Serialize + DeserializeOwned + PartialEq + 'static,
{
    let key = Key::from_bytes(*b"this key is public, never use it").unwrap();
    let codec = Codec::<T>::builder(key).format(format).schema(1).build().unwrap();
    let first = codec.renew_at(from, &codec.request([""]), at(0)).unwrap();
    let pairs = |set: &sealed_session::SetCookies| -> Vec<_> {
        set.values().filter_map(|line| line.split(';').next()).map(str::to_owned).collect()
    };
    let jar = pairs(&first);
    let request = codec.request(&jar);
    let written = match known {
        true => codec.encode_changed_at(to, &request, at(1)),
        false => codec.encode_at(to, &request, at(1)),
    };
    let Ok(written) = written else { return Refused };
    let jar = if written.is_empty() { jar } else { pairs(&written) };
    let opened = codec.decode_at(&codec.request(&jar), at(2)).unwrap().unwrap();
    if opened.session == *to { Equal } else { Wrong }
}

#[test]
fn a_change_is_written_though_little_tells_of_it() {
    let some = |text: &str| Some(Some(text.to_owned()));
    let patch = |name| Patch { name, after: 7 };
    for format in FORMATS {
        let is_named = matches!(format, Format::MessagePack | Format::Json);
        for known in [false, true] {
            let careless = |name| DoubleOption { name, after: 7 };
            let mark = "\u{7f}none in 1";
            let pairs = |a, b| Pairs { pairs: vec![("a".into(), a), ("a".into(), b)] };
            let found = [
                changed(format, &(1, 2), &(2, 1), known),
                changed(format, &vec![1, 2], &vec![2, 1], known),
                changed(format, &pairs(1, 2), &pairs(2, 1), known),
                if is_named {
                    changed(format, &patch(some(mark)), &patch(Some(None)), known)
                } else {
                    // For people it is the same.
                    let redacted = |text: &str| Redacted(text.to_owned());
                    changed(format, &redacted("one"), &redacted("two"), known)
                },
            ];
            assert_eq!(found, [Equal; 4], "{format}");
            if is_named {
                // What has the bytes of the client's session is not that session yet.
                let found = changed(format, &careless(Some(None)), &careless(None), known);
                assert_eq!(found, Refused, "{format}");
                let careless = |name| CarelessPatch { name, after: 7 };
                let found = changed(format, &careless(Some(None)), &careless(None), known);
                assert_eq!(found, Refused, "{format}");
            }
        }
    }
}
