//! A browser's jar under responses that come late, twice, in part or not at all, while time passes and keys rotate:
//! a session that opens is one that was written, whole; a look changes nothing of it; and after a quiet write
//! nothing else is left.
#![no_main]

use std::collections::BTreeMap;
use std::time::SystemTime;

use arbitrary::Arbitrary;
use cookie::Cookie;
use libfuzzer_sys::fuzz_target;
use sealed_session::{Codec, Compression, Key, RingKey, SetCookies};
use sealed_session_fuzz::{at, builder};

#[derive(Debug, Arbitrary)]
enum Event {
    /// A request is answered by a session of this size; the response arrives later, or never.
    Write(u16),
    /// The response of this number arrives, for the first time or again.
    Arrive(u8),
    /// Only some of the lines of that response arrive, by the bits.
    ArrivePart(u8, u8),
    /// The browser drops one of its cookies.
    Evict(u8),
    /// Somebody sets a cookie of ours.
    Plant(u8, String),
    Logout,
    /// So many minutes pass.
    Wait(u16),
    /// A request reads the session. If it is due, it is sealed again, and the response arrives.
    Look,
    /// A newer key becomes the primary.
    Rotate,
}

type Jar = BTreeMap<String, String>;

fuzz_target!(|events: Vec<Event>| {
    let codec = builder::<(u32, String)>().compression(Compression::Off).build().expect("settings");
    let mut jar = Jar::new();
    let mut responses: Vec<SetCookies> = Vec::new();
    let mut written = 0;
    let (mut now, mut newest) = (0, 0);
    for event in events.into_iter().take(40) {
        match event {
            Event::Write(size) => {
                written += 1;
                let session = (written, noise(written, usize::from(size) % 9100));
                let header = header(&jar);
                if let Ok(set) = codec.encode_at(&session, &codec.request([&header]), at(now)) {
                    responses.push(set);
                }
            }
            Event::Arrive(n) => arrive(&mut jar, &responses, n, 0xff),
            Event::ArrivePart(n, lines) => arrive(&mut jar, &responses, n, lines),
            Event::Evict(n) => {
                let name = jar.keys().nth(usize::from(n)).cloned();
                name.map(|name| jar.remove(&name));
            }
            Event::Plant(n, value) if value.bytes().all(|c| c.is_ascii_graphic() && c != b';') => {
                let name =
                    if n == 0 { codec.name().to_owned() } else { format!("{}.{n}", codec.name()) };
                jar.insert(name, value);
            }
            Event::Plant(..) => {}
            Event::Logout => {
                let header = header(&jar);
                responses.push(codec.clear(&codec.request([&header])));
            }
            Event::Wait(minutes) => now += u64::from(minutes) * 60,
            Event::Look => look(&codec, &mut jar, at(now)),
            Event::Rotate => {
                newest += 1;
                let keys =
                    (0..=newest.min(60)).map(|n| RingKey::new(key(n)).activates(at(n.into())));
                codec.ring().replace(keys).expect("a ring");
            }
        }
        let header = header(&jar);
        if let Ok(Some(opened)) = codec.decode_at(&codec.request([&header]), at(now)) {
            let (n, text) = opened.session;
            assert!(n <= written, "nobody wrote this");
            assert_eq!(text, noise(n, text.len()), "a mixture of two sessions");
        }
    }
    // A quiet write, of which everything arrives.
    let header = header(&jar);
    let request = codec.request([&header]);
    let set = codec.renew_at(&(0, String::new()), &request, at(now)).expect("fits");
    responses.push(set);
    arrive(&mut jar, &responses[responses.len() - 1..], 0, 0xff);
    let ours = jar.keys().filter(|name| {
        name.as_str() == codec.name()
            || name
                .strip_prefix(codec.name())
                .is_some_and(|suffix| matches!(suffix.as_bytes(), [b'.', b'1'..=b'8']))
    });
    assert_eq!(ours.count(), 1, "leftovers: {jar:?}");
});

/// What is only read stays the same session, of the same beginning.
fn look(codec: &Codec<(u32, String)>, jar: &mut Jar, now: SystemTime) {
    let before = header(jar);
    let request = codec.request([&before]);
    let Ok(Some(opened)) = codec.decode_at(&request, now) else { return };
    let set =
        codec.encode_at(&opened.session, &request, now).expect("an unchanged session is no error");
    let due = opened.reseal.is_some();
    assert!(due || set.is_empty(), "a quiet read writes nothing");
    arrive(jar, &[set], 0, 0xff);
    let after = header(jar);
    let again = codec.decode_at(&codec.request([&after]), now).expect("opens").expect("a session");
    // Of several values of the base cookie the jar here has one, so it is this session.
    assert_eq!((again.session, again.began), (opened.session, opened.began));
}

/// The first is that of the other targets.
fn key(n: u8) -> Key {
    let mut secret = sealed_session_fuzz::SECRET;
    secret[0] ^= n;
    Key::from_bytes(secret).expect("the key is a key")
}

fn arrive(jar: &mut Jar, responses: &[SetCookies], n: u8, lines: u8) {
    let Some(set) = responses.get(usize::from(n)) else { return };
    for (i, line) in set.values().enumerate() {
        let cookie = Cookie::parse(line).unwrap();
        if lines & 1 << (i % 8) == 0 {
            continue;
        }
        if cookie.max_age().is_some_and(|age| age.is_zero()) {
            jar.remove(cookie.name());
        } else {
            jar.insert(cookie.name().to_owned(), cookie.value().to_owned());
        }
    }
}

fn header(jar: &Jar) -> String {
    jar.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
}

/// Text that tells of which write it is, at every place.
fn noise(n: u32, len: usize) -> String {
    format!("{n}, ").repeat(len / 3 + 1).chars().take(len).collect()
}
