//! The journal: several processes, crashes at every point, damage at every byte.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sealed_session::revocation::{Journal, JournalError, Receipt, Revocations, Stored, SubjectTag};

use super::{PATIENCE, WEEK, id, now, until};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn journal(&self) -> PathBuf {
        self.0.path().join("revoked")
    }
}

fn open(path: &Path) -> (Revocations, Journal) {
    let set = Revocations::new(WEEK);
    let journal = Journal::open(path, &set).unwrap();
    (set, journal)
}

#[track_caller]
fn stored(receipt: &Receipt) {
    assert_eq!(receipt.wait(PATIENCE), Stored::Acknowledged);
}

fn knows(set: &Revocations, number: u64) -> bool {
    set.ends(now(), Some(id(number)), &[])
}

#[test]
fn what_was_stored_is_there_after_a_restart_and_in_other_processes_at_once() {
    let folder = Folder::new();
    let (one, journal) = open(&folder.journal());
    let (two, _two) = open(&folder.journal());
    stored(&one.revoke_session(id(1)).unwrap());
    stored(&two.revoke_subject(SubjectTag::new("user", "jane")).unwrap());
    until("two hears of one", || knows(&two, 1));
    until("one hears of two", || one.len() == 2);
    one.revoke_session(id(3)).unwrap();
    drop(journal); // What is queued is written first.
    let (three, _three) = open(&folder.journal());
    assert!(knows(&three, 1) && knows(&three, 3));
    assert_eq!(three.len(), 3);
    assert_eq!(fs::metadata(folder.journal()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_set_that_knew_something_before_it_had_a_journal_writes_it_down() {
    let folder = Folder::new();
    let set = Revocations::new(WEEK);
    set.revoke_session(id(1)).unwrap();
    let _journal = Journal::open(folder.journal(), &set).unwrap();
    assert!(knows(&open(&folder.journal()).0, 1));
}

/// A file as large as this takes a while to be read.
#[test]
fn what_is_revoked_while_the_journal_is_opened_is_in_it() {
    use futures_util::FutureExt;
    use sha2::{Digest, Sha256};
    const MANY: u64 = 20_000;
    let folder = Folder::new();
    drop(open(&folder.journal()));
    let mut file = fs::OpenOptions::new().append(true).open(folder.journal()).unwrap();
    let until_then = [0x7f, 0xff, 0xff, 0xff, 0xff];
    let records = (1..=MANY).flat_map(|number| {
        let entry = [&[1][..], &id(number).to_bytes(), &[0; 5], &until_then].concat();
        let check = Sha256::digest(&entry);
        [&entry[..], &check[..5]].concat()
    });
    file.write_all(&records.collect::<Vec<_>>()).unwrap();
    let set = Revocations::new(WEEK);
    std::thread::scope(|scope| {
        let opening = scope.spawn(|| Journal::open(folder.journal(), &set).unwrap());
        until("it is being read", || !set.is_empty());
        let receipt = set.revoke_session(id(0)).unwrap();
        let _journal = opening.join().unwrap();
        stored(&receipt);
    });
    assert!(knows(&open(&folder.journal()).0, 0));
    // Nobody is left who would be told.
    fs::write(folder.journal(), "a letter to a friend").unwrap();
    Journal::open(folder.journal(), &set).unwrap_err();
    let receipt = set.revoke_session(id(0)).unwrap();
    assert_eq!(receipt.within(PATIENCE).now_or_never(), Some(Stored::Queued));
}

#[test]
fn a_journal_torn_at_any_byte_gives_all_that_is_whole_and_goes_on() {
    let folder = Folder::new();
    {
        let (set, _journal) = open(&folder.journal());
        (1..=4).for_each(|number| stored(&set.revoke_session(id(number)).unwrap()));
    }
    let whole = fs::read(folder.journal()).unwrap();
    assert_eq!(whole.len(), 32 + 4 * 32);
    for cut in 0..=whole.len() {
        let folder = Folder::new();
        fs::write(folder.journal(), &whole[..cut]).unwrap();
        fs::set_permissions(folder.journal(), fs::Permissions::from_mode(0o600)).unwrap();
        let (set, journal) = open(&folder.journal());
        let records = cut.saturating_sub(32) / 32;
        for number in 1..=4 {
            assert_eq!(
                knows(&set, number),
                number <= u64::try_from(records).unwrap(),
                "{number} of {cut} bytes"
            );
        }
        stored(&set.revoke_session(id(5)).unwrap());
        drop(journal);
        let (set, _journal) = open(&folder.journal());
        assert_eq!(set.len(), records + 1, "{cut}");
        assert!(knows(&set, 5));
    }
}

#[test]
fn a_journal_damaged_at_any_byte_loses_at_most_that_record() {
    let folder = Folder::new();
    {
        let (set, _journal) = open(&folder.journal());
        (1..=4).for_each(|number| stored(&set.revoke_session(id(number)).unwrap()));
    }
    let whole = fs::read(folder.journal()).unwrap();
    for at in 8..whole.len() {
        let folder = Folder::new();
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(folder.journal(), &damaged).unwrap();
        fs::set_permissions(folder.journal(), fs::Permissions::from_mode(0o600)).unwrap();
        let (set, _journal) = open(&folder.journal());
        let lost = (at >= 32).then_some(u64::try_from(at / 32).unwrap());
        for number in 1..=4 {
            assert_eq!(knows(&set, number), Some(number) != lost, "{number} with {at} damaged");
        }
        assert_eq!(set.len(), 4 - usize::from(lost.is_some()));
    }
}

#[test]
fn records_of_a_later_release_stay_where_this_one_rewrites_the_file() {
    use sha2::{Digest, Sha256};
    let folder = Folder::new();
    {
        let (set, _journal) = open(&folder.journal());
        stored(&set.revoke_session(id(1)).unwrap());
    }
    let mut bytes = fs::read(folder.journal()).unwrap();
    let mut record = [9_u8; 32];
    let check = Sha256::digest(&record[..27]);
    record[27..].copy_from_slice(&check[..5]);
    bytes.extend_from_slice(&record);
    fs::write(folder.journal(), &bytes).unwrap();
    // A set with something of its own rewrites all.
    let set = Revocations::new(WEEK);
    set.revoke_session(id(2)).unwrap();
    let _journal = Journal::open(folder.journal(), &set).unwrap();
    let after = fs::read(folder.journal()).unwrap();
    assert_ne!(after[8..16], bytes[8..16], "another generation");
    assert!(after.chunks_exact(32).any(|found| found == record));
    assert!(knows(&open(&folder.journal()).0, 1) && knows(&set, 1));
}

#[test]
fn dead_and_double_records_go_and_nobody_misses_a_live_one() {
    let folder = Folder::new();
    let (one, _one) = open(&folder.journal());
    let (two, _two) = open(&folder.journal());
    stored(&one.revoke_session(id(1)).unwrap());
    let generation = || fs::read(folder.journal()).unwrap()[8..16].to_vec();
    let before = generation();
    // The same again and again.
    let mut last = None;
    let mut rounds = 0;
    while generation() == before {
        for _ in 0..1000 {
            last = Some(one.revoke_session(id(2)).unwrap());
        }
        rounds += 1;
        assert!(rounds < 100, "the file only grows");
        stored(last.as_ref().unwrap());
    }
    assert!(fs::metadata(folder.journal()).unwrap().len() < 32 * 6000);
    stored(&two.revoke_session(id(3)).unwrap());
    until("one sees what two has written into the new file", || knows(&one, 3));
    let (three, _three) = open(&folder.journal());
    assert!((1..=3).all(|number| knows(&three, number)));
}

#[test]
fn a_journal_that_is_deleted_or_cut_is_written_anew_from_what_is_known() {
    let folder = Folder::new();
    let (set, _journal) = open(&folder.journal());
    stored(&set.revoke_session(id(1)).unwrap());
    stored(&set.revoke_session(id(2)).unwrap());
    fs::remove_file(folder.journal()).unwrap();
    until("it is there again", || open(&folder.journal()).0.len() == 2);
    let file = fs::OpenOptions::new().write(true).open(folder.journal()).unwrap();
    file.set_len(32).unwrap();
    until("it is whole again", || fs::metadata(folder.journal()).unwrap().len() == 32 * 3);
}

#[test]
fn what_cannot_be_written_is_queued_told_and_written_later() {
    let folder = Folder::new();
    let path = folder.0.path().join("inner/revoked");
    fs::create_dir(path.parent().unwrap()).unwrap();
    let (set, journal) = open(&path);
    // The journal may just write it anew.
    until("it is gone", || fs::remove_dir_all(path.parent().unwrap()).is_ok());
    let receipt = set.revoke_session(id(1)).unwrap();
    until("the fault is told", || journal.fault().is_some());
    assert_eq!(receipt.now(), Stored::Queued);
    assert!(knows(&set, 1), "it holds here all the same");
    fs::create_dir(path.parent().unwrap()).unwrap();
    stored(&receipt);
    until("the fault is over", || journal.fault().is_none());
    assert!(knows(&open(&path).0, 1));
}

#[test]
fn a_fault_that_lasts_is_tried_less_and_less_whatever_is_revoked_meanwhile() {
    let folder = Folder::new();
    let (set, journal) = open(&folder.journal());
    // What is in the place of the new file cannot be removed.
    let obstacle = folder.0.path().join("revoked.new");
    fs::create_dir_all(obstacle.join("full")).unwrap();
    fs::remove_file(folder.journal()).unwrap();
    let (mut last, mut number) = (journal.last_check(), 0);
    until("it waits for half a second", || {
        number += 1;
        set.revoke_session(id(number)).unwrap();
        let check = journal.last_check();
        check - std::mem::replace(&mut last, check) >= Duration::from_millis(500)
    });
    assert!(journal.fault().is_some());
    fs::remove_dir_all(obstacle).unwrap();
    stored(&set.revoke_session(id(0)).unwrap());
    assert!(knows(&open(&folder.journal()).0, number));
}

#[cfg(feature = "tracing")]
#[test]
fn a_subscriber_may_ask_the_journal_and_panic() {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, Ordering};
    // It outlives the test: where the journal hangs, to drop it would hang too.
    static JOURNAL: OnceLock<Journal> = OnceLock::new();
    static ANSWERED: AtomicBool = AtomicBool::new(false);
    let folder = Folder::new();
    let path = folder.0.path().join("inner/revoked");
    fs::create_dir(path.parent().unwrap()).unwrap();
    let (set, journal) = open(&path);
    JOURNAL.set(journal).unwrap();
    super::log::when_told(path.display().to_string(), || {
        let fault = JOURNAL.get().unwrap().fault();
        ANSWERED.store(fault.is_some(), Ordering::Release);
        panic!("a fault of the subscriber");
    });
    until("it is gone", || fs::remove_dir_all(path.parent().unwrap()).is_ok());
    until("the subscriber is told and answered", || ANSWERED.load(Ordering::Acquire));
    fs::create_dir(path.parent().unwrap()).unwrap();
    stored(&set.revoke_session(id(1)).unwrap());
    assert!(knows(&open(&path).0, 1));
}

#[test]
fn what_is_no_journal_is_left_alone_and_what_others_may_write_is_refused() {
    let folder = Folder::new();
    fs::write(folder.journal(), "a letter to a friend").unwrap();
    let set = Revocations::new(WEEK);
    let error = Journal::open(folder.journal(), &set).unwrap_err();
    assert!(matches!(error, JournalError::NotAJournal(_)), "{error}");
    assert_eq!(fs::read(folder.journal()).unwrap(), b"a letter to a friend");

    fs::remove_file(folder.journal()).unwrap();
    drop(Journal::open(folder.journal(), &set).unwrap());
    fs::set_permissions(folder.journal(), fs::Permissions::from_mode(0o620)).unwrap();
    let error = Journal::open(folder.journal(), &set).unwrap_err();
    assert!(
        error.to_string().ends_with("may be written by others (mode 620); chmod 600"),
        "{error}"
    );
}

/// The process that is killed below: it revokes, and prints what was acknowledged.
#[test]
#[ignore = "is started by the test below, which runs always"]
fn child() {
    let Some(path) = std::env::var_os("REVOCATION_JOURNAL") else { return };
    let first: u64 = std::env::var("REVOCATION_FIRST").unwrap().parse().unwrap();
    let (set, _journal) = open(Path::new(&path));
    for number in first..first + 1_000_000 {
        stored(&set.revoke_session(id(number)).unwrap());
        println!("stored {number}");
    }
}

fn start(path: &Path, first: u64) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--ignored", "--exact", "--nocapture", "journal::child"]);
    child.env("REVOCATION_JOURNAL", path).env("REVOCATION_FIRST", first.to_string());
    child.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn processes_that_are_killed_in_the_midst_of_revoking_have_lost_nothing_that_was_acknowledged() {
    let folder = Folder::new();
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        let mut children: Vec<_> =
            (0..3).map(|n| start(&folder.journal(), 1_000_000 * (round * 3 + n + 1))).collect();
        let (told, numbers) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            for child in &mut children {
                let (out, told) = (child.stdout.take().unwrap(), told.clone());
                scope.spawn(move || {
                    let lines = BufReader::new(out).lines().map_while(Result::ok);
                    for number in
                        lines.filter_map(|line| line.split("stored ").nth(1)?.parse().ok())
                    {
                        told.send(number).unwrap();
                    }
                });
            }
            drop(told);
            let mut seen: Vec<u64> = numbers.iter().take(60).collect();
            for child in &mut children {
                child.kill().unwrap(); // SIGKILL
                child.wait().unwrap();
            }
            seen.extend(numbers.iter());
            assert!(seen.len() >= 60);
            acknowledged.extend(seen);
        });
        let (set, _journal) = open(&folder.journal());
        let lost = acknowledged.iter().filter(|number| !knows(&set, **number)).count();
        assert_eq!(lost, 0, "of {} acknowledged", acknowledged.len());
    }
}

