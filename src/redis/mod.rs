//! Redis and Valkey, as this crate speaks with them: for whoever keeps something there, and for nobody else.
//!
//! - In: a URL, which names one server, Sentinels or a cluster ([`Server::parse`]); timeouts.
//! - Out: a connection for any key ([`Server::connect`]), or the master of one key, found by asking those who
//!   decide it, and a plain connection to it ([`Server::master`], [`Server::connect_to`]).
//! - Nothing of the client library is in the public API; nothing here starts a runtime or a thread.

mod cluster;
mod sentinel;
mod url;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::redis::aio::{ConnectionLike, MultiplexedConnection};
use ::redis::cluster::ClusterClientBuilder;
use ::redis::cluster_async::ClusterConnection;
use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, Pipeline,
    RedisConnectionInfo, RedisError, RedisFuture, RedisResult, TlsCertificates, Value,
};
use tokio::task::JoinSet;
use tokio::time::timeout;

pub use self::url::RedisUrlError;

/// Where the data is: one server, what Sentinels watch, or a cluster; with the user and all else that a
/// connection needs.
#[derive(Debug)]
pub(crate) struct Server {
    kind: Kind,
    /// The user, the password and the database, for whichever node it is.
    login: RedisConnectionInfo,
    tls: bool,
    roots: Option<TlsCertificates>,
    /// Connections to those who are asked for the master, kept from one question to the next, and shared by those
    /// that are under way.
    asked: Arc<Mutex<HashMap<Node, MultiplexedConnection>>>,
}

#[derive(Debug)]
enum Kind {
    Single(ConnectionAddr),
    Sentinel {
        sentinels: Vec<Node>,
        master: String,
        login: RedisConnectionInfo,
    },
    /// The nodes of the URL, and those learnt since.
    Cluster(Mutex<Vec<Node>>),
}

/// The host and the port of a node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Node {
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// The server that holds a key and takes writes, as far as those who decide it say.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Master(ConnectionAddr);

impl std::fmt::Display for Master {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Server {
    /// Parses a URL, in one of these forms, each with `rediss` in the place of `redis` for TLS:
    ///
    /// - `redis://[user[:password]@]host[:port][/database]`
    /// - `redis+sentinel://[user[:password]@]host[:port],host…/master[/database]`, and after it
    ///   `?sentinel_user=…&sentinel_password=…` where the Sentinels want a password too
    /// - `redis+cluster://[user[:password]@]host[:port],host…`
    /// - `redis+unix:///path/of/the.sock[?db=…&user=…&pass=…]`
    ///
    /// `valkey` is another word for `redis` in each.
    pub(crate) fn parse(url: &str) -> Result<Self, RedisUrlError> {
        let (kind, login, tls) = url::parse(url)?;
        Ok(Self { kind, login, tls, roots: None, asked: Arc::default() })
    }

    /// Trusts these certificates (PEM) in the place of those of the operating system.
    pub(crate) fn trust(&mut self, roots: Vec<u8>) {
        self.roots = Some(TlsCertificates { client_tls: None, root_cert: Some(roots) });
    }

    /// Returns whether another server can take the place of the present one.
    pub(crate) fn fails_over(&self) -> bool {
        !matches!(self.kind, Kind::Single(_))
    }

