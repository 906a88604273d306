//! The watch over a key file: what replaces the ring of running codecs, and what must not.

#![cfg(all(feature = "watch", unix))]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sealed_session::{
    Codec, DecodeError, EncodeError, Key, KeyFile, KeyFileError, KeyId, KeySource, Policy, RingKey,
    WatchEvent, Watcher,
};

const DAY: Duration = Duration::from_secs(86_400);

fn day(n: u32) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_793_491_200) + n * DAY
}

fn one_key(now: SystemTime) -> KeyFile {
    KeyFile::new_at(Key::generate().expect("a key"), now)
}

/// A ring with one key, and the same ring with a second one that seals from day 2 on.
fn two_files() -> (KeyFile, KeyFile) {
    let policy = Policy::default();
    let old = one_key(day(0));
    let mut new: KeyFile = old.expose_text().parse().expect("the same file");
    let key = Key::generate().expect("a key");
    policy.add_at(&mut new, key, None, day(0)).expect("announced");
    (old, new)
}

fn ids(file: &KeyFile) -> Vec<KeyId> {
    file.keys_at(day(1)).iter().map(|key| key.id).collect()
}

/// Puts a file in its place as the tool does.
fn put(file: &KeyFile, path: &Path) {
    let new = path.with_extension("new");
    write(file, &new);
    fs::rename(new, path).expect("own folder");
}

fn write(file: &KeyFile, path: &Path) {
    fs::write(path, file.expose_text().as_bytes()).expect("own folder");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("own file");
}

fn seal(codec: &Codec<String>, now: SystemTime) -> String {
    let request = codec.request::<_, str>([]);
    let set = codec.encode_at(&"jane".to_owned(), &request, now).expect("sealed");
    set.values().next().and_then(|set| set.split(';').next()).expect("a cookie").to_owned()
}

/// Looks twice, as is needed where a key is missing: the first look only doubts.
fn poll_twice(watcher: &mut Watcher, now: SystemTime) -> Option<WatchEvent> {
    let keys = watcher.ring().ids();
    assert!(watcher.poll_at(now).is_none(), "a key is missing, so nothing is done yet");
    assert_eq!(watcher.ring().ids(), keys);
    watcher.poll_at(now)
}

fn is_reloaded(event: Option<WatchEvent>, keys: usize) -> bool {
    matches!(event, Some(WatchEvent::Reloaded { keys: found, .. }) if found == keys)
}

#[test]
fn every_way_to_change_a_file_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    let (old, new) = two_files();
    put(&old, &path);
    let mut watcher = Watcher::new_at(KeySource::file(&path), day(1)).unwrap();
    let codec = Codec::<String>::new(watcher.ring());
    let first = codec.ring().primary_at(day(1));
    assert!(watcher.poll_at(day(1)).is_none(), "nothing changed");

    put(&new, &path);
    assert!(is_reloaded(watcher.poll_at(day(1)), 2), "a rename");
    assert!(watcher.poll_at(day(1)).is_none());
    assert_eq!(codec.ring().primary_at(day(1)), first);
    assert_ne!(
        codec.ring().primary_at(day(2)),
        first,
        "the codec follows, and the key with its time"
    );

    write(&old, &path);
    assert!(is_reloaded(poll_twice(&mut watcher, day(1)), 1), "a write in place");
    assert_eq!(codec.ring().ids().len(), 1);

    fs::write(&path, format!("# note\n{}", *old.expose_text())).unwrap();
    assert!(watcher.poll_at(day(1)).is_none(), "a comment changes no key");
}

/// A writer that writes in place and is slow, or dies: each beginning of the file may be what a look finds.
#[test]
fn a_file_that_is_being_written_replaces_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    let (_, good) = two_files();
    let text = good.expose_text();
    let mut shorter = 0;
    for len in 0..text.len() {
        write(&good, &path);
        let mut watcher = Watcher::new_at(KeySource::file(&path), day(3)).unwrap();
        let primary = watcher.ring().primary_at(day(3));
        fs::write(&path, &text[..len]).unwrap();
        shorter += u32::from(watcher.poll_at(day(3)).is_none());
        assert_eq!(watcher.ring().primary_at(day(3)), primary, "{len} bytes");
        assert_eq!(watcher.ring().ids().len(), 2, "{len} bytes");
        fs::write(&path, text.as_bytes()).unwrap();
        let event = watcher.poll_at(day(3));
        assert!(matches!(event, None | Some(WatchEvent::Recovered)), "{event:?}");
    }
    assert!(shorter > 2, "some beginnings are good files: {shorter}");
}

