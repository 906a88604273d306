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
use crate::figures::{self, Figures, Still};
use crate::front::Balance;
use crate::migration::{self, Step};
use crate::programs;
use crate::progress::{Part, Progress};
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
    pub(crate) faults: Vec<String>,
    #[serde(default)]
    pub(crate) parts: Vec<Part>,
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

    fn roads(self) -> Vec<&'static str> {
        if self.only.is_none() { vec![FROM_REDIS, FROM_STICKY] } else { Vec::new() }
    }

    /// In the status quo most requests are of nobody. In a hurry, what no claim is about is left out.
    fn measures(self, system: System) -> bool {
        match system {
            System::StatusQuo => false,
            System::IpHash | System::Haproxy | System::Overflow => !self.quick,
            _ => true,
        }
    }
}

pub(crate) const FROM_REDIS: &str = "from Redis";
pub(crate) const FROM_STICKY: &str = "from sticky nodes";

/// So many users shop while something happens, if there is time.
pub(crate) const USERS: usize = 60;

/// So many systems have their bytes counted at once, while the others have their events.
const COUNTED_AT_ONCE: usize = 3;

/// Runs it all, in three phases: what waits most of the time, all at once; then times, one system after another; then
/// memory, all at once again.
pub(crate) async fn run(plan: Plan, folder: &Path) -> Result<Run> {
    let mut run = Run {
        date: date()?,
        machine: machine(),
        versions: programs::versions().await?,
        seconds: 0,
        note: std::env::var("LAB_NOTE").ok(),
        faults: Vec::new(),
        parts: Vec::new(),
        outcomes: Vec::new(),
        figures: Vec::new(),
        memory: Vec::new(),
        migrations: BTreeMap::new(),
        by_session_cookie: None,
    };
    let mut progress = Progress::start();
    let still = all_that_waits(plan, folder, &mut run, &mut progress).await?;
    times_of(still, plan, &mut run, &mut progress).await;
    if !plan.quick {
        memory_of(plan, folder, &mut run, &mut progress).await?;
    }
    run.seconds = progress.seconds() as u64;
    (run.faults, run.parts) = (progress.faults, progress.parts);
    Ok(run)
}

// One is made for each part of a run.
#[expect(clippy::large_enum_variant, reason = "there are some forty of them in all")]
enum Done {
    Events(System, Result<Vec<Outcome>>),
    Road(&'static str, Result<Vec<Step>>),
    BySessionCookie(Result<Tally>),
    Bytes(System, Result<Still>),
}

/// Runs the events and the roads, and counts bytes meanwhile: these are the same on a machine that is busy.
async fn all_that_waits(
    plan: Plan,
    folder: &Path,
    run: &mut Run,
    progress: &mut Progress,
) -> Result<Vec<Still>> {
    let mut tasks = JoinSet::new();
    for system in plan.systems() {
        let folder = folder.join(format!("events_{system:?}"));
        tasks.spawn(async move {
            let began = Instant::now();
            (began, Done::Events(system, events::run(system, &folder, plan.quick).await))
        });
    }
    for road in plan.roads() {
        let folder = folder.join(road.replace(' ', "_"));
        tasks.spawn(async move {
            let began = Instant::now();
            let steps = match road {
                FROM_REDIS => migration::from_redis(&folder).await,
                _ => migration::from_sticky(&folder).await,
            };
            (began, Done::Road(road, steps))
        });
    }
    if plan.only.is_none() && !plan.quick {
        let folder = folder.join("by_session_cookie");
        tasks.spawn(async move {
            let began = Instant::now();
            (began, Done::BySessionCookie(by_session_cookie(&folder).await))
        });
    }
    let places = Arc::new(Semaphore::new(COUNTED_AT_ONCE));
    for system in plan.systems().into_iter().filter(|system| plan.measures(*system)) {
        let (places, folder) = (Arc::clone(&places), folder.join(format!("bytes_{system:?}")));
        tasks.spawn(async move {
            let _place = places.acquire_owned().await;
            let began = Instant::now();
            (began, Done::Bytes(system, figures::count(system, &folder, plan.quick).await))
        });
    }
    let mut still = Vec::new();
    while let Some(done) = tasks.join_next().await {
        let (began, done) = done?;
        match done {
            Done::Events(system, outcomes) => {
                let what = ("events", &*format!("{system:?}"));
                run.outcomes.extend(progress.done(what, began, outcomes).unwrap_or_default());
            }
            Done::Road(road, steps) => {
                let steps = progress.done(("migration", road), began, steps);
                run.migrations.insert(road.into(), steps.unwrap_or_default());
            }
            Done::BySessionCookie(tally) => {
                let what = ("events", "hash of the session's cookie");
                run.by_session_cookie = progress.done(what, began, tally);
            }
            Done::Bytes(system, counted) => {
                still.extend(progress.done(("bytes", &format!("{system:?}")), began, counted));
            }
        }
    }
    run.outcomes.sort_by_key(|outcome| (outcome.system, outcome.event));
    still.sort_by_key(|still| still.system);
    Ok(still)
}

/// Measures times. Only one system does anything: the others have had their events, and wait for their turn.
async fn times_of(still: Vec<Still>, plan: Plan, run: &mut Run, progress: &mut Progress) {
    for still in still {
        let (system, began) = (still.system, Instant::now());
        let figures = still.measure(plan.quick).await;
        run.figures.extend(progress.done(("times", &format!("{system:?}")), began, figures));
    }
}

/// Fills the systems with sessions, all at once: what they take does not depend on when.
async fn memory_of(
    plan: Plan,
    folder: &Path,
    run: &mut Run,
    progress: &mut Progress,
) -> Result<()> {
    let mut tasks = JoinSet::new();
    for system in plan.systems().into_iter().filter(|system| memory::SYSTEMS.contains(system)) {
        let folder = folder.join(format!("memory_{system:?}"));
        tasks.spawn(async move {
            let began = Instant::now();
            (began, system, memory::measure(system, &folder).await)
        });
    }
    while let Some(done) = tasks.join_next().await {
        let (began, system, memory) = done?;
        let memory = progress.done(("memory", &format!("{system:?}")), began, memory);
        run.memory.extend(memory.unwrap_or_default());
    }
    run.memory.sort_by_key(|memory| (memory.system, memory.sessions));
    Ok(())
}

/// What becomes of users if nginx hashes the cookie of the session itself, which the login changes.
async fn by_session_cookie(folder: &Path) -> Result<Tally> {
    let setup = Setup::of(3);
    let cluster = Cluster::start_of(Carrier::Memory, Balance::SessionCookie, folder, setup).await?;
    let users = Users::start(cluster.front.port(), USERS, From::Everywhere, SIZE).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    users.stop().await
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
