//! What the server says of the stream: its entries, and whether it lost some.

use ::redis::Value;

use crate::revocation::entry::Entry;

/// The id of an entry of a stream: milliseconds and a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Id(pub(super) u64, pub(super) u64);

impl Id {
    fn parse(value: &Value) -> Option<Self> {
        let (millis, number) = std::str::from_utf8(bytes(value)?).ok()?.split_once('-')?;
        Some(Self(millis.parse().ok()?, number.parse().ok()?))
    }

    /// The least one above it.
    pub(super) fn next(self) -> Self {
        match self.1.checked_add(1) {
            Some(number) => Self(self.0, number),
            None => Self(self.0.saturating_add(1), 0),
        }
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

/// Returns the ids of the entries in an answer of XRANGE, each with the value of its one field.
pub(super) fn entries(answer: &Value) -> impl Iterator<Item = (Id, Option<&[u8]>)> {
    array(answer).iter().filter_map(|entry| {
        let [id, fields] = array(entry) else { return None };
        let value = match array(fields) {
            [_, value, ..] => bytes(value),
            _ => None,
        };
        Some((Id::parse(id)?, value))
    })
}

/// Returns the entries that an answer of XREAD has of one stream.
pub(super) fn of<'a>(
    answer: &'a Value,
    key: &'a str,
) -> impl Iterator<Item = (Id, Option<&'a [u8]>)> {
    array(answer).iter().flat_map(move |stream| match array(stream) {
        [name, found] if bytes(name) == Some(key.as_bytes()) => entries(found),
        _ => entries(&Value::Nil),
    })
}

/// Parses the field of an entry. What is of a later release, or was written by somebody else, is none.
pub(super) fn entry(value: Option<&[u8]>) -> Option<Entry> {
    Entry::from_bytes(value?)
}

/// The stream at one time, by what XINFO says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Glance {
    length: u64,
    pub(super) last: Id,
    first: Id,
    /// Entries that were ever added, and the latest that was deleted; since Redis 7.
    added: Option<u64>,
    deleted: Id,
}

impl Glance {
    /// Reads the answer of XINFO STREAM; that there is none is read as an empty one.
    pub(super) fn parse(answer: &Value) -> Self {
        let mut glance = Self::default();
        let mut pairs = array(answer).chunks_exact(2);
        while let Some([name, value]) = pairs.next() {
            let id = || Id::parse(value).unwrap_or_default();
            match bytes(name).unwrap_or_default() {
                b"length" => glance.length = number(value),
                b"last-generated-id" => glance.last = id(),
                b"entries-added" => glance.added = Some(number(value)),
                b"max-deleted-entry-id" => glance.deleted = id(),
                b"first-entry" => {
                    let first = array(value).first().and_then(Id::parse);
                    glance.first = first.unwrap_or_default();
                }
                _ => {}
            }
        }
        glance
    }

    /// Returns whether something was lost, of what was read before this glance or since an earlier one: by a flush, an
    /// eviction, a deletion, a failover. What is older than the horizon (milliseconds) may have been trimmed, and is
    /// dead.
    pub(super) fn lost(&self, earlier: &Self, read: Read, horizon: u64) -> bool {
        self.last < earlier.last.max(read.last)
            || self.deleted > earlier.deleted
            || self.added < earlier.added
            || (self.length < read.count.max(earlier.length) && !earlier.may_be_trimmed(horizon))
    }

    /// Returns how many entries are there of those that were read.
    pub(super) fn left(&self, earlier: &Self, read: Read, horizon: u64) -> u64 {
        if earlier.may_be_trimmed(horizon) { read.count.min(self.length) } else { read.count }
    }

    /// Returns whether some of it is older than the horizon.
    pub(super) fn may_be_trimmed(&self, horizon: u64) -> bool {
        self.length > 0 && self.first.0 < horizon
    }
}

/// How far a reader has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Read {
    pub(super) last: Id,
    /// How many entries it has read, all of which are there unless something was lost.
    pub(super) count: u64,
}

fn array(value: &Value) -> &[Value] {
    match value {
        Value::Array(values) => values,
        _ => &[],
    }
}

fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        _ => None,
    }
}

fn number(value: &Value) -> u64 {
    match value {
        Value::Int(number) => u64::try_from(*number).unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn entries_are_read_and_what_is_odd_is_left_out() {
        let entry = |id: &str, fields: &[&str]| {
            Value::Array(vec![text(id), Value::Array(fields.iter().map(|f| text(f)).collect())])
        };
        let answer = Value::Array(vec![
            entry("7-1", &["e", "one"]),
            entry("8-0", &[]),
            entry("nonsense", &["e", "two"]),
            Value::Nil,
            entry("9-18446744073709551615", &["e", "three", "f", "four"]),
        ]);
        let found: Vec<_> = entries(&answer).collect();
        let expected = [
            (Id(7, 1), Some(&b"one"[..])),
            (Id(8, 0), None),
            (Id(9, u64::MAX), Some(&b"three"[..])),
        ];
        assert_eq!(found, expected);
        assert_eq!(Id(9, u64::MAX).next(), Id(10, 0));
        assert_eq!(super::entry(Some(b"one")), None);
        assert_eq!(entries(&Value::Nil).count(), 0);
    }

    #[test]
    fn each_way_of_losing_something_is_seen_and_trimming_is_none() {
        let glance = |length, added, first, last, deleted| Glance {
            length,
            last: Id(last, 0),
            first: Id(first, 0),
            added,
            deleted: Id(deleted, 0),
        };
        let seven = glance(100, Some(200), 5000, 9000, 0);
        let read = Read { last: Id(9000, 0), count: 100 };
        for (now, lost, why) in [
            (seven, false, "nothing happened"),
            (glance(103, Some(203), 5000, 9900, 0), false, "three more"),
            (glance(103, Some(203), 5000, 8000, 0), true, "a replica that lagged took over"),
            (Glance::default(), true, "flushed or evicted"),
            (glance(2, Some(2), 9500, 9900, 0), true, "flushed, and written to again"),
            (glance(99, Some(200), 5000, 9000, 7000), true, "one deleted"),
            (glance(99, Some(200), 5000, 9000, 0), true, "one deleted below another"),
        ] {
            assert_eq!(now.lost(&seven, read, 1000), lost, "{why}");
        }
        let more = Read { last: Id(9900, 0), count: 103 };
        let deleted = glance(102, Some(203), 5000, 9900, 0);
        assert!(deleted.lost(&seven, more, 1000), "one deleted, three more");
        let trimmed = glance(50, Some(201), 7000, 9900, 0);
        assert!(!trimmed.lost(&seven, read, 6000) && trimmed.lost(&seven, read, 1000));
        assert_eq!((trimmed.left(&seven, read, 6000), seven.left(&seven, read, 1000)), (50, 100));
        let five = glance(100, None, 5000, 9000, 0);
        assert!(!glance(101, None, 5000, 9900, 0).lost(&five, read, 1000));
        assert!(glance(99, None, 5000, 9900, 0).lost(&five, read, 1000));
        let (none, nothing) = (Glance::default(), Read::default());
        assert!(!seven.lost(&none, nothing, 1000), "it came into being");
        assert!(!none.lost(&none, nothing, 1000), "there is none");
        assert!(none.lost(&none, read, 1000), "it came and went between two glances");
    }
}
