//! The key ring: which key seals, which keys open, and how all of them change while requests run.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;

use crate::cutoff::Cutoff;
use crate::keys::error::{KeyRefusal, RingError};
use crate::keys::key::Key;
use crate::keys::key_id::KeyId;
#[cfg(feature = "watch")]
use crate::keys::wake_up::WakeUp;
use crate::xaes::Cipher;

/// The keys of an application: one *primary* that seals, and any number that only open.
///
/// Clones share the keys. [`KeyRing::replace`] changes them in all clones, and so in all codecs, while
/// requests run; reading takes no lock, and each operation sees the old keys or the new ones, never a
/// mixture.
///
/// # Rotation
///
/// The primary is the key whose activation is the latest that has passed. So one set of keys, rolled
/// out to all nodes with an activation some time ahead, promotes itself on all of them without a
/// second deploy:
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use sealed_session::{Key, KeyRing, RingKey};
///
/// let (old, new) = (Key::generate()?, Key::generate()?);
/// let (old_id, new_id) = (old.id(), new.id());
/// let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
/// let ring = KeyRing::new([RingKey::new(old), RingKey::new(new).activates(tomorrow)])?;
///
/// assert_eq!(ring.primary(), Some(old_id)); // both keys open already
/// assert_eq!(ring.primary_at(tomorrow), Some(new_id));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`KeyRing::from_env`] reads keys from an environment variable. `KeyFile` and `Watcher` (feature `watch`) read them from
/// a file, times included, and replace them while requests run.
///
/// Take the old key out no sooner than the absolute timeout after the new one became primary; sessions
/// that are used meanwhile are resealed by the new key.
#[derive(Clone)]
pub struct KeyRing {
    keys: Arc<ArcSwap<Keys>>,
    #[cfg(feature = "watch")]
    wake_up: Arc<WakeUp>,
}

impl KeyRing {
    /// The most keys that a ring takes: 64. More would be a fault in a rotation.
    pub const MAX_KEYS: usize = 64;

    /// Creates a ring of these keys, in any order.
    ///
    /// # Errors
    ///
    /// Each [`RingError`]: nothing that would be left to chance later is accepted now.
    pub fn new(keys: impl IntoIterator<Item = RingKey>) -> Result<Self, RingError> {
        Ok(Self::of(Keys::new(keys)?))
    }

    /// Replaces all keys by these, at once and for all clones of the ring.
    ///
    /// # Errors
    ///
    /// As [`KeyRing::new`]; the present keys then stay.
    pub fn replace(&self, keys: impl IntoIterator<Item = RingKey>) -> Result<(), RingError> {
        let keys = Keys::new(keys)?;
        self.keys.rcu(|before| Keys { cutoffs: before.cutoffs, ..keys.clone() });
        Ok(())
    }

    /// Refuses all sessions that began before this time, as
    /// [`DecodeError::BeforeCutoff`](crate::DecodeError::BeforeCutoff), whatever key sealed them: for all clones of the
    /// ring, at once.
    ///
    /// Revoking a leaked key ends what it sealed. A session that was forged with it, and resealed by another key
    /// before that, is ended by this. Of several times the latest counts. [`replace`](Self::replace) changes none, and no
    /// key file takes one back, also one that is to come. Sessions that begin on a node with the cutoff live, those of the
    /// same second too.
    pub fn refuse_before(&self, time: SystemTime) {
        let cutoff = Cutoff::before(time);
        self.keys.rcu(|before| {
            let application = before.cutoffs.application.max(cutoff);
            Keys { cutoffs: Cutoffs { application, ..before.cutoffs }, ..Keys::clone(before) }
        });
    }

    /// Moves the cutoff of the key file on.
    #[cfg(feature = "key-file")]
    pub(crate) fn cut_off(&self, cutoff: Cutoff) {
        self.keys.rcu(|before| {
            let file = before.cutoffs.file.max(cutoff);
            Keys { cutoffs: Cutoffs { file, ..before.cutoffs }, ..Keys::clone(before) }
        });
    }