#[test]
fn a_file_that_lacks_a_key_is_taken_when_it_is_found_twice_in_a_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    let (old, new) = two_files();
    let other = one_key(day(0));
    put(&new, &path);
    let mut watcher = Watcher::new_at(KeySource::file(&path), day(1)).unwrap();
    let broken = || fs::write(&path, "[[key]]").unwrap();
    for _ in 0..3 {
        put(&old, &path);
        assert!(watcher.poll_at(day(1)).is_none());
        put(&other, &path);
        assert!(watcher.poll_at(day(1)).is_none(), "another file than before");
        broken();
        assert!(matches!(watcher.poll_at(day(1)), Some(WatchEvent::Failed(_))));
        put(&other, &path);
        assert!(watcher.poll_at(day(1)).is_none(), "not twice in a row, and not good yet");
        put(&new, &path);
        assert!(matches!(watcher.poll_at(day(1)), Some(WatchEvent::Recovered)));
    }
    assert_eq!(watcher.ring().ids().len(), 2);
    put(&other, &path);
    let event = poll_twice(&mut watcher, day(1)).unwrap();
    let WatchEvent::Reloaded { primary, keys: 1, added, removed, revoked, cutoff: None } = &event
    else {
        panic!("{event:?}")
    };
    assert_eq!((primary.as_slice(), added), (&ids(&other)[..], &ids(&other)));
    assert_eq!((removed, revoked.len()), (&ids(&new), 0));
    let [one, two, three] = [ids(&other)[0], ids(&new)[0], ids(&new)[1]];
    assert_eq!(
        event.to_string(),
        format!(
            "the key ring was reloaded: 1 key, {one} seals, added {one}, removed {two},{three}; the key that \
             seals was not announced to this node"
        )
    );
}

#[test]
fn a_revocation_is_taken_at_once_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    let (_, new) = two_files();
    put(&new, &path);
    let mut watcher = Watcher::new_at(KeySource::file(&path), day(3)).unwrap();
    let [first, second] = *watcher.ring().ids() else { panic!("two keys") };
    let cookie = seal(&Codec::new(watcher.ring()), day(3));
    let revoked = |file: &mut KeyFile| Policy::default().revoke_at(file, second, day(3));
    KeyFile::edit(&path, revoked).unwrap();
    let event = watcher.poll_at(day(3)).expect("at once");
    assert_eq!(
        event.to_string(),
        format!("the key ring was reloaded: 2 keys, {first} seals, revoked {second}")
    );
    let codec = Codec::<String>::new(watcher.ring());
    let refused = codec.decode_at(&codec.request([&cookie]), day(3)).unwrap_err();
    assert!(matches!(refused, DecodeError::RevokedKey(id) if id == second), "{refused}");
    let comment = |file: &mut KeyFile| file.comment(second, "leaked");
    KeyFile::edit(&path, comment).unwrap();
    let event = watcher.poll_at(day(3)).expect("a comment");
    assert!(!event.to_string().contains("revoked"), "told once: {event}");
}

