//! Two nodes behind a real nginx, with the configuration of the examples.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

mod client;
mod server;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use sealed_session::{EncodeError, Key, KeyRing, Limits, RingKey};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use client::Client;
use server::{Nginx, Node, codec, key};

const NO_LINES: &str = "";
const LINES_8K: &str = "proxy_buffer_size 8k;";
const LINES_16K: &str =
    "proxy_buffer_size 16k; proxy_buffers 8 16k; large_client_header_buffers 4 16k;";

/// Each profile with the lines of the file that it names, and those that must not do.
#[tokio::test]
#[ignore = "needs nginx"]
async fn the_largest_session_of_each_profile_passes_with_the_lines_it_names_and_no_less() {
    for (limits, cookies, needs, too_little) in [
        (Limits::UNMODIFIED_NGINX, 1, NO_LINES, &[][..]),
        (Limits::NGINX_PROXY_BUFFER_8K, 2, LINES_8K, &[NO_LINES][..]),
        // Its largest length with padding is one of three cookies; names or attributes that are longer take four.
        (Limits::NGINX_PROXY_BUFFER_16K, 3, LINES_16K, &[NO_LINES, LINES_8K]),
    ] {
        assert!(
            needs.is_empty() || server::EXAMPLE.contains(&format!("    # {needs}\n")),
            "the file names {needs}"
        );
        let len = largest(limits);
        for (lines, passes) in
            [(needs, true)].into_iter().chain(too_little.iter().map(|lines| (*lines, false)))
        {
            let nodes = [1, 2].map(|number| Node::start(number, codec(key(1), limits)));
            let nginx = Nginx::start(&nodes, lines).await;
            let mut client = Client::new(nginx.address);
            let (status, body) = client.get(&format!("/fill/{len}")).await;
            if !passes {
                assert_eq!(status, 502, "{limits:?} with {lines:?}");
                assert!(client.cookies.is_empty());
                continue;
            }
            assert_eq!((status, body.as_str()), (200, "filled"), "{limits:?} with {lines:?}");
            assert_eq!(client.cookies.len(), cookies, "{limits:?}");
            // Round robin: both nodes read it, and the second write has it in both directions.
            let mut answered = Vec::new();
            for path in ["/read", "/read", &format!("/fill/{len}"), "/read", "/read"] {
                let (status, body) = client.get(path).await;
                assert_eq!(status, 200, "{path}: {limits:?} with {lines:?}");
                if let Some((node, found)) = body.split_once(' ') {
                    assert_eq!(found.parse(), Ok(len), "{limits:?}");
                    answered.push(node.to_owned());
                }
            }
            answered.sort();
            answered.dedup();
            assert_eq!(answered, ["1", "2"], "both nodes were asked");
        }
    }
}

/// `large_client_header_buffers` is about requests: what is stored must also come back.
#[tokio::test]
#[ignore = "needs nginx"]
async fn the_request_line_of_the_largest_profile_needs_its_setting_too() {
    let limits = Limits::NGINX_PROXY_BUFFER_16K;
    let nodes = [1, 2].map(|number| Node::start(number, codec(key(1), limits)));
    let nginx = Nginx::start(&nodes, "proxy_buffer_size 16k; proxy_buffers 8 16k;").await;
    let mut client = Client::new(nginx.address);
    assert_eq!(client.get(&format!("/fill/{}", largest(limits))).await.0, 200);
    assert_eq!(client.get("/read").await.0, 400);
}

/// The limits are those of one codec: two must share what nginx passes.
#[tokio::test]
#[ignore = "needs nginx"]
async fn two_codecs_pass_an_unmodified_nginx_if_they_share_its_limit() {
    for (each, status) in [(1500, 200), (3000, 502)] {
        let limits = Limits::UNMODIFIED_NGINX.response_bytes(each);
        let nodes = [Node::with_two_codecs(limits)];
        let nginx = Nginx::start(&nodes, NO_LINES).await;
        let mut client = Client::new(nginx.address);
        assert_eq!(client.get("/both/10").await.0, 200);
        client.cookies.clear();
        for _ in 0..2 {
            let answer = client.get(&format!("/both/{}", largest(limits))).await;
            assert_eq!(answer.0, status, "{each} bytes each");
            assert_eq!(client.cookies.len(), if status == 200 { 2 } else { 0 });
        }
    }
}