#[test]
fn a_link_in_the_place_of_the_journal_leads_no_write_elsewhere() {
    let (folder, other) = (Folder::new(), Folder::new());
    let (set, journal) = open(&folder.journal());
    stored(&set.revoke_session(id(1)).unwrap());
    // Of another service, say, in whose folder an administrator may write.
    drop(open(&other.journal()));
    let before = fs::read(other.journal()).unwrap();

    fs::remove_file(folder.journal()).unwrap();
    std::os::unix::fs::symlink(other.journal(), folder.journal()).unwrap();
    let receipt = set.revoke_session(id(2)).unwrap();
    until("it is told", || journal.fault().is_some());
    assert_eq!(fs::read(other.journal()).unwrap(), before);
    fs::remove_file(folder.journal()).unwrap();
    stored(&receipt);
    let (again, _journal) = open(&folder.journal());
    assert!(knows(&again, 1) && knows(&again, 2));

    // Nor does one in the place of its lock.
    let (link, victim) = (folder.0.path().join("revoked.lock"), other.0.path().join("victim"));
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(&victim, &link).unwrap();
    let set = Revocations::new(WEEK);
    let error = Journal::open(folder.journal(), &set).unwrap_err();
    assert!(matches!(error, JournalError::Io { .. }), "{error}");
    assert!(!victim.exists());
}

/// Only an administrator can try it: others give no file away.
#[test]
fn what_an_administrator_makes_belongs_to_the_owner_of_the_journal() {
    use std::os::unix::fs::{MetadataExt, chown};
    let folder = Folder::new();
    drop(open(&folder.journal()));
    if chown(folder.journal(), Some(12_345), Some(12_345)).is_err() {
        return;
    }
    let lock = folder.0.path().join("revoked.lock");
    fs::remove_file(&lock).unwrap();
    let (set, journal) = open(&folder.journal());
    stored(&set.revoke_session(id(1)).unwrap());
    drop(journal);
    // It is written anew where the set knew something that the file does not have.
    drop(Journal::open(folder.journal(), &set).unwrap());
    for path in [lock, folder.journal()] {
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (12_345, 12_345), "{}", path.display());
        assert_eq!(metadata.mode() & 0o777, 0o600);
    }
}