    /// Puts keys and a cutoff in the place of those that came from a key file before. A key that is revoked meanwhile
    /// stays so.
    #[cfg(feature = "watch")]
    pub(crate) fn follow(
        &self,
        keys: impl IntoIterator<Item = RingKey>,
        cutoff: Cutoff,
    ) -> Result<(), RingError> {
        let keys = Keys::new(keys)?;
        self.keys.rcu(|before| {
            let mut keys = keys.clone();
            for entry in &mut keys.entries {
                if before.find(entry.id).is_some_and(Entry::is_revoked) {
                    *entry = RingKey::revoked(entry.id).entry;
                }
            }
            Keys { cutoffs: Cutoffs { file: cutoff, ..before.cutoffs }, ..keys }
        });
        Ok(())
    }

    /// Revokes these keys and moves the cutoff of the key file on, and returns those that were not revoked before. Unlike a
    /// ring that is made, this one may be left without a key that seals.
    #[cfg(feature = "watch")]
    pub(crate) fn revoke(&self, is_revoked: impl Fn(KeyId) -> bool, cutoff: Cutoff) -> Vec<KeyId> {
        let mut revoked = Vec::new();
        self.keys.rcu(|before| {
            revoked.clear();
            let mut keys = Keys::clone(before);
            for entry in &mut keys.entries {
                if !entry.is_revoked() && is_revoked(entry.id) {
                    *entry = RingKey::revoked(entry.id).entry;
                    revoked.push(entry.id);
                }
            }
            keys.cutoffs.file = keys.cutoffs.file.max(cutoff);
            keys
        });
        revoked
    }

    /// Returns the id of the key that seals now, if any may.
    #[must_use]
    pub fn primary(&self) -> Option<KeyId> {
        self.primary_at(SystemTime::now())
    }

    /// Returns the id of the key that seals at the time `now`, if any may.
    #[must_use]
    pub fn primary_at(&self, now: SystemTime) -> Option<KeyId> {
        self.load().primary_at(now).map(|entry| entry.id)
    }

    /// Returns the ids of all keys, in the order in which they were given.
    #[must_use]
    pub fn ids(&self) -> Vec<KeyId> {
        self.load().entries.iter().map(|entry| entry.id).collect()
    }

    fn of(keys: Keys) -> Self {
        Self {
            keys: Arc::new(ArcSwap::from_pointee(keys)),
            #[cfg(feature = "watch")]
            wake_up: Arc::default(),
        }
    }

    /// Returns what requests wake the watcher of this ring.
    #[cfg(feature = "watch")]
    pub(crate) fn wake_up(&self) -> &Arc<WakeUp> {
        &self.wake_up
    }

    pub(crate) fn load(&self) -> arc_swap::Guard<Arc<Keys>> {
        self.keys.load()
    }
}

impl From<Key> for KeyRing {
    /// Creates a ring of one key, which seals from the beginning of time.
    fn from(key: Key) -> Self {
        Self::of(Keys { entries: vec![RingKey::new(key).entry], cutoffs: Cutoffs::default() })
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.load().entries).finish()
    }
}

/// What a key of a ring may do, and when.
///
/// By default a key opens for ever and seals from the beginning of time.
#[must_use]
#[derive(Debug)]
pub struct RingKey {
    entry: Entry,
}

impl RingKey {
    /// Creates a key that opens now, and seals now unless [`activates`](Self::activates) says later.
    pub fn new(key: Key) -> Self {
        let entry = Entry {
            id: key.id(),
            cipher: Some(Arc::new(key.cipher())),
            seals_from: Some(SystemTime::UNIX_EPOCH),
            retires: None,
        };
        Self { entry }
    }

