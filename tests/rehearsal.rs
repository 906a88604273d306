//! A rehearsal of two months of operation: three nodes, thousands of sessions, continuous traffic in
//! virtual time, while keys are announced, promoted, rolled back, retired and revoked.
//!
//! Nodes get the key file late, each at its own time, as a real file that a watcher reads; they restart with old
//! files; their clocks differ.
//! What is checked is the promise of the key ring: **no valid session is ever lost or deleted, except
//! those of a revoked key**, as long as no node is later than the time of announcing. And that it is this
//! time, and the time of keeping, that make it so: without them, the same two months lose sessions.

#![cfg(feature = "watch")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sealed_session::{
    Advice, Codec, DecodeError, EncodeError, Key, KeyFile, KeyId, KeyInfo, KeySource, KeyState,
    Opened, Policy, SetCookies, WatchEvent, Watcher,
};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// Sessions end after three days, or after two without being sealed.
const ABSOLUTE: Duration = Duration::from_secs(3 * 86_400);
const IDLE: Duration = Duration::from_secs(2 * 86_400);

/// No node's file is ever older than this: less than a day of announcing.
const LATEST: Duration = Duration::from_secs(22 * 3600);

const DAYS: u32 = 60;
const NODES: usize = 3;
const CLIENTS: usize = 1500;
const REQUESTS_PER_HOUR: u32 = 70;

/// A key every ten days, announced a day ahead, kept for the absolute timeout and that day.
fn policy() -> Policy {
    Policy::default().every(10 * DAY).announce(DAY).keep(4 * DAY)
}

fn start() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_793_491_200)
}

fn one_key(now: SystemTime) -> KeyFile {
    KeyFile::new_at(Key::generate().expect("a key"), now)
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Session {
    user: usize,
    visits: u32,
}

/// SplitMix64: the same days in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let sides = u64::try_from(sides).expect("few sides");
        usize::try_from((z ^ (z >> 31)) % sides).expect("few sides")
    }

    fn up_to(&mut self, most: Duration) -> Duration {
        let seconds = usize::try_from(most.as_secs()).expect("a short time");
        Duration::from_secs(u64::try_from(self.roll(seconds + 1)).expect("a short time"))
    }
}

/// The key file as operators keep it, with all that it ever was.
struct Master {
    file: KeyFile,
    history: Vec<(SystemTime, String)>,
}

impl Master {
    fn save(&mut self, now: SystemTime) {
        self.history.push((now, self.file.expose_text().to_string()));
    }

    fn as_of(&self, time: SystemTime) -> KeyFile {
        let known = self.history.iter().rev().find(|(saved, _)| *saved <= time);
        let (_, text) = known.or(self.history.first()).expect("a first file");
        text.parse().expect("a good file")
    }
}

struct Node {
    codec: Codec<Session>,
    watcher: Watcher,
    /// Its disk.
    disk: TempDir,
    /// The file is that of this time.
    as_of: SystemTime,
    /// The clock goes wrong by this, forwards.
    clock: Duration,
}

impl Node {
    fn new(file: &KeyFile, now: SystemTime, clock: Duration) -> Self {
        let disk = tempfile::tempdir().expect("a disk");
        put(file, disk.path());
        let (watcher, codec) = boot(disk.path(), now + clock);
        Self { codec, watcher, disk, as_of: now, clock }
    }

    /// Gets the file of that time, whatever it has now, and loads it: while it runs, or as it starts.
    fn load(&mut self, master: &Master, as_of: SystemTime, now: SystemTime, restart: bool) {
        self.as_of = as_of;
        put(&master.as_of(as_of), self.disk.path());
        if restart {
            (self.watcher, self.codec) = boot(self.disk.path(), now + self.clock);
            return;
        }
        // The second look is for a file that lacks a key, as an older one does.
        for _ in 0..2 {
            let event = self.watcher.poll_at(now + self.clock);
            assert!(matches!(event, None | Some(WatchEvent::Reloaded { .. })), "{event:?}");
        }
        let ids = |keys: Vec<KeyInfo>| keys.into_iter().map(|key| key.id).collect::<Vec<_>>();
        assert_eq!(self.watcher.ring().ids(), ids(master.as_of(as_of).keys_at(now)), "loaded");
    }
}

