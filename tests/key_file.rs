//! The key file: its format, its faults, who may read it, and how it is changed.

#![cfg(feature = "key-file")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sealed_session::{
    Change, Concern, Key, KeyFile, KeyFileError, KeyId, KeyRing, KeySource, KeyState, Policy,
    PolicyError,
};

const DAY: Duration = Duration::from_secs(86_400);

/// 2026-11-01T00:00:00Z.
fn day(n: u32) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_793_491_200) + n * DAY
}

const SECRET: &str = "QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl--4U3e";
const OTHER: &str = "X15dXFtaWVhXVlVUU1JRUE9OTUxLSklIR0ZFRENCQUCzSeLM";

/// Two keys: one from the first of November, one from the tenth.
fn text() -> String {
    format!(
        r#"[[key]]
id = "ea9f4910"
key = "SEALED-SESSION-KEY-1-{SECRET}"
created = 2026-11-01T00:00:00Z
activates = 2026-11-01T00:00:00Z
retires = 2026-11-19T02:00:00+02:00
comment = "the first"

[[key]]
id = "28d591b1"
key = "SEALED-SESSION-KEY-1-{OTHER}"
created = 2026-11-08T00:00:00Z
activates = 2026-11-10T00:00:00Z
"#
    )
}

fn one_key(now: SystemTime) -> KeyFile {
    KeyFile::new_at(Key::generate().expect("a key"), now)
}

fn states(file: &KeyFile, now: SystemTime) -> Vec<KeyState> {
    file.keys_at(now).iter().map(|key| key.state).collect()
}

fn ids(file: &KeyFile) -> Vec<KeyId> {
    file.keys_at(day(0)).iter().map(|key| key.id).collect()
}

#[test]
fn one_file_promotes_and_retires_its_keys_by_itself() {
    use KeyState::{OpenOnly, Pending, Primary, Retired};
    let file: KeyFile = text().parse().unwrap();
    let [old, new] = *ids(&file) else { panic!("two keys") };
    for (at, expected, primary) in [
        (0, [Primary, Pending], old),
        (8, [Primary, Pending], old),
        (9, [OpenOnly, Primary], new),
        (17, [OpenOnly, Primary], new),
        (18, [Retired, Primary], new),
    ] {
        assert_eq!(states(&file, day(at)), expected, "day {at}");
        assert_eq!(file.ring_at(day(at)).unwrap().primary_at(day(at)), Some(primary), "day {at}");
    }
}

#[test]
fn what_is_printed_reads_the_same() {
    let mut file: KeyFile = text().parse().unwrap();
    let [old, new] = *ids(&file) else { panic!("two keys") };
    let policy = Policy::default();
    file.comment(new, "quote \" back \\ line \n tab \t bell \u{7} é 🔑 # no comment").unwrap();
    policy.promote_at(&mut file, old, day(12)).unwrap();
    policy.revoke_at(&mut file, new, day(13)).unwrap();
    let printed = file.expose_text();
    let again: KeyFile = printed.parse().unwrap();
    assert_eq!(*again.expose_text(), *printed);
    assert_eq!(again.keys_at(day(13)), file.keys_at(day(13)));
    assert!(!printed.contains(OTHER), "the secret of a revoked key is gone");
    assert!(printed.contains(SECRET));
}

#[test]
fn each_fault_is_told_with_what_to_do_about_it() {
    let good = text();
    let replaced = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replacen(from, to, 1)
    };
    let cases = [
        (
            replaced(SECRET, &SECRET.replace("QEFC", "QEFD")),
            "the key at line 1 of the key file: the checksum of the key does not fit, so it was not \
             copied whole; copy it anew",
        ),
        (
            replaced(SECRET, &SECRET[..40]),
            "the key at line 1 of the key file: a key has 48 characters after its prefix, this has 40; \
             copy it anew",
        ),
        (
            replaced("ea9f4910", "ea9f4911"),
            "the key at line 1 of the key file: `id` says ea9f4911, but the key has the id ea9f4910; \
             correct the one or the other",
        ),
        (
            replaced("ea9f4910", "ea9f491"),
            "the key at line 1 of the key file: a key id is 8 hexadecimal digits; copy it anew",
        ),
        (
            format!("{good}\n{good}"),
            "the key at line 15 of the key file: ea9f4910 stands in the file twice; take one of the two out",
        ),
        (
            replaced("comment", "note"),
            "line 7 of the key file: unknown field `note`, expected one of `id`, `key`, `created`, \
             `activates`, `retires`, `state`, `comment`; if a newer release wrote it, upgrade this program \
             first",
        ),
        (
            format!("owner = 1\n{good}"),
            "line 1 of the key file: unknown field `owner`, expected `cutoff` or `key`; if a newer release wrote it, \
             upgrade this program first",
        ),
        (
            replaced("comment = \"the first\"", "state = \"primary\""),
            "the key at line 1 of the key file: ea9f4910 has a `state` that is neither \"open-only\" nor \
             \"revoked\"; leave it out to let the key seal: pending and primary follow from `activates`",
        ),
        (
            replaced("comment = \"the first\"", "state = \"revoked\""),
            "the key at line 1 of the key file: ea9f4910 is revoked and needs no secret; take its line \
             `key` out",
        ),
        (
            replaced(&format!("key = \"SEALED-SESSION-KEY-1-{SECRET}\"\n"), ""),
            "the key at line 1 of the key file: ea9f4910 has no `key`; add it, or write \
             `state = \"revoked\"`",
        ),
        (
            replaced("activates = 2026-11-01T00:00:00Z\n", ""),
            "the key at line 1 of the key file: ea9f4910 has no `activates`; add it, or write \
             `state = \"open-only\"`",
        ),
        (
            replaced("2026-11-10T00:00:00Z", "2026-11-10T00:00:00"),
            "the key at line 9 of the key file: 28d591b1 has a time without date or offset; write times \
             like 2026-11-03T00:00:00Z",
        ),
        (
            replaced("2026-11-10T00:00:00Z", "2026-11-01T00:00:00Z"),
            "the keys ea9f4910 and 28d591b1 become primary at the same time; let one of them activate later, or only open; \
             correct the key file",
        ),
        (
            replaced("2026-11-19T02:00:00+02:00", "2026-10-19T00:00:00Z"),
            "the key ea9f4910 retires before it activates; correct the key file",
        ),
        (
            replaced("[[key]]", "cutoff = 2026-11-01\n[[key]]"),
            "`cutoff` has no date or no offset; write a time like 2026-11-03T00:00:00Z",
        ),
        (
            replaced("[[key]]", "cutoff = \"now\"\n[[key]]"),
            "line 1 of the key file: invalid type: string \"now\", expected a TOML datetime",
        ),
        (
            String::new(),
            "the key file is empty; remove it, and then make one with `sealed-session ring init`",
        ),
        (
            "# nothing yet\n".to_owned(),
            "the key file has no keys; add a [[key]], or remove the file and make one with \
             `sealed-session ring init`",
        ),
        ("x".repeat(64 * 1024 + 1), "the key file is longer than 64 KiB; is it the right one?"),
    ];
    for (text, told) in cases {
        let error = KeyFile::read(text.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), told);
    }
    assert_eq!(
        KeyFile::read(&b"\xff\xfe"[..]).unwrap_err().to_string(),
        "the key file is not UTF-8 text; is it the right one?"
    );
}