    /// Creates a key that opens and never seals: a key of the past, or one to be promoted later.
    pub fn open_only(key: Key) -> Self {
        let RingKey { entry } = Self::new(key);
        Self { entry: Entry { seals_from: None, ..entry } }
    }

    /// Creates the entry of a revoked key: all that it ever sealed is refused, as [`DecodeError::RevokedKey`](crate::DecodeError::RevokedKey).
    ///
    /// The id is enough, so that a leaked or lost key need not be kept.
    pub fn revoked(id: KeyId) -> Self {
        Self { entry: Entry { id, cipher: None, seals_from: None, retires: None } }
    }

    /// Sets the time from which the key seals, if it is the newest by then. It opens at once.
    ///
    /// Has no effect on a key that only opens or is revoked.
    pub fn activates(mut self, at: SystemTime) -> Self {
        self.entry.seals_from = self.entry.seals_from.map(|_| at);
        self
    }

    #[cfg(feature = "watch")]
    pub(crate) fn id(&self) -> KeyId {
        self.entry.id
    }

    /// Returns whether the key opens until it retires: it is not revoked.
    #[cfg(feature = "watch")]
    pub(crate) fn opens(&self) -> bool {
        !self.entry.is_revoked()
    }

    /// Sets the time from which the key neither seals nor opens. Unset by default.
    pub fn retires(mut self, at: SystemTime) -> Self {
        self.entry.retires = Some(at);
        self
    }
}

/// The keys of a ring, checked, and the time before which no session may have begun.
#[derive(Clone)]
pub(crate) struct Keys {
    entries: Vec<Entry>,
    cutoffs: Cutoffs,
}

/// The times before which no session may have begun, by who said so. The latest counts.
#[derive(Debug, Clone, Copy, Default)]
struct Cutoffs {
    application: Cutoff,
    /// This one can be corrected, by the file.
    file: Cutoff,
}

impl Keys {
    fn new(keys: impl IntoIterator<Item = RingKey>) -> Result<Self, RingError> {
        let entries: Vec<_> = keys.into_iter().map(|key| key.entry).collect();
        if entries.len() > KeyRing::MAX_KEYS {
            let (found, allowed) = (entries.len(), KeyRing::MAX_KEYS);
            return Err(RingError::TooManyKeys { found, allowed });
        }
        for (i, a) in entries.iter().enumerate() {
            if matches!((a.seals_from, a.retires), (Some(from), Some(to)) if to <= from) {
                return Err(RingError::RetiresFirst(a.id));
            }
            for b in entries.iter().skip(i + 1) {
                if a.id == b.id {
                    return Err(RingError::DuplicateId(a.id));
                }
                if a.seals_from.is_some() && a.seals_from == b.seals_from {
                    return Err(RingError::SameActivation(a.id, b.id));
                }
            }
        }
        if entries.iter().all(|entry| entry.seals_from.is_none()) {
            return Err(RingError::NoSealingKey);
        }
        Ok(Self { entries, cutoffs: Cutoffs::default() })
    }

    pub(crate) fn cutoff(&self) -> Cutoff {
        self.cutoffs.application.max(self.cutoffs.file)
    }

    /// The cutoff of the key file alone.
    #[cfg(feature = "watch")]
    pub(crate) fn cutoff_of_file(&self) -> Cutoff {
        self.cutoffs.file
    }

    pub(crate) fn find(&self, id: KeyId) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id == id)
    }

    /// Finds the key of this id, if it opens at the time `now`, and its cipher.
    pub(crate) fn opening(
        &self,
        id: KeyId,
        now: SystemTime,
    ) -> Result<(&Entry, &Cipher), KeyRefusal> {
        let key = self.find(id).ok_or(KeyRefusal::Unknown(id))?;
        let cipher = key.cipher().ok_or(KeyRefusal::Revoked(id))?;
        if key.retired(now) { Err(KeyRefusal::Retired(id)) } else { Ok((key, cipher)) }
    }

    pub(crate) fn primary_at(&self, now: SystemTime) -> Option<&Entry> {
        self.entries
            .iter()
            .filter(|entry| entry.seals_from.is_some_and(|from| from <= now) && !entry.retired(now))
            .max_by_key(|entry| entry.seals_from)
    }
}

