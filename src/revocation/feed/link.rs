//! One connection's life: who the master is, all of the stream, then what comes; and what this node has to say.
//!
//! Three tasks run side by side, and the first that fails ends all three: one reads and blocks, on a connection of
//! its own; one writes; and where a server can be replaced, one keeps asking who the master is. A heartbeat counts
//! when it was written by the one and read back by the other, while those who decide it name this very server.
//! So neither a stopped server, nor one that goes on after others took over, nor a dead connection is taken for fresh.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use ::redis::aio::{ConnectionLike, MultiplexedConnection};
use ::redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisResult, Value, cmd, from_redis_value};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::stream::{self, Glance, Id, Read};
use super::{BEAT, Shared};
use crate::bytes::random;
use crate::message::seconds::Seconds;
use crate::observe;
use crate::redis::{Master, Timeouts};
use crate::revocation::entry::Entry;
use crate::revocation::guarded;
use crate::revocation::receipt::Stored;

/// Keeps a link up, until the feed is dropped.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut pause = LEAST_PAUSE;
    while !shared.stops() {
        let proved = shared.proved.load(Ordering::Acquire);
        let Err(error) = Link::connect(&shared).await else { return };
        {
            let mut status = shared.status();
            status.server = None;
            status.losses += 1;
            let known = status.error.replace(error.to_string()) == Some(error.to_string());
            drop(status);
            guarded(|| observe::feed_lost(&error, known));
        }
        if shared.stops() {
            return;
        }
        // A heartbeat came back, so all of the stream was read too. Who cannot get that far is not to be asked for all of
        // it by each node again and again.
        let worked = shared.proved.load(Ordering::Acquire) > proved;
        pause = if worked { LEAST_PAUSE } else { (pause * 2).min(MOST_PAUSE) };
        let _ = timeout(pause / 2 + jitter(pause / 2), shared_stop(&shared)).await;
    }
}

/// Waits for the end of the feed.
async fn shared_stop(shared: &Shared) {
    while !shared.stops() {
        sleep(BEAT / 10).await;
    }
}

/// What the tasks of one connection share.
struct Link {
    shared: Arc<Shared>,
    master: Master,
    /// The mark of the present reading of the stream: 1, 2 or 3. What has 0 was in no reading.
    mark: std::sync::atomic::AtomicU8,
    /// How far the reader has come.
    read: Mutex<Read>,
    /// Whether all of the stream is to be read again, and whether that is done.
    reread: AtomicBool,
    complete: AtomicBool,
    /// When those who decide it last named this master.
    verified: AtomicU64,
}

