//! Which key seals, which keys open, and how the ring changes under running requests.
use sealed_session::{
    Advice, Codec, DecodeError, EncodeError, KeyId, KeyRing, Reseal, RingError, RingKey,
};

use super::browser::Browser;
use super::{at, key};

fn id(n: u8) -> KeyId {
    key(n).id()
}

#[test]
fn the_primary_is_the_newest_active_key() {
    let ring = KeyRing::new([
        RingKey::new(key(3)).activates(at(200)),
        RingKey::open_only(key(4)),
        RingKey::new(key(1)),
        RingKey::new(key(2)).activates(at(100)).retires(at(300)),
        RingKey::revoked(id(5)),
        RingKey::new(key(6)).activates(at(400)),
    ])
    .unwrap();
    for (second, primary) in [(0, 1), (99, 1), (100, 2), (199, 2), (200, 3), (399, 3), (400, 6)] {
        assert_eq!(ring.primary_at(at(second)), Some(id(primary)), "{second}");
    }
    assert_eq!(ring.ids(), [3, 4, 1, 2, 5, 6].map(id));
}

#[test]
fn a_rotation_that_was_announced_loses_nobody() {
    let keys = || [RingKey::new(key(1)), RingKey::new(key(2)).activates(at(100))];
    let nodes = [0, 1].map(|_| Codec::<u8>::new(KeyRing::new(keys()).unwrap()));
    let mut browser = Browser::default();
    browser.take(&nodes[0].encode_at(&1, &nodes[0].request([""]), at(99)).unwrap());
    for (second, reseal) in [(99, None), (100, Some(Reseal::Key)), (101, None)] {
        let codec = &nodes[second as usize % 2];
        let header = browser.header();
        let request = codec.request([&header]);
        let opened = codec.decode_at(&request, at(second)).unwrap().unwrap();
        assert_eq!(opened.reseal, reseal, "{second}");
        browser.take(&codec.encode_at(&opened.session, &request, at(second)).unwrap());
    }
    let header = browser.header();
    let opened = nodes[0].decode_at(&nodes[0].request([&header]), at(102)).unwrap().unwrap();
    assert_eq!((opened.key, opened.began), (id(2), at(99)), "resealed by the new key, unchanged");
}

#[test]
fn each_state_of_a_key_has_its_outcome() {
    let codec = Codec::<u8>::new(key(1));
    let header = {
        let mut browser = Browser::default();
        browser.take(&codec.encode_at(&1, &codec.request([""]), at(0)).unwrap());
        browser.header()
    };
    let read = |keys: Vec<RingKey>| {
        codec.ring().replace(keys).unwrap();
        codec.decode_at(&codec.request([&header]), at(50)).map(|opened| opened.unwrap().reseal)
    };
    let other = || RingKey::new(key(2)).activates(at(1));
    assert!(matches!(read(vec![RingKey::new(key(1))]), Ok(None)));
    assert!(matches!(read(vec![RingKey::open_only(key(1)), other()]), Ok(None)));
    let pending = RingKey::new(key(1)).activates(at(90));
    assert!(matches!(read(vec![pending, other()]), Ok(None)), "pending keys open");
    let retiring = RingKey::new(key(1)).retires(at(51));
    assert!(matches!(read(vec![retiring, other()]), Ok(Some(Reseal::Key))));
    let retired = read(vec![RingKey::new(key(1)).retires(at(50)), other()]).unwrap_err();
    assert!(matches!(retired, DecodeError::RetiredKey(found) if found == id(1)));
    assert_eq!(retired.advice(), Advice::Keep);
    let revoked = read(vec![RingKey::revoked(id(1)), other()]).unwrap_err();
    assert!(matches!(revoked, DecodeError::RevokedKey(found) if found == id(1)));
    assert_eq!(revoked.advice(), Advice::Clear);
    let unknown = read(vec![other()]).unwrap_err();
    assert!(matches!(unknown, DecodeError::UnknownKey(found) if found == id(1)));
    assert_eq!(unknown.advice(), Advice::Keep);
}

/// The default threshold: a tenth of a day.
const TOUCH: u64 = 8640;

