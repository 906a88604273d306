//! What operators see of sessions: counters and events, and nothing that is secret.

#![cfg(all(feature = "metrics", feature = "tracing"))]

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::{
    Counter, CounterFn, Gauge, Histogram, Key as Name, KeyName, Metadata, Recorder, SharedString,
    Unit,
};
use sealed_session::{Codec, Key, KeyRing, Limits, RingKey};

const DAY: Duration = Duration::from_secs(86_400);

fn day(n: u32) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_793_491_200) + n * DAY
}

/// The counters that were described, to whichever of the recorders was the first.
static DESCRIBED: Mutex<Vec<String>> = Mutex::new(Vec::new());

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("one thread").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The counters by name and labels.
#[derive(Clone, Default)]
struct Counters(Arc<Mutex<BTreeMap<String, u64>>>);

struct One(Counters, String);

impl CounterFn for One {
    fn increment(&self, value: u64) {
        let Self(Counters(all), name) = self;
        *all.lock().expect("one thread").entry(name.clone()).or_default() += value;
    }

    fn absolute(&self, _: u64) {
        unreachable!("counters only count");
    }
}

impl Recorder for Counters {
    fn register_counter(&self, name: &Name, _: &Metadata<'_>) -> Counter {
        let labels = name.labels().map(|label| format!(" {}={}", label.key(), label.value()));
        let name = name.name().to_owned() + &labels.collect::<String>();
        Counter::from_arc(Arc::new(One(self.clone(), name)))
    }

    fn register_gauge(&self, _: &Name, _: &Metadata<'_>) -> Gauge {
        unreachable!("there are only counters");
    }

    fn register_histogram(&self, _: &Name, _: &Metadata<'_>) -> Histogram {
        unreachable!("there are only counters");
    }

    fn describe_counter(&self, name: KeyName, _: Option<Unit>, what: SharedString) {
        assert!(!what.is_empty());
        DESCRIBED.lock().expect("no panic").push(name.as_str().to_owned());
    }

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
}

/// Has the counters described, which happens once in a process and to whoever counts first.
fn describe() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let codec = Codec::new(Key::generate().expect("random bytes"));
        metrics::with_local_recorder(&Counters::default(), || seal(&codec, "first", day(0)));
    });
}

/// Runs something, and gives the counters and the log that it made.
fn observed(run: impl FnOnce()) -> (BTreeMap<String, u64>, String) {
    let counters = Counters::default();
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_max_level(tracing::Level::TRACE)
        .without_time()
        .with_ansi(false)
        .finish();
    tracing::subscriber::with_default(subscriber, || metrics::with_local_recorder(&counters, run));
    let log = String::from_utf8(log.0.lock().expect("one thread").clone()).expect("text");
    let counters = counters.0.lock().expect("one thread").clone();
    let described = DESCRIBED.lock().expect("no panic");
    for counter in counters.keys() {
        let name = counter.split(' ').next().expect("a name");
        let times = described.iter().filter(|known| *known == name).count();
        assert_eq!(times, 1, "{name} is described once");
    }
    drop(described);
    (counters, log)
}

fn seal(codec: &Codec<String>, session: &str, now: SystemTime) -> String {
    let request = codec.request::<_, str>([]);
    let set = codec.encode_at(&session.to_owned(), &request, now).expect("sealed");
    let pairs = set.values().map(|set| set.split(';').next().expect("a cookie"));
    pairs.collect::<Vec<_>>().join("; ")
}

