//! The watch over a key file: a ring that follows it while requests run.
//!
//! The file is read every few seconds, and compared with what was read last. That sees every change, on
//! every file system: a rename, a write in place, a symbolic link that is swapped as Kubernetes does
//! it, a mount that was absent. Notifications of the operating system would be a second way beside
//! this one, because they do not see all of these and can run out; and they would gain seconds on what
//! is announced days ahead. A look takes some 30 µs.

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use sha2::{Digest, Sha256};

use crate::cutoff::Cutoff;
use crate::keys::file::{KeyFile, KeyFileError, Rfc3339Utc, cutoff_time};
use crate::keys::key_id::{KeyId, KeyIds};
use crate::keys::ring::{Entry, KeyRing, RingKey};
use crate::keys::source::{Contents, KeySource};
use crate::keys::wake_up::WakeUp;
use crate::observe;

/// A watcher that keeps a ring as a key file says, in all codecs that have it, while requests run.
///
/// A file that is broken, or in which no key may seal, never replaces a good ring: it is reported, and
/// the ring stays as it is. A file that lacks a key of the ring may be one that is being written, and good
/// only as far as it goes: it is taken when the next check, which follows soon, finds the same. All else is taken
/// at once.
///
/// A revocation always takes effect at once, and so does a cutoff: also those of a file that is refused for something
/// else, as far as it can be read, and if no key is left that may seal. That is reported at each check, for as long as
/// it lasts. A running ring never takes a revocation back, nor what the application said itself: a file in which a key
/// opens that the application revoked is refused, and a cutoff of [`KeyRing::refuse_before`] stays.
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
/// let _watch = watcher.spawn(|event| eprintln!("{event}"))?; // until it is dropped: `let _ =` drops at once
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Unknown keys
///
/// A request whose session was sealed by a key that the ring does not know makes the thread look at
/// the file soon: another node may have the new key already. Such a request itself still ends in
/// [`DecodeError::UnknownKey`](crate::DecodeError::UnknownKey). However many come, the file is read at
/// most once a second, and they cost the request one atomic operation.
///
/// Anybody can send such requests. A program ([`KeySource::command`]), which may cost something each time, is run for them
/// at most every 10 seconds, or as often as [`every`](Watcher::every) says if that is less.
#[derive(Debug)]
#[must_use = "a watcher does nothing until `spawn` or `poll` is called"]
pub struct Watcher {
    source: KeySource,
    ring: KeyRing,
    every: Duration,
    /// The hash of the file that is in the ring.
    loaded: [u8; 32],
    /// The hash of a file that lacks keys of the ring, if the last check found one.
    doubted: Option<[u8; 32]>,
    /// What was reported last, if the file is broken.
    failure: Option<String>,
}

/// What a check of a key file caused.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum WatchEvent {
    /// The file changed, and the ring with it. If `primary` is among `added`, this node has not had it as
    /// long as the others: it was not announced here.
    Reloaded {
        /// The key that seals.
        primary: Option<KeyId>,
        /// The number of keys.
        keys: usize,
        /// Those that the ring did not have before.
        added: Vec<KeyId>,
        /// Those that it does not have any more.
        removed: Vec<KeyId>,
        /// Those whose sessions are refused from now on.
        revoked: Vec<KeyId>,
        /// The time before which no session may have begun, if that is new.
        cutoff: Option<SystemTime>,
    },
    /// Revocations or a cutoff took effect, and nothing else of the file: it was refused, or will be looked at again.
    Revoked {
        /// Those whose sessions are refused from now on.
        revoked: Vec<KeyId>,
        /// The time before which no session may have begun, if that is new.
        cutoff: Option<SystemTime>,
        /// The key that seals, if any may.
        primary: Option<KeyId>,
        /// Why the file was refused, if it was.
        error: Option<KeyFileError>,
    },
    /// No key of the ring may seal: no session can begin or change. Told at each check until it has passed.
    NothingSeals(KeyFileError),
    /// The file is broken or gone. The ring stays as it is. Told once, until something else happens.
    Failed(KeyFileError),
    /// The file is as good again as it was when it was loaded.
    Recovered,
}

