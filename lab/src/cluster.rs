//! A system under test: nodes, what is between them, and the proxy in front.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use sealed_session::{Key, KeyFile};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::client::Client;
use crate::events::SIZE;
use crate::front::{Balance, Front, Role};
use crate::process::{Process, free_port};
use crate::redis::Redis;
use crate::tomcat::{Compiler, Replication, Tomcats};

/// The ways to keep sessions that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum System {
    StatusQuo,
    DeltaAsynchronous,
    DeltaSynchronous,
    Backup,
    Sealed,
    Revocable,
    Overflow,
    IpHash,
    RouteCookie,
    Haproxy,
    Redis,
    RedisSentinel,
    RedisCluster,
}

impl System {
    pub(crate) const ALL: [Self; 13] = [
        Self::StatusQuo,
        Self::DeltaAsynchronous,
        Self::DeltaSynchronous,
        Self::Backup,
        Self::Sealed,
        Self::Revocable,
        Self::Overflow,
        Self::IpHash,
        Self::RouteCookie,
        Self::Haproxy,
        Self::Redis,
        Self::RedisSentinel,
        Self::RedisCluster,
    ];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::StatusQuo => "status quo: round robin, in memory",
            Self::DeltaAsynchronous => "Tomcat DeltaManager, asynchronous",
            Self::DeltaSynchronous => "Tomcat DeltaManager, synchronous",
            Self::Backup => "Tomcat BackupManager",
            Self::Sealed => "**sealed-session**",
            Self::Revocable => "**sealed-session** with revocation",
            Self::Overflow => "**sealed-session** with overflow, 8 KB",
            Self::IpHash => "sticky: nginx `ip_hash`",
            Self::RouteCookie => "sticky: nginx `hash $cookie consistent`",
            Self::Haproxy => "sticky: HAProxy `cookie insert`",
            Self::Redis => "central: Redis",
            Self::RedisSentinel => "central: Redis with Sentinel",
            Self::RedisCluster => "central: Redis Cluster",
        }
    }

    /// Bytes of a session, where nothing else is said: what fits into one cookie, or does not.
    pub(crate) fn size(self) -> usize {
        if self == Self::Overflow { 8000 } else { SIZE }
    }

    pub(crate) fn balance(self) -> Balance {
        match self {
            Self::IpHash => Balance::IpHash,
            Self::RouteCookie => Balance::RouteCookie,
            Self::Haproxy => Balance::HaproxyCookie,
            _ => Balance::RoundRobin,
        }
    }

    pub(crate) fn replication(self) -> Option<Replication> {
        match self {
            Self::DeltaAsynchronous => Some(Replication::DeltaAsynchronous),
            Self::DeltaSynchronous => Some(Replication::DeltaSynchronous),
            Self::Backup => Some(Replication::Backup),
            _ => None,
        }
    }
}

/// What carries the sessions of nodes in axum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Carrier {
    Memory,
    Redis,
    Sealed,
    /// Sealed, and what is revoked goes from node to node by Redis.
    Revocable,
    /// Sealed; what does not fit into a cookie is in Redis, and its key in the cookie.
    Overflow,
    /// Of the phases between the last two.
    Both(&'static str),
}

/// No more nodes than these are ever there.
pub(crate) const MOST: usize = 4;

/// What is asked of a cluster when it is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup {
    pub(crate) nodes: usize,
    /// Sessions take more than one cookie, and the proxy is configured for that.
    pub(crate) split: bool,
    pub(crate) compiler: Compiler,
    /// So many applications, each with sessions of its own. Only Tomcat has more than one.
    pub(crate) applications: usize,
}

impl Setup {
    /// Creates what is asked of most clusters: times are not measured.
    pub(crate) fn of(nodes: usize) -> Self {
        Self { nodes, split: false, compiler: Compiler::Quick, applications: 1 }
    }
}

#[derive(Debug)]
pub(crate) struct Cluster {
    folder: PathBuf,
    ports: Vec<u16>,
    roles: Vec<Role>,
    split: bool,
    pub(crate) nodes: Vec<Option<Process>>,
    pub(crate) front: Front,
    pub(crate) redis: Option<Redis>,
    tomcats: Option<Tomcats>,
    pub(crate) carrier: Carrier,
}

const LINES_16K: &str =
    "proxy_buffer_size 16k; proxy_buffers 8 16k; large_client_header_buffers 4 16k;";

impl Cluster {
    pub(crate) async fn start(system: System, folder: &Path, setup: Setup) -> Result<Self> {
        let carrier = match system {
            System::Sealed => Carrier::Sealed,
            System::Revocable => Carrier::Revocable,
            System::Overflow => Carrier::Overflow,
            System::Redis | System::RedisSentinel | System::RedisCluster => Carrier::Redis,
            _ => Carrier::Memory,
        };
        fs::create_dir_all(folder)?;
        let redis = match system {
            System::Redis | System::Revocable | System::Overflow => {
                Some(Redis::single(folder).await?)
            }
            System::RedisSentinel => Some(Redis::sentinels(folder).await?),
            System::RedisCluster => Some(Redis::cluster(folder).await?),
            _ => None,
        };
        let tomcats = match system.replication() {
            Some(replication) => Some(Tomcats::new(replication, setup, folder, MOST).await?),
            None => None,
        };
        Self::build(carrier, system.balance(), folder, setup, redis, tomcats).await
    }

