//! The application over Redis with Sentinels and over a cluster, while a master is killed, stopped, and comes back.
//!
//! Needs `redis-server` and `redis-cli`: `cargo test --all-features --test overflow -- --ignored`.

#[path = "../revocation/servers.rs"]
#[allow(dead_code, reason = "not each test needs all")]
mod servers;

use std::error::Error;
use std::time::{Duration, Instant};

use ::axum::Router;
use futures_util::future::join_all;
use sealed_session::store::{BlobError, BlobId, BlobStore, RedisStore, StoreError};
use sealed_session::{Codec, DecodeError};

use self::servers::{Cluster, Server, Watched};
use crate::app::{Answer, Shop, codec};
use crate::axum::{app, send};

/// A node of its own, with a connection of its own.
fn node(url: &str) -> (Router, Codec<Shop>) {
    let codec = codec(RedisStore::new(url).unwrap());
    (app(codec.clone()), codec)
}

async fn cookie(app: &Router, path: &str, before: &str) -> String {
    let answer = send(app, path, before).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.cookie().unwrap()
}

/// Asks until it is answered. Until then there are refusals, and nobody is told that there is no session.
async fn answered(app: &Router, path: &str, cookie: &str) -> Answer {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = send(app, path, cookie).await;
        if answer.status == 200 {
            return answer;
        }
        assert_eq!((answer.status, answer.cookie()), (503, None), "{answer:?}");
        assert!(Instant::now() < deadline, "in vain: {path}");
    }
}

fn key(codec: &Codec<Shop>, cookie: &str) -> String {
    match codec.decode(&codec.request([cookie])).unwrap_err() {
        DecodeError::Blob(BlobError::NotFetched(id)) => format!("sealed-session:blob:{id}"),
        error => panic!("{error:?}"),
    }
}

fn has(server: &Server, key: &str) -> bool {
    server.try_call(&["EXISTS", key]).is_some_and(|answer| answer == ":1")
}

fn is_master(server: &Server) -> bool {
    server.try_call(&["INFO", "replication"]).is_some_and(|told| told.contains("role:master"))
}

/// A session in the cookie, one in the store and one with a value beside it.
struct Visitors {
    small: String,
    large: String,
    attached: String,
}

async fn visitors(app: &Router) -> Visitors {
    let small = cookie(app, "/login/10", "").await;
    let large = cookie(app, "/login/8000", "").await;
    let attached = cookie(app, "/attach/8000", &small).await;
    Visitors { small, large, attached }
}

/// While no master is there: as with one server that is down.
async fn refusals(app: &Router, visitors: &Visitors) {
    for (path, cookie) in [
        ("/read/0", &visitors.large),
        ("/write/8000", &visitors.small),
        ("/token/0", &visitors.attached),
    ] {
        let answer = send(app, path, cookie).await;
        assert_eq!((answer.status, answer.cookie()), (503, None), "{path}: {answer:?}");
    }
    assert_eq!(send(app, "/user/0", &visitors.attached).await.body, "7");
    assert_eq!(send(app, "/write/20", &visitors.small).await.status, 200);
}

