//! The watch over a key file: a ring that follows it while requests run.
//!
//! The file is read every few seconds, and compared with what was read last. That sees every change, on
//! every file system: a rename, a write in place, a symbolic link that is swapped as Kubernetes does
//! it, a mount that was absent. Notifications of the operating system would be a second way beside
//! this one, because they do not see all of these and can run out; and they would gain seconds on what
//! is announced days ahead. A look takes some 30 µs.

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant, SystemTime};

use sha2::{Digest, Sha256};

use crate::key::KeyId;
use crate::key_file::{KeyFile, KeyFileError};
use crate::key_source::KeySource;
use crate::observe;
use crate::ring::KeyRing;

/// Keeps a ring as a key file says, in all codecs that have it, while requests run.
///
/// A file that is broken, or in which no key may seal, never replaces a good ring: it is reported, and
/// the ring stays as it is.
///
/// The work is done by a thread of its own, so this needs no async runtime and suits any.
///
/// # Example
///
/// ```no_run
/// use sealed_session::{Codec, KeySource, Watcher};
///
/// let watcher = Watcher::new(KeySource::file("/etc/shop/keys.toml"))?;
/// let codec = Codec::<String>::new(watcher.ring());
/// let _watch = watcher.spawn(|event| eprintln!("{event}"))?; // until it is dropped
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Unknown keys
///
/// A request whose session was sealed by a key that the ring does not know makes the thread look at
/// the file soon: another node may have the new key already. Such a request itself still ends in
/// [`DecodeError::UnknownKey`](crate::DecodeError::UnknownKey). However many come, the file is read at
/// most once a second, and they cost the request one atomic operation.
#[derive(Debug)]
#[must_use = "a watcher does nothing until `spawn` or `poll` is called"]
pub struct Watcher {
    source: KeySource,
    ring: KeyRing,
    every: Duration,
    /// The hash of the file that is in the ring.
    loaded: [u8; 32],
    /// What was reported last, if the file is broken.
    failure: Option<String>,
}

/// Tells what a look at a key file brought about.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum WatchEvent {
    /// The file changed, and the ring with it.
    Reloaded {
        /// The key that seals.
        primary: Option<KeyId>,
        /// The number of keys.
        keys: usize,
    },
    /// The file is broken or gone. The ring stays as it is. Told once, until something else happens.
    Failed(KeyFileError),
    /// The file is as good again as it was when it was loaded.
    Recovered,
}

impl std::fmt::Display for WatchEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Reloaded { primary: Some(primary), keys } => {
                write!(f, "the key ring was reloaded: {keys} keys, and {primary} seals")
            }
            Self::Reloaded { primary: None, keys } => {
                write!(f, "the key ring was reloaded: {keys} keys")
            }
            Self::Failed(error) => write!(f, "the key ring stays as it is: {error}"),
            Self::Recovered => f.write_str("the key file is as the key ring again"),
        }
    }
}

impl Watcher {
    /// Loads the file, and makes the ring that will follow it.
    ///
    /// # Errors
    ///
    /// Each [`KeyFileError`] of reading, so that a node without keys does not start.
    pub fn new(source: KeySource) -> Result<Self, KeyFileError> {
        Self::new_at(source, SystemTime::now())
    }

    /// Does what [`new`](Self::new) does, at the time `now`.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn new_at(source: KeySource, now: SystemTime) -> Result<Self, KeyFileError> {
        let (file, loaded) = read(&source)?;
        let ring = file.ring_at(now)?;
        Ok(Self { source, ring, every: EVERY, loaded, failure: None })
    }

    /// Sets how often the file is read. Default: every 10 seconds. At least a second.
    pub fn every(mut self, every: Duration) -> Self {
        self.every = every.max(LEAST);
        self
    }

    /// Gives the ring, for codecs.
    #[must_use]
    pub fn ring(&self) -> KeyRing {
        self.ring.clone()
    }

    /// Reads the file now, and tells what happened, if anything did. For those who have a timer already;
    /// with [`spawn`](Self::spawn), it is done for you.
    pub fn poll(&mut self) -> Option<WatchEvent> {
        self.poll_at(SystemTime::now())
    }

    /// Does what [`poll`](Self::poll) does, at the time `now`.
    pub fn poll_at(&mut self, now: SystemTime) -> Option<WatchEvent> {
        match self.reload(now) {
            Ok(reloaded) => {
                let failed = self.failure.take().is_some();
                if reloaded {
                    let (primary, keys) = (self.ring.primary_at(now), self.ring.ids().len());
                    observe::reloaded(keys);
                    Some(WatchEvent::Reloaded { primary, keys })
                } else {
                    failed.then_some(WatchEvent::Recovered)
                }
            }
            Err(error) => {
                let told = error.to_string();
                let known = self.failure.as_ref() == Some(&told);
                observe::not_reloaded(&error, known);
                self.failure = Some(told);
                (!known).then_some(WatchEvent::Failed(error))
            }
        }
    }

    fn reload(&mut self, now: SystemTime) -> Result<bool, KeyFileError> {
        let (file, hash) = read(&self.source)?;
        file.check_at(now)?;
        if hash == self.loaded {
            return Ok(false);
        }
        self.ring.replace(file.ring_keys()).map_err(KeyFileError::Ring)?;
        self.loaded = hash;
        Ok(true)
    }

    /// Starts the thread that keeps the ring as the file says, until the result is dropped.
    ///
    /// `report` is called by that thread with each event: log it. If it panics, the watch goes on.
    ///
    /// # Errors
    ///
    /// The operating system's, if it gives no thread.
    pub fn spawn(
        mut self,
        mut report: impl FnMut(WatchEvent) + Send + 'static,
    ) -> std::io::Result<Watch> {
        let bell = Arc::clone(self.ring.bell());
        let stop = Arc::new(AtomicBool::new(false));
        let (hears, stopped) = (Arc::clone(&bell), Arc::clone(&stop));
        let mut schedule = Schedule { every: self.every, last: Instant::now() };
        let work = move || {
            while !stopped.load(Ordering::Acquire) {
                let now = Instant::now();
                if let Some(wait) = schedule.wait(now, hears.rung()) {
                    thread::park_timeout(wait);
                    continue;
                }
                hears.hush();
                schedule.last = now;
                if let Some(event) = self.poll() {
                    // A report that panics must not end the watch in silence.
                    let _ = panic::catch_unwind(AssertUnwindSafe(|| report(event)));
                }
            }
        };
        let thread = thread::Builder::new().name("sealed-session-watch".to_owned()).spawn(work)?;
        bell.attach(thread.thread().clone());
        Ok(Watch { bell, stop, thread: Some(thread) })
    }
}

