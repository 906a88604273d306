//! Sessions that grow: one string, one list, one map, and maps in a map.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::contestants::Session;
use crate::sessions::Change;
use crate::sessions::shapes::Random;

/// So many bytes of JSON the sessions have.
pub(crate) const SIZES: [usize; 11] =
    [64, 256, 512, 1024, 1536, 2048, 3072, 4096, 5120, 6144, 8192];

/// A session that has a value of one kind.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Grown<V> {
    changes: u64,
    value: V,
}

impl<V> Change for Grown<V> {
    fn change(&mut self) -> u64 {
        self.changes += 1;
        self.changes
    }
}

/// A kind of value that can grow.
pub(crate) trait Value: Default + Clone
where
    Grown<Self>: Session,
{
    const NAME: &str;

    /// Adds a little.
    fn grow(&mut self, random: &mut Random);
}

/// Returns the smallest session that has so many bytes of JSON.
pub(crate) fn of<V: Value>(bytes: usize) -> Grown<V>
where
    Grown<V>: Session,
{
    let mut session = Grown { changes: 1_000_000_000, value: V::default() };
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    while serde_json::to_vec(&session).expect("JSON").len() < bytes {
        session.value.grow(&mut random);
    }
    session
}

impl Value for String {
    const NAME: &str = "a string";

    fn grow(&mut self, random: &mut Random) {
        self.push_str(word(random));
        self.push(' ');
    }
}

impl Value for Vec<String> {
    const NAME: &str = "a list";

    fn grow(&mut self, random: &mut Random) {
        self.push(words(random));
    }
}

impl Value for BTreeMap<String, String> {
    const NAME: &str = "a map";

    fn grow(&mut self, random: &mut Random) {
        self.insert(key(random), words(random));
    }
}

/// The maps have a list and a text beside each other.
#[derive(Default, Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    roles: Vec<String>,
    note: String,
}

impl Value for BTreeMap<String, BTreeMap<String, Entry>> {
    const NAME: &str = "maps in a map";

    fn grow(&mut self, random: &mut Random) {
        let entry = Entry { roles: [(); 4].map(|()| words(random)).into(), note: words(random) };
        let inner = BTreeMap::from([(key(random), entry.clone()), (key(random), entry)]);
        self.insert(key(random), inner);
    }
}

fn word(random: &mut Random) -> &'static str {
    const WORDS: [&str; 32] = [
        "order", "invoice", "blue", "north", "customer", "street", "window", "paper", "admin",
        "report", "green", "coffee", "monday", "garden", "silver", "bridge", "winter", "market",
        "letter", "number", "office", "travel", "member", "social", "driver", "record", "system",
        "leader", "camera", "detail", "return", "second",
    ];
    WORDS[random.next() as usize % WORDS.len()]
}

fn words(random: &mut Random) -> String {
    format!("{} {} {}", word(random), word(random), random.next() % 1000)
}

fn key(random: &mut Random) -> String {
    format!("{}.{}.{:04}", word(random), word(random), random.next() % 10_000)
}