#[test]
fn whether_a_key_may_seal_is_asked_when_the_ring_is_made() {
    let only = text().split("\n\n").next().unwrap().to_owned();
    let file: KeyFile = only.parse().unwrap();
    assert!(file.ring_at(day(0)).is_ok());
    assert!(matches!(file.ring_at(day(0) - DAY), Err(KeyFileError::NoActiveKey)));
    let error = file.ring_at(day(18)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the key ea9f4910 should seal, but it has retired; run `sealed-session ring rotate`, which lets it \
         seal until there is a newer key"
    );
}

/// Damages the file in every small way, and looks for pieces of a secret in what is said.
#[test]
fn no_error_shows_a_part_of_a_key() {
    let good = text();
    let (mut refused, mut shown) = (0, Vec::new());
    let mut check = |text: &str| {
        let Err(error) = text.parse::<KeyFile>() else { return };
        refused += 1;
        let told = format!("{error} {error:?}");
        for secret in [SECRET, OTHER] {
            if (0..=secret.len() - 17).any(|i| told.contains(&secret[i..i + 17])) {
                shown.push(told.clone());
            }
        }
    };
    for at in 0..good.len() {
        for put in ["", "\"", "\n", "=", "[", "\\", "'", " ", "#"] {
            check(&format!("{}{put}{}", &good[..at], &good[at + 1..]));
            check(&format!("{}{put}{}", &good[..at], &good[at..]));
        }
    }
    let key = format!("SEALED-SESSION-KEY-1-{SECRET}");
    check(&format!("key = \"{key}\""));
    check(&format!("key = [\"{key}\"]"));
    check(&format!("{key}\n"));
    check(&format!("{key} = 1\n"));
    check(&format!("[[{key}]]\n"));
    check(&format!("[[key]]\n{key} = 1\n"));
    for field in ["id", "created", "state", "activates", "retires"] {
        check(&format!("[[key]]\n{field} = \"{key}\"\n"));
        let lines = good.lines().filter(|line| !line.starts_with(field));
        let text: String = lines.flat_map(|line| [line, "\n"]).collect();
        check(&text.replacen("[[key]]", &format!("[[key]]\n{field} = \"{key}\""), 1));
    }
    assert!(refused > 5000, "{refused}");
    assert!(shown.is_empty(), "{} of {refused}, such as {}", shown.len(), shown[0]);
    let debug = format!("{:?}", good.parse::<KeyFile>().unwrap());
    assert!(!debug.contains(&SECRET[..8]) && debug.contains("ea9f4910"), "{debug}");
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("own file");
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).expect("a file").permissions().mode() & 0o7777
}

#[cfg(unix)]
#[test]
fn a_file_that_others_can_read_is_refused_unless_a_mount_guards_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    fs::write(&path, text()).unwrap();
    for (mode, file, mount) in [
        (0o600, true, true),
        (0o400, true, true),
        (0o640, false, true),
        (0o440, false, true),
        (0o604, false, true),
        (0o644, false, true),
        (0o660, false, true),
    ] {
        set_mode(&path, mode);
        assert_eq!(KeySource::file(&path).load().is_ok(), file, "{mode:o}");
        assert_eq!(KeySource::mount(&path).load().is_ok(), mount, "{mode:o}");
    }
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let error = KeySource::file(&link).load().unwrap_err();
    assert!(matches!(error, KeyFileError::Exposed { mode: 0o660, .. }), "what it points to counts");
    assert_eq!(
        error.to_string(),
        format!(
            "the key file {} has mode 0660, so others can read the keys; run `chmod 600` on it, or load \
             it with KeySource::mount if it lies on a mount that guards it",
            link.display()
        )
    );
    for not_a_file in [folder.path(), Path::new("/dev/null")] {
        let error = KeySource::mount(not_a_file).load().unwrap_err();
        assert!(matches!(error, KeyFileError::NotAFile(_)), "{error}");
    }
    let absent = KeySource::file(folder.path().join("absent")).load().unwrap_err();
    assert!(matches!(absent, KeyFileError::Open { .. }), "{absent}");
}

/// Runs one test of this file again, alone, with these variables and without those of before: a process
/// has one environment, and all of its tests share it.
fn again_with<V: AsRef<std::ffi::OsStr> + std::fmt::Debug>(test: &str, variables: &[(&str, V)]) {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", test, "--nocapture"]).env("AGAIN", "yes");
    command.env_remove("CREDENTIALS_DIRECTORY").env_remove(KeyRing::ENV);
    let variables_of = variables.iter().map(|(name, value)| (name, value));
    let done = command.envs(variables_of).output().expect("it runs");
    let told = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && told.contains("1 passed"), "{variables:?}: {told}");
}