    /// Returns whether the keys are with several masters.
    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self.kind, Kind::Cluster(_))
    }

    /// Opens a connection for any key. It finds the right node of a cluster by itself; if it breaks, open another.
    /// With Sentinels it is to the master that comes with it: ask now and then whether that still is it.
    ///
    /// Do not block on it: all users of one connection wait for each other's answers.
    pub(crate) async fn connect(
        &self,
        limits: Timeouts,
    ) -> RedisResult<(Connection, Option<Master>)> {
        let Kind::Cluster(nodes) = &self.kind else {
            let master = self.master("", limits.connect).await?;
            let connection = Connection::One(self.connect_to(&master, limits).await?);
            return Ok((connection, Some(master).filter(|_| self.fails_over())));
        };
        provider();
        let infos = lock(nodes).iter().map(|node| self.info(self.addr(node))).collect::<Vec<_>>();
        let mut builder = ClusterClientBuilder::new(infos)
            .connection_timeout(limits.connect / 2)
            .overall_response_timeout(limits.response);
        if let Some(response) = limits.response {
            builder = builder.response_timeout(response / 2);
        }
        if let Some(roots) = &self.roots {
            builder = builder.certs(roots.clone());
        }
        let client = builder.build()?;
        let connection =
            within(limits.connect.saturating_mul(4), client.get_async_connection()).await?;
        Ok((Connection::Cluster(Box::new(connection)), None))
    }

    /// Finds the master that holds `key`, by asking those who decide it, and not the one that was it before: a
    /// server that was stopped and goes on says `master` of itself, and takes what is written, for seconds.
    ///
    /// Of Sentinels, more than half must answer; of several answers that of the latest election counts.
    pub(crate) async fn master(&self, key: &str, limit: Duration) -> RedisResult<Master> {
        match &self.kind {
            Kind::Single(addr) => Ok(Master(addr.clone())),
            Kind::Sentinel { sentinels, master, .. } => {
                let command = sentinel::question(master);
                let answers = self.ask(sentinels, &command, sentinels.len() / 2 + 1, limit).await?;
                let found = answers.iter().filter_map(|(_, answer)| sentinel::read(answer));
                self.latest(found)
            }
            Kind::Cluster(nodes) => {
                let known = lock(nodes).clone();
                let asked = known.get(..known.len().min(MOST_ASKED)).unwrap_or(&known);
                let command = cluster::question();
                let answers = self.ask(asked, &command, asked.len().div_ceil(2), limit).await?;
                let slot = cluster::slot(key);
                let mut found = Vec::new();
                for (node, answer) in &answers {
                    let told = cluster::read(answer, slot, node);
                    let mut nodes = lock(nodes);
                    for node in told.nodes {
                        if !nodes.contains(&node) && nodes.len() < MOST_NODES {
                            nodes.push(node);
                        }
                    }
                    found.extend(told.master);
                }
                // Next time others are asked first: a cluster may lose those of the URL one by one.
                let mut nodes = lock(nodes);
                if nodes.len() > MOST_ASKED {
                    nodes.rotate_left(1);
                }
                drop(nodes);
                self.latest(found)
            }
        }
    }

    /// Opens a plain connection to a server, for one user: it may block, within its own timeout.
    pub(crate) async fn connect_to(
        &self,
        Master(addr): &Master,
        limits: Timeouts,
    ) -> RedisResult<MultiplexedConnection> {
        self.open(self.info(addr.clone()), limits).await
    }

    fn latest(&self, found: impl IntoIterator<Item = (u64, Node)>) -> RedisResult<Master> {
        let latest = found.into_iter().max_by_key(|(epoch, _)| *epoch);
        let (_, node) = latest.ok_or_else(|| fault("nobody knows the master"))?;
        Ok(Master(self.addr(&node)))
    }

    /// Asks several nodes at once, until so many have answered. An error is no answer.
    async fn ask(
        &self,
        nodes: &[Node],
        command: &Cmd,
        enough: usize,
        limit: Duration,
    ) -> RedisResult<Vec<(Node, Value)>> {
        let mut asking = JoinSet::new();
        for node in nodes {
            let kept = lock(&self.asked).get(node).cloned();
            let mut info = self.info(self.addr(node));
            if let Kind::Sentinel { login, .. } = &self.kind {
                info = info.set_redis_settings(login.clone());
            }
            let client = self.client(info)?;
            let (node, command, asked) = (node.clone(), command.clone(), Arc::clone(&self.asked));
            asking.spawn(async move {
                let answer = timeout(limit, async {
                    if let Some(mut kept) = kept
                        && let Ok(answer) = kept.req_packed_command(&command).await
                    {
                        return Ok(answer);
                    }
                    let limits = Timeouts { connect: limit, response: Some(limit) };
                    let mut new = connect(client, limits).await?;
                    let answer = new.req_packed_command(&command).await?;
                    lock(&asked).insert(node.clone(), new);
                    RedisResult::Ok(answer)
                });
                let answer = answer.await.unwrap_or_else(|_| Err(fault("no answer in time")));
                if answer.is_err() {
                    lock(&asked).remove(&node);
                }
                (node, answer.and_then(Value::extract_error))
            });
        }
        let mut answers = Vec::new();
        let mut last = fault("too few of those who know the master have answered");
        while let Some(asked) = asking.join_next().await {
            match asked {
                Ok((node, Ok(answer))) => {
                    answers.push((node, answer));
                    if answers.len() >= enough {
                        // The others finish, within their time, so that their connections are kept too.
                        asking.detach_all();
                        return Ok(answers);
                    }
                }
                // What one of them says tells more than the silence of another.
                Ok((_, Err(error))) if last.code().is_none() => last = error,
                Ok(_) | Err(_) => {}
            }
        }
        Err(last)
    }

    fn addr(&self, Node { host, port }: &Node) -> ConnectionAddr {
        let (host, port) = (host.clone(), *port);
        if self.tls {
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host, port)
        }
    }

    #[expect(clippy::expect_used, reason = "an address is always connection information")]
    fn info(&self, addr: ConnectionAddr) -> ConnectionInfo {
        use ::redis::IntoConnectionInfo;
        let info = addr.into_connection_info().expect("an address is connection information");
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        info.set_redis_settings(self.login.clone()).set_tcp_settings(tcp)
    }

    fn client(&self, info: ConnectionInfo) -> RedisResult<Client> {
        match (&self.roots, info.addr()) {
            (Some(roots), ConnectionAddr::TcpTls { .. }) => {
                Client::build_with_tls(info, roots.clone())
            }
            _ => Client::open(info),
        }
    }

    async fn open(
        &self,
        info: ConnectionInfo,
        limits: Timeouts,
    ) -> RedisResult<MultiplexedConnection> {
        connect(self.client(info)?, limits).await
    }
}

