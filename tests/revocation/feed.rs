//! The feed, with real servers: what holds, whatever happens to them.

use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::Sender;
#[cfg(feature = "tracing")]
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use std::time::{Duration, Instant, SystemTime};

use sealed_session::revocation::{
    Feed, Journal, RedisFeed, Revocations, Stored, SubjectTag, WhenStale,
};
use sealed_session::{Codec, DecodeError, Key, KeyRing};

use super::servers::{Cluster, Server, Watched, read_answer};
use super::{PATIENCE, WEEK, id, now, until};

/// A node, as far as revocation goes.
struct Node {
    set: Revocations,
    feed: Feed,
}

impl Node {
    fn start(url: &str) -> Self {
        Self::start_with(url, |feed| feed)
    }

    fn start_with(url: &str, with: impl FnOnce(RedisFeed) -> RedisFeed) -> Self {
        let set = Revocations::new(WEEK);
        let feed = with(RedisFeed::new(url, WhenStale::Refuse).unwrap()).spawn(&set).unwrap();
        assert!(feed.wait(PATIENCE), "{:?}", feed.status());
        Self { set, feed }
    }

    fn revoke(&self, number: u64) -> Stored {
        self.set.revoke_session(id(number)).unwrap().wait(PATIENCE)
    }

    fn knows(&self, numbers: impl IntoIterator<Item = u64>) -> bool {
        numbers.into_iter().all(|number| self.set.ends(now(), Some(id(number)), &[]))
    }
}

const LOG: &str = "{sealed-session}:revoked";

#[test]
#[ignore = "needs redis-server"]
fn what_one_node_revokes_holds_on_all_and_on_new_ones() {
    let server = Server::start("");
    let nodes = [(); 3].map(|()| Node::start(&server.url()));
    let user = SubjectTag::new("user", "jane");
    for (number, node) in (0..).zip(&nodes) {
        assert_eq!(node.revoke(number), Stored::Acknowledged);
    }
    let before = now();
    nodes[0].set.revoke_subject(user).unwrap();
    nodes[1].set.revoke_before(before - WEEK / 2).unwrap();
    let all = |node: &Node| {
        node.knows(0..3)
            && node.set.ends(before, None, &[user])
            && node.set.ends(now() - WEEK, None, &[])
            && !node.set.ends(now(), Some(id(9)), &[])
    };
    for node in &nodes {
        until("each knows all", || all(node));
    }
    let new = Node::start(&server.url());
    assert!(all(&new), "a new node knows all before it is fresh");
    assert_eq!(server.call(&["XLEN", LOG]), ":5", "nothing twice");
}

#[test]
#[ignore = "needs redis-server"]
fn a_server_that_loses_what_it_had_is_healed_and_nothing_is_taken_back() {
    let mut server = Server::start("");
    let nodes = [(); 3].map(|()| Node::start(&server.url()));
    (0..500).for_each(|number| {
        assert!(number % 100 != 0 || nodes[0].revoke(number) == Stored::Acknowledged || number > 0)
    });
    for number in 0..500 {
        nodes[1].set.revoke_session(id(number)).unwrap();
    }
    until("all know all", || nodes.iter().all(|node| node.knows(0..500)));
    let has_all = |server: &Server| {
        let len: u64 = server.call(&["XLEN", LOG]).trim_start_matches(':').parse().unwrap_or(0);
        len >= 500
    };
    until("the stream has all", || has_all(&server));
    type Lose<'a> = (&'a str, &'a dyn Fn(&mut Server));
    let losses: [Lose<'_>; 5] = [
        ("flushed", &|server| drop(server.call(&["FLUSHALL"]))),
        ("deleted", &|server| drop(server.call(&["DEL", LOG]))),
        ("trimmed by somebody", &|server| drop(server.call(&["XTRIM", LOG, "MAXLEN", "3"]))),
        ("restarted without persistence", &Server::restart),
        ("flushed, and written to at an id below the cursor", &|server| {
            server.call(&["FLUSHALL"]);
            server.call(&["XADD", LOG, "5-5", "e", "of somebody"]);
        }),
    ];
    for (why, lose) in losses {
        lose(&mut server);
        let started = Instant::now();
        until(why, || {
            if started.elapsed() > Duration::from_secs(20) {
                println!(
                    "{:?} {}",
                    nodes.each_ref().map(|n| n.feed.status()),
                    server.call(&["XINFO", "STREAM", LOG])
                );
                panic!("{why}");
            }
            assert!(nodes.iter().all(|node| node.knows(0..500)), "{why}: none accepted meanwhile");
            has_all(&server)
        });
        let new = Node::start(&server.url());
        assert!(new.knows(0..500), "{why}: a new node");
    }
    // One entry of many.
    let range = server.call(&["XRANGE", LOG, "-", "+", "COUNT", "3"]);
    let ids: Vec<_> =
        range.lines().filter(|l| l.split('-').all(|p| p.parse::<u64>().is_ok())).collect();
    let before = server.call(&["XLEN", LOG]);
    assert_eq!(server.call(&["XDEL", LOG, ids[1]]), ":1");
    until("one that was deleted is there again", || {
        server.call(&["XLEN", LOG]) == before || Node::start(&server.url()).knows(0..500)
    });
    assert!(Node::start(&server.url()).knows(0..500));
}

