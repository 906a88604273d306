//! The set of what is revoked: asked for each session, told by whoever ends one.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;

use crate::cutoff::Cutoff;
use crate::message::seconds::Seconds;
use crate::message::session_id::SessionId;
use crate::observe;
use crate::revocation::entry::{EVERYTHING, Entry, Revoked, SESSION, SubjectTag};
use crate::revocation::guarded;
use crate::revocation::receipt::{Part, Receipt};
use crate::revocation::table::{Added, PARTS, Table};

/// What is revoked: session ids, subject tags, and everything before a time.
///
/// Clones share one set. Asking it never waits, neither for who revokes nor for a disk or a network. It keeps an entry
/// for as long as a session can live that it ends, and then forgets it: about 40 bytes each.
///
/// Alone it is of this process and ends with it. A [`Journal`](super::Journal) shares it with the other processes of this
/// machine and keeps it over restarts, a `RedisFeed` (feature `revocation-redis`) with other machines.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use sealed_session::revocation::{Revocations, SubjectTag};
/// use sealed_session::{Codec, DecodeError, Key};
///
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// struct Session { user: u64 }
///
/// let week = Duration::from_secs(7 * 86_400);
/// let revocations = Revocations::new(week);
/// let user = |id: u64| SubjectTag::new("user", id.to_be_bytes());
/// let codec = Codec::<Session>::builder(Key::generate()?)
///     .absolute_timeout(week)
///     .revocations(revocations.clone(), move |session: &Session| [user(session.user)])
///     .build()?;
///
/// let set_cookies = codec.renew(&Session { user: 7 }, &codec.request([""]))?;
/// let cookie = set_cookies.values().next().unwrap().split(';').next().unwrap();
/// assert!(codec.decode(&codec.request([cookie]))?.is_some());
///
/// // "Log out everywhere", from wherever.
/// revocations.revoke_subject(user(7))?;
/// assert!(matches!(codec.decode(&codec.request([cookie])), Err(DecodeError::Revoked)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Revocations {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    table: Table,
    /// How long after its revocation a session can live, by any clock.
    keep: Duration,
    capacity: AtomicUsize,
    /// Milliseconds.
    patience: AtomicU64,
    len: AtomicUsize,
    /// The cutoff of everything, which each session is held against: kept apart from the table.
    everything: AtomicU64,
    /// Where new revocations go. Whoever adds one holds this, so that none is missed.
    sinks: ArcSwap<Vec<Arc<dyn Sink>>>,
    attaching: Mutex<()>,
    /// The next part to be swept, and the second from which on.
    sweep: Mutex<(usize, u64)>,
    freshness: ArcSwap<Option<Freshness>>,
    /// Whether something of others did not fit, so that this set cannot vouch for any session.
    overflowed: AtomicBool,
    pub(super) started: Instant,
}

/// Whoever carries revocations on: a journal, a feed.
pub(super) trait Sink: Send + Sync {
    /// Takes an entry that is new here. Must not wait.
    fn push(&self, entry: Entry, part: Option<Part>);
}

/// Until when the set is as good as that of other nodes.
pub(super) struct Freshness {
    /// Milliseconds since the set began when it was last proved; 0 if it never was.
    pub(super) proved: Arc<AtomicU64>,
    pub(super) bound: Duration,
    pub(super) refuse: bool,
}

/// The error of a set that takes nothing more: it has as many entries as it may, see [`Revocations::set_capacity`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the set of revocations is full, with {entries} entries; nothing was revoked")]
#[non_exhaustive]
pub struct Full {
    /// How many it has.
    pub entries: usize,
}

/// How far ahead the time of an entry counts for how long it is kept: longer than any session lives, and than old cookies
/// of another library are read.
const MOST_AHEAD: u64 = 2 * 400 * 86_400;

