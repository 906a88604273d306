//! Three nodes of the example under traffic, with a real server between them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sealed_session::revocation::{Journal, RedisFeed, Revocations, WhenStale};
use sealed_session::{Key, KeyRing};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::servers::Server;
use super::{PATIENCE, WEEK, id, now, until};

#[path = "../../examples/revocation.rs"]
#[allow(dead_code, reason = "its main is not called")]
mod example;

/// One request on a connection of its own; the status, the session cookie and the body.
async fn ask(
    port: u16,
    method: &str,
    path: &str,
    cookie: &str,
    form: &str,
) -> (u16, String, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncookie: {cookie}\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
        form.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let cookie = head.lines().filter_map(|line| line.strip_prefix("set-cookie: ")).next();
    let cookie = cookie.unwrap_or_default().split(';').next().unwrap().to_owned();
    (status, cookie, body.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn three_nodes_under_traffic_accept_nothing_after_its_logout() {
    let mut server = Server::start("");
    let folder = tempfile::tempdir().unwrap();
    let ring: KeyRing = Key::generate().unwrap().into();
    let mut nodes = Vec::new();
    for number in 0..3 {
        let set = Revocations::new(WEEK);
        let journal = Journal::open(folder.path().join(number.to_string()), &set).unwrap();
        let feed = RedisFeed::new(&server.url(), WhenStale::Refuse).unwrap().spawn(&set).unwrap();
        assert!(feed.wait(PATIENCE));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(example::serve(listener, ring.clone(), set.clone()));
        nodes.push((port, set, journal, feed));
    }
    let ports: Arc<Vec<u16>> = Arc::new(nodes.iter().map(|node| node.0).collect());
    let (stop, wrong, served) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
    );
    let mut users = tokio::task::JoinSet::new();
    for user in 0..8_usize {
        let (ports, stop, wrong, served) =
            (Arc::clone(&ports), Arc::clone(&stop), Arc::clone(&wrong), Arc::clone(&served));
        users.spawn(async move {
            let (mut turn, mut round) = (user, 0);
            let mut next = move || {
                turn += 1;
                turn % 3
            };
            while !stop.load(Ordering::Relaxed) {
                // Each logs in once: whoever does so many times in a second is locked out for a moment.
                round += 1;
                let name = format!("u{user}-{round}");
                let form = format!("user={name}&device=d");
                let (status, cookie, _) = ask(ports[next()], "POST", "/login", "", &form).await;
                assert_eq!(status, 200);
                for _ in 0..4 {
                    let (status, _, body) = ask(ports[next()], "GET", "/", &cookie, "").await;
                    // While the server is away, a node may refuse. It never says that there is no session.
                    if status != 503 && body != name {
                        wrong.fetch_add(1, Ordering::Relaxed);
                    }
                    served.fetch_add(usize::from(status == 200), Ordering::Relaxed);
                }
                let path = if user % 2 == 0 { "/logout" } else { "/logout/everywhere" };
                let (status, _, _) = ask(ports[next()], "POST", path, &cookie, "").await;
                if status != 200 {
                    continue;
                }
                // It was stored, and reaches the others in some milliseconds; not instantly.
                let began = Instant::now();
                let mut last = String::new();
                for node in 0..3 {
                    loop {
                        let (status, _, body) = ask(ports[node], "GET", "/", &cookie, "").await;
                        if status == 200 && body == "nobody" {
                            break;
                        }
                        last = format!("node {node}: {status} {body}");
                        if began.elapsed() > Duration::from_secs(20) {
                            panic!("accepted after its logout: {last}");
                        }
                        tokio::task::yield_now().await;
                    }
                    // And never again.
                    let (status, _, body) = ask(ports[node], "GET", "/", &cookie, "").await;
                    assert!(status == 503 || body == "nobody", "{last} and then {body}");
                }
            }
        });
    }
    let traffic = |served: &AtomicUsize, more: usize| {
        let from = served.load(Ordering::Relaxed);
        until("traffic goes on", || served.load(Ordering::Relaxed) >= from + more);
    };
    tokio::task::block_in_place(|| {
        traffic(&served, 200);
        server.call(&["FLUSHALL"]);
        traffic(&served, 200);
        server.restart();
        until("all are fresh", || nodes.iter().all(|node| node.1.is_fresh()));
        traffic(&served, 200);
    });
    stop.store(true, Ordering::Relaxed);
    while let Some(user) = users.join_next().await {
        user.unwrap();
    }
    assert_eq!(wrong.load(Ordering::Relaxed), 0, "of {} served", served.load(Ordering::Relaxed));
    println!(
        "{} requests served, {} revocations",
        served.load(Ordering::Relaxed),
        nodes[0].1.len()
    );
}

#[tokio::test]
async fn a_device_of_the_list_is_ended_and_the_others_live() {
    let set = Revocations::new(WEEK);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(example::serve(listener, Key::generate().unwrap().into(), set));
    let mut cookies = HashMap::new();
    for device in ["phone", "desk"] {
        let (_, cookie, _) =
            ask(port, "POST", "/login", "", &format!("user=jane&device={device}")).await;
        assert_eq!(ask(port, "GET", "/", &cookie, "").await.2, "jane");
        cookies.insert(device, cookie);
    }
    let list = ask(port, "GET", "/devices", &cookies["desk"], "").await.2;
    let phone = list.lines().find(|line| line.ends_with("phone")).unwrap();
    let path = format!("/devices/{}/end", phone.split(' ').next().unwrap());
    let (_, stranger, _) = ask(port, "POST", "/login", "", "user=joe&device=d").await;
    assert_eq!(ask(port, "POST", &path, &stranger, "").await.0, 404, "it is not his");
    assert_eq!(ask(port, "POST", &path, &cookies["desk"], "").await.0, 200);
    assert_eq!(ask(port, "GET", "/", &cookies["phone"], "").await.2, "nobody");
    assert_eq!(ask(port, "GET", "/", &cookies["desk"], "").await.2, "jane");
    assert_eq!(ask(port, "GET", "/ready", "", "").await.0, 200);
}

/// Ten thousand revocations, from three nodes at once; none accepted afterwards, anywhere.
#[test]
#[ignore = "needs redis-server"]
fn ten_thousand_logouts_reach_all_nodes() {
    let server = Server::start("");
    let nodes: Vec<_> = (0..3)
        .map(|_| {
            let set = Revocations::new(WEEK);
            let feed =
                RedisFeed::new(&server.url(), WhenStale::Refuse).unwrap().spawn(&set).unwrap();
            assert!(feed.wait(PATIENCE));
            (set, feed)
        })
        .collect();
    let mut times = Vec::new();
    for number in 0..10_000_u64 {
        let from = usize::try_from(number % 3).unwrap();
        let began = Instant::now();
        let _ = nodes[from].0.revoke_session(id(number)).unwrap();
        let knows = |(set, _): &(Revocations, _)| set.ends(now(), Some(id(number)), &[]);
        // Each tenth is followed on its way; the others come as they come.
        if number % 10 == 0 {
            until("it reaches all", || nodes.iter().all(knows));
            times.push(began.elapsed());
        }
    }
    until("all reach all", || nodes.iter().all(|(set, _)| set.len() == 10_000));
    let all = |(set, _): &(Revocations, _)| (0..10_000).all(|n| set.ends(now(), Some(id(n)), &[]));
    assert!(nodes.iter().all(all));
    times.sort_unstable();
    println!(
        "to all of three nodes: p50 {:?}, p99 {:?}",
        times[times.len() / 2],
        times[times.len() * 99 / 100]
    );
    assert!(times[times.len() / 2] < Duration::from_secs(1));
}