/// Reads a key file whole, and hashes it.
fn read(source: &KeySource) -> Result<(KeyFile, [u8; 32]), KeyFileError> {
    let file = source.load()?;
    let hash = Sha256::digest(file.expose_text().as_bytes()).into();
    Ok((file, hash))
}

/// Holds the thread that keeps a ring as its file says; when dropped, it ends, and nothing is reported
/// any more.
#[derive(Debug)]
#[must_use = "the watch ends when this is dropped"]
pub struct Watch {
    bell: Arc<Bell>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Asks for a look at the file soon: within a second, however often it is asked. For a signal handler,
    /// say; it takes no lock.
    pub fn nudge(&self) {
        self.bell.ring();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A report may own the watch, and a thread cannot wait for itself.
            if thread.thread().id() != thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

/// Lets requests wake the thread of a ring, if it has one.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Bell {
    /// Wakes the thread, unless it was woken already and has not looked since.
    pub(crate) fn ring(&self) {
        if let Some(thread) = self.thread.get()
            && !self.rung.swap(true, Ordering::AcqRel)
        {
            thread.unpark();
        }
    }

    fn attach(&self, thread: Thread) {
        // One ring has one watcher, which is used up by `spawn`.
        let _ = self.thread.set(thread);
    }

    fn rung(&self) -> bool {
        self.rung.load(Ordering::Acquire)
    }

    fn hush(&self) {
        self.rung.store(false, Ordering::Release);
    }
}

/// Says when the file is read next.
#[derive(Debug)]
struct Schedule {
    every: Duration,
    last: Instant,
}

impl Schedule {
    /// Gives how long to wait; nothing if it is time.
    fn wait(&self, now: Instant, rung: bool) -> Option<Duration> {
        let pause = if rung { LEAST } else { self.every };
        let waited = now.saturating_duration_since(self.last);
        pause.checked_sub(waited).filter(|wait| !wait.is_zero())
    }
}

const EVERY: Duration = Duration::from_secs(10);

/// The file is read no more often than this, whatever clients send.
const LEAST: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_bring_a_look_forward_and_never_bring_two_within_a_second() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut schedule = Schedule { every: Duration::from_secs(10), last: start };
        for (now, rung, wait) in [
            (0, false, Some(10_000)),
            (0, true, Some(1000)),
            (400, true, Some(600)),
            (999, true, Some(1)),
            (1000, true, None),
            (1000, false, Some(9000)),
            (9999, false, Some(1)),
            (10_000, false, None),
            (60_000, false, None),
        ] {
            let expected = wait.map(Duration::from_millis);
            assert_eq!(schedule.wait(at(now), rung), expected, "{now} {rung}");
        }
        // A client that sends unknown keys all the time, every millisecond for a minute.
        let mut looks = 0;
        for ms in 0..60_000 {
            if schedule.wait(at(ms), true).is_none() {
                schedule.last = at(ms);
                looks += 1;
            }
        }
        assert_eq!(looks, 59);
    }

    #[test]
    fn a_bell_without_a_thread_is_not_rung() {
        let bell = Bell::default();
        bell.ring();
        assert!(!bell.rung());
        bell.attach(thread::current());
        bell.ring();
        assert!(bell.rung());
        bell.hush();
        assert!(!bell.rung());
    }
}
