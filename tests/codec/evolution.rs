//! Each row of docs/SESSIONS.md: two releases of a session type, and one browser that meets both.

use sealed_session::{Codec, DecodeError, EncodeError, Format};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use super::browser::Browser;
use super::{at, ring};

fn formats() -> Vec<Format> {
    vec![
        Format::MessagePack,
        #[cfg(feature = "json")]
        Format::Json,
    ]
}

/// Seals by one release and reads by another, in each named format: what it reads, or why it does not.
fn read<A, B>(sealed: &A) -> Result<B, String>
where
    A: Serialize + DeserializeOwned + 'static,
    B: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug + 'static,
{
    let mut found = Vec::new();
    for format in formats() {
        let a = Codec::<A>::builder(ring()).format(format).build().unwrap();
        let b = Codec::<B>::builder(ring()).format(format).build().unwrap();
        let mut browser = Browser::default();
        browser.take(&a.renew_at(sealed, &a.request([""]), at(0)).unwrap());
        let header = browser.header();
        let request = b.request([&header]);
        found.push(match b.decode_at(&request, at(1)) {
            Ok(opened) => Ok(opened.unwrap().session),
            Err(DecodeError::Deserialize(source)) => {
                // Kept, and not overwritten.
                let again: A = a.decode_at(&a.request([&header]), at(1)).unwrap().unwrap().session;
                drop(again);
                Err(source.to_string())
            }
            Err(error) => panic!("{error}"),
        });
    }
    let first = found.remove(0);
    for other in found {
        match (&first, &other) {
            // MessagePack does not always say what was expected.
            (Err(first), Err(other)) if first.starts_with("invalid type") => {
                assert!(other.starts_with("invalid type"), "{first} and {other}");
            }
            _ => assert_eq!(other, first),
        }
    }
    first
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Base {
    user: u64,
}

fn base() -> Base {
    Base { user: 7 }
}

#[test]
fn an_added_field_needs_a_default() {
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Added {
        user: u64,
        #[serde(default)]
        locale: Option<String>,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Careless {
        user: u64,
        locale: String,
    }
    let added = Added { user: 7, locale: Some("en".into()) };
    assert_eq!(read::<_, Base>(&added), Ok(base()));
    assert_eq!(read::<_, Added>(&base()), Ok(Added { user: 7, locale: None }));
    assert_eq!(read::<_, Careless>(&base()), Err("missing field `locale`".into()));

    // A node that changes the session writes what it knows.
    let (old, new) = (Codec::<Base>::new(ring()), Codec::<Added>::new(ring()));
    let mut browser = Browser::default();
    browser.take(&new.renew_at(&added, &new.request([""]), at(0)).unwrap());
    let header = browser.header();
    let request = old.request([&header]);
    old.decode_at(&request, at(1)).unwrap().unwrap();
    browser.take(&old.encode_at(&Base { user: 8 }, &request, at(1)).unwrap());
    let header = browser.header();
    let opened = new.decode_at(&new.request([&header]), at(1)).unwrap().unwrap();
    assert_eq!(opened.session, Added { user: 8, locale: None });
}

#[test]
fn a_field_is_removed_in_two_releases() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Before {
        user: u64,
        theme: String,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Between {
        user: u64,
        #[serde(default)]
        theme: String,
    }
    let before = Before { user: 7, theme: "dark".into() };
    let between = Between { user: 7, theme: "dark".into() };
    assert_eq!(read::<_, Base>(&before), Ok(base()));
    assert_eq!(read::<_, Before>(&base()), Err("missing field `theme`".into()), "at once");
    assert_eq!(read::<_, Before>(&between), Ok(before));
    assert_eq!(read::<_, Between>(&base()), Ok(Between { user: 7, theme: String::new() }));
}

#[test]
fn a_rename_loses_the_value_on_old_nodes() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Before {
        #[serde(default)]
        name: String,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Strict {
        name: String,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Aliased {
        #[serde(alias = "name", default)]
        display_name: String,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Renamed {
        #[serde(rename = "name", alias = "display_name", default)]
        display_name: String,
    }
    let jane = || "jane".to_owned();
    let aliased = Aliased { display_name: jane() };
    let renamed = Renamed { display_name: jane() };
    assert_eq!(read::<_, Aliased>(&Before { name: jane() }), Ok(Aliased { display_name: jane() }));
    assert_eq!(read::<_, Before>(&aliased), Ok(Before { name: String::new() }), "lost");
    assert_eq!(read::<_, Strict>(&aliased), Err("missing field `name`".into()));
    // By way of a release that reads both and writes the old one.
    assert_eq!(read::<_, Before>(&renamed), Ok(Before { name: jane() }));
    assert_eq!(read::<_, Renamed>(&aliased), Ok(Renamed { display_name: jane() }));
    assert_eq!(read::<_, Aliased>(&renamed), Ok(aliased));
}

#[test]
fn a_type_is_changed_by_a_schema_alone() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Text {
        user: String,
    }
    let text = || Text { user: "7".into() };
    assert!(read::<_, Text>(&base()).unwrap_err().starts_with("invalid type"));
    assert!(read::<_, Base>(&text()).unwrap_err().starts_with("invalid type"));
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Narrow {
        user: Option<u8>,
    }
    assert_eq!(read::<_, Narrow>(&base()), Ok(Narrow { user: Some(7) }), "it fits");

    let old = Codec::<Base>::builder(ring()).schema(1).build().unwrap();
    let new = Codec::<Text>::builder(ring())
        .schema(2)
        .migration(1, |old: Base| Text { user: old.user.to_string() })
        .build()
        .unwrap();
    let mut browser = Browser::default();
    browser.take(&old.renew_at(&base(), &old.request([""]), at(0)).unwrap());
    let header = browser.header();
    let opened = new.decode_at(&new.request([&header]), at(1)).unwrap().unwrap();
    assert_eq!(opened.session, text());
}

#[test]
fn a_variant_is_known_one_release_before_it_is_made() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Before {
        Password,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum After {
        Password,
        Passkey { id: String },
    }
    assert_eq!(read::<_, After>(&Before::Password), Ok(After::Password));
    assert_eq!(read::<_, Before>(&After::Password), Ok(Before::Password));
    let why = read::<_, Before>(&After::Passkey { id: "secret".into() }).unwrap_err();
    assert_eq!(why, "unknown variant, expected `Password`");
}

#[test]
fn after_a_bad_release_nothing_is_lost_and_a_migration_begins_anew() {
    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Careless {
        user: u64,
        locale: String,
    }
    let old = Codec::<Base>::new(ring());
    let mut browser = Browser::default();
    browser.take(&old.renew_at(&base(), &old.request([""]), at(0)).unwrap());
    let header = browser.header();

    let bad = Codec::<Careless>::new(ring());
    let request = bad.request([&header]);
    let refused = bad.encode_at(&Careless::default(), &request, at(1));
    assert!(matches!(refused, Err(EncodeError::WouldReplace(DecodeError::Deserialize(_)))));
    assert!(bad.touch_at(&request, at(1)).is_empty());
    assert!(old.decode_at(&old.request([&header]), at(1)).is_ok(), "after a roll-back");

    let forward = Codec::<Careless>::builder(ring())
        .schema(1)
        .migration(0, |_: IgnoredAny| Careless::default())
        .build()
        .unwrap();
    let opened = forward.decode_at(&forward.request([&header]), at(1)).unwrap().unwrap();
    assert_eq!(opened.session, Careless::default());
}

#[cfg(all(feature = "postcard", feature = "bincode"))]
#[test]
fn a_positional_session_is_read_by_its_own_format_or_by_a_migration_that_says_so() {
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Written {
        theme: u8,
        admin: bool,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Reordered {
        admin: bool,
        theme: u8,
    }
    let written = Written { theme: 1, admin: false };
    for format in [Format::Postcard, Format::Bincode] {
        let from = Codec::<Written>::builder(ring()).format(format).schema(1).build().unwrap();
        let mut browser = Browser::default();
        browser.take(&from.renew_at(&written, &from.request([""]), at(0)).unwrap());
        let header = browser.header();
        let refused = |codec: &Codec<Reordered>| {
            let request = codec.request([&header]);
            let found = codec.decode_at(&request, at(1));
            assert!(matches!(found, Err(DecodeError::UnsupportedFormat)), "{format}: {found:?}");
            let reordered = Reordered { admin: true, theme: 1 };
            let refused = codec.encode_at(&reordered, &request, at(1));
            assert!(matches!(refused, Err(EncodeError::WouldReplace(_))));
        };
        let other = if format == Format::Postcard { Format::Bincode } else { Format::Postcard };
        for to in formats().into_iter().chain([other]) {
            let to = || Codec::<Reordered>::builder(ring()).format(to);
            refused(&to().schema(1).build().unwrap());
            let migrate = |old: Written| Reordered { admin: old.admin, theme: old.theme };
            // One that does not name the format is for the named ones, and for the codec's own.
            refused(&to().schema(2).migration(1, migrate).build().unwrap());
            for schema in [1, 2] {
                let codec = to().schema(schema).migration_in(1, format, migrate).build().unwrap();
                let request = codec.request([&header]);
                let opened = codec.decode_at(&request, at(1)).unwrap().unwrap();
                assert_eq!(opened.session, Reordered { admin: false, theme: 1 });
                // It changes over when it is due.
                let touched = codec.touch_at(&request, at(8640));
                let mut browser = Browser::default();
                browser.take(&touched);
                let header = browser.header();
                let opened = codec.decode_at(&codec.request([&header]), at(8640)).unwrap().unwrap();
                assert_eq!((opened.schema, opened.session.admin), (schema, false));
                assert_ne!(opened.format, format);
            }
        }
        let same = || Codec::<Reordered>::builder(ring()).format(format).schema(1);
        assert!(same().migration_in(1, format, |_: Written| unreachable!()).build().is_err());
        assert!(same().migration_in(2, other, |_: Written| unreachable!()).build().is_err());
    }
}
