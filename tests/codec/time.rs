//! Time is sealed, and judged by the reader's clock.

use std::time::{Duration, SystemTime};

use sealed_session::{
    Advice, Codec, DecodeError, EncodeError, Expiry, Lifetime, Persistence, Reseal, RingKey,
};

use super::browser::Browser;
use super::{at, key, ring};

const ABSOLUTE: u64 = 1000;
const IDLE: u64 = 100;
const TOUCH: u64 = 30;
const SKEW: u64 = 5;

fn codec() -> Codec<u8> {
    Codec::builder(ring())
        .absolute_timeout(Duration::from_secs(ABSOLUTE))
        .idle_timeout(Duration::from_secs(IDLE))
        .touch_after(Duration::from_secs(TOUCH))
        .clock_skew(Duration::from_secs(SKEW))
        .build()
        .unwrap()
}

fn browser(now: SystemTime) -> Browser {
    let mut browser = Browser::default();
    let codec = codec();
    browser.take(&codec.encode_at(&1, &codec.request([""]), now).unwrap());
    browser
}

#[test]
fn each_edge_of_time_is_exact() {
    let header = browser(at(0)).header();
    let codec = codec();
    let read = |now| codec.decode_at(&codec.request([&header]), now);
    for second in [0, 1, IDLE - 1] {
        assert!(read(at(second)).unwrap().is_some(), "{second}");
    }
    assert!(matches!(read(at(IDLE)), Err(DecodeError::Expired(Expiry::Idle))));
    assert!(matches!(read(at(ABSOLUTE)), Err(DecodeError::Expired(Expiry::Absolute))));
    let before = |seconds| at(0) - Duration::from_secs(seconds);
    assert!(read(before(SKEW)).unwrap().is_some());
    let future = read(before(SKEW + 1)).unwrap_err();
    assert!(matches!(future, DecodeError::FromFuture { by } if by.as_secs() == SKEW + 1));
    assert_eq!(future.advice(), Advice::Keep, "it may be our clock that is wrong");
    assert!(matches!(read(SystemTime::UNIX_EPOCH), Err(DecodeError::FromFuture { .. })));
    let year = Duration::from_secs(31_557_600);
    let before_1970 = SystemTime::UNIX_EPOCH - year;
    assert!(matches!(read(before_1970), Err(DecodeError::FromFuture { .. })));
    let late = at(0) + year * 100_000;
    assert_eq!(read(late).unwrap_err().advice(), Advice::Clear);
}

#[test]
fn a_session_in_use_is_touched_seldom_and_ends_at_the_absolute_timeout() {
    let codec = codec();
    let mut browser = browser(at(0));
    let mut written = 0;
    let mut ended = None;
    for second in (0..2 * ABSOLUTE).step_by(10) {
        let header = browser.header();
        let request = codec.request([&header]);
        let opened = match codec.decode_at(&request, at(second)) {
            Ok(opened) => opened.unwrap(),
            Err(error) => {
                ended = Some((second, error));
                break;
            }
        };
        assert_eq!(opened.began, at(0));
        let due = opened.reseal.is_some();
        assert_eq!(opened.reseal, due.then_some(Reseal::Touch));
        let lives = opened.expires.duration_since(opened.sealed).unwrap().as_secs();
        let since = opened.sealed.duration_since(opened.began).unwrap().as_secs();
        assert_eq!(lives, IDLE.min(ABSOLUTE - since));
        let set = codec.encode_at(&opened.session, &request, at(second)).unwrap();
        assert_eq!(set.is_empty(), !due);
        written += u64::from(due);
        browser.take(&set);
    }
    let (second, error) = ended.unwrap();
    assert_eq!(second, ABSOLUTE);
    assert!(matches!(error, DecodeError::Expired(Expiry::Absolute)));
    assert_eq!(written, ABSOLUTE / TOUCH, "once for each touch threshold");
}

#[test]
fn writing_after_the_end_begins_a_new_session() {
    let codec = codec();
    let mut browser = browser(at(0));
    let header = browser.header();
    browser.take(&codec.encode_at(&2, &codec.request([&header]), at(IDLE)).unwrap());
    let header = browser.header();
    let opened = codec.decode_at(&codec.request([&header]), at(IDLE)).unwrap().unwrap();
    assert_eq!((opened.session, opened.began), (2, at(IDLE)));
}

#[test]
fn a_clock_set_back_makes_no_session_younger() {
    let codec = codec();
    let mut browser = browser(at(SKEW));
    let header = browser.header();
    browser.take(&codec.encode_at(&2, &codec.request([&header]), at(0)).unwrap());
    let header = browser.header();
    let opened = codec.decode_at(&codec.request([&header]), at(0)).unwrap().unwrap();
    assert_eq!((opened.session, opened.began, opened.sealed), (2, at(SKEW), at(SKEW)));

    // Nor one that is only sealed again, by a newer key.
    let keys = [RingKey::new(key(1)), RingKey::new(key(2)).activates(at(0))];
    codec.ring().replace(keys).unwrap();
    browser.take(&codec.encode_at(&2, &codec.request([&header]), at(1)).unwrap());
    let header = browser.header();
    let opened = codec.decode_at(&codec.request([&header]), at(1)).unwrap().unwrap();
    assert_eq!((opened.key, opened.began, opened.sealed), (key(2).id(), at(SKEW), at(SKEW)));
}

