//! What happens to a cluster while users shop, and what they notice of it.

use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::process::Signal;
use sealed_session::{Key, KeyFile, Policy};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::client::Client;
use crate::cluster::{Cluster, Setup, System};
use crate::front::Role;
use crate::run::USERS;
use crate::users::{From, Tally, Users};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Event {
    Steady,
    OneAddress,
    Grown,
    Killed,
    CameBack,
    Deployed,
    Added,
    Removed,
    Stopped,
    KeysRotated,
    RedisKept,
    RedisLost,
    RedisStopped,
    Failover,
    Released,
    ReleasedUndeclared,
}

impl Event {
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Steady => "nothing happens",
            Self::OneAddress => "all from one address",
            Self::Grown => "a third node is added",
            Self::Killed => "a node is killed",
            Self::CameBack => "it comes back",
            Self::Deployed => "a rolling deploy",
            Self::Added => "a fourth is added",
            Self::Removed => "it is removed",
            Self::Stopped => "a node hangs for 10 s",
            Self::KeysRotated => "the key is rotated, and the old one dropped",
            Self::RedisKept => "Redis killed, 1 s away, with a file",
            Self::RedisLost => "Redis killed, 1 s away, without",
            Self::RedisStopped => "Redis hangs for 10 s",
            Self::Failover => "a master is killed",
            Self::Released => "a release with a new field",
            Self::ReleasedUndeclared => "the same without a `serialVersionUID`",
        }
    }

    /// What happens in the systems, in this order. What leaves traces comes last.
    fn all(system: System, quick: bool) -> Vec<Self> {
        let mut events = vec![Self::Steady, Self::Killed, Self::CameBack];
        if !quick {
            events =
                vec![Self::Grown, Self::Steady, Self::OneAddress, Self::Killed, Self::CameBack];
            events.extend([Self::Deployed, Self::Added, Self::Removed, Self::Stopped]);
        }
        match system {
            System::Sealed => events.push(Self::KeysRotated),
            System::Revocable if quick => events.push(Self::RedisLost),
            System::Revocable => {
                events.extend([Self::RedisStopped, Self::RedisLost, Self::KeysRotated]);
            }
            System::Overflow if quick => events.extend([Self::RedisKept, Self::RedisLost]),
            System::Overflow => {
                events.extend([
                    Self::KeysRotated,
                    Self::RedisStopped,
                    Self::RedisKept,
                    Self::RedisLost,
                ]);
            }
            System::Redis if quick => events.extend([Self::RedisKept, Self::RedisLost]),
            System::Redis => events.extend([Self::RedisStopped, Self::RedisKept, Self::RedisLost]),
            System::RedisSentinel | System::RedisCluster => {
                events.extend([Self::Failover, Self::RedisStopped]);
            }
            _ => {}
        }
        if !quick {
            events.push(Self::Released);
        }
        if system == System::DeltaSynchronous {
            events.push(Self::ReleasedUndeclared);
        }
        events
    }
}

/// What the users of a system noticed of an event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) system: System,
    pub(crate) event: Event,
    pub(crate) users: usize,
    pub(crate) nodes: usize,
    pub(crate) tally: Tally,
}

/// Bytes of a session in all of this.
pub(crate) const SIZE: usize = 2000;

/// Runs all events of a system.
pub(crate) async fn run(system: System, folder: &Path, quick: bool) -> Result<Vec<Outcome>> {
    let count = if quick { USERS / 2 } else { USERS };
    let mut cluster = Cluster::start(system, folder, Setup::of(2)).await?;
    let port = cluster.front.port();
    let mut users = Users::start(port, count, From::Everywhere, system.size()).await?;
    let mut outcomes = Vec::<Outcome>::new();
    for event in Event::all(system, quick) {
        // What the one before left behind, a node that is passed over for a while, is none of this one.
        let left = outcomes.last().map(|before| before.event);
        wait(if matches!(left, Some(Event::Killed | Event::Stopped)) { 2300 } else { 500 }).await;
        users.window();
        let nodes = cluster.running().len();
        let tally = match event {
            Event::OneAddress => from_one_address(&cluster, count, system.size()).await?,
            _ => {
                happen(event, &mut cluster).await?;
                users.window()
            }
        };
        outcomes.push(Outcome { system, event, users: count, nodes, tally });
        if event == Event::Grown {
            // Those who stick to the two that were there would not be a third of all at each of the three.
            users.stop().await?;
            users = Users::start(port, count, From::Everywhere, system.size()).await?;
        }
    }
    users.stop().await?;
    Ok(outcomes)
}

