//! Each example as a process of its own, two nodes of it, spoken to over TCP.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use sealed_session::{Key, KeyRing};

#[test]
fn warp() {
    visit(env!("CARGO_BIN_EXE_with_warp"));
}

#[test]
fn poem() {
    visit(env!("CARGO_BIN_EXE_with_poem"));
}

#[test]
fn salvo() {
    visit(env!("CARGO_BIN_EXE_with_salvo"));
}

#[test]
fn rocket() {
    visit(env!("CARGO_BIN_EXE_with_rocket"));
}

/// The page of the documentation shows what is compiled here, line by line.
#[test]
fn the_page_on_frameworks_shows_these_examples() {
    let page = include_str!("../../../docs/FRAMEWORKS.md");
    let (_, count) = page.split_once("    let opened = codec.decode(request)").unwrap();
    let (count, _) = count.split_once("```").unwrap();
    for (framework, example) in [
        ("hyper", include_str!("../../hyper_plain.rs")),
        ("Rocket", include_str!("../src/bin/with_rocket.rs")),
        ("poem", include_str!("../src/bin/with_poem.rs")),
        ("salvo", include_str!("../src/bin/with_salvo.rs")),
        ("warp", include_str!("../src/bin/with_warp.rs")),
    ] {
        let (_, section) = page.split_once(&format!("\n## {framework}\n")).expect(framework);
        let (section, _) = section.split_once("\n## ").unwrap();
        let (_, code) = section.split_once("```rust,ignore\n").expect(framework);
        let (code, _) = code.split_once("```").unwrap();
        for part in code.split("// …\n") {
            assert!(example.contains(part), "{framework}: {part}");
        }
        assert!(framework == "hyper" || example.contains(count), "{framework}: {count}");
    }
}

fn visit(program: &str) {
    let key = Key::generate().unwrap().expose_text();
    let nodes = [Node::start(program, &key), Node::start(program, &key)];
    let mut cookie = String::new();
    for (visit, node) in nodes.iter().cycle().take(5).enumerate() {
        let answer = node.send("GET", "/", &cookie);
        assert_eq!(answer.body, format!("visit {}", visit + 1));
        assert_eq!(answer.header("cache-control"), ["no-store"]);
        let [set] = answer.header("set-cookie")[..] else { panic!("one cookie: {}", answer.head) };
        assert!(set.starts_with("__Host-session=") && set.contains("; HttpOnly"), "{set}");
        cookie = set.split(';').next().unwrap().to_owned();
    }

    // A node with another key does not destroy the session, and the page comes all the same.
    let stranger = Node::start(program, &Key::generate().unwrap().expose_text());
    let answer = stranger.send("GET", "/", &cookie);
    assert!(answer.head.starts_with("HTTP/1.1 200 "), "{}", answer.head);
    assert_eq!(answer.body, "visit 1");
    assert!(answer.header("set-cookie").is_empty(), "{}", answer.head);

    // What no node can read is replaced.
    let answer = nodes[0].send("GET", "/", "__Host-session=damaged");
    assert_eq!(answer.body, "visit 1");
    assert_eq!(answer.header("set-cookie").len(), 1, "{}", answer.head);

    let answer = nodes[0].send("POST", "/logout", &cookie);
    assert_eq!(answer.body, "bye");
    let [removal] = answer.header("set-cookie")[..] else { panic!("one cookie") };
    assert!(removal.starts_with("__Host-session=;") && removal.ends_with("; Max-Age=0"));
}

struct Node {
    child: Child,
    address: SocketAddr,
}

impl Node {
    fn start(program: &str, key: &str) -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = port.local_addr().unwrap();
        drop(port);
        let mut command = Command::new(program);
        command.arg(address.port().to_string()).env(KeyRing::ENV, key);
        let mut node = Self { child: command.spawn().unwrap(), address };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).is_err() {
            assert_eq!(node.child.try_wait().unwrap(), None, "the node ended");
            assert!(Instant::now() < deadline, "the node does not listen");
            std::thread::yield_now();
        }
        node
    }

    fn send(&self, method: &str, path: &str, cookie: &str) -> Answer {
        let mut connection = TcpStream::connect(self.address).unwrap();
        connection.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let cookie =
            if cookie.is_empty() { String::new() } else { format!("Cookie: {cookie}\r\n") };
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n");
        write!(connection, "{head}{cookie}Connection: close\r\n\r\n").unwrap();
        let mut response = String::new();
        connection.read_to_string(&mut response).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        Answer { head: head.to_owned(), body: body.to_owned() }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Answer {
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }
}
