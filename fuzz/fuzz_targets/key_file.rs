//! Any text as a key file, and any changes to one by a policy: refused, or printed so that it reads the same; and
//! a change never makes a file that no node would take.
#![no_main]

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sealed_session::{Key, KeyFile, KeyId, Policy};
use sealed_session_fuzz::{SECRET, at};

#[derive(Debug, Arbitrary)]
enum Input<'a> {
    Text(&'a str),
    File(Vec<Entry<'a>>, Vec<(u8, Step)>),
}

#[derive(Debug, Arbitrary)]
struct Entry<'a> {
    key: Option<u8>,
    state: Option<&'a str>,
    open_only: bool,
    created: Option<u16>,
    activates: Option<u16>,
    retires: Option<u16>,
    comment: Option<&'a str>,
}

#[derive(Debug, Arbitrary)]
enum Step {
    Rotate,
    Add(u8, Option<u8>),
    Promote(u8),
    Retire(u8),
    Revoke(u8),
    /// Seconds before or after the time at which it is done.
    CutOff(i32),
    AtOnce,
    /// A policy of any numbers.
    Policy(u64, u64, u64),
    /// A clock that goes wrong.
    Clock(u64),
}

fuzz_target!(|input: Input| match input {
    Input::Text(text) => {
        let _ = read(text, at(0));
    }
    Input::File(entries, steps) => {
        let mut now = at(0);
        let text = entries.iter().map(print).collect::<String>();
        if let Some(file) = read(&text, now) {
            change(file, &mut now, steps);
        }
    }
});

/// Prints what was read, and reads that.
fn read(text: &str, now: SystemTime) -> Option<KeyFile> {
    let file: KeyFile = text.parse().ok()?;
    let printed = file.expose_text();
    let again: KeyFile = printed.parse().expect("what is printed can be read");
    assert_eq!(*again.expose_text(), *printed);
    assert_eq!(again.keys_at(now), file.keys_at(now));
    Some(file)
}

fn change(mut file: KeyFile, clock: &mut SystemTime, steps: Vec<(u8, Step)>) {
    let mut policy = Policy::default();
    for (hours, step) in steps {
        *clock += Duration::from_secs(u64::from(hours) * 3600);
        let now = *clock;
        let before = file.ring_at(now).is_ok();
        let ids: Vec<KeyId> = file.keys_at(now).iter().map(|key| key.id).collect();
        let pick = |which: u8| ids.get(usize::from(which)).copied().unwrap_or(key(which).id());
        let done = match step {
            Step::Rotate => policy.rotate_at(&mut file, now),
            Step::Add(which, hours) => {
                let at = hours.map(|hours| now + Duration::from_secs(u64::from(hours) * 3600));
                policy.add_at(&mut file, key(which), at, now)
            }
            Step::Promote(which) => policy.promote_at(&mut file, pick(which), now),
            Step::Retire(which) => policy.retire_at(&mut file, pick(which), now),
            Step::Revoke(which) => policy.revoke_at(&mut file, pick(which), now),
            Step::CutOff(by) => {
                let by_seconds = Duration::from_secs(by.unsigned_abs().into());
                let at =
                    if by < 0 { now.checked_sub(by_seconds) } else { now.checked_add(by_seconds) };
                policy.cut_off_at(&mut file, at.unwrap_or(now), now)
            }
            Step::AtOnce => {
                policy = policy.dangerous_at_once();
                continue;
            }
            Step::Policy(every, announce, keep) => {
                let [every, announce, keep] = [every, announce, keep].map(Duration::from_secs);
                policy = Policy::default().every(every).announce(announce).keep(keep);
                let _ = policy.concerns_at(&file, now);
                continue;
            }
            Step::Clock(seconds) => {
                *clock = std::time::UNIX_EPOCH + Duration::from_secs(seconds % (1 << 40));
                continue;
            }
        };
        if done.is_err() {
            continue;
        }
        let text = file.expose_text();
        let Some(again) = read(&text, now) else {
            panic!("the changed file cannot be read:\n{}", *text)
        };
        if before {
            again.ring_at(now).unwrap_or_else(|error| panic!("{error}:\n{}", *text));
        }
        if matches!(step, Step::Rotate) {
            assert_eq!(policy.rotate_at(&mut file, now).expect("rotates"), [], "twice");
        }
    }
}

fn print(entry: &Entry) -> String {
    let mut text = String::from("[[key]]\n");
    let time = |hours: u16| {
        let (days, hours) = (hours / 24, hours % 24);
        format!("2025-{:02}-{:02}T{hours:02}:00:00Z", days / 28 % 12 + 1, days % 28 + 1)
    };
    if let Some(which) = entry.key {
        let key = key(which);
        let _ = writeln!(text, "id = \"{}\"\nkey = \"{}\"", key.id(), *key.expose_text());
    }
    for (name, hours) in
        [("created", entry.created), ("activates", entry.activates), ("retires", entry.retires)]
    {
        if let Some(hours) = hours {
            let _ = writeln!(text, "{name} = {}", time(hours));
        }
    }
    match entry.state {
        _ if entry.open_only => text.push_str("state = \"open-only\"\n"),
        Some(state) => _ = writeln!(text, "state = {state:?}"),
        None => {}
    }
    if let Some(comment) = entry.comment {
        let _ = writeln!(text, "comment = {comment:?}");
    }
    text
}

fn key(which: u8) -> Key {
    let mut secret = SECRET;
    secret[31] = which;
    Key::from_bytes(secret).expect("the key is a key")
}
