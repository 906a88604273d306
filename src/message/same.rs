//! Sameness: whether two serialized sessions differ in more than the order in which their maps stand, and where.
//!
//! The entries of a `HashMap` come in another order each time. Where nothing else differs, as with most sessions that are
//! compared, each entry of one map is looked up in the other. Else both sessions are split into their values, without
//! reading any of these, and the entries of maps are sorted. Both need a format that says where a value ends.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hasher, RandomState};

use crate::message::format::Format;
use crate::message::recorder::TUPLE;

/// How lists are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lists {
    /// The order of a list counts.
    Ordered,
    /// It does not: a `HashSet` is a list, whose elements come in another order each time.
    Unordered,
}

/// Returns the path to the first value in which two sessions differ, or `None` if they are the same.
///
/// An empty path is the whole session: also where one of them is not of the format.
pub(crate) fn difference(format: Format, a: &[u8], b: &[u8], lists: Lists) -> Option<Vec<String>> {
    if a == b || format == Format::MessagePack && is_reordered(a, b, lists, MAX_DEPTH) {
        return None;
    }
    let (Some(a), Some(b)) = (Node::read_all(format, a, lists), Node::read_all(format, b, lists))
    else {
        return Some(Vec::new());
    };
    let mut path = a.difference(&b)?;
    path.reverse();
    Some(path)
}

/// Returns whether two values in MessagePack are the same but for the order of the entries of maps, or of different
/// elements of lists.
///
/// Where it returns false, they may yet be the same: it compares keys byte by byte, and finds no order in which elements
/// of a list are the same that have maps in them.
fn is_reordered(a: &[u8], b: &[u8], lists: Lists, depth: usize) -> bool {
    if a == b {
        return true;
    }
    let Some(depth) = depth.checked_sub(1) else { return false };
    let (mut a, mut b) = (a, b);
    let is_reordered_in = |a: &[u8], b: &[u8]| is_reordered(a, b, lists, depth);
    let are_same = match (Head::read(&mut a), Head::read(&mut b)) {
        (Some(Head::Map(count)), Some(Head::Map(other))) if count == other => {
            are_entries_same(count, &mut a, &mut b, is_reordered_in)
        }
        (Some(Head::List(count)), Some(Head::List(other))) if count == other => {
            are_elements_same(count, &mut a, &mut b, lists, is_reordered_in)
        }
        _ => None,
    };
    are_same == Some(true) && a.is_empty() && b.is_empty()
}

/// Takes so many entries off the front of both, and returns whether they are the same in some order.
fn are_entries_same<'a>(
    mut count: usize,
    a: &mut &'a [u8],
    b: &mut &'a [u8],
    is_same: impl Fn(&[u8], &[u8]) -> bool,
) -> Option<bool> {
    let entry = |rest: &mut &'a [u8]| Some((take_value(rest)?, take_value(rest)?));
    while count > 0 {
        let (mut after_a, mut after_b) = (*a, *b);
        let ((key, value), (other_key, other)) = (entry(&mut after_a)?, entry(&mut after_b)?);
        if key != other_key {
            break;
        }
        if !is_same(value, other) {
            return Some(false);
        }
        (*a, *b) = (after_a, after_b);
        count -= 1;
    }
    // An entry takes two bytes at least.
    let mut others = HashMap::with_capacity_and_hasher(count.min(b.len() / 2), Seeded::new());
    for _ in 0..count {
        let (key, value) = entry(b)?;
        others.insert(key, value);
    }
    for _ in 0..count {
        let (key, value) = entry(a)?;
        if !others.remove(key).is_some_and(|other| is_same(value, other)) {
            return Some(false);
        }
    }
    Some(true)
}

