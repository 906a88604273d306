//! The one rule by which sessions end before their time: what began before a cutoff is refused.
//!
//! It compares when a session *began*, and not when it was sealed: each use seals a session again, also one that
//! was forged under a leaked key, and would carry it past any cutoff. Of several cutoffs the latest counts.

use std::time::{Duration, SystemTime};

/// A second before which nothing may have begun; 0 ends nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Cutoff(u64);

impl Cutoff {
    /// Ends everything, whenever it began.
    pub(crate) const ALL: Self = Self(u64::MAX);

    /// Ends what may have begun before this time. Sessions know the second in which they began, and no more.
    pub(crate) fn before(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(since.as_secs().saturating_add(u64::from(since.subsec_nanos() > 0)))
    }

    /// Ends what has begun up to now, this whole second included.
    pub(crate) fn now(now: SystemTime) -> Self {
        Self::before(now + Duration::from_nanos(1))
    }

    /// Ends what began before this second.
    pub(crate) fn from_secs(seconds: u64) -> Self {
        Self(seconds)
    }

    pub(crate) fn as_secs(self) -> u64 {
        self.0
    }

    /// Returns whether a session that began in this second has ended.
    pub(crate) fn ends(self, began: u64) -> bool {
        began < self.0
    }

    /// Returns the second in which a session begins that is made now, in full knowledge of this cutoff: a login
    /// in the second of "log out everywhere" lives. That is in the future, by no more than the clocks of nodes
    /// may differ; what is later still ends new sessions too.
    pub(crate) fn beginning(self, now: u64, skew: Duration) -> u64 {
        if self.0 <= now.saturating_add(skew.as_secs()) { now.max(self.0) } else { now }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
    }

    #[test]
    fn what_may_have_begun_before_has_ended_and_what_cannot_have_has_not() {
        for (cutoff, began, ends) in [
            (Cutoff::before(at(5000)), 4, true),
            (Cutoff::before(at(5000)), 5, false),
            (Cutoff::before(at(5001)), 5, true),
            (Cutoff::before(at(5999)), 6, false),
            (Cutoff::now(at(5000)), 5, true),
            (Cutoff::now(at(5999)), 5, true),
            (Cutoff::now(at(5999)), 6, false),
            (Cutoff::default(), 0, false),
            (Cutoff::ALL, u64::MAX - 1, true),
            (Cutoff::before(SystemTime::UNIX_EPOCH - Duration::from_secs(9)), 0, false),
        ] {
            assert_eq!(cutoff.ends(began), ends, "{cutoff:?} {began}");
        }
        assert_eq!(Cutoff::from_secs(7).max(Cutoff::from_secs(5)), Cutoff::from_secs(7));
    }

    #[test]
    fn what_begins_in_knowledge_of_a_cutoff_lives_unless_that_is_far_in_the_future() {
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        for (cutoff, now, skew, begins) in [
            (0, 100, minute, 100),
            (100, 100, minute, 100),
            (101, 100, minute, 101),
            (101, 100, second, 101),
            (102, 100, second, 100),
            (160, 100, minute, 160),
            (161, 100, minute, 100),
            (u64::MAX, 100, minute, 100),
        ] {
            assert_eq!(Cutoff::from_secs(cutoff).beginning(now, skew), begins, "{cutoff} {now}");
        }
    }
}
