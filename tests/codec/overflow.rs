//! A session larger than its cookies, and values beside it: what lies in the store, and what each failure of it does.

use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use sealed_session::store::{BlobError, StoreError};
use sealed_session::{
    Advice, Attached, Codec, DecodeError, EncodeError, Limit, Opened, Reseal, SetCookies,
};
use serde::{Deserialize, Serialize};

use super::browser::Browser;
use super::stores::{Fault, TestStore};
use super::{at, noise, ring};

const ABSOLUTE: u64 = 10_000;
const IDLE: u64 = 1000;
const TOUCH: u64 = 300;
const SKEW: u64 = 60;

fn builder<T: Serialize + serde::de::DeserializeOwned + 'static>() -> sealed_session::Builder<T> {
    Codec::builder(ring())
        .absolute_timeout(Duration::from_secs(ABSOLUTE))
        .idle_timeout(Duration::from_secs(IDLE))
        .touch_after(Duration::from_secs(TOUCH))
        .clock_skew(Duration::from_secs(SKEW))
}

/// One browser, a store, and the codec between them.
struct World<T> {
    store: TestStore,
    codec: Codec<T>,
    browser: Browser,
}

impl<T: Serialize + serde::de::DeserializeOwned + 'static> World<T> {
    fn new() -> Self {
        let store = TestStore::default();
        let codec = builder().overflow(store.clone()).build().unwrap();
        Self { store, codec, browser: Browser::default() }
    }

    /// A request that changes the session, as a middleware does it. The browser gets the answer.
    fn write(&mut self, session: &T, now: SystemTime) -> Result<(), String> {
        let set_cookies = self.encode(session, now)?;
        self.browser.take(&set_cookies);
        Ok(())
    }

    /// The same, and the answer is lost.
    fn encode(&self, session: &T, now: SystemTime) -> Result<SetCookies, String> {
        let header = self.browser.header();
        let request = self.codec.request([&header]);
        if let Some(fetch) = self.codec.fetch_at(&request, now) {
            let fetched = fetch.now_or_never().unwrap();
            drop(self.codec.decode_with_at(&request, fetched, now));
        }
        let set_cookies = self.codec.encode_at(session, &request, now);
        let set_cookies = set_cookies.map_err(|error| error.to_string())?;
        self.store(&set_cookies)?;
        Ok(set_cookies)
    }

    fn store(&self, set_cookies: &SetCookies) -> Result<(), String> {
        let stored = self.codec.store(set_cookies);
        stored.map_or(Ok(()), |store| store.now_or_never().unwrap()).map_err(|e| e.to_string())
    }

    fn read(&self, now: SystemTime) -> Result<Option<Opened<T>>, DecodeError> {
        let header = self.browser.header();
        let request = self.codec.request([&header]);
        match self.codec.fetch_at(&request, now) {
            None => self.codec.decode_at(&request, now),
            Some(fetch) => self.codec.decode_with_at(&request, fetch.now_or_never().unwrap(), now),
        }
    }
}

fn large() -> String {
    noise(8000)
}

#[test]
fn a_session_that_fits_its_cookies_asks_no_store() {
    let mut world = World::new();
    world.write(&"small".to_owned(), at(0)).unwrap();
    assert_eq!(world.read(at(1)).unwrap().unwrap().session, "small");
    world.write(&"changed".to_owned(), at(2)).unwrap();
    world.browser.take(&world.codec.clear(&world.codec.request([&world.browser.header()])));
    assert_eq!(world.store.asked(), "");
}

#[test]
fn one_that_does_not_goes_to_the_store_and_comes_back() {
    let mut world = World::new();
    world.write(&large(), at(0)).unwrap();
    assert_eq!(world.store.asked(), "put");
    let header = world.browser.header();
    assert!(header.len() < 250, "{} bytes of cookie", header.len());
    let opened = world.read(at(1)).unwrap().unwrap();
    assert_eq!((opened.session.as_str(), opened.began, opened.reseal), (&*large(), at(0), None));
    assert_eq!(world.store.asked(), "get");
    // Unchanged and fresh, nothing is written.
    assert!(world.encode(&large(), at(2)).unwrap().is_empty());
    assert_eq!(world.store.asked(), "get");
}