    /// Starts nodes in axum before which the carrier can change.
    pub(crate) async fn start_of(
        carrier: Carrier,
        balance: Balance,
        folder: &Path,
        setup: Setup,
    ) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let redis =
            if carrier == Carrier::Redis { Some(Redis::single(folder).await?) } else { None };
        Self::build(carrier, balance, folder, setup, redis, None).await
    }

    async fn build(
        carrier: Carrier,
        balance: Balance,
        folder: &Path,
        setup: Setup,
        redis: Option<Redis>,
        tomcats: Option<Tomcats>,
    ) -> Result<Self> {
        KeyFile::new(Key::generate()?).create(folder.join("keys.toml"))?;
        let ports = (0..MOST).map(|_| free_port()).collect::<Result<Vec<_>>>()?;
        let roles = vec![Role::Gone; MOST];
        let lines = if setup.split { LINES_16K } else { "" };
        let front = Front::start(balance, folder, &ports, &roles_of(setup.nodes), lines).await?;
        let nodes = (0..MOST).map(|_| None).collect();
        let split = setup.split;
        let folder = folder.into();
        let mut cluster =
            Self { folder, ports, roles, split, nodes, front, redis, tomcats, carrier };
        // One after another: two Tomcats that start at once wait a minute for each other.
        for i in 0..setup.nodes {
            cluster.start_node(i, 1).await?;
        }
        cluster.set_all(&roles_of(setup.nodes)).await?;
        Ok(cluster)
    }

    /// Starts node `i` in this release, and waits until it serves.
    pub(crate) async fn start_node(&mut self, i: usize, release: u32) -> Result<()> {
        let port = self.ports[i];
        let mut process = match &self.tomcats {
            Some(tomcats) => tomcats.start(i, port, release)?,
            None => self.start_axum(i, port, release)?,
        };
        let since = Instant::now();
        loop {
            process.check()?;
            if Client::new(port).get("/ready").await.is_ok_and(|answer| answer.status == 200) {
                break;
            }
            if since.elapsed() > Duration::from_secs(90) {
                return Err(format!("node {} does not answer", i + 1).into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.nodes[i] = Some(process);
        Ok(())
    }

    fn start_axum(&self, i: usize, port: u16, release: u32) -> Result<Process> {
        let program = std::env::current_exe()?;
        let (program, keys) = (program.to_string_lossy(), self.folder.join("keys.toml"));
        let (keys, url) = (keys.to_string_lossy(), self.redis.as_ref().map(Redis::url));
        let url = url.as_deref().unwrap_or_default();
        let (name, port, release) = (format!("n{}", i + 1), port.to_string(), release.to_string());
        let mut command = vec![&*program, "node", &name, &port, &release];
        match &self.carrier {
            Carrier::Memory => command.push("memory"),
            Carrier::Redis => command.extend(["redis", url]),
            Carrier::Sealed => command.extend(["sealed", &keys]),
            Carrier::Revocable => command.extend(["revocable", &keys, url]),
            Carrier::Overflow => command.extend(["overflow", &keys, url]),
            Carrier::Both(phase) => command.extend(["both", phase, &keys, url]),
        }
        if self.carrier == Carrier::Sealed && self.split {
            command.push("split");
        }
        Process::start(&name, &self.folder, &command)
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.folder.join("keys.toml")
    }

    pub(crate) fn port(&self, i: usize) -> u16 {
        self.ports[i]
    }

    pub(crate) fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// Returns the numbers of the nodes that run.
    pub(crate) fn running(&self) -> Vec<usize> {
        (0..MOST).filter(|i| self.nodes[*i].is_some()).collect()
    }

    pub(crate) fn node_ids(&self) -> Vec<u32> {
        self.nodes.iter().flatten().map(Process::id).collect()
    }

    pub(crate) fn is_tomcat(&self) -> bool {
        self.tomcats.is_some()
    }

    pub(crate) async fn set(&mut self, i: usize, role: Role) -> Result<()> {
        self.roles[i] = role;
        self.front.set(&self.roles).await
    }

    pub(crate) async fn set_all(&mut self, roles: &[Role]) -> Result<()> {
        self.roles = roles.to_vec();
        self.front.set(roles).await
    }

    /// Starts nodes until there are so many.
    pub(crate) async fn grow(&mut self, nodes: usize) -> Result<()> {
        for i in self.running().len()..nodes {
            self.start_node(i, 1).await?;
            self.set(i, Role::Serves).await?;
        }
        Ok(())
    }

    pub(crate) fn kill(&mut self, i: usize) {
        self.nodes[i] = None;
    }

    /// Takes the node from the proxy, lets it finish, ends it.
    pub(crate) async fn retire(&mut self, i: usize, role: Role) -> Result<()> {
        self.set(i, role).await?;
        tokio::time::sleep(Duration::from_millis(300)).await;
        if let Some(node) = self.nodes[i].take() {
            node.terminate(Duration::from_secs(10)).await;
        }
        Ok(())
    }

    /// Brings each node in turn to this release.
    pub(crate) async fn deploy(&mut self, release: u32) -> Result<()> {
        for i in self.running() {
            self.retire(i, Role::Down).await?;
            self.start_node(i, release).await?;
            self.set(i, Role::Serves).await?;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        Ok(())
    }

    pub(crate) fn pause(&self, i: usize) {
        self.nodes[i].iter().for_each(|node| node.signal(Signal::STOP));
    }

    pub(crate) fn resume(&self, i: usize) {
        self.nodes[i].iter().for_each(|node| node.signal(Signal::CONT));
    }
}

fn roles_of(nodes: usize) -> Vec<Role> {
    (0..MOST).map(|i| if i < nodes { Role::Serves } else { Role::Gone }).collect()
}
