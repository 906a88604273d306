//! End to end: what a session costs a request, in servers of axum and of actix-web.
//!
//! Each server is a process of its own with one thread for requests, and so are Redis and the clients. All take
//! turns. To add a way to keep sessions, add a line to [`contestants`].

mod actix;
mod axum;
mod load;

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio, exit};

use serde::{Deserialize, Serialize};

use crate::clock::process_seconds;
use crate::contest::median;
use crate::contestants::Session;
use crate::plot::{self, Cost};
use crate::redis;
use crate::sessions::{self, Change, Login, OpenIdConnect, Shop};
use load::{Load, Visitor};

/// A session that a server can keep.
trait Served: Session + Clone + Default + Send + Sync + Unpin {
    /// The session after the login.
    fn sample() -> Self;

    /// Returns the number that each change increases.
    fn count(&self) -> u64;
}

impl Served for Login {
    fn sample() -> Self {
        sessions::login()
    }

    fn count(&self) -> u64 {
        self.login_at
    }
}

impl Served for Shop {
    fn sample() -> Self {
        sessions::shop()
    }

    fn count(&self) -> u64 {
        self.last_seen
    }
}

/// What needs two cookies.
impl Served for OpenIdConnect {
    fn sample() -> Self {
        sessions::openid_connect_large()
    }

    fn count(&self) -> u64 {
        self.expires_at
    }
}

/// What needs four cookies: a user who is logged in at three providers.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Federated {
    first: OpenIdConnect,
    second: OpenIdConnect,
    third: OpenIdConnect,
}

impl Change for Federated {
    fn change(&mut self) -> u64 {
        self.first.change()
    }
}

impl Served for Federated {
    fn sample() -> Self {
        let one = sessions::openid_connect_large;
        Self { first: one(), second: one(), third: one() }
    }

    fn count(&self) -> u64 {
        self.first.count()
    }
}

/// A way to keep sessions in a framework.
struct Contestant {
    framework: &'static str,
    name: &'static str,
    /// Whether its sessions are in Redis.
    store: bool,
    /// Answers at the listener for ever; the number is the port of Redis.
    serve: fn(TcpListener, u16),
}

const fn of(
    framework: &'static str,
    name: &'static str,
    serve: fn(TcpListener, u16),
) -> Contestant {
    Contestant { framework, name, store: false, serve }
}

impl Contestant {
    const fn in_redis(self) -> Self {
        Self { store: true, ..self }
    }
}

const BARE: &str = "no session";
const OURS: &str = "sealed-session";

fn contestants<T: Served>() -> Vec<Contestant> {
    vec![
        of("axum", BARE, axum::bare),
        of("axum", OURS, axum::ours::<T>),
        of("axum", "axum-extra's PrivateCookieJar", axum::jar::<T>),
        of("axum", "tower-sessions, memory", axum::tower_sessions_memory::<T>),
        of("axum", "tower-sessions, Redis", axum::tower_sessions_redis::<T>).in_redis(),
        of("actix-web", BARE, actix::bare),
        of("actix-web", OURS, actix::ours::<T>),
        of("actix-web", "actix-session, cookie", actix::cookie::<T>),
        of("actix-web", "actix-session, Redis", actix::redis::<T>).in_redis(),
    ]
}

/// Those for sessions that are larger than a cookie.
fn large<T: Served>(cookies: Contestant) -> Vec<Contestant> {
    vec![
        of("axum", BARE, axum::bare),
        cookies,
        of("axum", "sealed-session, overflow", axum::overflow::<T>).in_redis(),
        of("axum", "sealed-session, attached, not asked for", axum::attached::<T>).in_redis(),
        of("axum", "tower-sessions, Redis", axum::tower_sessions_redis::<T>).in_redis(),
    ]
}

fn in_two_cookies() -> Vec<Contestant> {
    let cookies = axum::in_two_cookies::<OpenIdConnect>;
    large::<OpenIdConnect>(of("axum", "sealed-session, two cookies", cookies))
}

fn in_four_cookies() -> Vec<Contestant> {
    let cookies = axum::in_four_cookies::<Federated>;
    large::<Federated>(of("axum", "sealed-session, four cookies", cookies))
}

/// Answers requests as the contestant of this number until standard input ends: `serve SESSION NUMBER PORT`.
pub(crate) fn serve(args: &[String]) {
    let [session, number, redis] = args else { panic!("serve SESSION NUMBER PORT") };
    let contestants = match &**session {
        "login" => contestants::<Login>(),
        "shop" => contestants::<Shop>(),
        "OpenID Connect" => in_two_cookies(),
        "federated" => in_four_cookies(),
        _ => panic!("no session has this name: {session}"),
    };
    let number: usize = number.parse().expect("a number");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.set_nonblocking(true).expect("a socket");
    println!("{}", listener.local_addr().expect("it is bound").port());
    // No server outlives the program that started it, however that ends.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        exit(0);
    });
    (contestants[number].serve)(listener, redis.parse().expect("a port"));
}

