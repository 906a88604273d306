//! The codec that asks: what is refused, when, and what lives on.

use std::time::{Duration, SystemTime};

use sealed_session::revocation::{Revocations, SubjectTag};
use sealed_session::{
    Advice, Codec, ConfigError, DecodeError, EncodeError, Key, KeyRing, SetCookies,
};
use serde::{Deserialize, Serialize};

use super::WEEK;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Session {
    user: u64,
    device: String,
}

fn jane() -> Session {
    Session { user: 7, device: "phone".into() }
}

fn user(user: u64) -> SubjectTag {
    SubjectTag::new("user", user.to_be_bytes())
}

fn device(name: &str) -> SubjectTag {
    SubjectTag::new("device", name)
}

fn ring() -> KeyRing {
    Key::generate().unwrap().into()
}

fn codec_of(ring: &KeyRing, set: &Revocations) -> Codec<Session> {
    Codec::builder(ring.clone())
        .revocations(set.clone(), |session: &Session| [user(session.user), device(&session.device)])
        .touch_after(Duration::from_secs(60))
        .build()
        .unwrap()
}

fn codec() -> (Codec<Session>, Revocations) {
    let set = Revocations::new(WEEK);
    (codec_of(&ring(), &set), set)
}

fn at(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000) + Duration::from_millis(millis)
}

fn cookie(set_cookies: &SetCookies) -> String {
    set_cookies.values().next().unwrap().split(';').next().unwrap().to_owned()
}

fn login(codec: &Codec<Session>, session: &Session, now: SystemTime) -> String {
    cookie(&codec.renew_at(session, &codec.request([""]), now).unwrap())
}

