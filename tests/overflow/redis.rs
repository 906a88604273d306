//! The same application over a real Redis, which is stopped, killed and flushed in the midst.
//!
//! Needs `redis-server` (Redis 7 or later, or Valkey by that name): `cargo test --all-features --test overflow -- --ignored`.

use std::cell::{Cell, RefCell};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use sealed_session::store::{BlobId, BlobStore, RedisStore};
use sealed_session::{Attached, Codec};

use crate::app::{Answer, Shop, aged, codec};

/// A redis-server on a free port of the loopback; it ends with this.
pub(crate) struct Server {
    port: u16,
    child: Child,
    folder: tempfile::TempDir,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let folder = tempfile::tempdir().unwrap();
        let child = launch(port, &folder);
        let server = Self { port, child, folder };
        server.wait();
        server
    }

    pub(crate) fn codec(&self) -> Codec<Shop> {
        let store = RedisStore::new(&format!("redis://127.0.0.1:{}", self.port)).unwrap();
        codec(store.timeout(LIMIT))
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
    }

    /// As `kill -9` does.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it where it was, with what it had brought to its disk.
    fn restart(&mut self) {
        self.child = launch(self.port, &self.folder);
        self.wait();
    }

    fn wait(&self) {
        let until = Instant::now() + Duration::from_secs(30);
        while self.call("PING").as_deref() != Some("+PONG") {
            assert!(Instant::now() < until, "redis-server does not answer");
            std::thread::yield_now();
        }
    }

    /// Calls a command, and returns the answer as it stands on the wire.
    fn call(&self, command: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        stream.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer.strip_suffix("+OK\r\n")?.trim_end().to_owned())
    }

    /// The names of all blobs.
    fn keys(&self) -> Vec<String> {
        let answer = self.call("KEYS *").unwrap();
        answer
            .lines()
            .filter(|line| line.starts_with("sealed-session:blob:"))
            .map(Into::into)
            .collect()
    }

    /// The seconds that a blob has to live.
    fn rest(&self, key: &str) -> i64 {
        self.call(&format!("TTL {key}")).unwrap().trim_start_matches(':').parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What is acknowledged is with the kernel, which outlives the server: no request waits for a disk that others keep busy.
fn launch(port: u16, folder: &tempfile::TempDir) -> Child {
    let config = folder.path().join("config");
    let lines = format!(
        "port {port}\nbind 127.0.0.1\ndir {}\nlogfile log\nsave \"\"\nappendonly yes\nappendfsync no\n",
        folder.path().display()
    );
    fs::write(&config, lines).unwrap();
    let mut command = Command::new("redis-server");
    command.arg(config).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("redis-server is installed")
}

/// Holds each outcome against a framework, whose application over this server answers through `send(path, cookie)`.
pub(crate) async fn hold(server: Server, send: impl AsyncFn(&str, &str) -> Answer) {
    let mut server = server;
    let cookie = async |path: &str, before: &str| {
        let answer: Answer = send(path, before).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.cookie().unwrap()
    };
    let refused = |what: &str, answer: &Answer| {
        assert_eq!((answer.status, answer.body.as_str()), (503, ""), "{what}");
        assert_eq!(answer.all("retry-after").next(), Some("1"), "{what}");
        assert_eq!(answer.cookie(), None, "{what}");
    };
    let small = cookie("/login/10", "").await;
    let large = cookie("/login/8000", "").await;
    let attached = cookie("/attach/8000", &small).await;
    assert_eq!(send("/read/0", &large).await.body, "7 8000");
    assert_eq!(send("/token/0", &attached).await.body, "token 8000");

    // Stopped: connections are taken, and nothing is answered.
    server.signal("STOP");
    refused("a read", &send("/read/0", &large).await);
    refused("a write", &send("/write/8000", &small).await);
    refused("a login", &send("/login/8000", "").await);
    refused("a value beside", &send("/token/0", &attached).await);
    assert_eq!(send("/user/0", &attached).await.body, "7");
    assert_eq!(send("/write/20", &small).await.status, 200);
    assert_eq!(send("/read/0", "").await.body, "nobody");
    server.signal("CONT");
    assert_eq!(send("/read/0", &large).await.body, "7 8000");
    assert_eq!(send("/token/0", &attached).await.body, "token 8000");
    let changed = cookie("/write/9000", &large).await;

    // The response is lost: the old cookie goes on, until a browser shows the new one.
    assert_eq!(send("/read/0", &large).await.body, "7 8000");
    let day = |key: &String| server.rest(key) > 80_000;
    assert!(server.keys().iter().all(day), "no blob ends before a browser shows its successor");
    assert_eq!(send("/read/0", &changed).await.body, "7 9000");
    let ending = server.keys().iter().filter(|key| server.rest(key) <= 60).count();
    assert_eq!(ending, 1, "the predecessor has a minute");
    assert!(server.keys().iter().all(|key| server.rest(key) > 0), "and none lives for ever");

    // The server lets go of connections that are idle, say.
    server.call("CLIENT KILL TYPE normal");
    assert_eq!(send("/read/0", &changed).await.body, "7 9000");

    // Killed: connections are refused. What it had acknowledged is there afterwards.
    server.kill();
    refused("a read", &send("/read/0", &changed).await);
    refused("a write", &send("/write/8000", &small).await);
    assert_eq!(send("/emergency/logout", &changed).await.cookie().as_deref(), Some(""));
    assert_eq!(send("/ignore", &changed).await.status, 200);
    server.restart();
    assert_eq!(send("/read/0", &changed).await.body, "7 9000");

    // No memory is left for another blob: who is in stays in, and a touch is left for later.
    let (due, set) =
        aged(&server.codec(), Duration::from_secs(3 * 3600), 8000, Attached::default());
    server.codec().store(&set).unwrap().await.unwrap();
    server.call("CONFIG SET maxmemory 1").unwrap();
    refused("a write", &send("/write/8000", &changed).await);
    let touched = send("/user/0", &due).await;
    assert_eq!((touched.body.as_str(), touched.cookie()), ("7", None));
    assert_eq!(send("/read/0", &changed).await.body, "7 9000");
    server.call("CONFIG SET maxmemory 0").unwrap();
    assert!(send("/user/0", &due).await.cookie().is_some_and(|touched| !touched.is_empty()));

    // A logout, and a copy of the cookie from before.
    let again = cookie("/login/8000", "").await;
    let before = server.keys().len();
    assert_eq!(send("/logout/0", &again).await.cookie().as_deref(), Some(""));
    assert_eq!(server.keys().len(), before - 1);
    assert_eq!(send("/user/0", &again).await.body, "nobody");

    // Two blobs are swapped, and one is cut.
    let other = cookie("/login/8000", "").await;
    let of = |cookie: &str| {
        let codec = server.codec();
        let request = codec.request([cookie]);
        match codec.decode(&request).unwrap_err() {
            sealed_session::DecodeError::Blob(sealed_session::store::BlobError::NotFetched(id)) => {
                format!("sealed-session:blob:{id}")
            }
            error => panic!("{error:?}"),
        }
    };
    let (one, two) = (of(&changed), of(&other));
    server.call(&format!("RENAME {one} kept")).unwrap();
    server.call(&format!("COPY {two} {one}")).unwrap();
    let reason = "what the store has is not the blob that was stored";
    assert_eq!(send("/reason/0", &changed).await.body, reason);
    server.call(&format!("SET {one} short")).unwrap();
    assert_eq!(send("/reason/0", &changed).await.body, reason);
    server.call(&format!("RENAME kept {one}")).unwrap();
    assert_eq!(send("/read/0", &changed).await.body, "7 9000");

    // The blob of before is put in the place of its successor.
    let next = cookie("/write/9500", &changed).await;
    let newer = of(&next);
    server.call(&format!("RENAME {newer} kept")).unwrap();
    server.call(&format!("COPY {one} {newer}")).unwrap();
    assert_eq!(send("/reason/0", &next).await.body, reason);
    assert_eq!(send("/read/0", &changed).await.body, "7 9000", "and where it belongs it is good");

    midst(&mut server, &send).await;

    // Flushed: the sessions that lay there are gone, all others are not.
    server.call("FLUSHALL").unwrap();
    assert_eq!(send("/reason/0", &changed).await.body, "the store does not have the blob");
    assert_eq!(send("/user/0", &attached).await.body, "7");
    assert_eq!(send("/token/1", &attached).await.body, "log in again");
    let anew = cookie("/write/8000", &changed).await;
    assert_eq!(send("/read/0", &anew).await.body, "0 8000");

    // Evicted: so are those that a server drops because it is short of memory.
    server.call("CONFIG SET maxmemory-policy allkeys-random").unwrap();
    server.call("CONFIG SET maxmemory 1").unwrap();
    refused("what evicts all and has no room still", &send("/login/8000", "").await);
    server.call("CONFIG SET maxmemory 0").unwrap();
    assert_eq!(server.keys(), [""; 0]);
    assert_eq!(send("/reason/0", &anew).await.body, "the store does not have the blob");
}

/// Browsers change and read their sessions, while the server is stopped, killed and disconnected. Each answer is the
/// session or a 503, and what was answered holds.
async fn midst(server: &mut Server, send: &impl AsyncFn(&str, &str) -> Answer) {
    let (server, refusals, answers) = (RefCell::new(server), Cell::new(0), Cell::new(0));
    let mut browsers = Vec::new();
    for _ in 0..8 {
        browsers.push(send("/login/5000", "").await.cookie().unwrap());
    }
    let browse = async |n: usize, mut cookie: String| {
        let mut len = 5000;
        for round in 0..24 {
            if n == 0 {
                let mut server = server.borrow_mut();
                match round {
                    4 | 19 => server.signal("STOP"),
                    6 | 20 => server.signal("CONT"),
                    10 => server.kill(),
                    12 => server.restart(),
                    15 => drop(server.call("CLIENT KILL TYPE normal")),
                    _ => {}
                }
            }
            let wanted = 6000 + n * 100 + round;
            let written = send(&format!("/write/{wanted}"), &cookie).await;
            match written.status {
                200 => (cookie, len) = (written.cookie().unwrap(), wanted),
                503 => refusals.set(refusals.get() + 1),
                other => panic!("{other}: {written:?}"),
            }
            let read = send("/read/0", &cookie).await;
            match read.status {
                200 => assert_eq!(read.body, format!("7 {len}"), "browser {n}, round {round}"),
                503 => refusals.set(refusals.get() + 1),
                other => panic!("{other}: {read:?}"),
            }
            answers.set(answers.get() + 2);
        }
        (cookie, len)
    };
    let all = browsers.into_iter().enumerate().map(|(n, cookie)| browse(n, cookie));
    // Once all are through: the first one may stop the server when others are already.
    for (cookie, len) in join_all(all).await {
        assert_eq!(send("/read/0", &cookie).await.body, format!("7 {len}"));
    }
    println!("{} answers, of which {} were refusals", answers.get(), refusals.get());
    assert!(refusals.get() > 0, "nothing happened in the midst");
}

/// Twice the default, as the machine may be busy.
const LIMIT: Duration = Duration::from_secs(2);

#[tokio::test]
#[ignore = "needs redis-server; .ci/run has it"]
async fn a_blob_is_written_once_and_its_life_is_only_shortened_or_only_prolonged() {
    let server = Server::start();
    let store = RedisStore::new(&format!("redis://127.0.0.1:{}", server.port)).unwrap();
    let store = store.prefix("shop").timeout(Duration::from_secs(30));
    let id = BlobId::from_bytes([7; 16]);
    let seconds = Duration::from_secs;
    let rest = || server.rest(&format!("shop:blob:{id}"));
    store.put(id, b"one", seconds(1000)).await.unwrap();
    store.put(id, b"other", seconds(9000)).await.unwrap();
    assert_eq!(store.get(id, 99).await.unwrap().unwrap(), b"one");
    assert!((900..=1000).contains(&rest()), "{}", rest());
    store.expire_within(id, seconds(5000)).await.unwrap();
    assert!((900..=1000).contains(&rest()), "expire_within prolongs nothing");
    store.keep_for(id, seconds(500)).await.unwrap();
    assert!((900..=1000).contains(&rest()), "keep_for shortens nothing");
    store.keep_for(id, seconds(5000)).await.unwrap();
    assert!((4900..=5000).contains(&rest()), "{}", rest());
    store.expire_within(id, seconds(500)).await.unwrap();
    assert!((400..=500).contains(&rest()), "{}", rest());
    assert_eq!(store.get(id, 2).await.unwrap().unwrap(), b"on", "no more than is asked for");
    store.expire_within(id, Duration::ZERO).await.unwrap();
    assert_eq!(store.get(id, 99).await.unwrap(), None);
    // Where there is none, none comes to be.
    store.expire_within(id, seconds(500)).await.unwrap();
    store.keep_for(id, seconds(500)).await.unwrap();
    assert_eq!(store.get(id, 99).await.unwrap(), None);
}