/// Each way in which a file can be wrong, with a revocation of the key that seals in it.
#[test]
fn a_revocation_takes_effect_whatever_else_is_wrong_with_the_file() {
    let policy = Policy::default();
    let mut file = one_key(day(0));
    let [leaked] = ids(&file)[..] else { panic!("one key") };
    policy.add_at(&mut file, Key::generate().unwrap(), None, day(0)).unwrap();
    let entry = |text: &str, id: KeyId| -> String {
        let entries = text.split("\n[[key]]\n").skip(1);
        entries.filter(|entry| entry.contains(&format!("\"{id}\""))).collect()
    };
    let text = file.expose_text();
    let secret =
        entry(&text, leaked).lines().find(|line| line.starts_with("key = ")).unwrap().to_owned();
    // By hand, as at night.
    let revoked = text.replacen(&secret, "state = \"revoked\"", 1);
    let with_secret = text.replacen(&secret, &format!("{secret}\nstate = \"revoked\""), 1);
    let last = format!("{}\n[[key]]\n", revoked.trim_end());
    let other = entry(&revoked, ids(&file)[1]);
    for (what, text, mode) in [
        ("the other key is pending", revoked.clone(), 0o600),
        ("the secret is still there", with_secret, 0o600),
        ("there is no other key", revoked.replacen(&format!("[[key]]\n{other}"), "", 1), 0o600),
        ("another key is damaged", revoked.replacen("KEY-1-", "KEY-1-A", 1), 0o600),
        ("another field is unknown", format!("owner = \"us\"\n{revoked}"), 0o600),
        ("a time is wrong", revoked.replace("activates = 2", "activates = tomorrow # 2"), 0o600),
        ("it ends in the midst", format!("{last}id = \"8a34"), 0o600),
        ("it is no TOML", format!("what was I to write here?\n{last}"), 0o600),
        ("others can read it", revoked.clone(), 0o644),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.toml");
        put(&file, &path);
        let mut watcher = Watcher::new_at(KeySource::file(&path), day(1)).unwrap();
        let codec = Codec::<String>::new(watcher.ring());
        let cookie = seal(&codec, day(1));
        let request = codec.request([&cookie]);
        codec.decode_at(&request, day(1)).unwrap().expect("a session");

        fs::write(&path, &text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let event = watcher.poll_at(day(1));
        let Some(WatchEvent::Revoked { revoked, primary: None, cutoff: None, .. }) = &event else {
            panic!("{what}: {event:?}")
        };
        assert_eq!(revoked, &[leaked], "{what}");
        let refused = codec.decode_at(&codec.request([&cookie]), day(1)).unwrap_err();
        assert!(
            matches!(refused, DecodeError::RevokedKey(id) if id == leaked),
            "{what}: {refused}"
        );
        // What was opened before is not resealed, and nothing else is sealed by the key.
        let refused = codec.encode_at(&"joe".to_owned(), &request, day(1)).unwrap_err();
        assert!(matches!(refused, EncodeError::Ended(_)), "{what}: {refused}");
        let nobody = codec.request::<_, str>([]);
        let refused = codec.encode_at(&"joe".to_owned(), &nobody, day(1)).unwrap_err();
        assert!(matches!(refused, EncodeError::NoActiveKey), "{what}: {refused}");
        for _ in 0..3 {
            let event = watcher.poll_at(day(1));
            assert!(
                matches!(event, Some(WatchEvent::NothingSeals(_))),
                "{what}, at each check: {event:?}"
            );
        }

        // A file that is good ends it.
        let mut good: KeyFile = file.expose_text().parse().unwrap();
        let other = ids(&good)[1];
        policy.dangerous_at_once().promote_at(&mut good, other, day(1)).unwrap();
        policy.revoke_at(&mut good, leaked, day(1)).unwrap();
        put(&good, &path);
        assert!(is_reloaded(watcher.poll_at(day(1)), 2), "{what}");
        assert_eq!(codec.ring().primary_at(day(1)), Some(other), "{what}");
    }
}

#[test]
fn a_revocation_does_not_wait_for_a_file_that_lacks_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    let (_, mut file) = two_files();
    put(&file, &path);
    let mut watcher = Watcher::new_at(KeySource::file(&path), day(3)).unwrap();
    let [first, second] = ids(&file)[..] else { panic!("two keys") };
    let third = Key::generate().unwrap();
    let policy = Policy::default().dangerous_at_once();
    policy.add_at(&mut file, third, Some(day(3)), day(3)).unwrap();
    policy.revoke_at(&mut file, second, day(3)).unwrap();
    let text = file.expose_text();
    let entry = text.split("\n[[key]]\n").find(|entry| entry.contains(&first.to_string())).unwrap();
    fs::write(&path, text.replacen(&format!("\n[[key]]\n{entry}"), "", 1)).unwrap();
    let event = watcher.poll_at(day(3)).expect("at once");
    assert_eq!(
        event.to_string(),
        format!(
            "the key ring took back what the key file says, revoked {second}; the rest of the file will be looked \
             at again"
        )
    );
    assert!(is_reloaded(watcher.poll_at(day(3)), 2));
}

