//! Two tabs of one browser that change the session at the same time.

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::Result;
use crate::client::Client;
use crate::cluster::Cluster;
use crate::users::notes;

const USERS: usize = 20;
const ROUNDS: u64 = 10;
/// Milliseconds that each handler waits for something else, such as a database.
pub(crate) const WORK: u64 = 20;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Tabs {
    pub(crate) writes: u64,
    pub(crate) lost: u64,
    /// Users who were logged out; their changes are not counted.
    pub(crate) logged_out: usize,
}

pub(crate) async fn measure(cluster: &Cluster, size: usize) -> Result<Tabs> {
    let port = cluster.front.port();
    let mut users = JoinSet::new();
    for _ in 0..USERS {
        users.spawn(two_tabs(port, size));
    }
    let mut tabs = Tabs { writes: 0, lost: 0, logged_out: 0 };
    while let Some(count) = users.join_next().await {
        match count?? {
            Some(count) => {
                tabs.writes += 2 * ROUNDS;
                tabs.lost += (2 * ROUNDS).saturating_sub(count);
            }
            None => tabs.logged_out += 1,
        }
    }
    Ok(tabs)
}

/// Returns how many of the changes are there in the end.
async fn two_tabs(port: u16, size: usize) -> Result<Option<u64>> {
    let mut one = Client::new(port);
    one.post("/login", &format!("user=u0&notes={}", notes(size))).await?;
    let mut two = one.copy_for(port);
    let form = format!("item=1&work={WORK}");
    for _ in 0..ROUNDS {
        two.share_cookies(&one);
        let (first, second) = tokio::join!(one.post("/cart", &form), two.post("/cart", &form));
        if first?.status != 200 || second?.status != 200 {
            return Ok(None);
        }
        one.merge_cookies(&two);
    }
    // Nothing is under way any more, so all nodes have what they will have.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let answer = one.get("/cart").await?;
    Ok(answer.body.split(' ').nth(2).and_then(|count| count.parse().ok()))
}