fn put(file: &KeyFile, disk: &Path) {
    fs::write(disk.join(KEYS), file.expose_text().as_bytes()).expect("room");
}

fn boot(disk: &Path, now: SystemTime) -> (Watcher, Codec<Session>) {
    let watcher = Watcher::new_at(KeySource::mount(disk.join(KEYS)), now).expect("an active key");
    let codec = Codec::builder(watcher.ring()).absolute_timeout(ABSOLUTE).idle_timeout(IDLE);
    (watcher, codec.build().expect("good settings"))
}

const KEYS: &str = "keys.toml";

/// A browser with at most one session.
#[derive(Default)]
struct Client {
    cookie: String,
    /// What the cookie should hold.
    truth: Option<Truth>,
}

struct Truth {
    session: Session,
    began: SystemTime,
    sealed: SystemTime,
    key: KeyId,
}

impl Truth {
    /// Tells whether the session must open at this time; nothing in the minute in which it ends, because
    /// the clocks differ.
    fn lives(&self, now: SystemTime) -> Option<bool> {
        let end = (self.began + ABSOLUTE).min(self.sealed + IDLE);
        let minute = Duration::from_secs(60);
        if now + minute < end { Some(true) } else { (now > end + minute).then_some(false) }
    }
}

impl Client {
    fn apply(&mut self, set: &SetCookies) {
        for value in set.values() {
            let pair = value.split(';').next().expect("a cookie");
            let removed = pair.ends_with('=');
            self.cookie = if removed { String::new() } else { pair.to_owned() };
        }
    }
}

/// What happened in the two months.
#[derive(Debug, Default)]
struct Counts {
    requests: u32,
    logins: u32,
    /// Requests whose session opened, with exactly what was sealed.
    opened: u32,
    /// Of these, by a key that did not seal any more, or not yet, on that node.
    opened_by_others: u32,
    /// Cookies that were written to go on with a session.
    resealed: u32,
    /// Sessions that had ended by time.
    ended: u32,
    /// Sessions that ended because their key was revoked.
    revoked: u32,
    /// Valid sessions that did not open, by the reason that was given.
    lost: BTreeMap<String, u32>,
    /// Valid sessions whose cookie was deleted.
    deleted: u32,
    keys: BTreeSet<KeyId>,
    /// Files that a node loaded, and those of them that were older than what it had.
    loads: u32,
    rollbacks: u32,
    restarts: u32,
    /// Promotions and revocations that operators made by hand.
    by_hand: u32,
}

impl Counts {
    fn lost(&self) -> u32 {
        self.lost.values().sum()
    }

    /// The line that stands in docs/TESTING.md.
    fn told(&self) -> String {
        format!(
            "{} requests, {} keys, {} files loaded, {} restarts, {} sessions lost {:?}, {} deleted",
            self.requests,
            self.keys.len(),
            self.loads,
            self.restarts,
            self.lost(),
            self.lost,
            self.deleted
        )
    }
}

/// Runs the two months under a policy that may not be as it should.
fn rehearse(policy: Policy) -> Counts {
    let mut counts = Counts::default();
    let mut dice = Dice(1);
    let mut now = start();
    let mut master = Master { file: one_key(now), history: Vec::new() };
    master.save(now);
    let mut nodes: Vec<_> = [0, 20, 40]
        .map(|clock| Node::new(&master.file, now, Duration::from_secs(clock)))
        .into_iter()
        .collect();
    assert_eq!(nodes.len(), NODES);
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| Client::default()).collect();
    let mut revoked = BTreeSet::new();

    for hour in 0..DAYS * 24 {
        operate(&policy, &mut master, hour, now, &mut revoked, &mut counts);
        for node in &mut nodes {
            distribute(node, &master, hour, now, &mut dice, &mut counts);
        }
        for _ in 0..REQUESTS_PER_HOUR {
            now += HOUR / REQUESTS_PER_HOUR;
            let user = dice.roll(CLIENTS);
            let node = nodes.get(dice.roll(NODES)).expect("a node");
            let client = clients.get_mut(user).expect("a client");
            serve(node, client, user, now, &revoked, &mut dice, &mut counts);
        }
        now = start() + HOUR * (hour + 1);
    }
    counts
}

