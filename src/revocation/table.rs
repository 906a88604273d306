//! The table: 16 bytes to when they were ended, for many readers that never wait.
//!
//! Open addressing in plain atomics, in groups of eight slots. A group has one word, a byte of each key's hash for each
//! slot: it tells of nearly all keys that are not there that they are not, and the words of a million entries stay in
//! a cache (as of Abseil's Swiss tables). A slot is filled once and its key never changes after that, so a reader
//! needs no lock and no second look: it sees a slot empty or whole. What grows or forgets is a copy of one part, which
//! takes the place of the old one in one step. Only writers wait, for each other, and for one part of 256.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::revocation::entry::Entry;

/// The entries, in parts.
pub(crate) struct Table {
    parts: Box<[Part]>,
    /// So that nobody can choose keys that end up beside each other.
    seeds: [u64; 2],
}

struct Part {
    slots: ArcSwap<Slots>,
    /// How many slots are filled; held by whoever writes.
    filled: Mutex<usize>,
}

#[derive(Default)]
struct Slots {
    /// A word for each group: a [`fingerprint`] for each slot that is filled, and 0 for the others.
    groups: Box<[AtomicU64]>,
    slots: Box<[[Slot; GROUP]]>,
}

#[derive(Default)]
struct Slot {
    key: [AtomicU64; 2],
    /// A [`Value`].
    value: AtomicU64,
}

/// What is known of a key: before (36 bits) · until (26 bits, of 128 s) · mark (2 bits).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Value(u64);

impl Value {
    fn new(before: u64, until: u64, mark: u8) -> Self {
        let until = until.div_ceil(UNIT).clamp(1, MOST_UNTIL);
        Self(before.min(MOST_BEFORE) << 28 | until << 2 | u64::from(mark & 3))
    }

    fn before(self) -> u64 {
        self.0 >> 28
    }

    fn until(self) -> u64 {
        (self.0 >> 2 & MOST_UNTIL) * UNIT
    }

    fn mark(self) -> u8 {
        u8::try_from(self.0 & 3).unwrap_or(0)
    }
}

/// What adding an entry brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Added {
    /// It is the first of its target; so many dead ones made room for it.
    New { dead: usize },
    /// It reaches further than what was known.
    Further,
    /// All of it was known.
    Known,
    /// There is no room for it.
    Full,
}

impl Table {
    pub(crate) fn new(seeds: [u64; 2]) -> Self {
        let part = || Part { slots: ArcSwap::default(), filled: Mutex::new(0) };
        Self { parts: (0..PARTS).map(|_| part()).collect(), seeds }
    }

    /// Returns the second before which nothing may have begun; 0 if the target is not known.
    #[inline]
    pub(crate) fn before(&self, target: &[u8; 16]) -> u64 {
        let (key, hash) = self.key(target);
        let Some(part) = self.part(hash) else { return 0 };
        part.slots.load().find(key, hash).map_or(0, |(_, value)| value.before())
    }

    /// Adds an entry, unless its part needs to grow and `room` says that it must not.
    ///
    /// The latest of all cutoffs and the latest of all ends count. The mark says in which reading of the stream
    /// the entry was found; 0 if it was not.
    pub(crate) fn add(&self, entry: Entry, mark: u8, now: u64, room: impl Fn() -> bool) -> Added {
        let (key, hash) = self.key(&entry.target);
        let Some(part) = self.part(hash) else { return Added::Full };
        let new = Value::new(entry.before, entry.until, mark);
        let mut filled = part.filled.lock().unwrap_or_else(PoisonError::into_inner);
        let slots = part.slots.load();
        if let Some((slot, old)) = slots.find(key, hash) {
            let further = new.before() > old.before() || new.until() > old.until();
            let whole = new.before() >= old.before() && new.until() >= old.until();
            let mark = match mark {
                // The stream lacks it.
                0 if further => 0,
                0 => old.mark(),
                mark if whole => mark,
                _ => old.mark(),
            };
            let merged =
                Value::new(new.before().max(old.before()), new.until().max(old.until()), mark);
            slot.value.store(merged.0, Ordering::Release);
            return if further { Added::Further } else { Added::Known };
        }
        if !room() {
            return Added::Full;
        }
        let mut dead = 0;
        if (*filled + 1) * 4 > slots.len() * 3 {
            let live = part.rebuild(&slots, now, self.seeds);
            dead = *filled - live;
            *filled = live;
            part.slots.load().fill(key, hash, new);
        } else {
            slots.fill(key, hash, new);
        }
        *filled += 1;
        Added::New { dead }
    }

