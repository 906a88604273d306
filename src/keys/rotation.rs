//! Rotation: how the keys of a file change, so that no session is lost.
//!
//! Every change here is a function of a [`KeyFile`] and a time. Reading and writing is
//! [`KeyFile::edit`]'s.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::cutoff::Cutoff;
use crate::keys::error::{KeyError, RingError};
use crate::keys::file::{
    KeyFile, KeyFileError, Record, Rfc3339Utc, Role, YEAR_9999, cutoff_time, whole,
};
use crate::keys::key::Key;
use crate::keys::key_id::KeyId;
use crate::keys::ring::KeyRing;

/// A policy of rotation: when keys are made, promoted and retired, and the changes to a key file that keep to it.
///
/// Two rules keep every session readable on every node:
///
/// 1. A key is *announced*: it stands in the file for some time before it seals, so that all nodes
///    can open by it when the first one seals by it.
/// 2. A key is *kept*: it opens for as long as a session that it sealed may live.
///
/// A change that breaks one of them is refused; [`Policy::dangerous_at_once`] makes it anyway.
///
/// # Example
///
/// Run once a day, or as often as you like, this rotates the key of a file every 30 days:
///
/// ```no_run
/// use sealed_session::{KeyFile, Policy};
///
/// let changes = KeyFile::edit("/etc/shop/keys.toml", |file| Policy::default().rotate(file))?;
/// # Ok::<(), sealed_session::PolicyError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Policy {
    every: Duration,
    announce: Duration,
    keep: Duration,
}

impl Default for Policy {
    /// A new key every 30 days, announced 2 days ahead, kept for 9 days: the default absolute timeout of
    /// sessions is 7, and a node may be 2 days late to learn of the new key.
    fn default() -> Self {
        Self { every: 30 * DAY, announce: 2 * DAY, keep: 9 * DAY }
    }
}

impl Policy {
    /// Sets how long a key seals. Default: 30 days. At least an hour.
    ///
    /// A key is safe for far longer; this bounds what a stolen one is good for.
    pub fn every(mut self, every: Duration) -> Self {
        self.every = every.max(HOUR);
        self
    }

    /// Sets how long before its activation a key stands in the file. Default: 2 days. It must be longer
    /// than the file ever takes to reach all nodes, those that are switched off for a while included.
    pub fn announce(mut self, announce: Duration) -> Self {
        self.announce = announce;
        self
    }

    /// Sets how long a key opens after the next one took over. Default: 9 days. It must be at least the
    /// absolute timeout of the sessions and [`announce`](Self::announce) together, because a node that
    /// is late goes on sealing by the old key.
    pub fn keep(mut self, keep: Duration) -> Self {
        self.keep = keep;
        self
    }

    /// Waits for no node and keeps nothing: with this policy [`add_at`](Self::add_at),
    /// [`promote_at`](Self::promote_at), [`retire_at`](Self::retire_at) and
    /// [`revoke_at`](Self::revoke_at) act at once, and users may be logged out.
    pub fn dangerous_at_once(self) -> Self {
        Self { announce: Duration::ZERO, keep: Duration::ZERO, ..self }
    }

    /// Makes the changes that are due now. Most of the time there are none.
    ///
    /// # Errors
    ///
    /// As [`Policy::rotate_at`].
    pub fn rotate(&self, file: &mut KeyFile) -> Result<Vec<Change>, PolicyError> {
        self.rotate_at(file, SystemTime::now())
    }

