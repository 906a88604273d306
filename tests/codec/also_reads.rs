//! Cookies of another library: read where ours is absent, until a date, and removed; and old nodes beside new ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use sealed_session::legacy::Reader;
use sealed_session::{
    Advice, Builder, Codec, ConfigError, DecodeError, EncodeError, Limits, Reseal, SetCookies,
};

use super::browser::Browser;
use super::{at, key, noise, ring};

/// The old application's session is `user.N`, with what stands for its seal.
fn reader() -> Reader<String> {
    Reader::new("old", |value| {
        let user = std::str::from_utf8(value).ok()?.strip_prefix("sealed.")?;
        Some(user.to_owned())
    })
}

const DAY: u64 = 86_400;

/// A switch that takes a day, and two weeks of old cookies.
fn builder(reader: Reader<String>) -> Builder<String> {
    Codec::builder(ring()).also_reads(reader, at(14 * DAY))
}

fn codec() -> Codec<String> {
    builder(reader()).build().unwrap()
}

/// One while nodes of the old application run, for a day.
fn beside() -> Codec<String> {
    builder(reader().old_nodes_until(at(DAY))).build().unwrap()
}

/// What a request reads, and what is taken of the response to it.
fn visit(codec: &Codec<String>, browser: &mut Browser, now: SystemTime) -> Option<String> {
    let header = browser.header();
    let request = codec.request([&header]);
    let opened = codec.decode_at(&request, now).ok()??;
    browser.take(&codec.encode_at(&opened.session, &request, now).unwrap());
    Some(opened.session)
}

fn change(codec: &Codec<String>, browser: &mut Browser, to: &str, now: SystemTime) {
    let header = browser.header();
    browser.take(&codec.encode_at(&to.into(), &codec.request([&header]), now).unwrap());
}

fn login(codec: &Codec<String>, browser: &mut Browser, to: &str, now: SystemTime) {
    let header = browser.header();
    browser.take(&codec.renew_at(&to.into(), &codec.request([&header]), now).unwrap());
}

fn logout(codec: &Codec<String>, browser: &mut Browser) {
    let header = browser.header();
    browser.take(&codec.clear(&codec.request([&header])));
}

fn lines(set: &SetCookies) -> Vec<&str> {
    set.values().collect()
}

#[test]
fn a_cutoff_of_the_ring_ends_old_sessions_whose_beginning_nobody_knows() {
    let codec = codec();
    let decode = || codec.decode_at(&codec.request(["old=sealed.jane"]), at(9));
    decode().unwrap().expect("a session");
    codec.ring().refuse_before(at(5));
    let refused = decode().unwrap_err();
    assert!(matches!(refused, DecodeError::BeforeCutoff), "{refused}");
}

#[test]
fn the_first_response_seals_ours_and_removes_the_old_one() {
    let codec = codec();
    let request = codec.request(["theme=dark; old=sealed.jane"]);
    let opened = codec.decode_at(&request, at(5)).unwrap().unwrap();
    assert_eq!(opened.session, "jane");
    assert_eq!((opened.began, opened.sealed), (at(5), at(5)));
    assert_eq!(opened.moved_from.as_deref(), Some("old"));
    assert_eq!((opened.reseal, opened.advice()), (Some(Reseal::Moved), Advice::Reseal));
    assert_eq!(opened.key, key(1).id());
    let set = codec.encode_at(&opened.session, &request, at(6)).unwrap();
    assert!(set.set().eq([codec.name()]));
    assert_eq!(
        lines(&set)[1],
        "old=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0",
        "with the attributes of the reader"
    );
    // Ours is there now, and says nothing more of the old one.
    let mut browser = Browser::default();
    browser.take(&set);
    let header = browser.header();
    let request = codec.request([&header]);
    let opened = codec.decode_at(&request, at(7)).unwrap().unwrap();
    assert_eq!((opened.session.as_str(), opened.began), ("jane", at(5)), "since it was read");
    assert_eq!((opened.moved_from, opened.reseal), (None, None));
    assert!(codec.encode_at(&"jane".into(), &request, at(7)).unwrap().is_empty());
}

#[test]
fn the_removal_has_the_attributes_of_the_old_cookie() {
    let reader = reader().path("/account").domain("example.com").partitioned();
    let codec = builder(reader).build().unwrap();
    let set = codec.clear(&codec.request([""]));
    assert_eq!(
        lines(&set)[1],
        "old=; HttpOnly; SameSite=Lax; Partitioned; Secure; Path=/account; Domain=example.com; Max-Age=0"
    );
    let codec = builder(self::reader().without_secure()).build().unwrap();
    let set = codec.clear(&codec.request([""]));
    assert_eq!(lines(&set)[1], "old=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0");
}