#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) id: KeyId,
    /// Absent for a revoked key. Shared, because an expanded AES key is large and wipes itself where it
    /// lies, so it should not be moved about.
    cipher: Option<Arc<Cipher>>,
    seals_from: Option<SystemTime>,
    retires: Option<SystemTime>,
}

impl Entry {
    pub(crate) fn cipher(&self) -> Option<&Cipher> {
        self.cipher.as_deref()
    }

    #[cfg(feature = "watch")]
    pub(crate) fn is_revoked(&self) -> bool {
        self.cipher.is_none()
    }

    /// Returns whether this key sealed before the other one began to. A key that only opens is not known to have.
    pub(crate) fn precedes(&self, other: &Self) -> bool {
        self.seals_from.is_some() && self.seals_from < other.seals_from
    }

    fn retired(&self, now: SystemTime) -> bool {
        self.retires.is_some_and(|at| at <= now)
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("id", &self.id)
            .field("revoked", &self.cipher.is_none())
            .field("seals_from", &self.seals_from)
            .field("retires", &self.retires)
            .finish()
    }
}

#[cfg(all(test, feature = "watch"))]
mod tests {
    use std::time::Duration;

    use super::*;

    fn second(n: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(n)
    }

    #[test]
    fn what_the_application_says_while_a_file_is_taken_holds() {
        let [one, two] = [(); 2].map(|()| Key::generate().unwrap());
        let ids = [one.id(), two.id()];
        let copies = || {
            let [one, two] = [&one, &two].map(Key::copy);
            [RingKey::new(one), RingKey::new(two).activates(second(7))]
        };
        let ring = KeyRing::new(copies()).unwrap();
        // The application comes between when the keys are read and when they are put in their place.
        let file = copies().into_iter().inspect(|_| {
            let [_, two] = copies();
            ring.replace([RingKey::revoked(ids[0]), two]).unwrap();
            ring.refuse_before(second(100));
        });
        ring.follow(file, Cutoff::before(second(50))).unwrap();
        let keys = ring.load();
        assert!(keys.find(ids[0]).unwrap().is_revoked());
        assert!(!keys.find(ids[1]).unwrap().is_revoked());
        assert_eq!(keys.cutoff(), Cutoff::before(second(100)));
        drop(keys);
        // What the file says can be taken back by the file alone, and what the application says by nobody.
        ring.follow(copies(), Cutoff::before(second(200))).unwrap();
        ring.replace(copies()).unwrap();
        assert_eq!(ring.load().cutoff(), Cutoff::before(second(200)));
        ring.follow(copies(), Cutoff::default()).unwrap();
        assert_eq!(ring.load().cutoff(), Cutoff::before(second(100)));
    }

    #[test]
    fn what_the_application_says_while_a_revocation_is_taken_holds() {
        let [one, two] = [(); 2].map(|()| Key::generate().unwrap());
        let id = one.id();
        let ring = KeyRing::new([RingKey::new(one), RingKey::open_only(two)]).unwrap();
        let said = std::cell::Cell::new(false);
        let is_revoked = |found| {
            // The application comes between when the ring is read and when it is replaced.
            if !said.replace(true) {
                ring.refuse_before(second(100));
            }
            found == id
        };
        assert_eq!(ring.revoke(is_revoked, Cutoff::before(second(50))), [id]);
        let keys = ring.load();
        assert!(keys.find(id).unwrap().is_revoked());
        assert_eq!(keys.cutoff(), Cutoff::before(second(100)));
        assert_eq!(keys.cutoff_of_file(), Cutoff::before(second(50)));
    }
}