    /// Makes the changes that are due at the time `now`: announces the next key, says when its
    /// predecessors retire, and takes those out that retired long ago.
    ///
    /// Applied twice, it changes nothing the second time; so any number of hosts may run it on one
    /// file, at any time. A rotation that is overdue still announces its key first, and a key that was
    /// told to retire goes on sealing until then.
    ///
    /// One run with a wrong clock does no lasting harm: a key that it put far ahead is not waited for, and
    /// no key is removed before another one, made later, seals.
    ///
    /// # Errors
    ///
    /// As [`Policy::check`]; [`PolicyError::Key`] if no key can be generated, [`PolicyError::NoSealingKey`]
    /// if there is none to follow, [`PolicyError::Clock`] if the year is one that no key file can write.
    pub fn rotate_at(
        &self,
        file: &mut KeyFile,
        now: SystemTime,
    ) -> Result<Vec<Change>, PolicyError> {
        self.check()?;
        let now = whole(now);
        // What is later than a file can write would come at the same second for ever.
        let last = now + self.every.saturating_add(self.announce).saturating_add(self.keep);
        if last > SystemTime::UNIX_EPOCH + Duration::from_secs(YEAR_9999) {
            return Err(PolicyError::Clock(now));
        }
        let mut changes = Vec::new();
        // A key that is added can lead to one that stood too far ahead before, and that has an end of its own.
        let last = loop {
            let (last, retires) = self.last(file, now).ok_or(PolicyError::NoSealingKey)?;
            let seals_until = after(last, self.every);
            let seals_until = retires.map_or(seals_until, |at| at.min(seals_until));
            let announced = after(now, self.announce);
            if retires.is_none() && seals_until > announced {
                break last;
            }
            let activates = seals_until.max(announced);
            if file.records.len() > KeyRing::MAX_KEYS {
                let (found, allowed) = (file.records.len(), KeyRing::MAX_KEYS);
                return Err(KeyFileError::Ring(RingError::TooManyKeys { found, allowed }).into());
            }
            file.clear_activation(activates);
            let record = seals(Key::generate()?, now, activates);
            changes.push(Change::Added { id: record.id, activates });
            file.records.push(record);
        };
        for i in 0..file.records.len() {
            if let Some(record) = file.records.get(i)
                && let Some(successor) = file.successor(record.seals_from())
                && successor <= last
                && let at = after(successor, self.keep)
                // What seals until then cannot end at another time, whatever was said before.
                && (record.retires.is_none() || successor > now && record.retires != Some(at))
                && let Some(record) = file.records.get_mut(i)
            {
                record.retires = Some(at);
                changes.push(Change::Retires { id: record.id, at });
            }
        }
        // What a browser kept of a key is gone by then, so nobody asks for it any more. The primary tells what
        // time it is: it was made at another run than this one, and has been announced since.
        let primary = file.primary_at(now);
        let made = file.records.iter().find(|r| Some(r.id) == primary).map(|record| record.created);
        let over = |record: &Record| {
            let gone = record.retires.map(|at| after(at, self.keep));
            gone.is_some_and(|gone| gone <= now && made.is_some_and(|made| gone <= made))
        };
        changes.extend(file.records.iter().filter(|r| over(r)).map(|r| Change::Removed(r.id)));
        file.records.retain(|record| !over(record));
        file.sort();
        Ok(changes)
    }

    /// Checks that the times of this policy fit each other. [`rotate`](Self::rotate) does so by itself.
    ///
    /// # Errors
    ///
    /// [`PolicyError::TooLong`] if one is longer than ten years;
    /// [`PolicyError::KeepTooShort`] if a key would end before all nodes know the next one;
    /// [`PolicyError::EveryTooShort`] if more keys would be in use at once than a ring takes.
    pub fn check(&self) -> Result<(), PolicyError> {
        for (what, duration) in
            [("every", self.every), ("announce", self.announce), ("keep", self.keep)]
        {
            if duration > LONGEST {
                return Err(PolicyError::TooLong { what });
            }
        }
        if self.keep < self.announce {
            return Err(PolicyError::KeepTooShort { least: self.announce });
        }
        // A key is in the file while it is announced, seals, is kept, is asked for by old cookies, and
        // until a key seals that was made after that.
        let other = self.announce.saturating_add(self.keep).saturating_mul(2);
        let most = u32::try_from(KeyRing::MAX_KEYS).unwrap_or(u32::MAX).saturating_sub(SPARE);
        let least = other / most.max(1);
        if self.every < least {
            return Err(PolicyError::EveryTooShort { least });
        }
        Ok(())
    }