/// How long to wait for a server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    /// For a connection, from the name of the host to the answer to the password.
    pub(crate) connect: Duration,
    /// For each answer. Without it, a stopped server is waited for as long as it is stopped. For commands that
    /// block it is longer than they do.
    pub(crate) response: Option<Duration>,
}

/// A connection for any key, of one server or of a cluster.
#[derive(Clone)]
pub(crate) enum Connection {
    One(MultiplexedConnection),
    Cluster(Box<ClusterConnection>),
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::One(one) => one.req_packed_command(cmd),
            Self::Cluster(cluster) => cluster.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        cmd: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::One(one) => one.req_packed_commands(cmd, offset, count),
            Self::Cluster(cluster) => cluster.req_packed_commands(cmd, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::One(one) => one.get_db(),
            Self::Cluster(cluster) => cluster.get_db(),
        }
    }
}

async fn connect(client: Client, limits: Timeouts) -> RedisResult<MultiplexedConnection> {
    provider();
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(limits.connect))
        .set_response_timeout(limits.response);
    // The client's own timeout does not cover all of it: TLS and the password can hang too.
    within(limits.connect, client.get_multiplexed_async_connection_with_config(&config)).await
}

async fn within<V>(limit: Duration, work: impl Future<Output = RedisResult<V>>) -> RedisResult<V> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(fault("no connection in time")))
}

fn fault(what: &'static str) -> RedisError {
    RedisError::from((ErrorKind::Io, what))
}

/// Installs for rustls an implementation of TLS, unless the application has chosen one. Without one it panics.
fn provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

fn lock<V>(mutex: &Mutex<V>) -> std::sync::MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The most nodes of a cluster that one question goes to.
const MOST_ASKED: usize = 6;