#[test]
fn the_cookie_tells_nothing_of_the_length_and_the_blob_little() {
    let lengths = |len| {
        let mut world = World::new();
        world.write(&noise(len), at(0)).unwrap();
        (world.browser.header().len(), world.store.blobs()[0].1.len())
    };
    let (cookies, blobs): (Vec<_>, Vec<_>) = (8000..8064).step_by(7).map(lengths).unzip();
    assert!(cookies.iter().all(|len| *len == cookies[0]), "{cookies:?}");
    assert!(blobs.iter().all(|len| *len == blobs[0]), "{blobs:?}");
}

#[test]
fn the_store_sees_nothing_that_it_can_read() {
    let mut world = World::new();
    let mut session = large();
    session.push_str("the access token");
    world.write(&session, at(0)).unwrap();
    let (_, blob) = &world.store.blobs()[0];
    for part in session.as_bytes().windows(8) {
        assert!(!blob.windows(8).any(|seen| seen == part));
    }
}

#[test]
fn the_predecessor_lives_until_a_browser_shows_the_successor() {
    let mut world = World::new();
    world.write(&large(), at(0)).unwrap();
    let old = world.browser.clone();
    world.write(&noise(9000), at(1)).unwrap();
    assert_eq!(world.store.asked(), "put get put");
    let ids: Vec<_> = world.store.blobs().iter().map(|(id, _)| *id).collect();
    assert_ne!(ids[0], ids[1], "each change has a blob of its own");
    // Until now the response may have been lost.
    assert_eq!(world.store.len(), 2);
    let new = std::mem::replace(&mut world.browser, old.clone());
    assert_eq!(world.read(at(2)).unwrap().unwrap().session, large());
    assert_eq!(world.store.asked(), "get");
    // The browser has it, so a minute is left for requests under way, and this is told to the store once.
    world.browser = new;
    for _ in 0..3 {
        assert_eq!(world.read(at(3)).unwrap().unwrap().session, noise(9000));
    }
    assert_eq!(world.store.asked(), "get expire:60 get get");
    world.browser = old;
    assert_eq!(world.read(at(4)).unwrap().unwrap().session, large());
}

#[test]
fn a_response_that_is_lost_loses_nothing() {
    let mut world = World::new();
    world.write(&large(), at(0)).unwrap();
    for attempt in 1..4 {
        drop(world.encode(&noise(9000), at(attempt)).unwrap());
        assert_eq!(world.read(at(attempt)).unwrap().unwrap().session, large());
    }
    world.write(&noise(9000), at(5)).unwrap();
    assert_eq!(world.read(at(6)).unwrap().unwrap().session, noise(9000));
}

#[test]
fn a_session_moves_to_the_store_and_back_into_its_cookies() {
    let mut world = World::new();
    let id = |world: &World<String>| world.read(at(9)).unwrap().unwrap().began;
    world.write(&"small".to_owned(), at(0)).unwrap();
    let began = id(&world);
    world.write(&large(), at(1)).unwrap();
    assert_eq!(id(&world), began);
    world.write(&"small".to_owned(), at(2)).unwrap();
    assert_eq!(id(&world), began);
    world.store.asked();
    assert_eq!(world.read(at(3)).unwrap().unwrap().session, "small");
    assert_eq!(world.store.asked(), "");
}

