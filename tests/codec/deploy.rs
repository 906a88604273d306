//! Two releases, two rings, two versions at once: no node logs out what another node wrote.

use std::collections::BTreeMap;

use sealed_session::{Advice, Codec, DecodeError, EncodeError, Format, KeyRing, Reseal, RingKey};
use serde::{Deserialize, Serialize};

use super::browser::Browser;
use super::{at, key, ring};

/// The default threshold: a tenth of a day.
const TOUCH: u64 = 8640;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Old {
    user: u64,
    theme: String,
    removed: Vec<u8>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct New {
    #[serde(default)]
    added: Option<String>,
    theme: String,
    user: u64,
}

#[test]
fn a_struct_with_fields_added_removed_and_reordered_reads_both_ways() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct OldTolerant {
        user: u64,
        theme: String,
        #[serde(default)]
        removed: Vec<u8>,
    }
    let formats = [
        Format::MessagePack,
        #[cfg(feature = "json")]
        Format::Json,
    ];
    for format in formats {
        let old = Codec::<OldTolerant>::builder(ring()).format(format).build().unwrap();
        let new = Codec::<New>::builder(ring()).format(format).build().unwrap();
        let mut browser = Browser::default();
        let session = OldTolerant { user: 7, theme: "dark".into(), removed: vec![1, 2] };
        browser.take(&old.encode_at(&session, &old.request([""]), at(0)).unwrap());
        let header = browser.header();
        let request = new.request([&header]);
        let read = new.decode_at(&request, at(1)).unwrap().unwrap().session;
        assert_eq!(read, New { added: None, theme: "dark".into(), user: 7 });
        let session = New { added: Some("x".into()), ..read };
        browser.take(&new.encode_at(&session, &request, at(1)).unwrap());
        let header = browser.header();
        let read = old.decode_at(&old.request([&header]), at(2)).unwrap().unwrap().session;
        assert_eq!(read, OldTolerant { user: 7, theme: "dark".into(), removed: vec![] });
    }
}

#[test]
fn a_type_that_does_not_fit_is_kept_and_not_overwritten() {
    let (new, old) = (Codec::<New>::new(ring()), Codec::<Old>::new(ring()));
    let mut browser = Browser::default();
    let session = New { added: None, theme: "dark".into(), user: 7 };
    browser.take(&new.encode_at(&session, &new.request([""]), at(0)).unwrap());
    keeps(&old, &Old { user: 1, theme: String::new(), removed: vec![] }, &browser, |error| {
        matches!(error, DecodeError::Deserialize(_))
    });
}

/// Holds that a node refuses a session by the right name, keeps it, and overwrites it only on demand.
fn keeps<T: Serialize + serde::de::DeserializeOwned + 'static>(
    codec: &Codec<T>,
    session: &T,
    browser: &Browser,
    expected: impl Fn(&DecodeError) -> bool,
) {
    let header = browser.header();
    let request = codec.request([&header]);
    // Before the session was looked at, and after.
    for look in [false, true] {
        if look {
            let error = codec.decode_at(&request, at(TOUCH + 3)).map(|_| ()).unwrap_err();
            assert!(expected(&error), "{error:?}");
            assert_eq!(error.advice(), Advice::Keep, "{error:?}");
            assert!(error.is_readable_elsewhere(), "{error:?}");
        }
        match codec.encode_at(session, &request, at(TOUCH + 3)) {
            Err(EncodeError::WouldReplace(error)) => assert!(expected(&error), "{error:?}"),
            other => panic!("overwritten: {other:?}"),
        }
    }
    assert!(
        !codec.renew_at(session, &request, at(TOUCH + 3)).unwrap().is_empty(),
        "a login goes through"
    );
}