async fn from_one_address(cluster: &Cluster, count: usize, size: usize) -> Result<Tally> {
    let users = Users::start(cluster.front.port(), count, From::OneAddress, size).await?;
    wait(3000).await;
    users.stop().await
}

async fn happen(event: Event, cluster: &mut Cluster) -> Result<()> {
    match event {
        Event::Steady | Event::OneAddress => wait(3000).await,
        Event::Killed => {
            cluster.kill(1);
            wait(3000).await;
        }
        Event::CameBack => {
            cluster.start_node(1, 1).await?;
            wait(3500).await;
        }
        Event::Deployed => {
            cluster.deploy(1).await?;
            wait(2000).await;
        }
        Event::Released => {
            cluster.deploy(2).await?;
            wait(2000).await;
        }
        Event::ReleasedUndeclared => {
            cluster.deploy(3).await?;
            wait(2000).await;
        }
        Event::Grown | Event::Added => {
            cluster.grow(cluster.running().len() + 1).await?;
            wait(3000).await;
        }
        Event::Removed => {
            cluster.retire(3, Role::Gone).await?;
            wait(3000).await;
        }
        Event::Stopped => {
            cluster.pause(0);
            wait(10_000).await;
            cluster.resume(0);
            wait(3000).await;
        }
        Event::KeysRotated => rotate_keys(cluster).await?,
        Event::RedisKept | Event::RedisLost | Event::RedisStopped | Event::Failover => {
            happen_to_redis(event, cluster).await?;
        }
    }
    Ok(())
}

/// A new key is announced, takes over while requests run, and the old one is revoked when the users who are
/// there have moved. Somebody who was not is asked to show that this has happened.
async fn rotate_keys(cluster: &Cluster) -> Result<()> {
    let mut away = Client::new(cluster.front.port());
    away.post("/login", "user=away&notes=").await?;
    let policy = Policy::default().announce(Duration::from_secs(2));
    let file = cluster.keys();
    let old = KeyFile::edit(&file, |keys| {
        let old = keys.keys_at(SystemTime::now()).first().map(|key| key.id);
        policy.add_at(keys, Key::generate()?, None, SystemTime::now())?;
        Result::Ok(old.ok_or("there was no key")?)
    })?;
    wait(5000).await;
    KeyFile::edit(&file, |keys| policy.revoke_at(keys, old, SystemTime::now()))?;
    wait(3000).await;
    let answer = away.get("/cart").await?;
    if answer.status == 401 {
        Ok(())
    } else {
        Err(format!("the old key still opens: {answer:?}").into())
    }
}

async fn happen_to_redis(event: Event, cluster: &mut Cluster) -> Result<()> {
    let redis = cluster.redis.as_mut().ok_or("this system has no Redis")?;
    let master = redis.master().await?;
    match event {
        Event::RedisStopped => {
            redis.server(master).iter().for_each(|server| server.signal(Signal::STOP));
            wait(10_000).await;
            redis.server(master).iter().for_each(|server| server.signal(Signal::CONT));
            // Sentinels wait 8 s before they make a replica of a master that comes back.
            wait(if redis.has_sentinels() { 12_000 } else { 3000 }).await;
        }
        Event::Failover => {
            redis.kill(master);
            wait(8000).await;
            redis.start(master, false).await?;
            if redis.has_sentinels() {
                redis.until_replicated().await?;
            }
            wait(1000).await;
        }
        _ => {
            let kept = event == Event::RedisKept;
            if kept {
                redis.persist().await?;
            }
            redis.kill(master);
            wait(1000).await;
            redis.start(master, kept).await?;
            wait(3000).await;
        }
    }
    Ok(())
}

async fn wait(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}
