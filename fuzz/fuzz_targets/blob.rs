//! What a store may answer: any bytes, and any change of what was stored. It opens only if nothing was changed, and the
//! cookie goes on; nor is any text the reference of an attached value that panics.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sealed_session::store::{BlobError, MemoryStore};
use sealed_session::{Attached, Codec, Compression, DecodeError};
use sealed_session_fuzz::{at, builder};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Session {
    text: String,
    beside: Attached<String>,
}

struct World {
    codec: Codec<Session>,
    header: String,
    session: Session,
    blob: Vec<u8>,
    beside: Vec<u8>,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let builder = builder().compression(Compression::Off).overflow(MemoryStore::new());
    let codec = builder.build().expect("settings");
    let session = Session { text: "x".repeat(30_000), beside: Attached::new("beside".into()) };
    let set = codec.renew_at(&session, &codec.request([""]), at(0)).expect("it overflows");
    let header = set.values().next().and_then(|line| line.split(';').next()).expect("a cookie");
    let [blob, beside] = set.blobs() else { panic!("two blobs") };
    let (blob, beside) = (blob.bytes.clone(), beside.bytes.clone());
    World { header: header.to_owned(), codec, session, blob, beside }
});

fuzz_target!(|answer: (Option<(Vec<(u16, u8)>, u16)>, &[u8], &str)| {
    let World { codec, header, session, blob, beside } = &*WORLD;
    let (changes, bytes, reference) = answer;
    let changed = |stored: &[u8]| match &changes {
        // Any bytes.
        None => bytes.to_vec(),
        // Changes of what was stored.
        Some((changes, cut)) => {
            let mut changed = stored.to_vec();
            for (place, byte) in changes {
                let place = usize::from(*place) % changed.len();
                changed[place] = *byte;
            }
            changed.truncate(changed.len().saturating_sub(usize::from(*cut)));
            changed.extend_from_slice(bytes);
            changed
        }
    };
    let request = codec.request([header]);
    let answered = changed(blob);
    let found = codec.decode_with_at(&request, Ok(Some(answered.clone())), at(0));
    let opened = match found {
        Ok(Some(opened)) => {
            assert!(answered == *blob && opened.session == *session);
            opened.session
        }
        Err(DecodeError::Blob(BlobError::Unauthentic)) => {
            assert_ne!(answered, *blob);
            // The next write replaces it.
            let set = codec.encode_at(session, &request, at(0)).expect("it is replaced");
            assert!(!set.is_empty());
            return;
        }
        other => panic!("{other:?}"),
    };
    let answered = changed(beside);
    match codec.load_with(&opened.beside, Ok(Some(answered.clone()))) {
        Ok(value) => {
            assert_eq!(answered, *beside);
            assert_eq!(value.expect("a value").as_str(), "beside");
        }
        Err(DecodeError::Blob(BlobError::Unauthentic)) => assert_ne!(answered, *beside),
        other => panic!("{other:?}"),
    }
    let json = serde_json::json!({ "text": "", "beside": reference }).to_string();
    if let Ok(Session { beside, .. }) = serde_json::from_str(&json) {
        assert_eq!(beside.is_empty(), reference.is_empty());
        assert!(beside.is_empty() || codec.load_with(&beside, Ok(Some(bytes.to_vec()))).is_err());
    }
});