#[test]
fn a_change_is_sealed_with_the_first_response_too() {
    let (codec, mut browser) = (codec(), Browser::default());
    browser.set("old", "sealed.jane");
    change(&codec, &mut browser, "jane, and a hat", at(0));
    assert!(!browser.has("old"));
    assert_eq!(visit(&codec, &mut browser, at(1)).unwrap(), "jane, and a hat");
}

#[test]
fn a_login_and_a_logout_remove_the_old_cookie() {
    for codec in [codec(), beside()] {
        let mut browser = Browser::default();
        browser.set("old", "sealed.jane");
        login(&codec, &mut browser, "mary", at(0));
        assert!(!browser.has("old"));
        assert_eq!(visit(&codec, &mut browser, at(1)).unwrap(), "mary");

        browser.set("old", "sealed.jane");
        logout(&codec, &mut browser);
        assert_eq!(browser.header(), "", "both are gone");
        // Also one that this request did not show, because of its path.
        let set = codec.clear(&codec.request([""]));
        assert!(set.removed().eq([codec.name(), "old"]));
    }
}

#[test]
fn the_old_cookie_is_read_only_where_ours_is_absent() {
    let codec = codec();
    let ours = codec.renew_at(&"mary".into(), &codec.request([""]), at(0)).unwrap();
    let ours = ours.values().next().unwrap().split(';').next().unwrap().to_owned();
    let both = format!("{ours}; old=sealed.jane");
    let request = codec.request([&both]);
    assert_eq!(codec.decode_at(&request, at(1)).unwrap().unwrap().session, "mary");
    // What is left of the old one goes with the next write.
    let set = codec.encode_at(&"mary, changed".into(), &request, at(1)).unwrap();
    assert!(set.removed().eq(["old"]));

    // Ours is there, and no session: another node may read it, it is over, or it is junk.
    let other = Codec::<String>::new(key(2));
    let unknown = other.renew_at(&"mary".into(), &other.request([""]), at(0)).unwrap();
    let unknown = unknown.values().next().unwrap().split(';').next().unwrap().to_owned();
    let junk = format!("{}=junk", codec.name());
    for (ours, now) in [(unknown, at(1)), (ours, at(2 * DAY)), (junk, at(1))] {
        let both = format!("old=sealed.jane; {ours}");
        assert!(codec.decode_at(&codec.request([&both]), now).is_err(), "{ours}");
    }
}

#[test]
fn no_old_cookie_is_read_from_the_end_date_on() {
    for codec in [codec(), beside()] {
        let request = || codec.request(["old=sealed.jane"]);
        let last = at(14 * DAY) - std::time::Duration::from_nanos(1);
        assert!(codec.decode_at(&request(), last).unwrap().is_some());
        assert!(codec.decode_at(&request(), at(14 * DAY)).unwrap().is_none());
        assert!(codec.decode_at(&request(), at(99 * DAY)).unwrap().is_none());
        // A write removes it even so.
        let set = codec.encode_at(&"new".into(), &request(), at(15 * DAY)).unwrap();
        assert!(set.removed().eq(["old"]));
    }
}

#[test]
fn the_closure_is_called_once_for_a_request() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let reader = Reader::new("old", move |value| {
        let first = counted.fetch_add(1, Ordering::Relaxed) == 0;
        first.then(|| String::from_utf8_lossy(value).into_owned())
    });
    let codec = builder(reader).build().unwrap();
    let request = codec.request(["old=jane"]).into_owned();
    for _ in 0..3 {
        assert_eq!(codec.decode_at(&request, at(0)).unwrap().unwrap().session, "jane");
    }
    let set = codec.encode_at(&"jane".into(), &request, at(0)).unwrap();
    assert_eq!((set.set().count(), set.removed().count()), (1, 1));
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[test]
fn the_name_is_found_as_ours_is() {
    let codec = codec();
    for (header, found) in [
        ("old=sealed.jane", true),
        ("a=b; old=sealed.jane ; c=d", true),
        ("a=b;\told=sealed.jane", true),
        ("old=junk; old=sealed.jane", true),
        ("old=1; old=2; old=3; old=sealed.jane", true),
        ("old=1; old=2; old=3; old=4; old=sealed.jane", false),
        ("old=\"sealed.jane\"", true),
        ("bold=sealed.jane", false),
        ("oldold=sealed.jane; Old=sealed.jane; old =sealed.jane", false),
        ("a=old=sealed.jane", false),
        ("old.1=sealed.jane", false),
        ("\u{2000}old=sealed.jane", false),
        ("\u{c}old=sealed.jane", false),
        ("%6Fld=sealed.jane", false),
        ("old", false),
    ] {
        let request = codec.request([header]);
        assert_eq!(codec.decode_at(&request, at(0)).unwrap().is_some(), found, "{header:?}");
    }
}

