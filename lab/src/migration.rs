//! The way from a store, or from sticky nodes, to sealed cookies, while users shop.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::cluster::{Carrier, Cluster, Setup};
use crate::events::SIZE;
use crate::front::{Balance, Role};
use crate::users::{From, Tally, Users};

/// What the users noticed of one step.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) title: String,
    pub(crate) users: usize,
    pub(crate) tally: Tally,
}

const USERS: usize = 40;

/// From Redis: three deploys, each while the nodes of the phase before still run.
pub(crate) async fn from_redis(folder: &Path) -> Result<Vec<Step>> {
    let setup = Setup::of(3);
    let balance = Balance::RoundRobin;
    let mut cluster = Cluster::start_of(Carrier::Redis, balance, folder, setup).await?;
    let users = Users::start(cluster.front.port(), USERS, From::Everywhere, SIZE).await?;
    pause().await;
    let mut steps = vec![step("Redis alone", &users)];
    for (carrier, title) in [
        (Carrier::Both("store-first"), "deploy: write both, Redis is true"),
        (Carrier::Both("cookie-first"), "deploy: write both, the cookie is true"),
        (Carrier::Sealed, "deploy: the cookie alone"),
    ] {
        cluster.carrier = carrier;
        cluster.deploy(1).await?;
        pause().await;
        steps.push(step(title, &users));
    }
    cluster.redis = None;
    pause().await;
    steps.push(step("Redis switched off", &users));
    users.stop().await?;
    Ok(steps)
}

/// From nodes with sessions in memory: new nodes get the new users, and the old ones keep theirs until these leave.
pub(crate) async fn from_sticky(folder: &Path) -> Result<Vec<Step>> {
    let setup = Setup::of(2);
    let balance = Balance::HaproxyCookie;
    let mut cluster = Cluster::start_of(Carrier::Memory, balance, folder, setup).await?;
    let port = cluster.front.port();
    let old = Users::start(port, USERS, From::Everywhere, SIZE).await?;
    pause().await;
    let mut steps = vec![step("two sticky nodes, in memory", &old)];
    cluster.carrier = Carrier::Sealed;
    for i in [2, 3] {
        cluster.start_node(i, 1).await?;
    }
    cluster.set_all(&[Role::Drains, Role::Drains, Role::Serves, Role::Serves]).await?;
    let new = Users::start(port, USERS, From::Everywhere, SIZE).await?;
    pause().await;
    steps.push(step("two nodes with cookies added, the old ones drain: users of before", &old));
    steps.push(step("the same: users who came since", &new));
    old.stop().await?;
    for i in [0, 1] {
        cluster.retire(i, Role::Down).await?;
    }
    pause().await;
    steps.push(step("the old ones, empty now, are ended", &new));
    cluster.kill(2);
    pause().await;
    steps.push(step("and a new one is killed", &new));
    new.stop().await?;
    Ok(steps)
}

fn step(title: &str, users: &Users) -> Step {
    Step { title: title.into(), users: USERS, tally: users.window() }
}

async fn pause() {
    tokio::time::sleep(Duration::from_secs(3)).await;
}