#[test]
fn a_running_ring_takes_no_revocation_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    let (_, backup) = two_files();
    put(&backup, &path);
    let mut watcher = Watcher::new_at(KeySource::file(&path), day(3)).unwrap();
    let second = ids(&backup)[1];
    let cookie = seal(&Codec::new(watcher.ring()), day(3));
    let incident = |file: &mut KeyFile| {
        Policy::default().cut_off_at(file, day(2), day(3))?;
        Policy::default().revoke_at(file, second, day(3))
    };
    KeyFile::edit(&path, incident).unwrap();
    assert!(is_reloaded(watcher.poll_at(day(3)), 2));
    put(&backup, &path);
    let event = watcher.poll_at(day(3)).expect("an old file");
    assert!(
        matches!(event, WatchEvent::Failed(KeyFileError::TakenBack(id)) if id == second),
        "{event:?}"
    );
    let codec = Codec::<String>::new(watcher.ring());
    let refused = codec.decode_at(&codec.request([&cookie]), day(3)).unwrap_err();
    assert!(matches!(refused, DecodeError::RevokedKey(_)), "{refused}");
}

#[test]
fn a_cutoff_ends_what_was_forged_and_sealed_again_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    let (_, file) = two_files();
    let [leaked, good] = ids(&file)[..] else { panic!("two keys") };
    put(&file, &path);
    let mut watcher = Watcher::new_at(KeySource::file(&path), day(3)).unwrap();
    let codec = Codec::<String>::new(watcher.ring());
    // The key leaked, and somebody uses what was forged under it once after the rotation.
    let thief = Codec::<String>::new(file.ring_at(day(1)).unwrap());
    let hour = Duration::from_secs(3600);
    let forged = seal(&thief, day(2) - hour);
    let request = codec.request([&forged]);
    assert_eq!(codec.decode_at(&request, day(2) + hour).unwrap().expect("opens").key, leaked);
    let set = codec.encode_at(&"jane".to_owned(), &request, day(2) + hour).unwrap();
    let laundered = set.values().next().unwrap().split(';').next().unwrap().to_owned();
    let honest = seal(&codec, day(3));
    let decode = |cookie: &str, now| codec.decode_at(&codec.request([cookie]), now);
    KeyFile::edit(&path, |file| Policy::default().revoke_at(file, leaked, day(3))).unwrap();
    watcher.poll_at(day(3)).expect("the revocation");
    assert_eq!(decode(&laundered, day(3)).unwrap().expect("it lives on").key, good);
    // What a request has open when the cutoff comes is not resealed.
    let open = codec.request([&laundered]);
    codec.decode_at(&open, day(3)).unwrap().expect("it lives on");

    KeyFile::edit(&path, |file| Policy::default().cut_off_at(file, day(3), day(3))).unwrap();
    let event = watcher.poll_at(day(3)).expect("the cutoff");
    assert_eq!(
        event.to_string(),
        format!(
            "the key ring was reloaded: 2 keys, {good} seals, no session from before 2026-11-04T00:00:00Z lives"
        )
    );
    let refused = decode(&laundered, day(3)).unwrap_err();
    assert!(matches!(refused, DecodeError::BeforeCutoff), "{refused}");
    let refused = codec.encode_at(&"joe".to_owned(), &open, day(3)).unwrap_err();
    assert!(matches!(refused, EncodeError::Ended(DecodeError::BeforeCutoff)), "{refused}");
    decode(&honest, day(3)).unwrap().expect("what began since lives");

    // In the second in which it is told, what began ends, and who logs in then stays.
    let half = Duration::from_millis(500);
    let now = day(3) + Duration::from_secs(60);
    let before = seal(&codec, now);
    KeyFile::edit(&path, |file| Policy::default().cut_off_at(file, now + half, now + half))
        .unwrap();
    let after = seal(&codec, now + half);
    decode(&after, now + half).unwrap().expect("not loaded yet");
    watcher.poll_at(now + half).expect("another cutoff");
    for old in [&before, &after, &honest] {
        assert!(matches!(decode(old, now + half), Err(DecodeError::BeforeCutoff)));
    }
    let after = seal(&codec, now + half);
    decode(&after, now + half).unwrap().expect("a login after the reload");

    // One that stands in a broken file takes effect too, and none is taken back.
    let text = fs::read_to_string(&path).unwrap();
    let later = text.replace("00:01:01Z", "00:02:00Z").replace("created", "made");
    fs::write(&path, &later).unwrap();
    let event = watcher.poll_at(day(4)).expect("a cutoff");
    assert!(
        matches!(event, WatchEvent::Revoked { cutoff: Some(_), error: Some(_), .. }),
        "{event:?}"
    );
    fs::write(&path, text).unwrap();
    assert!(matches!(watcher.poll_at(day(4)), Some(WatchEvent::Recovered)));
    fs::write(&path, later.replace("made", "created").replace("00:02:00Z", "00:00:30Z")).unwrap();
    assert!(is_reloaded(watcher.poll_at(day(4)), 2));
    assert!(matches!(decode(&after, now + half), Err(DecodeError::BeforeCutoff)));
}