#[test]
fn of_several_readers_the_first_that_gives_a_session_counts() {
    let tagged = |name: &str, tag: &'static str| {
        Reader::new(name, move |value| {
            let text = std::str::from_utf8(value).ok()?;
            Some(format!("{tag} {}", text.strip_prefix(tag)?))
        })
    };
    // Two keys of one cookie, and another cookie.
    let codec = Codec::<String>::builder(ring())
        .also_reads(tagged("a", "first"), at(DAY))
        .also_reads(tagged("a", "second"), at(DAY))
        .also_reads(tagged("b", "third"), at(2 * DAY))
        .build()
        .unwrap();
    let read = |header: &str, now| {
        let request = codec.request([header]);
        let session = codec.decode_at(&request, now).unwrap()?.session;
        let set = codec.encode_at(&session, &request, now).unwrap();
        Some((session, set.removed().map(str::to_owned).collect::<Vec<_>>().join(" ")))
    };
    let found = |session: &str, removed: &str| Some((session.to_owned(), removed.to_owned()));
    assert_eq!(read("b=third 1; a=first 2", at(0)), found("first  2", "a b"));
    assert_eq!(read("b=third 1; a=second 2", at(0)), found("second  2", "a b"));
    assert_eq!(read("b=third 1; a=else 2", at(0)), found("third  1", "a b"));
    assert_eq!(read("b=third 1", at(0)), found("third  1", "b"));
    assert_eq!(read("b=third 1; a=first 2", at(DAY)), found("third  1", "a b"));
}

#[test]
fn settings_that_browsers_or_proxies_would_turn_into_a_silent_failure_are_refused() {
    let build = |reader: Reader<String>| builder(reader).build().map(|_| ()).unwrap_err();
    let named = |name: &str| Reader::new(name, |_| None);
    assert_eq!(build(named("__Host-session")), ConfigError::OldName);
    assert_eq!(build(named("two words")), ConfigError::Name);
    for days in [13, 14, 15] {
        let build = builder(reader().old_nodes_until(at(days * DAY))).build();
        let expected = if days == 13 { None } else { Some(ConfigError::OldNodesTooLong) };
        assert_eq!(build.err(), expected, "the idle timeout is a day");
    }
    assert!(matches!(build(reader().path("account")), ConfigError::Path { .. }));
    assert!(matches!(build(reader().domain("")), ConfigError::Domain { .. }));
    assert_eq!(build(named("__Host-old").domain("example.com")), ConfigError::HostPrefix);
    assert_eq!(build(reader().partitioned().without_secure()), ConfigError::NeedsSecure);
}