#[test]
fn two_nodes_that_differ_on_the_primary_do_not_undo_each_others_work() {
    let clocks = || [RingKey::new(key(1)), RingKey::new(key(2)).activates(at(100))];
    let lists = |a, b| [RingKey::new(key(a)), RingKey::open_only(key(b))];
    // Clocks that are 30 seconds apart at a promotion; and two lists of keys during a deploy.
    for (nodes, behind) in [([clocks(), clocks()], 30), ([lists(1, 2), lists(2, 1)], 0)] {
        let nodes = nodes.map(|keys| Codec::<u8>::new(KeyRing::new(keys).unwrap()));
        let mut browser = Browser::default();
        browser.take(&nodes[0].encode_at(&1, &nodes[0].request([""]), at(90)).unwrap());
        let mut written = 0;
        for turn in 0..20 {
            let node = &nodes[turn % 2];
            let now = at(110 - if turn % 2 == 0 { 0 } else { behind });
            let header = browser.header();
            let request = node.request([&header]);
            let opened = node.decode_at(&request, now).unwrap().unwrap();
            let set = node.encode_at(&opened.session, &request, now).unwrap();
            written += set.set().count();
            browser.take(&set);
        }
        assert!(written <= 1, "{written}");
        // In the end all of it is under the key of the node that touches it.
        let header = browser.header();
        let request = nodes[1].request([&header]);
        let opened = nodes[1].decode_at(&request, at(TOUCH + 110)).unwrap().unwrap();
        let due = if opened.key == id(2) { Reseal::Touch } else { Reseal::Key };
        assert_eq!(opened.reseal, Some(due));
    }
}

#[test]
fn no_key_seals_before_its_time() {
    let ring = KeyRing::new([RingKey::new(key(1)).activates(at(10)).retires(at(20))]).unwrap();
    let codec = Codec::<u8>::new(ring);
    for (second, seals) in [(9, false), (10, true), (19, true), (20, false)] {
        let result = codec.encode_at(&1, &codec.request([""]), at(second));
        assert_eq!(result.is_ok(), seals, "{second}");
        assert!(seals || matches!(result, Err(EncodeError::NoActiveKey)), "{second}");
    }
    // What is unchanged needs no key to seal with.
    let mut browser = Browser::default();
    browser.take(&codec.encode_at(&1, &codec.request([""]), at(19)).unwrap());
    codec
        .ring()
        .replace([RingKey::open_only(key(1)), RingKey::new(key(2)).activates(at(90))])
        .unwrap();
    let header = browser.header();
    let request = codec.request([&header]);
    assert!(codec.encode_at(&1, &request, at(20)).unwrap().is_empty());
    assert!(matches!(codec.encode_at(&2, &request, at(20)), Err(EncodeError::NoActiveKey)));
    // Nor does a touch that is due stand in the way of reading.
    let request = codec.request([&header]);
    codec
        .ring()
        .replace([RingKey::open_only(key(1)), RingKey::new(key(2)).activates(at(TOUCH * 2))])
        .unwrap();
    let opened = codec.decode_at(&request, at(TOUCH + 19)).unwrap().unwrap();
    assert_eq!(opened.reseal, Some(Reseal::Touch));
    assert!(codec.encode_at(&1, &request, at(TOUCH + 19)).unwrap().is_empty());
    codec.ring().replace([RingKey::new(key(1)).activates(at(10)).retires(at(20))]).unwrap();
    assert_eq!(codec.ring().primary_at(at(9)), None);
    assert_eq!(codec.ring().primary(), None, "it retired long ago");
}

#[test]
fn a_set_of_keys_that_leaves_something_to_chance_is_refused_and_the_old_one_stays() {
    let many = (0..65).map(|n| RingKey::new(key(n)).activates(at(n.into())));
    let cases: Vec<(Vec<RingKey>, RingError)> = vec![
        (vec![], RingError::NoSealingKey),
        (vec![RingKey::open_only(key(1))], RingError::NoSealingKey),
        (vec![RingKey::revoked(id(1))], RingError::NoSealingKey),
        (
            vec![RingKey::new(key(1)), RingKey::new(key(1)).activates(at(1))],
            RingError::DuplicateId(id(1)),
        ),
        (vec![RingKey::new(key(1)), RingKey::revoked(id(1))], RingError::DuplicateId(id(1))),
        (vec![RingKey::new(key(1)), RingKey::new(key(2))], RingError::SameActivation(id(1), id(2))),
        (
            vec![RingKey::new(key(1)).activates(at(5)).retires(at(5))],
            RingError::RetiresFirst(id(1)),
        ),
        (many.collect(), RingError::TooManyKeys { found: 65, allowed: 64 }),
    ];
    let ring = KeyRing::from(key(9));
    for (keys, expected) in cases {
        assert_eq!(ring.replace(keys).unwrap_err(), expected);
        assert_eq!(ring.ids(), [id(9)]);
    }
}

