//! The price of revocation: what it adds to a request, beside a store that is asked for each; how fast it spreads, and
//! what it takes.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use redis::Commands as _;
use sealed_session::revocation::{Feed, Journal, RedisFeed, Revocations, SubjectTag, WhenStale};
use sealed_session::{Codec, Key, KeyRing, SessionId};

use crate::redis::Server;

const WEEK: Duration = Duration::from_secs(7 * 86_400);
const MILLION: u64 = 1_000_000;

/// Random enough, and the same in each run.
fn id(number: u64) -> SessionId {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
    let mut next = || {
        state ^= state >> 30;
        state = state.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state ^= state >> 27;
        state = state.wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^ state >> 31
    };
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&next().to_le_bytes());
    bytes[8..].copy_from_slice(&next().to_le_bytes());
    SessionId::from_bytes(bytes)
}

/// The least of several rounds, in nanoseconds for each of `count`.
fn least(count: u64, mut round: impl FnMut()) -> f64 {
    let times = (0..7).map(|_| {
        let began = Instant::now();
        round();
        began.elapsed().as_secs_f64() * 1e9 / count as f64
    });
    times.fold(f64::INFINITY, f64::min)
}

fn filled(entries: u64) -> Revocations {
    let set = Revocations::new(WEEK);
    for number in 0..entries {
        set.revoke_session(id(number)).expect("there is room");
    }
    set
}

pub(crate) fn table() {
    lookups();
    decodes();
    journal();
    feeds();
}

/// One look-up of an id that is not revoked, in random order; and what a writer does to readers.
fn lookups() {
    println!(
        "| entries | ns a look-up | bytes an entry | 64 × `RwLock<HashMap>`, ns | longest wait of a reader while a million are added, µs: ours, `RwLock` |"
    );
    println!("|--:|--:|--:|--:|--:|");
    for entries in [0, 10_000, MILLION] {
        let set = filled(entries);
        let maps: Vec<RwLock<HashMap<[u8; 16], u32>>> =
            (0..64).map(|_| RwLock::default()).collect();
        for number in 0..entries {
            let key = id(number).to_bytes();
            maps[usize::from(key[0]) % 64].write().expect("whole").insert(key, 1);
        }
        let absent: Vec<_> = (0..MILLION).map(|number| id(number + (1 << 40))).collect();
        let now = SystemTime::now();
        let ours = least(MILLION, || {
            for id in &absent {
                black_box(set.ends(now, Some(*id), &[]));
            }
        });
        let theirs = least(MILLION, || {
            for id in &absent {
                let key = id.to_bytes();
                black_box(maps[usize::from(key[0]) % 64].read().expect("whole").get(&key));
            }
        });
        let bytes = if entries == 0 { 0.0 } else { set.bytes() as f64 / entries as f64 };
        let waits = if entries == 0 {
            let set = Revocations::new(WEEK);
            let ours = longest(
                || {
                    for number in 0..MILLION {
                        set.revoke_session(id(number)).expect("there is room");
                    }
                },
                |id| set.ends(now, Some(id), &[]),
            );
            let maps: Vec<RwLock<HashMap<[u8; 16], u32>>> =
                (0..64).map(|_| RwLock::default()).collect();
            let theirs = longest(
                || {
                    for number in 0..MILLION {
                        let key = id(number).to_bytes();
                        maps[usize::from(key[0]) % 64].write().expect("whole").insert(key, 1);
                    }
                },
                |id| {
                    let key = id.to_bytes();
                    maps[usize::from(key[0]) % 64].read().expect("whole").contains_key(&key)
                },
            );
            format!("{ours:.0}, {theirs:.0}")
        } else {
            String::new()
        };
        println!("| {entries} | {ours:.0} | {bytes:.1} | {theirs:.0} | {waits} |");
    }
}

/// The longest that one read of many took while something was written, in microseconds. The system takes the processor
/// away too: it is told for both in the same way.
fn longest(write: impl FnOnce() + Send, read: impl Fn(SessionId) -> bool + Sync) -> f64 {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            write();
            done.store(true, Ordering::Release);
        });
        let mut longest = Duration::ZERO;
        let mut number = 1 << 41;
        while !done.load(Ordering::Acquire) {
            number += 1;
            let id = id(number);
            let began = Instant::now();
            black_box(read(id));
            longest = longest.max(began.elapsed());
        }
        longest.as_secs_f64() * 1e6
    })
}