    /// Forgets what is dead in one part; returns how many entries that has lost and has left.
    pub(crate) fn sweep(&self, part: usize, now: u64) -> (usize, usize) {
        let Some(part) = self.parts.get(part % PARTS) else { return (0, 0) };
        let mut filled = part.filled.lock().unwrap_or_else(PoisonError::into_inner);
        let slots = part.slots.load();
        let dead = slots.entries().filter(|(_, value)| value.until() <= now).count();
        if dead > 0 {
            *filled = part.rebuild(&slots, now, self.seeds);
        }
        (dead, *filled)
    }

    /// Returns the live entries, or those of them that do not have this mark.
    pub(crate) fn list(&self, now: u64, without: Option<u8>) -> impl Iterator<Item = Entry> + '_ {
        self.parts.iter().flat_map(move |part| {
            let slots = part.slots.load_full();
            let live = slots
                .entries()
                .filter(|(_, value)| value.until() > now && Some(value.mark()) != without);
            let entry = |([one, two], value): ([u64; 2], Value)| {
                let target = u128::from(one) << 64 | u128::from(two);
                let (before, until) = (value.before(), value.until());
                Entry { target: target.to_be_bytes(), before, until }
            };
            live.map(entry).collect::<Vec<_>>()
        })
    }

    /// Returns whether the entry, as far as it reaches, has this mark.
    #[cfg(any(feature = "revocation-redis", test))]
    pub(crate) fn has_mark(&self, target: &[u8; 16], mark: u8) -> bool {
        let (key, hash) = self.key(target);
        let Some(part) = self.part(hash) else { return false };
        part.slots.load().find(key, hash).is_some_and(|(_, value)| value.mark() == mark)
    }

    /// Begins another reading of the stream: no entry has its mark any more.
    #[cfg(any(feature = "revocation-redis", test))]
    pub(crate) fn unmark(&self, mark: u8) {
        for part in &self.parts {
            let _one = part.filled.lock().unwrap_or_else(PoisonError::into_inner);
            for slot in part.slots.load().slots.as_flattened() {
                let value = Value(slot.value.load(Ordering::Relaxed));
                if value.mark() == mark {
                    slot.value.store(value.0 & !3, Ordering::Release);
                }
            }
        }
    }

    /// Returns the bytes that the entries take.
    pub(crate) fn bytes(&self) -> usize {
        let groups = self.parts.iter().map(|part| part.slots.load().slots.len()).sum::<usize>();
        groups * (GROUP * size_of::<Slot>() + size_of::<AtomicU64>())
            + self.parts.len() * size_of::<Part>()
    }

    fn key(&self, target: &[u8; 16]) -> ([u64; 2], u64) {
        let target = u128::from_be_bytes(*target);
        let key = [high(target), low(target)];
        (key, hash(key, self.seeds))
    }

    /// The first byte of the hash chooses the part, the next four the group, the last one is the fingerprint.
    fn part(&self, hash: u64) -> Option<&Part> {
        self.parts.get(usize::try_from(hash >> 56).unwrap_or(0))
    }
}

impl Part {
    /// Puts a copy with room for more in the place of the slots, without what is dead; returns how many are left.
    fn rebuild(&self, slots: &Slots, now: u64, seeds: [u64; 2]) -> usize {
        let live = || slots.entries().filter(|(_, value)| value.until() > now);
        let count = live().count();
        let copy = Slots::new(((count + 1) * 8 / 5).div_ceil(GROUP));
        for (key, value) in live() {
            copy.fill(key, hash(key, seeds), value);
        }
        self.slots.store(Arc::new(copy));
        count
    }
}

impl Slots {
    fn new(groups: usize) -> Self {
        Self {
            groups: (0..groups).map(|_| AtomicU64::default()).collect(),
            slots: (0..groups).map(|_| Default::default()).collect(),
        }
    }

    fn len(&self) -> usize {
        self.slots.len() * GROUP
    }

    /// Returns the slot of a key, and what it holds.
    #[inline]
    fn find(&self, key: [u64; 2], hash: u64) -> Option<(&Slot, Value)> {
        let alike = fingerprint(hash) * EACH;
        for at in self.around(hash) {
            let group = self.groups.get(at)?.load(Ordering::Acquire);
            for i in bytes(zeros(group ^ alike)) {
                let slot = self.slots.get(at)?.get(i)?;
                if slot.key.each_ref().map(|part| part.load(Ordering::Relaxed)) == key {
                    return Some((slot, Value(slot.value.load(Ordering::Acquire))));
                }
            }
            if zeros(group) != 0 {
                return None;
            }
        }
        None
    }