#[test]
fn a_newer_schema_is_kept_and_an_older_one_is_migrated() {
    let v1 = Codec::<Old>::builder(ring()).schema(1).build().unwrap();
    let v2 = || Codec::<New>::builder(ring()).schema(2);
    let migrating = v2()
        .migration(1, |old: Old| New {
            added: Some("migrated".into()),
            theme: old.theme,
            user: old.user,
        })
        .build()
        .unwrap();
    let mut browser = Browser::default();
    let session = Old { user: 7, theme: "dark".into(), removed: vec![] };
    browser.take(&v1.encode_at(&session, &v1.request([""]), at(0)).unwrap());

    let new = New { added: None, theme: String::new(), user: 1 };
    keeps(&v2().build().unwrap(), &new, &browser, |error| {
        matches!(error, DecodeError::NoMigration { found: 1 })
    });

    // Read only: the old nodes go on reading it, until a touch is due.
    let header = browser.header();
    let request = migrating.request([&header]);
    let opened = migrating.decode_at(&request, at(1)).unwrap().unwrap();
    let migrated = New { added: Some("migrated".into()), theme: "dark".into(), user: 7 };
    assert_eq!((&opened.session, opened.schema, opened.reseal), (&migrated, 1, None));
    assert!(migrating.encode_at(&opened.session, &request, at(1)).unwrap().is_empty());
    let request = migrating.request([&header]);
    let opened = migrating.decode_at(&request, at(TOUCH)).unwrap().unwrap();
    assert_eq!((opened.schema, opened.reseal), (1, Some(Reseal::Schema)));
    browser.take(&migrating.encode_at(&opened.session, &request, at(TOUCH)).unwrap());

    keeps(&v1, &session, &browser, |error| {
        matches!(error, DecodeError::NewerSchema { found: 2, known: 1 })
    });

    // A newer key is no reason to migrate what is only read.
    let keys = || [RingKey::new(key(1)), RingKey::new(key(2)).activates(at(0))];
    migrating.ring().replace(keys()).unwrap();
    v1.ring().replace(keys()).unwrap();
    let request = migrating.request([&header]);
    let opened = migrating.decode_at(&request, at(2)).unwrap().unwrap();
    assert_eq!((opened.schema, opened.reseal), (1, Some(Reseal::Key)));
    let mut read = Browser::default();
    read.take(&migrating.encode_at(&opened.session, &request, at(2)).unwrap());
    let opened = v1.decode_at(&v1.request([&read.header()]), at(2)).unwrap().unwrap();
    assert_eq!((&opened.session, opened.key), (&session, key(2).id()));
    for ring in [migrating.ring(), v1.ring()] {
        ring.replace([RingKey::new(key(1))]).unwrap();
    }
    let header = browser.header();
    let opened = migrating.decode_at(&migrating.request([&header]), at(TOUCH)).unwrap().unwrap();
    assert_eq!((opened.schema, opened.reseal, opened.began), (2, None, at(0)));
}

#[test]
fn a_newer_version_of_the_wire_is_kept() {
    let codec = Codec::<u8>::new(ring());
    let mut browser = Browser::default();
    browser.take(&codec.encode_at(&1, &codec.request([""]), at(0)).unwrap());
    let value = browser.cookies.get_mut(codec.name()).unwrap();
    value.replace_range(..1, "I");
    keeps(&codec, &2, &browser, |error| matches!(error, DecodeError::UnsupportedVersion(2)));
}

#[test]
fn a_key_that_has_not_arrived_yet_is_kept() {
    let ahead = KeyRing::new([RingKey::new(key(1)), RingKey::new(key(2)).activates(at(0))]);
    let (new, old) = (Codec::<u8>::new(ahead.unwrap()), Codec::<u8>::new(ring()));
    let mut browser = Browser::default();
    browser.take(&new.encode_at(&1, &new.request([""]), at(1)).unwrap());
    keeps(
        &old,
        &2,
        &browser,
        |error| matches!(error, DecodeError::UnknownKey(id) if *id == key(2).id()),
    );
    // Once it has arrived, the same codec opens the same cookie.
    old.ring().replace([RingKey::new(key(1)), RingKey::new(key(2)).activates(at(0))]).unwrap();
    let header = browser.header();
    assert_eq!(old.decode_at(&old.request([&header]), at(TOUCH + 3)).unwrap().unwrap().session, 1);
}

