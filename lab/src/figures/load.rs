//! Processor time and response time under a load that the machine carries with ease.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::Result;
use crate::client::Client;
use crate::cluster::Cluster;
use crate::process::cpu;
use crate::users::notes;

const CLIENTS: usize = 16;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Load {
    pub(crate) read: Kind,
    pub(crate) write: Kind,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Kind {
    pub(crate) requests: usize,
    /// Microseconds of processor time for each request, by process.
    pub(crate) proxy: f64,
    pub(crate) nodes: f64,
    pub(crate) store: f64,
    /// Milliseconds until the response.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

pub(crate) async fn measure(cluster: &Cluster, size: usize, quick: bool) -> Result<Load> {
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let mut client = Client::new(cluster.front.port());
        let form = format!("user=u{number}&notes={}", notes(size));
        client.post("/login", &form).await?;
        clients.push(client);
    }
    let (warm_up, time) = match (quick, cluster.is_tomcat()) {
        (true, _) => (500, 1000),
        (false, false) => (500, 2000),
        // Until the compiler of the virtual machine has seen it all.
        (false, true) => (4000, 2000),
    };
    let [warm_up, time] = [warm_up, time].map(Duration::from_millis);
    for write in [true, false] {
        (clients, _) = requests(clients, write, warm_up / 2, Duration::ZERO).await?;
    }
    let (clients, write) = kind(cluster, clients, true, time).await?;
    let (_, read) = kind(cluster, clients, false, time).await?;
    Ok(Load { read, write })
}

async fn kind(
    cluster: &Cluster,
    clients: Vec<Client>,
    write: bool,
    time: Duration,
) -> Result<(Vec<Client>, Kind)> {
    let store: Vec<u32> = cluster.redis.iter().flat_map(|redis| redis.ids()).collect();
    let ids = [cluster.front.ids(), cluster.node_ids(), store];
    let before = ids.each_ref().map(|ids| cpu(ids));
    let (clients, mut took) = requests(clients, write, time, Duration::from_millis(10)).await?;
    let after = ids.each_ref().map(|ids| cpu(ids));
    took.sort();
    let each = |i: usize| (after[i] - before[i]).as_secs_f64() * 1e6 / took.len().max(1) as f64;
    let at = |share: usize| {
        let took = took.get(took.len() * share / 100).copied().unwrap_or_default();
        took.as_secs_f64() * 1e3
    };
    let kind = Kind {
        requests: took.len(),
        proxy: each(0),
        nodes: each(1),
        store: each(2),
        p50: at(50),
        p99: at(99),
    };
    Ok((clients, kind))
}

async fn requests(
    clients: Vec<Client>,
    write: bool,
    time: Duration,
    pause: Duration,
) -> Result<(Vec<Client>, Vec<Duration>)> {
    let mut tasks = JoinSet::new();
    let until = Instant::now() + time;
    for mut client in clients {
        tasks.spawn(async move {
            let mut took = Vec::new();
            while Instant::now() < until {
                let answer = match write {
                    true => client.post("/cart", "item=1").await?,
                    false => client.get("/cart").await?,
                };
                took.push(answer.took);
                tokio::time::sleep(pause).await;
            }
            Result::Ok((client, took))
        });
    }
    let (mut clients, mut all) = (Vec::new(), Vec::new());
    while let Some(result) = tasks.join_next().await {
        let (client, took) = result??;
        clients.push(client);
        all.extend(took);
    }
    Ok((clients, all))
}