#[cfg(unix)]
#[test]
fn a_credential_is_read_as_systemd_leaves_it() {
    let name = "keys.toml";
    if std::env::var_os("AGAIN").is_some() {
        let Some(folder) = std::env::var_os("CREDENTIALS_DIRECTORY") else {
            let error = KeySource::credential(name).unwrap_err();
            assert_eq!(
                error.to_string(),
                "CREDENTIALS_DIRECTORY is not set; give the unit a line \
                 LoadCredential=keys.toml:/path/to/the/key/file"
            );
            return;
        };
        let source = KeySource::credential(name).unwrap();
        let path = Path::new(&folder).join(name);
        assert_eq!(source.path(), Some(path.as_path()));
        for (mode, good) in [(0o400, true), (0o440, true), (0o600, true), (0o444, false)] {
            set_mode(&path, mode);
            assert_eq!(source.load().is_ok(), good, "{mode:o}");
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), text()).unwrap();
    let folder = folder.path().to_str().unwrap();
    let test = "a_credential_is_read_as_systemd_leaves_it";
    again_with::<&str>(test, &[]);
    again_with(test, &[("CREDENTIALS_DIRECTORY", folder)]);
}

#[test]
fn keys_are_read_from_the_environment() {
    if std::env::var_os("AGAIN").is_some() {
        match std::env::var(KeyRing::ENV) {
            Ok(_) => {
                let ring = KeyRing::from_env().unwrap();
                assert_eq!(ring.primary().unwrap().to_string(), "28d591b1");
                assert_eq!(ring.ids().len(), 2);
            }
            Err(std::env::VarError::NotUnicode(_)) => assert_eq!(
                KeyRing::from_env().unwrap_err().to_string(),
                "the environment variable SEALED_SESSION_KEYS holds bytes that are not UTF-8; put a key of \
                 `sealed-session keygen` into it, as it is printed"
            ),
            Err(_) => assert_eq!(
                KeyRing::from_env().unwrap_err().to_string(),
                "the environment variable SEALED_SESSION_KEYS is not set; put a key of \
                 `sealed-session keygen` into it"
            ),
        }
        return;
    }
    let keys = format!("SEALED-SESSION-KEY-1-{OTHER}, SEALED-SESSION-KEY-1-{SECRET}\n");
    again_with::<&str>("keys_are_read_from_the_environment", &[]);
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let bytes = std::ffi::OsStr::from_bytes(b"SEALED-SESSION-KEY-1-\xff");
        again_with("keys_are_read_from_the_environment", &[(KeyRing::ENV, bytes)]);
    }
    again_with("keys_are_read_from_the_environment", &[(KeyRing::ENV, keys)]);
}

#[test]
fn a_rotation_announces_keeps_and_removes() {
    let policy = Policy::default();
    let mut file = one_key(day(0));
    let [first] = *ids(&file) else { panic!("one key") };
    let mut rotate = |at: u32| policy.rotate_at(&mut file, day(at)).unwrap();

    assert_eq!(rotate(0), []);
    assert_eq!(rotate(27), []);
    let changes = rotate(28);
    let [Change::Added { id: second, activates }, Change::Retires { id, at }] = *changes else {
        panic!("{changes:?}")
    };
    assert_eq!((activates, id, at), (day(30), first, day(39)));
    assert_eq!(rotate(28), [], "a second host finds nothing to do");
    // It is taken out when a key seals that was made long after its end.
    assert_eq!(rotate(57), []);
    let changes = rotate(58);
    let [Change::Added { id: third, .. }, Change::Retires { id, at }] = *changes else {
        panic!("{changes:?}")
    };
    assert_eq!((id, at), (second, day(69)));
    assert_eq!(rotate(59), []);
    assert_eq!(rotate(60), [Change::Removed(first)]);

    // Nobody ran it for a year: the next key is announced all the same.
    let changes = rotate(400);
    let [Change::Added { activates, .. }, Change::Retires { id, at }] = *changes else {
        panic!("{changes:?}")
    };
    assert_eq!((activates, id, at), (day(402), third, day(411)));
}

#[test]
fn ten_years_of_rotation_never_leave_a_gap_or_a_heap() {
    let policy = Policy::default();
    let mut file = one_key(day(0));
    for n in 0..3650 {
        for _ in 0..2 {
            policy.rotate_at(&mut file, day(n)).unwrap();
        }
        assert_eq!(policy.concerns_at(&file, day(n)), []);
        file.ring_at(day(n)).unwrap();
        assert!(file.keys_at(day(n)).len() <= 3, "day {n}");
    }
}

#[test]
fn a_change_that_would_lose_sessions_is_refused_unless_forced() {
    let policy = Policy::default();
    let force = policy.dangerous_at_once();
    let mut file = one_key(day(0));
    let [first] = *ids(&file) else { panic!("one key") };

    let refused = policy.add_at(&mut file, Key::generate().unwrap(), Some(day(5)), day(4));
    assert!(matches!(refused, Err(PolicyError::NotAnnounced { until, .. }) if until == day(6)));
    let refused = policy.retire_at(&mut file, first, day(4));
    assert!(matches!(refused, Err(PolicyError::NoSuccessor(id)) if id == first));
    let refused = policy.revoke_at(&mut file, first, day(4));
    assert!(matches!(refused, Err(PolicyError::NoSuccessor(id)) if id == first));
    assert_eq!(
        refused.unwrap_err().to_string(),
        format!("no other key may seal in the place of {first}; add one first")
    );
    assert_eq!(file.keys_at(day(4)).len(), 1, "nothing changed");

    let key = Key::generate().unwrap();
    let second = key.id();
    let added = policy.add_at(&mut file, key, None, day(4)).unwrap();
    assert_eq!(added, [Change::Added { id: second, activates: day(6) }]);
    let refused = policy.revoke_at(&mut file, first, day(5)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!(
            "no other key may seal yet in the place of {first}; let {second}, which is pending, seal by \
             `sealed-session ring promote {second}` first"
        )
    );
    let refused = force.retire_at(&mut file, second, day(5)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!(
            "{second} has not sealed yet; take it out with `sealed-session ring revoke {second}`"
        )
    );
    let refused = policy.promote_at(&mut file, second, day(5));
    assert!(matches!(refused, Err(PolicyError::NotAnnounced { until, .. }) if until == day(6)));
    assert_eq!(states(&file, day(5)), [KeyState::Primary, KeyState::Pending]);
    force.promote_at(&mut file, second, day(5)).unwrap();
    assert_eq!(states(&file, day(5)), [KeyState::OpenOnly, KeyState::Primary]);

    assert_eq!(policy.retirable(&file, first), Some(day(14)));
    let retires = policy.retire_at(&mut file, first, day(6)).unwrap();
    assert_eq!(retires, [Change::Retires { id: first, at: day(14) }], "no earlier than is safe");
    let retires = force.retire_at(&mut file, first, day(6)).unwrap();
    assert_eq!(retires, [Change::Retires { id: first, at: day(6) }]);
    file.ring_at(day(6)).unwrap();
}