#[test]
fn counters_tell_who_still_uses_which_key_and_why_sessions_are_refused() {
    describe();
    let [old, new, lost, revoked] = [(); 4].map(|()| Key::generate().unwrap());
    let ids = [&old, &new, &lost, &revoked].map(Key::id);
    let texts = [&old, &new, &lost, &revoked].map(Key::expose_text);
    let elsewhere = Codec::<String>::new(lost);
    let leaked = Codec::<String>::new(revoked);
    let ring = KeyRing::new([
        RingKey::new(old).retires(day(9)),
        RingKey::new(new).activates(day(1)),
        RingKey::revoked(ids[3]),
    ]);
    let codec = Codec::<String>::builder(ring.unwrap())
        .limits(Limits::NGINX_PROXY_BUFFER_8K)
        .idle_timeout(7 * DAY)
        .build()
        .unwrap();
    let secret = "jane-of-the-jungle";
    // Too much for one cookie, and for two unless DEFLATE makes base64url smaller.
    let keys = (0..95).map(|_| Key::generate().unwrap().expose_text()[21..].to_owned());
    let long = keys.collect::<Vec<_>>().join(" ");
    let short = "abc".repeat(20);
    let decode = |cookie: &str, now| codec.decode_at(&codec.request([cookie]), now);
    let mut cookies = Vec::new();
    let (counters, log) = observed(|| {
        let by_old = seal(&codec, secret, day(0));
        let by_new = seal(&codec, secret, day(2));
        let split = seal(&codec, &long, day(2));
        seal(&codec, &short, day(2));
        for cookie in [&by_old, &by_old, &by_new, &split] {
            decode(cookie, day(2)).unwrap().expect("a session");
        }
        // Read once, though it is asked for twice, and then sealed by the other key.
        let request = codec.request([&by_old]);
        codec.decode_at(&request, day(2)).unwrap();
        codec.decode_at(&request, day(2)).unwrap();
        let _ = codec.encode_at(&secret.to_owned(), &request, day(2)).unwrap();
        assert!(decode("theme=dark", day(2)).unwrap().is_none(), "not counted");

        let unknown = seal(&elsewhere, secret, day(2));
        let bad = seal(&leaked, secret, day(2));
        decode(&unknown, day(2)).unwrap_err();
        codec.encode_at(&secret.to_owned(), &codec.request([&unknown]), day(2)).unwrap_err();
        decode(&bad, day(2)).unwrap_err();
        decode(&by_old, day(7)).unwrap_err();
        decode(&by_old, day(9)).unwrap_err();
        decode("__Host-session=non*sense", day(2)).unwrap_err();
        let huge = "x1y2".repeat(20_000);
        codec.encode_at(&huge, &codec.request::<_, str>([]), day(2)).unwrap_err();
        cookies.extend([by_old, by_new, split, unknown, bad]);
    });
    let [old, new, lost, revoked] = ids;
    let characters = counters["sealed_session_cookie_bytes_total"];
    let bytes = counters["sealed_session_body_bytes_total"];
    let plain = u64::try_from(secret.len() + 1).unwrap();
    let expected = [
        (format!("sealed_session_opened_total key={old}"), 3),
        (format!("sealed_session_opened_total key={new}"), 2),
        ("sealed_session_refused_total reason=unknown_key key=unknown".into(), 2),
        (format!("sealed_session_refused_total reason=revoked_key key={revoked}"), 1),
        (format!("sealed_session_refused_total reason=retired_key key={old}"), 1),
        (format!("sealed_session_refused_total reason=expired_absolute key={old}"), 1),
        ("sealed_session_refused_total reason=malformed key=none".into(), 1),
        (format!("sealed_session_sealed_total key={old} packing=none"), 1),
        (format!("sealed_session_sealed_total key={new} packing=none"), 3),
        (format!("sealed_session_sealed_total key={new} packing=deflate"), 1),
        (format!("sealed_session_sealed_total key={lost} packing=none"), 1),
        (format!("sealed_session_sealed_total key={revoked} packing=none"), 1),
        ("sealed_session_split_total".into(), 1),
        ("sealed_session_not_sealed_total reason=would_replace".into(), 1),
        ("sealed_session_not_sealed_total reason=too_large".into(), 1),
        ("sealed_session_cookie_bytes_total".into(), characters),
        ("sealed_session_body_bytes_total".into(), bytes),
    ];
    assert_eq!(counters, BTreeMap::from(expected));
    let long = u64::try_from(long.len() + 3).unwrap();
    assert_eq!(bytes, 5 * plain + long + 62, "seven sessions, as MessagePack");
    assert!(characters > bytes && characters < 2 * bytes, "{characters} for {bytes}");

    let lines = [
        format!("DEBUG sealed_session: sealed a session key={old} packing=\"none\" body=19 chars="),
        format!("TRACE sealed_session: opened a session key={new}\n"),
        format!(
            " INFO sealed_session: refused a session reason=\"unknown_key\" key={lost} error=the key {lost} of the \
             session cookie is not in the ring likely=\"another application uses this cookie name on this host, \
             or the key has not reached this node, or the key was lost\"\n"
        ),
        format!(
            "DEBUG sealed_session: refused a session reason=\"expired_absolute\" key={old} error=the session has \
             expired (absolute timeout)\n"
        ),
        " INFO sealed_session: refused a session reason=\"malformed\" error=the session cookie is malformed\n".to_owned(),
        format!(
            " INFO sealed_session: did not seal a session reason=\"would_replace\" error=the request carries a session \
             that this node cannot read and another may; only Codec::renew replaces it: the key {lost} of the \
             session cookie is not in the ring\n"
        ),
        " WARN sealed_session: did not seal a session reason=\"too_large\" needed=80005".to_owned(),
    ];
    for line in lines {
        assert!(log.contains(&line), "{line} is not in\n{log}");
    }
    assert_eq!(log.matches("opened a session").count(), 5);
    let told = format!("{log}{counters:?}");
    assert!(!told.contains("jane") && !told.contains("x1y2") && !told.contains("non*sense"));
    for secret in cookies.iter().map(String::as_str).chain(texts.iter().map(|text| text.as_str())) {
        let parts = (0..secret.len() - 12).map(|i| &secret[i..i + 12]);
        let mut shown = parts.filter(|part| !"__Host-session=".contains(part));
        assert_eq!(shown.find(|part| told.contains(part)), None);
    }
}

