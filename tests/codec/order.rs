//! Maps and sets that stand in another order each time: it is no change.

use std::collections::{HashMap, HashSet};

use sealed_session::{Codec, Format, KeyRing, Reseal, RingKey};
use serde::{Deserialize, Serialize};

use super::browser::Browser;
use super::{at, key, ring};

/// Of 2 entries, every other order would do by chance.
const ENTRIES: u64 = 5;
const TRIES: usize = 200;

/// The default threshold: a tenth of a day.
const TOUCH: u64 = 8640;

fn formats() -> Vec<Format> {
    vec![
        Format::MessagePack,
        #[cfg(feature = "json")]
        Format::Json,
    ]
}

fn map() -> HashMap<String, u64> {
    (0..ENTRIES).map(|n| (format!("key {n}"), n)).collect()
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Old {
    user: u64,
    cart: HashMap<String, u64>,
    nested: Vec<HashMap<u64, HashMap<String, u64>>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct New {
    user: u64,
    cart: HashMap<String, u64>,
    nested: Vec<HashMap<u64, HashMap<String, u64>>>,
    #[serde(default)]
    mfa: Option<String>,
}

fn session() -> New {
    let nested = (0..1).map(|_| (0..ENTRIES).map(|n| (n, map())).collect()).collect();
    New { user: 7, cart: map(), nested, mfa: Some("passed".into()) }
}

fn rotated() -> KeyRing {
    KeyRing::new([RingKey::new(key(1)), RingKey::new(key(2)).activates(at(0))]).unwrap()
}

#[test]
fn a_release_that_only_reads_a_map_drops_no_field_of_another() {
    for format in formats() {
        let new = Codec::<New>::builder(ring()).format(format).build().unwrap();
        let old = Codec::<Old>::builder(ring()).format(format).build().unwrap();
        let rotated = Codec::<Old>::builder(rotated()).format(format).build().unwrap();
        for _ in 0..TRIES {
            let mut browser = Browser::default();
            browser.take(&new.renew_at(&session(), &new.request([""]), at(0)).unwrap());
            let header = browser.header();
            let request = old.request([&header]);
            let opened = old.decode_at(&request, at(1)).unwrap().unwrap();
            assert!(
                old.encode_at(&opened.session, &request, at(1)).unwrap().is_empty(),
                "{format}"
            );
            assert!(old.touch_at(&request, at(1)).is_empty(), "{format}");
            for (node, second, due) in [(&old, TOUCH, Reseal::Touch), (&rotated, 1, Reseal::Key)] {
                let request = node.request([&header]);
                let opened = node.decode_at(&request, at(second)).unwrap().unwrap();
                assert_eq!(opened.reseal, Some(due));
                for set in [
                    node.encode_at(&opened.session, &request, at(second)).unwrap(),
                    node.touch_at(&request, at(second)),
                ] {
                    let mut browser = Browser::default();
                    browser.take(&set);
                    let newer = Codec::<New>::builder(node.ring().clone()).format(format);
                    let newer = newer.build().unwrap();
                    let header = browser.header();
                    let found = newer.decode_at(&newer.request([&header]), at(second)).unwrap();
                    assert_eq!(found.unwrap().session, session(), "{format}: {due:?}");
                }
            }
        }
    }
}

#[test]
fn a_map_that_is_changed_is_written_whatever_its_order() {
    for format in formats() {
        let codec = Codec::<Old>::builder(ring()).format(format).build().unwrap();
        let New { user, cart, nested, .. } = session();
        let session = Old { user, cart, nested };
        let mut browser = Browser::default();
        browser.take(&codec.renew_at(&session, &codec.request([""]), at(0)).unwrap());
        let header = browser.header();
        let request = codec.request([&header]);
        for n in 0..TRIES {
            let mut changed = codec.decode_at(&request, at(1)).unwrap().unwrap().session;
            if n % 2 == 0 {
                changed.cart.insert("key 3".to_owned(), 99);
            } else {
                changed.nested[0].get_mut(&4).unwrap().remove("key 0");
            }
            for set in [
                codec.encode_at(&changed, &request, at(1)).unwrap(),
                codec.encode_changed_at(&changed, &request, at(1)).unwrap(),
            ] {
                let mut browser = Browser::default();
                browser.take(&set);
                let header = browser.header();
                let found = codec.decode_at(&codec.request([&header]), at(1)).unwrap();
                assert_eq!(found.expect("was written").session, changed, "{format}");
            }
        }
    }
}

/// A set is a list to serde. So `encode` cannot tell its order from a change; but it is never refused for it, and `touch`
/// and a switch of the format keep all there is.
#[test]
fn a_set_comes_back_and_is_touched_as_it_is() {
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct OldSet {
        roles: HashSet<String>,
    }
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct NewSet {
        roles: HashSet<String>,
        #[serde(default)]
        mfa: Option<String>,
    }
    let roles: HashSet<_> = map().into_keys().collect();
    let session = NewSet { roles: roles.clone(), mfa: Some("passed".into()) };
    for (format, other) in formats().into_iter().zip(formats().into_iter().rev()) {
        let new = Codec::<NewSet>::builder(ring()).format(format).build().unwrap();
        let old = Codec::<OldSet>::builder(ring()).format(format).build().unwrap();
        let switched = Codec::<NewSet>::builder(ring()).format(other).build().unwrap();
        for _ in 0..TRIES {
            let mut browser = Browser::default();
            browser.take(&new.renew_at(&session, &new.request([""]), at(0)).unwrap());
            let header = browser.header();
            let request = old.request([&header]);
            let opened = old.decode_at(&request, at(1)).unwrap().unwrap();
            assert_eq!(opened.session.roles, roles);
            assert!(old.touch_at(&request, at(1)).is_empty());
            for (set, expected) in [
                (old.touch_at(&request, at(TOUCH)), format),
                (switched.touch_at(&switched.request([&header]), at(TOUCH)), other),
            ] {
                let mut browser = Browser::default();
                browser.take(&set);
                let header = browser.header();
                let opened = new.decode_at(&new.request([&header]), at(TOUCH)).unwrap().unwrap();
                assert_eq!((&opened.session, opened.format), (&session, expected));
            }
            let changed = OldSet { roles: opened.session.roles.into_iter().skip(1).collect() };
            let set = old.encode_changed_at(&changed, &request, at(1)).unwrap();
            let mut browser = Browser::default();
            browser.take(&set);
            let header = browser.header();
            let found = old.decode_at(&old.request([&header]), at(1)).unwrap().unwrap();
            assert_eq!(found.session, changed);
        }
    }
}