impl Link {
    /// Lives through one connection. It ends by an error, or because the feed is dropped.
    async fn connect(shared: &Arc<Shared>) -> RedisResult<()> {
        let verified = shared.clock();
        let master = shared.server.master(&shared.log, CONNECT).await?;
        let limits = Timeouts { connect: CONNECT, response: Some(RESPONSE) };
        let mut writer = shared.server.connect_to(&master, limits).await?;
        let blocking = Timeouts { connect: CONNECT, response: Some(BLOCK + RESPONSE) };
        let reader = shared.server.connect_to(&master, blocking).await?;
        let replicas = role(&mut writer).await?;
        let evicts = evicts(&mut writer).await;
        if evicts && !shared.status().evicts {
            guarded(observe::feed_evicts);
        }
        let before = glance(&mut writer, &shared.log).await?;
        {
            let mut status = shared.status();
            (status.server, status.evicts) = (Some(master.to_string()), evicts);
        }
        let link = Arc::new(Self {
            shared: Arc::clone(shared),
            master,
            mark: 0.into(),
            read: Mutex::default(),
            reread: AtomicBool::new(false),
            complete: AtomicBool::new(false),
            verified: verified.into(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(read(Arc::clone(&link), reader));
        tasks.spawn(write(Arc::clone(&link), writer, before, replicas));
        if shared.server.fails_over() {
            tasks.spawn(verify(Arc::clone(&link)));
        }
        match tasks.join_next().await {
            Some(Ok(ended)) => ended,
            _ => Err(fault("a task has panicked")),
        }
    }

    fn read(&self) -> std::sync::MutexGuard<'_, Read> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that so many of the entries that were read have been trimmed.
    fn forget(&self, gone: u64) {
        let mut read = self.read();
        read.count = read.count.saturating_sub(gone);
    }

    fn mark(&self) -> u8 {
        self.mark.load(Ordering::Acquire)
    }
}

/// Asks again and again whether this is still the master.
async fn verify(link: Arc<Link>) -> RedisResult<()> {
    loop {
        sleep(BEAT).await;
        let asked = link.shared.clock();
        // Where too few answer, nothing is proved, and the set becomes stale in time.
        if let Ok(master) = link.shared.server.master(&link.shared.log, CONNECT).await {
            if master != link.master {
                return Err(fault("another server is the master now"));
            }
            link.verified.store(asked, Ordering::Release);
        }
    }
}

/// Reads all of the stream, and then what comes.
///
/// One answer has what both streams had at one time, or else what came into one of them while neither had anything
/// more. So when an answer does not have as many entries as it may, all that was written before its heartbeat is read.
async fn read(link: Arc<Link>, mut connection: MultiplexedConnection) -> RedisResult<()> {
    let Link { shared, .. } = &*link;
    snapshot(&link, &mut connection).await?;
    let mut beat = Id::default();
    loop {
        if link.reread.swap(false, Ordering::AcqRel) {
            snapshot(&link, &mut connection).await?;
        }
        let cursor = link.read().last;
        let mut command = cmd("XREAD");
        command.arg("COUNT").arg(PAGE).arg("BLOCK").arg(millis(BLOCK)).arg("STREAMS");
        command.arg(&shared.log).arg(&shared.beats).arg(cursor.to_string()).arg(beat.to_string());
        let answer = connection.req_packed_command(&command).await?;
        let now = SystemTime::now();
        let mut found = 0;
        for (id, value) in stream::of(&answer, &shared.log) {
            take(&link, id, value, now);
            found += 1;
        }
        if found >= PAGE {
            // There may be more, and the heartbeat be written behind it: it is read again with the rest.
            continue;
        }
        for (id, value) in stream::of(&answer, &shared.beats) {
            beat = id;
            let sent = value.and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
            // What another process or an earlier connection wrote proves less, or nothing.
            if let Some(sent) = sent.filter(|sent| *sent <= shared.clock()) {
                proved(&link, sent);
            }
        }
    }
}

fn proved(link: &Link, sent: u64) {
    let verified =
        if link.shared.server.fails_over() { link.verified.load(Ordering::Acquire) } else { sent };
    link.shared.prove(sent.min(verified));
}

/// Reads the stream from its beginning.
async fn snapshot(link: &Link, connection: &mut MultiplexedConnection) -> RedisResult<()> {
    let shared = &link.shared;
    let mark = link.mark() % 3 + 1;
    shared.set.begin_reading(mark);
    link.mark.store(mark, Ordering::Release);
    *link.read() = Read::default();
    let mut full = false;
    loop {
        let cursor = link.read().last;
        let mut command = cmd("XRANGE");
        command.arg(&shared.log).arg(cursor.next().to_string()).arg("+").arg("COUNT").arg(PAGE);
        let answer = connection.req_packed_command(&command).await?;
        let now = SystemTime::now();
        for (id, value) in stream::entries(&answer) {
            full |= !take(link, id, value, now);
        }
        if link.read().last == cursor {
            break;
        }
    }
    if !full {
        shared.set.fits();
    }
    let mut status = shared.status();
    status.snapshots += 1;
    let first = status.error.take().is_some() || status.snapshots == 1;
    drop(status);
    if first {
        guarded(|| observe::feed_ready(&link.master, shared.set.len()));
    }
    link.complete.store(true, Ordering::Release);
    shared.woken.notify_one();
    Ok(())
}

/// Takes over what the stream has; returns whether there was room for it.
fn take(link: &Link, id: Id, value: Option<&[u8]>, now: SystemTime) -> bool {
    {
        let mut read = link.read();
        (read.last, read.count) = (id, read.count + 1);
    }
    let Some(entry) = stream::entry(value) else { return true };
    link.shared.set.merge(entry, link.mark(), &*link.shared, now).is_ok()
}

/// Writes what was revoked here, heartbeats, and what the stream lacks.
async fn write(
    link: Arc<Link>,
    mut connection: MultiplexedConnection,
    mut known: Glance,
    replicas: bool,
) -> RedisResult<()> {
    let Link { shared, .. } = &*link;
    // From when on replicas are waited for, if there are any.
    let mut replicas = replicas.then(Instant::now);
    let mut beat = Instant::now();
    // So much later than it could does this node trim, so that one does it for all.
    let late = millis(TRIM_WITHIN / 2 + jitter(TRIM_WITHIN / 2));
    let mut trims = None;
    // Whether all of the stream was read, so that what has no mark is lacking.
    let mut whole = false;
    let mut heal: Option<Instant> = None;
    let mut lacking: Vec<Entry> = Vec::new();
    loop {
        // A chunk at a time, so that nothing holds up the heartbeat.
        let more = send(&link, &mut connection, &mut replicas).await?;
        let now = Instant::now();
        if shared.stops() {
            let queue = shared.queue();
            if queue.own.is_empty() && !(whole && (queue.missed || !lacking.is_empty())) {
                return Ok(());
            }
        }
        if now >= beat {
            beat = now + BEAT;
            let time = beat_once(&link, &mut connection).await?;
            let horizon = horizon(shared, time);
            // Of the time before the glance: what comes in between is there all the more.
            let read = *link.read();
            let seen = glance(&mut connection, &shared.log).await?;
            if !link.reread.load(Ordering::Acquire) && seen.lost(&known, read, horizon) {
                guarded(observe::feed_went_backwards);
                link.complete.store(false, Ordering::Release);
                link.reread.store(true, Ordering::Release);
                (whole, heal, trims) = (false, None, None);
                lacking.clear();
            }
            let gone = read.count.saturating_sub(seen.left(&known, read, horizon));
            link.forget(gone);
            known = seen;
            if whole && seen.may_be_trimmed(horizon.saturating_sub(late)) {
                trims = Some(time);
            }
        }
        if let Some(time) = trims
            && !trim(&link, &mut connection, time).await?
        {
            trims = None;
        }
        let complete = link.complete.swap(false, Ordering::AcqRel);
        whole |= complete;
        let missed = whole && !more && lacking.is_empty() && shared.queue().missed;
        if complete || (missed && heal.is_none()) {
            heal = Some(now + jitter(HEAL_WITHIN));
        }
        if heal.is_some_and(|due| now >= due) {
            heal = None;
            shared.queue().missed = false;
            lacking = shared.set.lacking(link.mark()).collect();
        }
        if !lacking.is_empty() {
            // Other nodes do the same: what they have added meanwhile is not added again.
            let rest = lacking.split_off(lacking.len().saturating_sub(CHUNK));
            let rest = rest.into_iter().filter(|entry| !shared.set.has_mark(entry, link.mark()));
            let added = add(&mut connection, &shared.log, rest.collect()).await?;
            shared.status().healed += added;
            guarded(|| observe::feed_healed(added));
        }
        if more || trims.is_some() || !lacking.is_empty() {
            continue;
        }
        let mut wait = beat.saturating_duration_since(now);
        if let Some(due) = heal {
            wait = wait.min(due.saturating_duration_since(now));
        }
        let _ = timeout(wait, shared.woken.notified()).await;
    }
}

/// Sends a chunk of what is queued; returns whether there is more.
async fn send(
    link: &Link,
    connection: &mut MultiplexedConnection,
    replicas: &mut Option<Instant>,
) -> RedisResult<bool> {
    let Link { shared, .. } = link;
    let (own, others, more) = shared.queue().take(CHUNK);
    let lacks = |entry: &Entry| !shared.set.has_mark(entry, link.mark());
    add(connection, &shared.log, others.into_iter().filter(lacks).collect()).await?;
    if own.is_empty() {
        return Ok(more);
    }
    let waits = replicas.is_some_and(|from| from <= Instant::now());
    let mut pipeline = Pipeline::with_capacity(own.len() + 1);
    for (entry, _) in &own {
        pipeline.add_command(xadd(&shared.log, *entry));
    }
    if waits {
        pipeline.cmd("WAIT").arg(1).arg(millis(REPLICATED_WITHIN));
    }
    let sent = connection.req_packed_commands(&pipeline, 0, own.len() + usize::from(waits));
    match sent.await.and_then(|answers| Value::Array(answers).extract_error()) {
        Ok(answers) => {
            let replicated = match &answers {
                Value::Array(answers) if waits => matches!(answers.last(), Some(Value::Int(1..))),
                _ => false,
            };
            if waits && !replicated {
                *replicas = Some(Instant::now() + REPLICAS_AGAIN);
            }
            let how = if replicated { Stored::Replicated } else { Stored::Acknowledged };
            own.into_iter().for_each(|(_, part)| part.stored(how));
            Ok(more)
        }
        Err(error) => {
            // It may have been written or not: it is sent again.
            let mut queue = shared.queue();
            own.into_iter().rev().for_each(|own| queue.own.push_front(own));
            Err(error)
        }
    }
}

/// Adds entries that nobody waits for.
async fn add(
    connection: &mut MultiplexedConnection,
    log: &str,
    entries: Vec<Entry>,
) -> RedisResult<u64> {
    if entries.is_empty() {
        return Ok(0);
    }
    let mut pipeline = Pipeline::with_capacity(entries.len());
    for entry in &entries {
        pipeline.add_command(xadd(log, *entry));
    }
    let answers = connection.req_packed_commands(&pipeline, 0, entries.len()).await?;
    Value::Array(answers).extract_error()?;
    Ok(u64::try_from(entries.len()).unwrap_or(0))
}

fn xadd(log: &str, entry: Entry) -> Cmd {
    let mut command = cmd("XADD");
    command.arg(log).arg("*").arg("e").arg(&entry.to_bytes()[..]);
    command
}

/// Removes a chunk of what is older than the horizon; returns whether there may be more of it.
///
/// What ends sessions that are to come, or an old cookie, lives longer than other entries: it is added again before.
async fn trim(link: &Link, connection: &mut MultiplexedConnection, time: u64) -> RedisResult<bool> {
    let Link { shared, .. } = link;
    let minid = |id: String| {
        let mut command = cmd("XTRIM");
        command.arg(&shared.log).arg("MINID").arg(id);
        command
    };
    // Redis before 6.2 cannot; it keeps all then, and nothing is to be added.
    if refused(connection.req_packed_command(&minid("0".to_owned())).await)?.is_none() {
        return Ok(false);
    }
    let mut command = cmd("XRANGE");
    command.arg(&shared.log).arg("-").arg(horizon(shared, time).saturating_sub(1));
    command.arg("COUNT").arg(CHUNK);
    let answer = connection.req_packed_command(&command).await?;
    let old: Vec<_> = stream::entries(&answer).collect();
    let Some((last, _)) = old.last() else { return Ok(false) };
    let now = Seconds(time).into();
    let alive = |value| shared.set.alive(stream::entry(value)?, now);
    let alive: HashSet<_> = old.iter().filter_map(|(_, value)| alive(*value)).collect();
    add(connection, &shared.log, alive.into_iter().collect()).await?;
    refused(connection.req_packed_command(&minid(last.next().to_string())).await)?;
    Ok(old.len() >= CHUNK)
}

/// Returns before when (milliseconds, by the server) all is dead, save what was ahead of its time.
fn horizon(shared: &Shared, time: u64) -> u64 {
    time.saturating_sub(shared.set.keep().as_secs()).saturating_mul(1000)
}

/// Writes one heartbeat, which holds its own time; returns the server's time, in seconds: by that clock, no node with a
/// wrong one trims what is alive.
async fn beat_once(link: &Link, connection: &mut MultiplexedConnection) -> RedisResult<u64> {
    let Link { shared, .. } = link;
    let mut pipeline = Pipeline::with_capacity(3);
    let sent = shared.clock();
    pipeline.cmd("XADD").arg(&shared.beats).arg("MAXLEN").arg(1).arg("*").arg("t").arg(sent);
    pipeline.cmd("PEXPIRE").arg(&shared.beats).arg(millis(BEATS_LAST));
    pipeline.cmd("TIME");
    let answers = connection.req_packed_commands(&pipeline, 0, 3).await?;
    let answers = Value::Array(answers).extract_error()?;
    let (_, _, (seconds, _)): (Value, Value, (u64, u64)) = from_redis_value(answers)?;
    Ok(seconds)
}

async fn glance(connection: &mut MultiplexedConnection, log: &str) -> RedisResult<Glance> {
    let mut command = cmd("XINFO");
    command.arg("STREAM").arg(log);
    let answer = refused(connection.req_packed_command(&command).await)?;
    Ok(Glance::parse(&answer.unwrap_or(Value::Nil)))
}

/// Checks that the server takes writes; returns whether it has replicas.
async fn role(connection: &mut MultiplexedConnection) -> RedisResult<bool> {
    match refused(connection.req_packed_command(&cmd("ROLE")).await)? {
        Some(Value::Array(role)) => match role.as_slice() {
            [Value::BulkString(role), _, Value::Array(replicas)] if role == b"master" => {
                Ok(!replicas.is_empty())
            }
            _ => Err(fault("the server is no master")),
        },
        // The user may not ask: a write will show it.
        _ => Ok(false),
    }
}

/// Returns whether the server may drop keys when its memory is full.
async fn evicts(connection: &mut MultiplexedConnection) -> bool {
    let mut command = cmd("INFO");
    command.arg("memory");
    let answer = connection.req_packed_command(&command).await;
    let info = answer.ok().and_then(|answer| from_redis_value::<String>(answer).ok());
    let policy = info.as_deref().unwrap_or_default().lines();
    let policy = policy.filter_map(|line| line.strip_prefix("maxmemory_policy:")).next();
    policy.is_some_and(|policy| policy.trim() != "noeviction")
}

/// Turns a refusal by the server into `None`; what is wrong with the connection stays an error.
fn refused(answer: RedisResult<Value>) -> RedisResult<Option<Value>> {
    match answer.and_then(Value::extract_error) {
        Ok(answer) => Ok(Some(answer)),
        Err(error)
            if error.is_io_error() || error.is_timeout() || error.is_connection_dropped() =>
        {
            Err(error)
        }
        Err(error) => match error.code() {
            Some("LOADING" | "MASTERDOWN" | "MOVED" | "READONLY" | "CLUSTERDOWN") => Err(error),
            _ => Ok(None),
        },
    }
}

fn fault(what: &'static str) -> RedisError {
    RedisError::from((ErrorKind::Io, what))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Returns a random part of a duration.
fn jitter(most: Duration) -> Duration {
    let mut random = [0; 2];
    // Without random bytes all nodes do it at once, which is slower and as right.
    let _ = random::fill(&mut random);
    most.mul_f64(f64::from(u16::from_ne_bytes(random)) / f64::from(u16::MAX))
}

/// For a connection, and for those who know the master.
const CONNECT: Duration = Duration::from_secs(1);

/// For each answer: with the heartbeat before it, a stopped server is noticed within 2 seconds.
const RESPONSE: Duration = Duration::from_millis(1500);

/// For how long the server lets a reader wait. Heartbeats come sooner.
const BLOCK: Duration = Duration::from_secs(1);

/// For how long a receipt waits for a replica.
const REPLICATED_WITHIN: Duration = Duration::from_millis(100);

/// For how long no receipt waits for a replica, after none has answered: one that is stopped holds nothing up.
const REPLICAS_AGAIN: Duration = Duration::from_secs(1);

/// The heartbeats of a node that has gone are forgotten after this.
const BEATS_LAST: Duration = Duration::from_secs(60);

/// Within this, each node begins to add what the stream lacks, at another time than the others.
const HEAL_WITHIN: Duration = Duration::from_millis(500);

/// For how long what is dead may stay in the stream: for another time on each node.
const TRIM_WITHIN: Duration = Duration::from_secs(3600);

const LEAST_PAUSE: Duration = Duration::from_millis(50);
const MOST_PAUSE: Duration = Duration::from_secs(1);

/// Entries that are read at once, and such that are written at once.
const PAGE: usize = 10_000;
const CHUNK: usize = 500;