#[test]
fn the_key_that_takes_over_from_a_revoked_one_does_not_retire() {
    let policy = Policy::default();
    let mut file = one_key(day(0));
    let [first] = *ids(&file) else { panic!("one key") };
    policy.rotate_at(&mut file, day(28)).unwrap();
    let second = ids(&file)[1];
    let changes = policy.revoke_at(&mut file, second, day(31)).unwrap();
    assert_eq!(changes, [Change::Revoked(second), Change::Stays(first)]);
    assert_eq!(states(&file, day(31)), [KeyState::Primary, KeyState::Revoked]);
    assert_eq!(states(&file, day(300))[0], KeyState::Primary);
    // A rollback of a promotion, likewise.
    policy.rotate_at(&mut file, day(31)).unwrap();
    let third = file.keys_at(day(33)).into_iter().find(|key| key.state == KeyState::Primary);
    let third = third.unwrap().id;
    assert_ne!(third, first);
    let changes = policy.promote_at(&mut file, first, day(34)).unwrap();
    assert_eq!(changes, [Change::Promoted { id: first, at: day(34) }, Change::Stays(first)]);
    let changes = policy.rotate_at(&mut file, day(34)).unwrap();
    assert_eq!(changes, [Change::Retires { id: third, at: day(43) }]);
    assert_eq!(
        policy.promote_at(&mut file, second, day(34)).unwrap_err().to_string(),
        format!("{second} is revoked, which is final; add a new key")
    );
}

#[test]
fn a_key_that_has_retired_can_be_promoted_while_another_is_pending() {
    let policy = Policy::default();
    let mut file: KeyFile = text().parse().unwrap();
    let [old, _] = *ids(&file) else { panic!("two keys") };
    policy.add_at(&mut file, Key::generate().unwrap(), None, day(19)).unwrap();
    assert_eq!(states(&file, day(19))[0], KeyState::Retired);
    let changes = policy.promote_at(&mut file, old, day(19)).unwrap();
    assert_eq!(changes, [Change::Promoted { id: old, at: day(19) }, Change::Stays(old)]);
    let again: KeyFile = file.expose_text().parse().unwrap();
    assert_eq!(again.ring_at(day(19)).unwrap().primary_at(day(19)), Some(old));
}

#[test]
fn rotation_replaces_a_key_that_was_told_to_retire_and_never_empties_the_file() {
    let policy = Policy::default();
    let mut file: KeyFile = text()
        .replace("2026-11-19T02:00:00+02:00", "2026-11-20T00:00:00Z\nstate = \"open-only\"")
        .replace("activates = 2026-11-01T00:00:00Z\n", "")
        .replace(
            "activates = 2026-11-10T00:00:00Z",
            "activates = 2026-11-10T00:00:00Z\nretires = 2026-11-12T00:00:00Z",
        )
        .parse()
        .unwrap();
    let changes = policy.rotate_at(&mut file, day(30)).unwrap();
    assert!(matches!(changes[0], Change::Added { activates, .. } if activates == day(32)));
    assert_eq!(policy.rotate_at(&mut file, day(30)).unwrap(), []);
    file.ring_at(day(30)).expect("until the new key seals, the old one does so again");
    policy.rotate_at(&mut file, day(32)).unwrap();
    assert_eq!(file.keys_at(day(32)).len(), 2, "the one that only opened is gone");
}

#[test]
fn rotation_closes_a_gap_in_which_no_key_would_seal() {
    let policy = Policy::default();
    let mut file: KeyFile = text()
        .replace("retires = 2026-11-19T02:00:00+02:00\n", "")
        .replace("10T00:00:00Z", "10T00:00:00Z\nretires = 2026-11-15T01:00:00Z")
        .parse()
        .unwrap();
    let [_, only] = *ids(&file) else { panic!("two keys") };
    let hour = |n: u32| day(14) + n * Duration::from_secs(3600);
    assert_eq!(policy.concerns_at(&file, day(14)), [Concern::Gap { id: only, from: hour(1) }]);
    assert!(file.ring_at(day(14)).is_ok() && file.ring_at(hour(1)).is_err());

    let changes = policy.rotate_at(&mut file, day(14)).unwrap();
    assert!(changes.contains(&Change::Retires { id: only, at: day(25) }), "{changes:?}");
    assert_eq!(policy.concerns_at(&file, day(14)), []);
    assert_eq!(policy.rotate_at(&mut file, day(14)).unwrap(), []);
    for n in 0..24 * 20 {
        file.ring_at(hour(n)).expect("some key seals");
    }

    // Also one that is long ahead, so that the concern ends when it is told.
    let mut file: KeyFile = text()
        .replace("10T00:00:00Z", "10T00:00:00Z\nretires = 2026-11-28T00:00:00Z")
        .parse()
        .unwrap();
    assert_eq!(policy.concerns_at(&file, day(14)), [Concern::Gap { id: only, from: day(27) }]);
    policy.rotate_at(&mut file, day(14)).unwrap();
    assert_eq!(policy.concerns_at(&file, day(14)), []);

    // A successor that comes too late leaves a gap too, and one that comes in time none.
    let mut file = one_key(day(0));
    let [first] = *ids(&file) else { panic!("one key") };
    policy.add_at(&mut file, Key::generate().unwrap(), Some(day(10)), day(0)).unwrap();
    let set_end = |file: &KeyFile, at: &str| -> KeyFile {
        let text =
            file.expose_text().replacen("\n\n[[key]]", &format!("\nretires = {at}\n\n[[key]]"), 2);
        text.replacen(&format!("\nretires = {at}\n\n[[key]]"), "\n\n[[key]]", 1).parse().unwrap()
    };
    let late = set_end(&file, "2026-11-08T00:00:00Z");
    assert_eq!(policy.concerns_at(&late, day(3)), [Concern::Gap { id: first, from: day(7) }]);
    let good = set_end(&file, "2026-11-20T00:00:00Z");
    assert_eq!(policy.concerns_at(&good, day(3)), []);
}