/// What the operators do: cron runs `ring rotate` each night, and a few times they act by hand.
fn operate(
    policy: &Policy,
    master: &mut Master,
    hour: u32,
    now: SystemTime,
    revoked: &mut BTreeSet<KeyId>,
    counts: &mut Counts,
) {
    let by_state = |file: &KeyFile, state: KeyState| {
        let keys = file.keys_at(now).into_iter().filter(move |key| key.state == state);
        keys.map(|key| key.id).next_back()
    };
    let mut changed = false;
    if hour % 24 == 3 {
        changed = !policy.rotate_at(&mut master.file, now).expect("a key").is_empty();
    }
    // Two days after the second promotion it is taken back, and made again a day later.
    if (hour == 22 * 24 || hour == 23 * 24)
        && let Some(before) = by_state(&master.file, KeyState::OpenOnly)
    {
        policy.promote_at(&mut master.file, before, now).expect("all nodes know it");
        changed = true;
        counts.by_hand += 1;
    }
    // A key leaks a day after it became the primary.
    if hour == 45 * 24 {
        let leaked = by_state(&master.file, KeyState::Primary).expect("a primary");
        // Where nothing is kept, there is nothing to fall back to.
        if policy.revoke_at(&mut master.file, leaked, now).is_ok() {
            revoked.insert(leaked);
            changed = true;
            counts.by_hand += 1;
        }
    }
    if changed {
        master.save(now);
    }
}

/// Brings the file to a node at some time or other, or an older one back.
fn distribute(
    node: &mut Node,
    master: &Master,
    hour: u32,
    now: SystemTime,
    dice: &mut Dice,
    counts: &mut Counts,
) {
    let behind = now.duration_since(node.as_of).expect("a file of the past");
    // Yesterday's backup is restored on all nodes at once, after a promotion too.
    let backup = hour % (10 * 24) == 9 * 24 + 14;
    let (as_of, restart) = if backup {
        (now - 12 * HOUR, false)
    } else if behind + HOUR > LATEST || dice.roll(8) == 0 {
        (now, false)
    } else if dice.roll(40) == 0 {
        // A restart with an old image.
        (now - dice.up_to(LATEST - 2 * HOUR), true)
    } else {
        return;
    };
    let as_of = as_of.max(start());
    counts.loads += 1;
    counts.restarts += u32::from(restart);
    counts.rollbacks += u32::from(as_of < node.as_of);
    node.load(master, as_of, now, restart);
}

/// Answers one request as a middleware does.
fn serve(
    node: &Node,
    client: &mut Client,
    user: usize,
    now: SystemTime,
    revoked: &BTreeSet<KeyId>,
    dice: &mut Dice,
    counts: &mut Counts,
) {
    counts.requests += 1;
    let (codec, node_now) = (&node.codec, now + node.clock);
    let cookie = client.cookie.clone();
    let request = codec.request((!cookie.is_empty()).then_some(&cookie));
    let primary = codec.ring().primary_at(node_now).expect("a primary");
    counts.keys.insert(primary);
    let mut session = None;
    match (codec.decode_at(&request, node_now), &client.truth) {
        (Ok(None), None) => {}
        (Ok(Some(Opened { session: found, key, .. })), Some(truth)) => {
            assert_eq!((&found, key), (&truth.session, truth.key), "another session");
            assert_ne!(truth.lives(now), Some(false), "a session that has ended");
            counts.opened += 1;
            counts.opened_by_others += u32::from(key != primary);
            session = Some(found);
        }
        (Err(error), Some(truth)) => {
            let valid = truth.lives(now) == Some(true) && !revoked.contains(&truth.key);
            if valid {
                *counts.lost.entry(kind(&error).to_owned()).or_default() += 1;
                counts.deleted += u32::from(error.advice() == Advice::Clear);
            } else if revoked.contains(&truth.key) && !matches!(error, DecodeError::Expired(_)) {
                counts.revoked += 1;
            } else {
                // After it, the key may be gone too.
                counts.ended += 1;
            }
            if error.advice() == Advice::Clear {
                client.apply(&codec.clear(&request));
                assert_eq!(client.cookie, "");
            }
        }
        (found, truth) => {
            let truth = truth.as_ref().map(|truth| &truth.session);
            unreachable!("{found:?} where the client has {truth:?}");
        }
    }
    match session {
        Some(mut session) => {
            if dice.roll(2) == 0 {
                session.visits += 1;
            }
            let set = codec.encode_at(&session, &request, node_now).expect("sealed");
            client.apply(&set);
            let truth = client.truth.as_mut().expect("it was opened");
            if set.is_empty() {
                assert_eq!(truth.session, session, "a change that is not sent");
            } else {
                (truth.session, truth.sealed, truth.key) = (session, node_now, primary);
                counts.resealed += 1;
            }
        }
        // The user logs in, and what was there is gone for good.
        None => {
            let session = Session { user, visits: 1 };
            client.apply(&codec.renew_at(&session, &request, node_now).expect("sealed"));
            let (began, sealed, key) = (node_now, node_now, primary);
            client.truth = Some(Truth { session, began, sealed, key });
            counts.logins += 1;
        }
    }
}