    /// Fills the first empty slot for a key. Only whoever holds the lock of the part writes, and there is one.
    fn fill(&self, key: [u64; 2], hash: u64, value: Value) {
        for at in self.around(hash) {
            let (Some(word), Some(slots)) = (self.groups.get(at), self.slots.get(at)) else {
                return;
            };
            let group = word.load(Ordering::Relaxed);
            let Some(i) = bytes(zeros(group)).next() else { continue };
            let Some(slot) = slots.get(i) else { return };
            slot.key[0].store(key[0], Ordering::Relaxed);
            slot.key[1].store(key[1], Ordering::Relaxed);
            slot.value.store(value.0, Ordering::Relaxed);
            // Last: who sees it sees all of the slot.
            word.store(group | fingerprint(hash) << (8 * i), Ordering::Release);
            return;
        }
    }

    /// Returns the groups in which a key may be, in the order in which they are filled.
    #[inline]
    fn around(&self, hash: u64) -> impl Iterator<Item = usize> + use<> {
        let len = u64::try_from(self.groups.len()).unwrap_or(0);
        let first = ((hash >> 24 & 0xffff_ffff) * len) >> 32;
        let (first, len) = (usize::try_from(first).unwrap_or(0), self.groups.len());
        (first..len).chain(0..first)
    }

    fn entries(&self) -> impl Iterator<Item = ([u64; 2], Value)> + '_ {
        self.groups.iter().zip(&self.slots).flat_map(|(group, slots)| {
            let filled = group.load(Ordering::Acquire) & HIGHEST;
            bytes(filled).filter_map(|i| slots.get(i)).map(|slot| {
                let key = slot.key.each_ref().map(|key| key.load(Ordering::Relaxed));
                (key, Value(slot.value.load(Ordering::Acquire)))
            })
        })
    }
}

/// Returns what a group says of a key: 128 to 255, so that it is not an empty slot.
#[inline]
fn fingerprint(hash: u64) -> u64 {
    hash & 0x7f | 0x80
}

/// Returns the highest bit of each byte that is 0, and of no other.
#[inline]
fn zeros(word: u64) -> u64 {
    !(((word & !HIGHEST) + !HIGHEST) | word) & HIGHEST
}

/// Returns the places of the bytes whose highest bit is set.
#[inline]
fn bytes(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let first = bits.checked_ilog2().map(|_| bits.trailing_zeros() / 8);
        bits &= bits.wrapping_sub(1);
        usize::try_from(first?).ok()
    })
}

/// Two multiplications, each folded. Keys are random or hashes already; the seeds are what matters.
#[inline]
fn hash([one, two]: [u64; 2], [seed, other]: [u64; 2]) -> u64 {
    let folded = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        high(product) ^ low(product)
    };
    folded(folded(one ^ seed, two ^ other) ^ one, other | 1)
}

#[inline]
fn high(wide: u128) -> u64 {
    low(wide >> 64)
}

#[inline]
fn low(wide: u128) -> u64 {
    u64::try_from(wide & u128::from(u64::MAX)).unwrap_or(0)
}

pub(crate) const PARTS: usize = 256;

/// Slots in a group: the bytes of a word.
const GROUP: usize = 8;
/// A 1 in each byte.
const EACH: u64 = 0x0101_0101_0101_0101;
/// The highest bit of each byte.
const HIGHEST: u64 = EACH << 7;

