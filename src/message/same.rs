//! Sameness: whether two serialized sessions differ in more than the order in which their maps stand, and where.
//!
//! The entries of a `HashMap` come in another order each time. Both sessions are split into their values, without
//! reading any of these, and the entries of maps are sorted. That needs a format that says where a value ends.

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
    if a == b {
        return None;
    }
    let (Some(a), Some(b)) = (Node::read_all(format, a, lists), Node::read_all(format, b, lists))
    else {
        return Some(Vec::new());
    };
    let mut path = Vec::new();
    (!a.is_same(&b, &mut path)).then_some(path)
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

    /// Compares with another one, and leaves in `path` where they differ.
    fn is_same(&self, other: &Self, path: &mut Vec<String>) -> bool {
        match (self, other) {
            (Self::List(a), Self::List(b)) | (Self::Tuple(a), Self::Tuple(b))
                if a.len() == b.len() =>
            {
                a.iter().zip(b).enumerate().all(|(i, (a, b))| {
                    path.push(i.to_string());
                    let is_same = a.is_same(b, path);
                    if is_same {
                        path.pop();
                    }
                    is_same
                })
            }
            (Self::Map(a), Self::Map(b)) => {
                for i in 0..a.len().max(b.len()) {
                    let is_same = match (a.get(i), b.get(i)) {
                        (Some((a, value)), Some((b, other))) if a == b => {
                            path.push(a.name());
                            value.is_same(other, path)
                        }
                        // Both are sorted, so the lesser key is the one that only one of them has.
                        (a, b) => {
                            let lesser = a.into_iter().chain(b).map(|(key, _)| key).min();
                            path.extend(lesser.map(Self::name));
                            false
                        }
                    };
                    if !is_same {
                        return false;
                    }
                    path.pop();
                }
                true
            }
            (a, b) => a == b,
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
        let head = take(rest, 1)?.first().copied()?;
        let number = |n: usize, rest: &mut &'a [u8]| -> Option<usize> {
            take(rest, n)?.iter().try_fold(0_usize, |number, byte| {
                number.checked_mul(256)?.checked_add(usize::from(*byte))
            })
        };
        let nodes = |count: usize, rest: &mut &'a [u8]| -> Option<Vec<Self>> {
            (0..count).map(|_| Self::message_pack(rest, depth)).collect()
        };
        let (list, map) = match head {
            0x80..=0x8f => (None, Some(usize::from(head & 0x0f))),
            0x90..=0x9f => (Some(usize::from(head & 0x0f)), None),
            0xdc => (Some(number(2, rest)?), None),
            0xdd => (Some(number(4, rest)?), None),
            0xde => (None, Some(number(2, rest)?)),
            0xdf => (None, Some(number(4, rest)?)),
            _ => (None, None),
        };
        if let Some(count) = list {
            return nodes(count, rest).map(Self::list);
        }
        if let Some(count) = map {
            let entry = |rest: &mut &'a [u8]| {
                Some((Self::message_pack(rest, depth)?, Self::message_pack(rest, depth)?))
            };
            return (0..count).map(|_| entry(rest)).collect::<Option<_>>().map(Self::Map);
        }
        let len = match head {
            0xa0..=0xbf => usize::from(head & 0x1f),
            0xc4 | 0xd9 => number(1, rest)?,
            0xc5 | 0xda => number(2, rest)?,
            0xc6 | 0xdb => number(4, rest)?,
            0xc7 => number(1, rest)?.checked_add(1)?,
            0xc8 => number(2, rest)?.checked_add(1)?,
            0xc9 => number(4, rest)?.checked_add(1)?,
            0xcc | 0xd0 => 1,
            0xcd | 0xd1 | 0xd4 => 2,
            0xd5 => 3,
            0xca | 0xce | 0xd2 => 4,
            0xd6 => 5,
            0xcb | 0xcf | 0xd3 => 8,
            0xd7 => 9,
            0xd8 => 17,
            _ => 0,
        };
        take(rest, len)?;
        start.get(..start.len() - rest.len()).map(Self::Leaf)
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
