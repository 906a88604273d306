//! The shapes of serde types that are hard to write and read again, and strings that packing knows.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use arbitrary::{Arbitrary, Unstructured};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize};

#[derive(Debug, Clone, Arbitrary, Serialize, Deserialize)]
pub enum Leaf {
    Float(f64),
    Single(f32),
    Signed(i128),
    Unsigned(u128),
    Char(char),
    Text(String),
    Address(IpAddr),
    Socket(SocketAddr),
    Unit(()),
    Option(Option<Option<u8>>),
    OptionOfUnit(Option<()>),
    ByNumber(BTreeMap<i64, String>),
    ByBool(BTreeMap<bool, Option<u8>>),
    ByChar(BTreeMap<char, u8>),
    ByVariant(BTreeMap<Key, u8>),
    ByPair(BTreeMap<(u8, u8), u8>),
    ByOption(BTreeMap<Option<u8>, u8>),
    ByLarge(BTreeMap<u128, u8>),
    List(Vec<Leaf>),
    Boxed(Box<Rich>),
}

#[derive(Debug, Clone, Arbitrary, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Key {
    Unit,
    Newtype(u8),
}

#[derive(Debug, Clone, Arbitrary, Serialize, Deserialize)]
pub struct Inner {
    value: Leaf,
    after: u8,
}

#[derive(Debug, Clone, Arbitrary, Serialize, Deserialize)]
pub enum Rich {
    Plain(Inner),
    Newtype(Transparent),
    Flattened {
        user: u64,
        #[serde(flatten)]
        inner: Inner,
    },
    FlattenedOption {
        user: u64,
        #[serde(flatten)]
        inner: Option<Inner>,
    },
    FlattenedMap {
        user: u64,
        #[serde(flatten)]
        rest: BTreeMap<String, Leaf>,
    },
    FlattenedEnum {
        user: u64,
        #[serde(flatten)]
        tagged: Tagged,
    },
    Tagged(Tagged),
    Beside(Beside),
    Untagged(Untagged),
    Skipping {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        first: Option<Leaf>,
        second: Option<u64>,
        on: bool,
        note: String,
    },
    Patch {
        #[serde(default, deserialize_with = "some", skip_serializing_if = "Option::is_none")]
        careful: Option<Option<u8>>,
        #[serde(default, deserialize_with = "some")]
        careless: Option<Option<u8>>,
    },
}

#[derive(Debug, Clone, Arbitrary, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Transparent(Option<Leaf>);

#[derive(Debug, Clone, Arbitrary, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Tagged {
    Unit,
    Struct { value: Leaf },
    Newtype(Inner),
}

#[derive(Debug, Clone, Arbitrary, Serialize, Deserialize)]
#[serde(tag = "kind", content = "content")]
pub enum Beside {
    Unit,
    Newtype(Leaf),
    Tuple(u8, Leaf),
    Struct { value: Leaf },
}

/// No variant looks like another one.
#[derive(Debug, Clone, Arbitrary, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Untagged {
    Struct { value: Leaf, only: u8 },
    Text(String),
    Number(i64),
    Bool(bool),
}

fn some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u8>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A string in one of the notations that packing stores as what they stand for, or nearly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spelled(String);

impl<'a> Arbitrary<'a> for Spelled {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let (kind, bytes): (u8, Vec<u8>) = u.arbitrary()?;
        let number =
            bytes.iter().fold(0_u64, |n, byte| n.wrapping_mul(257).wrapping_add((*byte).into()));
        let mut hex = bytes.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        let mut text = match kind % 9 {
            0 => URL_SAFE_NO_PAD.encode(&bytes),
            1 => STANDARD.encode(&bytes),
            2 => hex,
            3 => {
                hex.extend(std::iter::repeat_n('0', 32));
                [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..32]].join("-")
            }
            4 => number.to_string(),
            5 | 6 => {
                let [a, b, c] = [60, 3600, 100_000].map(|by| number / by);
                let (day, hour, minute, second) = (1 + c % 31, b % 24, a % 60, number % 60);
                let month = 1 + c / 31 % 12;
                let zone = if kind % 9 == 5 { "Z" } else { "+00:00" };
                let digits = ["", ".5", ".123", ".000001", ".123456789"][bytes.len() % 5];
                let year = 1969 + c / 400 % 9000;
                format!(
                    "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{digits}{zone}"
                )
            }
            7 => format!(
                "{0}.{0}.{1}",
                URL_SAFE_NO_PAD.encode(b"{\"alg\":\"RS256\"}"),
                URL_SAFE_NO_PAD.encode(&bytes)
            ),
            _ => format!("https://www.example.com/{hex}?q={number}"),
        };
        // Nearly.
        match kind / 9 {
            26 => text.push('='),
            27 => text.insert(0, '0'),
            28 => text.make_ascii_uppercase(),
            _ => {}
        }
        Ok(Self(text))
    }
}
