//! The watch over a key file: what replaces the ring of running codecs, and what must not.

#![cfg(all(feature = "watch", unix))]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sealed_session::{
    Codec, DecodeError, Key, KeyFile, KeyFileError, KeySource, Policy, WatchEvent, Watcher,
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
    let ids = |file: &KeyFile| -> Vec<_> { file.keys_at(day(1)).iter().map(|k| k.id).collect() };
    let WatchEvent::Reloaded { primary, keys: 1, added, removed, revoked } = &event else {
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
        "the key ring stays as it is: the key file has no keys; make one with \
         `sealed-session ring init`"
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
