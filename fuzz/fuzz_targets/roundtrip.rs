//! Any session under any setting comes back equal, or is refused by name and sets nothing.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sealed_session::{Compression, EncodeError, Format, Limits, Padding};
use sealed_session_fuzz::universe::{Rich, Spelled};
use sealed_session_fuzz::{at, builder};
use serde::{Deserialize, Serialize};

#[derive(Debug, Arbitrary, Serialize, Deserialize)]
struct Session {
    text: String,
    token: Vec<u8>,
    kind: Kind,
    map: std::collections::BTreeMap<String, (u8, String)>,
    nested: Option<Box<Session>>,
    spelled: Vec<Spelled>,
    rich: Vec<Rich>,
}

#[derive(Debug, Arbitrary, Serialize, Deserialize)]
enum Kind {
    Unit,
    Newtype(String),
    Tuple(i64, char),
    Struct { repeated: String, float: u32 },
}

/// How deep the session is, and whether it holds nothing but what each format can write.
fn depth(session: &Session) -> (usize, bool) {
    let (depth, is_plain) = session.nested.as_ref().map_or((0, true), |nested| depth(nested));
    (depth + 1, is_plain && session.rich.is_empty())
}

fuzz_target!(|input: (Session, u8, u8, bool, bool)| {
    let (mut session, format, compression, pads, ids) = input;
    // Strings that packing treats in its own way do not come about by chance.
    session.text = session.text.repeat(1 + session.token.len() % 8);
    let formats = [Format::MessagePack, Format::Json, Format::Postcard, Format::Bincode];
    let compressions = [
        Compression::Adaptive,
        Compression::Smallest,
        Compression::Off,
        Compression::DangerousOneContext,
    ];
    let mut builder = builder::<Session>()
        .format(formats[usize::from(format) % formats.len()])
        .compression(compressions[usize::from(compression) % compressions.len()])
        .padding(if pads { Padding::Padme } else { Padding::DangerousNone })
        .limits(if format & 0x80 == 0 { Limits::NGINX_PROXY_BUFFER_16K } else { Limits::default() })
        .schema(3);
    if ids {
        builder = builder.session_ids();
    }
    let codec = builder.build().expect("settings");
    let set = match codec.encode_at(&session, &codec.request([""]), at(0)) {
        Ok(set) => set,
        Err(EncodeError::TooLarge(large)) => return assert!(large.needed > large.allowed),
        Err(EncodeError::Serialize(_)) => {
            let (depth, is_plain) = depth(&session);
            return assert!(!is_plain || depth > 50, "nested too deeply");
        }
        Err(error) => panic!("{error}"),
    };
    assert!(set.values().all(|line| line.len() <= 4000));
    let pairs: Vec<_> = set.values().map(|line| line.split(';').next().unwrap()).collect();
    let request = codec.request(pairs);
    let opened = codec.decode_at(&request, at(1)).expect("opens").expect("is there");
    // A NaN is not equal to itself.
    assert_eq!(format!("{:?}", opened.session), format!("{session:?}"));
    assert!(codec.encode_at(&session, &request, at(1)).expect("seals").is_empty());
});
