//! A server under load for long: honest browsers and a hostile one, no answer that is not accounted for, and
//! memory that does not grow. `SOAK_REQUESTS=1000000 cargo test --release --features axum --test soak -- --nocapture`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "a test may panic"
)]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{COOKIE, HOST, SET_COOKIE};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use sealed_session::web::tower::SessionLayer;
use sealed_session::web::{ChangeError, Session};
use sealed_session::{Codec, Key, Limits};
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};

const BROWSERS: usize = 8;
/// Of so many requests one is hostile.
const HOSTILE: usize = 100;

#[derive(Clone, Default, Serialize, Deserialize)]
struct Shop {
    user: u64,
    visits: u64,
    notes: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_is_unaccounted_for_and_memory_is_flat() {
    let requests: usize =
        std::env::var("SOAK_REQUESTS").map_or(5_000, |n| n.parse().expect("a number"));
    let address = serve().await;
    let mut resident = Vec::new();
    let mut answers = BTreeMap::new();
    // The first tenth fills caches and pools; what comes after must not add to it.
    for part in [requests / 10, requests * 4 / 10, requests / 2] {
        let visits = (0..BROWSERS).map(|n| tokio::spawn(visit(n, address, part / BROWSERS)));
        for one in visits.collect::<Vec<_>>() {
            for (answer, count) in one.await.unwrap() {
                *answers.entry(answer).or_insert(0_usize) += count;
            }
        }
        resident.push(resident_kib());
    }
    let total: usize = answers.values().sum();
    let hostile: usize = answers.iter().filter(|(kind, _)| kind.0).map(|(_, count)| count).sum();
    println!(
        "{total} requests, {hostile} hostile; resident KiB after a tenth, half, all: {resident:?}"
    );
    for ((_, kind), count) in &answers {
        println!("{count:>9} {kind}");
    }
    assert!(total + 3 * BROWSERS >= requests && hostile * HOSTILE >= total / 2);
    assert!(resident[2] < resident[0] + resident[0] / 5 + 4096, "{resident:?}");
}

async fn serve() -> SocketAddr {
    let codec = codec(key(1));
    let app = Router::new()
        .route("/read", get(read))
        .route("/visit", get(count))
        .route("/fill/{len}", get(fill))
        .route("/login/{user}", get(login))
        .route("/logout", get(async |session: Session<Shop>| session.clear()))
        .layer(SessionLayer::new(codec));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
    address
}

async fn read(session: Session<Shop>) -> String {
    let shop = session.get();
    shop.map_or("none".into(), |s| format!("{} {} {}", s.user, s.visits, s.notes.len()))
}

async fn count(session: Session<Shop>) -> Result<String, ChangeError> {
    session.change(|shop| shop.visits += 1)?;
    Ok(read(session).await)
}

async fn fill(Path(len): Path<usize>, session: Session<Shop>) -> Result<String, ChangeError> {
    session.change(|shop| shop.notes = noise(len))?;
    Ok(read(session).await)
}

async fn login(Path(user): Path<u64>, session: Session<Shop>) -> Result<String, ChangeError> {
    session.renew(Shop { user, ..Shop::default() })?;
    Ok(read(session).await)
}

/// Which answers came how often; true for those to hostile requests.
type Answers = BTreeMap<(bool, &'static str), usize>;

/// One browser, which knows what its session must be; between its requests come those of a hostile one
/// that knows its cookies.
async fn visit(number: usize, address: SocketAddr, requests: usize) -> Answers {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut answers = Answers::new();
    let mut jar = BTreeMap::new();
    let mut expected: Option<Shop> = None;
    let mut random = Random(number as u64 + 1);
    for round in 0..requests {
        if round % HOSTILE == number {
            let (kind, header) = hostile(&mut random, &jar);
            let (status, body, _) = send(&mut sender, "/read", &header).await;
            assert_eq!((status, body.as_str()), (StatusCode::OK, "none"), "{kind}: {header}");
            *answers.entry((true, kind)).or_insert(0) += 1;
            continue;
        }
        let (kind, path) = match random.below(100) {
            0 => ("logout", "/logout".to_owned()),
            1..5 => ("login", format!("/login/{number}")),
            5..15 => ("fill", format!("/fill/{}", random.below(6000))),
            15..40 => ("visit", "/visit".to_owned()),
            _ => ("read", "/read".to_owned()),
        };
        let (status, body, set) = send(&mut sender, &path, &header(&jar)).await;
        match kind {
            "logout" => expected = None,
            "login" => expected = Some(Shop { user: number as u64, ..Shop::default() }),
            "visit" => expected.get_or_insert_default().visits += 1,
            "fill" => {
                let len = path.rsplit('/').next().unwrap().parse().unwrap();
                expected.get_or_insert_default().notes = noise(len);
            }
            _ => assert!(set.is_empty(), "a fresh session that is only read is not set"),
        }
        let told = match &expected {
            _ if kind == "logout" => String::new(),
            None => "none".to_owned(),
            Some(shop) => format!("{} {} {}", shop.user, shop.visits, shop.notes.len()),
        };
        assert_eq!((status, body), (StatusCode::OK, told), "{path}");
        for line in set {
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            match line.ends_with("Max-Age=0") {
                true => jar.remove(name),
                false => jar.insert(name.to_owned(), value.to_owned()),
            };
        }
        *answers.entry((false, kind)).or_insert(0) += 1;
    }
    answers
}

/// A header of which nothing may open.
fn hostile(random: &mut Random, jar: &BTreeMap<String, String>) -> (&'static str, String) {
    let mut jar = jar.clone();
    let whole = jar.contains_key(NAME);
    match random.below(if whole { 6 } else { 2 }) {
        0 => ("garbage", format!("{NAME}={}; =;;\x7f{NAME}", "A".repeat(random.below(6000)))),
        1 => {
            let stranger = codec(key(2));
            let set = stranger.renew(&Shop::default(), &stranger.request([""])).unwrap();
            ("a stranger's key", set.values().next().unwrap().split(';').next().unwrap().to_owned())
        }
        2 => {
            let value = jar.get_mut(NAME).unwrap();
            let at = random.below(value.len());
            let other = if value.as_bytes()[at] == b'A' { "Q" } else { "A" };
            value.replace_range(at..=at, other);
            ("a changed character", header(&jar))
        }
        3 => {
            let value = jar.get_mut(NAME).unwrap();
            value.truncate(random.below(value.len()));
            ("a cut value", header(&jar))
        }
        4 => {
            let value = jar[NAME].clone();
            ("our name many times", format!("{NAME}=A; ").repeat(200) + &value)
        }
        _ => {
            let value = jar.remove(NAME).unwrap();
            ("a chunk alone", format!("{NAME}.1={value}; {}", header(&jar)))
        }
    }
}

async fn send(
    sender: &mut SendRequest<Empty<Bytes>>,
    path: &str,
    cookies: &str,
) -> (StatusCode, String, Vec<String>) {
    let mut request = Request::get(path).header(HOST, "localhost");
    if !cookies.is_empty() {
        request = request.header(COOKIE, cookies.as_bytes().escape_ascii().to_string());
    }
    let response = sender.send_request(request.body(Empty::new()).unwrap()).await.unwrap();
    let set = response.headers().get_all(SET_COOKIE).iter();
    let set = set.map(|line| line.to_str().unwrap().to_owned()).collect();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.into()).unwrap(), set)
}

fn header(jar: &BTreeMap<String, String>) -> String {
    jar.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
}

const NAME: &str = "__Host-session";

fn codec(key: Key) -> Codec<Shop> {
    Codec::builder(key).limits(Limits::NGINX_PROXY_BUFFER_16K).build().unwrap()
}

fn key(n: u8) -> Key {
    let mut secret = [n; Key::LEN];
    secret[0] = 0;
    Key::from_bytes(secret).unwrap()
}

fn noise(len: usize) -> String {
    let mut random = Random(len as u64 + 7);
    (0..len).map(|_| char::from(b' ' + u8::try_from(random.below(90)).unwrap())).collect()
}

/// Numbers that are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 20) % limit.max(1) as u64).unwrap()
    }
}

/// The memory of this process, server and browsers, that is in use.
fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