#[test]
fn there_is_always_room_for_the_removal() {
    let limits = Limits::UNMODIFIED_NGINX.response_bytes(1000);
    let codec = builder(reader().path("/account")).limits(limits).build().unwrap();
    let plain = Codec::<String>::builder(ring()).limits(limits).build().unwrap();
    let removal = codec.clear(&codec.request([""])).values().nth(1).unwrap().len();
    assert!((40..120).contains(&(plain.capacity() - codec.capacity())), "what it takes in base64");
    let request = codec.request(["old=sealed.jane"]);
    codec.decode_at(&request, at(0)).unwrap().unwrap();
    let mut largest = 0;
    for len in 0..1000 {
        match codec.encode_at(&noise(len), &request, at(0)) {
            Ok(set) => {
                largest = len;
                assert_eq!((set.set().count(), set.removed().count()), (1, 1), "{len}");
                let bytes: usize =
                    set.values().map(|line| line.len() + "Set-Cookie: \r\n".len()).sum();
                assert!(bytes <= 1000, "{len}: {bytes}, {removal} of them for the removal");
            }
            Err(EncodeError::TooLarge(_)) => break,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(largest > 400, "{largest}");
}

#[test]
fn what_cannot_be_sealed_leaves_the_old_cookie_alone() {
    let codec = codec();
    let request = codec.request(["old=sealed.jane"]);
    let error = codec.encode_at(&noise(9000), &request, at(0)).unwrap_err();
    assert!(matches!(error, EncodeError::TooLarge(_)));
}

#[test]
fn a_session_that_does_not_read_back_is_not_sealed_and_the_old_cookie_stays() {
    #[derive(Debug, PartialEq)]
    struct Odd(u8);
    impl serde::Serialize for Odd {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_u8(self.0)
        }
    }
    impl<'de> serde::Deserialize<'de> for Odd {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let n = u8::deserialize(deserializer)?;
            if n % 2 == 1 { Ok(Self(n)) } else { Err(serde::de::Error::custom("even")) }
        }
    }
    let reader = Reader::new("old", |value| Some(Odd(*value.first()? - b'0')));
    let codec = Codec::builder(ring()).also_reads(reader, at(DAY)).build().unwrap();
    for (value, is_sealed) in [("old=7", true), ("old=8", false)] {
        let request = codec.request([value]);
        let opened = codec.decode_at(&request, at(0)).unwrap().unwrap();
        assert_eq!(
            codec.encode_at(&opened.session, &request, at(0)).unwrap().is_empty(),
            !is_sealed
        );
        assert_eq!(codec.touch_at(&request, at(0)).is_empty(), !is_sealed);
        let set = codec.touch_at(&request, at(0));
        assert_eq!(set.removed().count(), usize::from(is_sealed), "{value}");
    }
}

// While nodes of the old application run, for a day.

#[test]
fn users_go_back_and_forth_between_old_and_new_nodes() {
    let (codec, mut browser) = (beside(), Browser::default());
    browser.set("old", "sealed.jane");
    assert_eq!(visit(&codec, &mut browser, at(0)).unwrap(), "jane");
    assert!(browser.has("old"), "old nodes know no other");
    assert!(browser.has(codec.name()));
    // The old node only reads. What changes on new nodes stays there.
    change(&codec, &mut browser, "jane, and a hat", at(10));
    assert!(browser.has("old"));
    assert_eq!(visit(&codec, &mut browser, at(20)).unwrap(), "jane, and a hat");
    // Idle for long enough to be resealed, byte for byte.
    assert_eq!(visit(&codec, &mut browser, at(DAY / 2)).unwrap(), "jane, and a hat");
    assert!(browser.has("old"));
    // No old node runs any more.
    assert_eq!(visit(&codec, &mut browser, at(DAY)).unwrap(), "jane, and a hat");
    assert!(!browser.has("old"));
    assert_eq!(visit(&codec, &mut browser, at(DAY + 1)).unwrap(), "jane, and a hat");
}

#[test]
fn what_an_old_node_sets_has_the_last_word() {
    let (codec, mut browser) = (beside(), Browser::default());
    browser.set("old", "sealed.jane");
    assert_eq!(visit(&codec, &mut browser, at(0)).unwrap(), "jane");
    change(&codec, &mut browser, "jane, and a hat", at(1));
    browser.set("old", "sealed.mary");
    assert_eq!(visit(&codec, &mut browser, at(2)).unwrap(), "mary", "somebody else logged in");
    assert_eq!(visit(&codec, &mut browser, at(3)).unwrap(), "mary");
    // And with no visit between, also after the last old node is gone.
    browser.set("old", "sealed.anne");
    assert_eq!(visit(&codec, &mut browser, at(DAY)).unwrap(), "anne");
    assert!(!browser.has("old"));
    assert_eq!(visit(&codec, &mut browser, at(DAY + 1)).unwrap(), "anne");
}

#[test]
fn a_logout_on_an_old_node_ends_the_session_on_new_ones() {
    let codec = beside();
    for (left, now) in [(None, at(5)), (Some("junk"), at(5)), (None, at(DAY)), (None, at(20 * DAY))]
    {
        let mut browser = Browser::default();
        browser.set("old", "sealed.jane");
        assert_eq!(visit(&codec, &mut browser, at(0)).unwrap(), "jane");
        browser.remove("old");
        if let Some(left) = left {
            browser.set("old", left);
        }
        let header = browser.header();
        let request = codec.request([&header]);
        let error = codec.decode_at(&request, now).unwrap_err();
        if now < at(DAY) {
            assert!(matches!(error, DecodeError::OldCookieGone), "{error}");
        }
        assert_eq!(error.advice(), Advice::Clear);
        // It does not live on in what is written next.
        let set = codec.encode_at(&"somebody".into(), &request, now).unwrap();
        assert_eq!(set.set().count(), 1);
    }
}