/// Ends are kept in units of this many seconds, rounded up.
const UNIT: u64 = 128;
const MOST_UNTIL: u64 = (1 << 26) - 1;
const MOST_BEFORE: u64 = (1 << 36) - 1;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn entry(target: u128, before: u64, until: u64) -> Entry {
        Entry { target: target.to_be_bytes(), before, until }
    }

    proptest! {
        #[test]
        fn what_is_told_of_bytes_is_true_of_each(word: [u8; 8], ones: [bool; 8]) {
            let word: [u8; 8] = std::array::from_fn(|i| if ones[i] { word[i] & 1 } else { word[i] });
            let expected: Vec<_> = (0..8).filter(|i| word[*i] == 0).collect();
            let found: Vec<_> = bytes(zeros(u64::from_le_bytes(word))).collect();
            prop_assert_eq!(found, expected);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Against a plain map, with few targets, so that they meet; and with seeds that put all in few places.
        #[test]
        fn a_table_is_a_map_in_which_the_latest_counts(
            steps in prop::collection::vec((0_u128..40, 0_u64..1000, 1_u64..100_000, 0_u8..4), 0..300),
            seeds in prop::array::uniform2(0_u64..4),
        ) {
            let table = Table::new(seeds);
            let mut map = HashMap::<u128, (u64, u64)>::new();
            for (target, before, until, mark) in steps {
                let until = until.div_ceil(UNIT) * UNIT;
                let added = table.add(entry(target, before, until), mark, 0, || true);
                let expected = match map.get(&target) {
                    None => Added::New { dead: 0 },
                    Some(known) if before > known.0 || until > known.1 => Added::Further,
                    Some(_) => Added::Known,
                };
                prop_assert_eq!(added, expected);
                let known = map.entry(target).or_default();
                *known = (known.0.max(before), known.1.max(until));
                if mark != 0 {
                    let whole = *known == (before, until);
                    prop_assert!(!whole || table.has_mark(&target.to_be_bytes(), mark));
                }
            }
            for target in 0..40_u128 {
                let expected = map.get(&target).map_or(0, |known| known.0);
                prop_assert_eq!(table.before(&target.to_be_bytes()), expected);
            }
            let mut listed: Vec<_> = table.list(0, None).map(|e| (u128::from_be_bytes(e.target), (e.before, e.until))).collect();
            listed.sort_unstable();
            let mut expected: Vec<_> = map.into_iter().collect();
            expected.sort_unstable();
            prop_assert_eq!(listed, expected);
        }
    }

    #[test]
    fn what_is_dead_is_forgotten_and_the_rest_is_found() {
        let table = Table::new([7, 9]);
        for n in 1..=20_000 {
            let until = if n % 2 == 0 { 1000 } else { 1_000_000 };
            assert_eq!(table.add(entry(n, 5, until), 0, 0, || true), Added::New { dead: 0 });
        }
        let bytes = table.bytes();
        let (mut lost, mut left) = (0, 0);
        for part in 0..PARTS {
            let (dead, live) = table.sweep(part, 2000);
            (lost, left) = (lost + dead, left + live);
        }
        assert_eq!((lost, left), (10_000, 10_000));
        for n in 1..=20_000_u128 {
            assert_eq!(table.before(&n.to_be_bytes()), if n % 2 == 0 { 0 } else { 5 });
        }
        assert!(table.bytes() < bytes * 2 / 3, "{} {bytes}", table.bytes());
    }

    #[test]
    fn an_entry_takes_at_most_fifty_bytes_at_any_number_of_them() {
        let table = Table::new([7, 9]);
        for n in 1_usize..=200_000 {
            // Spread as random ids are.
            let target = u128::try_from(n).unwrap();
            let target = target.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
            table.add(entry(target, 5, 1000), 0, 0, || true);
            if n >= 100_000 && n % 5000 == 0 {
                let bytes = table.bytes();
                assert!(bytes < 45 * n, "{bytes} bytes at {n}");
            }
        }
    }

    #[test]
    fn a_table_that_has_no_room_takes_nothing_new_and_goes_on_with_what_it_has() {
        let table = Table::new([7, 9]);
        assert_eq!(table.add(entry(1, 5, 1000), 0, 0, || true), Added::New { dead: 0 });
        assert_eq!(table.add(entry(2, 5, 1000), 0, 0, || false), Added::Full);
        assert_eq!(table.add(entry(1, 6, 1000), 0, 0, || false), Added::Further);
        assert_eq!(table.before(&1_u128.to_be_bytes()), 6);
        assert_eq!(table.before(&2_u128.to_be_bytes()), 0);
    }

    #[test]
    fn what_was_added_is_found_by_readers_at_once_while_others_add_and_sweep() {
        let table = Table::new([7, 9]);
        let newest = AtomicU64::new(0);
        let target = |n: u64| u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 1..=5_000 {
                    table.add(entry(target(n), n, 1000), 0, 0, || true);
                    newest.store(n, Ordering::Release);
                    if n % 100 == 0 {
                        table.sweep(usize::try_from(n).unwrap(), 10);
                    }
                }
            });
            for reader in 0..2_u64 {
                let (table, newest) = (&table, &newest);
                scope.spawn(move || {
                    let mut tried = 0;
                    while tried < 5_000 {
                        tried = newest.load(Ordering::Acquire);
                        for n in [tried, tried / 2, tried / 3 + reader] {
                            if n >= 1 && n <= tried {
                                assert_eq!(table.before(&target(n).to_be_bytes()), n);
                            }
                        }
                    }
                });
            }
        });
    }
}
