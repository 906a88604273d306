//! How far a run is, what went wrong in it, and how long each of its parts took.

use std::fmt::Write as _;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::process::cpu_of_all;

/// A part of a run, and from when to when it ran, in seconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) phase: String,
    pub(crate) of: String,
    pub(crate) from: f64,
    pub(crate) to: f64,
}

#[derive(Debug)]
pub(crate) struct Progress {
    since: Instant,
    /// What went wrong with a part, whose figures are missing then.
    pub(crate) faults: Vec<String>,
    pub(crate) parts: Vec<Part>,
}

impl Progress {
    pub(crate) fn start() -> Self {
        Self { since: Instant::now(), faults: Vec::new(), parts: Vec::new() }
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.since.elapsed().as_secs_f64()
    }

    /// Tells that a part is done, and keeps the reason if it is not.
    pub(crate) fn done<T>(
        &mut self,
        (phase, of): (&str, &str),
        began: Instant,
        result: Result<T>,
    ) -> Option<T> {
        let (from, to) = (began.duration_since(self.since).as_secs_f64(), self.seconds());
        self.parts.push(Part { phase: phase.into(), of: of.into(), from, to });
        let fault = result.as_ref().err().map(|error| format!(": {error}")).unwrap_or_default();
        eprintln!("{to:4.0} s  {phase}: {of} ({:.0} s){fault}", to - from);
        if !fault.is_empty() {
            self.faults.push(format!("{phase}: {of}{fault}"));
        }
        result.ok()
    }
}

/// Writes from when to when each phase ran, and which parts of it took the longest.
pub(crate) fn timetable(parts: &[Part]) -> String {
    let mut phases: Vec<&str> = Vec::new();
    for part in parts {
        if !phases.contains(&part.phase.as_str()) {
            phases.push(&part.phase);
        }
    }
    let mut text = String::new();
    for phase in phases {
        let mut parts: Vec<_> = parts.iter().filter(|part| part.phase == phase).collect();
        let from = parts.iter().map(|part| part.from).fold(f64::MAX, f64::min);
        let to = parts.iter().map(|part| part.to).fold(0.0, f64::max);
        parts.sort_by(|a, b| (b.to - b.from).total_cmp(&(a.to - a.from)));
        let longest =
            parts.iter().take(3).map(|part| format!("{} {:.0}", part.of, part.to - part.from));
        let longest = longest.collect::<Vec<_>>().join(", ");
        let _ = writeln!(text, "{from:4.0} to {to:4.0} s  {phase}; the longest: {longest}");
    }
    let all = parts.iter().map(|part| part.to).fold(0.0, f64::max);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cpu = cpu_of_all().as_secs_f64();
    let _ = writeln!(text, "{all:.0} s in all, and {cpu:.0} s of processor time on {cores} cores");
    text
}