#[test]
#[ignore = "needs redis-server"]
fn what_is_written_below_the_cursor_is_seen() {
    let server = Server::start("");
    let [one, two] = [(); 2].map(|()| Node::start(&server.url()));
    one.revoke(1);
    until("both know it", || two.knows([1]));
    // The record of another, taken away and put below, as after a failover to a replica that lagged.
    one.revoke(2);
    let record = server.call(&["XREVRANGE", LOG, "+", "-", "COUNT", "1"]);
    assert!(record.contains('-'));
    drop((one, two));
    let reader = Node::start(&server.url());
    server.call(&["FLUSHALL"]);
    // 27 bytes, of which those of a session id are text here: kind 1, target, before, until.
    let mut entry = vec![1_u8];
    entry.extend_from_slice(&id(7).to_bytes());
    entry.extend_from_slice(&[0x0f, 0xff, 0xff, 0xff, 0xff, 0, 0x7f, 0xff, 0xff, 0xff]);
    let folder = server.folder().join("entry");
    std::fs::write(&folder, &entry).unwrap();
    let port = server.port.to_string();
    let mut cli = std::process::Command::new("redis-cli");
    cli.args(["-p", &port, "-x", "XADD", LOG, "7-7", "e"])
        .stdin(std::fs::File::open(&folder).unwrap());
    assert!(cli.output().unwrap().status.success());
    until("it is seen", || reader.knows([7]));
    assert!(reader.knows([1, 2]));
}

#[test]
#[ignore = "needs redis-server"]
fn a_stopped_server_is_noticed_within_the_bound_and_what_then_holds_was_chosen() {
    let server = Server::start("");
    let url = server.url();
    let bound = Duration::from_secs(3);
    let ring: KeyRing = Key::generate().unwrap().into();
    let node = |when| {
        let set = Revocations::new(WEEK);
        let feed = RedisFeed::new(&url, when).unwrap().stale_after(bound).spawn(&set).unwrap();
        let codec =
            Codec::<u32>::builder(ring.clone()).revocations(set.clone(), |_| []).build().unwrap();
        (set, feed, codec)
    };
    let (serves, refuses, other) =
        (node(WhenStale::Serve), node(WhenStale::Refuse), node(WhenStale::Serve));
    for (_, feed, _) in [&serves, &refuses, &other] {
        assert!(feed.wait(PATIENCE));
    }
    let login = refuses.2.renew(&7, &refuses.2.request([""])).unwrap();
    let cookie = login.values().next().unwrap().split(';').next().unwrap().to_owned();
    let request = |codec: &Codec<u32>| codec.decode(&codec.request([&cookie]));
    assert!(request(&refuses.2).unwrap().is_some());

    server.signal("STOP");
    let stopped = Instant::now();
    until("it is noticed", || serves.1.status().losses > 0 && refuses.1.status().losses > 0);
    let noticed = stopped.elapsed();
    until("it is stale", || !refuses.0.is_fresh() && !serves.0.is_fresh());
    assert!(stopped.elapsed() + Duration::from_millis(600) >= bound, "not before the bound");
    println!("stop noticed after {noticed:?}, stale after {:?}", stopped.elapsed());
    let error = request(&refuses.2).unwrap_err();
    assert!(matches!(error, DecodeError::RevocationsStale) && error.is_readable_elsewhere());
    assert!(request(&serves.2).unwrap().is_some());
    let mut later = other.0.revoke_session(id(1)).unwrap();
    assert_eq!(later.wait(Duration::from_millis(50)), Stored::Queued);
    assert!(other.0.ends(now(), Some(id(1)), &[]), "it holds where it was made");

    server.signal("CONT");
    until("it is fresh again", || refuses.0.is_fresh() && serves.0.is_fresh());
    assert!(request(&refuses.2).unwrap().is_some());
    assert_eq!(later.wait(PATIENCE), Stored::Acknowledged);
    until("what was queued has come", || refuses.0.ends(now(), Some(id(1)), &[]));
    later = serves.0.revoke_session(id(2)).unwrap();
    assert_eq!(later.wait(PATIENCE), Stored::Acknowledged);
}

