//! Redis: one server, with or without a file of what was written; one with a replica, watched by Sentinels; or a cluster
//! of three with replicas.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::Result;
use crate::process::{self, Process, free_port};

/// After this time a cluster, or Sentinels, hold a silent master for dead. The defaults are 15 s and 30 s.
pub(crate) const NODE_TIMEOUT: Duration = Duration::from_secs(2);

/// How many servers there are, and who decides which one is the master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Single,
    Sentinels,
    Cluster,
}

/// What the Sentinels call the master.
const SERVICE: &str = "sessions";

#[derive(Debug)]
pub(crate) struct Redis {
    folder: PathBuf,
    ports: Vec<u16>,
    /// Where the servers of a cluster talk to each other; or where the Sentinels listen.
    buses: Vec<u16>,
    kind: Kind,
    /// In the order of the ports; those of a cluster begin with the masters.
    servers: Vec<Option<Process>>,
    sentinels: Vec<Process>,
}

impl Redis {
    pub(crate) async fn single(folder: &Path) -> Result<Self> {
        let mut redis = Self::new(folder, Kind::Single, 1)?;
        redis.servers.push(Some(redis.launch(0, false)?));
        redis.until_it_answers(0).await?;
        Ok(redis)
    }

    pub(crate) async fn cluster(folder: &Path) -> Result<Self> {
        let mut redis = Self::new(folder, Kind::Cluster, 6)?;
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
                let replication = redis.command(redis.ports[i], &["info", "replication"]).await?;
                let cluster = redis.command(redis.ports[i], &["cluster", "info"]).await?;
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

    /// Starts a master, its replica, and three Sentinels, and waits until all know each other.
    pub(crate) async fn sentinels(folder: &Path) -> Result<Self> {
        let mut redis = Self::new(folder, Kind::Sentinels, 2)?;
        for i in 0..2 {
            redis.servers.push(Some(redis.launch(i, false)?));
            redis.until_it_answers(i).await?;
        }
        let port = redis.ports[0].to_string();
        redis.command(redis.ports[1], &["replicaof", "127.0.0.1", &port]).await?;
        for (i, sentinel) in redis.buses.iter().enumerate() {
            let timeout = NODE_TIMEOUT.as_millis();
            let lines = format!(
                "port {sentinel}\nbind 127.0.0.1\nsentinel monitor {SERVICE} 127.0.0.1 {port} 2\n\
                 sentinel down-after-milliseconds {SERVICE} {timeout}\n\
                 sentinel failover-timeout {SERVICE} 10000\n"
            );
            let name = format!("sentinel{}", i + 1);
            let file = format!("{name}.conf");
            fs::write(folder.join(&file), lines)?;
            let command = ["redis-server", &file, "--sentinel"];
            redis.sentinels.push(Process::start(&name, folder, &command)?);
        }
        redis.until_replicated().await?;
        Ok(redis)
    }

    /// Waits until the master has its replica, and the Sentinels know of it.
    pub(crate) async fn until_replicated(&self) -> Result<()> {
        let since = Instant::now();
        while !self.sentinels_agree().await? {
            if since.elapsed() > Duration::from_secs(30) {
                return Err("the Sentinels do not find each other and the replica".into());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    async fn sentinels_agree(&self) -> Result<bool> {
        for sentinel in &self.buses {
            let info = self.command(*sentinel, &["info", "sentinel"]).await.unwrap_or_default();
            if !info.contains("status=ok") || !info.contains("slaves=1,sentinels=3") {
                return Ok(false);
            }
        }
        // While they change over, they may know no master, or one that is none of ours.
        let Ok(master) = self.master().await else { return Ok(false) };
        let replica = 1 - master;
        let replica = self.command(self.ports[replica], &["info", "replication"]).await;
        Ok(replica.is_ok_and(|replica| replica.contains("master_link_status:up")))
    }

    fn new(folder: &Path, kind: Kind, servers: usize) -> Result<Self> {
        let ports = |count| (0..count).map(|_| free_port()).collect::<Result<Vec<_>>>();
        let buses = if kind == Kind::Sentinels { 3 } else { servers };
        Ok(Self {
            folder: folder.into(),
            ports: ports(servers)?,
            buses: ports(buses)?,
            kind,
            servers: vec![],
            sentinels: vec![],
        })
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
        // What is acknowledged is in the file. By default the last second may not be.
        command.extend(["--appenddirname", &append, "--appendfsync", "always"]);
        let timeout = NODE_TIMEOUT.as_millis().to_string();
        let bus = self.buses[i].to_string();
        if self.kind == Kind::Cluster {
            command.extend(["--cluster-enabled", "yes", "--cluster-config-file", &nodes]);
            command.extend(["--cluster-node-timeout", &timeout, "--cluster-port", &bus]);
        }
        Process::start(&format!("redis{}", i + 1), &self.folder, &command)
    }

    /// Returns the address for fred.
    pub(crate) fn url(&self) -> String {
        let (scheme, ports, service) = match self.kind {
            Kind::Single => ("redis", &self.ports, String::new()),
            Kind::Cluster => ("redis-cluster", &self.ports, String::new()),
            Kind::Sentinels => {
                ("redis-sentinel", &self.buses, format!("&sentinelServiceName={SERVICE}"))
            }
        };
        let mut url = format!("{scheme}://127.0.0.1:{}", ports[0]);
        for (i, port) in ports.iter().enumerate().skip(1) {
            url += &format!("{}node=127.0.0.1:{port}", if i == 1 { '?' } else { '&' });
        }
        url + &service
    }

    pub(crate) fn has_sentinels(&self) -> bool {
        self.kind == Kind::Sentinels
    }

    pub(crate) fn ids(&self) -> Vec<u32> {
        self.servers.iter().flatten().chain(&self.sentinels).map(Process::id).collect()
    }

    /// Returns the ids of what watches the servers, and carries nothing.
    pub(crate) fn watchers(&self) -> Vec<u32> {
        self.sentinels.iter().map(Process::id).collect()
    }

    /// Returns the ports by which the servers of a cluster, or the Sentinels, tell each other how they are.
    pub(crate) fn buses(&self) -> &[u16] {
        &self.buses
    }

    /// Returns the number of a server that is a master now.
    pub(crate) async fn master(&self) -> Result<usize> {
        if self.kind == Kind::Sentinels {
            let ask = ["sentinel", "get-master-addr-by-name", SERVICE];
            let address = self.command(self.buses[0], &ask).await?;
            let port: u16 = address.lines().nth(1).unwrap_or_default().trim().parse()?;
            let found = self.ports.iter().position(|known| *known == port);
            return Ok(found.ok_or("the Sentinels know another master")?);
        }
        for i in 0..self.ports.len() {
            if self
                .command(self.ports[i], &["role"])
                .await
                .is_ok_and(|role| role.starts_with("master"))
            {
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
        self.command(self.ports[0], &["config", "set", "appendonly", "yes"]).await?;
        let since = Instant::now();
        loop {
            let info = self.command(self.ports[0], &["info", "persistence"]).await?;
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
            if self
                .command(self.ports[i], &["ping"])
                .await
                .is_ok_and(|answer| answer.contains("PONG"))
            {
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

    async fn command(&self, port: u16, command: &[&str]) -> Result<String> {
        let port = port.to_string();
        let mut line = vec!["redis-cli", "-p", &port];
        line.extend(command);
        process::output(&line).await
    }
}