/// Runs the rotation each day, as cron does, and looks at the file with each run.
fn rotate_daily(policy: &Policy, file: &mut KeyFile, days: std::ops::Range<u32>) -> Vec<Change> {
    let mut changes = Vec::new();
    for n in days {
        changes.extend(policy.rotate_at(file, day(n)).expect("a key"));
        file.ring_at(day(n)).expect("a key seals");
    }
    changes
}

#[test]
fn one_run_with_a_wrong_clock_does_no_lasting_harm() {
    let policy = Policy::default();
    for ahead in [100, 365, 20 * 365] {
        let mut file = one_key(day(0));
        rotate_daily(&policy, &mut file, 0..34);
        let [old, second] = *ids(&file) else { panic!("two keys") };

        let changes = policy.rotate_at(&mut file, day(34 + ahead)).unwrap();
        assert_eq!(changes.len(), 2, "one was added, one given its end: {changes:?}");
        let ids = ids(&file);
        assert_eq!(ids[..2], [old, second], "a key whose sessions may live stays");
        let wrong = ids[2];
        let from_future = Concern::FromFuture { id: wrong, created: day(34 + ahead) };
        assert_eq!(policy.concerns_at(&file, day(35)), [from_future]);

        // The clock is right again, and all goes on as if nothing had been.
        let changes = rotate_daily(&policy, &mut file, 35..95);
        let added = changes.iter().filter(|change| matches!(change, Change::Added { .. })).count();
        assert_eq!(added, 2, "each 30 days: {changes:?}");
        assert!(changes.contains(&Change::Retires { id: second, at: day(69) }), "{changes:?}");
        assert_eq!(policy.concerns_at(&file, day(95)), [from_future]);
        assert!(file.keys_at(day(95)).len() <= 4);

        // The way out that the message names, and the one of waiting.
        let mut cleared: KeyFile = file.expose_text().parse().unwrap();
        policy.revoke_at(&mut cleared, wrong, day(95)).unwrap();
        assert_eq!(policy.concerns_at(&cleared, day(95)), []);
        let end = 34 + ahead.min(400) + 40;
        rotate_daily(&policy, &mut cleared, 95..end.max(96));
        rotate_daily(&policy, &mut file, 95..end.max(96));
        assert!(file.keys_at(day(end)).len() <= 4);
    }
}

#[test]
fn a_key_that_is_to_come_in_years_silences_no_overdue_rotation() {
    let policy = Policy::default();
    let mut file = one_key(day(0));
    policy.add_at(&mut file, Key::generate().unwrap(), Some(day(700)), day(1)).unwrap();
    assert_eq!(policy.concerns_at(&file, day(30)), []);
    assert_eq!(policy.concerns_at(&file, day(33)), [Concern::Overdue(3 * DAY)]);
    let changes = policy.rotate_at(&mut file, day(33)).unwrap();
    assert!(matches!(changes[0], Change::Added { activates, .. } if activates == day(35)));
    assert_eq!(policy.concerns_at(&file, day(33)), []);
    rotate_daily(&policy, &mut file, 33..800);
    assert!(file.keys_at(day(800)).len() <= 4);
}

#[test]
fn a_rotation_that_leads_to_a_key_far_ahead_is_done_in_one_run() {
    let policy = Policy::default();
    let mut file = one_key(day(1));
    // The next one is due on day 31; this one was added by somebody who plans.
    policy.add_at(&mut file, Key::generate().unwrap(), Some(day(63)), day(1)).unwrap();
    let changes = policy.rotate_at(&mut file, day(30)).unwrap();
    let added = |change: &&Change| matches!(change, Change::Added { .. });
    assert_eq!(changes.iter().filter(added).count(), 1);
    assert_eq!(policy.rotate_at(&mut file, day(30)).unwrap(), []);
    let ends: Vec<_> = file.keys_at(day(30)).iter().map(|key| key.retires).collect();
    assert_eq!(ends, [Some(day(32 + 9)), Some(day(63 + 9)), None]);
}

#[test]
fn a_key_that_says_it_was_made_in_the_future_is_not_taken_out_while_it_seals() {
    let text = one_key(day(1)).expose_text().replacen("2026-11-02", "2026-12-30", 1);
    let text = text.trim_end().to_owned() + "\nretires = 2026-11-05T00:00:00Z\n";
    let mut file: KeyFile = text.parse().unwrap();
    let only = ids(&file)[0];
    Policy::default().rotate_at(&mut file, day(2)).unwrap();
    assert_eq!(file.ring_at(day(2)).unwrap().primary_at(day(2)), Some(only));
}

#[test]
fn a_policy_that_would_need_too_many_keys_is_refused_and_the_least_works_for_ever() {
    const HOUR: Duration = Duration::from_secs(3600);
    let refused = Policy::default().every(6 * HOUR).rotate_at(&mut one_key(day(0)), day(0));
    let Err(PolicyError::EveryTooShort { least }) = refused else { panic!("{refused:?}") };
    assert_eq!(
        refused.unwrap_err().to_string(),
        "with such short times more than 64 keys would be in the file; set `every` to at least 10 hours, \
         or `announce` and `keep` to less"
    );
    let refused = Policy::default().keep(DAY).check().unwrap_err();
    assert_eq!(
        refused.to_string(),
        "a key must be kept for longer than it is announced, and for the absolute timeout of sessions; \
         set `keep` to at least 2 days and that timeout"
    );
    for (every, announce, keep) in
        [(least, 2 * DAY, 9 * DAY), (HOUR, DAY, 5 * DAY / 24), (HOUR, 15 * HOUR, 14 * HOUR)]
    {
        let policy = Policy::default().every(every).announce(announce).keep(keep.max(announce));
        let policy = if policy.check().is_ok() { policy } else { policy.every(every + HOUR) };
        policy.check().unwrap();
        let (mut file, mut most) = (one_key(day(0)), 0);
        for n in 0..24 * 45 {
            let now = day(0) + n * HOUR;
            for _ in 0..2 {
                policy.rotate_at(&mut file, now).unwrap();
            }
            assert_eq!(policy.concerns_at(&file, now), []);
            most = most.max(file.keys_at(now).len());
        }
        assert!((30..=KeyRing::MAX_KEYS - 2).contains(&most), "{most} keys");
        file.ring_at(day(45)).unwrap();
    }
}