#[test]
fn a_logout_on_an_old_node_between_reading_and_writing_is_seen_by_the_next_request() {
    let (codec, mut browser) = (beside(), Browser::default());
    browser.set("old", "sealed.jane");
    let header = browser.header();
    let slow = codec.request([&header]);
    let opened = codec.decode_at(&slow, at(0)).unwrap().unwrap();
    browser.remove("old");
    browser.take(&codec.encode_at(&opened.session, &slow, at(1)).unwrap());
    assert_eq!(visit(&codec, &mut browser, at(2)), None, "beside a cookie that is gone");
}

#[test]
fn a_login_on_an_old_node_is_seen_over_one_on_a_new_node() {
    let (codec, mut browser) = (beside(), Browser::default());
    login(&codec, &mut browser, "jane", at(0));
    assert_eq!(visit(&codec, &mut browser, at(1)).unwrap(), "jane");
    browser.set("old", "sealed.mary");
    assert_eq!(visit(&codec, &mut browser, at(2)).unwrap(), "mary");
    // Afterwards ours counts alone.
    let mut browser = Browser::default();
    login(&codec, &mut browser, "jane", at(DAY));
    browser.set("old", "sealed.mary");
    assert_eq!(visit(&codec, &mut browser, at(DAY + 1)).unwrap(), "jane");
}

#[test]
fn a_session_that_went_idle_while_its_user_was_on_old_nodes_goes_on_from_there() {
    let (mut browser, hour) = (Browser::default(), std::time::Duration::from_secs(3600));
    let codec = builder(reader().old_nodes_until(at(DAY))).idle_timeout(hour).build().unwrap();
    browser.set("old", "sealed.jane");
    assert_eq!(visit(&codec, &mut browser, at(0)).unwrap(), "jane");
    assert_eq!(visit(&codec, &mut browser, at(DAY / 2)).unwrap(), "jane");
    let header = browser.header();
    let opened = codec.decode_at(&codec.request([&header]), at(DAY / 2)).unwrap().unwrap();
    assert_eq!(opened.began, at(DAY / 2));
}

#[test]
fn another_node_s_session_is_kept_beside_an_old_cookie_too() {
    let (codec, other) = (beside(), Codec::<String>::new(key(2)));
    let set = other.renew_at(&"mary".into(), &other.request([""]), at(0)).unwrap();
    let ours = set.values().next().unwrap().split(';').next().unwrap();
    let both = format!("old=sealed.jane; {ours}");
    let request = codec.request([&both]);
    assert!(matches!(codec.decode_at(&request, at(1)), Err(DecodeError::UnknownKey(_))));
    let error = codec.encode_at(&"jane".into(), &request, at(1)).unwrap_err();
    assert!(matches!(error, EncodeError::WouldReplace(_)));
}

#[test]
fn a_codec_without_the_reader_does_not_take_what_is_valid_beside_an_old_cookie() {
    let (codec, mut browser) = (beside(), Browser::default());
    browser.set("old", "sealed.jane");
    assert_eq!(visit(&codec, &mut browser, at(0)).unwrap(), "jane");
    let plain = Codec::<String>::new(ring());
    let header = browser.header();
    let error = plain.decode_at(&plain.request([&header]), at(1)).unwrap_err();
    assert!(matches!(error, DecodeError::OldCookieGone));
}

#[cfg(feature = "revocation")]
mod with_revocation {
    use sealed_session::revocation::{Revocations, SubjectTag};

    use super::*;

    const WEEK: std::time::Duration = std::time::Duration::from_secs(7 * DAY);

    fn revoking(reader: Reader<String>) -> (Codec<String>, Revocations) {
        let revocations = Revocations::new(3 * WEEK);
        let tags = |user: &String| [SubjectTag::new("user", user)];
        let codec = builder(reader).revocations(revocations.clone(), tags).build().unwrap();
        (codec, revocations)
    }

    /// Logs out as the middlewares do.
    fn logout(codec: &Codec<String>, browser: &mut Browser, now: SystemTime) {
        let header = browser.header();
        let request = codec.request([&header]);
        let _ = codec.revoke_at(&request, now).unwrap();
        browser.take(&codec.clear(&request));
    }