/// Users go on while nodes are killed, restarted and added, and while the key is rotated.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nginx"]
async fn nodes_and_keys_come_and_go_under_traffic_and_nobody_is_logged_out() {
    let start = |number, ring: Vec<RingKey>| {
        Node::start(number, codec(KeyRing::new(ring).unwrap(), Limits::default()))
    };
    let [first, second] = [1, 2].map(|number| start(number, vec![RingKey::new(key(1))]));
    let mut nodes = vec![first, second];
    let mut nginx = Nginx::start(&nodes, NO_LINES).await;
    let mut users = Users::start(nginx.address);
    users.see(&["1", "2"]).await;

    // Killed in the midst of requests: nginx asks the other one.
    let first = nodes.remove(0);
    let address = first.address;
    first.kill();
    users.see(&["2"]).await;

    // Restarted, and a third one added.
    let ring = KeyRing::new([RingKey::new(key(1))]).unwrap();
    nodes.push(Node::start_at(1, codec(ring, Limits::default()), address));
    nodes.push(start(3, vec![RingKey::new(key(1))]));
    nginx.reload(&nodes).await;
    users.see(&["1", "2", "3"]).await;

    // The key is rotated: first all nodes open by the new one, then one after the other seals by it, and
    // then the old one is taken away.
    for node in &nodes {
        let keys = [RingKey::new(key(1)), RingKey::open_only(key(2))];
        node.codec.ring().replace(keys).unwrap();
        users.see(&["1", "2", "3"]).await;
    }
    for node in &nodes {
        let keys = [RingKey::new(key(2)), RingKey::open_only(key(1))];
        node.codec.ring().replace(keys).unwrap();
        users.see(&["1", "2", "3"]).await;
    }
    for node in &nodes {
        node.codec.ring().replace([RingKey::new(key(2))]).unwrap();
        users.see(&["1", "2", "3"]).await;
    }

    // One after the other goes, and a new one comes that never had the old key.
    nodes.remove(0).kill();
    users.see(&["1", "3"]).await;
    nodes.remove(0).kill();
    users.see(&["3"]).await;
    nodes.push(start(4, vec![RingKey::new(key(2))]));
    nginx.reload(&nodes).await;
    users.see(&["3", "4"]).await;

    let requests = users.stop().await;
    println!(
        "{requests} requests of {USERS} users at once, none refused and none without its session"
    );
}

/// A deploy as everybody makes it: one node after the other is ended and started, within the 10 seconds for which nginx
/// leaves a node alone by default.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nginx"]
async fn nodes_are_restarted_one_after_the_other_and_every_request_is_answered() {
    for (of_each_node, clean) in [(None, true), (Some(""), false)] {
        let start =
            |number, address| Node::start_at(number, codec(key(1), Limits::default()), address);
        let any = (std::net::Ipv4Addr::LOCALHOST, 0).into();
        let mut nodes: Vec<_> = [1, 2].map(|number| start(number, any)).into();
        let nginx = match of_each_node {
            None => Nginx::start(&nodes, NO_LINES).await,
            Some(other) => Nginx::start_with(&nodes, NO_LINES, other).await,
        };
        let mut client = Client::new(nginx.address);
        assert_eq!(client.get("/fill/0").await.0, 200);
        let mut answers = BTreeMap::<u16, usize>::new();
        let began = std::time::Instant::now();
        for number in [1, 2] {
            let down = nodes.remove(0);
            let address = down.address;
            down.kill();
            for _ in 0..40 {
                *answers.entry(client.get("/read").await.0).or_default() += 1;
            }
            nodes.push(start(number, address));
            for _ in 0..40 {
                *answers.entry(client.get("/read").await.0).or_default() += 1;
            }
        }
        println!("restarted with `{}`: {answers:?}", of_each_node.unwrap_or("the file as it is"));
        if clean {
            assert_eq!(answers, BTreeMap::from([(200, 160)]));
        } else if began.elapsed() < std::time::Duration::from_secs(9) {
            assert!(
                answers.contains_key(&502),
                "without the line there is none to ask: {answers:?}"
            );
        }
    }
}

