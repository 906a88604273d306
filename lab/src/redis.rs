//! Redis: one server, with or without a file of what was written, or a cluster of three with replicas.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::Result;
use crate::process::{self, Process, free_port};

/// After this time a cluster holds a silent master for dead. The default is 15 s.
pub(crate) const NODE_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(crate) struct Redis {
    folder: PathBuf,
    ports: Vec<u16>,
    /// Where the servers of a cluster talk to each other.
    buses: Vec<u16>,
    cluster: bool,
    /// In the order of the ports; those of a cluster begin with the masters.
    servers: Vec<Option<Process>>,
}

impl Redis {
    pub(crate) async fn single(folder: &Path) -> Result<Self> {
        let mut redis = Self::new(folder, 1)?;
        redis.servers.push(Some(redis.launch(0, false)?));
        redis.until_it_answers(0).await?;
        Ok(redis)
    }

    pub(crate) async fn cluster(folder: &Path) -> Result<Self> {
        let mut redis = Self::new(folder, 6)?;
        for i in 0..6 {
            redis.servers.push(Some(redis.launch(i, false)?));
        }
        for i in 0..6 {
            redis.until_it_answers(i).await?;
        }
        let addresses: Vec<_> =
            redis.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let mut create = vec!["redis-cli", "--cluster", "create"];
        create.extend(addresses.iter().map(String::as_str));
        create.extend(["--cluster-replicas", "1", "--cluster-yes"]);
        process::output(&create).await?;
        let since = Instant::now();
        loop {
            let mut linked = 0;
            for i in 0..6 {
                let replication = redis.command(i, &["info", "replication"]).await?;
                let cluster = redis.command(i, &["cluster", "info"]).await?;
                linked += usize::from(
                    replication.contains("master_link_status:up")
                        && cluster.contains("cluster_state:ok"),
                );
            }
            if linked == 3 {
                return Ok(redis);
            }
            if since.elapsed() > Duration::from_secs(30) {
                return Err("the cluster of Redis does not get its replicas".into());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn new(folder: &Path, servers: usize) -> Result<Self> {
        let ports = || (0..servers).map(|_| free_port()).collect::<Result<Vec<_>>>();
        let (ports, buses) = (ports()?, ports()?);
        Ok(Self { folder: folder.into(), ports, buses, cluster: servers > 1, servers: vec![] })
    }

    fn launch(&self, i: usize, append_only: bool) -> Result<Process> {
        let port = self.ports[i].to_string();
        let nodes = format!("nodes-{port}.conf");
        let dump = format!("dump-{port}.rdb");
        let append = format!("append-{port}");
        let append_only = if append_only { "yes" } else { "no" };
        let mut command =
            vec!["redis-server", "--port", &port, "--bind", "127.0.0.1", "--save", ""];
        command.extend(["--dbfilename", &dump, "--appendonly", append_only]);
        command.extend(["--appenddirname", &append]);
        let timeout = NODE_TIMEOUT.as_millis().to_string();
        let bus = self.buses[i].to_string();
        if self.cluster {
            command.extend(["--cluster-enabled", "yes", "--cluster-config-file", &nodes]);
            command.extend(["--cluster-node-timeout", &timeout, "--cluster-port", &bus]);
        }
        Process::start(&format!("redis{}", i + 1), &self.folder, &command)
    }

    /// Returns the address for fred.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.cluster { "redis-cluster" } else { "redis" };
        let mut url = format!("{scheme}://127.0.0.1:{}", self.ports[0]);
        for (i, port) in self.ports.iter().enumerate().skip(1) {
            url += &format!("{}node=127.0.0.1:{port}", if i == 1 { '?' } else { '&' });
        }
        url
    }

    pub(crate) fn ids(&self) -> Vec<u32> {
        self.servers.iter().flatten().map(Process::id).collect()
    }

    /// Returns the ports by which the servers of a cluster tell each other how they are.
    pub(crate) fn buses(&self) -> &[u16] {
        &self.buses
    }

    /// Returns the number of a server that is a master now.
    pub(crate) async fn master(&self) -> Result<usize> {
        for i in 0..self.ports.len() {
            if self.command(i, &["role"]).await.is_ok_and(|role| role.starts_with("master")) {
                return Ok(i);
            }
        }
        Err("Redis has no master".into())
    }

    pub(crate) fn server(&self, i: usize) -> Option<&Process> {
        self.servers[i].as_ref()
    }

    pub(crate) fn kill(&mut self, i: usize) {
        self.servers[i] = None;
    }

    pub(crate) async fn start(&mut self, i: usize, append_only: bool) -> Result<()> {
        self.servers[i] = Some(self.launch(i, append_only)?);
        self.until_it_answers(i).await
    }

    /// Writes all from now on to a file, and waits until what is there is in it.
    pub(crate) async fn persist(&self) -> Result<()> {
        self.command(0, &["config", "set", "appendonly", "yes"]).await?;
        let since = Instant::now();
        loop {
            let info = self.command(0, &["info", "persistence"]).await?;
            if info.contains("aof_rewrite_in_progress:0") && info.contains("aof_enabled:1") {
                return Ok(());
            }
            if since.elapsed() > Duration::from_secs(20) {
                return Err("Redis does not write its file".into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn until_it_answers(&mut self, i: usize) -> Result<()> {
        let since = Instant::now();
        loop {
            if self.command(i, &["ping"]).await.is_ok_and(|answer| answer.contains("PONG")) {
                return Ok(());
            }
            if let Some(server) = &mut self.servers[i] {
                server.check()?;
            }
            if since.elapsed() > Duration::from_secs(20) {
                return Err("Redis does not answer".into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn command(&self, i: usize, command: &[&str]) -> Result<String> {
        let port = self.ports[i].to_string();
        let mut line = vec!["redis-cli", "-p", &port];
        line.extend(command);
        process::output(&line).await
    }
}