#[test]
fn browsers_are_told_how_long_to_keep_the_cookie() {
    let line = |codec: &Codec<u8>, header: &str, second| {
        let set = codec.encode_at(&2, &codec.request([header]), at(second)).unwrap();
        set.values().next().unwrap().to_owned()
    };
    let codec = codec();
    assert!(line(&codec, "", 0).ends_with("; Max-Age=100"));
    let mut browser = browser(at(0));
    for second in (90..ABSOLUTE - 90).step_by(90) {
        let header = browser.header();
        browser.take(&codec.encode_at(&1, &codec.request([&header]), at(second)).unwrap());
    }
    assert!(line(&codec, &browser.header(), 970).ends_with("; Max-Age=30"), "the rest of its life");
    let unlimited =
        Codec::<u8>::builder(ring()).persistence(Persistence::BrowserSession).build().unwrap();
    assert!(!line(&unlimited, "", 0).contains("Max-Age"));
}

#[test]
fn renewing_begins_anew_and_gives_a_new_id() {
    let codec = Codec::<u8>::builder(ring()).session_ids().build().unwrap();
    let mut browser = Browser::default();
    browser.take(&codec.encode_at(&1, &codec.request([""]), at(0)).unwrap());
    let read = |browser: &Browser, second| {
        let header = browser.header();
        codec.decode_at(&codec.request([&header]), at(second)).unwrap().unwrap()
    };
    let first = read(&browser, 1);
    let header = browser.header();
    browser.take(&codec.encode_at(&2, &codec.request([&header]), at(2)).unwrap());
    let changed = read(&browser, 2);
    assert_eq!((changed.id, changed.began), (first.id, at(0)), "a change goes on");
    assert!(first.id.is_some());
    let header = browser.header();
    let set = codec.renew_at(&2, &codec.request([&header]), at(3)).unwrap();
    browser.take(&set);
    let renewed = read(&browser, 3);
    assert_ne!(renewed.id, first.id);
    assert_eq!(set.id(), renewed.id, "known at the login");
    let id = renewed.id.unwrap();
    let digits: String = id.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        (id.to_string(), format!("{id:?}")),
        (digits.clone(), format!("SessionId({digits})"))
    );
    assert!(id.to_bytes().iter().any(|byte| *byte != id.to_bytes()[0]));
    assert_eq!(codec.clear(&codec.request([&header])).id(), None);
    assert_eq!(renewed.began, at(3));
}

#[test]
fn the_defaults_are_a_week_a_day_and_a_minute() {
    const DAY: u64 = 86_400;
    let codec = Codec::<u8>::new(ring());
    let mut browser = Browser::default();
    browser.take(&codec.encode_at(&1, &codec.request([""]), at(0)).unwrap());
    let read = |header: &str, second| {
        codec.decode_at(&codec.request([header]), at(second)).map(Option::unwrap)
    };
    let first = browser.header();
    assert!(read(&first, DAY - 1).is_ok());
    assert!(matches!(read(&first, DAY), Err(DecodeError::Expired(Expiry::Idle))));
    for second in (0..7 * DAY).step_by(DAY as usize / 2) {
        let header = browser.header();
        browser.take(&codec.encode_at(&1, &codec.request([&header]), at(second)).unwrap());
    }
    let last = browser.header();
    assert!(read(&last, 7 * DAY - 1).is_ok());
    assert!(matches!(read(&last, 7 * DAY), Err(DecodeError::Expired(Expiry::Absolute))));

    let ahead = codec.encode_at(&1, &codec.request([""]), at(60)).unwrap();
    let ahead = ahead.values().next().unwrap().split(';').next().unwrap().to_owned();
    assert!(read(&ahead, 0).is_ok());
    let ahead = codec.encode_at(&1, &codec.request([""]), at(61)).unwrap();
    let ahead = ahead.values().next().unwrap().split(';').next().unwrap().to_owned();
    assert!(matches!(read(&ahead, 0), Err(DecodeError::FromFuture { .. })));
}