#[test]
fn a_cutoff_to_come_in_a_file_that_is_refused_is_corrected_by_the_file_of_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    let (_, file) = two_files();
    put(&file, &path);
    KeyFile::edit(&path, |file| Policy::default().cut_off_at(file, day(3), day(3))).unwrap();
    let mut watcher = Watcher::new_at(KeySource::file(&path), day(3)).unwrap();
    let codec = Codec::<String>::new(watcher.ring());
    let cookie = seal(&codec, day(4));
    let decode = || codec.decode_at(&codec.request([&cookie]), day(4));
    decode().unwrap().expect("it lives");

    // Somebody wrote the wrong year, and damaged the file besides.
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("2026-11-04T", "2027-11-04T").replace("created", "made"))
        .unwrap();
    let event = watcher.poll_at(day(4)).expect("the cutoff");
    assert!(matches!(event, WatchEvent::Revoked { cutoff: Some(_), .. }), "{event:?}");
    assert!(matches!(decode(), Err(DecodeError::BeforeCutoff)));

    // The file of before is the one that is loaded already, and takes effect all the same.
    fs::write(&path, &text).unwrap();
    assert!(is_reloaded(watcher.poll_at(day(4)), 2));
    decode().unwrap().expect("it lives again");
    assert!(watcher.poll_at(day(4)).is_none());
}

#[test]
fn no_look_takes_back_what_the_application_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    let (_, file) = two_files();
    let [first, second] = ids(&file)[..] else { panic!("two keys") };
    put(&file, &path);
    let mut watcher = Watcher::new_at(KeySource::file(&path), day(3)).unwrap();
    let ring = watcher.ring();
    let codec = Codec::<String>::new(ring.clone());
    let cookie = seal(&codec, day(3));
    let refused = || codec.decode_at(&codec.request([&cookie]), day(3)).unwrap_err();
    let change = |note: &str| {
        KeyFile::edit(&path, |file| file.comment(first, note.to_owned())).unwrap();
    };
    ring.refuse_before(day(5));
    assert!(watcher.poll_at(day(3)).is_none(), "nothing of the file changed");
    assert!(matches!(refused(), DecodeError::BeforeCutoff));
    change("one");
    assert!(is_reloaded(watcher.poll_at(day(3)), 2));
    assert!(matches!(refused(), DecodeError::BeforeCutoff));

    ring.replace(file.ring_keys().take(1).chain([RingKey::revoked(second)])).unwrap();
    assert!(matches!(refused(), DecodeError::RevokedKey(id) if id == second));
    let event = watcher.poll_at(day(3));
    assert!(matches!(event, Some(WatchEvent::Failed(KeyFileError::TakenBack(id))) if id == second));
    change("two");
    assert!(watcher.poll_at(day(3)).is_none(), "it is told once");
    assert!(matches!(refused(), DecodeError::RevokedKey(_)));
    KeyFile::edit(&path, |file| Policy::default().revoke_at(file, second, day(3))).unwrap();
    assert!(is_reloaded(watcher.poll_at(day(3)), 2));
    assert!(matches!(refused(), DecodeError::RevokedKey(_)));
}