    /// Returns the time from which the key seals that is the last one by this policy, and when that retires.
    ///
    /// That is the primary, or a key that follows it at about the right time. A key that is to come much later
    /// is not the next: a clock was wrong, or somebody has plans.
    fn last(&self, file: &KeyFile, now: SystemTime) -> Option<(SystemTime, Option<SystemTime>)> {
        let times = || file.records.iter().filter_map(|r| Some((r.seals_from()?, r.retires)));
        let active = times().filter(|(from, _)| *from <= now).max_by_key(|(from, _)| *from);
        let mut last = active.or_else(|| times().min_by_key(|(from, _)| *from))?;
        let announced = after(now, self.announce);
        loop {
            let due = after(last.0, self.every).max(announced);
            let late = after(due, self.announce.max(HOUR));
            let next = times().filter(|(from, _)| *from > last.0).min_by_key(|(from, _)| *from);
            match next {
                Some(next) if next.0 <= late => last = next,
                _ => return Some(last),
            }
        }
    }

    /// Adds a key that seals from `activates` on, or else as soon as it has been announced.
    ///
    /// # Errors
    ///
    /// [`PolicyError::NotAnnounced`] if it would seal before every node knows it, and [`PolicyError::Key`] if it is one
    /// that everybody knows.
    pub fn add_at(
        &self,
        file: &mut KeyFile,
        key: Key,
        activates: Option<SystemTime>,
        now: SystemTime,
    ) -> Result<Vec<Change>, PolicyError> {
        let (id, now) = (key.id(), whole(now));
        key.check_private()?;
        if file.records.iter().any(|record| record.id == id) {
            return Err(PolicyError::Present(id));
        }
        let earliest = after(now, self.announce);
        // What would have sealed already seals from now on.
        let activates = activates.map_or(earliest, |at| whole(at).max(now));
        if activates < earliest {
            return Err(PolicyError::NotAnnounced { id, until: earliest });
        }
        file.clear_activation(activates);
        file.records.push(seals(key, now, activates));
        file.sort();
        Ok(vec![Change::Added { id, activates }])
    }

    /// Promotes a key of the file, so that it seals from now on, in the place of the primary: a pending one ahead of its
    /// time, or an older one again.
    ///
    /// # Errors
    ///
    /// [`PolicyError::NotAnnounced`] if not every node may know it yet.
    pub fn promote_at(
        &self,
        file: &mut KeyFile,
        id: KeyId,
        now: SystemTime,
    ) -> Result<Vec<Change>, PolicyError> {
        let now = whole(now);
        let record = file.record(id)?;
        let known = after(record.created, self.announce);
        if known > now {
            return Err(PolicyError::NotAnnounced { id, until: known });
        }
        record.role = match std::mem::replace(&mut record.role, Role::Revoked) {
            Role::Seals(key) | Role::OpensOnly(key) => Role::Seals(key),
            Role::Revoked => return Err(PolicyError::Revoked(id)),
        };
        record.activates = None;
        let retired = record.retires.take();
        file.clear_activation(now);
        file.record(id)?.activates = Some(now);
        file.sort();
        let mut changes = vec![Change::Promoted { id, at: now }];
        changes.extend(retired.map(|_| Change::Stays(id)));
        changes.extend(file.keep_sealing(now));
        Ok(changes)
    }