#[test]
fn keys_that_are_added_or_promoted_within_one_second_do_not_clash() {
    let policy = Policy::default().dangerous_at_once();
    let mut file = one_key(day(0));
    for _ in 0..3 {
        let key = Key::generate().unwrap();
        let id = key.id();
        policy.add_at(&mut file, key, Some(day(0) - DAY), day(0)).unwrap();
        assert_eq!(file.ring_at(day(0)).unwrap().primary_at(day(0)), Some(id));
    }
    let first = ids(&file)[0];
    policy.promote_at(&mut file, first, day(0)).unwrap();
    assert_eq!(file.ring_at(day(0)).unwrap().primary_at(day(0)), Some(first));
    file.expose_text().parse::<KeyFile>().expect("four activations");
}

#[test]
fn what_breaks_the_policy_is_found() {
    let policy = Policy::default();
    let mut file: KeyFile = text().parse().unwrap();
    let [old, new] = *ids(&file) else { panic!("two keys") };
    assert_eq!(policy.concerns_at(&file, day(8)), []);
    let longer = policy.keep(12 * DAY).announce(3 * DAY);
    assert_eq!(
        longer.concerns_at(&file, day(8)),
        [
            Concern::RetiresEarly { id: old, until: day(21) },
            Concern::AnnouncedLate { id: new, until: day(10) },
        ]
    );
    assert_eq!(policy.concerns_at(&file, day(49)), [Concern::Overdue(10 * DAY)]);
    policy.rotate_at(&mut file, day(49)).unwrap();
    assert_eq!(policy.concerns_at(&file, day(49)), []);
}

#[cfg(unix)]
#[test]
fn a_file_is_changed_at_once_and_stays_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    let policy = Policy::default();
    one_key(day(0)).create(&path).unwrap();
    assert_eq!(mode(&path), 0o600);
    let again = one_key(day(0)).create(&path).unwrap_err();
    assert_eq!(
        again.to_string(),
        format!(
            "there is a key file {} already, and it is never overwritten; `sealed-session ring list` shows \
             what is in it",
            path.display()
        )
    );

    // Left behind by a crash in the middle of writing.
    fs::write(folder.path().join("keys.toml.new"), "half").unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink("keys.toml", &link).unwrap();
    let mut reader = fs::File::open(&path).unwrap();
    let changes = KeyFile::edit(&link, |file| policy.rotate_at(file, day(28))).unwrap();
    assert_eq!(changes.len(), 2);
    assert_eq!(mode(&path), 0o600);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink(), "the link stays");
    assert_eq!(KeyFile::read(&mut reader).unwrap().keys_at(day(28)).len(), 1, "an open file too");
    assert_eq!(KeySource::file(&path).load().unwrap().keys_at(day(28)).len(), 2);

    let before = fs::metadata(&path).unwrap();
    let changes = KeyFile::edit(&path, |file| policy.rotate_at(file, day(28))).unwrap();
    assert_eq!(changes, []);
    let unknown = Key::generate().unwrap().id();
    let refused = KeyFile::edit(&path, |file| {
        policy.add_at(file, Key::generate()?, None, day(28))?;
        policy.revoke_at(file, unknown, day(28))
    });
    assert!(matches!(refused, Err(PolicyError::Absent(id)) if id == unknown));
    let refused = KeyFile::edit(&path, |file| {
        let id = ids(file)[0];
        file.comment(id, "x".repeat(70_000))
    });
    assert!(
        matches!(refused, Err(PolicyError::File(KeyFileError::TooLong))),
        "what could not be read again is not written"
    );
    use std::os::unix::fs::MetadataExt;
    assert_eq!(fs::metadata(&path).unwrap().ino(), before.ino(), "not even written");
    let names = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(names, 3, "the file, its lock, the link, and nothing else");

    set_mode(&path, 0o644);
    let error = KeyFile::edit(&path, |file| policy.rotate_at(file, day(28))).unwrap_err();
    assert!(matches!(error, PolicyError::File(KeyFileError::Exposed { .. })), "{error}");
}

/// Only root can give files away, so that elsewhere there is nothing to keep.
#[cfg(unix)]
#[test]
fn a_file_that_root_changes_stays_that_of_the_service() {
    use std::os::unix::fs::{MetadataExt, chown};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    let policy = Policy::default();
    one_key(day(0)).create(&path).unwrap();
    if chown(&path, Some(12_345), Some(23_456)).is_err() {
        return;
    }
    KeyFile::edit(&path, |file| policy.rotate_at(file, day(28))).unwrap();
    let lock = folder.path().join("keys.toml.lock");
    for path in [&path, &lock] {
        let after = fs::metadata(path).unwrap();
        assert_eq!((after.uid(), after.gid(), mode(path)), (12_345, 23_456, 0o600));
    }

    // A link that somebody laid there in the night is not followed, and gives nothing away.
    let other = folder.path().join("other");
    fs::write(&other, "").unwrap();
    fs::remove_file(&lock).unwrap();
    std::os::unix::fs::symlink(&other, &lock).unwrap();
    let refused = |told: &str| {
        let refused = KeyFile::edit(&path, |file| policy.rotate_at(file, day(58))).unwrap_err();
        assert!(refused.to_string().starts_with(told), "{refused}");
    };
    let no_lock = format!("the lock file {} cannot be opened: ", lock.display());
    refused(&no_lock);
    assert_ne!(fs::metadata(&other).unwrap().uid(), 12_345);

    fs::remove_file(&lock).unwrap();
    fs::create_dir(&lock).unwrap();
    refused(&no_lock);
    fs::remove_dir(&lock).unwrap();

    // Whoever owns the folder can exchange the file of another user in it.
    chown(folder.path(), Some(34_567), None).unwrap();
    let told = "is not read by root, because its folder belongs to another user: give one the owner of the other";
    let whole = format!("the key file {} {told}", path.display());
    refused(&whole);
    assert_eq!(KeySource::file(&path).load().unwrap_err().to_string(), whole);
    chown(folder.path(), Some(12_345), None).unwrap();
    KeyFile::edit(&path, |file| policy.rotate_at(file, day(58))).unwrap();
    set_mode(folder.path(), 0o777);
    refused(&format!(
        "the key file {} is not read by root, because others than its owner can write to its folder",
        path.display()
    ));
}

