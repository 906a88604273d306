//! The price of a central store: one look-up in a Redis on loopback beside one decode.

use std::hint::black_box;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant};

use redis::{Commands as _, Connection};
use sealed_session::{Compression, Format, Padding};

use crate::clock::{thread_seconds, wall_seconds};
use crate::contest::{Work, rounds_by};
use crate::contestants::{self, Session};
use crate::sessions::{self, Shop};

/// A Redis that ends with its value, with nothing on disk.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) port: u16,
}

impl Server {
    pub(crate) fn start() -> std::io::Result<Self> {
        // The system picks a free port.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"])
            .arg(port.to_string())
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self { child, port })
    }

    pub(crate) fn connect(&self) -> Connection {
        let client = redis::Client::open(("127.0.0.1", self.port)).expect("an address");
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            match client.get_connection() {
                Ok(connection) => return connection,
                Err(error) if Instant::now() > until => panic!("Redis does not answer: {error}"),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Gives the seconds of processor time that the server has used.
    fn cpu_seconds(connection: &mut Connection) -> f64 {
        let info: String = redis::cmd("INFO").arg("cpu").query(connection).expect("INFO");
        let of = |name: &str| -> f64 {
            let line = info.lines().find_map(|line| line.strip_prefix(name)).expect("is told");
            line.parse().expect("a number")
        };
        of("used_cpu_sys:") + of("used_cpu_user:")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn compare() {
    let server = match Server::start() {
        Ok(server) => server,
        Err(error) => {
            println!(
                "Skipped: redis-server cannot be started ({error}); on Debian, apt install redis-server."
            );
            return;
        }
    };
    let mut connection = server.connect();
    println!(
        "| session | decode µs | a second and core | GET and parse µs | a second | × decode | server's own µs a GET |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|");
    row("login", &sessions::login(), &mut connection);
    row("shop", &sessions::shop(), &mut connection);
    row("OpenID Connect", &sessions::openid_connect(), &mut connection);
    under_load(&server, &mut connection);
}

fn row<T: Session>(name: &str, session: &T, connection: &mut Connection) {
    let ours = contestants::ours::<T>();
    let header = ours.header(session);
    let key = "session:XoXyKmEQNVZaWuY6xqRJHg";
    let body = rmp_serde::to_vec_named(session).expect("MessagePack");
    let () = connection.set(key, body).expect("stored");
    let (cpu, mut gets) = (Server::cpu_seconds(connection), 0);
    let mut work: [Work<'_>; 2] = [
        Box::new(|| drop(black_box((ours.decode)(black_box(&header))))),
        Box::new(|| {
            let body: Vec<u8> = connection.get(black_box(key)).expect("found");
            gets += 1;
            drop(black_box(rmp_serde::from_slice::<T>(&body).expect("a session")));
        }),
    ];
    // The client waits, which no processor time tells.
    let times = rounds_by(wall_seconds, &mut work);
    drop(work);
    let server = (Server::cpu_seconds(connection) - cpu) / f64::from(gets);
    let (decode, get) = (times[0].median(), times[1].median());
    println!(
        "| {name} | {:.2} | {:.0} | {:.1} | {:.0} | {:.0} | {:.1} |",
        decode / 1e3,
        1e9 / decode,
        get / 1e3,
        1e9 / get,
        times[1].over(&times[0]),
        server * 1e6
    );
}

/// Several clients at once, each with a connection of its own, and as many threads that decode.
fn under_load(server: &Server, connection: &mut Connection) {
    let session = sessions::shop();
    let body = rmp_serde::to_vec_named(&session).expect("MessagePack");
    let key = "session:under-load";
    let () = connection.set(key, &body).expect("stored");
    let codec = contestants::codec(Format::MessagePack, Compression::Adaptive, Padding::Padme);
    let set = codec.renew(&session, &codec.request::<_, str>([])).expect("fits");
    let header = set.values().next().and_then(|line| line.split(';').next()).expect("a cookie");

    println!("\nThe shop session, several clients at once, on all cores:\n");
    println!(
        "| clients | | a second | median µs | 99 % µs | processor µs a request | of it Redis |"
    );
    println!("|--:|---|--:|--:|--:|--:|--:|");
    for clients in [1, 2, 8, 32] {
        let opening = load(clients, || {
            || {
                let request = codec.request([black_box(header)]);
                drop(black_box(codec.decode(&request).expect("opens").expect("a session")));
            }
        });
        opening.print(clients, "decode", 0.0);
        let before = Server::cpu_seconds(connection);
        let getting = load(clients, || {
            let mut connection = server.connect();
            move || {
                let body: Vec<u8> = connection.get(black_box(key)).expect("found");
                drop(black_box(rmp_serde::from_slice::<Shop>(&body).expect("a session")));
            }
        });
        getting.print(clients, "GET and parse", Server::cpu_seconds(connection) - before);
    }
}

struct Load {
    /// Of all requests, in seconds, in ascending order.
    latencies: Vec<f64>,
    rate: f64,
    /// Of all clients, in seconds.
    cpu: f64,
}

/// Runs what `client` makes on as many threads as there are clients, for two seconds.
fn load<F: FnMut()>(clients: usize, client: impl Fn() -> F + Sync) -> Load {
    let all = Mutex::new((Vec::new(), 0.0));
    let start = Barrier::new(clients);
    std::thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let (mut request, mut own) = (client(), Vec::with_capacity(1 << 20));
                start.wait();
                let (began, cpu) = (Instant::now(), thread_seconds());
                while began.elapsed() < RUN {
                    let one = Instant::now();
                    request();
                    own.push(one.elapsed().as_secs_f64());
                }
                let mut all = all.lock().expect("no panic");
                all.0.append(&mut own);
                all.1 += thread_seconds() - cpu;
            });
        }
    });
    let (mut latencies, cpu) = all.into_inner().expect("no panic");
    latencies.sort_by(f64::total_cmp);
    let rate = latencies.len() as f64 / RUN.as_secs_f64();
    Load { latencies, rate, cpu }
}

impl Load {
    fn print(&self, clients: usize, what: &str, server: f64) {
        let requests = self.latencies.len();
        let [half, most] = [50, 99].map(|percent| self.latencies[requests * percent / 100] * 1e6);
        let [all, server] =
            [self.cpu + server, server].map(|seconds| seconds / requests as f64 * 1e6);
        println!(
            "| {clients} | {what} | {:.0} | {half:.1} | {most:.1} | {all:.1} | {server:.1} |",
            self.rate
        );
    }
}

const RUN: Duration = Duration::from_secs(2);