    /// Sets when a key ends: when the last session that it may have sealed has ended.
    ///
    /// # Errors
    ///
    /// [`PolicyError::NoSuccessor`] for the key that seals, and [`PolicyError::Pending`] for one that is to
    /// seal, if no other takes over from it.
    pub fn retire_at(
        &self,
        file: &mut KeyFile,
        id: KeyId,
        now: SystemTime,
    ) -> Result<Vec<Change>, PolicyError> {
        let now = whole(now);
        let record = file.record(id)?;
        let last_sealing = match record.role {
            Role::Revoked => return Err(PolicyError::Revoked(id)),
            // Nobody knows when it sealed last, and where.
            Role::OpensOnly(_) => now,
            Role::Seals(_) => {
                let from = record.seals_from();
                let pending = from.is_some_and(|from| from > now);
                let refused = if pending { PolicyError::Pending } else { PolicyError::NoSuccessor };
                file.successor(from).ok_or(refused(id))?
            }
        };
        let at = after(last_sealing, self.keep).max(now);
        file.record(id)?.retires = Some(at);
        Ok(vec![Change::Retires { id, at }])
    }

    /// Refuses all that a key ever sealed, and wipes its secret from the file: for a key that leaked.
    ///
    /// If it is the primary, the newest other key that may seal takes over: one of the past, which
    /// all nodes know.
    ///
    /// # Errors
    ///
    /// [`PolicyError::NoSuccessor`] if there is none, and [`PolicyError::OnlyPending`] if there is only one
    /// whose time has not come.
    pub fn revoke_at(
        &self,
        file: &mut KeyFile,
        id: KeyId,
        now: SystemTime,
    ) -> Result<Vec<Change>, PolicyError> {
        let now = whole(now);
        let others = |record: &Record| record.id != id && !record.retired(now);
        let may_seal = |record: &Record| record.seals_from().is_some_and(|from| from <= now);
        let sealed_by_it = file.primary_at(now).is_none_or(|primary| primary == id);
        file.record(id)?;
        if sealed_by_it && !file.records.iter().any(|r| others(r) && may_seal(r)) {
            let pending = file.records.iter().filter(|r| others(r) && r.seals_from().is_some());
            let next = pending.min_by_key(|record| record.seals_from());
            return Err(match next {
                Some(next) => PolicyError::OnlyPending { id, pending: next.id },
                None => PolicyError::NoSuccessor(id),
            });
        }
        let record = file.record(id)?;
        record.role = Role::Revoked;
        // Tells from when; and some time after, the entry is removed.
        record.retires = Some(record.retires.map_or(now, |at| at.min(now)));
        let mut changes = vec![Change::Revoked(id)];
        changes.extend(file.keep_sealing(now));
        Ok(changes)
    }

    /// Refuses all sessions that began before a time, whatever key sealed them: after a leak, what was forged and sealed
    /// again by another key since. A file that says a later time already stays as it is.
    ///
    /// Do so when the revocation has reached all nodes: before that, one of them may still seal what was forged.
    ///
    /// # Errors
    ///
    /// [`PolicyError::CutoffAhead`] if the time is to come, because no session could begin until then.
    pub fn cut_off_at(
        &self,
        file: &mut KeyFile,
        at: SystemTime,
        now: SystemTime,
    ) -> Result<Vec<Change>, PolicyError> {
        let cutoff = Cutoff::before(at);
        if cutoff > Cutoff::now(now) {
            return Err(PolicyError::CutoffAhead(at));
        }
        if cutoff <= file.cutoff {
            return Ok(Vec::new());
        }
        file.cutoff = cutoff;
        Ok(cutoff_time(cutoff).map(Change::CutOff).into_iter().collect())
    }

    /// Returns from when a key may be retired, so that no session is lost; `None` while no other key
    /// takes over from it, or if it never sealed by this file.
    #[must_use]
    pub fn retirable(&self, file: &KeyFile, id: KeyId) -> Option<SystemTime> {
        let record = file.records.iter().find(|record| record.id == id)?;
        file.successor(record.seals_from()).map(|successor| after(successor, self.keep))
    }