#[test]
fn each_refusal_is_logged_with_its_cause_and_the_key_that_the_ring_knows() {
    describe();
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Old {
        user: String,
    }
    #[derive(Debug, serde::Serialize, serde::Deserialize)]
    struct New {
        user: String,
        theme: String,
    }
    struct Unsealable;
    impl serde::Serialize for Unsealable {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no such type"))
        }
    }
    impl<'de> serde::Deserialize<'de> for Unsealable {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Ok(Self)
        }
    }
    let key = Key::generate().unwrap();
    let (id, ring) = (key.id(), KeyRing::from(key));
    let (old, new) = (Codec::<Old>::new(ring.clone()), Codec::<New>::new(ring.clone()));
    let nobody = || old.request::<_, str>([]);
    let set = old.encode_at(&Old { user: "jane".to_owned() }, &nobody(), day(0)).unwrap();
    let cookie = set.values().next().unwrap().split(';').next().unwrap().to_owned();
    let other = Codec::<New>::builder(ring.clone()).context("other").build().unwrap();
    let newer = Codec::<New>::builder(ring.clone()).schema(3).build().unwrap();
    let (counters, log) = observed(|| {
        new.decode_at(&new.request([&cookie]), day(0)).unwrap_err();
        other.decode_at(&other.request([&cookie]), day(0)).unwrap_err();
        newer.decode_at(&newer.request([&cookie]), day(0)).unwrap_err();
        new.decode_at(&new.request([&cookie]), UNIX_EPOCH).unwrap_err();
        let unsealable = Codec::<Unsealable>::new(ring);
        unsealable.encode_at(&Unsealable, &unsealable.request([""]), day(0)).unwrap_err();
    });
    let refused = |reason: &str, error: &str| {
        format!(
            " INFO sealed_session: refused a session reason=\"{reason}\" key={id} error={error}\n"
        )
    };
    let since = day(0).duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert_eq!(
        log,
        [
            refused("deserialize", "the session does not fit its type: missing field `theme`"),
            refused(
                "invalid_tag",
                "the seal of the session cookie does not hold likely=\"the cookie was damaged or forged, or another \
                 application on this host uses this cookie name with the same keys, or the context was changed\"",
            ),
            refused("no_migration", "the session has schema 0, and no migration starts there"),
            refused("from_future", &format!("the session was sealed {since} s in the future")),
            "ERROR sealed_session: did not seal a session reason=\"serialize\" error=the session cannot be \
             serialized: no such type\n"
                .to_owned(),
        ]
        .concat()
    );
    let counter = format!("sealed_session_refused_total reason=deserialize key={id}");
    assert_eq!(counters.get(&counter), Some(&1), "{counters:?}");
}

