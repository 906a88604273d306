//! Memory for many sessions, by process.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::Result;
use crate::client::Client;
use crate::cluster::{Cluster, Setup, System};
use crate::events::SIZE;
use crate::process::memory;
use crate::tomcat::{application_path, live_heap};
use crate::users::notes;

/// The systems that differ in memory: sticky nodes keep what those of the status quo keep, and so on.
pub(crate) const SYSTEMS: [System; 5] =
    [System::IpHash, System::DeltaAsynchronous, System::Backup, System::Sealed, System::Redis];

/// At each login, BackupManager walks over all sessions of an application to count them, so that 100,000 logins take the
/// square of that. Ten applications of 10,000 sessions have as many.
pub(crate) const APPLICATIONS: usize = 10;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Memory {
    pub(crate) system: System,
    pub(crate) sessions: usize,
    /// Bytes of all nodes; of a virtual machine, those of live objects.
    pub(crate) nodes: u64,
    /// Bytes of all nodes as the kernel counts them.
    pub(crate) resident: u64,
    pub(crate) store: u64,
    #[serde(default)]
    pub(crate) proxy: u64,
}

/// Measures three nodes with no, 10,000 and 100,000 sessions.
pub(crate) async fn measure(system: System, folder: &Path) -> Result<Vec<Memory>> {
    let applications = if system == System::Backup { APPLICATIONS } else { 1 };
    let setup = Setup { applications, ..Setup::of(3) };
    let cluster = Cluster::start(system, folder, setup).await?;
    let mut all = vec![look(system, &cluster, 0).await?];
    let first = vec!["/login".to_owned()];
    let rest = match applications {
        1 => first.clone(),
        _ => (1..applications).map(|i| application_path(i) + "/login").collect(),
    };
    for (sessions, more, paths) in [(10_000, 10_000, first), (100_000, 90_000, rest)] {
        log_in(&cluster, more, &paths).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        all.push(look(system, &cluster, sessions).await?);
    }
    Ok(all)
}

async fn look(system: System, cluster: &Cluster, sessions: usize) -> Result<Memory> {
    let ids = cluster.node_ids();
    let store: Vec<u32> = cluster.redis.iter().flat_map(|redis| redis.ids()).collect();
    let resident = memory(&ids);
    let nodes = if cluster.is_tomcat() { live_heap(&ids).await? } else { resident };
    let (store, proxy) = (memory(&store), memory(&cluster.front.ids()));
    Ok(Memory { system, sessions, nodes, resident, store, proxy })
}

async fn log_in(cluster: &Cluster, sessions: usize, paths: &[String]) -> Result<()> {
    const CLIENTS: usize = 16;
    let form = format!("user=u0&notes={}", notes(SIZE));
    let mut tasks = JoinSet::new();
    for number in 0..CLIENTS {
        let (form, paths) = (form.clone(), paths.to_vec());
        let network = Ipv4Addr::new(127, 1, u8::try_from(number)?, 1);
        let mut client = Client::from_address(cluster.front.port(), network);
        tasks.spawn(async move {
            let paths = paths.iter().cycle().skip(number);
            for (_, path) in (number..sessions).step_by(CLIENTS).zip(paths) {
                let answer = client.post(path, &form).await?;
                if answer.status != 200 {
                    return Err(format!("login: {answer:?}").into());
                }
                client.forget_cookies();
            }
            Result::Ok(())
        });
    }
    while let Some(result) = tasks.join_next().await {
        result??;
    }
    Ok(())
}
