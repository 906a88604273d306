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
use crate::tomcat::live_heap;
use crate::users::notes;

/// The systems that differ in memory: sticky nodes keep what those of the status quo keep, and so on.
pub(crate) const SYSTEMS: [System; 5] =
    [System::IpHash, System::DeltaAsynchronous, System::Backup, System::Sealed, System::Redis];

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Memory {
    pub(crate) system: System,
    pub(crate) sessions: usize,
    /// Bytes of all nodes; of a virtual machine, those of live objects.
    pub(crate) nodes: u64,
    /// Bytes of all nodes as the kernel counts them.
    pub(crate) resident: u64,
    pub(crate) store: u64,
}

/// Measures three nodes with no, 10,000 and 100,000 sessions.
pub(crate) async fn measure(system: System, folder: &Path) -> Result<Vec<Memory>> {
    let cluster = Cluster::start(system, folder, Setup { nodes: 3, split: false }).await?;
    let mut all = vec![look(system, &cluster, 0).await?];
    let mut there = 0;
    for sessions in [10_000, 100_000] {
        log_in(&cluster, sessions - there).await?;
        there = sessions;
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
    Ok(Memory { system, sessions, nodes, resident, store: memory(&store) })
}

async fn log_in(cluster: &Cluster, sessions: usize) -> Result<()> {
    const CLIENTS: usize = 16;
    let form = format!("user=u0&notes={}", notes(SIZE));
    let mut tasks = JoinSet::new();
    for number in 0..CLIENTS {
        let form = form.clone();
        let network = Ipv4Addr::new(127, 1, u8::try_from(number)?, 1);
        let mut client = Client::from_address(cluster.front.port(), network);
        tasks.spawn(async move {
            for _ in (number..sessions).step_by(CLIENTS) {
                let answer = client.post("/login", &form).await?;
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
