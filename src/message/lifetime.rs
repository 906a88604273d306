//! Lifetimes: how long one session lives, where that is less than the codec allows.

use std::time::Duration;

use crate::bytes::varint::{read_varint, take, write_varint};
use crate::message::error::MessageError;
use crate::message::seconds::Seconds;

/// How long one session lives. It is sealed with the session, from [`Codec::renew_with`](crate::Codec::renew_with) on
/// until the session ends.
///
/// Each timeout is bounded by that of the codec, so a session lives shorter than others and never longer. What is not
/// set is as the codec has it, also if that changes later.
///
/// # Example: "remember me"
///
/// The codec allows what a remembered user gets, and all others get less:
///
/// ```
/// use std::time::Duration;
/// use sealed_session::{Codec, Key, Lifetime};
///
/// const DAY: Duration = Duration::from_secs(86_400);
///
/// let codec = Codec::<u64>::builder(Key::generate()?)
///     .absolute_timeout(90 * DAY)
///     .idle_timeout(30 * DAY)
///     .build()?;
/// let request = codec.request(["theme=dark"]);
/// # for remember_me in [true, false] {
/// let lifetime = if remember_me {
///     Lifetime::new()
/// } else {
///     Lifetime::new().absolute_timeout(DAY).idle_timeout(DAY / 24).browser_session()
/// };
/// let set_cookies = codec.renew_with(&7, &request, lifetime)?;
/// # assert_eq!(set_cookies.values().next().unwrap().contains("Max-Age=2592000"), remember_me);
/// # assert_eq!(set_cookies.values().next().unwrap().contains("Max-Age"), remember_me);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[must_use = "a lifetime does nothing until a session is sealed with it"]
pub struct Lifetime {
    absolute: Option<u64>,
    idle: Option<u64>,
    browser_session: bool,
}

impl Lifetime {
    /// Creates a lifetime that is as the codec has it.
    pub const fn new() -> Self {
        Self { absolute: None, idle: None, browser_session: false }
    }

    /// Sets how long the session lives from its beginning, in whole seconds, and at least one.
    pub fn absolute_timeout(mut self, timeout: Duration) -> Self {
        self.absolute = Some(seconds(timeout));
        self
    }

    /// Sets how long the session lives without being resealed, in whole seconds, and at least one.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle = Some(seconds(timeout));
        self
    }

    /// Makes browsers forget the cookie when they are closed, as
    /// [`Persistence::BrowserSession`](crate::Persistence::BrowserSession) does for all sessions.
    pub fn browser_session(mut self) -> Self {
        self.browser_session = true;
        self
    }

    /// Bounds a codec's absolute timeout by that of the session.
    pub(crate) fn absolute_within(&self, codec: Duration) -> Duration {
        self.absolute.map_or(codec, |own| codec.min(Duration::from_secs(own)))
    }

    /// Bounds a codec's idle timeout by that of the session.
    pub(crate) fn idle_within(&self, codec: Duration) -> Duration {
        self.idle.map_or(codec, |own| codec.min(Duration::from_secs(own)))
    }

    pub(crate) fn is_browser_session(&self) -> bool {
        self.browser_session
    }

    /// Appends the bytes of the extension, of which there are none where all is as the codec has it.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let Self { absolute, idle, browser_session } = *self;
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        let flags = flag(absolute.is_some(), ABSOLUTE)
            | flag(idle.is_some(), IDLE)
            | flag(browser_session, BROWSER_SESSION);
        if flags != 0 {
            out.push(flags);
            [absolute, idle].into_iter().flatten().for_each(|timeout| write_varint(timeout, out));
        }
    }

    /// Reads what [`write`](Self::write) wrote.
    pub(crate) fn parse(mut bytes: &[u8]) -> Result<Self, MessageError> {
        let [flags] = *take(&mut bytes).ok_or(MessageError::Malformed)?;
        if flags & !(ABSOLUTE | IDLE | BROWSER_SESSION) != 0 {
            return Err(MessageError::UnsupportedFormat); // a bound of a later release
        }
        let mut timeout = |flag: u8| match flags & flag {
            0 => Ok(None),
            _ => read_varint(&mut bytes)
                .filter(|timeout| (1..=Seconds::MAX.0).contains(timeout))
                .map(Some)
                .ok_or(MessageError::Malformed),
        };
        let (absolute, idle) = (timeout(ABSOLUTE)?, timeout(IDLE)?);
        if flags == 0 || !bytes.is_empty() {
            return Err(MessageError::Malformed);
        }
        Ok(Self { absolute, idle, browser_session: flags & BROWSER_SESSION != 0 })
    }
}

fn seconds(timeout: Duration) -> u64 {
    timeout.as_secs().clamp(1, Seconds::MAX.0)
}

const ABSOLUTE: u8 = 1;
const IDLE: u8 = 2;
const BROWSER_SESSION: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lifetime_round_trips_and_nothing_else_is_read() {
        let (day, minute) = (Duration::from_secs(86_400), Duration::from_secs(60));
        for lifetime in [
            Lifetime::new().absolute_timeout(day),
            Lifetime::new().idle_timeout(minute),
            Lifetime::new().browser_session(),
            Lifetime::new().absolute_timeout(day).idle_timeout(minute).browser_session(),
            Lifetime::new().absolute_timeout(Duration::MAX).idle_timeout(Duration::ZERO),
        ] {
            let mut bytes = Vec::new();
            lifetime.write(&mut bytes);
            assert_eq!(Lifetime::parse(&bytes).unwrap(), lifetime);
            for cut in 0..bytes.len() {
                assert!(Lifetime::parse(&bytes[..cut]).is_err(), "{lifetime:?}, {cut}");
            }
            bytes.push(1);
            assert!(Lifetime::parse(&bytes).is_err(), "{lifetime:?} and more");
        }
        let mut none = Vec::new();
        Lifetime::new().write(&mut none);
        assert!(none.is_empty());
        for (reason, bad) in [
            ("flags of nothing", &[0][..]),
            ("no seconds", &[1, 0]),
            ("2⁴⁰ seconds", &[2, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20]),
            ("not minimal", &[1, 0x81, 0x00]),
        ] {
            assert!(matches!(Lifetime::parse(bad), Err(MessageError::Malformed)), "{reason}");
        }
        assert!(matches!(Lifetime::parse(&[8]), Err(MessageError::UnsupportedFormat)));
    }
}