impl Revocations {
    /// Creates an empty set, for codecs whose absolute timeout is at most this long.
    ///
    /// Before you raise the absolute timeout of running nodes, raise this one everywhere, and wait for as long as the
    /// old timeout was: what was revoked before that is else forgotten while it lives.
    #[must_use]
    pub fn new(absolute_timeout: Duration) -> Self {
        let mut seeds = [[0; 8]; 2];
        for seed in &mut seeds {
            // Without random bytes the table is as right, and slower for who attacks it.
            let _ = crate::bytes::random::fill(seed);
        }
        let shared = Shared {
            table: Table::new(seeds.map(u64::from_ne_bytes)),
            keep: absolute_timeout.saturating_add(MARGIN),
            capacity: AtomicUsize::new(CAPACITY),
            patience: AtomicU64::new(1000),
            len: AtomicUsize::new(0),
            everything: AtomicU64::new(0),
            sinks: ArcSwap::default(),
            attaching: Mutex::new(()),
            sweep: Mutex::new((0, 0)),
            freshness: ArcSwap::default(),
            overflowed: AtomicBool::new(false),
            started: Instant::now(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Sets how many entries it may have. Default: 4 million, which take some 160 MB.
    ///
    /// What does not fit is not revoked: an error where it was asked for here, and where another node or process
    /// asked, this one counts as stale from then on.
    pub fn set_capacity(&self, entries: usize) {
        self.shared.capacity.store(entries, Ordering::Relaxed);
    }

    /// Sets for how long the response of a logout waits until the revocation is stored, in the middlewares. Default: a
    /// second. After that it goes out all the same, with a warning in the log: the session has ended here, and the
    /// others hear of it when they can be reached.
    pub fn set_patience(&self, limit: Duration) {
        let limit = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        self.shared.patience.store(limit, Ordering::Relaxed);
    }

    /// Returns for how long the response of a logout waits.
    #[must_use]
    pub fn patience(&self) -> Duration {
        Duration::from_millis(self.shared.patience.load(Ordering::Relaxed))
    }

    /// Ends one session: at once in this process, and everywhere as the receipt tells.
    ///
    /// # Errors
    ///
    /// [`Full`].
    pub fn revoke_session(&self, id: SessionId) -> Result<Receipt, Full> {
        self.revoke_session_at(id, SystemTime::now())
    }

    /// Behaves as [`revoke_session`](Self::revoke_session) does, at the time `now`.
    ///
    /// # Errors
    ///
    /// As [`revoke_session`](Self::revoke_session).
    pub fn revoke_session_at(&self, id: SessionId, now: SystemTime) -> Result<Receipt, Full> {
        self.revoke(id.0, SESSION, Seconds::from(now).0, now)
    }

    /// Ends the sessions with this tag that have begun up to now: "log out everywhere", "end this device".
    ///
    /// What [`Codec::renew`](crate::Codec::renew) begins afterwards lives, in the same second too. Each further call in that
    /// second ends what was begun in between, and so is one second ahead of the one before: who calls it more often in a
    /// second than the clock skew of the codec has seconds, cannot begin a session with that tag for a moment.
    ///
    /// # Errors
    ///
    /// [`Full`].
    pub fn revoke_subject(&self, tag: SubjectTag) -> Result<Receipt, Full> {
        self.revoke_subject_at(tag, SystemTime::now())
    }

    /// Behaves as [`revoke_subject`](Self::revoke_subject) does, at the time `now`.
    ///
    /// # Errors
    ///
    /// As [`revoke_subject`](Self::revoke_subject).
    pub fn revoke_subject_at(&self, tag: SubjectTag, now: SystemTime) -> Result<Receipt, Full> {
        let mut before = Cutoff::now(now).as_secs();
        let known = self.shared.table.before(&tag.to_bytes());
        if known >= before {
            // What was begun in knowledge of the last one, in this second, was dated to it.
            before = known.saturating_add(1);
        }
        self.revoke(tag.to_bytes(), before, before, now)
    }

    /// Ends the cookie of another library that has this tag, which is read until this time.
    pub(crate) fn revoke_old_cookie(
        &self,
        tag: SubjectTag,
        until: SystemTime,
        now: SystemTime,
    ) -> Result<Receipt, Full> {
        // As such a cookie tells no beginning, any cutoff ends it; this one is remembered for long enough.
        let until = Seconds::from(until).0;
        self.revoke(tag.to_bytes(), until, until, now)
    }

    /// Ends all sessions that began before this time: "everything before the incident".
    ///
    /// With a time in the future, those too that begin until then.
    ///
    /// # Errors
    ///
    /// [`Full`].
    pub fn revoke_before(&self, time: SystemTime) -> Result<Receipt, Full> {
        let before = Cutoff::before(time).as_secs();
        self.revoke(EVERYTHING, before, before, SystemTime::now())
    }

    /// Returns whether this set ends a session, for who keeps sessions in another way than a codec.
    #[must_use]
    pub fn ends(&self, began: SystemTime, id: Option<SessionId>, tags: &[SubjectTag]) -> bool {
        let began = Seconds::from(began).0;
        self.ends_id(began, id) || tags.iter().any(|tag| self.ends_tag(began, *tag))
    }

    /// Returns what is revoked and not forgotten yet, in no order.
    pub fn list(&self) -> impl Iterator<Item = Revoked> + '_ {
        self.list_at(SystemTime::now())
    }

    /// Behaves as [`list`](Self::list) does, at the time `now`.
    pub fn list_at(&self, now: SystemTime) -> impl Iterator<Item = Revoked> + '_ {
        self.shared.table.list(Seconds::from(now).0, None).map(Entry::revoked)
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.len.load(Ordering::Relaxed)
    }

    /// Returns whether nothing is revoked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the bytes of memory that the entries take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.shared.table.bytes()
    }

