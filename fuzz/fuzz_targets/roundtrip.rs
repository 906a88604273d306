//! Any session under any setting comes back, or is refused by name and sets nothing.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sealed_session::{Compression, EncodeError, Format, Limits, Padding};
use sealed_session_fuzz::{at, builder};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Arbitrary, Serialize, Deserialize)]
struct Session {
    text: String,
    token: Vec<u8>,
    kind: Kind,
    map: std::collections::BTreeMap<String, (u8, String)>,
    nested: Option<Box<Session>>,
}

#[derive(Debug, PartialEq, Arbitrary, Serialize, Deserialize)]
enum Kind {
    Unit,
    Newtype(String),
    Tuple(i64, char),
    Struct { repeated: String, float: u32 },
}

fn depth(session: &Session) -> usize {
    session.nested.as_ref().map_or(1, |nested| 1 + depth(nested))
}

fuzz_target!(|input: (Session, u8, u8, bool, bool)| {
    let (mut session, format, compression, pads, ids) = input;
    // Strings that packing treats in its own way do not come about by chance.
    session.text = session.text.repeat(1 + session.token.len() % 8);
    let formats = [Format::MessagePack, Format::Json, Format::Postcard, Format::Bincode];
    let compressions = [Compression::Adaptive, Compression::Smallest, Compression::Off];
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
            return assert!(depth(&session) > 50, "nested too deeply");
        }
        Err(error) => panic!("{error}"),
    };
    assert!(set.values().all(|line| line.len() <= 4000));
    let pairs: Vec<_> = set.values().map(|line| line.split(';').next().unwrap()).collect();
    let request = codec.request(pairs);
    let opened = codec.decode_at(&request, at(1)).expect("opens").expect("is there");
    assert_eq!(opened.session, session);
    assert!(codec.encode_at(&session, &request, at(1)).expect("seals").is_empty());
});