    /// Finds what breaks this policy at the time `now`, though it makes a working ring.
    #[must_use]
    pub fn concerns_at(&self, file: &KeyFile, now: SystemTime) -> Vec<Concern> {
        let mut concerns = Vec::new();
        if let Some(cutoff) = file.cutoff().filter(|_| file.cutoff > Cutoff::now(now)) {
            concerns.push(Concern::CutoffAhead(cutoff));
        }
        if let Some((last, _)) = self.last(file, now)
            && let Ok(late) = now.duration_since(after(last, self.every))
            && !late.is_zero()
        {
            concerns.push(Concern::Overdue(late));
        }
        for record in &file.records {
            let id = record.id;
            let from = record.seals_from();
            let successor = file.successor(from);
            if let Some(at) = record.retires.filter(|_| from.is_some())
                && successor.is_none_or(|successor| successor > at.max(now))
            {
                concerns.push(Concern::Gap { id, from: at });
            } else if let (Some(at), Some(until)) = (record.retires, self.retirable(file, id))
                && at < until
                && at > now
            {
                concerns.push(Concern::RetiresEarly { id, until });
            }
            if !matches!(record.role, Role::Revoked) && record.created > after(now, HOUR) {
                concerns.push(Concern::FromFuture { id, created: record.created });
            } else if let Some(at) = from
                && at > now
                && at < after(record.created, self.announce)
            {
                let until = after(record.created, self.announce);
                concerns.push(Concern::AnnouncedLate { id, until });
            }
        }
        concerns
    }
}

impl KeyFile {
    /// Creates a file of one key that seals from now on: for the first deployment.
    #[must_use]
    pub fn new(key: Key) -> Self {
        Self::new_at(key, SystemTime::now())
    }

    /// Creates a file of one key that seals from the time `now` on.
    #[must_use]
    pub fn new_at(key: Key, now: SystemTime) -> Self {
        Self { cutoff: Cutoff::default(), records: vec![seals(key, whole(now), whole(now))] }
    }

    /// Writes a comment about a key.
    ///
    /// # Errors
    ///
    /// [`PolicyError::Absent`] if the file has no such key.
    pub fn comment(&mut self, id: KeyId, comment: impl Into<String>) -> Result<(), PolicyError> {
        self.record(id)?.comment = Some(comment.into());
        Ok(())
    }

    fn record(&mut self, id: KeyId) -> Result<&mut Record, PolicyError> {
        self.records.iter_mut().find(|record| record.id == id).ok_or(PolicyError::Absent(id))
    }

    /// Returns the key that seals last of all: a pending one, or else the primary.
    fn newest(&self) -> Option<&Record> {
        let seals = self.records.iter().filter(|record| record.seals_from().is_some());
        seals.max_by_key(|record| record.seals_from())
    }

    /// Returns when another key takes over from one that seals from this time on, if one does.
    fn successor(&self, from: Option<SystemTime>) -> Option<SystemTime> {
        let from = from?;
        self.records.iter().filter_map(Record::seals_from).filter(|later| *later > from).min()
    }

    /// Keeps those keys that seal now and last: they have no successor any more by which their
    /// retirement was set.
    fn keep_sealing(&mut self, now: SystemTime) -> Vec<Change> {
        let last = self.newest().map(|record| record.id);
        let ids = [self.primary_at(now), last];
        let mut changes = Vec::new();
        for record in &mut self.records {
            if ids.contains(&Some(record.id)) && record.retires.take().is_some() {
                changes.push(Change::Stays(record.id));
            }
        }
        changes
    }

    /// Ensures that no key activates at this time: one that does gives way by a second.
    fn clear_activation(&mut self, at: SystemTime) {
        let there = self.records.iter().position(|record| record.seals_from() == Some(at));
        if let Some(i) = there
            && let Some(before) = at.checked_sub(Duration::from_secs(1))
        {
            self.clear_activation(before);
            if let Some(record) = self.records.get_mut(i) {
                record.activates = Some(before);
            }
        }
    }
}

fn seals(key: Key, created: SystemTime, activates: SystemTime) -> Record {
    Record {
        id: key.id(),
        role: Role::Seals(key),
        created,
        activates: Some(activates),
        retires: None,
        comment: None,
    }
}

/// Adds, up to the last time that a key file can write.
fn after(time: SystemTime, duration: Duration) -> SystemTime {
    whole(time.checked_add(duration).unwrap_or(SystemTime::UNIX_EPOCH + FAR))
}