/// Takes so many elements off the front of both, and returns whether they are the same, in some order if that is all the
/// same.
fn are_elements_same<'a>(
    count: usize,
    a: &mut &'a [u8],
    b: &mut &'a [u8],
    lists: Lists,
    is_same: impl Fn(&[u8], &[u8]) -> bool,
) -> Option<bool> {
    let elements =
        |rest: &mut &'a [u8]| (0..count).map(|_| take_value(rest)).collect::<Option<Vec<_>>>();
    let (a, b) = (elements(a)?, elements(b)?);
    if a.iter().zip(&b).all(|(a, b)| is_same(a, b)) {
        return Some(true);
    }
    // What is marked as a tuple has one order.
    if lists == Lists::Ordered || a.first().is_some_and(|first| is_tuple(first)) {
        return Some(false);
    }
    let mut others = HashSet::with_capacity_and_hasher(b.len(), Seeded::new());
    others.extend(b);
    Some(a.iter().all(|element| others.remove(element)))
}

/// Returns whether the first element of a list in MessagePack is the mark of a tuple.
fn is_tuple(first: &[u8]) -> bool {
    first.split_first().is_some_and(|(_, text)| text == TUPLE.as_bytes())
}

/// Hashes keys by one multiplication for each eight bytes, in a tenth of the time that std's hash takes. The seeds are
/// new each time, so that nobody can choose keys that meet.
#[derive(Clone)]
struct Seeded {
    state: u64,
    factor: u64,
}

impl Seeded {
    fn new() -> Self {
        let random = RandomState::new();
        Self { state: random.hash_one(0), factor: random.hash_one(1) | 1 }
    }

    #[inline]
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(self.factor);
        let [low, high] = [product, product >> 64].map(|half| half & u128::from(u64::MAX));
        self.state = u64::try_from(low ^ high).unwrap_or(0);
    }
}

impl BuildHasher for Seeded {
    type Hasher = Self;

    #[inline]
    fn build_hasher(&self) -> Self {
        self.clone()
    }
}

impl Hasher for Seeded {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        self.mix(rest.iter().fold(1, |word, byte| word << 8 | u64::from(*byte)));
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.state
    }
}

/// What a value in MessagePack begins with.
enum Head {
    /// One of so many bytes more.
    Leaf(usize),
    List(usize),
    Map(usize),
}

impl Head {
    fn read(rest: &mut &[u8]) -> Option<Self> {
        let head = take(rest, 1)?.first().copied()?;
        let number = |n: usize, rest: &mut &[u8]| -> Option<usize> {
            take(rest, n)?.iter().try_fold(0_usize, |number, byte| {
                number.checked_mul(256)?.checked_add(usize::from(*byte))
            })
        };
        Some(match head {
            0x80..=0x8f => Self::Map(usize::from(head & 0x0f)),
            0x90..=0x9f => Self::List(usize::from(head & 0x0f)),
            0xa0..=0xbf => Self::Leaf(usize::from(head & 0x1f)),
            0xdc => Self::List(number(2, rest)?),
            0xdd => Self::List(number(4, rest)?),
            0xde => Self::Map(number(2, rest)?),
            0xdf => Self::Map(number(4, rest)?),
            0xc4 | 0xd9 => Self::Leaf(number(1, rest)?),
            0xc5 | 0xda => Self::Leaf(number(2, rest)?),
            0xc6 | 0xdb => Self::Leaf(number(4, rest)?),
            0xc7 => Self::Leaf(number(1, rest)?.checked_add(1)?),
            0xc8 => Self::Leaf(number(2, rest)?.checked_add(1)?),
            0xc9 => Self::Leaf(number(4, rest)?.checked_add(1)?),
            0xcc | 0xd0 => Self::Leaf(1),
            0xcd | 0xd1 | 0xd4 => Self::Leaf(2),
            0xd5 => Self::Leaf(3),
            0xca | 0xce | 0xd2 => Self::Leaf(4),
            0xd6 => Self::Leaf(5),
            0xcb | 0xcf | 0xd3 => Self::Leaf(8),
            0xd7 => Self::Leaf(9),
            0xd8 => Self::Leaf(17),
            _ => Self::Leaf(0),
        })
    }
}

/// Takes a value in MessagePack off the front, with all that is in it.
fn take_value<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let start = *rest;
    let mut left = 1_usize;
    while left > 0 {
        left -= 1;
        match Head::read(rest)? {
            Head::Leaf(len) => {
                take(rest, len)?;
            }
            Head::List(count) => left = left.checked_add(count)?,
            Head::Map(count) => left = left.checked_add(count.checked_mul(2)?)?,
        }
    }
    start.get(..start.len() - rest.len())
}