fn kind(error: &DecodeError) -> &'static str {
    match error {
        DecodeError::UnknownKey(_) => "unknown key",
        DecodeError::RetiredKey(_) => "retired key",
        _ => "something else",
    }
}

#[test]
fn no_session_is_lost_but_those_of_a_revoked_key() {
    let counts = rehearse(policy());
    println!("announced and kept: {}", counts.told());
    assert_eq!((counts.lost(), counts.deleted), (0, 0), "{:?}", counts.lost);

    // And the two months were as hard as they should be.
    assert_eq!(counts.requests, DAYS * 24 * REQUESTS_PER_HOUR);
    assert_eq!(counts.by_hand, 3, "a rollback and its end, and a revocation");
    assert!(counts.keys.len() >= 6, "{} keys sealed", counts.keys.len());
    for (what, count, least) in [
        ("logins", counts.logins, 10_000),
        ("sessions opened", counts.opened, 50_000),
        ("sessions opened by another key than the primary", counts.opened_by_others, 2000),
        ("sessions sealed again", counts.resealed, 25_000),
        ("sessions that ended by time", counts.ended, 10_000),
        ("sessions of the revoked key", counts.revoked, 100),
        ("files loaded", counts.loads, 500),
        ("older files loaded", counts.rollbacks, 50),
        ("restarts with an old file", counts.restarts, 50),
    ] {
        assert!(count >= least, "{count} {what}, {least} expected");
    }
}

#[test]
fn sessions_are_lost_where_keys_are_not_announced() {
    let counts = rehearse(policy().announce(Duration::ZERO));
    println!("not announced: {}", counts.told());
    assert!(counts.lost["unknown key"] > 100, "{:?}", counts.lost);
    assert_eq!(counts.deleted, 0, "even so, no node deletes what another can read");
}

#[test]
fn sessions_are_lost_where_keys_are_not_kept() {
    let counts = rehearse(policy().keep(DAY));
    println!("not kept for the absolute timeout: {}", counts.told());
    assert!(counts.lost["retired key"] > 100, "{:?}", counts.lost);
}

/// A node that comes back from a long repair with a file of last month refuses sessions of keys that it
/// does not know, and neither deletes nor overwrites one.
#[test]
fn a_node_with_a_file_that_is_far_too_old_destroys_nothing() {
    let now = start();
    let policy = policy();
    let mut file = one_key(now);
    let repaired = Node::new(&file, now, Duration::ZERO);
    policy.rotate_at(&mut file, now + 9 * DAY).unwrap();
    let now = now + 11 * DAY;
    let good = Node::new(&file, now, Duration::ZERO);
    let mut refused = 0;
    for user in 0..1000 {
        let mut client = Client::default();
        let session = Session { user, visits: 1 };
        let login = good.codec.request::<_, str>([]);
        client.apply(&good.codec.renew_at(&session, &login, now).unwrap());

        let cookie = client.cookie.clone();
        let request = repaired.codec.request([&cookie]);
        let error = repaired.codec.decode_at(&request, now).unwrap_err();
        assert!(matches!(error, DecodeError::UnknownKey(_)), "{error}");
        assert_eq!(error.advice(), Advice::Keep);
        let error = repaired.codec.encode_at(&session, &request, now).unwrap_err();
        assert!(matches!(error, EncodeError::WouldReplace(_)), "{error}");
        refused += 1;

        // The next request goes to another node.
        let request = good.codec.request([&cookie]);
        assert_eq!(good.codec.decode_at(&request, now).unwrap().unwrap().session, session);
    }
    assert_eq!(refused, 1000);
}