    fn read(codec: &Codec<String>, header: &str, now: SystemTime) -> Option<String> {
        codec.decode_at(&codec.request([header]), now).ok()?.map(|opened| opened.session)
    }

    #[test]
    fn no_copy_of_an_old_cookie_comes_back_after_a_logout() {
        let from_old = |codec: &Codec<String>, browser: &mut Browser| {
            let header = browser.header();
            assert_eq!(read(codec, &header, at(1)).unwrap(), "jane", "not sealed by us at all");
        };
        let sealed = |codec: &Codec<String>, browser: &mut Browser| {
            assert_eq!(visit(codec, browser, at(1)).unwrap(), "jane");
        };
        let changed = |codec: &Codec<String>, browser: &mut Browser| {
            assert_eq!(visit(codec, browser, at(1)).unwrap(), "jane");
            change(codec, browser, "jane", at(DAY / 2));
            change(codec, browser, "mary", at(DAY / 2));
            assert_eq!(visit(codec, browser, at(DAY - 1)).unwrap(), "mary", "and sealed again");
        };
        let renewed = |codec: &Codec<String>, browser: &mut Browser| {
            assert_eq!(visit(codec, browser, at(1)).unwrap(), "jane");
            let header = browser.header();
            let request = codec.request([&header]);
            codec.decode_at(&request, at(2)).unwrap();
            browser.take(&codec.renew_at(&"mary".into(), &request, at(2)).unwrap());
        };
        type Way<'a> = &'a dyn Fn(&Codec<String>, &mut Browser);
        let ways: [(&str, Way<'_>); 4] = [
            ("unsealed", &from_old),
            ("sealed", &sealed),
            ("changed", &changed),
            ("renewed", &renewed),
        ];
        for (way, before) in ways {
            for reader in [reader(), reader().old_nodes_until(at(DAY))] {
                let (codec, revocations) = revoking(reader);
                let mut browser = Browser::default();
                browser.set("old", "sealed.jane");
                before(&codec, &mut browser);
                let copy = browser.header();
                logout(&codec, &mut browser, at(DAY));
                assert_eq!(browser.header(), "");
                // The copies: of both, and of the old one alone.
                for now in [at(DAY + 1), at(13 * DAY)] {
                    assert_eq!(read(&codec, &copy, now), None, "{way}");
                    assert_eq!(read(&codec, "old=sealed.jane", now), None, "{way}");
                }
                assert_eq!(read(&codec, "old=sealed.anne", at(DAY + 1)).unwrap(), "anne", "{way}");
                assert!(revocations.list_at(at(DAY)).all(|revoked| revoked.until >= at(14 * DAY)));
            }
        }
    }

    #[test]
    fn log_out_everywhere_ends_old_cookies_too() {
        let (codec, revocations) = revoking(reader());
        let _ = revocations.revoke_subject_at(SubjectTag::new("user", "jane"), at(5)).unwrap();
        let request = codec.request(["old=sealed.jane"]);
        assert!(matches!(codec.decode_at(&request, at(6)), Err(DecodeError::Revoked)));
        assert_eq!(read(&codec, "old=sealed.mary", at(6)).unwrap(), "mary");
        // A login afterwards lives, and so does it when it is moved on.
        let mut browser = Browser::default();
        login(&codec, &mut browser, "jane", at(6));
        assert_eq!(visit(&codec, &mut browser, at(7)).unwrap(), "jane");
    }

    #[test]
    fn everything_before_an_incident_ends_old_cookies_too() {
        let (codec, revocations) = revoking(reader());
        let _ = revocations.revoke_before(at(5)).unwrap();
        assert_eq!(read(&codec, "old=sealed.jane", at(6)), None);
    }

    #[test]
    fn what_tells_the_old_cookie_is_sealed_no_longer_than_it_is_read() {
        let codec = Codec::<String>::builder(ring())
            .also_reads(reader(), at(2 * DAY))
            .revocations(Revocations::new(3 * WEEK), |_| [])
            .padding(sealed_session::Padding::DangerousNone)
            .idle_timeout(2 * WEEK / 3)
            .build()
            .unwrap();
        let mut browser = Browser::default();
        browser.set("old", "sealed.jane");
        let lens = [1, DAY, 2 * DAY, 3 * DAY].map(|now| {
            change(&codec, &mut browser, "jane", at(now));
            browser.header().len()
        });
        let [first, second, third, fourth] = lens;
        assert!(second >= first && third < first - 20 && fourth >= third, "{lens:?}");
    }
}