#[test]
fn what_is_not_told_the_time_reads_the_clock() {
    let codec = Codec::<u8>::new(ring());
    let mut browser = Browser::default();
    let before = SystemTime::now() - Duration::from_secs(1); // times are sealed in whole seconds
    browser.take(&codec.encode(&1, &codec.request([""])).unwrap());
    let opened = codec.decode(&codec.request([&browser.header()])).unwrap().unwrap();
    assert_eq!(opened.session, 1);
    browser.take(&codec.renew(&2, &codec.request([&browser.header()])).unwrap());
    let renewed = codec.decode(&codec.request([&browser.header()])).unwrap().unwrap();
    assert_eq!(renewed.session, 2);
    for time in [opened.began, opened.sealed, renewed.began, renewed.sealed] {
        assert!(before <= time && time <= SystemTime::now());
    }
}

#[test]
fn a_request_that_is_kept_does_not_keep_its_session_alive() {
    let codec = codec();
    let header = browser(at(0)).header();
    let request = codec.request([&header]).into_owned();
    assert!(codec.decode_at(&request, at(1)).unwrap().is_some());
    assert!(matches!(codec.decode_at(&request, at(IDLE)), Err(DecodeError::Expired(Expiry::Idle))));
    // What it opened is with the handler, and must not be sealed as a session that begins now.
    let error = codec.encode_at(&2, &request, at(IDLE)).unwrap_err();
    assert!(matches!(error, EncodeError::Ended(DecodeError::Expired(Expiry::Idle))), "{error:?}");
    assert!(!codec.renew_at(&2, &request, at(IDLE)).unwrap().is_empty(), "a login goes through");
}

#[test]
fn timeouts_are_whole_seconds() {
    let codec = Codec::<u8>::builder(ring())
        .absolute_timeout(Duration::from_millis(3_900))
        .idle_timeout(Duration::from_millis(3_900))
        .build()
        .unwrap();
    let mut browser = Browser::default();
    browser.take(&codec.encode_at(&1, &codec.request([""]), at(0)).unwrap());
    let header = browser.header();
    let read = |second| codec.decode_at(&codec.request([&header]), at(second));
    assert!(read(2).is_ok());
    assert!(matches!(read(3), Err(DecodeError::Expired(_))), "as its Max-Age says");
}

/// What one session has for its own, on a codec that allows more: 600 s in all, 50 s idle.
fn own() -> Lifetime {
    Lifetime::new()
        .absolute_timeout(Duration::from_secs(600))
        .idle_timeout(Duration::from_secs(50))
        .browser_session()
}

#[test]
fn a_session_keeps_its_own_lifetime_through_touches_and_changes() {
    let codec = codec();
    let mut browser = Browser::default();
    let login = codec.renew_with_at(&1, &codec.request([""]), own(), at(0)).unwrap();
    assert!(login.values().all(|line| !line.contains("Max-Age")), "browsers forget it");
    browser.take(&login);
    // Touched after 30 of 100 seconds idle by the codec, so after 15 of its own 50.
    for (second, session, due) in [(14, 1, false), (15, 1, true), (20, 2, false), (60, 2, true)] {
        let header = browser.header();
        let request = codec.request([&header]);
        let opened = codec.decode_at(&request, at(second)).unwrap().unwrap();
        assert_eq!((opened.lifetime, opened.reseal), (own(), due.then_some(Reseal::Touch)));
        assert_eq!(opened.expires, opened.sealed + Duration::from_secs(50));
        let set = codec.encode_at(&session, &request, at(second)).unwrap();
        assert!(set.values().all(|line| !line.contains("Max-Age")), "after {second} s");
        browser.take(&set);
    }
    let header = browser.header();
    let read = |second| codec.decode_at(&codec.request([&header]), at(second));
    assert!(read(109).is_ok());
    assert!(matches!(read(110), Err(DecodeError::Expired(Expiry::Idle))));
    assert!(matches!(read(600), Err(DecodeError::Expired(Expiry::Absolute))));

    // What begins anew has it no more, unless it says so.
    let request = codec.request([&header]);
    let mut renewed = Browser::default();
    renewed.take(&codec.renew_at(&1, &request, at(60)).unwrap());
    let opened = codec.decode_at(&codec.request([&renewed.header()]), at(60)).unwrap().unwrap();
    assert_eq!(opened.lifetime, Lifetime::new());
}

#[test]
fn no_session_outlives_the_timeouts_of_the_codec() {
    let codec = codec();
    let year = Duration::from_secs(31_557_600);
    let longer = Lifetime::new().absolute_timeout(year).idle_timeout(year);
    let mut browser = Browser::default();
    let login = codec.renew_with_at(&1, &codec.request([""]), longer, at(0)).unwrap();
    assert!(login.values().all(|line| line.ends_with("; Max-Age=100")));
    browser.take(&login);
    let header = browser.header();
    let read = |second| codec.decode_at(&codec.request([&header]), at(second));
    assert_eq!(read(IDLE - 1).unwrap().unwrap().expires, at(IDLE));
    assert!(matches!(read(IDLE), Err(DecodeError::Expired(Expiry::Idle))));
    assert!(matches!(read(ABSOLUTE), Err(DecodeError::Expired(Expiry::Absolute))));
}
