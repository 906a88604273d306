//! Nodes, and the nginx before them.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use sealed_session::web::tower::SessionLayer;
use sealed_session::web::{ChangeError, Session};
use sealed_session::{Codec, Key, KeyRing, Limits};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::oneshot;

/// One node, on a thread and with a codec of its own: nodes share nothing but keys.
pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    pub(crate) codec: Codec<String>,
    kill: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Node {
    pub(crate) fn start(number: u8, codec: Codec<String>) -> Self {
        Self::start_at(number, codec, (Ipv4Addr::LOCALHOST, 0).into())
    }

    pub(crate) fn start_at(number: u8, codec: Codec<String>, address: SocketAddr) -> Self {
        let app = Router::new()
            .route("/fill/{len}", get(fill))
            .route("/more", get(more))
            .route("/read", get(read))
            .layer(SessionLayer::new(codec.clone()))
            .with_state(number);
        Self::serve(app, codec, address)
    }

    /// Starts one whose `/both/{len}` writes two sessions.
    pub(crate) fn with_two_codecs(limits: Limits) -> Self {
        let first = codec(key(1), limits);
        // Its name is as long as that of the first one.
        let second = Codec::<Another>::builder(key(1))
            .name("__Host-another")
            .limits(limits)
            .build()
            .unwrap();
        let app = Router::new()
            .route("/both/{len}", get(both))
            .layer(SessionLayer::new(first.clone()))
            .layer(SessionLayer::new(second));
        Self::serve(app, first, (Ipv4Addr::LOCALHOST, 0).into())
    }

    fn serve(app: Router, codec: Codec<String>, address: SocketAddr) -> Self {
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (kill, killed) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_io().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    result = axum::serve(listener, app) => result.unwrap(),
                    _ = killed => {}
                }
            });
        });
        Self { address, codec, kill, thread }
    }

    /// Ends it at once, in the midst of its requests, and waits until its port is free.
    pub(crate) fn kill(self) {
        self.kill.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

async fn fill(
    Path(len): Path<usize>,
    session: Session<String>,
) -> Result<&'static str, ChangeError> {
    // Of the same length and other content, so that it is written each time.
    session.renew(noise(len))?;
    Ok("filled")
}

#[derive(Serialize, Deserialize)]
struct Another(String);

async fn both(
    Path(len): Path<usize>,
    first: Session<String>,
    second: Session<Another>,
) -> Result<&'static str, ChangeError> {
    first.renew(noise(len))?;
    second.renew(Another(noise(len)))?;
    Ok("filled")
}

async fn more(State(node): State<u8>, session: Session<String>) -> Result<String, ChangeError> {
    session.change(|text| text.push('x'))?;
    read(State(node), session).await
}

async fn read(State(node): State<u8>, session: Session<String>) -> Result<String, ChangeError> {
    let len = session.get().map_or("none".to_owned(), |text| text.len().to_string());
    Ok(format!("{node} {len}"))
}

pub(crate) fn codec(ring: impl Into<KeyRing>, limits: Limits) -> Codec<String> {
    Codec::builder(ring).limits(limits).build().unwrap()
}

pub(crate) fn key(n: u8) -> Key {
    let mut secret = [n; Key::LEN];
    secret[0] = !n;
    Key::from_bytes(secret).unwrap()
}

/// Text that nothing compresses: the same in each test run.
pub(crate) fn noise(len: usize) -> String {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b' ' + u8::try_from((state >> 40) % 92).unwrap())
    };
    (0..len).map(|_| next()).collect()
}

/// An nginx with the configuration of the examples, on a port of its own.
pub(crate) struct Nginx {
    pub(crate) address: SocketAddr,
    child: Child,
    directory: TempDir,
    lines: &'static str,
    of_each_node: &'static str,
}

impl Nginx {
    /// Starts it as the file is, with no lines on buffers or with these ones that it names.
    pub(crate) async fn start(nodes: &[Node], lines: &'static str) -> Self {
        Self::start_with(nodes, lines, OF_EACH_NODE).await
    }

    /// Starts it with other parameters of each server.
    pub(crate) async fn start_with(
        nodes: &[Node],
        lines: &'static str,
        of_each_node: &'static str,
    ) -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = port.local_addr().unwrap();
        drop(port);
        let directory = tempfile::tempdir().unwrap();
        configure(&directory, address, nodes, lines, of_each_node);
        let child = command(&directory).stderr(Stdio::inherit()).spawn().expect("nginx runs");
        let nginx = Self { address, child, directory, lines, of_each_node };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).await.is_err() {
            assert!(Instant::now() < deadline, "nginx does not listen");
            tokio::task::yield_now().await;
        }
        nginx
    }

    /// Lets it take other nodes, while it serves, and waits until nobody asks the ones before.
    pub(crate) async fn reload(&mut self, nodes: &[Node]) {
        let old = self.workers();
        configure(&self.directory, self.address, nodes, self.lines, self.of_each_node);
        let status = command(&self.directory).args(["-s", "reload"]).status().unwrap();
        assert!(status.success());
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.workers().iter().any(|worker| old.contains(worker)) {
            assert!(Instant::now() < deadline, "the old workers do not end");
            tokio::task::yield_now().await;
        }
    }

    fn workers(&self) -> Vec<String> {
        let id = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        let children: Vec<_> = children.split_whitespace().map(str::to_owned).collect();
        assert!(!children.is_empty(), "nginx has workers");
        children
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = command(&self.directory).args(["-s", "stop"]).status();
        let _ = self.child.wait();
    }
}

fn command(directory: &TempDir) -> Command {
    let path = |name| directory.path().join(name).display().to_string();
    let mut command = Command::new("nginx");
    command.args(["-e", "stderr", "-p", &path(""), "-c", &path("nginx.conf")]);
    command.args(["-g", &format!("daemon off; pid {};", path("pid"))]);
    command
}

/// What the file says of each server.
const OF_EACH_NODE: &str = "max_fails=0";

/// The configuration that users copy.
pub(crate) const EXAMPLE: &str = include_str!("../../examples/nginx.conf");

/// Writes it with the addresses of this test, and with these lines on buffers.
fn configure(
    directory: &TempDir,
    address: SocketAddr,
    nodes: &[Node],
    lines: &str,
    of_each_node: &str,
) {
    let mut text = EXAMPLE.to_owned();
    let mut replace = |from: &str, to: &str| {
        assert_eq!(text.matches(from).count(), 1, "{from} stands in the file once");
        text = text.replace(from, to);
    };
    let servers = nodes.iter().map(|node| format!("server {} {of_each_node};\n", node.address));
    replace(&format!("server 127.0.0.1:8081 {OF_EACH_NODE};"), &servers.collect::<String>());
    replace(&format!("server 127.0.0.1:8082 {OF_EACH_NODE};"), "");
    replace("listen 127.0.0.1:8080;", &format!("listen {address};\n{lines}"));
    std::fs::write(directory.path().join("nginx.conf"), text).unwrap();
}