/// A service lays a link in its folder that leads to a key file of root's.
#[cfg(unix)]
#[test]
fn root_follows_no_link_of_another_user() {
    use std::os::unix::fs::{chown, symlink};
    let place = tempfile::tempdir().unwrap();
    let [ours, theirs] = ["ours", "theirs"].map(|name| place.path().join(name));
    for folder in [&ours, &theirs] {
        fs::create_dir(folder).unwrap();
        set_mode(folder, 0o700);
    }
    one_key(day(0)).create(ours.join("keys.toml")).unwrap();
    let link = theirs.join("keys.toml");
    symlink(ours.join("keys.toml"), &link).unwrap();
    let policy = Policy::default();
    KeySource::file(&link).load().unwrap();
    KeyFile::edit(&link, |file| policy.rotate_at(file, day(28))).unwrap();
    if chown(&theirs, Some(34_567), None).is_err() {
        return; // not root
    }
    let told = "is not read by root, because a link in the folder of another user leads to it: name the file itself";
    let whole = format!("the key file {} {told}", link.display());
    assert_eq!(KeySource::file(&link).load().unwrap_err().to_string(), whole);
    let refused = KeyFile::edit(&link, |file| policy.rotate_at(file, day(58))).unwrap_err();
    assert_eq!(refused.to_string(), whole);
    KeySource::file(ours.join("keys.toml")).load().unwrap();
}

/// The folder is exchanged between the reading and the writing, for a link to that of another service.
#[cfg(unix)]
#[test]
fn a_folder_that_is_exchanged_takes_the_change_with_it() {
    let place = tempfile::tempdir().unwrap();
    let [ours, theirs, moved] = ["ours", "theirs", "moved"].map(|name| place.path().join(name));
    for folder in [&ours, &theirs] {
        fs::create_dir(folder).unwrap();
        set_mode(folder, 0o700);
        one_key(day(0)).create(folder.join("keys.toml")).unwrap();
    }
    let before = fs::read(theirs.join("keys.toml")).unwrap();
    let policy = Policy::default();
    let exchange = |file: &mut KeyFile| {
        fs::rename(&ours, &moved).unwrap();
        std::os::unix::fs::symlink(&theirs, &ours).unwrap();
        policy.rotate_at(file, day(28))
    };
    KeyFile::edit(ours.join("keys.toml"), exchange).unwrap();
    assert_eq!(fs::read(theirs.join("keys.toml")).unwrap(), before, "not ours to write");
    assert_eq!(fs::read_dir(&theirs).unwrap().count(), 1, "nor to leave anything in");
    let changed = KeySource::file(moved.join("keys.toml")).load().unwrap();
    assert_eq!(changed.keys_at(day(28)).len(), 2);
}

/// Another program puts a pipe in the place of the file, and the file back, as fast as it can.
#[cfg(unix)]
#[test]
fn a_pipe_in_the_place_of_the_file_is_refused_and_keeps_nobody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let [path, file, pipe] = ["keys.toml", "file", "pipe"].map(|name| folder.path().join(name));
    one_key(day(0)).create(&file).unwrap();
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let exchanged = std::sync::atomic::AtomicBool::new(false);
        let end = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !end.load(std::sync::atomic::Ordering::Relaxed) {
                    fs::hard_link(&file, &path).unwrap();
                    fs::remove_file(&path).unwrap();
                    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
                    assert!(made.success());
                    fs::rename(&pipe, &path).unwrap();
                    exchanged.store(true, std::sync::atomic::Ordering::Relaxed);
                    fs::remove_file(&path).unwrap();
                }
            });
            let (mut refused, mut rounds) = (0, 0);
            while refused < 20 || rounds < 5000 {
                for source in [KeySource::file(&path), KeySource::mount(&path)] {
                    let error = source.load().err();
                    refused += u32::from(matches!(error, Some(KeyFileError::NotAFile(_))));
                }
                rounds += 1;
            }
            end.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        done.send(exchanged.into_inner()).unwrap();
    });
    let exchanged = is_done.recv_timeout(Duration::from_secs(120));
    assert_eq!(exchanged, Ok(true), "a pipe keeps the reader waiting");
}

#[test]
fn what_is_wrong_in_a_file_is_told_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    one_key(day(0)).create(&path).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    for (text, told) in [
        (text.replace("created", "made"), "line 7 of the key file: unknown field `made`"),
        (text.replace("key = ", "key "), "line 6 of the key file: "),
        (text.replace("KEY-1-", "KEY-1-A"), "the key at line 4 of the key file: a key has 48"),
        (String::new(), "the key file is empty"),
    ] {
        fs::write(&path, text).unwrap();
        for error in [
            KeySource::file(&path).load().unwrap_err(),
            KeyFile::edit(&path, |_| Ok::<_, KeyFileError>(())).unwrap_err(),
        ] {
            let told = format!("{}: {told}", path.display());
            assert!(error.to_string().starts_with(&told), "{error}");
        }
    }
}