#[test]
fn a_touch_stores_a_copy_under_a_new_key_and_keeps_what_another_release_wrote() {
    #[derive(Serialize, Deserialize)]
    struct Newer {
        text: String,
        added: u8,
    }
    #[derive(Serialize, Deserialize)]
    struct Older {
        text: String,
    }
    let mut world = World::<Newer>::new();
    world.write(&Newer { text: large(), added: 7 }, at(0)).unwrap();
    let older = World::<Older> {
        store: world.store.clone(),
        codec: builder().overflow(world.store.clone()).build().unwrap(),
        browser: world.browser.clone(),
    };
    let opened = older.read(at(TOUCH)).unwrap().unwrap();
    assert_eq!(opened.reseal, Some(Reseal::Touch));
    let touched = older.encode(&opened.session, at(TOUCH)).unwrap();
    assert_eq!(touched.blobs().len(), 1);
    assert_eq!(touched.blobs()[0].lives, Duration::from_secs(IDLE + SKEW));
    world.browser.take(&touched);
    let opened = world.read(at(TOUCH + IDLE - 1)).unwrap().unwrap();
    assert_eq!((opened.session.added, opened.began, opened.sealed), (7, at(0), at(TOUCH)));
}

#[test]
fn a_session_that_was_not_fetched_is_kept_and_not_overwritten() {
    let mut world = World::new();
    world.write(&large(), at(0)).unwrap();
    let header = world.browser.header();
    // By an application that forgets to fetch, and by a node that has no store.
    let without = builder::<String>().build().unwrap();
    for codec in [&world.codec, &without] {
        let request = codec.request([&header]);
        let error = codec.decode_at(&request, at(1)).unwrap_err();
        assert!(matches!(error, DecodeError::Blob(BlobError::NotFetched(_))), "{error:?}");
        assert_eq!(error.advice(), Advice::Keep);
        let error = codec.encode_at(&"small".to_owned(), &request, at(1)).unwrap_err();
        assert!(matches!(error, EncodeError::WouldReplace(_)), "{error:?}");
        assert!(codec.renew_at(&"small".to_owned(), &request, at(1)).is_ok());
    }
    assert!(without.fetch_at(&without.request([&header]), at(1)).is_none());
    let error = without.encode_at(&large(), &without.request([""]), at(1)).unwrap_err();
    assert!(matches!(error, EncodeError::TooLarge(_)));
}

#[test]
fn each_failure_of_the_store_at_a_read_has_its_outcome() {
    let mut world = World::new();
    world.write(&large(), at(0)).unwrap();
    let first = world.store.blobs()[0].clone();
    world.write(&noise(9000), at(1)).unwrap();
    let second = world.store.blobs()[1].clone();
    let cut = second.1[..second.1.len() - 1].to_vec();
    let longer = [&second.1[..], &[0]].concat();
    let unavailable = |error: &DecodeError| {
        matches!(error, DecodeError::Blob(BlobError::Unavailable(StoreError::Unavailable(_))))
    };
    let unauthentic =
        |error: &DecodeError| matches!(error, DecodeError::Blob(BlobError::Unauthentic));
    let gone = |error: &DecodeError| matches!(error, DecodeError::Blob(BlobError::Gone));
    type Case<'a> = (&'a str, Fault, &'a dyn Fn(&DecodeError) -> bool, Advice, bool);
    let cases: &[Case<'_>] = &[
        ("down", Fault::Down, &unavailable, Advice::Keep, false),
        ("flushed", Fault::Flushed, &gone, Advice::Clear, true),
        ("swapped, or rolled back", Fault::Answers(first.0), &unauthentic, Advice::Keep, true),
        ("another's bytes", Fault::Gives(first.1), &unauthentic, Advice::Keep, true),
        ("cut", Fault::Gives(cut), &unauthentic, Advice::Keep, true),
        ("lengthened", Fault::Gives(longer), &unauthentic, Advice::Keep, true),
        ("empty", Fault::Gives(Vec::new()), &unauthentic, Advice::Keep, true),
    ];
    for (name, fault, expected, advice, replaces) in cases {
        world.store.set(fault.clone());
        let error = world.read(at(2)).unwrap_err();
        assert!(expected(&error), "{name}: {error:?}");
        assert_eq!(error.advice(), *advice, "{name}");
        let written = world.encode(&"anew".to_owned(), at(2));
        assert_eq!(written.is_ok(), *replaces, "{name}");
        // And all is well when the store is.
        world.store.set(Fault::None);
        assert_eq!(world.read(at(3)).unwrap().unwrap().session, noise(9000), "{name}");
    }
}

