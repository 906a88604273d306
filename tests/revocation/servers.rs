//! Real servers on free ports of the loopback, each ended by its own process when it is dropped.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::until;

/// One process of redis-server or redis-sentinel.
pub(crate) struct Server {
    pub(crate) port: u16,
    child: Child,
    folder: tempfile::TempDir,
    lines: String,
    sentinel: bool,
}

/// Ports that nobody has, as far as that can be known.
pub(crate) fn ports<const N: usize>() -> [u16; N] {
    let held = [(); N].map(|()| {
        loop {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            // A cluster's bus is 10,000 above.
            if port < 50_000 && TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok() {
                break listener;
            }
        }
    });
    held.map(|listener| listener.local_addr().unwrap().port())
}

impl Server {
    pub(crate) fn start(lines: &str) -> Self {
        let [port] = ports();
        Self::start_at(port, lines)
    }

    pub(crate) fn start_at(port: u16, lines: &str) -> Self {
        Self::spawn(port, lines, false)
    }

    /// A Sentinel that watches the master `main` at this port, with the least timeouts.
    pub(crate) fn sentinel(master: u16, quorum: usize) -> Self {
        let [port] = ports();
        let lines = format!(
            "sentinel monitor main 127.0.0.1 {master} {quorum}\n\
             sentinel down-after-milliseconds main 2000\n\
             sentinel failover-timeout main 5000\n"
        );
        Self::spawn(port, &lines, true)
    }

    fn spawn(port: u16, lines: &str, sentinel: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nlogfile log\n{lines}\n",
            folder.path().display()
        );
        if !sentinel {
            config.push_str("save \"\"\nappendonly no\nrepl-diskless-sync-delay 0\n");
        }
        fs::write(folder.path().join("config"), config).unwrap();
        let child = launch(&folder.path().join("config"), sentinel);
        let server = Self { port, child, folder, lines: lines.to_owned(), sentinel };
        until("the server answers", || server.try_call(&["PING"]).is_some());
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Kills it, as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again where it was, without what it knew.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.child = launch(&self.folder.path().join("config"), self.sentinel);
        until("the server answers", || self.try_call(&["PING"]).is_some());
    }

    /// Sends a signal: STOP, CONT.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
    }

    /// Calls a command; the answer as it stands on the wire.
    #[track_caller]
    pub(crate) fn call(&self, words: &[&str]) -> String {
        self.try_call(words).unwrap_or_else(|| panic!("{words:?}: no answer, {}", self.lines))
    }

    /// Returns the commands that it runs from now on, a line each.
    pub(crate) fn monitor(&self) -> impl Iterator<Item = String> + use<> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(b"MONITOR\r\n").unwrap();
        let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
        assert_eq!(lines.next().unwrap(), "+OK");
        lines
    }

    pub(crate) fn try_call(&self, words: &[&str]) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let mut text = format!("*{}\r\n", words.len());
        for word in words {
            write!(text, "${}\r\n{word}\r\n", word.len()).unwrap();
        }
        stream.write_all(text.as_bytes()).ok()?;
        let mut answer = String::new();
        read_answer(&mut BufReader::new(stream), &mut answer)?;
        (!answer.starts_with("-LOADING")).then(|| answer.trim_end().to_owned())
    }
}

/// Reads one answer or one command, as it stands on the wire.
pub(crate) fn read_answer(stream: &mut impl BufRead, out: &mut String) -> Option<()> {
    let mut line = String::new();
    stream.read_line(&mut line).ok().filter(|len| *len > 0)?;
    out.push_str(&line);
    let number = line.trim_end().get(1..).and_then(|number| number.parse::<i64>().ok());
    match (line.as_bytes()[0], number) {
        (b'$', Some(len)) if len >= 0 => {
            let mut bytes = vec![0; usize::try_from(len).unwrap() + 2];
            stream.read_exact(&mut bytes).ok()?;
            out.push_str(&String::from_utf8_lossy(&bytes));
        }
        (b'*', Some(len)) => (0..len).try_for_each(|_| read_answer(stream, out))?,
        _ => {}
    }
    Some(())
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn launch(config: &PathBuf, sentinel: bool) -> Child {
    let mut command = Command::new("redis-server");
    command.arg(config).stdout(Stdio::null()).stderr(Stdio::null());
    if sentinel {
        command.arg("--sentinel");
    }
    command.spawn().expect("redis-server is installed")
}

/// A master, a replica and three Sentinels.
pub(crate) struct Watched {
    pub(crate) servers: [Server; 2],
    pub(crate) sentinels: [Server; 3],
}

impl Watched {
    pub(crate) fn start() -> Self {
        let master = Server::start("");
        let replica = Server::start(&format!("replicaof 127.0.0.1 {}", master.port));
        until("the replica is up", || {
            master.call(&["INFO", "replication"]).contains("state=online")
        });
        let sentinels = [(); 3].map(|()| Server::sentinel(master.port, 2));
        for sentinel in &sentinels {
            until("the Sentinels know each other and the replica", || {
                let told = sentinel.call(&["INFO", "sentinel"]);
                told.contains("slaves=1,sentinels=3")
            });
        }
        Self { servers: [master, replica], sentinels }
    }

    pub(crate) fn url(&self) -> String {
        let hosts = self.sentinels.each_ref().map(|s| format!("127.0.0.1:{}", s.port)).join(",");
        format!("redis+sentinel://{hosts}/main")
    }
}

/// Three masters, each with a replica.
pub(crate) struct Cluster {
    pub(crate) servers: Vec<Server>,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let lines =
            "cluster-enabled yes\ncluster-node-timeout 2000\ncluster-replica-validity-factor 0\n";
        let servers: Vec<_> = ports::<6>().map(|port| Server::start_at(port, lines)).into();
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]);
        create.args(servers.iter().map(|server| format!("127.0.0.1:{}", server.port)));
        create.args(["--cluster-replicas", "1", "--cluster-yes"]);
        let created = create.output().unwrap();
        assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stdout));
        let cluster = Self { servers };
        for server in &cluster.servers {
            until("the cluster is up, with its replicas", || {
                let up = server.call(&["CLUSTER", "INFO"]).contains("cluster_state:ok");
                up && server.call(&["CLUSTER", "NODES"]).matches("slave ").count() == 3
            });
        }
        until("each master has its replica", || {
            let told = cluster.servers.iter().map(|server| server.call(&["INFO", "replication"]));
            told.filter(|told| told.contains("state=online")).count() == 3
        });
        cluster
    }

    pub(crate) fn url(&self) -> String {
        let hosts = self.servers.iter().map(|server| format!("127.0.0.1:{}", server.port));
        format!("redis+cluster://{}", hosts.collect::<Vec<_>>().join(","))
    }

    /// The master that holds a key, and its replica.
    pub(crate) fn holders(&self, key: &str) -> (usize, usize) {
        let holds = |server: &Server| {
            server.try_call(&["EXISTS", key]).is_some_and(|answer| answer == ":1")
        };
        let master = self.servers.iter().position(holds).expect("it is somewhere");
        let port = self.servers[master].port;
        let replica = self.servers.iter().position(|server| {
            let told = server.call(&["INFO", "replication"]);
            told.contains(&format!("master_port:{port}\r"))
        });
        (master, replica.expect("it has a replica"))
    }
}