#[test]
#[ignore = "needs redis-server"]
fn a_node_is_stale_until_its_first_snapshot() {
    let [port] = super::servers::ports();
    let set = Revocations::new(WEEK);
    let url = format!("redis://127.0.0.1:{port}");
    let feed = RedisFeed::new(&url, WhenStale::Refuse).unwrap().spawn(&set).unwrap();
    assert!(!set.is_fresh());
    until("it has tried", || feed.status().error.is_some());
    assert!(!set.is_fresh() && set.staleness().is_some());
    let _server = Server::start_at(port, "");
    assert!(feed.wait(PATIENCE) && feed.wait(Duration::MAX));
    assert_eq!(feed.status().error, None);
}

/// A server that takes long for all of the stream, and each time so long that the connection is given up.
#[test]
fn a_server_that_never_gets_to_the_end_of_the_stream_is_asked_for_it_less_and_less() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let (tell, asked) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let tell = tell.clone();
            std::thread::spawn(move || serve_until_asked_for_all(stream, &tell));
        }
    });
    let set = Revocations::new(WEEK);
    let feed = RedisFeed::new(&url, WhenStale::Refuse).unwrap().spawn(&set).unwrap();
    let mut pauses = (0..6).map(|_| {
        let (_, given_up): (Instant, Instant) = asked.recv_timeout(PATIENCE).unwrap();
        given_up
    });
    let mut last = pauses.next().unwrap();
    let pauses: Vec<_> = pauses.map(|next| next - std::mem::replace(&mut last, next)).collect();
    assert!(pauses.last().unwrap() >= &(HELD + Duration::from_millis(500)), "{pauses:?}");
    assert_eq!((feed.status().snapshots, set.is_fresh()), (0, false));
}

/// Longer than a heartbeat.
const HELD: Duration = Duration::from_millis(600);

fn serve_until_asked_for_all(mut stream: TcpStream, tell: &Sender<(Instant, Instant)>) {
    let mut commands = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut command = String::new();
        if read_answer(&mut commands, &mut command).is_none() {
            return;
        }
        let answer = match command.lines().nth(2).unwrap_or_default() {
            "XRANGE" => {
                let began = Instant::now();
                stream.set_read_timeout(Some(HELD)).unwrap();
                assert!(read_answer(&mut commands, &mut String::new()).is_none());
                let _ = tell.send((began, Instant::now()));
                return;
            }
            "ROLE" => "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n",
            "TIME" => "*2\r\n$10\r\n1900000000\r\n$1\r\n0\r\n",
            "XINFO" => "-ERR no such key\r\n",
            _ => "+OK\r\n",
        };
        stream.write_all(answer.as_bytes()).unwrap();
    }
}