/// One change that was made to a key file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// A key was added.
    Added {
        /// Its id.
        id: KeyId,
        /// From when it seals.
        activates: SystemTime,
    },
    /// A key was made the primary.
    Promoted {
        /// Its id.
        id: KeyId,
        /// From when it seals.
        at: SystemTime,
    },
    /// A key was given its end.
    Retires {
        /// Its id.
        id: KeyId,
        /// From when it does not open any more.
        at: SystemTime,
    },
    /// The end that a key had was taken back, because it seals again.
    Stays(KeyId),
    /// A key was revoked, and its secret wiped.
    Revoked(KeyId),
    /// A key that had retired or was revoked long ago was taken out.
    Removed(KeyId),
    /// All sessions that began before this time were ended.
    CutOff(SystemTime),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added { id, activates } => {
                write!(f, "added {id}, which seals from {}", Rfc3339Utc(*activates))
            }
            Self::Promoted { id, at } => {
                write!(f, "promoted {id}, which seals from {}", Rfc3339Utc(*at))
            }
            Self::Retires { id, at } => write!(f, "{id} retires at {}", Rfc3339Utc(*at)),
            Self::Stays(id) => write!(f, "{id} does not retire, because it seals"),
            Self::Revoked(id) => write!(f, "revoked {id}, and wiped its secret"),
            Self::Removed(id) => write!(f, "removed {id}, whose time is long over"),
            Self::CutOff(at) => {
                write!(f, "ended all sessions that began before {}", Rfc3339Utc(*at))
            }
        }
    }
}

/// What breaks a [`Policy`], though it makes a working ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Concern {
    /// The next key should have taken over this long ago.
    Overdue(Duration),
    /// From some time on no key seals, because the one that should has retired.
    Gap {
        /// Its id.
        id: KeyId,
        /// From when no key seals.
        from: SystemTime,
    },
    /// A key was made later than now: the clock of some host is wrong, or was.
    FromFuture {
        /// Its id.
        id: KeyId,
        /// When it is said to have been made.
        created: SystemTime,
    },
    /// The cutoff is to come: until then each session ends as it begins.
    CutoffAhead(SystemTime),
    /// A key retires while sessions that it sealed may live.
    RetiresEarly {
        /// Its id.
        id: KeyId,
        /// When it may retire.
        until: SystemTime,
    },
    /// A key seals before all nodes know it.
    AnnouncedLate {
        /// Its id.
        id: KeyId,
        /// When it may seal.
        until: SystemTime,
    },
}

impl fmt::Display for Concern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overdue(late) => {
                let late = Roughly(*late);
                write!(f, "a new key is overdue by {late}; run `sealed-session ring rotate`")
            }
            Self::Gap { id, from } => write!(
                f,
                "no key seals from {} on, when {id} retires; run `sealed-session ring rotate`, or take the \
                 line `retires` of {id} away",
                Rfc3339Utc(*from)
            ),
            Self::FromFuture { id, created } => write!(
                f,
                "{id} was made at {}, which is to come; correct the clocks, and if it was made by a wrong \
                 one, take it out with `sealed-session ring revoke {id}`",
                Rfc3339Utc(*created)
            ),
            Self::CutoffAhead(at) => write!(
                f,
                "no session that begins before {} lives, which is to come; correct `cutoff`, or the clock",
                Rfc3339Utc(*at)
            ),
            Self::RetiresEarly { id, until } => write!(
                f,
                "{id} retires while sessions sealed by it may live; set its `retires` to {}",
                Rfc3339Utc(*until)
            ),
            Self::AnnouncedLate { id, until } => write!(
                f,
                "{id} seals before all nodes know it; set its `activates` to {}",
                Rfc3339Utc(*until)
            ),
        }
    }
}

