//! A logout, and then the old cookie again: for how long some node takes it.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::client::Client;
use crate::cluster::{Cluster, System};
use crate::events::SIZE;
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

pub(crate) async fn measure(system: System, cluster: &Cluster) -> Result<Logout> {
    let (mut took, mut never) = (Vec::new(), 0);
    while took.len() < 40 && never < 3 {
        match round(system, cluster).await? {
            Some(time) => took.push(time.as_secs_f64() * 1e3),
            None => never += 1,
        }
    }
    took.sort_by(f64::total_cmp);
    let rounds = took.len() + never;
    let p50 = took.get(took.len() / 2).copied().unwrap_or_default();
    Ok(Logout { rounds, never, p50, most: took.last().copied().unwrap_or_default() })
}

async fn round(system: System, cluster: &Cluster) -> Result<Option<Duration>> {
    let mut user = Client::new(cluster.front.port());
    user.post("/login", &format!("user=u0&notes={}", notes(SIZE))).await?;
    // Until it is where it will be.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let thief = user.copy_for(cluster.front.port());
    // In the status quo only one node has the session, so all are asked to end it.
    let logouts = if system == System::StatusQuo { cluster.running().len() } else { 1 };
    for _ in 0..logouts {
        user.share_cookies(&thief);
        user.post("/logout", "").await?;
    }
    let since = Instant::now();
    let mut last = None;
    for i in cluster.running() {
        let port = cluster.port(i);
        while taken(&thief, port).await? {
            last = Some(since.elapsed());
            if since.elapsed() > PATIENCE {
                return Ok(None);
            }
        }
    }
    Ok(Some(last.unwrap_or_default()))
}

async fn taken(thief: &Client, port: u16) -> Result<bool> {
    Ok(thief.copy_for(port).get("/cart").await?.status == 200)
}
