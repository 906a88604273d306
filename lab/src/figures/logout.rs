//! A logout, and then the old cookie again: for how long some node takes it.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::Result;
use crate::client::Client;
use crate::cluster::Cluster;
use crate::users::notes;

/// A node that takes the old cookie for so long takes it until it expires.
const PATIENCE: Duration = Duration::from_secs(5);

/// So many rounds are made one after another, where a logout holds.
const ROUNDS: usize = 40;

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
    let [a, b, c] = &mut *users(cluster, size, 3).await? else { return Err("no users".into()) };
    // At once, as each of them lasts as long as our patience where a logout does not hold at all.
    let first = tokio::join!(round(cluster, a), round(cluster, b), round(cluster, c));
    let mut rounds = vec![first.0?, first.1?, first.2?];
    if rounds.iter().all(Option::is_some) {
        rounds.clear();
        for user in &mut users(cluster, size, ROUNDS).await? {
            rounds.push(round(cluster, user).await?);
        }
    }
    let mut took: Vec<_> = rounds.iter().flatten().map(|time| time.as_secs_f64() * 1e3).collect();
    took.sort_by(f64::total_cmp);
    Ok(Logout {
        rounds: rounds.len(),
        never: rounds.len() - took.len(),
        p50: took.get(took.len() / 2).copied().unwrap_or_default(),
        most: took.last().copied().unwrap_or_default(),
    })
}

/// Returns users who are logged in, for long enough that their sessions are where they will be.
async fn users(cluster: &Cluster, size: usize, count: usize) -> Result<Vec<Client>> {
    let mut users = Vec::new();
    for number in 0..count {
        let mut user = Client::new(cluster.front.port());
        user.post("/login", &format!("user=u{number}&notes={}", notes(size))).await?;
        users.push(user);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    Ok(users)
}

async fn round(cluster: &Cluster, user: &mut Client) -> Result<Option<Duration>> {
    let thief = user.copy_for(0);
    user.post("/logout", "").await?;
    let since = Instant::now();
    let mut nodes = JoinSet::new();
    for i in cluster.running() {
        let (stolen, mut thief) = (thief.copy_for(0), thief.copy_for(cluster.port(i)));
        nodes.spawn(async move {
            let mut last = Duration::ZERO;
            while last < PATIENCE && thief.get("/cart").await?.status == 200 {
                last = since.elapsed();
                // Whatever the answer set: it is the old cookie that is tried.
                thief.share_cookies(&stolen);
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