/// The reason why a change to a key file was refused. The file is as it was.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A node that does not know the key yet would refuse what it seals.
    #[error(
        "{id} must not seal before {}, because until then some node may not know it", Rfc3339Utc(*.until)
    )]
    NotAnnounced {
        /// The key.
        id: KeyId,
        /// From when it may seal.
        until: SystemTime,
    },
    /// Without this key, none would seal.
    #[error("no other key may seal in the place of {0}; add one first")]
    NoSuccessor(KeyId),
    /// Without this key, none would seal until the time of another comes.
    #[error(
        "no other key may seal yet in the place of {id}; let {pending}, which is pending, seal by \
         `sealed-session ring promote {pending}` first"
    )]
    OnlyPending {
        /// The key.
        id: KeyId,
        /// The one that is next.
        pending: KeyId,
    },
    /// The key has not sealed yet, so that nothing has to end.
    #[error("{0} has not sealed yet; take it out with `sealed-session ring revoke {0}`")]
    Pending(KeyId),
    /// Sessions that begin before a time to come would end as they begin.
    #[error(
        "a cutoff at {} is to come, and until then each session would end as it begins; take `now`, and a later one \
         when all nodes have it", Rfc3339Utc(*.0)
    )]
    CutoffAhead(SystemTime),
    /// A duration of the policy is longer than any rotation needs.
    #[error("`{what}` is longer than 10 years; take less")]
    TooLong {
        /// Which one.
        what: &'static str,
    },
    /// It is so late that no key file can write when the next key ends.
    #[error("it is {} by the clock, which cannot be; correct the clock", Rfc3339Utc(*.0))]
    Clock(SystemTime),
    /// Keys would end before all nodes know the next one.
    #[error(
        "a key must be kept for longer than it is announced, and for the absolute timeout of sessions; set \
         `keep` to at least {} and that timeout", Roughly(*.least)
    )]
    KeepTooShort {
        /// The time of announcing.
        least: Duration,
    },
    /// More keys would be in use at once than a ring takes.
    #[error(
        "with such short times more than {max} keys would be in the file; set `every` to at least {}, or \
         `announce` and `keep` to less", Roughly(*.least), max = KeyRing::MAX_KEYS
    )]
    EveryTooShort {
        /// The least that `every` may be.
        least: Duration,
    },
    /// The file has no key that may seal.
    #[error("the file has no key that may seal; add one first")]
    NoSealingKey,
    /// The key stands in the file already.
    #[error("the file has the key {0} already")]
    Present(KeyId),
    /// The file has no such key.
    #[error("the file has no key {0}")]
    Absent(KeyId),
    /// The key is revoked, and its secret is gone.
    #[error("{0} is revoked, which is final; add a new key")]
    Revoked(KeyId),
    /// No key could be generated.
    #[error("{0}")]
    Key(KeyError),
    /// The file could not be read or written.
    #[error("{0}")]
    File(KeyFileError),
}

impl From<KeyFileError> for PolicyError {
    fn from(error: KeyFileError) -> Self {
        Self::File(error)
    }
}

impl From<KeyError> for PolicyError {
    fn from(error: KeyError) -> Self {
        Self::Key(error)
    }
}

/// Shows a duration, rounded up to a unit of which there are two or more.
struct Roughly(Duration);

impl fmt::Display for Roughly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs() + u64::from(self.0.subsec_nanos() > 0);
        let units = [("days", DAY.as_secs()), ("hours", HOUR.as_secs()), ("minutes", 60)];
        match units.into_iter().find(|(_, unit)| seconds >= 2 * unit) {
            Some((name, unit)) => write!(f, "{} {name}", seconds.div_ceil(unit)),
            None => write!(f, "{seconds} seconds"),
        }
    }
}

/// Keys that a ring has room for beside those of a rotation: the one that seals, the next one, and those
/// that people add.
const SPARE: u32 = 6;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// Longer than any rotation needs, and short enough to be added a few times.
const LONGEST: Duration = Duration::from_secs(3652 * 86_400);

/// Later than any time that a key file can write.
const FAR: Duration = Duration::from_secs(1 << 40);
