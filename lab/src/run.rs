//! A run of the lab: what is measured, in which order, and what came out.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::Result;
use crate::cluster::{Carrier, Cluster, Setup, System};
use crate::events::{self, Outcome, SIZE};
use crate::figures::memory::{self, Memory};
use crate::figures::{self, Figures, Machine};
use crate::front::Balance;
use crate::migration::{self, Step};
use crate::programs;
use crate::users::{From, Tally, Users};

/// All that a run found.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) date: String,
    pub(crate) machine: String,
    pub(crate) versions: Vec<(String, String)>,
    pub(crate) seconds: u64,
    /// What a reader must know of this run.
    pub(crate) note: Option<String>,
    /// What went wrong with a system, whose figures are missing then.
    pub(crate) faults: Vec<String>,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) figures: Vec<Figures>,
    pub(crate) memory: Vec<Memory>,
    pub(crate) migrations: BTreeMap<String, Vec<Step>>,
    /// Of users whose node is picked by the cookie that their login has just set.
    pub(crate) by_session_cookie: Option<Tally>,
}

/// What is to be run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) quick: bool,
    /// One system alone, to work on the lab.
    pub(crate) only: Option<System>,
}

impl Plan {
    fn systems(self) -> Vec<System> {
        let quick = [
            System::StatusQuo,
            System::DeltaAsynchronous,
            System::Sealed,
            System::Revocable,
            System::Overflow,
            System::IpHash,
            System::Haproxy,
            System::Redis,
        ];
        let systems = if self.quick { quick.to_vec() } else { System::ALL.to_vec() };
        systems.into_iter().filter(|system| self.only.is_none_or(|only| only == *system)).collect()
    }

    /// In the status quo most requests are of nobody, and a replica costs the nodes nothing. In a hurry, what no claim is
    /// about is left out.
    fn measures(self, system: System) -> bool {
        match system {
            System::StatusQuo | System::RedisSentinel => false,
            System::IpHash | System::Haproxy | System::Overflow => !self.quick,
            _ => true,
        }
    }
}

/// So many users shop while something happens, if there is time.
pub(crate) const USERS: usize = 60;

/// So many systems have their events at once. They wait most of the time.
const AT_ONCE: usize = 6;

/// So many systems are measured at once, where they need not be alone.
const MEASURED_AT_ONCE: usize = 3;

pub(crate) async fn run(plan: Plan, folder: &Path) -> Result<Run> {
    let since = Instant::now();
    let mut run = Run {
        date: date()?,
        machine: machine(),
        versions: programs::versions().await?,
        seconds: 0,
        note: std::env::var("LAB_NOTE").ok(),
        faults: Vec::new(),
        outcomes: Vec::new(),
        figures: Vec::new(),
        memory: Vec::new(),
        migrations: BTreeMap::new(),
        by_session_cookie: None,
    };
    let all = plan.only.is_none();
    events_and_migrations(plan, all, folder, &mut run, since).await?;
    if all && !plan.quick {
        run.by_session_cookie = Some(by_session_cookie(&folder.join("by_session_cookie")).await?);
    }
    figures_of(plan, folder, &mut run, since).await?;
    if !plan.quick {
        memory_of(plan, folder, &mut run, since).await?;
    }
    run.seconds = since.elapsed().as_secs();
    Ok(run)
}