impl std::fmt::Display for WatchEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Reloaded { primary, keys, added, removed, revoked, cutoff } => {
                let plural = if *keys == 1 { "" } else { "s" };
                write!(f, "the key ring was reloaded: {keys} key{plural}")?;
                if let Some(primary) = primary {
                    write!(f, ", {primary} seals")?;
                }
                for (ids, what) in [(added, "added"), (removed, "removed"), (revoked, "revoked")] {
                    if !ids.is_empty() {
                        write!(f, ", {what} {}", KeyIds(ids))?;
                    }
                }
                if let Some(cutoff) = cutoff {
                    write!(f, ", no session from before {} lives", Rfc3339Utc(*cutoff))?;
                }
                if unannounced(*primary, added) {
                    f.write_str("; the key that seals was not announced to this node")?;
                }
                Ok(())
            }
            Self::Revoked { revoked, cutoff, primary, error } => {
                f.write_str("the key ring took back what the key file says")?;
                if !revoked.is_empty() {
                    write!(f, ", revoked {}", KeyIds(revoked))?;
                }
                if let Some(cutoff) = cutoff {
                    write!(f, ", no session from before {} lives", Rfc3339Utc(*cutoff))?;
                }
                if primary.is_none() {
                    f.write_str(", and no key may seal")?;
                }
                match error {
                    Some(error) => write!(f, "; the rest of the file is refused: {error}"),
                    None => f.write_str("; the rest of the file will be looked at again"),
                }
            }
            Self::NothingSeals(error) => {
                write!(f, "no key may seal, so that no session can begin or change: {error}")
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

    /// Behaves as [`new`](Self::new) does, at the time `now`.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn new_at(source: KeySource, now: SystemTime) -> Result<Self, KeyFileError> {
        let file = source.load()?;
        let ring = file.ring_at(now)?;
        Ok(Self { source, ring, every: EVERY, loaded: hash(&file), doubted: None, failure: None })
    }

    /// Sets how often the file is read. Default: every 10 seconds. At least a second.
    pub fn every(mut self, every: Duration) -> Self {
        self.every = every.max(LEAST);
        self
    }

    /// Returns the ring, for codecs.
    #[must_use]
    pub fn ring(&self) -> KeyRing {
        self.ring.clone()
    }

    /// Reads the file now, and tells what happened, if anything did. For those who have a timer already;
    /// with [`spawn`](Self::spawn), it is done for you.
    pub fn poll(&mut self) -> Option<WatchEvent> {
        self.poll_at(SystemTime::now())
    }

    /// Behaves as [`poll`](Self::poll) does, at the time `now`.
    pub fn poll_at(&mut self, now: SystemTime) -> Option<WatchEvent> {
        let mut taken = Taken::default();
        let reloaded = self.reload(now, &mut taken);
        let primary = self.ring.primary_at(now);
        let (event, error) = match reloaded {
            Ok(reloaded) => {
                // A file that is in doubt is neither broken nor known to be good.
                let failed = self.doubted.is_none() && self.failure.take().is_some();
                (reloaded.or_else(|| failed.then_some(WatchEvent::Recovered)), None)
            }
            Err(error) => {
                let told = error.to_string();
                let known = self.failure.as_ref() == Some(&told);
                observe::not_reloaded(&error, known);
                self.failure = Some(told);
                ((!known).then(|| WatchEvent::Failed(error.clone())), Some(error))
            }
        };
        if primary.is_none() {
            observe::nothing_seals(error.as_ref().unwrap_or(&KeyFileError::NoActiveKey));
        }
        if matches!(event, Some(WatchEvent::Reloaded { .. })) {
            return event;
        }
        let Taken { revoked, cutoff } = taken;
        if !revoked.is_empty() || cutoff.is_some() {
            observe::revoked(&KeyIds(&revoked), cutoff.map(Rfc3339Utc), primary);
            return Some(WatchEvent::Revoked { revoked, cutoff, primary, error });
        }
        if primary.is_none() {
            return Some(WatchEvent::NothingSeals(error.unwrap_or(KeyFileError::NoActiveKey)));
        }
        event
    }

    fn reload(
        &mut self,
        now: SystemTime,
        taken: &mut Taken,
    ) -> Result<Option<WatchEvent>, KeyFileError> {
        let doubted = self.doubted.take();
        let Contents { text, refusal } = self.source.contents()?;
        let file = refusal.map_or_else(|| text.parse(), Err);
        let revocations = match &file {
            Ok(file) => file.revocations(),
            Err(_) => text.revocations(),
        };
        drop(text);
        // These come first, whatever becomes of the file.
        let before = self.ring.load().cutoff();
        taken.revoked = self.ring.revoke(|id| revocations.ids.contains(&id), revocations.cutoff);
        taken.cutoff = cutoff_time(revocations.cutoff).filter(|_| revocations.cutoff > before);
        let file = file.map_err(|error| self.source.named(error))?;
        let hash = hash(&file);
        file.check_at(now)?;
        let before = self.ring.load();
        let opens =
            |key: &RingKey| key.opens() && before.find(key.id()).is_some_and(Entry::is_revoked);
        if let Some(key) = file.ring_keys().find(opens) {
            return Err(KeyFileError::TakenBack(key.id()));
        }
        // A cutoff that is to come, taken from a file that was refused, is corrected by the file of before too.
        let agreed = before.cutoff_of_file() <= Cutoff::now(now).max(file.cutoff);
        if hash == self.loaded && agreed {
            return Ok(None);
        }
        let (had, has) = (self.ring.ids(), file.ids());
        let removed: Vec<_> = had.iter().filter(|id| !has.contains(id)).copied().collect();
        if !removed.is_empty() && doubted != Some(hash) {
            self.doubted = Some(hash);
            return Ok(None);
        }
        let added: Vec<_> = has.iter().filter(|id| !had.contains(id)).copied().collect();
        // One that the ring never had is told too.
        let mut revoked = std::mem::take(&mut taken.revoked);
        revoked.extend(revocations.ids.into_iter().filter(|id| added.contains(id)));
        // An old file takes none back. One that is to come was a mistake, and can be corrected.
        let known = Some(before.cutoff_of_file()).filter(|known| *known <= Cutoff::now(now));
        let cutoff = file.cutoff.max(known.unwrap_or_default());
        self.ring.follow(file.ring_keys(), cutoff).map_err(KeyFileError::Ring)?;
        self.loaded = hash;
        let (primary, cutoff) = (self.ring.primary_at(now), taken.cutoff);
        let ids = [&added, &removed, &revoked].map(|ids| KeyIds(ids));
        observe::reloaded(
            primary,
            has.len(),
            ids,
            cutoff.map(Rfc3339Utc),
            unannounced(primary, &added),
        );
        Ok(Some(WatchEvent::Reloaded { primary, keys: has.len(), added, removed, revoked, cutoff }))
    }

    /// Starts the thread that keeps the ring as the file says, until the result is dropped. Keep it in a
    /// variable with a name: `let _ = watcher.spawn(…)` drops it at once, and ends the watch.
    ///
    /// `report` is called by that thread with each event: log it. If it panics, or what writes the
    /// events of `tracing` does, the watch goes on.
    ///
    /// A thread does not survive a fork. A server that forks its workers calls this in each of them.
    ///
    /// # Errors
    ///
    /// The operating system's, if it gives no thread.
    pub fn spawn(
        mut self,
        mut report: impl FnMut(WatchEvent) + Send + 'static,
    ) -> std::io::Result<Watch> {
        let wake_up = Arc::clone(self.ring.wake_up());
        let stop = Arc::new(AtomicBool::new(false));
        let (hears, stopped) = (Arc::clone(&wake_up), Arc::clone(&stop));
        let mut schedule = Schedule::new(&self.source, self.every, Instant::now());
        let checked = Arc::new(Mutex::new(schedule.last));
        let tell = Arc::clone(&checked);
        let (working, ended) = mpsc::channel::<()>();
        let work = move || {
            let _working = working;
            while !stopped.load(Ordering::Acquire) {
                let now = Instant::now();
                let soon = hears.requested() || self.doubted.is_some();
                if let Some(wait) = schedule.wait(now, soon) {
                    thread::park_timeout(wait);
                    continue;
                }
                hears.clear();
                schedule.last = now;
                // Others' code that panics, in `report` or where events are written, must not end the watch.
                let _ = panic::catch_unwind(AssertUnwindSafe(|| {
                    let event = self.poll();
                    // The look may have taken long, and the watch be gone.
                    event.filter(|_| !stopped.load(Ordering::Acquire)).map(&mut report)
                }));
                *tell.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            }
        };
        let thread = thread::Builder::new().name("sealed-session-watch".to_owned()).spawn(work)?;
        wake_up.attach(thread.thread().clone());
        Ok(Watch { wake_up, stop, checked, ended: Mutex::new(ended), thread: Some(thread) })
    }
}

