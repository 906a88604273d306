//! Finds in a run what the report speaks of, and says it in few characters.

use crate::cluster::System;
use crate::events::{Event, Outcome};
use crate::figures::{Bytes, Figures};
use crate::run::Run;

impl Run {
    pub(super) fn outcome(&self, system: System, event: Event) -> Option<&Outcome> {
        self.outcomes.iter().find(|outcome| (outcome.system, outcome.event) == (system, event))
    }

    /// Returns how many users were logged out by an event, and of how many.
    pub(super) fn logged_out(&self, system: System, event: Event) -> Option<(usize, usize)> {
        self.outcome(system, event).map(|outcome| (outcome.tally.logged_out.len(), outcome.users))
    }

    pub(super) fn figures(&self, system: System) -> Option<&Figures> {
        self.figures.iter().find(|figures| figures.system == system)
    }

    pub(super) fn bytes(&self, system: System, nodes: usize, size: usize) -> Option<&Bytes> {
        let bytes = &self.figures(system)?.bytes;
        bytes.iter().find(|bytes| (bytes.nodes, bytes.size) == (nodes, size))
    }

    /// Returns the systems to which all events happened, in the order of the report.
    pub(super) fn systems(&self) -> Vec<System> {
        System::ALL
            .into_iter()
            .filter(|system| self.outcome(*system, Event::Killed).is_some())
            .collect()
    }

    /// Returns the law of the bytes between servers for a read and a write of a session of this size.
    pub(super) fn law(&self, system: System, size: usize) -> Option<[Law; 2]> {
        let of = |value: fn(&Bytes) -> f64| {
            let all = self.figures(system)?.bytes.iter().filter(|bytes| bytes.size == size);
            Law::fit(&all.map(|bytes| (bytes.nodes as f64, value(bytes))).collect::<Vec<_>>())
        };
        Some([of(|bytes| bytes.read)?, of(|bytes| bytes.write)?])
    }
}

/// Bytes as nodes grow: so many, and so many more for each node beyond the first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Law {
    pub(super) base: f64,
    pub(super) each: f64,
}

impl Law {
    /// Fits the line by least squares.
    fn fit(points: &[(f64, f64)]) -> Option<Self> {
        let count = points.len() as f64;
        if points.len() < 2 {
            return None;
        }
        let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), (n, v)| (x + n - 1.0, y + v));
        let (x, y) = (x / count, y / count);
        let over: f64 = points.iter().map(|(n, v)| (n - 1.0 - x) * (v - y)).sum();
        let under: f64 = points.iter().map(|(n, _)| (n - 1.0 - x).powi(2)).sum();
        let each = over / under;
        Some(Self { base: y - each * x, each }.without_noise(y))
    }

    /// Leaves out what is the measurement's: a few bytes in all, and a part in fifty of what there is.
    fn without_noise(self, mean: f64) -> Self {
        let Self { base, each } = self;
        let whole = self.at(4.0);
        match (base.abs() > 0.02 * whole, each.abs() > 0.02 * whole) {
            _ if whole < 10.0 => Self { base: 0.0, each: 0.0 },
            (_, false) => Self { base: mean, each: 0.0 },
            (false, true) => Self { base: 0.0, each },
            (true, true) => self,
        }
    }

    pub(super) fn at(self, nodes: f64) -> f64 {
        (self.base + self.each * (nodes - 1.0)).max(0.0)
    }

    pub(super) fn text(self) -> String {
        match self {
            Self { base, each: 0.0 } => count(base),
            Self { base: 0.0, each } => format!("{} × (n − 1)", count(each)),
            Self { base, each } if each < 0.0 => {
                format!("{} − {} × (n − 1)", count(base), count(-each))
            }
            Self { base, each } => format!("{} + {} × (n − 1)", count(base), count(each)),
        }
    }
}

/// Writes a number with a comma between the thousands.
pub(super) fn count(number: f64) -> String {
    let digits = format!("{:.0}", number.abs());
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

pub(super) fn bytes(number: f64) -> String {
    match number {
        n if n >= 10e6 => format!("{:.0} MB", n / 1e6),
        n if n >= 1e6 => format!("{:.1} MB", n / 1e6),
        n if n >= 10e3 => format!("{:.0} KB", n / 1e3),
        n => count(n),
    }
}

pub(super) fn dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "–".into())
}
