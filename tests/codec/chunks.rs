//! One session over several cookies: every way in which a browser, a proxy or an attacker can tear it.

use std::time::Duration;

use sealed_session::{Advice, Codec, Compression, DecodeError, KeyRing, Limits, RingKey};

use super::browser::Browser;
use super::{at, key, noise, ring};

const NAME: &str = "__Host-session";

fn codec() -> Codec<String> {
    Codec::builder(ring())
        .limits(Limits::NGINX_PROXY_BUFFER_16K.cookie_bytes(3600))
        .compression(Compression::Off)
        .build()
        .unwrap()
}

fn browser(codec: &Codec<String>, len: usize) -> Browser {
    let mut browser = Browser::default();
    write(codec, &mut browser, len);
    browser
}

fn write(codec: &Codec<String>, browser: &mut Browser, len: usize) {
    let header = browser.header();
    let set = codec.encode_at(&noise(len), &codec.request([&header]), at(0)).unwrap();
    browser.take(&set);
}

fn read(codec: &Codec<String>, header: &str) -> Result<Option<usize>, String> {
    match codec.decode_at(&codec.request([header]), at(1)) {
        Ok(Some(opened)) => {
            assert_eq!(opened.session, noise(opened.session.len()));
            Ok(Some(opened.session.len()))
        }
        Ok(None) => Ok(None),
        Err(error) => {
            let debug = format!("{error:?}");
            Err(debug.split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned())
        }
    }
}

#[test]
fn a_session_grows_and_shrinks_and_leaves_nothing_behind() {
    let codec = codec();
    let mut browser = Browser::default();
    for (len, cookies) in [
        (10, 1),
        (4000, 2),
        (7000, 3),
        (8600, 4),
        (8500, 4),
        (3500, 2),
        (10, 1),
        (8600, 4),
        (10, 1),
    ] {
        write(&codec, &mut browser, len);
        assert_eq!(browser.cookies.len(), cookies, "{len}");
        assert_eq!(read(&codec, &browser.header()), Ok(Some(len)));
    }
    assert_eq!(browser.names(), [NAME]);
}

#[test]
fn chunks_may_come_in_any_order_and_in_any_number_of_headers() {
    let codec = codec();
    let browser = browser(&codec, 8600);
    let mut pairs: Vec<_> = browser.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
    pairs.reverse();
    let opened = codec.decode_at(&codec.request(&pairs), at(0)).unwrap().unwrap();
    assert_eq!(opened.session, noise(8600));
    let owned = codec.request(&pairs).into_owned();
    drop(pairs);
    assert_eq!(codec.decode_at(&owned, at(0)).unwrap().unwrap().session, noise(8600));
}

#[test]
fn each_way_to_tear_the_chunks_has_its_outcome() {
    let codec = codec();
    let four = browser(&codec, 8600);
    let other = browser(&codec, 8600);
    let one = browser(&codec, 10);
    let name = |i: usize| if i == 0 { NAME.to_owned() } else { format!("{NAME}.{i}") };
    let with = |changes: &[(usize, Option<&str>)]| {
        let mut browser = four.clone();
        for (i, value) in changes {
            match value {
                Some(value) => browser.cookies.insert(name(*i), (*value).to_owned()),
                None => browser.cookies.remove(&name(*i)),
            };
        }
        browser.header()
    };
    let value = |browser: &Browser, i| browser.cookies[&name(i)].clone();

    assert_eq!(read(&codec, &with(&[])), Ok(Some(8600)));
    // Missing.
    assert_eq!(read(&codec, &with(&[(0, None)])), Ok(None), "strays without a base are no session");
    for i in 1..=3 {
        assert_eq!(read(&codec, &with(&[(i, None)])), Err("MissingChunk".into()), "{i}");
        assert_eq!(read(&codec, &with(&[(i, Some(""))])), Err("MixedChunks".into()), "{i}");
        // Of another write.
        let theirs = value(&other, i);
        assert_eq!(read(&codec, &with(&[(i, Some(&theirs))])), Err("MixedChunks".into()), "{i}");
        // Planted with the right tag.
        let planted = format!("{}AAAA", &value(&four, i)[..4]);
        let with_planted = with(&[(i, Some(&planted))]);
        assert!(
            matches!(read(&codec, &with_planted), Err(e) if e == "InvalidTag" || e == "Malformed")
        );
    }
    let (first, second) = (value(&four, 1), value(&four, 2));
    let swapped = with(&[(1, Some(&second)), (2, Some(&first))]);
    assert_eq!(read(&codec, &swapped), Err("InvalidTag".into()), "swapped");
    let doubled = with(&[(2, Some(&first))]);
    assert_eq!(read(&codec, &doubled), Err("InvalidTag".into()), "one in the place of another");
    // The base of another write.
    let base = value(&other, 0);
    assert_eq!(read(&codec, &with(&[(0, Some(&base))])), Err("MixedChunks".into()));
    // Single while strays stand, and strays beyond the announced.
    let single = value(&one, 0);
    assert_eq!(read(&codec, &with(&[(0, Some(&single))])), Ok(Some(10)), "strays are ignored");
    assert_eq!(read(&codec, &with(&[(4, Some("x")), (8, Some("y"))])), Ok(Some(8600)));
    // Duplicates: equal ones, and different ones before and after.
    let header = with(&[]);
    assert_eq!(read(&codec, &format!("{header}; {header}")), Ok(Some(8600)));
    let theirs = other.header();
    let both = read(&codec, &format!("{theirs}; {header}"));
    assert_eq!(both, Ok(Some(8600)), "each base finds the chunks of its own write");
    let junk = format!("{NAME}=junk; {NAME}.1=junk; {NAME}.2=; {header}");
    assert_eq!(read(&codec, &junk), Ok(Some(8600)));
}