/// One request that only reads: ours, and what a store on loopback adds to one.
fn decodes() {
    let ring: KeyRing = Key::generate().expect("random bytes").into();
    let session = "jane".to_owned();
    let user = |name: &String| SubjectTag::new("user", name);
    println!("\n| one request | ns | more than without |");
    println!("|---|--:|--:|");
    let time = |codec: &Codec<String>| {
        let login = codec.renew(&session, &codec.request([""])).expect("a session");
        let cookie = login.values().next().expect("one").split(';').next().expect("one").to_owned();
        least(20_000, || {
            for _ in 0..20_000 {
                black_box(codec.decode(&codec.request([&cookie])).expect("it opens"));
            }
        })
    };
    let without = time(&Codec::builder(ring.clone()).session_ids().build().expect("a codec"));
    println!("| without revocation | {without:.0} | |");
    for (entries, what) in
        [(0, "0 entries"), (10_000, "10,000 entries"), (MILLION, "1,000,000 entries")]
    {
        let set = filled(entries);
        let by_id = Codec::builder(ring.clone()).revocations(set.clone(), |_| []).build();
        let by_id = time(&by_id.expect("a codec"));
        let by_tag =
            Codec::builder(ring.clone()).revocations(set, move |name| [user(name)]).build();
        let by_tag = time(&by_tag.expect("a codec"));
        println!("| {what}, by id | {by_id:.0} | {:+.0} |", by_id - without);
        println!("| {what}, by id and one tag | {by_tag:.0} | {:+.0} |", by_tag - without);
    }
    let server = Server::start().expect("redis-server");
    let mut connection = server.connect();
    let () = connection.set("present", "1").expect("SET");
    let get = least(2000, || {
        for _ in 0..2000 {
            black_box(connection.get::<_, Option<String>>("absent").expect("GET"));
        }
    });
    println!("| one Redis `GET` on loopback, beside the decode | {get:.0} | {get:+.0} |");
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let store = runtime.block_on(tower_sessions(server.port));
    println!("| tower-sessions with Redis: one load | {store:.0} | {store:+.0} |");
}

async fn tower_sessions(port: u16) -> f64 {
    use tower_sessions::{SessionStore as _, session::Record};
    use tower_sessions_redis_store::{RedisStore, fred::prelude::*};
    let config = Config::from_url(&format!("redis://127.0.0.1:{port}")).expect("a URL");
    let pool = Pool::new(config, None, None, None, 1).expect("a pool");
    pool.init().await.expect("Redis");
    let store = RedisStore::new(pool);
    let mut record = Record {
        id: tower_sessions::session::Id::default(),
        data: [("user".to_owned(), "jane".into())].into(),
        expiry_date: tower_sessions::cookie::time::OffsetDateTime::now_utc() + WEEK,
    };
    store.create(&mut record).await.expect("stored");
    let mut best = f64::INFINITY;
    for _ in 0..7 {
        let began = Instant::now();
        for _ in 0..1000 {
            black_box(store.load(&record.id).await.expect("loaded").expect("there"));
        }
        best = best.min(began.elapsed().as_secs_f64() * 1e9 / 1000.0);
    }
    best
}

fn journal() {
    let folder = std::env::temp_dir().join(format!("sealed-session-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("revoked");
    let set = filled(MILLION);
    let began = Instant::now();
    drop(Journal::open(&path, &set).expect("a journal"));
    let written = began.elapsed();
    let set = Revocations::new(WEEK);
    let began = Instant::now();
    let journal = Journal::open(&path, &set).expect("a journal");
    let read = began.elapsed();
    let mut times: Vec<_> = (0..200)
        .map(|number| {
            let began = Instant::now();
            let receipt = set.revoke_session(id(MILLION + number)).expect("room");
            let _ = receipt.wait(Duration::from_secs(10));
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!(
        "\nThe journal writes a million in {written:.2?}, and reads them at the start in {read:.2?}; one is stored in {:.2?} (99 %: {:.2?}).",
        times[100], times[198]
    );
    drop(journal);
    let _ = std::fs::remove_dir_all(&folder);
}

fn start(port: u16) -> (Revocations, Feed) {
    let set = Revocations::new(WEEK);
    let url = format!("redis://127.0.0.1:{port}");
    let feed =
        RedisFeed::new(&url, WhenStale::Refuse).expect("a URL").spawn(&set).expect("a thread");
    assert!(feed.wait(Duration::from_secs(60)), "{:?}", feed.status());
    (set, feed)
}

fn feeds() {
    println!("\n| nodes | one revocation to all others, p50 | p99 |");
    println!("|--:|--:|--:|");
    for count in [3, 10] {
        let server = Server::start().expect("redis-server");
        drop(server.connect());
        let nodes: Vec<_> = (0..count).map(|_| start(server.port)).collect();
        let now = SystemTime::now();
        let mut times = Vec::new();
        for number in 0..2000_u64 {
            let from = usize::try_from(number).expect("small") % nodes.len();
            let began = Instant::now();
            let _ = nodes[from].0.revoke_session(id(number)).expect("room");
            for (set, _) in &nodes {
                while !set.ends(now, Some(id(number)), &[]) {
                    // The threads that carry it need the processor more than this one.
                    std::thread::yield_now();
                }
            }
            times.push(began.elapsed());
        }
        times.sort_unstable();
        println!("| {count} | {:.2?} | {:.2?} |", times[1000], times[1980]);
    }
    let server = Server::start().expect("redis-server");
    drop(server.connect());
    let (set, feed) = start(server.port);
    for number in 0..MILLION {
        let _ = set.revoke_session(id(number)).expect("room");
    }
    let mut connection = server.connect();
    loop {
        let length: u64 = connection.xlen("{sealed-session}:revoked").unwrap_or(0);
        if length >= MILLION {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(feed);
    let used: String = redis::cmd("INFO").arg("memory").query(&mut connection).expect("INFO");
    let used = used
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"))
        .unwrap_or_default()
        .to_owned();
    let began = Instant::now();
    let node = start(server.port);
    println!(
        "\nA node starts with a million in Redis in {:.2?}; they take {} bytes here, and {used} there.",
        began.elapsed(),
        node.0.bytes()
    );
}
