//! Time: how long a session lives, by what is sealed in it.

use std::time::{Duration, SystemTime};

use crate::codec::error::{DecodeError, Expiry};
use crate::cookie::error::ConfigError;
use crate::message::envelope::Envelope;
use crate::message::lifetime::Lifetime;
use crate::message::seconds::Seconds;

/// The durations of a codec, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lifetimes {
    /// Since the session began.
    pub(crate) absolute: Duration,
    /// Since it was last sealed.
    pub(crate) idle: Duration,
    /// After this much of idle time it is due to be resealed.
    pub(crate) touch: Duration,
    /// How far the clocks of two nodes may differ.
    pub(crate) skew: Duration,
}

impl Lifetimes {
    pub(crate) fn build(
        absolute: Duration,
        idle: Option<Duration>,
        touch: Option<Duration>,
        skew: Duration,
    ) -> Result<Self, ConfigError> {
        let idle = idle.unwrap_or(DEFAULT_IDLE.min(absolute));
        let [absolute, idle] =
            [absolute, idle].map(|duration| Duration::from_secs(duration.as_secs()));
        // A login in the second of a cutoff begins in the next one.
        let skew = whole_seconds(skew).max(Duration::from_secs(1));
        // Upwards: a threshold of nothing would seal the session again in each response.
        let touch = match touch {
            Some(touch) => whole_seconds(touch),
            None => whole_seconds(idle / 10).min(idle.saturating_sub(Duration::from_secs(1))),
        };
        for (what, duration) in [("the absolute timeout", absolute), ("the idle timeout", idle)] {
            if duration < Duration::from_secs(1) || duration > LONGEST {
                return Err(ConfigError::Duration { what });
            }
        }
        if idle > absolute {
            return Err(ConfigError::IdleExceedsAbsolute);
        }
        if touch >= idle {
            return Err(ConfigError::TouchExceedsIdle);
        }
        if skew > LONGEST {
            return Err(ConfigError::Duration { what: "the clock skew" });
        }
        Ok(Self { absolute, idle, touch, skew })
    }

    pub(crate) fn check(&self, envelope: &Envelope, now: SystemTime) -> Result<(), DecodeError> {
        let now = Seconds::from(now);
        let by = envelope.sealed.since(now);
        if by > self.skew {
            return Err(DecodeError::FromFuture { by });
        }
        let Bounds { absolute, idle, .. } = self.bounds(envelope);
        if now.since(envelope.began) >= absolute {
            return Err(DecodeError::Expired(Expiry::Absolute));
        }
        if now.since(envelope.sealed) >= idle {
            return Err(DecodeError::Expired(Expiry::Idle));
        }
        Ok(())
    }

    /// Returns how long a session lives from its sealing, if nothing more happens.
    pub(crate) fn remaining(&self, envelope: &Envelope) -> Duration {
        let Bounds { absolute, idle, .. } = self.bounds(envelope);
        let age = envelope.sealed.since(envelope.began);
        absolute.saturating_sub(age).min(idle)
    }

    pub(crate) fn touch_due(&self, envelope: &Envelope, now: SystemTime) -> bool {
        Seconds::from(now).since(envelope.sealed) >= self.bounds(envelope).touch
    }

    /// Returns what holds for one session, which may have a lifetime of its own.
    fn bounds(&self, envelope: &Envelope) -> Bounds {
        if envelope.lifetime == Lifetime::new() {
            // As most have it, with nothing to divide.
            return Bounds { absolute: self.absolute, idle: self.idle, touch: self.touch };
        }
        let absolute = envelope.lifetime.absolute_within(self.absolute);
        let idle = envelope.lifetime.idle_within(self.idle).min(absolute);
        // The same share of the idle time as for other sessions. Both are 400 days at most.
        let touch = (self.touch.as_secs() * idle.as_secs()).div_ceil(self.idle.as_secs().max(1));
        let touch = touch.min(idle.as_secs().saturating_sub(1));
        Bounds { absolute, idle, touch: Duration::from_secs(touch) }
    }
}

/// The durations of one session.
struct Bounds {
    absolute: Duration,
    idle: Duration,
    touch: Duration,
}

/// Rounds up.
fn whole_seconds(duration: Duration) -> Duration {
    let part = u64::from(duration.subsec_nanos() > 0);
    Duration::from_secs(duration.as_secs().saturating_add(part))
}

/// A week: long enough for most, and the time that a stolen cookie works at most.
pub(crate) const DEFAULT_ABSOLUTE: Duration = Duration::from_secs(7 * 86_400);

/// A day.
const DEFAULT_IDLE: Duration = Duration::from_secs(86_400);

/// A minute: nodes that keep their clocks by NTP differ by far less.
pub(crate) const DEFAULT_SKEW: Duration = Duration::from_secs(60);

/// Browsers shorten Max-Age to 400 days (RFC 6265bis, 5.6.2).
const LONGEST: Duration = Duration::from_secs(400 * 86_400);
