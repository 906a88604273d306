//! The set, by itself.

use std::time::{Duration, SystemTime};

use sealed_session::revocation::{Full, Revocations, Stored, SubjectTag, Target};

use super::{WEEK, id};

/// A second in the future, so that entries of it are alive by any clock.
fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000 + seconds)
}

#[test]
fn a_session_ends_by_its_id_its_tags_or_its_beginning_and_by_nothing_else() {
    let user = SubjectTag::new("user", "jane");
    let device = SubjectTag::new("device", "phone");
    let set = Revocations::new(WEEK);
    assert!(!set.ends(at(0), Some(id(1)), &[user, device]));

    set.revoke_session_at(id(1), at(100)).unwrap();
    assert!(set.ends(at(0), Some(id(1)), &[]));
    assert!(set.ends(at(999), Some(id(1)), &[]), "an id is of one session, whenever it began");
    assert!(!set.ends(at(0), Some(id(2)), &[user]));
    assert!(!set.ends(at(0), None, &[]));

    set.revoke_subject_at(user, at(100)).unwrap();
    assert!(set.ends(at(99), Some(id(2)), &[device, user]));
    assert!(set.ends(at(100), None, &[user]), "begun in the second of the revocation");
    assert!(!set.ends(at(101), None, &[user]));
    assert!(!set.ends(at(99), None, &[device]));

    set.revoke_before(at(50)).unwrap();
    assert!(set.ends(at(49), None, &[]));
    assert!(!set.ends(at(50), None, &[]));
    assert_eq!(set.len(), 3);
}

#[test]
fn of_several_cutoffs_the_latest_counts_in_whatever_order_they_come() {
    let user = SubjectTag::new("user", "jane");
    for times in [[100, 300, 200], [300, 200, 100], [200, 100, 300]] {
        let set = Revocations::new(WEEK);
        for time in times {
            set.revoke_subject_at(user, at(time)).unwrap();
            set.revoke_before(at(time)).unwrap();
        }
        // What was begun in knowledge of one was dated to it, so that each further one ends that too.
        assert!(set.ends(at(300), None, &[user]) && !set.ends(at(303), None, &[user]));
        assert!(set.ends(at(299), None, &[]) && !set.ends(at(300), None, &[]));
        assert_eq!(set.len(), 2);
    }
}

#[test]
fn an_entry_is_kept_for_as_long_as_what_it_ends_can_live_and_then_forgotten() {
    let set = Revocations::new(WEEK);
    set.revoke_session_at(id(1), at(0)).unwrap();
    set.revoke_subject_at(SubjectTag::new("user", "jane"), at(0)).unwrap();
    let day = 86_400;
    assert_eq!(set.list_at(at(7 * day)).count(), 2);
    assert_eq!(set.list_at(at(9 * day)).count(), 0);
    // Each minute in which something is revoked one part of the table is swept.
    for minute in 0..300 {
        set.revoke_session_at(id(2), at(9 * day + minute * 60)).unwrap();
    }
    assert_eq!(set.len(), 1);
    assert!(set.ends(at(0), Some(id(2)), &[]) && !set.ends(at(0), Some(id(1)), &[]));
}

#[test]
fn a_full_set_says_so_revokes_nothing_more_and_makes_room_of_what_is_dead() {
    let set = Revocations::new(WEEK);
    set.set_capacity(100);
    for number in 0..100 {
        set.revoke_session_at(id(number), at(0)).unwrap();
    }
    let full: Full = set.revoke_session_at(id(100), at(0)).unwrap_err();
    assert_eq!(
        full.to_string(),
        "the set of revocations is full, with 100 entries; nothing was revoked"
    );
    assert!(!set.ends(at(0), Some(id(100)), &[]));
    assert!((0..100).all(|number| set.ends(at(0), Some(id(number)), &[])));
    set.revoke_session_at(id(7), at(9)).expect("it is known already");
    set.revoke_before(at(9)).expect("it needs no room");
    set.revoke_session_at(id(100), at(30 * 86_400)).expect("the others are dead");
    assert!(set.ends(at(0), Some(id(100)), &[]));
}

#[test]
fn what_is_revoked_with_nowhere_to_store_it_is_queued_for_good() {
    let set = Revocations::new(WEEK);
    let receipt = set.revoke_session(id(1)).unwrap();
    assert_eq!(receipt.wait(Duration::from_secs(600)), Stored::Queued);
    assert!(set.is_fresh() && set.staleness().is_none());
}

#[test]
fn the_list_tells_what_each_entry_ends() {
    let user = SubjectTag::new("user", "jane");
    let set = Revocations::new(WEEK);
    set.revoke_session_at(id(1), at(0)).unwrap();
    set.revoke_subject_at(user, at(0)).unwrap();
    set.revoke_before(at(0)).unwrap();
    let mut listed: Vec<_> = set.list_at(at(0)).map(|e| (e.target, e.before)).collect();
    listed.sort_by_key(|(target, _)| format!("{target:?}"));
    let expected = [
        (Target::Everything, Some(at(0))),
        (Target::Session(id(1)), None),
        (Target::Subject(user), Some(at(1))),
    ];
    assert_eq!(listed, expected);
    assert!(
        set.list_at(at(0)).all(|e| e.until >= at(8 * 86_400) && e.until <= at(8 * 86_400 + 200))
    );
}

#[test]
fn the_number_of_entries_is_right_however_the_dead_ones_go() {
    let set = Revocations::new(WEEK);
    for n in 0..3000 {
        set.revoke_session_at(id(n), at(0)).unwrap();
    }
    assert_eq!(set.len(), 3000);
    // All of these are dead by then. Some go because a part of the table grows, the others because it is swept.
    let later = at(3 * 7 * 86_400);
    for n in 3000..6000 {
        set.revoke_session_at(id(n), later).unwrap();
    }
    assert!(set.len() < 6000, "some have gone");
    for minute in 1..=300 {
        set.revoke_session_at(id(3000), later + Duration::from_secs(60 * minute)).unwrap();
    }
    assert_eq!((set.len(), set.list_at(later).count()), (3000, 3000));
}