#[test]
fn what_cannot_be_stored_is_not_sent() {
    let mut world = World::new();
    world.write(&large(), at(0)).unwrap();
    for fault in [Fault::Down, Fault::Full] {
        let header = world.browser.header();
        let request = world.codec.request([&header]);
        let fetched = world.codec.fetch_at(&request, at(1)).unwrap().now_or_never().unwrap();
        world.codec.decode_with_at(&request, fetched, at(1)).unwrap();
        world.store.set(fault);
        let set_cookies = world.codec.encode_at(&noise(9000), &request, at(1)).unwrap();
        assert!(world.store(&set_cookies).is_err());
        world.store.set(Fault::None);
        assert_eq!(world.read(at(2)).unwrap().unwrap().session, large());
    }
}

#[test]
fn a_logout_removes_the_blob_so_that_a_copy_of_the_cookie_is_worth_nothing() {
    let mut world = World::new();
    world.write(&large(), at(0)).unwrap();
    let header = world.browser.header();
    let request = world.codec.request([&header]);
    let fetched = world.codec.fetch_at(&request, at(1)).unwrap().now_or_never().unwrap();
    world.codec.decode_with_at(&request, fetched, at(1)).unwrap();
    let cleared = world.codec.clear(&request);
    world.store(&cleared).unwrap();
    assert_eq!(world.store.len(), 0);
    let error = world.read(at(2)).unwrap_err();
    assert!(matches!(error, DecodeError::Blob(BlobError::Gone)), "{error:?}");
    // Where the store does not answer, the browser is logged out all the same.
    world.store.set(Fault::Down);
    world.store(&cleared).unwrap();
}

#[test]
fn of_several_values_the_newest_counts_wherever_its_body_lies() {
    let mut world = World::new();
    world.write(&"small".to_owned(), at(0)).unwrap();
    let old = world.browser.header();
    world.write(&large(), at(1)).unwrap();
    let new = world.browser.header();
    for header in [format!("{old}; {new}"), format!("{new}; {old}")] {
        let request = world.codec.request([&header]);
        let fetched = world.codec.fetch_at(&request, at(2)).unwrap().now_or_never().unwrap();
        let opened = world.codec.decode_with_at(&request, fetched, at(2)).unwrap().unwrap();
        assert_eq!(opened.session, large());
    }
}

#[test]
fn what_no_store_holds_is_still_an_error() {
    let world = World::new();
    let error = world.codec.encode_at(&noise(64 * 1024 + 1), &world.codec.request([""]), at(0));
    let Err(EncodeError::TooLarge(error)) = error else { panic!("{error:?}") };
    assert_eq!((error.limit, error.allowed), (Limit::Session, 64 * 1024));
    // And the largest that it does hold goes through.
    let mut world = World::new();
    let largest = noise(64 * 1024 - 3);
    world.write(&largest, at(0)).unwrap();
    assert_eq!(world.read(at(1)).unwrap().unwrap().session, largest);
}