#[test]
fn of_two_sessions_the_one_sealed_last_counts_in_either_order() {
    let codec = codec();
    let seal = |session: &str, second| {
        let set = codec.renew_at(&session.to_owned(), &codec.request([""]), at(second)).unwrap();
        set.values().next().unwrap().split(';').next().unwrap().to_owned()
    };
    let (old, new) = (seal("old", 10), seal("new", 20));
    for header in [format!("{old}; {new}"), format!("{new}; {old}")] {
        let opened = codec.decode_at(&codec.request([&header]), at(30)).unwrap().unwrap();
        assert_eq!(opened.session, "new");
    }
}

#[test]
fn of_two_sessions_sealed_at_once_the_first_counts() {
    let codec = codec();
    let [one, two] = ["one", "two"].map(|session| {
        let set = codec.renew_at(&session.to_owned(), &codec.request([""]), at(0)).unwrap();
        set.values().next().unwrap().split(';').next().unwrap().to_owned()
    });
    let opened = codec.decode_at(&codec.request([&one, &two]), at(0)).unwrap().unwrap();
    assert_eq!(opened.session, "one");
}

#[test]
fn where_nothing_opens_the_error_of_most_care_is_told_and_of_equals_the_first() {
    let codec = codec();
    let of_key = |n| {
        let codec = Codec::<String>::new(key(n));
        let set = codec.renew_at(&String::new(), &codec.request([""]), at(0)).unwrap();
        set.values().next().unwrap().split(';').next().unwrap().to_owned()
    };
    let (unknown, other) = (of_key(7), of_key(8));
    let torn = format!("{NAME}={}", browser(&codec, 4000).cookies[NAME]);
    let malformed = format!("{NAME}=x");
    let told = |values: [&String; 2]| codec.decode_at(&codec.request(values), at(0)).unwrap_err();
    for (values, expected) in [
        ([&malformed, &torn], "a chunk of the session is missing"),
        ([&torn, &malformed], "a chunk of the session is missing"),
        ([&torn, &unknown], "is not in the ring"),
        ([&unknown, &torn], "is not in the ring"),
    ] {
        let error = told(values).to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert_ne!(told([&unknown, &other]).to_string(), told([&other, &unknown]).to_string());
    assert_eq!(told([&unknown, &other]).to_string(), told([&unknown, &unknown]).to_string());
}

#[test]
fn a_text_of_the_most_characters_is_judged_by_its_seal_and_a_longer_one_is_not_read() {
    const MOST: usize = 12_288;
    let codec = codec();
    let one = browser(&codec, 10).cookies[NAME].clone();
    let two = browser(&codec, 4000);
    let (base, further) = (&two.cookies[NAME], &two.cookies[&format!("{NAME}.1")]);
    for (chars, expected) in [(MOST, "InvalidTag"), (MOST + 2, "Malformed")] {
        let filled = |part: &str, len: usize| format!("{part}{}", "A".repeat(len - part.len()));
        let single = format!("{NAME}={}", filled(&one, chars));
        assert_eq!(read(&codec, &single), Err(expected.into()), "{chars}");
        let rest = filled(further, chars - base.len() + 4); // the set tag is no part of the text
        let both = format!("{NAME}={base}; {NAME}.1={rest}");
        assert_eq!(read(&codec, &both), Err(expected.into()), "{chars} in two");
    }
}

#[test]
fn names_that_only_look_like_ours_are_left_alone() {
    let codec = codec();
    let two = browser(&codec, 4000);
    let value = &two.cookies[&format!("{NAME}.1")];
    for alike in
        [".01", ".+1", ".1x", ".-1", ".1.1", ".1e0", ".", ".9", ".10", ".0", ".x", "1", "_1", ". 1"]
    {
        let header = format!("{NAME}={}; {NAME}{alike}={value}", two.cookies[NAME]);
        assert_eq!(read(&codec, &header), Err("MissingChunk".into()), "{alike}");
    }
}

#[test]
fn more_chunks_than_allowed_are_refused_by_the_number_alone() {
    let codec = codec();
    let value = browser(&codec, 10).cookies[NAME].clone();
    // The second half of the first byte is the number.
    for (first, chunks) in [("F", 5), ("G", 9), ("H", 13)] {
        let header = format!("{NAME}={first}{}", &value[1..]);
        let error = codec.decode_at(&codec.request([&header]), at(0)).unwrap_err();
        assert!(matches!(error, DecodeError::TooManyChunks(n) if n == chunks), "{error:?}");
    }
}

#[test]
fn a_torn_session_is_kept_and_a_write_replaces_it_whole() {
    let codec = codec();
    let mut browser = browser(&codec, 8600);
    browser.cookies.remove(&format!("{NAME}.2"));
    let header = browser.header();
    let request = codec.request([&header]);
    let error = codec.decode_at(&request, at(1)).unwrap_err();
    assert_eq!((error.advice(), error.is_readable_elsewhere()), (Advice::Keep, false));
    browser.take(&codec.encode_at(&noise(10), &request, at(1)).unwrap());
    assert_eq!(browser.names(), [NAME], "the leftovers went with the write");
    assert_eq!(read(&codec, &browser.header()), Ok(Some(10)));
}

#[test]
fn nodes_with_other_limits_read_each_other() {
    let (narrow, wide) = (Codec::<String>::new(ring()), codec());
    let mut browser = browser(&wide, 8600);
    assert_eq!(read(&narrow, &browser.header()), Ok(Some(8600)), "a node that would not split");
    write(&narrow, &mut browser, 10);
    assert_eq!(browser.names(), [NAME]);
    assert_eq!(read(&wide, &browser.header()), Ok(Some(10)));
}

#[test]
fn logout_removes_each_chunk_of_the_request() {
    let codec = codec();
    let mut browser = browser(&codec, 8600);
    browser.cookies.insert(format!("{NAME}.7"), "of an older configuration".into());
    let header = browser.header();
    let cleared = codec.clear(&codec.request([&header]));
    let removed: Vec<_> = cleared.removed().collect();
    assert_eq!(
        removed,
        [NAME, "__Host-session.1", "__Host-session.2", "__Host-session.3", "__Host-session.7"]
    );
    assert_eq!(cleared.set().count(), 0);
    browser.take(&cleared);
    assert_eq!(browser, Browser::default());
}

#[test]
fn leftovers_are_removed_as_far_as_the_response_has_room() {
    let header = format!("{NAME}.1=left; {NAME}.2=left; {NAME}.3=left");
    let removed = |room: usize| {
        let limits = Limits::UNMODIFIED_NGINX.response_bytes(room);
        let codec = Codec::<String>::builder(key(1)).limits(limits).build().unwrap();
        let set = codec.encode_at(&noise(40), &codec.request([&header]), at(0)).unwrap();
        let bytes = |line: &str| format!("Set-Cookie: {line}\r\n").len();
        (set.removed().count(), set.values().map(bytes).collect::<Vec<_>>())
    };
    let (all, bytes) = removed(1000);
    assert_eq!(all, 3);
    for count in 1..=3 {
        let room = bytes[..=count].iter().sum::<usize>();
        assert_eq!(removed(room).0, count, "with room to the byte");
        assert_eq!(removed(room - 1).0, count - 1, "with a byte less");
    }
}

#[test]
fn leftovers_beside_a_session_without_room_go_before_its_touch() {
    const TOUCH: u64 = 8640;
    let codec = Codec::<String>::builder(key(1)).build().unwrap();
    let largest = (0..4000)
        .rev()
        .find(|len| codec.encode_at(&noise(*len), &codec.request([""]), at(0)).is_ok());
    let session = noise(largest.unwrap());
    let mut browser = Browser::default();
    for i in 1..=3 {
        browser.cookies.insert(format!("{NAME}.{i}"), "left".repeat(900));
    }
    let turn = |browser: &mut Browser, second| {
        let header = browser.header();
        let set = codec.encode_at(&session, &codec.request([&header]), at(second)).unwrap();
        browser.take(&set);
        (set.set().count(), set.removed().count())
    };
    assert_eq!(turn(&mut browser, 0), (1, 0), "no room");
    assert_eq!(turn(&mut browser, 1), (0, 0));
    assert_eq!(turn(&mut browser, TOUCH), (0, 3));
    assert_eq!(turn(&mut browser, TOUCH), (1, 0));
    assert_eq!(browser.names(), [NAME]);
}

#[test]
fn a_logout_keeps_to_the_limit_of_the_response() {
    let path = format!("/{}", "p".repeat(300));
    let codec = Codec::<u8>::builder(key(1)).name("__Secure-session").path(path).build().unwrap();
    let header = (1..=8).map(|i| format!("__Secure-session.{i}=x; ")).collect::<String>();
    let cleared = codec.clear(&codec.request([&header]));
    let lines = cleared.values().map(|value| "Set-Cookie: ".len() + value.len() + 2).sum::<usize>();
    assert!((2500..=3000).contains(&lines), "{lines}");
    assert_eq!(cleared.removed().next(), Some("__Secure-session"));
}

#[test]
fn leftovers_never_stand_in_the_way_of_a_session_at_the_limit() {
    let codec = Codec::<String>::builder(key(1)).build().unwrap();
    let mut header = String::from("x=1");
    for i in 1..=8 {
        header += &format!("; {NAME}.{i}=left");
    }
    let largest = (0..4000)
        .rev()
        .find(|len| codec.encode_at(&noise(*len), &codec.request([""]), at(0)).is_ok());
    let set = codec.encode_at(&noise(largest.unwrap()), &codec.request([&header]), at(0)).unwrap();
    assert_eq!(set.set().count(), 1);
    let lines = set.values().map(|value| "Set-Cookie: ".len() + value.len() + 2).sum::<usize>();
    assert!(lines <= 3000, "{lines}");
    let set = codec.encode_at(&noise(10), &codec.request([&header]), at(0)).unwrap();
    assert_eq!(set.removed().count(), 8, "with room, all go");
}

#[test]
fn a_browser_that_keeps_all_it_ever_saw_gets_an_old_session_or_none_and_never_a_mixture() {
    const HOUR: u64 = 3600;
    let ring = KeyRing::new([RingKey::new(key(1)), RingKey::new(key(2)).activates(at(40 * HOUR))]);
    let codec = Codec::<String>::builder(ring.unwrap())
        .limits(Limits::NGINX_PROXY_BUFFER_16K.cookie_bytes(400))
        .absolute_timeout(Duration::from_secs(150 * HOUR))
        .touch_after(Duration::from_secs(HOUR))
        .idle_timeout(Duration::from_secs(120 * HOUR))
        .build()
        .unwrap();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut below = move |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as usize % limit
    };
    // A life of logins, changes, touches and logouts over some days, of which every response is kept.
    let mut browser = Browser::default();
    let mut session = String::new();
    let mut kept: Vec<(Browser, String, u64)> = Vec::new();
    for hour in 0..100 {
        let now = at(hour * HOUR);
        let header = browser.header();
        let request = codec.request([&header]);
        let deed = below(10);
        let set = match deed {
            0 => codec.clear(&request),
            1 => {
                session = noise(1 + below(900));
                codec.renew_at(&session, &request, now).unwrap()
            }
            2..6 => {
                session = noise(1 + below(900));
                codec.encode_at(&session, &request, now).unwrap()
            }
            _ if browser.cookies.is_empty() => continue,
            _ => codec.encode_at(&session, &request, now).unwrap(),
        };
        browser.take(&set);
        if set.set().count() > 0 {
            kept.push((browser.clone(), session.clone(), hour));
        }
    }
    assert!(kept.len() > 50, "{}", kept.len());
    let (mut opened, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let now = at((100 + below(20) as u64) * HOUR);
        // Each cookie of another time, in most cases of the same.
        let one = below(kept.len());
        let mut pairs = Vec::new();
        for name in [NAME, "__Host-session.1", "__Host-session.2", "__Host-session.3"] {
            for _ in 0..1 + below(2) {
                let from = if below(4) == 0 { below(kept.len()) } else { one };
                if let Some(value) = kept[from].0.cookies.get(name) {
                    pairs.push(format!("{name}={value}"));
                }
            }
        }
        if below(2) == 0 {
            pairs.reverse();
        }
        let header = pairs.join("; ");
        let request = codec.request([&header]);
        match codec.decode_at(&request, now) {
            Ok(None) => assert!(!header.contains("session="), "{header}"),
            Ok(Some(found)) => {
                opened += 1;
                let told = |(jar, session, hour): &(Browser, String, u64)| {
                    *session == found.session
                        && at(hour * HOUR) == found.sealed
                        && jar.cookies.iter().all(|(n, v)| header.contains(&format!("{n}={v}")))
                };
                assert!(kept.iter().any(told), "no response held this session");
            }
            Err(error) => {
                refused += 1;
                assert!(
                    matches!(
                        error,
                        DecodeError::MissingChunk
                            | DecodeError::MixedChunks
                            | DecodeError::Expired(_)
                    ),
                    "{error:?}"
                );
            }
        }
    }
    assert!(opened > 500 && refused > 5000, "{opened} opened, {refused} refused");
}