#[test]
fn the_end_of_a_watch_does_not_wait_for_what_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    let (old, new) = two_files();
    put(&old, &path);
    let watcher = Watcher::new_at(KeySource::file(&path), day(1)).unwrap().every(Duration::ZERO);
    let (tell, told) = mpsc::channel();
    let (_never, hang) = mpsc::channel::<()>();
    let watch = watcher.spawn(move |event| {
        tell.send(event).unwrap();
        let _ = hang.recv();
    });
    let watch = watch.unwrap();
    put(&new, &path);
    next(&told);
    let (done, is_done) = mpsc::channel();
    std::thread::spawn(move || {
        drop(watch);
        done.send(()).unwrap();
    });
    is_done.recv_timeout(Duration::from_secs(60)).expect("the report hangs, and the drop does not");

    // A command that hangs, likewise.
    let run = folder.path().join("run");
    let script = format!(
        "#!/bin/sh\nif [ -e '{0}' ]; then echo $$ > '{0}'; exec sleep 1000; fi\ncat '{1}'\n",
        run.display(),
        path.display()
    );
    let program = folder.path().join("keys");
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let source = KeySource::command(&program, [""; 0]).timeout(Duration::from_secs(600));
    let watcher = Watcher::new_at(source, day(1)).unwrap().every(Duration::ZERO);
    let (tell, told) = mpsc::channel();
    let watch = watcher.spawn(move |event| tell.send(event).unwrap()).unwrap();
    fs::write(&run, "").unwrap();
    let since = std::time::Instant::now();
    let pid = loop {
        let pid = fs::read_to_string(&run).unwrap();
        if pid.ends_with('\n') {
            break pid;
        }
        assert!(since.elapsed() < Duration::from_secs(60), "a look begins");
        std::thread::yield_now();
    };
    let (done, is_done) = mpsc::channel();
    std::thread::spawn(move || {
        drop(watch);
        done.send(()).unwrap();
    });
    is_done
        .recv_timeout(Duration::from_secs(60))
        .expect("the command hangs, and the drop does not");
    // What it gives in the end is not reported.
    let killed = std::process::Command::new("kill").args(["-9", pid.trim()]).status().unwrap();
    assert!(killed.success());
    assert!(told.recv_timeout(Duration::from_secs(60)).is_err(), "the thread ends in silence");
}

/// A Secret lies in `..2026_…`, to which `..data` points, to which the file points. The kubelet makes
/// a new folder and renames a new `..data` over the old one.
#[test]
fn a_kubernetes_secret_that_is_swapped_is_seen() {
    let mount = tempfile::tempdir().unwrap();
    let (old, new) = two_files();
    let swap = |name: &str, file: &KeyFile| {
        let folder = mount.path().join(name);
        fs::create_dir(&folder).unwrap();
        write(file, &folder.join("keys.toml"));
        fs::set_permissions(folder.join("keys.toml"), fs::Permissions::from_mode(0o644)).unwrap();
        symlink(name, mount.path().join("..data_tmp")).unwrap();
        fs::rename(mount.path().join("..data_tmp"), mount.path().join("..data")).unwrap();
    };
    swap("..2026_11_01", &old);
    let path = mount.path().join("keys.toml");
    symlink("..data/keys.toml", &path).unwrap();

    let exposed = Watcher::new_at(KeySource::file(&path), day(1)).unwrap_err();
    assert!(matches!(exposed, KeyFileError::Exposed { mode: 0o644, .. }));
    let mut watcher = Watcher::new_at(KeySource::mount(&path), day(1)).unwrap();
    assert!(watcher.poll_at(day(1)).is_none());
    swap("..2026_11_02", &new);
    fs::remove_dir_all(mount.path().join("..2026_11_01")).unwrap();
    assert!(is_reloaded(watcher.poll_at(day(1)), 2));
    assert_eq!(watcher.ring().ids().len(), 2);
}