/// Afterwards: all are in, and go on.
async fn goes_on(app: &Router, visitors: &Visitors) -> String {
    let began = Instant::now();
    assert_eq!(answered(app, "/read/0", &visitors.large).await.body, "7 8000");
    println!("a blob was fetched after {:.1?}", began.elapsed());
    assert_eq!(answered(app, "/token/0", &visitors.attached).await.body, "token 8000");
    let changed = answered(app, "/write/9000", &visitors.large).await.cookie().unwrap();
    assert_eq!(answered(app, "/read/0", &changed).await.body, "7 9000");
    changed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server; .ci/run has it"]
async fn with_sentinels_a_failover_is_a_time_of_refusals_and_logs_nobody_out() {
    let mut watched = Watched::start();
    named_rights_are_enough_with_sentinels(&watched).await;
    let (first, codec) = node(&watched.url());
    let (second, _) = node(&watched.url());
    let visitors = visitors(&first).await;
    assert_eq!(send(&second, "/read/0", &visitors.large).await.body, "7 8000");
    let attached = watched.servers[0].call(&["DBSIZE"]);
    until("the replica has all", || watched.servers[1].call(&["DBSIZE"]) == attached);
    assert!(has(&watched.servers[1], &key(&codec, &visitors.large)));

    // Stopped: the second node asks for nothing meanwhile, and keeps its connection to the old master.
    watched.servers[0].signal("STOP");
    refusals(&first, &visitors).await;
    let changed = goes_on(&first, &visitors).await;
    assert!(is_master(&watched.servers[1]));

    // The old master goes on, and says of itself that it is one. It does not have what was changed since.
    watched.servers[0].signal("CONT");
    assert_eq!(answered(&second, "/read/0", &changed).await.body, "7 9000");
    let again = answered(&second, "/write/8500", &changed).await.cookie().unwrap();
    assert!(has(&watched.servers[1], &key(&codec, &again)), "it is with the new master");
    until("the old master is a replica", || !is_master(&watched.servers[0]));
    until("it has all", || has(&watched.servers[0], &key(&codec, &again)));
    for node in [&first, &second] {
        assert_eq!(answered(node, "/read/0", &again).await.body, "7 8500");
    }

    // Killed, and back where it began.
    watched.servers[1].kill();
    refusals(&first, &visitors).await;
    for node in [&first, &second] {
        assert_eq!(answered(node, "/read/0", &again).await.body, "7 8500");
        goes_on(node, &visitors).await;
    }
    assert!(is_master(&watched.servers[0]));

    // No Sentinel is left: the master that is known serves on, and a node that knows none refuses.
    for sentinel in &mut watched.sentinels {
        sentinel.kill();
    }
    goes_on(&first, &visitors).await;
    let (late, _) = node(&watched.url());
    refusals(&late, &visitors).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server; .ci/run has it"]
async fn in_a_cluster_a_failover_is_a_time_of_refusals_and_logs_nobody_out() {
    let mut cluster = Cluster::start();
    what_is_gone_takes_few_connections(&cluster).await;
    named_rights_are_enough_in_a_cluster(&cluster).await;
    let (first, codec) = node(&cluster.url());
    let (second, _) = node(&cluster.url());
    let visitors = visitors(&first).await;
    let large = key(&codec, &visitors.large);
    assert_eq!(send(&second, "/read/0", &visitors.large).await.body, "7 8000");
    let (master, replica) = cluster.holders(&large);
    until("the replica has as much", || {
        cluster.servers[replica].call(&["DBSIZE"]) == cluster.servers[master].call(&["DBSIZE"])
    });

    cluster.servers[master].signal("STOP");
    let answer = send(&first, "/read/0", &visitors.large).await;
    assert_eq!((answer.status, answer.cookie()), (503, None), "{answer:?}");
    let changed = goes_on(&first, &visitors).await;
    assert!(is_master(&cluster.servers[replica]));
    cluster.servers[master].signal("CONT");
    assert_eq!(answered(&second, "/read/0", &changed).await.body, "7 9000");
    until("the old master is a replica", || !is_master(&cluster.servers[master]));
    until("it has all", || {
        cluster.servers[replica].call(&["DBSIZE"]) == cluster.servers[master].call(&["DBSIZE"])
    });

    cluster.servers[replica].kill();
    for node in [&first, &second] {
        goes_on(node, &visitors).await;
    }
    assert!(is_master(&cluster.servers[master]));
}

/// Whoever keeps the cookie of a blob that is gone may ask on and on, and each time a master is asked once more.
async fn what_is_gone_takes_few_connections(cluster: &Cluster) {
    let store = RedisStore::new(&cluster.url()).unwrap();
    let ask = |n| store.get(BlobId::from_bytes([n; 16]), 100);
    assert_eq!(ask(0).await.unwrap(), None);
    for server in &cluster.servers {
        let told = server.call(&["INFO", "clients"]);
        let count = |name: &str| -> u32 {
            told.lines().find_map(|line| line.strip_prefix(name)).unwrap().parse().unwrap()
        };
        let most = count("connected_clients:") + count("cluster_connections:") + 20;
        server.call(&["CONFIG", "SET", "maxclients", &most.to_string()]);
    }
    for answer in join_all((0..=255).map(ask)).await {
        assert!(matches!(answer, Ok(None) | Err(StoreError::Busy)), "{answer:?}");
    }
    for server in &cluster.servers {
        assert!(server.call(&["INFO", "stats"]).contains("rejected_connections:0\r"));
        server.call(&["CONFIG", "SET", "maxclients", "10000"]);
    }
}

async fn named_rights_are_enough_in_a_cluster(cluster: &Cluster) {
    grant("store", &cluster.servers);
    let url = cluster.url().replace("://", "://store:s%2Fcret%40@");
    let store = does_all(&url).await;
    for server in &cluster.servers {
        server.call(&["ACL", "SETUSER", "store", "-cluster|nodes"]);
    }
    let error = store.get(BlobId::from_bytes([8; 16]), 100).await.unwrap_err();
    let told = error.source().unwrap().to_string();
    assert!(told.contains("'cluster|nodes'"), "it names what is lacking: {told}");
}

async fn named_rights_are_enough_with_sentinels(watched: &Watched) {
    grant("store", &watched.servers);
    grant("asker", &watched.sentinels);
    let url = watched.url().replace("://", "://store:s%2Fcret%40@");
    does_all(&format!("{url}?sentinel_user=asker&sentinel_password=s%2Fcret%40")).await;
}

/// Grants the rights that docs/OVERFLOW.md names.
fn grant(user: &str, servers: &[Server]) {
    let page = include_str!("../../docs/OVERFLOW.md");
    let line = format!("ACL SETUSER {user} ");
    let line = page.lines().find(|found| found.starts_with(&line)).unwrap();
    let words: Vec<_> = line.split(' ').collect();
    for server in servers {
        assert_eq!(server.call(&words), "+OK", "{line}");
    }
}

/// Does each operation with the user of a URL, and asks for a blob that is gone.
async fn does_all(url: &str) -> RedisStore {
    let store = RedisStore::new(url).unwrap().timeout(Duration::MAX);
    let (id, minute) = (BlobId::from_bytes([7; 16]), Duration::from_secs(60));
    store.put(id, b"one", minute).await.unwrap();
    assert_eq!(store.get(id, 100).await.unwrap().unwrap(), b"one");
    store.keep_for(id, 2 * minute).await.unwrap();
    store.expire_within(id, Duration::ZERO).await.unwrap();
    assert_eq!(store.get(id, 100).await.unwrap(), None);
    store
}

/// Waits until something holds, as it soon must.
#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

/// Long enough for a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);
