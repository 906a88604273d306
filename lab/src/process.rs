//! Processes: started, measured, and ended by their id, whatever becomes of the lab.

use std::collections::HashSet;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Result;

/// A running program. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    /// Has children of its own, which end with it only if it is asked to.
    has_workers: bool,
}

impl Process {
    /// Starts a program, whose output goes to a file in `folder`.
    ///
    /// The kernel ends it when the lab is no more, even if the lab is killed. Call it from a thread that
    /// lives as long as the lab: it is the end of the *thread* that counts.
    pub(crate) fn start(name: &str, folder: &Path, command: &[&str]) -> Result<Self> {
        Self::launch(name, folder, command, "KILL", false)
    }

    /// Starts a program with workers of its own, and so asks it to end where others are killed.
    pub(crate) fn start_with_workers(name: &str, folder: &Path, command: &[&str]) -> Result<Self> {
        Self::launch(name, folder, command, "TERM", true)
    }

    fn launch(
        name: &str,
        folder: &Path,
        command: &[&str],
        at_the_end: &str,
        has_workers: bool,
    ) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log)?;
        let child = Command::new("setpriv")
            .args(["--pdeathsig", at_the_end, "--"])
            .args(command)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .map_err(|error| format!("{name} does not start: {error}"))?;
        Ok(Self { name: name.into(), child, log, has_workers })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the id of the process and those of its workers.
    pub(crate) fn ids(&self) -> Vec<u32> {
        let mut ids = vec![self.id()];
        ids.extend(self.workers());
        ids
    }

    pub(crate) fn workers(&self) -> Vec<u32> {
        let id = self.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        children.unwrap_or_default().split_whitespace().flat_map(str::parse).collect()
    }

    /// Fails if the process has ended, and says what it said last.
    pub(crate) fn check(&mut self) -> Result<()> {
        let Some(status) = self.child.try_wait()? else { return Ok(()) };
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(12).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        Err(format!("{} ended, {status}:\n{}", self.name, last.join("\n")).into())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // An id stays taken until the process has been waited for.
        if let Some(id) = i32::try_from(self.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(id, signal);
        }
    }

    /// Asks the process to end, and kills it if it has not within some seconds.
    pub(crate) async fn terminate(mut self, within: Duration) {
        self.signal(Signal::TERM);
        let since = Instant::now();
        while since.elapsed() < within && matches!(self.child.try_wait(), Ok(None)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.has_workers {
            self.signal(Signal::TERM);
            let since = Instant::now();
            while since.elapsed() < Duration::from_secs(2)
                && matches!(self.child.try_wait(), Ok(None))
            {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the time that the processes have spent on a processor, in user space and in the kernel.
pub(crate) fn cpu(ids: &[u32]) -> Duration {
    let ticks: u64 = ids.iter().filter_map(|id| ticks(*id)).sum();
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
}

/// Returns the time that the lab and all that it has run and ended have spent on a processor.
pub(crate) fn cpu_of_all() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    let ticks: u64 = fields.skip(11).take(4).flat_map(str::parse::<u64>).sum();
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
}

fn ticks(id: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The second field is a name in parentheses, and may have spaces.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

/// Returns the memory of the processes in bytes; pages that several share count once.
pub(crate) fn memory(ids: &[u32]) -> u64 {
    let pss = |id: &u32| {
        let rollup = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok()?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    ids.iter().filter_map(pss).sum::<u64>() * 1024
}

/// Returns a port that nobody listens at, and that no outgoing connection is given.
///
/// A node that comes back wants its old port, which may be anybody's in the meantime if it is one of those that
/// the kernel gives to whoever connects. So it is taken from below these.
pub(crate) fn free_port() -> Result<u16> {
    static TAKEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..1000 {
        let port = fastrand::u16(10_000..32_000);
        if !taken.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            taken.insert(port);
            return Ok(port);
        }
    }
    Err("no free port was found".into())
}

/// Runs a command to its end and returns what it printed.
pub(crate) async fn output(command: &[&str]) -> Result<String> {
    let [program, arguments @ ..] = command else { return Err("no program".into()) };
    let output = tokio::process::Command::new(program).args(arguments).output().await;
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    if output.status.success() { Ok(text) } else { Err(format!("{command:?}: {text}").into()) }
}