    /// Returns how old the news from other nodes may be: the time since the feed last proved that it is fresh, or
    /// that the set is, where it never did. `None` without a feed.
    #[must_use]
    pub fn staleness(&self) -> Option<Duration> {
        let freshness = self.shared.freshness.load();
        freshness.as_ref().as_ref().map(|freshness| freshness.age(self.shared.started))
    }

    /// Returns whether a session may be served by what is known: `true` without a feed and while its news are fresh.
    /// For readiness checks; it is what `WhenStale::Refuse` goes by.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        let freshness = self.shared.freshness.load();
        let overflowed = self.shared.overflowed.load(Ordering::Relaxed);
        !overflowed
            && freshness.as_ref().as_ref().is_none_or(|fresh| fresh.holds(self.shared.started))
    }

    /// Returns whether sessions are to be refused for now, because nobody knows whether they were revoked.
    pub(crate) fn refuses_all(&self) -> bool {
        let freshness = self.shared.freshness.load();
        freshness.as_ref().as_ref().is_some_and(|fresh| {
            fresh.refuse
                && (!fresh.holds(self.shared.started)
                    || self.shared.overflowed.load(Ordering::Relaxed))
        })
    }

    /// Returns whether a session has ended by its id or its beginning.
    #[inline]
    pub(crate) fn ends_id(&self, began: u64, id: Option<SessionId>) -> bool {
        if self.is_empty() {
            return false;
        }
        let everything = Cutoff::from_secs(self.shared.everything.load(Ordering::Acquire));
        everything.ends(began) || id.is_some_and(|SessionId(id)| self.cutoff(&id).ends(began))
    }

    /// Returns whether a session has ended by a tag.
    #[inline]
    pub(crate) fn ends_tag(&self, began: u64, tag: SubjectTag) -> bool {
        self.cutoff(&tag.to_bytes()).ends(began)
    }

    /// Returns the latest cutoff of what a new session has in common with others.
    pub(crate) fn latest(&self, tags: impl IntoIterator<Item = SubjectTag>) -> Cutoff {
        let everything = Cutoff::from_secs(self.shared.everything.load(Ordering::Acquire));
        tags.into_iter().map(|tag| self.cutoff(&tag.to_bytes())).fold(everything, Cutoff::max)
    }

    /// Returns whether what is forgotten is dead by then, for a codec with these durations.
    pub(crate) fn outlasts(&self, absolute: Duration, skew: Duration) -> bool {
        absolute.saturating_add(skew.saturating_mul(2)) <= self.shared.keep
    }

    #[inline]
    fn cutoff(&self, target: &[u8; 16]) -> Cutoff {
        Entry::cutoff(self.shared.table.before(target))
    }

    fn revoke(
        &self,
        target: [u8; 16],
        before: u64,
        from: u64,
        now: SystemTime,
    ) -> Result<Receipt, Full> {
        let until = from.saturating_add(self.shared.keep.as_secs());
        let before = if before == SESSION { SESSION } else { before.min(SESSION - 1) };
        let entry = Entry { target, before, until };
        // What is known already is stored again: nobody can tell whether it was.
        self.add(entry, 0, now)?;
        let sinks = self.shared.sinks.load_full();
        let receipt = Receipt::new(sinks.len());
        for sink in sinks.iter() {
            sink.push(entry, Some(receipt.part()));
        }
        Ok(receipt)
    }

    /// Returns what another process or node has revoked, with an end that is bounded, unless it is dead.
    ///
    /// Who can write there can log users out, and shall not be able to fill the memory of all nodes for ever.
    pub(super) fn alive(&self, entry: Entry, now: SystemTime) -> Option<Entry> {
        let now = Seconds::from(now).0;
        let latest = match entry.before {
            SESSION => now,
            before => before.clamp(now, now + MOST_AHEAD),
        };
        let until = entry.until.min(latest.saturating_add(self.shared.keep.as_secs()));
        (until > now).then_some(Entry { until, ..entry })
    }

    /// Takes over what another process or node has revoked, and carries it on to whoever has not told it.
    ///
    /// `mark` is that of the reading of the stream, or 0.
    pub(super) fn merge(
        &self,
        entry: Entry,
        mark: u8,
        from: &dyn Sink,
        now: SystemTime,
    ) -> Result<bool, Full> {
        let Some(entry) = self.alive(entry, now) else { return Ok(false) };
        let news = self.add(entry, mark, now).inspect_err(|_| {
            self.shared.overflowed.store(true, Ordering::Relaxed);
        })?;
        if news {
            for sink in self.shared.sinks.load().iter() {
                if !std::ptr::addr_eq(Arc::as_ptr(sink), from) {
                    sink.push(entry, None);
                }
            }
        }
        Ok(news)
    }

    fn add(&self, entry: Entry, mark: u8, now: SystemTime) -> Result<bool, Full> {
        let now = Seconds::from(now).0;
        self.sweep(now);
        let Shared { table, capacity, len, everything, .. } = &*self.shared;
        let full = || len.load(Ordering::Relaxed) >= capacity.load(Ordering::Relaxed);
        if entry.target == EVERYTHING {
            // It needs no room.
            everything.fetch_max(entry.before, Ordering::AcqRel);
        }
        let mut added = table.add(entry, mark, now, || entry.target == EVERYTHING || !full());
        if added == Added::Full {
            (0..PARTS).for_each(|part| self.sweep_part(part, now));
            added = table.add(entry, mark, now, || !full());
        }
        match added {
            Added::New { dead } => {
                len.fetch_sub(dead, Ordering::Relaxed);
                let entries = len.fetch_add(1, Ordering::Relaxed) + 1;
                guarded(|| observe::revocations(entries));
                Ok(true)
            }
            Added::Further => Ok(true),
            Added::Known => Ok(false),
            Added::Full => {
                let entries = len.load(Ordering::Relaxed);
                guarded(|| observe::revocations_full(entries));
                Err(Full { entries })
            }
        }
    }

    /// Forgets what is dead, a part at a time.
    fn sweep(&self, now: u64) {
        let Ok(mut sweep) = self.shared.sweep.try_lock() else { return };
        let (part, from) = *sweep;
        if now >= from {
            *sweep = (part + 1, now.saturating_add(SWEEP_EVERY));
            drop(sweep);
            self.sweep_part(part, now);
        }
    }

    fn sweep_part(&self, part: usize, now: u64) {
        let (dead, _) = self.shared.table.sweep(part, now);
        self.shared.len.fetch_sub(dead, Ordering::Relaxed);
    }

    pub(super) fn attach(&self, sink: Arc<dyn Sink>) {
        let _one = self.shared.attaching.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sinks = self.shared.sinks.load().as_ref().clone();
        sinks.push(sink);
        self.shared.sinks.store(Arc::new(sinks));
    }

    pub(super) fn detach(&self, sink: &dyn Sink) {
        let _one = self.shared.attaching.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sinks = self.shared.sinks.load().as_ref().clone();
        sinks.retain(|known| !std::ptr::addr_eq(Arc::as_ptr(known), sink));
        self.shared.sinks.store(Arc::new(sinks));
    }

    /// Lets the freshness of a feed count, or that of none.
    #[cfg(feature = "revocation-redis")]
    pub(super) fn follow(&self, freshness: Option<Freshness>) {
        self.shared.freshness.store(Arc::new(freshness));
    }

    /// Returns for how long this set has existed.
    #[cfg(feature = "revocation-redis")]
    pub(super) fn age(&self) -> Duration {
        self.shared.started.elapsed()
    }

    /// Returns for how long an entry is kept after its cutoff.
    #[cfg(feature = "revocation-redis")]
    pub(super) fn keep(&self) -> Duration {
        self.shared.keep
    }

    /// Notes that there was room for all that others have revoked.
    #[cfg(feature = "revocation-redis")]
    pub(super) fn fits(&self) {
        self.shared.overflowed.store(false, Ordering::Relaxed);
    }

    /// Begins a reading of the stream that has this mark.
    #[cfg(feature = "revocation-redis")]
    pub(super) fn begin_reading(&self, mark: u8) {
        self.shared.table.unmark(mark);
    }

    /// Returns the live entries that were not found in this reading of the stream.
    #[cfg(feature = "revocation-redis")]
    pub(super) fn lacking(&self, mark: u8) -> impl Iterator<Item = Entry> + '_ {
        let now = Seconds::from(SystemTime::now()).0;
        self.shared.table.list(now, Some(mark))
    }

    /// Returns whether an entry was found in this reading of the stream, as far as it reaches.
    #[cfg(feature = "revocation-redis")]
    pub(super) fn has_mark(&self, entry: &Entry, mark: u8) -> bool {
        self.shared.table.has_mark(&entry.target, mark)
    }

    /// Returns what is live, as it is stored.
    pub(super) fn entries(&self, now: SystemTime) -> impl Iterator<Item = Entry> + '_ {
        self.shared.table.list(Seconds::from(now).0, None)
    }
}