#[cfg(feature = "watch")]
#[test]
fn a_broken_key_file_is_logged_once_and_counted_each_time() {
    describe();
    use sealed_session::{KeyFile, KeySource, Policy, Watcher};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    let policy = Policy::default();
    let key = Key::generate().unwrap();
    let first = key.id();
    KeyFile::new_at(key, day(0)).create(&path).unwrap();
    let ids = || -> Vec<_> {
        let file = KeySource::mount(&path).load().unwrap();
        file.keys_at(day(0)).iter().map(|key| key.id).collect()
    };
    let mut keys = Vec::new();
    let (counters, log) = observed(|| {
        let mut watcher = Watcher::new_at(KeySource::mount(&path), day(1)).unwrap();
        KeyFile::edit(&path, |file| policy.rotate_at(file, day(28))).unwrap();
        let _ = watcher.poll_at(day(28));
        let replace = |file: &mut KeyFile| {
            let at_once = policy.dangerous_at_once();
            at_once.add_at(file, Key::generate().unwrap(), Some(day(28)), day(28))?;
            policy.revoke_at(file, first, day(28))
        };
        KeyFile::edit(&path, replace).unwrap();
        let _ = watcher.poll_at(day(28));
        keys = ids();
        std::fs::write(&path, "[[key]]\n").unwrap();
        for _ in 0..3 {
            let _ = watcher.poll_at(day(28));
        }
    });
    let expected = [
        ("sealed_session_reloads_total result=failed".to_owned(), 3),
        ("sealed_session_reloads_total result=reloaded".to_owned(), 2),
    ];
    assert_eq!(counters, BTreeMap::from(expected));
    keys.retain(|id| *id != first);
    let [new, second] = *keys else { panic!("{keys:?}") };
    assert_eq!(
        log,
        format!(
            " INFO sealed_session: reloaded the key ring primary={first} keys=2 added={second} removed= revoked=\n \
              INFO sealed_session: reloaded the key ring primary={new} keys=3 added={new} removed= revoked={first}\n \
              WARN sealed_session: the key that seals was not announced to this node; if others do not have \
             it, they refuse its sessions primary={new}\n\
             ERROR sealed_session: the key file is broken, the key ring stays error={}: line 1 of the key file: \
             missing field `id`\n",
            path.display()
        )
    );
}

/// The thread logs through what the application has, for all threads; and that may panic.
#[cfg(feature = "watch")]
#[test]
fn the_watch_survives_a_log_that_panics() {
    describe();
    use sealed_session::{KeyFile, KeySource, Watcher};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    KeyFile::new_at(Key::generate().unwrap(), day(0)).create(&path).unwrap();
    let (tell, logged) = std::sync::mpsc::channel();
    let writer = move || {
        if std::thread::current().name() == Some("sealed-session-watch") {
            tell.send(()).unwrap();
            panic!("on purpose");
        }
        io::sink()
    };
    let tell_all = tracing_subscriber::fmt().with_writer(writer).finish();
    tracing::subscriber::set_global_default(tell_all).unwrap();

    let watcher = Watcher::new(KeySource::file(&path)).unwrap().every(Duration::ZERO);
    let ring = watcher.ring();
    let _watch = watcher.spawn(|_| ()).unwrap();
    for keys in 2..4 {
        let add = |file: &mut KeyFile| {
            let policy = sealed_session::Policy::default();
            policy.add_at(file, Key::generate().unwrap(), None, day(2 * keys))
        };
        KeyFile::edit(&path, add).unwrap();
        logged.recv_timeout(Duration::from_secs(60)).expect("a look, and a panic");
        assert_eq!(ring.ids().len(), usize::try_from(keys).unwrap());
    }
}