/// One value, with those within it. Its order is of no meaning, save that equal values are equal.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Node<'a> {
    Leaf(&'a [u8]),
    List(Vec<Node<'a>>),
    /// A list that was marked as a tuple: its order counts in any case.
    Tuple(Vec<Node<'a>>),
    Map(Vec<(Node<'a>, Node<'a>)>),
}

impl<'a> Node<'a> {
    fn read_all(format: Format, body: &'a [u8], lists: Lists) -> Option<Self> {
        let mut rest = body;
        let read = match format {
            Format::MessagePack => Self::message_pack,
            #[cfg(feature = "json")]
            Format::Json => Self::json,
            #[cfg(any(feature = "postcard", feature = "bincode"))]
            _ => return None,
        };
        let mut node = read(&mut rest, MAX_DEPTH)?;
        node.sort(lists);
        rest.is_empty().then_some(node)
    }

    fn sort(&mut self, lists: Lists) {
        match self {
            Self::Leaf(_) => {}
            Self::List(nodes) => {
                nodes.iter_mut().for_each(|node| node.sort(lists));
                if lists == Lists::Unordered {
                    nodes.sort();
                }
            }
            Self::Tuple(nodes) => nodes.iter_mut().for_each(|node| node.sort(lists)),
            Self::Map(entries) => {
                for (key, value) in entries.iter_mut() {
                    key.sort(lists);
                    value.sort(lists);
                }
                // Those of one key stay in their order: which of them is read may depend on it.
                entries.sort_by(|(one, _), (other, _)| one.cmp(other));
            }
        }
    }

    /// Returns the path to where it differs from another one, from behind.
    fn difference(&self, other: &Self) -> Option<Vec<String>> {
        let within = |name: &dyn Fn() -> String, value: &Self, other: &Self| {
            let mut path = value.difference(other)?;
            path.push(name());
            Some(path)
        };
        match (self, other) {
            (Self::List(a), Self::List(b)) | (Self::Tuple(a), Self::Tuple(b))
                if a.len() == b.len() =>
            {
                let mut both = a.iter().zip(b).enumerate();
                both.find_map(|(i, (a, b))| within(&|| i.to_string(), a, b))
            }
            (Self::Map(a), Self::Map(b)) => {
                (0..a.len().max(b.len())).find_map(|i| match (a.get(i), b.get(i)) {
                    (Some((a, value)), Some((b, other))) if a == b => {
                        within(&|| a.name(), value, other)
                    }
                    // Both are sorted, so the lesser key is the one that only one of them has.
                    (a, b) => {
                        let lesser = a.into_iter().chain(b).map(|(key, _)| key).min();
                        Some(lesser.map(Self::name).into_iter().collect())
                    }
                })
            }
            (a, b) => (a != b).then(Vec::new),
        }
    }

    fn list(mut nodes: Vec<Self>) -> Self {
        if nodes.first().and_then(Self::text) != Some(TUPLE.as_bytes()) {
            return Self::List(nodes);
        }
        nodes.remove(0);
        Self::Tuple(nodes)
    }

    /// Formats a key.
    fn name(&self) -> String {
        let text = self.text().and_then(|text| std::str::from_utf8(text).ok());
        text.map_or_else(|| "?".to_owned(), |text| text.escape_debug().to_string())
    }

    /// Returns a string without what its format puts around it.
    fn text(&self) -> Option<&'a [u8]> {
        let Self::Leaf(bytes) = self else { return None };
        Some(match bytes {
            [0xa0..=0xbf, text @ ..]
            | [0xd9, _, text @ ..]
            | [0xda, _, _, text @ ..]
            | [b'"', text @ .., b'"'] => text,
            other => other,
        })
    }

    fn message_pack(rest: &mut &'a [u8], depth: usize) -> Option<Self> {
        let start = *rest;
        let depth = depth.checked_sub(1)?;
        match Head::read(rest)? {
            Head::Leaf(len) => {
                take(rest, len)?;
                start.get(..start.len() - rest.len()).map(Self::Leaf)
            }
            Head::List(count) => {
                let nodes = (0..count).map(|_| Self::message_pack(rest, depth));
                nodes.collect::<Option<_>>().map(Self::list)
            }
            Head::Map(count) => {
                let mut entry =
                    || Some((Self::message_pack(rest, depth)?, Self::message_pack(rest, depth)?));
                (0..count).map(|_| entry()).collect::<Option<_>>().map(Self::Map)
            }
        }
    }

    #[cfg(feature = "json")]
    fn json(rest: &mut &'a [u8], depth: usize) -> Option<Self> {
        let depth = depth.checked_sub(1)?;
        *rest = rest.trim_ascii_start();
        let is_map = match rest.first()? {
            b'[' => false,
            b'{' => true,
            b'"' => return json_string(rest).map(Self::Leaf),
            _ => {
                let end =
                    |c: &u8| matches!(c, b',' | b':' | b']' | b'}') || c.is_ascii_whitespace();
                let len = rest.iter().position(end).unwrap_or(rest.len());
                return take(rest, len).map(Self::Leaf);
            }
        };
        take(rest, 1)?;
        let (mut list, mut map) = (Vec::new(), Vec::new());
        loop {
            *rest = rest.trim_ascii_start();
            match rest.first()? {
                b']' | b'}' => {
                    take(rest, 1)?;
                    return Some(if is_map { Self::Map(map) } else { Self::list(list) });
                }
                b',' => {
                    take(rest, 1)?;
                }
                _ if is_map => {
                    let key = Self::json(rest, depth)?;
                    *rest = rest.trim_ascii_start().strip_prefix(b":")?;
                    map.push((key, Self::json(rest, depth)?));
                }
                _ => list.push(Self::json(rest, depth)?),
            }
        }
    }
}

/// Takes a string with its quotes off the front.
#[cfg(feature = "json")]
fn json_string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut escaped = false;
    let end = rest.iter().skip(1).position(|c| {
        let is_end = *c == b'"' && !escaped;
        escaped = *c == b'\\' && !escaped;
        is_end
    })?;
    take(rest, end + 2)
}