impl Freshness {
    fn holds(&self, started: Instant) -> bool {
        self.proved.load(Ordering::Acquire) != 0 && self.age(started) <= self.bound
    }

    fn age(&self, started: Instant) -> Duration {
        let proved = Duration::from_millis(self.proved.load(Ordering::Acquire));
        started.elapsed().saturating_sub(proved)
    }
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Entries are kept for so much longer than sessions live: clocks differ.
const MARGIN: Duration = Duration::from_secs(86_400);

const CAPACITY: usize = 4_000_000;

/// One part of 256 in so many seconds.
const SWEEP_EVERY: u64 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;
    impl Sink for Nobody {
        fn push(&self, _: Entry, _: Option<Part>) {}
    }

    #[test]
    fn what_others_tell_is_kept_for_no_longer_than_anything_that_it_ends_can_live() {
        let week = Duration::from_secs(7 * 86_400);
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000);
        let seconds = Seconds::from(now).0;
        let ahead = Duration::from_secs(MOST_AHEAD);
        for (before, kept) in [
            // A session, and what began up to now: for as long as it lives.
            (SESSION, week),
            (seconds - 1000, week),
            (seconds + 1000, week),
            // A cutoff that is to come, as for an old cookie, and one that a vandal wrote.
            (seconds + MOST_AHEAD / 2, ahead / 2 + week),
            (seconds + MOST_AHEAD, ahead + week),
            (SESSION - 1, ahead + week),
        ] {
            let set = Revocations::new(week);
            let entry = Entry { target: [7; 16], before, until: u64::MAX };
            assert_eq!(set.merge(entry, 0, &Nobody, now), Ok(true));
            let lives = |after| set.list_at(now + after).count() == 1;
            assert!(lives(kept), "{before}");
            assert!(!lives(kept + 2 * MARGIN), "{before}");
        }
    }
}