enum Done {
    Events(System, Result<Vec<Outcome>>),
    Migration(&'static str, Result<Vec<Step>>),
}

async fn events_and_migrations(
    plan: Plan,
    migrations: bool,
    folder: &Path,
    run: &mut Run,
    since: Instant,
) -> Result<()> {
    let places = Arc::new(Semaphore::new(if plan.quick { 10 } else { AT_ONCE }));
    let mut tasks = JoinSet::new();
    for system in plan.systems() {
        let (places, folder) = (Arc::clone(&places), folder.join(format!("events_{system:?}")));
        tasks.spawn(async move {
            let _place = places.acquire_owned().await?;
            let outcomes = events::run(system, &folder, plan.quick).await;
            Result::Ok(Done::Events(system, outcomes))
        });
    }
    if migrations {
        for road in ["from Redis", "from sticky nodes"] {
            let (places, folder) = (Arc::clone(&places), folder.join(road.replace(' ', "_")));
            tasks.spawn(async move {
                let _place = places.acquire_owned().await?;
                let steps = match road {
                    "from Redis" => migration::from_redis(&folder).await,
                    _ => migration::from_sticky(&folder).await,
                };
                Result::Ok(Done::Migration(road, steps))
            });
        }
    }
    while let Some(done) = tasks.join_next().await {
        match done?? {
            Done::Events(system, outcomes) => {
                let what = format!("{system:?}: events");
                run.outcomes.extend(run.faults.good(since, &what, outcomes).unwrap_or_default());
            }
            Done::Migration(road, steps) => {
                let steps = run.faults.good(since, &format!("migration {road}"), steps);
                run.migrations.insert(road.into(), steps.unwrap_or_default());
            }
        }
    }
    run.outcomes.sort_by_key(|outcome| (outcome.system, outcome.event));
    Ok(())
}

async fn figures_of(plan: Plan, folder: &Path, run: &mut Run, since: Instant) -> Result<()> {
    let (places, machine) = (Arc::new(Semaphore::new(MEASURED_AT_ONCE)), Arc::<Machine>::default());
    let mut tasks = JoinSet::new();
    for system in plan.systems().into_iter().filter(|system| plan.measures(*system)) {
        let (places, machine) = (Arc::clone(&places), Arc::clone(&machine));
        let folder = folder.join(format!("figures_{system:?}"));
        tasks.spawn(async move {
            let _place = places.acquire_owned().await?;
            Result::Ok((system, figures::measure(system, &folder, plan.quick, &machine).await))
        });
    }
    while let Some(done) = tasks.join_next().await {
        let (system, figures) = done??;
        let figures = run.faults.good(since, &format!("{system:?}: figures"), figures);
        run.figures.extend(figures);
    }
    run.figures.sort_by_key(|figures| figures.system);
    Ok(())
}

/// Fills the systems with sessions, three at a time: what they take does not depend on when.
async fn memory_of(plan: Plan, folder: &Path, run: &mut Run, since: Instant) -> Result<()> {
    let places = Arc::new(Semaphore::new(3));
    let mut tasks = JoinSet::new();
    for system in plan.systems().into_iter().filter(|system| memory::SYSTEMS.contains(system)) {
        let (places, folder) = (Arc::clone(&places), folder.join(format!("memory_{system:?}")));
        tasks.spawn(async move {
            let _place = places.acquire_owned().await?;
            Result::Ok((system, memory::measure(system, &folder).await))
        });
    }
    while let Some(done) = tasks.join_next().await {
        let (system, memory) = done??;
        let memory = run.faults.good(since, &format!("{system:?}: memory"), memory);
        run.memory.extend(memory.unwrap_or_default());
    }
    run.memory.sort_by_key(|memory| (memory.system, memory.sessions));
    Ok(())
}

/// What becomes of users if nginx hashes the cookie of the session itself, which the login changes.
async fn by_session_cookie(folder: &Path) -> Result<Tally> {
    let setup = Setup { nodes: 3, split: false };
    let cluster = Cluster::start_of(Carrier::Memory, Balance::SessionCookie, folder, setup).await?;
    let users = Users::start(cluster.front.port(), USERS, From::Everywhere, SIZE).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    users.stop().await
}

trait Faults {
    /// Tells that something is done, and keeps the reason if it is not.
    fn good<T>(&mut self, since: Instant, what: &str, result: Result<T>) -> Option<T>;
}

impl Faults for Vec<String> {
    fn good<T>(&mut self, since: Instant, what: &str, result: Result<T>) -> Option<T> {
        let seconds = since.elapsed().as_secs();
        match result {
            Ok(good) => {
                eprintln!("{seconds:4} s  {what}");
                Some(good)
            }
            Err(error) => {
                eprintln!("{seconds:4} s  {what}: {error}");
                self.push(format!("{what}: {error}"));
                None
            }
        }
    }
}

fn date() -> Result<String> {
    let format =
        time::format_description::parse_borrowed::<2>("[year]-[month]-[day] [hour]:[minute] UTC")?;
    Ok(time::OffsetDateTime::now_utc().format(&format)?)
}

fn machine() -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{cores} cores ({})", model.unwrap_or("unknown"))
}