/// What an old cookie is ended by, or all sessions up to a time that is to come, counts for longer than others.
#[test]
#[ignore = "needs redis-server"]
fn what_is_old_and_alive_stays_in_the_stream_and_what_is_dead_goes() {
    let server = Server::start("");
    let day = 86_400;
    let seconds = now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let add = |id: u64, before: u64, until: u64, targets: u64| {
        let script = "for n = 1, tonumber(ARGV[4]) do redis.call('XADD', KEYS[1], ARGV[1] .. '-' .. n, 'e', \
                      '\\2' .. struct.pack('>I8I8I5I5', n, ARGV[1], ARGV[2], ARGV[3])) end";
        let numbers = [id * 1000, before, until, targets].map(|number| number.to_string());
        let mut words = vec!["EVAL", script, "1", LOG];
        words.extend(numbers.iter().map(String::as_str));
        assert_eq!(server.call(&words), "$-1");
    };
    let written = seconds - 9 * day;
    add(written - 1, written - 1, seconds - day - 1, 1200);
    let before = seconds + 10 * day;
    add(written, before, before + 8 * day, 700);
    add(seconds - day, seconds - day, seconds + 7 * day, 1);
    let reader = Node::start(&server.url());
    let newest = format!("\r\n{}-1\r\n", (seconds - day) * 1000);
    until("what is dead has gone", || {
        server.call(&["XRANGE", LOG, "-", "+", "COUNT", "1"]).contains(&newest)
    });
    assert_eq!(server.call(&["XLEN", LOG]), ":701");
    let new = Node::start(&server.url());
    for node in [&new, &reader] {
        for number in 1..=700_u64 {
            let mut tag = [0; 16];
            tag[..8].copy_from_slice(&number.to_be_bytes());
            tag[8..].copy_from_slice(&(written * 1000).to_be_bytes());
            let tag = SubjectTag::from_bytes(tag);
            assert!(node.set.ends(now() + WEEK, None, &[tag]), "{number}");
        }
        assert_eq!(node.set.len(), 701);
        assert_eq!(node.feed.status().healed, 0);
    }
}

#[cfg(feature = "tracing")]
#[test]
#[ignore = "needs redis-server"]
fn a_subscriber_that_panics_does_not_end_the_feed() {
    let server = Server::start("");
    let told = Arc::new(AtomicBool::new(false));
    let tell = Arc::clone(&told);
    super::log::when_told(format!("127.0.0.1:{}", server.port), move || {
        tell.store(true, Ordering::Release);
        panic!("a fault of the subscriber");
    });
    let node = Node::start(&server.url());
    assert!(told.load(Ordering::Acquire));
    assert_eq!(node.revoke(1), Stored::Acknowledged);
}

#[test]
#[ignore = "needs redis-server"]
fn after_a_restart_of_everything_the_journals_suffice() {
    let mut server = Server::start("");
    let folder = tempfile::tempdir().unwrap();
    let start = |number: u32| {
        let set = Revocations::new(WEEK);
        let journal = Journal::open(folder.path().join(number.to_string()), &set).unwrap();
        let feed = RedisFeed::new(&server.url(), WhenStale::Refuse).unwrap().spawn(&set).unwrap();
        assert!(feed.wait(PATIENCE));
        (journal, Node { set, feed })
    };
    {
        let [one, two] = [1, 2].map(start);
        assert_eq!(one.1.revoke(1), Stored::Acknowledged);
        assert_eq!(two.1.revoke(2), Stored::Acknowledged);
        until("both know both", || one.1.knows(1..3) && two.1.knows(1..3));
    }
    server.restart();
    let start = |number: u32| {
        let set = Revocations::new(WEEK);
        let journal = Journal::open(folder.path().join(number.to_string()), &set).unwrap();
        let feed = RedisFeed::new(&server.url(), WhenStale::Refuse).unwrap().spawn(&set).unwrap();
        assert!(feed.wait(PATIENCE));
        (journal, Node { set, feed })
    };
    // One of the two is gone for good; what it revoked is in the journal of the other.
    let (_journal, two) = start(2);
    assert!(two.knows(1..3));
    until("a new node learns it from the server", || Node::start(&server.url()).knows(1..3));
}

/// Makes the user that docs/REVOCATION.md names.
fn allow<'a>(servers: impl IntoIterator<Item = &'a Server>, user: &str) {
    let page = include_str!("../../docs/REVOCATION.md");
    let command = format!("ACL SETUSER {user} ");
    let command = page.lines().find(|line| line.starts_with(&command)).unwrap();
    for server in servers {
        assert_eq!(server.call(&command.split(' ').collect::<Vec<_>>()), "+OK");
    }
}

#[track_caller]
fn hear_each_other(url: &str) {
    let [one, two] = [(); 2].map(|()| Node::start_with(url, |feed| feed.prefix("shop")));
    assert!(one.revoke(1) >= Stored::Acknowledged);
    until("the other hears it", || two.knows([1]));
}