#[track_caller]
fn lives(codec: &Codec<Session>, cookie: &str, now: SystemTime) -> bool {
    match codec.decode_at(&codec.request([cookie]), now) {
        Ok(Some(_)) => true,
        Err(DecodeError::Revoked) => false,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_session_is_refused_by_its_id_by_each_of_its_tags_and_by_its_beginning_and_the_advice_is_clear()
{
    for revoke in [
        |set: &Revocations, id| set.revoke_session_at(id, at(5000)),
        |set: &Revocations, _| set.revoke_subject_at(user(7), at(5000)),
        |set: &Revocations, _| set.revoke_subject_at(device("phone"), at(5000)),
        |set: &Revocations, _| set.revoke_before(at(1)),
    ] {
        let (codec, set) = codec();
        let one = login(&codec, &jane(), at(0));
        let other = login(&codec, &Session { user: 8, device: "desk".into() }, at(1000));
        let id = codec.decode_at(&codec.request([&one]), at(0)).unwrap().unwrap().id.unwrap();
        assert!(lives(&codec, &one, at(9000)));
        revoke(&set, id).unwrap();
        assert!(!lives(&codec, &one, at(9000)));
        assert!(lives(&codec, &other, at(9000)));
        let error = codec.decode_at(&codec.request([&one]), at(9000)).unwrap_err();
        assert_eq!((error.advice(), error.is_readable_elsewhere()), (Advice::Clear, false));
        assert_eq!(error.to_string(), "the session was revoked");
    }
}

#[test]
fn a_session_that_is_revoked_while_its_request_runs_is_not_sealed_again() {
    for (opened_before, changed) in [(true, true), (true, false), (false, true)] {
        let (codec, set) = codec();
        let cookie = login(&codec, &jane(), at(0));
        let request = codec.request([&cookie]);
        let mut session = jane();
        if opened_before {
            session = codec.decode_at(&request, at(90_000)).unwrap().unwrap().session;
        }
        set.revoke_subject_at(user(7), at(91_000)).unwrap();
        if changed {
            session.device = "phone, renamed".into();
        }
        match codec.encode_at(&session, &request, at(92_000)) {
            Err(EncodeError::Ended(DecodeError::Revoked)) if opened_before => {}
            // It was never handed out, so what is written is new: as with one that has expired.
            Ok(_) if !opened_before => {}
            other => panic!("{other:?}"),
        }
        assert!(!lives(&codec, &cookie, at(93_000)));
    }
}

#[test]
fn a_change_to_another_user_does_not_carry_an_old_session_past_that_users_cutoff() {
    let (codec, set) = codec();
    let cookie = login(&codec, &jane(), at(0));
    set.revoke_subject_at(user(8), at(5000)).unwrap();
    let request = codec.request([&cookie]);
    let mut session = codec.decode_at(&request, at(6000)).unwrap().unwrap().session;
    session.user = 8;
    let refused = codec.encode_at(&session, &request, at(6000));
    assert!(matches!(refused, Err(EncodeError::Ended(DecodeError::Revoked))), "{refused:?}");
    assert!(lives(
        &codec,
        &self::cookie(&codec.renew_at(&session, &request, at(6000)).unwrap()),
        at(7000)
    ));
}

#[test]
fn sealing_again_does_not_carry_a_session_past_a_cutoff_since_its_beginning_counts() {
    let (codec, set) = codec();
    let mut current = login(&codec, &jane(), at(0));
    for minutes in [2, 4, 6] {
        let request = codec.request([&current]);
        let opened = codec.decode_at(&request, at(minutes * 60_000)).unwrap().unwrap();
        current =
            cookie(&codec.encode_at(&opened.session, &request, at(minutes * 60_000)).unwrap());
    }
    set.revoke_subject_at(user(7), at(60_000)).unwrap();
    assert!(!lives(&codec, &current, at(6 * 60_000)), "begun before, sealed after");
}

#[test]
fn renew_in_the_second_of_log_out_everywhere_lives_and_what_began_before_in_that_second_does_not() {
    let (codec, set) = codec();
    for millis in [5000, 5001, 5002, 5003, 5004, 5005, 5006, 5007, 5008, 5999] {
        let before = login(&codec, &jane(), at(millis));
        set.revoke_subject_at(user(7), at(millis)).unwrap();
        let after = login(&codec, &jane(), at(millis));
        for later in [millis, millis + 1, 6000, 7000, 60_000] {
            assert!(!lives(&codec, &before, at(later)), "{millis} {later}");
            assert!(lives(&codec, &after, at(later)), "{millis} {later}");
        }
    }
    // And with everything, and where the node that revoked has a clock that is ahead.
    set.revoke_before(at(30_000)).unwrap();
    let after = login(&codec, &jane(), at(8000));
    assert!(lives(&codec, &after, at(8000)) && lives(&codec, &after, at(40_000)));
}

#[test]
fn a_node_with_no_allowance_for_clocks_lets_the_login_in_the_same_second_live_too() {
    let set = Revocations::new(WEEK);
    let codec = Codec::<Session>::builder(ring())
        .revocations(set.clone(), |session: &Session| [user(session.user)])
        .clock_skew(Duration::ZERO)
        .build()
        .unwrap();
    set.revoke_subject_at(user(7), at(5500)).unwrap();
    assert!(lives(&codec, &login(&codec, &jane(), at(5600)), at(5700)));
}

#[test]
fn a_logout_ends_the_session_of_the_request_and_every_copy_of_its_cookie() {
    let (codec, set) = codec();
    let cookie = login(&codec, &jane(), at(0));
    let other = login(&codec, &jane(), at(0));
    let receipt = codec.revoke_at(&codec.request([&cookie]), at(1000)).unwrap();
    assert!(receipt.is_some());
    assert!(!lives(&codec, &cookie, at(1000)) && lives(&codec, &other, at(1000)));
    assert_eq!(set.len(), 1);
    for nothing in ["", "__Host-session=nonsense"] {
        assert!(codec.revoke_at(&codec.request([nothing]), at(1000)).unwrap().is_none());
    }
    assert!(codec.revoke_at(&codec.request([&cookie]), at(1000)).unwrap().is_some());
    assert_eq!(set.len(), 1, "a second logout ends nothing more");
}

#[test]
fn a_logout_ends_sessions_that_this_node_cannot_read_if_their_seal_holds() {
    let (ring, set) = (ring(), Revocations::new(WEEK));
    let codec = codec_of(&ring, &set);
    let newer = Codec::<String>::builder(ring).session_ids().schema(2).build().unwrap();
    let seal = |text: &str| {
        cookie(&newer.renew_at(&text.to_owned(), &newer.request([""]), at(0)).unwrap())
    };
    let (one, two) = (seal("one"), seal("two"));
    let header = format!("{one}; {two}");
    assert!(matches!(
        codec.decode_at(&codec.request([&header]), at(1000)),
        Err(DecodeError::NewerSchema { .. })
    ));
    assert!(codec.revoke_at(&codec.request([&header]), at(1000)).unwrap().is_some());
    for sealed in [&one, &two] {
        let id = newer.decode_at(&newer.request([sealed]), at(1000)).unwrap().unwrap().id;
        assert!(set.ends(at(1000), id, &[]), "both cookies of the request");
    }
    let forged = format!("{}AAAA", &one[..one.len() - 4]);
    assert!(codec.revoke_at(&codec.request([&forged]), at(1000)).unwrap().is_none());
}

#[test]
fn a_logout_goes_by_the_clock_of_the_codec() {
    let (ring, set) = (ring(), Revocations::new(WEEK));
    let codec = Codec::<Session>::builder(ring)
        .revocations(set.clone(), |_: &Session| [])
        .clock(|| at(0))
        .build()
        .unwrap();
    let cookie = cookie(&codec.renew(&jane(), &codec.request([""])).unwrap());
    assert!(codec.revoke(&codec.request([&cookie])).unwrap().is_some());
    assert!(matches!(codec.decode(&codec.request([&cookie])), Err(DecodeError::Revoked)));
}

#[test]
fn two_values_of_the_name_of_which_one_is_revoked_give_the_other() {
    let (codec, set) = codec();
    let one = login(&codec, &jane(), at(0));
    let two = login(&codec, &jane(), at(1000));
    let id = codec.decode_at(&codec.request([&two]), at(1000)).unwrap().unwrap().id.unwrap();
    set.revoke_session_at(id, at(2000)).unwrap();
    let both = format!("{one}; {two}");
    assert!(lives(&codec, &both, at(3000)));
}

#[test]
fn a_session_from_before_revocation_gets_an_id_when_it_is_sealed_again_and_ends_by_tag_before() {
    let ring = ring();
    let old = Codec::<Session>::builder(ring.clone()).build().unwrap();
    let set = Revocations::new(WEEK);
    let codec = codec_of(&ring, &set);
    let before = login(&old, &jane(), at(0));
    assert!(
        codec.revoke_at(&codec.request([&before]), at(1000)).unwrap().is_none(),
        "it has no id"
    );
    let request = codec.request([&before]);
    let opened = codec.decode_at(&request, at(120_000)).unwrap().unwrap();
    assert_eq!(opened.id, None);
    let again = cookie(&codec.encode_at(&opened.session, &request, at(120_000)).unwrap());
    let id = codec.decode_at(&codec.request([&again]), at(120_000)).unwrap().unwrap().id;
    set.revoke_session_at(id.unwrap(), at(121_000)).unwrap();
    assert!(!lives(&codec, &again, at(122_000)) && lives(&codec, &before, at(122_000)));
    set.revoke_subject_at(user(7), at(123_000)).unwrap();
    assert!(!lives(&codec, &before, at(124_000)));
    // A node of the old release knows nothing of it: that is said in the docs.
    assert!(old.decode_at(&old.request([&again]), at(124_000)).unwrap().is_some());
}

#[test]
fn a_codec_whose_sessions_outlive_the_memory_of_what_is_revoked_is_refused() {
    let set = Revocations::new(WEEK);
    let builder = |absolute| {
        Codec::<u32>::builder(ring())
            .absolute_timeout(absolute)
            .revocations(set.clone(), |_| [])
            .build()
    };
    assert!(builder(WEEK).is_ok());
    assert_eq!(builder(WEEK * 2).unwrap_err(), ConfigError::RevocationsTooShort);
}
