//! A logout, and then the old cookie again: for how long some node takes it.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::Result;
use crate::client::Client;
use crate::cluster::Cluster;
use crate::users::notes;

/// A node that takes the old cookie for so long takes it until it expires.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Logout {
    pub(crate) rounds: usize,
    /// In so many rounds the old cookie was still taken at the end.
    pub(crate) never: usize,
    /// Milliseconds from the response to the logout until the last node refused, in the other rounds.
    pub(crate) p50: f64,
    pub(crate) most: f64,
}

pub(crate) async fn measure(cluster: &Cluster, size: usize) -> Result<Logout> {
    let (mut took, mut never) = (Vec::new(), 0);
    while took.len() < 40 && never < 3 {
        match round(cluster, size).await? {
            Some(time) => took.push(time.as_secs_f64() * 1e3),
            None => never += 1,
        }
    }
    took.sort_by(f64::total_cmp);
    let rounds = took.len() + never;
    let p50 = took.get(took.len() / 2).copied().unwrap_or_default();
    Ok(Logout { rounds, never, p50, most: took.last().copied().unwrap_or_default() })
}

async fn round(cluster: &Cluster, size: usize) -> Result<Option<Duration>> {
    let mut user = Client::new(cluster.front.port());
    user.post("/login", &format!("user=u0&notes={}", notes(size))).await?;
    // Until it is where it will be.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let thief = user.copy_for(cluster.front.port());
    user.share_cookies(&thief);
    user.post("/logout", "").await?;
    let since = Instant::now();
    let mut nodes = JoinSet::new();
    for i in cluster.running() {
        let (thief, port) = (thief.copy_for(cluster.port(i)), cluster.port(i));
        nodes.spawn(async move {
            let mut last = Duration::ZERO;
            while last < PATIENCE && taken(&thief, port).await? {
                last = since.elapsed();
            }
            Result::Ok(last)
        });
    }
    let mut last = Duration::ZERO;
    while let Some(node) = nodes.join_next().await {
        last = last.max(node??);
    }
    Ok((last < PATIENCE).then_some(last))
}

async fn taken(thief: &Client, port: u16) -> Result<bool> {
    Ok(thief.copy_for(port).get("/cart").await?.status == 200)
}