#[test]
fn a_broken_file_never_replaces_a_good_ring() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    let (old, new) = two_files();
    put(&old, &path);
    let mut watcher = Watcher::new_at(KeySource::file(&path), day(1)).unwrap();
    let codec = Codec::<String>::new(watcher.ring());
    let cookie = seal(&codec, day(1));

    type Break<'a> = &'a dyn Fn();
    let text = new.expose_text();
    let half = || fs::write(&path, &text[..text.len() / 2]).unwrap();
    let empty = || fs::write(&path, "").unwrap();
    let gone = || fs::remove_file(&path).unwrap();
    let exposed = || {
        write(&new, &path);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    };
    let pending = || {
        let later = one_key(day(9));
        write(&later, &path);
    };
    let breaks: [(&str, Break<'_>); 5] = [
        ("half", &half),
        ("empty", &empty),
        ("gone", &gone),
        ("exposed", &exposed),
        ("no active key", &pending),
    ];
    for (what, break_it) in breaks {
        break_it();
        assert!(matches!(watcher.poll_at(day(1)), Some(WatchEvent::Failed(_))), "{what}");
        assert!(watcher.poll_at(day(1)).is_none(), "{what} is told once");
        let request = codec.request([&cookie]);
        let opened = codec.decode_at(&request, day(1)).unwrap().expect("the session");
        assert_eq!(opened.session, "jane", "{what}");
        assert!(!codec.encode_at(&"joe".to_owned(), &request, day(1)).unwrap().is_empty());
        write(&old, &path);
        assert!(matches!(watcher.poll_at(day(1)), Some(WatchEvent::Recovered)), "{what}");
    }
    half();
    assert!(matches!(watcher.poll_at(day(1)), Some(WatchEvent::Failed(_))));
    write(&new, &path);
    assert!(is_reloaded(watcher.poll_at(day(1)), 2), "a good file ends the failure");
    empty();
    let Some(event) = watcher.poll_at(day(1)) else { panic!("no event") };
    assert_eq!(
        event.to_string(),
        format!(
            "the key ring stays as it is: {}: the key file is empty; remove it, and then make one with \
             `sealed-session ring init`",
            path.display()
        )
    );
}

#[test]
fn a_node_does_not_start_without_a_good_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    let absent = Watcher::new(KeySource::file(&path)).unwrap_err();
    assert!(matches!(absent, KeyFileError::Open { .. }));
    put(&one_key(day(9)), &path);
    let pending = Watcher::new_at(KeySource::file(&path), day(1)).unwrap_err();
    assert!(matches!(pending, KeyFileError::NoActiveKey));
}

/// Waits for an event of a real thread; a minute is for a machine that is very busy.
fn next(events: &Receiver<WatchEvent>) -> WatchEvent {
    events.recv_timeout(Duration::from_secs(60)).expect("an event")
}

#[test]
fn a_request_with_an_unknown_key_brings_the_new_file_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    let now = SystemTime::now();
    let policy = Policy::default();
    let old = one_key(now - DAY);
    put(&old, &path);
    let watcher = Watcher::new(KeySource::file(&path)).unwrap().every(DAY);
    let codec = Codec::<String>::new(watcher.ring());
    let (tell, events) = mpsc::channel();
    let watch = watcher.spawn(move |event| tell.send(event).unwrap()).unwrap();

    // Another node has a newer file, and seals by its key already.
    let mut new: KeyFile = old.expose_text().parse().unwrap();
    policy.dangerous_at_once().add_at(&mut new, Key::generate().unwrap(), None, now).unwrap();
    let other = Codec::<String>::new(new.ring_at(now).unwrap());
    let cookie = seal(&other, now);
    put(&new, &path);
    let refused = codec.decode_at(&codec.request([&cookie]), now).unwrap_err();
    assert!(matches!(refused, DecodeError::UnknownKey(_)), "{refused}");
    assert!(is_reloaded(Some(next(&events)), 2));
    let opened = codec.decode_at(&codec.request([&cookie]), now).unwrap().expect("a session");
    assert_eq!(opened.session, "jane");

    // By hand, as from a signal handler.
    put(&old, &path);
    watch.check_soon();
    assert!(is_reloaded(Some(next(&events)), 1));

    drop(watch);
    assert!(events.recv().is_err(), "the thread has ended and nothing is reported any more");
}

#[test]
fn the_thread_looks_by_itself_and_survives_a_report_that_panics() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    let (old, new) = two_files();
    put(&old, &path);
    let source = KeySource::file(&path);
    let watcher = Watcher::new_at(source, day(1)).unwrap().every(Duration::ZERO);
    let ring = watcher.ring();
    let (tell, events) = mpsc::channel();
    let watch = watcher.spawn(move |event| {
        tell.send(event).unwrap();
        panic!("on purpose");
    });
    let watch = watch.unwrap();
    let started = watch.last_check();
    put(&new, &path);
    assert!(is_reloaded(Some(next(&events)), 2));
    put(&old, &path);
    assert!(is_reloaded(Some(next(&events)), 1));
    assert_eq!(ring.ids().len(), 1);
    assert!(watch.last_check() > started, "at least the look before this one has ended");
}