#[test]
fn a_switch_of_format_logs_nobody_out() {
    let formats = [
        Format::MessagePack,
        #[cfg(feature = "json")]
        Format::Json,
    ];
    let session = BTreeMap::from([("user".to_owned(), 7_u64)]);
    for from in formats {
        for to in formats {
            let node = |format| Codec::builder(ring()).format(format).build().unwrap();
            let (from_node, to_node) = (node(from), node(to));
            let mut browser = Browser::default();
            let set = from_node.encode_at(&session, &from_node.request([""]), at(0)).unwrap();
            browser.take(&set);
            let header = browser.header();
            let request = to_node.request([&header]);
            let opened = to_node.decode_at(&request, at(1)).unwrap().unwrap();
            assert_eq!((&opened.session, opened.reseal), (&session, None));
            let opened = to_node.decode_at(&request, at(TOUCH)).unwrap().unwrap();
            let due = if from == to { Reseal::Touch } else { Reseal::Format };
            assert_eq!(opened.reseal, Some(due));
            let again = to_node.encode_at(&opened.session, &request, at(TOUCH)).unwrap();
            assert_eq!(again.set().count(), 1);
            let mut browser = Browser::default();
            browser.take(&again);
            let request = to_node.request([browser.header()].iter()).into_owned();
            let opened = to_node.decode_at(&request, at(TOUCH)).unwrap().unwrap();
            assert_eq!((&opened.session, opened.format), (&session, to));
        }
    }
}

#[cfg(feature = "json")]
#[test]
fn a_switch_of_format_waits_where_it_would_drop_a_field() {
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Short {
        user: u64,
    }
    let long = Codec::<BTreeMap<String, u64>>::new(ring());
    let short = Codec::<Short>::builder(ring()).format(Format::Json).build().unwrap();
    let session = BTreeMap::from([("user".to_owned(), 7), ("added".to_owned(), 8)]);
    let mut browser = Browser::default();
    browser.take(&long.encode_at(&session, &long.request([""]), at(0)).unwrap());
    let header = browser.header();
    let request = short.request([&header]);
    let opened = short.decode_at(&request, at(TOUCH)).unwrap().unwrap();
    assert_eq!(opened.reseal, Some(Reseal::Format));
    browser.take(&short.encode_at(&opened.session, &request, at(TOUCH)).unwrap());
    let header = browser.header();
    let opened = long.decode_at(&long.request([&header]), at(TOUCH)).unwrap().unwrap();
    assert_eq!((opened.session, opened.format), (session, Format::MessagePack));
}

#[test]
fn a_request_given_to_the_wrong_codec_is_an_error_and_not_a_logout() {
    let (a, b) =
        (Codec::<u8>::new(ring()), Codec::<u8>::builder(ring()).name("b").build().unwrap());
    let mut browser = Browser::default();
    browser.take(&a.encode_at(&1, &a.request([""]), at(0)).unwrap());
    let header = browser.header();
    let request = a.request([&header]);
    a.decode_at(&request, at(0)).unwrap();
    assert!(matches!(b.decode_at(&request, at(0)), Err(DecodeError::OtherCodec)));
    let error = b.encode_at(&2, &request, at(0)).unwrap_err();
    assert!(matches!(error, EncodeError::WouldReplace(DecodeError::OtherCodec)));
}

/// Of one name and context even: what opens with the keys of one is no answer for the other.
#[test]
fn a_request_answers_only_the_codec_that_made_it() {
    let (new, old) = (Codec::<u8>::new(key(2)), Codec::<u8>::new(key(1)));
    let of_other_type = Codec::<String>::new(key(2));
    let mut browser = Browser::default();
    browser.take(&old.encode_at(&1, &old.request([""]), at(0)).unwrap());
    let header = browser.header();
    let request = new.request([&header]);
    for look in [false, true] {
        if look {
            assert!(matches!(new.decode_at(&request, at(0)), Err(DecodeError::UnknownKey(_))));
        }
        assert!(matches!(old.decode_at(&request, at(0)), Err(DecodeError::OtherCodec)));
        assert!(matches!(of_other_type.decode_at(&request, at(0)), Err(DecodeError::OtherCodec)));
    }
    // Nor is what one opened, with a key that the other does not have.
    let request = old.request([&header]);
    assert_eq!(
        old.clone().decode_at(&request, at(0)).unwrap().unwrap().session,
        1,
        "a clone is the same"
    );
    assert!(matches!(new.decode_at(&request, at(0)), Err(DecodeError::OtherCodec)));
    let error = new.encode_at(&2, &request, at(0)).unwrap_err();
    assert!(matches!(error, EncodeError::WouldReplace(DecodeError::OtherCodec)));
    // Each with a request of its own: so falls back who reads by two codecs.
    assert!(new.decode_at(&new.request([&header]), at(0)).is_err());
    assert_eq!(old.decode_at(&old.request([&header]), at(0)).unwrap().unwrap().session, 1);
}