/// All that can be printed in a life of sessions and keys: events, counters, errors, `Debug` of all types, a panic.
#[test]
fn nothing_that_is_printed_holds_a_key_a_session_or_a_cookie() {
    describe();
    use std::fmt::{Debug, Write as _};

    const SECRET: [u8; Key::LEN] = *b"the secret that nobody must see.";
    const SESSION: &str = "what stands in the session";
    let key = || Key::from_bytes(SECRET).expect("a key");
    let stranger = Codec::<String>::new(Key::generate().expect("random bytes"));
    let mut printed = String::new();
    let mut cookies = Vec::new();
    let (counters, log) = observed(|| {
        let mut show =
            |shown: &dyn Debug| writeln!(printed, "{shown:?}\n{shown:#?}").expect("a string");
        let ring = KeyRing::from(key());
        let builder = Codec::<String>::builder(ring.clone()).session_ids();
        show(&(&key(), &ring, &RingKey::new(key()), &builder));
        let codec = builder.limits(Limits::NGINX_PROXY_BUFFER_16K).build().expect("settings");
        show(&codec);

        let long = SESSION.repeat(150) + &(0..2500).map(|i| format!("{i:x}")).collect::<String>();
        for session in [SESSION, &long] {
            let nobody = codec.request::<_, str>([]);
            let set = codec.renew_at(&session.to_owned(), &nobody, day(0)).expect("fits");
            let pairs: Vec<_> = set.values().filter_map(|line| line.split(';').next()).collect();
            cookies.extend(
                pairs
                    .iter()
                    .filter_map(|pair| pair.split_once('='))
                    .map(|(_, value)| value.to_owned()),
            );
            let request = codec.request(&pairs);
            let opened = codec.decode_at(&request, day(0)).expect("opens").expect("is there");
            show(&(&set, &request, opened.map(|_| "its own session is the user's to show")));
            // Refusals of each kind, and what becomes of a write then.
            let cut: Vec<_> = pairs.iter().map(|pair| &pair[..pair.len() - 8]).collect();
            for (codec, pairs, now) in [
                (&codec, &pairs[..1], day(30)),
                (&codec, &pairs[..1], UNIX_EPOCH),
                (&codec, &cut, day(0)),
                (&stranger, &pairs, day(0)),
            ] {
                let request = codec.request(pairs);
                let refused = codec.decode_at(&request, now);
                let written = codec.encode_at(&SESSION.repeat(3000), &request, now);
                show(&(&request, &refused.as_ref().err(), &written.as_ref().err()));
                let told =
                    (refused.err().map(|e| e.to_string()), written.err().map(|e| e.to_string()));
                show(&told);
            }
        }

        let text = key().expose_text();
        for wrong in [
            &text[1..],
            &text[..text.len() - 1],
            &format!("{}x", *text),
            &text.replacen('1', "2", 1),
        ] {
            let error = wrong.parse::<Key>().expect_err("no key");
            let of_list = format!("{wrong},{}", *text).parse::<KeyRing>().expect_err("no ring");
            show(&(&error, error.to_string(), &of_list, of_list.to_string()));
        }
        #[cfg(feature = "key-file")]
        {
            let file = sealed_session::KeyFile::new_at(key(), day(0));
            let broken = file.expose_text().replacen("created", "createt", 1);
            let error = broken.parse::<sealed_session::KeyFile>().expect_err("no file");
            show(&(&file, &error, error.to_string()));
            let broken = file.expose_text().replacen("-KEY-1-", "-KEY-1-A", 1);
            let error = broken.parse::<sealed_session::KeyFile>().expect_err("no file");
            show(&(&error, error.to_string()));
        }

        let panicked = std::panic::catch_unwind(|| {
            let codec = Codec::<String>::new(key());
            let request = codec.request([&cookies[0]]);
            codec
                .decode_at(&request, day(30))
                .map(|opened| opened.map(|_| ()))
                .expect("no session")
                .expect("none")
        });
        show(&panicked.expect_err("panics").downcast_ref::<String>().map(String::as_str));
    });
    writeln!(printed, "{log}{counters:?}").expect("a string");
    assert!(printed.len() > 5000 && printed.contains("expired"), "much is printed: {printed}");

    let text = key().expose_text();
    let hexadecimal = SECRET.map(|byte| format!("{byte:02x}")).concat();
    let numbers = format!("{SECRET:?}");
    let numbers = numbers.trim_matches(['[', ']']);
    let mut secrets = vec![
        &text[21..41],
        &text[41..],
        &hexadecimal[..16],
        "the secret that",
        numbers,
        &SESSION[5..20],
    ];
    // Of a cookie, what its key id does not tell.
    secrets.extend(cookies.iter().map(|value| &value[12..40]));
    for secret in secrets {
        assert!(!printed.contains(secret), "{secret} is printed:\n{printed}");
    }
}

#[test]
fn old_cookies_are_told_by_name_and_result_and_their_end_once() {
    describe();
    let reader = sealed_session::legacy::Reader::new("old", |value| {
        (value == b"good").then(|| "jane-of-the-jungle".to_owned())
    });
    let ring = KeyRing::from(Key::generate().unwrap());
    let codec = Codec::<String>::builder(ring).also_reads(reader, day(1)).build().unwrap();
    let (counters, log) = observed(|| {
        let decode = |header: &str, now| codec.decode_at(&codec.request([header]), now).unwrap();
        assert!(decode("old=good", day(0)).is_some());
        assert!(decode("old=bad-and-secret", day(0)).is_none());
        assert!(decode("theme=dark", day(0)).is_none());
        for _ in 0..3 {
            assert!(decode("theme=dark", day(1)).is_none());
            assert!(decode("old=good", day(2)).is_none());
        }
    });
    assert_eq!(counters["sealed_session_old_cookies_total cookie=old result=read"], 1);
    assert_eq!(counters["sealed_session_old_cookies_total cookie=old result=declined"], 1);
    let ended = " WARN sealed_session: the end date of an old cookie has passed: it is read no more, and its reader \
                 can be taken out cookie=\"old\"";
    assert_eq!(log.matches(ended).count(), 1, "{log}");
    assert!(log.contains("DEBUG sealed_session: read an old cookie cookie=\"old\"\n"), "{log}");
    let refused =
        " INFO sealed_session: refused an old cookie cookie=\"old\" result=\"declined\"\n";
    assert!(log.contains(refused), "{log}");
    assert!(!log.contains("secret") && !log.contains("jungle"), "{log}");
}