#[test]
fn a_key_that_goes_in_the_midst_of_a_request_takes_its_session_along() {
    type Keys = fn() -> Vec<RingKey>;
    type Gone = fn(&DecodeError) -> bool;
    let after: [(&str, Keys, Gone, bool); 4] = [
        ("stays", || vec![RingKey::open_only(key(1)), RingKey::new(key(2))], |_| false, false),
        (
            "revoked",
            || vec![RingKey::revoked(id(1)), RingKey::new(key(2))],
            |error| matches!(error, DecodeError::RevokedKey(found) if *found == id(1)),
            false,
        ),
        (
            "retired",
            || vec![RingKey::new(key(1)).retires(at(0)), RingKey::new(key(2)).activates(at(0))],
            |error| matches!(error, DecodeError::RetiredKey(found) if *found == id(1)),
            false,
        ),
        (
            "taken out",
            || vec![RingKey::new(key(2))],
            |error| matches!(error, DecodeError::UnknownKey(found) if *found == id(1)),
            true,
        ),
    ];
    for (what, keys, gone, elsewhere) in after {
        let codec = Codec::<u8>::new(key(1));
        let set = codec.encode_at(&1, &codec.request([""]), at(0)).unwrap();
        let header = set.values().next().unwrap().split(';').next().unwrap().to_owned();
        let request = codec.request([&header]);
        assert_eq!(codec.decode_at(&request, at(0)).unwrap().unwrap().session, 1);
        codec.ring().replace(keys()).unwrap();
        match codec.decode_at(&request, at(0)) {
            Ok(Some(opened)) => assert_eq!((what, opened.session), ("stays", 1)),
            other => assert!(gone(other.as_ref().unwrap_err()), "{what}: {other:?}"),
        }
        // What it sealed may be forged, and must not get a better seal, changed or unchanged.
        for session in [1, 2] {
            match codec.encode_at(&session, &request, at(0)) {
                Ok(set) => {
                    assert_eq!((what, set.set().count()), ("stays", usize::from(session == 2)))
                }
                Err(EncodeError::Ended(error)) => {
                    assert!(gone(&error) && !elsewhere, "{what}: {error}")
                }
                Err(EncodeError::WouldReplace(error)) => {
                    assert!(gone(&error) && elsewhere, "{what}: {error}");
                }
                Err(error) => panic!("{what}: {error}"),
            }
        }
        assert!(!codec.renew_at(&2, &request, at(0)).unwrap().is_empty(), "{what}: a login");
    }
}

#[test]
fn what_a_codec_shows_is_its_name_and_the_ids_of_its_keys() {
    let shown = format!("{:?}", Codec::<u8>::new(key(2)));
    assert!(shown.contains("__Host-session") && shown.contains(&id(2).to_string()), "{shown}");
}

#[test]
fn clones_share_their_keys() {
    let ring = KeyRing::from(key(1));
    let codec = Codec::<u8>::new(ring.clone());
    ring.replace([RingKey::new(key(2))]).unwrap();
    assert_eq!(codec.clone().ring().ids(), [id(2)]);
}

#[test]
fn a_ring_replaced_under_load_never_loses_a_session() {
    let states: [fn() -> Vec<RingKey>; 3] = [
        || vec![RingKey::new(key(1)), RingKey::open_only(key(2))],
        || vec![RingKey::new(key(1)), RingKey::new(key(2)).activates(at(0))],
        || vec![RingKey::open_only(key(1)), RingKey::new(key(2))],
    ];
    // A million operations in all, where that does not take long.
    let rounds = if cfg!(debug_assertions) { 10_000 } else { 250_000 };
    let codec = Codec::<u64>::new(KeyRing::new(states[0]()).unwrap());
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..2)
            .map(|worker| {
                let codec = codec.clone();
                scope.spawn(move || {
                    let mut browser = Browser::default();
                    for n in 0..rounds {
                        let header = browser.header();
                        let request = codec.request([&header]);
                        let expected = (n > 0).then(|| worker * 1_000_000 + n - 1);
                        let opened = codec.decode_at(&request, at(n)).unwrap();
                        assert_eq!(opened.map(|opened| opened.session), expected);
                        let next = worker * 1_000_000 + n;
                        browser.take(&codec.encode_at(&next, &request, at(n)).unwrap());
                    }
                })
            })
            .collect();
        let mut replaced = 0_usize;
        while !workers.iter().all(|worker| worker.is_finished()) {
            codec.ring().replace(states[replaced % states.len()]()).unwrap();
            replaced += 1;
        }
        assert!(replaced > 100, "{replaced}");
    });
}