#[test]
#[ignore = "needs redis-server"]
fn cluster_a_user_with_no_more_rights_than_are_named_is_enough() {
    let cluster = Cluster::start();
    allow(&cluster.servers, "shop");
    hear_each_other(&cluster.url().replace("//", "//shop:s%2Fcret%40@"));
}

#[test]
#[ignore = "needs redis-server"]
fn sentinels_users_with_no_more_rights_than_are_named_are_enough() {
    let watched = Watched::start();
    allow(&watched.servers, "shop");
    allow(&watched.sentinels, "shop-asks");
    // Nobody else may ask.
    for sentinel in &watched.sentinels {
        assert_eq!(sentinel.call(&["ACL", "SETUSER", "default", "off"]), "+OK");
    }
    let url = watched.url().replace("//", "//shop:s%2Fcret%40@");
    hear_each_other(&format!("{url}?sentinel_user=shop-asks&sentinel_password=s%2Fcret%40"));
}

#[test]
#[ignore = "needs redis-server"]
fn a_user_with_no_more_rights_than_are_named_a_database_and_a_prefix_are_enough() {
    let server = Server::start("");
    allow([&server], "shop");
    let url = format!("redis://shop:s%2Fcret%40@127.0.0.1:{}/3", server.port);
    let start = || Node::start_with(&url, |feed| feed.prefix("shop"));
    let [one, two] = [(); 2].map(|()| start());
    assert_eq!(one.revoke(1), Stored::Acknowledged);
    until("the other hears it", || two.knows([1]));
    assert_eq!(server.call(&["DBSIZE"]), ":0", "it is in another database");
    let set = Revocations::new(WEEK);
    let wrong = url.replace("s%2Fcret", "geheim");
    let feed =
        RedisFeed::new(&wrong, WhenStale::Refuse).unwrap().prefix("shop").spawn(&set).unwrap();
    until("a wrong password is told", || feed.status().error.is_some());
    let told = format!("{:?}", feed.status());
    assert!(!told.contains("geheim") && told.contains("assword"), "{told}");
    let other = Node::start_with(&server.url(), |feed| feed.prefix("elsewhere"));
    assert!(!other.knows([1]));
}

#[test]
#[ignore = "needs redis-server and openssl"]
fn tls_is_spoken_with_whom_the_certificate_names_and_with_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let mut openssl = std::process::Command::new("openssl");
    openssl.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
    ]);
    // Without the settings of the machine, by which it would be the certificate of an authority.
    std::fs::write(path("config"), "[req]\ndistinguished_name=name\n[name]\n").unwrap();
    openssl.args(["-config", &path("config")]);
    openssl.args(["-days", "2", "-subj", "/CN=test", "-addext", "subjectAltName=DNS:localhost"]);
    openssl.args(["-keyout", &path("key"), "-out", &path("cert")]);
    assert!(openssl.output().expect("openssl is installed").status.success());
    let [tls] = super::servers::ports();
    let lines = format!(
        "tls-port {tls}\ntls-cert-file {}\ntls-key-file {}\ntls-auth-clients no",
        path("cert"),
        path("key"),
    );
    let _server = Server::start(&lines);
    let pem = std::fs::read(path("cert")).unwrap();
    let [one, two] = [(); 2].map(|()| {
        Node::start_with(&format!("rediss://localhost:{tls}"), |feed| {
            feed.root_certificates(pem.clone())
        })
    });
    one.revoke(1);
    until("the other hears it", || two.knows([1]));
    for (host, roots) in [("127.0.0.1", Some(&pem)), ("localhost", None)] {
        let set = Revocations::new(WEEK);
        let mut feed =
            RedisFeed::new(&format!("rediss://{host}:{tls}"), WhenStale::Refuse).unwrap();
        if let Some(pem) = roots {
            feed = feed.root_certificates(pem.clone());
        }
        let feed = feed.spawn(&set).unwrap();
        until("it is refused", || feed.status().losses >= 2);
        assert!(feed.status().snapshots == 0 && !set.is_fresh(), "{host}");
    }
}