/// What the file says to a key that seals on one node before the others have it.
#[tokio::test]
#[ignore = "needs nginx"]
async fn a_node_without_the_key_hands_its_visitors_on() {
    const HAND_ON: &str = "proxy_next_upstream error timeout http_503;";
    assert!(server::EXAMPLE.contains(&format!("    # {HAND_ON}\n")), "the file names it");
    let ring = KeyRing::new([RingKey::new(key(2)), RingKey::open_only(key(1))]).unwrap();
    let nodes = [
        Node::start(1, codec(key(1), Limits::default())),
        Node::start(2, codec(ring, Limits::default())),
    ];
    let early = sealed_by(key(2));
    let forged = sealed_by(key(3));

    let nginx = Nginx::start(&nodes, HAND_ON).await;
    let mut client = Client::new(nginx.address);
    for _ in 0..10 {
        client.cookies = forged.clone();
        assert_eq!(client.get("/more").await.0, 503, "no node reads it");
        assert_eq!(client.cookies, forged, "and none destroys it");
        client.cookies = early.clone();
        assert_eq!(client.get("/more").await, (200, "2 1".to_owned()));
    }

    // Without the line, the visitor may meet the node that lacks the key, and keeps the session.
    let nginx = Nginx::start(&nodes, NO_LINES).await;
    meets(503, nginx.address, &early).await;

    // Without `max_fails`, whoever forges a cookie takes all nodes down.
    let nginx = Nginx::start_with(&nodes, HAND_ON, "").await;
    meets(502, nginx.address, &forged).await;
}

/// Sends these cookies until the answer has this status, and sees that they are kept.
async fn meets(wanted: u16, address: SocketAddr, cookies: &BTreeMap<String, String>) {
    let mut client = Client::new(address);
    for _ in 0..100 {
        client.cookies = cookies.clone();
        if client.get("/more").await.0 == wanted {
            assert_eq!(client.cookies, *cookies);
            return;
        }
    }
    panic!("no answer was {wanted}");
}

/// The cookies of a visitor whose session this key sealed.
fn sealed_by(key: Key) -> BTreeMap<String, String> {
    let codec = codec(key, Limits::default());
    let set = codec.renew(&String::new(), &codec.request::<_, str>([])).unwrap();
    let cookie = set.values().next().unwrap().split(';').next().unwrap();
    let (name, value) = cookie.split_once('=').unwrap();
    BTreeMap::from([(name.to_owned(), value.to_owned())])
}

/// Users at once, each with a browser of its own, who never pause.
struct Users {
    answers: UnboundedReceiver<(usize, String)>,
    tasks: JoinSet<usize>,
}

const USERS: usize = 8;

impl Users {
    fn start(address: SocketAddr) -> Self {
        let (sender, answers) = unbounded_channel();
        let mut tasks = JoinSet::new();
        for user in 0..USERS {
            tasks.spawn(visit(user, address, sender.clone()));
        }
        Self { answers, tasks }
    }

    /// Waits until each user got answers of each of these nodes to requests made from now on.
    async fn see(&mut self, nodes: &[&str]) {
        let mut seen = vec![BTreeMap::<String, usize>::new(); USERS];
        while self.answers.try_recv().is_ok() {}
        for _ in 0..20_000 {
            let Some((user, node)) = self.answers.recv().await else { break };
            *seen[user].entry(node).or_default() += 1;
            // The first answer may be to a request made before.
            let enough = |seen: &BTreeMap<String, usize>| {
                nodes.iter().all(|node| seen.get(*node).is_some_and(|answers| *answers > 10))
            };
            if seen.iter().all(enough) {
                return;
            }
        }
        panic!("not everybody was answered by {nodes:?}: {seen:?}");
    }

    /// Gives the number of requests, once the last one is answered.
    async fn stop(self) -> usize {
        drop(self.answers);
        self.tasks.join_all().await.into_iter().sum()
    }
}

/// Adds to the session until nobody listens, and sees each time that nothing of it was lost.
async fn visit(
    user: usize,
    address: SocketAddr,
    answers: UnboundedSender<(usize, String)>,
) -> usize {
    let mut client = Client::new(address);
    assert_eq!(client.get("/fill/0").await.0, 200);
    for len in 1.. {
        let (status, body) = client.get("/more").await;
        assert_eq!(status, 200, "{body}");
        let (node, found) = body.split_once(' ').unwrap();
        assert_eq!(found.parse(), Ok(len), "the session goes on, whoever answers");
        if answers.send((user, node.to_owned())).is_err() {
            return len + 1;
        }
    }
    unreachable!("someone listens")
}

/// The most characters that a session may have, found by asking the codec.
fn largest(limits: Limits) -> usize {
    let codec = codec(key(1), limits);
    let fits = |len: usize| {
        let request = codec.request::<_, str>([]);
        match codec.renew(&server::noise(len), &request) {
            Ok(_) => true,
            Err(EncodeError::TooLarge(_)) => false,
            Err(other) => panic!("{other}"),
        }
    };
    let (mut low, mut high) = (0, 64 * 1024);
    while high - low > 1 {
        let middle = usize::midpoint(low, high);
        if fits(middle) { low = middle } else { high = middle }
    }
    low
}
