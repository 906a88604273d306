//! Any change of a sealed value: it opens only if nothing was changed.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sealed_session::Codec;
use sealed_session_fuzz::{NAME, at, builder, seal};

static CODEC: LazyLock<Codec<String>> = LazyLock::new(|| builder().build().expect("settings"));

fuzz_target!(|change: (String, Vec<(u16, u8)>, u16, &str)| {
    let (session, bytes, cut, more) = change;
    // MessagePack, began 2025-11-24, no age, one plain segment; a string of up to 31 bytes.
    let session: String = session.chars().take(7).collect();
    let mut message = vec![0x01, 0xf0, 0xe5, 0x91, 0xc9, 0x06, 0x00, 0x00];
    message.push(0xa0 | session.len() as u8);
    message.extend_from_slice(session.as_bytes());
    message.push(0x80);
    let value = seal(&message);

    let mut changed = value.clone().into_bytes();
    for (place, byte) in bytes {
        let place = usize::from(place) % changed.len();
        changed[place] = byte;
    }
    changed.truncate(changed.len().saturating_sub(usize::from(cut % 100)));
    changed.extend_from_slice(more.as_bytes());
    let header = [NAME.as_bytes(), b"=", &changed].concat();
    let found = CODEC.decode_at(&CODEC.request([&header]), at(0));
    // Space is what RFC 6265bis calls so, and no more.
    let ours = changed.split(|c| *c == b';').next().unwrap_or_default();
    let end = ours.iter().rposition(|c| !matches!(c, b' ' | b'\t')).map_or(0, |last| last + 1);
    let start = ours.iter().position(|c| !matches!(c, b' ' | b'\t')).unwrap_or(end);
    let same = &ours[start..end] == value.as_bytes();
    match found {
        Ok(Some(opened)) => assert!(same && opened.session == session),
        // What was appended may hold a second value of our name, and then the first one still counts.
        other => assert!(!same, "refused what nobody changed: {other:?}"),
    }
});
