//! Time as it is sealed: whole seconds.

use std::time::{Duration, SystemTime};

/// Seconds since 1970-01-01T00:00:00Z, saturating at both ends: a clock that is unset or broken gives
/// a wrong time and never a panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seconds(pub(crate) u64);

impl Seconds {
    /// The year 36812: far enough, and small enough for every calculation and platform.
    pub(crate) const MAX: Self = Self((1 << 40) - 1);

    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }
}

impl From<SystemTime> for Seconds {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(since.as_secs().min(Self::MAX.0))
    }
}

impl From<Seconds> for SystemTime {
    fn from(Seconds(seconds): Seconds) -> Self {
        Self::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(Self::UNIX_EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_clocks_saturate() {
        let year = Duration::from_secs(31_557_600);
        let before = SystemTime::UNIX_EPOCH - year;
        assert_eq!(Seconds::from(before), Seconds(0));
        let late = SystemTime::UNIX_EPOCH + year * 50_000;
        assert_eq!(Seconds::from(late), Seconds::MAX);
        assert_eq!(Seconds(1).since(Seconds(5)), Duration::ZERO);
        assert!(SystemTime::from(Seconds::MAX) > SystemTime::UNIX_EPOCH);
    }
}