/// What an incident left behind.
#[derive(Debug, Default)]
struct Aftermath {
    /// Sessions that the thief holds, and those of them that some node still takes when all is done.
    forged: u32,
    alive: u32,
    /// Honest users whose session was refused, by what named it: its key, or the cutoff.
    by_key: u32,
    by_cutoff: u32,
    /// Honest users whose session was refused though neither names it, and those who were never logged out.
    by_mistake: u32,
    untouched: u32,
}

/// A key leaks while it seals, and is followed by another. The thief forges sessions under it, and uses each at once, so that it is
/// resealed by the new key; he goes on with that at nodes that do not know of the revocation yet, and makes his sessions begin
/// as late as a node takes it. `cutoffs` says what the operators do: nothing beside the revocation, a cutoff with it, and another
/// one so long after the last node has the first.
fn incident(cutoffs: (bool, Option<Duration>)) -> Aftermath {
    const MINUTE: Duration = Duration::from_secs(60);
    let (with_revocation, again) = cutoffs;
    let mut aftermath = Aftermath::default();
    let mut dice = Dice(7);
    let policy = policy();
    let began = start();
    let mut file = one_key(began);
    let leaked = file.keys_at(began)[0].id;
    let thief = Codec::builder(file.ring_at(began).unwrap());
    let thief: Codec<Session> =
        thief.absolute_timeout(ABSOLUTE).idle_timeout(IDLE).build().unwrap();
    policy.rotate_at(&mut file, began + 9 * DAY).unwrap();
    let promoted = began + 10 * DAY;
    let mut nodes: Vec<_> = [0, 20, 40]
        .map(|clock| Node::new(&file, promoted - DAY, Duration::from_secs(clock)))
        .into();
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| Client::default()).collect();
    let mut loot: Vec<Client> = Vec::new();

    // A minute is a step. The operators act in the middle of the second day.
    let revoked = promoted + DAY;
    let delays = [3 * MINUTE, 11 * MINUTE, 26 * MINUTE];
    let last = revoked + delays[2];
    let second = again.map(|wait| last + wait);
    let end = last + 30 * MINUTE;
    let mut files: Vec<(SystemTime, KeyFile)> = Vec::new();
    let mut cutoff = None;
    let mut now = promoted - DAY;
    while now <= end {
        now += MINUTE;
        if now == revoked {
            policy.revoke_at(&mut file, leaked, now).unwrap();
            if with_revocation {
                policy.cut_off_at(&mut file, now, now).unwrap();
                cutoff = file.cutoff();
            }
            files.push((now, file.expose_text().parse().unwrap()));
        }
        if Some(now) == second {
            policy.cut_off_at(&mut file, now, now).unwrap();
            cutoff = file.cutoff();
            files.push((now, file.expose_text().parse().unwrap()));
        }
        for (node, delay) in nodes.iter_mut().zip(delays) {
            for (made, file) in &files {
                if now == *made + delay.min(10 * MINUTE) && *made > revoked
                    || now == *made + delay && *made == revoked
                {
                    put(file, node.disk.path());
                    let event = node.watcher.poll_at(now + node.clock);
                    assert!(matches!(event, Some(WatchEvent::Reloaded { .. })), "{event:?}");
                }
            }
        }
        // The thief: first at the nodes that know least.
        let late = nodes.last().expect("nodes");
        for ahead in [Duration::ZERO, 59 * MINUTE / 60] {
            let at = now + late.clock + ahead;
            let session = Session { user: CLIENTS, visits: 0 };
            let mut forged = Client::default();
            forged.apply(&thief.renew_at(&session, &thief.request::<_, str>([]), at).unwrap());
            loot.push(forged);
        }
        let fresh = loot.len().saturating_sub(2);
        for (i, forged) in loot.iter_mut().enumerate() {
            // The new ones at once, and the others so often that none is idle for too long.
            if i >= fresh
                || (usize::try_from(now.duration_since(began).unwrap().as_secs() / 60).unwrap() + i)
                    % 720
                    == 0
            {
                let node = if i >= fresh { late } else { &nodes[dice.roll(NODES)] };
                let cookie = forged.cookie.clone();
                let request = node.codec.request([&cookie]);
                let node_now = now + node.clock;
                if let Ok(Some(mut opened)) = node.codec.decode_at(&request, node_now) {
                    opened.session.visits += 1;
                    forged
                        .apply(&node.codec.encode_at(&opened.session, &request, node_now).unwrap());
                }
            }
        }
        // Honest users: each comes twice a day.
        for _ in 0..2 {
            let user = dice.roll(CLIENTS);
            let node = &nodes[dice.roll(NODES)];
            let client = &mut clients[user];
            visit(node, client, user, now, leaked, cutoff, &mut aftermath);
        }
    }
    aftermath.forged = u32::try_from(loot.len()).unwrap();
    let taken = |client: &Client| {
        nodes.iter().any(|node| {
            let request = node.codec.request([&client.cookie]);
            matches!(node.codec.decode_at(&request, now + node.clock), Ok(Some(_)))
        })
    };
    aftermath.alive = u32::try_from(loot.iter().filter(|forged| taken(forged)).count()).unwrap();
    for (user, client) in clients.iter_mut().enumerate() {
        if client.truth.is_some() {
            visit(&nodes[dice.roll(NODES)], client, user, now, leaked, cutoff, &mut aftermath);
        }
    }
    aftermath
}

