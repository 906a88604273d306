//! The clients: visitors who each keep a connection and their cookies, and check what they are answered.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime;

use super::Operation;

pub(super) const VISITORS: usize = 8;
const RUN: Duration = Duration::from_millis(300);

pub(super) struct Visitor {
    cookies: BTreeMap<String, String>,
    /// What the server is to answer, if it keeps sessions at all.
    count: Option<u64>,
}

/// All requests of a run.
pub(super) struct Load {
    /// In seconds, in ascending order.
    pub(super) latencies: Vec<f64>,
    /// Requests a second.
    pub(super) rate: f64,
}

fn runtime() -> runtime::Runtime {
    runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Logs all visitors in.
pub(super) fn log_in(address: SocketAddr, check: bool) -> Vec<Visitor> {
    runtime().block_on(async {
        let mut visitors = Vec::new();
        for _ in 0..VISITORS {
            let mut visitor = Visitor { cookies: BTreeMap::new(), count: None };
            let mut connection = Connection::open(address).await.expect("the server accepts");
            let count = connection.request(&mut visitor, "POST /login").await.expect("an answer");
            visitor.count = check.then_some(count);
            assert_eq!(visitor.cookies.is_empty(), !check, "a login sets a cookie");
            visitors.push(visitor);
        }
        visitors
    })
}

/// Lets all visitors do the same, again and again.
pub(super) fn run(address: SocketAddr, visitors: &mut Vec<Visitor>, operation: Operation) -> Load {
    runtime().block_on(async {
        let start = Instant::now();
        let tasks: Vec<_> = visitors
            .drain(..)
            .map(|visitor| tokio::spawn(visit(address, visitor, operation, start)))
            .collect();
        let mut latencies = Vec::new();
        for task in tasks {
            let (visitor, mut own) = task.await.expect("no panic").expect("answers");
            visitors.push(visitor);
            latencies.append(&mut own);
        }
        let rate = latencies.len() as f64 / start.elapsed().as_secs_f64();
        latencies.sort_by(f64::total_cmp);
        Load { latencies, rate }
    })
}

async fn visit(
    address: SocketAddr,
    mut visitor: Visitor,
    operation: Operation,
    start: Instant,
) -> io::Result<(Visitor, Vec<f64>)> {
    let mut connection = Connection::open(address).await?;
    let mut latencies = Vec::new();
    while start.elapsed() < RUN {
        let (request, more) = match operation {
            Operation::Read => ("GET /read", 0),
            Operation::Change => ("POST /change", 1),
        };
        let one = Instant::now();
        let count = connection.request(&mut visitor, request).await?;
        latencies.push(one.elapsed().as_secs_f64());
        if let Some(known) = &mut visitor.count {
            *known += more;
            assert_eq!(count, *known, "the session of this visitor, as it was left");
        }
    }
    Ok((visitor, latencies))
}

impl Visitor {
    pub(super) fn cookie_bytes(&self) -> usize {
        self.cookies.iter().map(|(name, value)| name.len() + 1 + value.len()).sum()
    }
}

struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, answer: Vec::with_capacity(16_384) })
    }

    /// Sends a request, keeps the cookies of the answer, and returns the number in it.
    async fn request(&mut self, visitor: &mut Visitor, request: &str) -> io::Result<u64> {
        let mut head = format!("{request} HTTP/1.1\r\nhost: localhost\r\n");
        if request.starts_with("POST") {
            head.push_str("content-length: 0\r\n");
        }
        let mut separator = "cookie: ";
        for (name, value) in &visitor.cookies {
            head.push_str(separator);
            head.push_str(name);
            head.push('=');
            head.push_str(value);
            separator = "; ";
        }
        head.push_str(if visitor.cookies.is_empty() { "\r\n" } else { "\r\n\r\n" });
        self.stream.write_all(head.as_bytes()).await?;
        self.answer.clear();
        let (end, length) = loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(end) = self.answer.windows(4).position(|end| end == b"\r\n\r\n") {
                let head = str::from_utf8(&self.answer[..end]).map_err(io::Error::other)?;
                break (end + 4, keep(visitor, head));
            }
        };
        while self.answer.len() < end + length {
            self.stream.read_buf(&mut self.answer).await?;
        }
        let body = str::from_utf8(&self.answer[end..]).map_err(io::Error::other)?;
        body.parse().map_err(io::Error::other)
    }
}

/// Keeps the cookies of an answer and returns the length of its body.
fn keep(visitor: &mut Visitor, head: &str) -> usize {
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    assert!(status.starts_with("HTTP/1.1 200 "), "the server answers {status}");
    let mut length = 0;
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().expect("a length");
        } else if name.eq_ignore_ascii_case("set-cookie") {
            let pair = value.split(';').next().and_then(|pair| pair.split_once('='));
            let (name, value) = pair.expect("a cookie");
            match visitor.cookies.get_mut(name) {
                Some(known) => value.clone_into(known),
                None => drop(visitor.cookies.insert(name.to_owned(), value.to_owned())),
            }
        }
    }
    length
}