/// Returns whether a reload brought a key that seals at once.
fn unannounced(primary: Option<KeyId>, added: &[KeyId]) -> bool {
    primary.is_some_and(|primary| added.contains(&primary))
}

/// What was taken back before anything else of a file was looked at.
#[derive(Debug, Default)]
struct Taken {
    revoked: Vec<KeyId>,
    cutoff: Option<SystemTime>,
}

/// Hashes what a key file says.
fn hash(file: &KeyFile) -> [u8; 32] {
    Sha256::digest(file.expose_text().as_bytes()).into()
}

/// The thread that keeps a ring as its file says; when dropped, it ends, and nothing is reported
/// any more.
///
/// Dropping it waits for a look or a report that is under way, up to a second. One that hangs is left to itself: nothing
/// follows it.
#[derive(Debug)]
#[must_use = "the watch ends when this is dropped"]
pub struct Watch {
    wake_up: Arc<WakeUp>,
    stop: Arc<AtomicBool>,
    checked: Arc<Mutex<Instant>>,
    /// Ends when the thread does.
    ended: Mutex<Receiver<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Requests a check of the file soon: within a second, or 10 for a command, however often it is asked. For a signal
    /// handler, say; it takes no lock.
    pub fn check_soon(&self) {
        self.wake_up.request();
    }