#[test]
#[ignore = "needs redis-server"]
fn sentinels_a_master_that_is_killed_while_its_replica_lags_loses_nothing() {
    let mut watched = Watched::start();
    let nodes = [(); 3].map(|()| Node::start(&watched.url()));
    // A machine that is busy takes longer now and then than is waited for.
    until("it is replicated", || nodes[0].revoke(0) == Stored::Replicated);
    // The replica hears nothing from here on.
    watched.servers[1].signal("STOP");
    let receipts: Vec<_> = (1..300)
        .map(|number| {
            nodes[usize::try_from(number).unwrap() % 3].set.revoke_session(id(number)).unwrap()
        })
        .collect();
    for receipt in &receipts {
        assert_eq!(receipt.wait(PATIENCE), Stored::Acknowledged, "and not replicated");
    }
    until("all know all", || nodes.iter().all(|node| node.knows(0..300)));
    watched.servers[0].kill();
    watched.servers[1].signal("CONT");
    let killed = Instant::now();
    until("the replica takes over and is healed", || {
        assert!(nodes.iter().all(|node| node.knows(0..300)));
        let told = watched.servers[1].try_call(&["XLEN", LOG]).unwrap_or_default();
        let role = watched.servers[1].try_call(&["ROLE"]).unwrap_or_default();
        role.contains("master")
            && told.trim_start_matches(':').parse::<u64>().is_ok_and(|n| n >= 300)
    });
    println!("Sentinel: healed {:?} after the kill", killed.elapsed());
    assert!(Node::start(&watched.url()).knows(0..300), "a new node");
    until("all are fresh again", || nodes.iter().all(|node| node.set.is_fresh()));
}

#[test]
#[ignore = "needs redis-server"]
fn sentinels_an_old_master_that_comes_back_never_counts_as_fresh() {
    let watched = Watched::start();
    let old = &watched.servers[0];
    let node = Node::start_with(&watched.url(), |feed| feed.stale_after(Duration::from_secs(2)));
    let master = node.feed.status().server.unwrap();
    assert!(master.ends_with(&old.port.to_string()));
    old.signal("STOP");
    let stopped = Instant::now();
    until("it is stale", || !node.set.is_fresh());
    until("it follows the new master", || {
        node.set.is_fresh() && node.feed.status().server.is_some_and(|server| server != master)
    });
    println!("Sentinel: fresh {:?} after the stop", stopped.elapsed());
    old.signal("CONT");
    // For some seconds the old one says that it is the master, and takes writes.
    let new = Node::start(&watched.url());
    assert_ne!(new.feed.status().server.as_ref(), Some(&master), "nobody connects to it");
    node.revoke(1);
    until("what is revoked comes", || new.knows([1]));
    until("the old one is a replica now", || {
        assert_ne!(node.feed.status().server.as_ref(), Some(&master));
        old.try_call(&["ROLE"]).is_some_and(|role| role.contains("slave"))
    });
    assert!(node.set.is_fresh() && new.set.is_fresh());
}

#[test]
#[ignore = "needs redis-server"]
fn cluster_a_master_that_is_killed_while_its_replica_lags_loses_nothing() {
    let mut cluster = Cluster::start();
    let nodes = [(); 3].map(|()| Node::start(&cluster.url()));
    // A machine that is busy takes longer now and then than is waited for.
    until("it is replicated", || nodes[0].revoke(0) == Stored::Replicated);
    let (master, replica) = cluster.holders(LOG);
    cluster.servers[replica].signal("STOP");
    let receipts: Vec<_> = (1..300)
        .map(|number| {
            nodes[usize::try_from(number).unwrap() % 3].set.revoke_session(id(number)).unwrap()
        })
        .collect();
    for receipt in &receipts {
        assert_eq!(receipt.wait(PATIENCE), Stored::Acknowledged);
    }
    until("all know all", || nodes.iter().all(|node| node.knows(0..300)));
    cluster.servers[master].kill();
    cluster.servers[replica].signal("CONT");
    let killed = Instant::now();
    until("the replica takes over and is healed", || {
        assert!(nodes.iter().all(|node| node.knows(0..300)));
        let told = cluster.servers[replica].try_call(&["XLEN", LOG]).unwrap_or_default();
        told.trim_start_matches(':').parse::<u64>().is_ok_and(|n| n >= 300)
    });
    println!("Cluster: healed {:?} after the kill", killed.elapsed());
    assert!(Node::start(&cluster.url()).knows(0..300), "a new node");
    until("all are fresh again", || nodes.iter().all(|node| node.set.is_fresh()));
    nodes[2].revoke(300);
    until("and go on", || nodes[0].knows([300]));
}