/// An honest user comes, and logs in where the session is refused.
fn visit(
    node: &Node,
    client: &mut Client,
    user: usize,
    now: SystemTime,
    leaked: KeyId,
    cutoff: Option<SystemTime>,
    aftermath: &mut Aftermath,
) {
    let node_now = now + node.clock;
    let cookie = client.cookie.clone();
    let request = node.codec.request((!cookie.is_empty()).then_some(&cookie));
    let primary = node.codec.ring().primary_at(node_now).expect("a primary");
    let session = match node.codec.decode_at(&request, node_now) {
        Ok(Some(opened)) => {
            aftermath.untouched += 1;
            Some(opened.session)
        }
        Ok(None) => None,
        Err(error) => {
            let truth = client.truth.as_ref().expect("it was sealed");
            let named_by_cutoff = cutoff.is_some_and(|cutoff| truth.began < cutoff);
            match error {
                DecodeError::RevokedKey(id) if id == leaked && truth.key == leaked => {
                    aftermath.by_key += 1
                }
                DecodeError::BeforeCutoff if named_by_cutoff => aftermath.by_cutoff += 1,
                _ if truth.lives(now) == Some(false) || truth.lives(now).is_none() => {}
                _ => aftermath.by_mistake += 1,
            }
            None
        }
    };
    let (set, began) = match session {
        Some(mut session) => {
            session.visits += 1;
            let began = client.truth.as_ref().map_or(node_now, |truth| truth.began);
            (node.codec.encode_at(&session, &request, node_now).expect("sealed"), began)
        }
        None => {
            let session = Session { user, visits: 1 };
            let set = node.codec.renew_at(&session, &request, node_now).expect("sealed");
            (set, node_now)
        }
    };
    client.apply(&set);
    let session = Session { user, visits: 0 };
    client.truth = Some(Truth { session, began, sealed: node_now, key: primary });
}

#[test]
fn an_incident_leaves_no_forged_session_alive_and_logs_out_only_whom_the_cutoff_names() {
    let two_minutes = Duration::from_secs(120);
    for (what, cutoffs, none_alive) in [
        ("revoked alone", (false, None), false),
        ("revoked with a cutoff", (true, None), false),
        ("and another one as soon as all nodes have it", (true, Some(Duration::ZERO)), false),
        ("and another one two minutes later", (true, Some(two_minutes)), true),
    ] {
        let found = incident(cutoffs);
        println!(
            "{what}: {} of {} forged sessions alive; honest sessions ended: {} by the key, {} by the cutoff, {} by mistake; {} \
             visits went on",
            found.alive,
            found.forged,
            found.by_key,
            found.by_cutoff,
            found.by_mistake,
            found.untouched
        );
        assert_eq!(found.alive == 0, none_alive, "{what}: {found:?}");
        assert_eq!(found.by_mistake, 0, "{what}");
        assert!(found.forged > 2000 && found.untouched > 2000, "{what}: {found:?}");
        assert_eq!(found.by_cutoff > 0, cutoffs.0, "{what}: {found:?}");
    }
}
