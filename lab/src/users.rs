//! Users who shop, each with a jar of cookies, and what happens to them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::Result;
use crate::client::{Answer, Client};

/// A request that takes longer is one that a user notices.
const SLOW: Duration = Duration::from_secs(1);

/// What happened, since the last [`Users::window`].
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) requests: u64,
    /// How often a user who was logged in was found to be not.
    pub(crate) logouts: u64,
    /// The users to whom that happened.
    pub(crate) logged_out: BTreeSet<usize>,
    /// Changes that were acknowledged, and then were not there.
    pub(crate) lost: u64,
    /// Reads that showed less than an acknowledged change.
    pub(crate) stale: u64,
    pub(crate) failed: u64,
    pub(crate) slow: u64,
    pub(crate) by_node: BTreeMap<String, u64>,
}

/// From where the users come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    /// Each from a network of its own.
    Everywhere,
    /// All from one address, as behind the NAT of a company or a mobile network.
    OneAddress,
}

#[derive(Debug)]
pub(crate) struct Users {
    tally: Arc<Mutex<Tally>>,
    stop: Arc<AtomicBool>,
    tasks: JoinSet<Result<()>>,
}

impl Users {
    /// Lets so many users log in, and shop from then on. Their sessions have this many bytes.
    pub(crate) async fn start(port: u16, count: usize, from: From, size: usize) -> Result<Self> {
        let tally = Arc::<Mutex<Tally>>::default();
        let stop = Arc::<AtomicBool>::default();
        let mut tasks = JoinSet::new();
        for number in 0..count {
            let mut user = User::new(port, number, from, size);
            user.log_in().await.map_err(|error| format!("the first login: {error}"))?;
            let (tally, stop) = (Arc::clone(&tally), Arc::clone(&stop));
            tasks.spawn(async move { user.shop(&tally, &stop).await });
        }
        Ok(Self { tally, stop, tasks })
    }

    /// Returns what happened since the last call.
    pub(crate) fn window(&self) -> Tally {
        std::mem::take(&mut *self.tally.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) async fn stop(mut self) -> Result<Tally> {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(result) = self.tasks.join_next().await {
            result??;
        }
        Ok(self.window())
    }
}

/// One user. What is known of the session is what the answers said.
#[derive(Debug)]
pub(crate) struct User {
    number: usize,
    client: Client,
    notes: String,
    logged_in: bool,
    /// So many changes were acknowledged.
    count: u64,
    /// So many more may have been made, whose answers did not come.
    unsure: u64,
}

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Count(u64),
    Nobody,
    Failure,
}

impl User {
    pub(crate) fn new(port: u16, number: usize, from: From, size: usize) -> Self {
        let [high, low] = u16::try_from(number + 1).unwrap_or(u16::MAX).to_be_bytes();
        let address = match from {
            From::Everywhere => Ipv4Addr::new(127, 1 + high, low, 1),
            From::OneAddress => Ipv4Addr::LOCALHOST,
        };
        let client = Client::from_address(port, address);
        Self { number, client, notes: notes(size), logged_in: false, count: 0, unsure: 0 }
    }

    pub(crate) async fn log_in(&mut self) -> Result<()> {
        let form = format!("user=u{}&notes={}", self.number, self.notes);
        let answer = self.client.post("/login", &form).await?;
        if answer.status != 200 {
            return Err(format!("status {}: {}", answer.status, answer.body).into());
        }
        (self.logged_in, self.count, self.unsure) = (true, 0, 0);
        Ok(())
    }

    async fn shop(&mut self, tally: &Mutex<Tally>, stop: &AtomicBool) -> Result<()> {
        while !stop.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(fastrand::u64(100..400))).await;
            if !self.logged_in || fastrand::u8(0..3) == 0 {
                self.step(tally, true).await;
            }
            // As a form's answer sends the browser on to a page, this follows a write at once.
            self.step(tally, false).await;
        }
        Ok(())
    }

    /// Makes one request; a write of somebody who is not logged in is the login.
    pub(crate) async fn step(&mut self, tally: &Mutex<Tally>, write: bool) {
        if !self.logged_in {
            if !write {
                return;
            }
            let failed = self.log_in().await.is_err();
            let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            tally.requests += 1;
            tally.failed += u64::from(failed);
            return;
        }
        let answer = match write {
            true => self.client.post("/cart", "item=1").await,
            false => self.client.get("/cart").await,
        };
        let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.requests += 1;
        if let Ok(answer) = &answer {
            tally.slow += u64::from(answer.took > SLOW && answer.status < 500);
            let node = answer.body.split(' ').next().unwrap_or_default();
            if answer.status < 500 {
                *tally.by_node.entry(node.to_owned()).or_default() += 1;
            }
        }
        match (seen(&answer, self.number), write) {
            (Seen::Failure, _) => {
                tally.failed += 1;
                self.unsure += u64::from(write);
            }
            (Seen::Nobody, _) => {
                self.logged_in = false;
                tally.logouts += 1;
                tally.logged_out.insert(self.number);
            }
            (Seen::Count(count), true) => {
                tally.lost += (self.count + 1).saturating_sub(count);
                (self.count, self.unsure) = (count, 0);
            }
            (Seen::Count(count), false) if count < self.count => tally.stale += 1,
            (Seen::Count(count), false) => {
                self.unsure = (self.count + self.unsure).saturating_sub(count);
                self.count = count;
            }
        }
    }
}

fn seen(answer: &Result<Answer>, number: usize) -> Seen {
    let Ok(answer) = answer else { return Seen::Failure };
    match (answer.status, answer.body.split(' ').collect::<Vec<_>>().as_slice()) {
        (200, [_, user, count]) if *user == format!("u{number}") => {
            count.parse().map_or(Seen::Failure, Seen::Count)
        }
        (401, _) => Seen::Nobody,
        _ => Seen::Failure,
    }
}

/// Returns text that hardly compresses, as tokens and ids are: the worst that a session can be for a cookie.
pub(crate) fn notes(size: usize) -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(size).collect()
}