/// The most nodes of a cluster that are remembered.
const MOST_NODES: usize = 1000;

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::thread;
    use std::time::Instant;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// A Sentinel that answers each question when it is let, and counts its connections.
    struct Fake {
        port: u16,
        connections: Arc<AtomicUsize>,
        let_it: Sender<&'static str>,
    }

    impl Fake {
        fn start() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let connections = Arc::new(AtomicUsize::new(0));
            let (let_it, answers) = channel();
            let (counted, answers) = (Arc::clone(&connections), Arc::new(Mutex::new(answers)));
            thread::spawn(move || {
                for stream in listener.incoming() {
                    counted.fetch_add(1, Ordering::SeqCst);
                    let answers = Arc::clone(&answers);
                    thread::spawn(move || serve(stream.unwrap(), &answers));
                }
            });
            Self { port, connections, let_it }
        }

        fn answers(&self, answer: &'static str, times: usize) {
            (0..times).for_each(|_| self.let_it.send(answer).unwrap());
        }
    }

    /// Reads arrays of strings. What is no question is agreed to.
    fn serve(stream: TcpStream, answers: &Mutex<Receiver<&'static str>>) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        let mut number = move |into: &mut Vec<u8>| -> Option<usize> {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let number = line.get(1..)?.trim_end().parse().ok()?;
            if line.starts_with('$') {
                into.resize(number + 2, 0);
                reader.read_exact(into).ok()?;
            }
            Some(number)
        };
        loop {
            let (mut word, mut is_question) = (Vec::new(), false);
            for _ in 0..number(&mut word)? {
                number(&mut word)?;
                is_question |= word.starts_with(b"SENTINEL");
            }
            let answer = if is_question { answers.lock().unwrap().recv().ok()? } else { "+OK\r\n" };
            (&stream).write_all(answer.as_bytes()).ok()?;
        }
    }

    const MASTER: &str = "*6\r\n$2\r\nip\r\n$8\r\n10.0.0.7\r\n$4\r\nport\r\n$1\r\n7\r\n\
                          $12\r\nconfig-epoch\r\n$1\r\n1\r\n";
    const NOPERM: &str =
        "-NOPERM this user has no permissions to run the 'sentinel|master' command\r\n";

    fn watched(sentinels: &[Fake; 3]) -> Server {
        let hosts = sentinels.each_ref().map(|fake| format!("127.0.0.1:{}", fake.port)).join(",");
        Server::parse(&format!("redis+sentinel://{hosts}/main")).unwrap()
    }

    #[tokio::test]
    async fn an_error_is_no_answer_and_is_told() {
        let sentinels = [(); 3].map(|()| Fake::start());
        let server = watched(&sentinels);
        sentinels[0].answers(MASTER, 2);
        sentinels[1].answers(NOPERM, 1);
        sentinels[2].answers(NOPERM, 1);
        let error = server.master("", PATIENCE).await.unwrap_err();
        assert_eq!(error.code(), Some("NOPERM"), "{error}");
        sentinels[1].answers(MASTER, 1);
        sentinels[2].answers(NOPERM, 1);
        assert_eq!(server.master("", PATIENCE).await.unwrap().to_string(), "10.0.0.7:7");
    }

    #[tokio::test]
    async fn connections_are_kept_also_to_who_is_slow_and_shared_by_all_who_ask() {
        let sentinels = [(); 3].map(|()| Fake::start());
        let server = watched(&sentinels);
        for round in 1..=3 {
            sentinels[0].answers(MASTER, 1);
            sentinels[1].answers(MASTER, 1);
            server.master("", PATIENCE).await.unwrap();
            sentinels[2].answers(MASTER, 1);
            let deadline = Instant::now() + PATIENCE;
            while lock(&server.asked).len() < 3 {
                assert!(Instant::now() < deadline, "the third is not kept");
                tokio::task::yield_now().await;
            }
            let connections =
                sentinels.each_ref().map(|fake| fake.connections.load(Ordering::SeqCst));
            assert_eq!(connections, [1; 3], "round {round}");
        }
        sentinels.iter().for_each(|fake| fake.answers(MASTER, 8));
        let mut asking = JoinSet::new();
        let server = Arc::new(server);
        for _ in 0..8 {
            let server = Arc::clone(&server);
            asking.spawn(async move { server.master("", PATIENCE).await });
        }
        assert!(asking.join_all().await.iter().all(Result::is_ok));
        let connections = sentinels.each_ref().map(|fake| fake.connections.load(Ordering::SeqCst));
        assert_eq!(connections, [1; 3]);
    }
}
