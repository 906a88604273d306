//! Processor time: what other processes take of the machine does not count.

use std::fs;

use rustix::time::{ClockId, clock_gettime};

/// Returns the seconds for which this thread has run.
pub(crate) fn thread_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Returns the seconds since some moment, for what waits.
pub(crate) fn wall_seconds() -> f64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Returns the seconds for which the threads of a process have run, all together (Linux).
///
/// A thread that is running at this moment counts up to its last tick, so measure where the process is idle.
pub(crate) fn process_seconds(pid: u32) -> f64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs");
    let nanoseconds = tasks.flatten().filter_map(|task| {
        // A thread may end between the two reads.
        let stat = fs::read_to_string(task.path().join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<f64>().ok()
    });
    nanoseconds.sum::<f64>() / 1e9
}