#[test]
fn a_session_expires_though_its_blob_is_there() {
    let mut world = World::new();
    world.write(&large(), at(0)).unwrap();
    assert!(matches!(world.read(at(IDLE)), Err(DecodeError::Expired(_))));
    assert_eq!(world.store.asked(), "put", "and nothing is fetched for it");
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Login {
    user: u64,
    #[serde(default)]
    tokens: Attached<String>,
}

/// Another request, and the value beside its session.
fn load(world: &World<Login>, now: u64) -> Result<Option<String>, DecodeError> {
    let login = world.read(at(now))?.unwrap().session;
    let loaded = world.codec.load(&login.tokens).now_or_never().unwrap()?;
    Ok(loaded.map(|loaded| loaded.to_string()))
}

#[test]
fn a_value_beside_the_session_is_fetched_when_it_is_asked_for_and_not_before() {
    let mut world = World::new();
    let login = Login { user: 7, tokens: Attached::new(large()) };
    world.write(&login, at(0)).unwrap();
    assert_eq!(world.store.asked(), "put");
    assert!(world.browser.header().len() < 250);
    let mut login = world.read(at(1)).unwrap().unwrap().session;
    login.user = 8;
    world.write(&login, at(2)).unwrap();
    world.write(&login, at(2 + TOUCH)).unwrap();
    assert_eq!(world.store.asked(), "", "read, changed and touched without the store");
    assert_eq!(load(&world, 400).unwrap(), Some(large()));
    assert_eq!(world.store.asked(), "get");
    // The same session need not ask again.
    let login = world.read(at(401)).unwrap().unwrap().session;
    for _ in 0..2 {
        world.codec.load(&login.tokens).now_or_never().unwrap().unwrap();
    }
    assert_eq!(world.store.asked(), "get");
}

#[test]
fn a_value_that_changes_follows_the_rules_of_sessions() {
    let mut world = World::new();
    world.write(&Login { user: 7, tokens: Attached::new(large()) }, at(0)).unwrap();
    let old = world.browser.clone();
    let mut login = world.read(at(1)).unwrap().unwrap().session;
    login.tokens.set(noise(9000));
    world.write(&login, at(1)).unwrap();
    assert_eq!(world.store.asked(), "put put");
    let new = std::mem::replace(&mut world.browser, old);
    assert_eq!(load(&world, 2).unwrap(), Some(large()), "the response may have been lost");
    world.browser = new;
    assert_eq!(load(&world, 2).unwrap(), Some(noise(9000)));
    assert_eq!(world.store.asked(), "get get expire:60");
    // At a logout nothing stays.
    let header = world.browser.header();
    let request = world.codec.request([&header]);
    world.codec.decode_at(&request, at(3)).unwrap();
    world.store(&world.codec.clear(&request)).unwrap();
    assert_eq!(world.store.asked(), "expire:0");
}

#[test]
fn a_value_lives_as_long_as_any_session_can() {
    let world = World::new();
    let request = world.codec.request([""]);
    let login = Login { user: 7, tokens: Attached::new(large()) };
    let set_cookies = world.codec.renew_at(&login, &request, at(0)).unwrap();
    let lives = Duration::from_secs(ABSOLUTE + SKEW);
    assert_eq!(set_cookies.blobs()[0].lives, lives);
    // A login that takes it along begins anew, and so does its life.
    let mut world = World::new();
    world.write(&login, at(0)).unwrap();
    let header = world.browser.header();
    let request = world.codec.request([&header]);
    let login = world.codec.decode_at(&request, at(5)).unwrap().unwrap().session;
    let set_cookies = world.codec.renew_at(&login, &request, at(5)).unwrap();
    world.store.asked();
    world.store(&set_cookies).unwrap();
    assert_eq!(world.store.asked(), format!("keep:{}", lives.as_secs()));
}

#[test]
fn a_value_that_is_lost_leaves_its_session_alone() {
    let mut world = World::new();
    world.write(&Login { user: 7, tokens: Attached::new(large()) }, at(0)).unwrap();
    for (fault, expected) in [(Fault::Down, "fetched"), (Fault::Flushed, "does not have")] {
        world.store.set(fault);
        let error = load(&world, 1).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(world.read(at(1)).unwrap().unwrap().session.user, 7);
    }
}

#[test]
fn a_value_needs_a_codec_with_a_store() {
    let codec = builder::<Login>().build().unwrap();
    let login = Login { user: 7, tokens: Attached::new(large()) };
    let error = codec.encode_at(&login, &codec.request([""]), at(0)).unwrap_err();
    assert!(matches!(error, EncodeError::Serialize(_)), "{error:?}");
    assert!(codec.encode_at(&Login::default(), &codec.request([""]), at(0)).is_ok());
}

#[test]
fn what_is_beside_a_session_hinders_neither_fits_nor_check() {
    let mut world = World::new();
    world.codec = builder().overflow(world.store.clone()).clock(|| at(1)).build().unwrap();
    let fresh = Login { user: 7, tokens: Attached::new(large()) };
    world.codec.check(&fresh).unwrap();
    world.codec.fits(&fresh, &world.codec.request([""])).unwrap();
    world.write(&fresh, at(0)).unwrap();
    let header = world.browser.header();
    let request = world.codec.request([&header]);
    let stored = world.codec.decode_at(&request, at(1)).unwrap().unwrap().session;
    world.codec.check(&stored).unwrap();
    world.codec.fits(&stored, &request).unwrap();
    assert_eq!(world.store.asked(), "put", "nothing more is stored");
}

#[test]
fn a_session_that_goes_to_the_store_is_checked_too() {
    #[derive(Serialize, Deserialize)]
    struct Careless {
        text: String,
        #[serde(skip_serializing_if = "Option::is_none", default = "nobody")]
        name: Option<String>,
    }
    fn nobody() -> Option<String> {
        Some("nobody".into())
    }
    for reads_back in [true, false] {
        let builder = builder::<Careless>().overflow(TestStore::default());
        let builder = if reads_back { builder } else { builder.dangerous_without_read_back() };
        let codec = builder.build().unwrap();
        for text in [large(), "small".into()] {
            codec.check(&Careless { text: text.clone(), name: Some("jane".into()) }).unwrap();
            let error = codec.check(&Careless { text, name: None }).unwrap_err();
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert!(source.ends_with("differs in `name`"), "{source}");
        }
    }
}

#[test]
fn fetching_goes_by_the_clock_of_the_codec() {
    let store = TestStore::default();
    let codec =
        builder::<String>().overflow(store.clone()).clock(|| at(900_000_000)).build().unwrap();
    let set_cookies = codec.renew(&large(), &codec.request([""])).unwrap();
    codec.store(&set_cookies).unwrap().now_or_never().unwrap().unwrap();
    let mut browser = Browser::default();
    browser.take(&set_cookies);
    let header = browser.header();
    let request = codec.request([&header]);
    let fetched = codec.fetch(&request).expect("it lies there").now_or_never().unwrap();
    assert_eq!(codec.decode_with(&request, fetched).unwrap().unwrap().session, large());
}

#[test]
fn what_an_old_cookie_brings_may_have_a_value_beside_it() {
    let store = TestStore::default();
    let reader = sealed_session::legacy::Reader::new("old", |value| {
        (value == b"good").then(|| Login { user: 7, tokens: Attached::new(large()) })
    });
    let builder = builder().overflow(store.clone()).also_reads(reader, at(ABSOLUTE));
    let mut world = World { store, codec: builder.build().unwrap(), browser: Browser::default() };
    world.browser.set("old", "good");
    // A page that changes nothing.
    let header = world.browser.header();
    let request = world.codec.request([&header]);
    assert_eq!(world.codec.decode_at(&request, at(0)).unwrap().unwrap().session.user, 7);
    let touched = world.codec.touch_at(&request, at(0));
    world.store(&touched).unwrap();
    world.browser.take(&touched);
    assert_eq!(world.browser.names(), ["__Host-session"]);
    assert_eq!(load(&world, 1).unwrap(), Some(large()));
}

#[test]
fn a_large_session_may_have_a_value_beside_it() {
    #[derive(Serialize, Deserialize)]
    struct Both {
        text: String,
        beside: Attached<String>,
    }
    let mut world = World::new();
    world.write(&Both { text: large(), beside: Attached::new(noise(9000)) }, at(0)).unwrap();
    assert_eq!(world.store.asked(), "put put");
    let found = world.read(at(1)).unwrap().unwrap().session;
    let beside = world.codec.load(&found.beside).now_or_never().unwrap().unwrap().unwrap();
    assert_eq!((found.text, &*beside), (large(), &noise(9000)));
}