#[test]
fn a_node_that_gives_no_ids_keeps_those_of_others() {
    let with = Codec::<u8>::builder(ring()).session_ids().build().unwrap();
    let without = Codec::<u8>::new(ring());
    let mut browser = Browser::default();
    browser.take(&with.encode_at(&1, &with.request([""]), at(0)).unwrap());
    let id = |browser: &Browser| {
        let header = browser.header();
        with.decode_at(&with.request([&header]), at(1)).unwrap().unwrap().id.unwrap()
    };
    let first = id(&browser);
    let header = browser.header();
    browser.take(&without.encode_at(&2, &without.request([&header]), at(1)).unwrap());
    assert_eq!(id(&browser), first);
}

#[test]
fn codecs_and_requests_can_go_to_other_threads() {
    fn check<T: Send + Sync>() {}
    check::<Codec<New>>();
    check::<sealed_session::RequestCookies<'static>>();
    check::<KeyRing>();
}

#[test]
fn a_release_that_only_reads_does_not_drop_the_fields_of_another() {
    #[derive(Serialize, Deserialize)]
    struct Short {
        user: u64,
    }
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Long {
        user: u64,
        #[serde(default)]
        mfa: Option<String>,
    }
    let (short, long) = (Codec::<Short>::new(ring()), Codec::<Long>::new(ring()));
    let session = Long { user: 7, mfa: Some("passed".into()) };
    let mut browser = Browser::default();
    browser.take(&long.encode_at(&session, &long.request([""]), at(0)).unwrap());
    let header = browser.header();
    let request = short.request([&header]);
    let mut opened = short.decode_at(&request, at(1)).unwrap().unwrap();
    assert!(short.encode_at(&opened.session, &request, at(1)).unwrap().is_empty(), "only read");

    // Nor when it is due to be resealed: because it was idle, or by another key.
    let rotated = KeyRing::new([RingKey::new(key(1)), RingKey::new(key(2)).activates(at(0))]);
    let rotated = Codec::<Short>::new(rotated.unwrap());
    for (node, second, due) in [(&short, TOUCH, Reseal::Touch), (&rotated, 1, Reseal::Key)] {
        let request = node.request([&header]);
        let opened = node.decode_at(&request, at(second)).unwrap().unwrap();
        assert_eq!(opened.reseal, Some(due));
        let mut again = Browser::default();
        again.take(&node.encode_at(&opened.session, &request, at(second)).unwrap());
        let newer = Codec::<Long>::new(node.ring().clone());
        let request = newer.request([again.header()].iter()).into_owned();
        let opened = newer.decode_at(&request, at(second)).unwrap().unwrap();
        assert_eq!((opened.session, opened.sealed), (session.clone(), at(second)));
        assert_eq!(opened.began, at(0));
    }
    opened.session.user = 8;
    assert!(!short.encode_at(&opened.session, &request, at(1)).unwrap().is_empty(), "changed");

    // Nor where it knows a value under another name only: the names of the fields are the same then.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "by")]
    enum Factor {
        Password,
        Token,
    }
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "by")]
    enum OldFactor {
        Password,
        #[serde(other)]
        Unknown,
    }
    let (old, new) = (Codec::<(u64, OldFactor)>::new(ring()), Codec::<(u64, Factor)>::new(ring()));
    let sealed = new.renew_at(&(7, Factor::Token), &new.request([""]), at(0)).unwrap();
    let cookie = sealed.values().next().unwrap().split(';').next().unwrap().to_owned();
    let request = old.request([&cookie]);
    let read = old.decode_at(&request, at(1)).unwrap().unwrap().session;
    assert_eq!(read, (7, OldFactor::Unknown));
    assert!(old.encode_at(&read, &request, at(1)).unwrap().is_empty(), "only read");

    // And the other way: a field that the client's session lacks.
    browser.take(&short.renew_at(&Short { user: 7 }, &request, at(1)).unwrap());
    let header = browser.header();
    let request = long.request([&header]);
    let opened = long.decode_at(&request, at(2)).unwrap().unwrap();
    assert_eq!(opened.session, Long { user: 7, mfa: None });
    assert!(long.encode_at(&opened.session, &request, at(2)).unwrap().is_empty(), "only read");
}
