//! Memory for many sessions, by process.

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

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Memory {
    pub(crate) sessions: usize,
    /// Bytes of all nodes; of a virtual machine, those of live objects.
    pub(crate) nodes: u64,
    /// Bytes of all nodes as the kernel counts them.
    pub(crate) resident: u64,
    pub(crate) store: u64,
}

/// Measures three nodes with no, 10,000 and 100,000 sessions.
pub(crate) async fn measure(system: System, folder: &Path, quick: bool) -> Result<Vec<Memory>> {
    // Sticky nodes keep what those of the status quo keep, and one Redis keeps what a cluster keeps six times.
    let same = matches!(
        system,
        System::IpHash
            | System::RouteCookie
            | System::Haproxy
            | System::RedisCluster
            | System::DeltaSynchronous
    );
    if quick || same {
        return Ok(Vec::new());
    }
    let cluster = Cluster::start(system, folder, Setup { nodes: 3, split: false }).await?;
    let mut all = vec![look(&cluster, 0).await?];
    let mut there = 0;
    for sessions in [10_000, 100_000] {
        log_in(&cluster, sessions - there).await?;
        there = sessions;
        tokio::time::sleep(Duration::from_secs(1)).await;
        all.push(look(&cluster, sessions).await?);
    }
    Ok(all)
}

async fn look(cluster: &Cluster, sessions: usize) -> Result<Memory> {
    let ids = cluster.node_ids();
    let store: Vec<u32> = cluster.redis.iter().flat_map(|redis| redis.ids()).collect();
    let resident = memory(&ids);
    let nodes = if cluster.is_tomcat() { live_heap(&ids).await? } else { resident };
    Ok(Memory { sessions, nodes, resident, store: memory(&store) })
}

async fn log_in(cluster: &Cluster, sessions: usize) -> Result<()> {
    const CLIENTS: usize = 16;
    let form = format!("user=u0&notes={}", notes(SIZE));
    let mut tasks = JoinSet::new();
    for number in 0..CLIENTS {
        let form = form.clone();
        let mut client = Client::new(cluster.front.port());
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