fn take<'a>(rest: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
    let taken;
    (taken, *rest) = rest.split_at_checked(n)?;
    Some(taken)
}

/// Deeper than any session that a format reads.
const MAX_DEPTH: usize = 200;

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap, HashSet};

    use proptest::prelude::*;
    use serde::Serialize;

    use super::*;
    use crate::bytes::secret_bytes::SecretBytes;
    use crate::message::recorder::SpanRecorder;

    fn formats() -> Vec<Format> {
        vec![
            Format::MessagePack,
            #[cfg(feature = "json")]
            Format::Json,
        ]
    }

    fn compare(a: &impl Serialize, b: &impl Serialize, lists: Lists) -> Option<String> {
        let found = formats().into_iter().map(|format| {
            let body =
                |of: &dyn Fn(&mut SpanRecorder) -> SecretBytes| of(&mut SpanRecorder::default());
            let a = body(&|recorder| format.serialize(a, recorder).unwrap());
            let b = body(&|recorder| format.serialize(b, recorder).unwrap());
            difference(format, &a, &b, lists).map(|path| path.join("."))
        });
        let found: Vec<_> = found.collect();
        assert!(found.iter().all(|other| *other == found[0]), "{found:?}");
        found[0].clone()
    }

    #[derive(Clone, Serialize)]
    struct Session {
        name: String,
        map: HashMap<String, (f64, Option<bool>)>,
        list: Vec<BTreeMap<String, i64>>,
        set: HashSet<u16>,
    }

    fn session() -> Session {
        Session {
            name: "a \"name\", \\ and {more}: [\u{e9}]".repeat(20),
            map: (0..40)
                .map(|i| (i.to_string(), (f64::from(i) / 3.0, (i % 2 == 0).then_some(true))))
                .collect(),
            list: vec![
                BTreeMap::new(),
                [("one".to_owned(), -1), ("two".to_owned(), i64::MIN)].into(),
            ],
            set: (0..40).map(|i| i * 1601).collect(),
        }
    }

    #[test]
    fn maps_in_another_order_are_the_same_and_lists_if_asked_for() {
        let one = session();
        let other =
            Session { map: one.map.iter().map(|(k, v)| (k.clone(), *v)).collect(), ..session() };
        assert_eq!(compare(&one, &other, Lists::Unordered), None);
        let found = compare(&one, &other, Lists::Ordered).unwrap();
        assert!(found.starts_with("set."), "{found}");
        let other = Session { set: one.set.clone(), ..other };
        assert_eq!(compare(&one, &other, Lists::Ordered), None);
    }

    /// A value, and the same with the entries of its maps, or all that it has, turned round.
    fn nodes() -> impl Strategy<Value = Vec<u8>> {
        let leaf = prop_oneof![
            (0_u8..4).prop_map(|n| vec![n]),
            "[ab]{0,2}".prop_map(|s| rmp_serde::to_vec(&s).unwrap()),
            "[ab]{30,40}".prop_map(|s| rmp_serde::to_vec(&s).unwrap()),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            let entries = prop::collection::vec((inner.clone(), inner.clone()), 0..4);
            prop_oneof![
                prop::collection::vec(inner, 0..4).prop_map(|list| {
                    [&[0x90 | u8::try_from(list.len()).unwrap()], &list.concat()[..]].concat()
                }),
                entries.prop_map(|entries| {
                    let head = 0x80 | u8::try_from(entries.len()).unwrap();
                    let entries: Vec<_> =
                        entries.into_iter().flat_map(|(key, value)| [key, value]).collect();
                    [&[head], &entries.concat()[..]].concat()
                }),
            ]
        })
    }

    /// Returns the value with the entries of all maps from behind, and the elements of lists if they may be.
    fn turned(rest: &mut &[u8], lists: Lists) -> Vec<u8> {
        let start = *rest;
        let (count, width) = match Head::read(rest).unwrap() {
            Head::Leaf(len) => {
                return start[..take(rest, len).map(|_| start.len() - rest.len()).unwrap()]
                    .to_vec();
            }
            Head::List(count) => (count, 1),
            Head::Map(count) => (count, 2),
        };
        let mut parts: Vec<_> = (0..count)
            .map(|_| (0..width).flat_map(|_| turned(rest, lists)).collect::<Vec<_>>())
            .collect();
        if width == 2 || lists == Lists::Unordered {
            parts.reverse();
        }
        [&start[..1], &parts.concat()[..]].concat()
    }

    proptest! {
        #[test]
        fn what_is_found_the_same_by_looking_up_is_the_same_when_sorted(
            a in nodes(),
            b in nodes(),
            unordered: bool,
        ) {
            let lists = if unordered { Lists::Unordered } else { Lists::Ordered };
            let sorted = |a: &[u8], b: &[u8]| {
                let read = |body| Node::read_all(Format::MessagePack, body, lists).unwrap();
                read(a) == read(b)
            };
            for b in [b, turned(&mut &a[..], lists)] {
                let is_same = sorted(&a, &b);
                prop_assert!(is_same || !is_reordered(&a, &b, lists, MAX_DEPTH));
                prop_assert_eq!(difference(Format::MessagePack, &a, &b, lists).is_none(), is_same);
            }
        }
    }

    #[test]
    fn a_map_in_another_order_is_found_the_same_by_looking_up() {
        let one = session();
        let map: HashMap<_, _> = one.map.iter().map(|(key, value)| (key.clone(), *value)).collect();
        let set = one.set.iter().copied().collect();
        let other = Session { map, set, ..one.clone() };
        let body = |session: &Session| {
            Format::MessagePack.serialize(session, &mut SpanRecorder::default()).unwrap()
        };
        let mut changed = other.clone();
        changed.map.insert("7".to_owned(), (7.5, None));
        let [one, other, changed] = [&one, &other, &changed].map(body);
        assert_ne!(one[..], other[..], "40 entries of two maps");
        assert!(is_reordered(&one, &other, Lists::Unordered, MAX_DEPTH));
        assert!(!is_reordered(&one, &other, Lists::Ordered, MAX_DEPTH));
        assert!(!is_reordered(&one, &changed, Lists::Unordered, MAX_DEPTH));
        assert!(!is_reordered(&[&one[..], &[1]].concat(), &other, Lists::Unordered, MAX_DEPTH));
    }

    /// What is written where all that bytes do not tell apart is marked.
    fn compare_marked(a: &impl Serialize, b: &impl Serialize) -> Vec<Option<String>> {
        let found = formats().into_iter().map(|format| {
            let a = format.serialize(a, &mut SpanRecorder::marking()).unwrap();
            let b = format.serialize(b, &mut SpanRecorder::marking()).unwrap();
            difference(format, &a, &b, Lists::Unordered).map(|path| path.join("."))
        });
        found.collect()
    }

    #[test]
    fn a_tuple_has_one_order_where_it_is_marked() {
        let found = |at: &str| vec![Some(at.to_owned()); formats().len()];
        let none = vec![None; formats().len()];
        assert_eq!(compare_marked(&vec![1, 2], &vec![2, 1]), none);
        assert_eq!(compare_marked(&(1, 2), &(2, 1)), found("0"));
        assert_eq!(compare_marked(&[1, 2], &[2, 1]), found("0"));
        assert_eq!(compare_marked(&vec![(7, 1, 2)], &vec![(7, 2, 1)]), found("0.1"));
        assert_eq!(compare_marked(&vec![(7, 1), (8, 2)], &vec![(8, 2), (7, 1)]), none);
        assert_eq!(
            compare_marked(&vec!["\u{7f}tuple", "1", "2"], &vec!["\u{7f}tuple", "2", "1"]),
            none
        );
        #[derive(Serialize)]
        enum Variant {
            Tuple(u8, u8),
        }
        assert_eq!(compare_marked(&Variant::Tuple(1, 2), &Variant::Tuple(2, 1)), found("Tuple.0"));
        #[derive(Serialize)]
        struct Tuple(u8, u8);
        assert_eq!(compare_marked(&Tuple(1, 2), &Tuple(2, 1)), found("0"));
    }

    /// Which of them is read may depend on their order.
    #[test]
    fn values_of_one_key_have_one_order() {
        let map = |a: u8, b: u8| [0x82, 0xa1, b'k', a, 0xa1, b'k', b];
        for lists in [Lists::Ordered, Lists::Unordered] {
            assert_eq!(difference(Format::MessagePack, &map(1, 2), &map(1, 2), lists), None);
            let found = difference(Format::MessagePack, &map(1, 2), &map(2, 1), lists);
            assert_eq!(found, Some(vec!["k".to_owned()]));
            #[cfg(feature = "json")]
            {
                let (a, b) = (br#"{"k":1,"a":0,"k":2}"#, br#"{"k":2,"a":0,"k":1}"#);
                assert_eq!(difference(Format::Json, a, br#"{"a":0,"k":1,"k":2}"#, lists), None);
                assert_eq!(difference(Format::Json, a, b, lists), Some(vec!["k".to_owned()]));
            }
        }
    }

    #[test]
    fn a_difference_is_found_where_it_is() {
        let one = session();
        let change = |change: fn(&mut Session)| {
            let mut other = Session { set: one.set.clone(), ..one.clone() };
            change(&mut other);
            compare(&one, &other, Lists::Ordered).unwrap()
        };
        assert_eq!(change(|s| s.name.push('x')), "name");
        assert_eq!(change(|s| s.map.get_mut("7").unwrap().0 = 0.5), "map.7.0");
        assert_eq!(
            change(|s| s.list[1].insert("three".to_owned(), 3).map_or((), |_| ())),
            "list.1.three"
        );
        assert_eq!(change(|s| s.list[1].remove("one").map_or((), |_| ())), "list.1.one");
        assert_eq!(change(|s| s.list.push(BTreeMap::new())), "list");
        assert_eq!(
            difference(Format::MessagePack, &[0xc1, 0x91], &[0x91], Lists::Ordered),
            Some(vec![])
        );
    }
}