/// A server in a process of its own, which ends with this value.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(session: &str, number: usize, redis: u16) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("Linux"))
            .args(["serve", session, &number.to_string(), &redis.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program can be started");
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
        output.read_line(&mut line).expect("the port");
        let port: u16 = line.trim().parse().expect("the server tells its port");
        Self { child, address: (Ipv4Addr::LOCALHOST, port).into() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a visitor does again and again.
#[derive(Clone, Copy)]
enum Operation {
    Read,
    Change,
}

const OPERATIONS: [(Operation, &str); 2] =
    [(Operation::Read, "read"), (Operation::Change, "change")];
const ROUNDS: usize = 5;

pub(crate) fn compare() {
    println!(
        "One thread for requests, {} connections, all on loopback. µs are of processor time, by process.\n",
        load::VISITORS
    );
    table("login", &contestants::<Login>(), false);
    table("shop", &contestants::<Shop>(), true);
    overflow();
}

/// Sessions larger than a cookie.
fn overflow() {
    table("OpenID Connect", &in_two_cookies(), false);
    table("federated", &in_four_cookies(), false);
}

fn table(session: &str, contestants: &[Contestant], drawn: bool) {
    let store = redis::Server::start();
    if let Err(error) = &store {
        println!(
            "Without Redis, for redis-server cannot be started ({error}); on Debian, apt install redis-server.\n"
        );
    }
    let redis = store.as_ref().ok();
    if let Some(redis) = redis {
        drop(redis.connect()); // it answers
    }
    let mut taking_part = Vec::new();
    for (number, contestant) in contestants.iter().enumerate() {
        if contestant.store && redis.is_none() {
            continue;
        }
        let server = Server::start(session, number, redis.map_or(0, |redis| redis.port));
        let check = contestant.name != BARE;
        let visitors = load::log_in(server.address, check);
        taking_part.push(Entry { contestant, server, visitors, runs: [Vec::new(), Vec::new()] });
    }
    for round in 0..=ROUNDS {
        for entry in &mut taking_part {
            for (operation, _) in OPERATIONS {
                let run = entry.run(operation, redis);
                // The first round warms up.
                if round > 0 {
                    entry.runs[operation as usize].push(run);
                }
            }
        }
    }
    println!("### {session}\n");
    println!(
        "| framework | session | | requests a second | server µs | + to no session | Redis µs | median µs | 99 % µs | cookie bytes |"
    );
    println!("|---|---|---|--:|--:|--:|--:|--:|--:|--:|");
    let mut charts = Vec::new();
    for framework in ["axum", "actix-web"] {
        let of_it = || taking_part.iter().filter(|entry| entry.contestant.framework == framework);
        for (operation, verb) in OPERATIONS {
            let Some(bare) = of_it().find(|entry| entry.contestant.name == BARE) else { continue };
            let bare = bare.median(operation, |run| run.server);
            let mut bars = Vec::new();
            for entry in of_it() {
                let of: [fn(&Run) -> f64; 5] =
                    [|r| r.server, |r| r.store, |r| r.rate, |r| r.half, |r| r.most];
                let [server, store, rate, half, most] = of.map(|of| entry.median(operation, of));
                let Contestant { name, .. } = entry.contestant;
                let cookie = entry.visitors.first().map_or(0, Visitor::cookie_bytes);
                println!(
                    "| {framework} | {name} | {verb} | {rate:.0} | {server:.1} | {:.1} | {store:.1} | {half:.0} | {most:.0} | {cookie} |",
                    server - bare
                );
                let ours = *name == OURS;
                let session = if *name == BARE { 0.0 } else { server - bare };
                bars.push(Cost { name: (*name).into(), bare, session, store, ours });
            }
            let what = match operation {
                Operation::Read => "a request that reads its session",
                Operation::Change => "a request that changes its session",
            };
            charts.push((format!("{framework}: {what}"), bars));
        }
    }
    println!();
    if drawn {
        let title = "What a session of 1.5 KB costs a request (microseconds of processor time)";
        plot::write("cost.svg", &plot::costs(title, &charts));
    }
}

struct Entry<'a> {
    contestant: &'a Contestant,
    server: Server,
    visitors: Vec<Visitor>,
    /// By operation.
    runs: [Vec<Run>; 2],
}

/// One run: microseconds, and requests a second.
struct Run {
    server: f64,
    store: f64,
    rate: f64,
    half: f64,
    most: f64,
}

impl Entry<'_> {
    fn run(&mut self, operation: Operation, redis: Option<&redis::Server>) -> Run {
        let pids = [Some(self.server.child.id()), redis.map(|redis| redis.child.id())];
        let seconds = || pids.map(|pid| pid.map_or(0.0, process_seconds));
        let before = seconds();
        let Load { latencies, rate } =
            load::run(self.server.address, &mut self.visitors, operation);
        let after = seconds();
        let requests = latencies.len() as f64;
        let [server, store] = [0, 1].map(|i| (after[i] - before[i]) / requests * 1e6);
        let store = if self.contestant.store { store } else { 0.0 };
        let [half, most] = [50, 99].map(|percent| latencies[latencies.len() * percent / 100] * 1e6);
        Run { server, store, rate, half, most }
    }

    fn median(&self, operation: Operation, of: fn(&Run) -> f64) -> f64 {
        median(self.runs[operation as usize].iter().map(of))
    }
}