    /// Returns when the thread last finished a check of the file, or else when it started.
    ///
    /// If that is much longer ago than [`Watcher::every`], the file hangs in a network, `report` does not
    /// return, or the process was forked and this one has no such thread: something for a health check.
    ///
    /// ```
    /// # use std::time::Duration;
    /// fn healthy(watch: &sealed_session::Watch) -> bool {
    ///     watch.last_check().elapsed() < Duration::from_secs(60)
    /// }
    /// ```
    #[must_use]
    pub fn last_check(&self) -> Instant {
        *self.checked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A report may own the watch, and a thread cannot wait for itself.
            if thread.thread().id() != thread::current().id() {
                let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
                if ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Disconnected) {
                    let _ = thread.join();
                }
            }
        }
    }
}

/// When the file is read next.
#[derive(Debug)]
struct Schedule {
    every: Duration,
    /// How long after the last time, if it was requested.
    soon: Duration,
    last: Instant,
}

impl Schedule {
    fn new(source: &KeySource, every: Duration, last: Instant) -> Self {
        let is_command = source.path().is_none();
        let soon = if is_command { every.min(LEAST_OF_COMMANDS) } else { LEAST };
        Self { every, soon, last }
    }

    /// Returns how long to wait; nothing if it is time.
    fn wait(&self, now: Instant, requested: bool) -> Option<Duration> {
        let pause = if requested { self.soon } else { self.every };
        let waited = now.saturating_duration_since(self.last);
        pause.checked_sub(waited).filter(|wait| !wait.is_zero())
    }
}

const EVERY: Duration = Duration::from_secs(10);

/// How long the end of a watch is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// The file is read no more often than this, whatever clients send.
const LEAST: Duration = Duration::from_secs(1);

/// And no program is run more often, if it is not to be by itself: a secret manager may want money for each answer.
const LEAST_OF_COMMANDS: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_bring_a_look_forward_and_never_bring_two_within_a_second() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let file = KeySource::file("keys.toml");
        let schedule = Schedule::new(&file, Duration::from_secs(10), start);
        for (now, requested, wait) in [
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
            assert_eq!(schedule.wait(at(now), requested), expected, "{now} {requested}");
        }
        // A client that sends unknown keys all the time, every millisecond for a minute.
        let looks = |source: &KeySource, every| {
            let mut schedule = Schedule::new(source, Duration::from_secs(every), start);
            let due = (0..60_000).filter(|ms| {
                let due = schedule.wait(at(*ms), true).is_none();
                schedule.last = if due { at(*ms) } else { schedule.last };
                due
            });
            due.count()
        };
        let command = KeySource::command("vault", ["kv"]);
        for (source, every, expected) in [
            (&file, 10, 59),
            (&file, 3600, 59),
            (&command, 3600, 5),
            (&command, 10, 5),
            (&command, 5, 11),
            (&command, 1, 59),
        ] {
            assert_eq!(looks(source, every), expected, "{source:?} {every}");
        }
    }
}
