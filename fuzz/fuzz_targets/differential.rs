//! What has two readers reads the same in both: a header cut by us and one cut by the `cookie` crate, a session
//! for a server and one for the inspector, and one session in two releases of its type.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sealed_session::{Codec, DecodeError};
use sealed_session_fuzz::{NAME, at, builder, seal};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Old {
    user: u64,
    name: String,
    #[serde(default)]
    gone: Vec<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct New {
    #[serde(default)]
    added: Option<bool>,
    name: String,
    user: u64,
}

static OLD: LazyLock<Codec<Old>> = LazyLock::new(|| builder().build().expect("settings"));
static NEW: LazyLock<Codec<New>> = LazyLock::new(|| builder().build().expect("settings"));

fuzz_target!(|input: (&str, &[u8])| {
    let (neighbours, message) = input;
    if neighbours.len() + message.len() > 9000 {
        return;
    }
    // Other cookies around ours, cut by another parser.
    let header = neighbours.replacen('|', &format!("; {NAME}={}; ", seal(message)), 1);
    let whole = OLD.request([&header]);
    let pairs = cookie::Cookie::split_parse(&header).flatten();
    let ours = pairs.filter(|cookie| cookie.name() == NAME);
    let ours: Vec<_> = ours.map(|cookie| format!("{NAME}={}", cookie.value())).collect();
    let cut = OLD.request(&ours);
    let decoded = OLD.decode_at(&whole, at(0));
    // That crate leaves out what has no valid name, and so knows less of a header than we do.
    let other = OLD.decode_at(&cut, at(0));
    if let (Ok(Some(ours)), Ok(Some(theirs))) = (&decoded, &other) {
        assert_eq!(ours.session, theirs.session);
    }

    let header = format!("{NAME}={}", seal(message));
    let request = OLD.request([&header]);
    let decoded = OLD.decode_at(&request, at(0));
    let [inspected] = &OLD.inspect_at(&request, at(0))[..] else { panic!("one value") };
    match (&decoded, &inspected.contents) {
        (Ok(Some(opened)), Ok(contents)) => {
            assert_eq!(contents.session.as_ref().expect("opens"), &opened.session);
            assert_eq!(
                (contents.began, contents.sealed, contents.expires, contents.id),
                (opened.began, opened.sealed, opened.expires, opened.id)
            );
        }
        (Ok(_), _) => panic!("{inspected:?}"),
        // What is over, or of another schema, can be looked at.
        (Err(DecodeError::Deserialize(_)), Ok(contents)) => assert!(contents.session.is_err()),
        (Err(DecodeError::Expired(_) | DecodeError::FromFuture { .. }), _)
        | (Err(DecodeError::NewerSchema { .. } | DecodeError::NoMigration { .. }), _) => {}
        (Err(decoded), Ok(contents)) => panic!("{decoded}, but {contents:?}"),
        (Err(decoded), Err(inspected)) => assert_eq!(decoded.to_string(), inspected.to_string()),
    }

    // A session of one release, read and written by the other.
    if let Ok(Some(old)) = decoded {
        let Ok(set) = OLD.renew_at(&old.session, &OLD.request([""]), at(0)) else { return };
        let values: Vec<_> =
            set.values().map(|line| line.split(';').next().expect("a pair")).collect();
        let request = NEW.request(values);
        let new = NEW.decode_at(&request, at(1)).expect("reads").expect("is there").session;
        assert_eq!((new.user, &new.name), (old.session.user, &old.session.name));
        assert!(
            NEW.encode_at(&new, &request, at(1)).expect("fits").is_empty(),
            "a read writes nothing"
        );
        let Ok(set) = NEW.renew_at(&new, &NEW.request([""]), at(1)) else { return };
        let values: Vec<_> =
            set.values().map(|line| line.split(';').next().expect("a pair")).collect();
        let back =
            OLD.decode_at(&OLD.request(values), at(2)).expect("reads").expect("is there").session;
        assert_eq!(
            (back.user, back.name, back.gone),
            (old.session.user, old.session.name, Vec::new())
        );
    }
});