#[test]
fn keys_that_everybody_knows_are_refused_by_name() {
    let vectors = include_str!("vectors/v1.json");
    let vector = vectors.split("SEALED-SESSION-KEY-1-").nth(1).unwrap().split('"').next().unwrap();
    for (secret, id, whose) in [
        ("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh_RBvJO", "8a346e56", "the documentation"),
        ("Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQCzIpgr", "3b275260", "the documentation"),
        (vector, "0aa04894", "the test vectors"),
    ] {
        let known = format!(
            "the key {id} is that of {whose}, which everybody knows; make one with `sealed-session keygen`"
        );
        let key = format!("SEALED-SESSION-KEY-1-{secret}");
        let list = key.parse::<KeyRing>().unwrap_err().to_string();
        assert_eq!(list, format!("key number 1 of the list is refused: {known}"));
        let file = text().replace(SECRET, secret).replace("ea9f4910", id);
        let file = file.parse::<KeyFile>().unwrap_err().to_string();
        assert_eq!(file, format!("the key at line 1 of the key file: {known}"));
        // Made of it otherwise, it is not written.
        let key: Key = key.parse().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let made = KeyFile::new_at(key, day(0)).create(folder.path().join("keys.toml"));
        assert!(made.unwrap_err().to_string().contains(&known));
    }
}

#[test]
fn a_cutoff_moves_forward_and_never_into_the_future() {
    let policy = Policy::default();
    let mut file = one_key(day(0));
    assert_eq!((file.cutoff(), file.expose_text().contains("cutoff")), (None, false));
    let half = Duration::from_millis(500);
    assert_eq!(policy.cut_off_at(&mut file, day(3) + half, day(3) + half).unwrap().len(), 1);
    let second = Duration::from_secs(1);
    assert_eq!(file.cutoff(), Some(day(3) + second), "the second in which it is told ends too");
    assert_eq!(policy.cut_off_at(&mut file, day(2), day(4)).unwrap(), [], "it is later already");
    let refused = policy.cut_off_at(&mut file, day(5), day(4)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "a cutoff at 2026-11-06T00:00:00Z is to come, and until then each session would end as it begins; take \
         `now`, and a later one when all nodes have it"
    );
    let again: KeyFile = file.expose_text().parse().unwrap();
    assert_eq!(again.cutoff(), file.cutoff());
    assert_eq!(policy.concerns_at(&again, day(4)), []);
    let concerns = policy.concerns_at(&again, day(2));
    assert_eq!(concerns, [Concern::CutoffAhead(day(3) + second)]);
    let lower = "cutoff = 2026-11-04T00:00:00.001Z";
    let text = file.expose_text().replace("cutoff = 2026-11-04T00:00:01Z", lower);
    assert!(text.contains(lower));
    assert_eq!(text.parse::<KeyFile>().unwrap().cutoff(), Some(day(3) + second));
}

#[test]
fn a_policy_of_any_numbers_ends_and_never_makes_a_file_that_no_node_takes() {
    use proptest::prelude::*;
    let seconds = prop_oneof![0..u64::MAX, 0..4_000_000_u64, Just(86_400 * 9_999_999)];
    let time = prop_oneof![
        Just(Duration::from_secs(253_402_300_799)),
        (253_390_000_000..253_402_300_799_u64).prop_map(Duration::from_secs),
        (0..253_402_300_799_u64).prop_map(Duration::from_secs),
        (1_793_491_200..1_800_000_000_u64).prop_map(Duration::from_secs),
    ];
    let three = proptest::array::uniform3(seconds.prop_map(Duration::from_secs));
    proptest!(ProptestConfig::with_cases(300), |(three in three, times in proptest::collection::vec(time, 1..6))| {
        let [every, announce, keep] = three;
        let policy = Policy::default().every(every).announce(announce).keep(keep);
        let mut file = one_key(day(0));
        for since in times {
            let now = UNIX_EPOCH + since;
            let before = file.ring_at(now).is_ok();
            if policy.rotate_at(&mut file, now).is_ok() {
                prop_assert_eq!(policy.rotate_at(&mut file, now).unwrap(), [], "twice");
            }
            let _ = policy.add_at(&mut file, Key::generate().unwrap(), None, now);
            let _ = policy.concerns_at(&file, now);
            let again: KeyFile = file.expose_text().parse().unwrap();
            prop_assert!(!before || again.ring_at(now).is_ok());
        }
    });
}

#[test]
fn a_rotation_beyond_all_times_is_refused_and_ends() {
    let told = |policy: Policy, now: SystemTime| {
        let mut file = one_key(day(0));
        let refused = policy.rotate_at(&mut file, now).unwrap_err();
        assert_eq!(file.keys_at(now).len(), 1);
        refused.to_string()
    };
    let default = Policy::default();
    for policy in
        [default.announce(9_999_999 * DAY).keep(9_999_999 * DAY), default.announce(9_999_999 * DAY)]
    {
        assert_eq!(told(policy, day(1)), "`announce` is longer than 10 years; take less");
    }
    assert_eq!(
        told(default.every(Duration::MAX), day(1)),
        "`every` is longer than 10 years; take less"
    );
    assert_eq!(told(default.keep(4000 * DAY), day(1)), "`keep` is longer than 10 years; take less");
    let end = UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    assert_eq!(
        told(default, end - DAY),
        "it is 9999-12-30T23:59:59Z by the clock, which cannot be; correct the clock"
    );
    assert!(told(default, end + 9 * DAY).starts_with("it is 9999-12-31T23:59:59Z by the clock"));
}

#[test]
fn many_hosts_that_rotate_at_once_make_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    let policy = Policy::default();
    one_key(day(0)).create(&path).unwrap();
    let added = std::thread::scope(|scope| {
        let rotate = || KeyFile::edit(&path, |file| policy.rotate_at(file, day(28))).unwrap();
        let hosts: Vec<_> = (0..16).map(|_| scope.spawn(rotate)).collect();
        let reader = scope.spawn(|| {
            for _ in 0..200 {
                KeySource::file(&path).load().expect("the old file or the new one, never half");
            }
        });
        reader.join().unwrap();
        hosts.into_iter().map(|host| host.join().unwrap().len()).sum::<usize>()
    });
    assert_eq!(added, 2, "one key added, one given its end");
    assert_eq!(KeySource::file(&path).load().unwrap().keys_at(day(28)).len(), 2);
}
