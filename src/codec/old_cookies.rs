//! Old cookies: sessions that another library's cookies bring, each until a date.
//!
//! | our cookie | the old one | while old nodes run | otherwise |
//! |---|---|---|---|
//! | absent | opens | the session is read from it | the session is read from it |
//! | opens, sealed beside this very old cookie | the same | ours | ours |
//! | opens, sealed beside another old cookie | opens | read from the old one | read from the old one |
//! | opens, sealed beside an old cookie | absent, or does not open | ended | ended |
//! | opens | opens | read from the old one | ours |
//! | over | opens | read from the old one | over |
//! | another node may read it | – | kept | kept |
//!
//! Whatever is written removes the old cookie, unless it was sealed to stay beside it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use memchr::memmem;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::bytes::secret_bytes::SecretBytes;
use crate::codec::error::DecodeError;
use crate::codec::judge::Tags;
use crate::codec::open::Refused;
#[cfg(feature = "store")]
use crate::codec::overflow::Fetched;
use crate::codec::request_cookies::{OpenedCookie, RequestCookies};
use crate::codec::settings::Settings;
use crate::cookie::attributes::{SameSite, SetCookie, Unchecked};
use crate::cookie::error::ConfigError;
use crate::cookie::found::cookies;
use crate::cookie::old::OldValues;
use crate::keys::key_id::KeyId;
use crate::keys::ring::Keys;
use crate::legacy::reader::{Reader, Refusal};
use crate::message::envelope::Envelope;
use crate::message::lifetime::Lifetime;
use crate::message::origin::{Origin, OriginTag};
use crate::message::recorder::SpanRecorder;
use crate::observe::{self, Severity};
#[cfg(feature = "store")]
use crate::store::work::Work;

/// The readers of a codec.
pub(crate) struct OldCookies<T>(Vec<OldCookie<T>>);

/// One of them.
struct OldCookie<T> {
    reader: Reader<T>,
    until: SystemTime,
    finder: memmem::Finder<'static>,
    removal: SetCookie,
    /// Whether it was logged that its end date has passed.
    ended: AtomicBool,
}

impl<T> OldCookies<T> {
    /// Checks what readers ask for, beside a cookie of ours that has this name and setting.
    pub(crate) fn build(
        readers: Vec<(Reader<T>, SystemTime)>,
        name: &str,
        same_site: SameSite,
        idle: Duration,
    ) -> Result<Self, ConfigError> {
        let build = |(reader, until): (Reader<T>, SystemTime)| {
            if reader.name == name {
                return Err(ConfigError::OldName);
            }
            // What was sealed to stay beside the old cookie has to end before that is read no more.
            let ends = |old_nodes: SystemTime| {
                until.duration_since(old_nodes).is_ok_and(|alone| alone >= idle)
            };
            if !reader.old_nodes_until.is_none_or(ends) {
                return Err(ConfigError::OldNodesTooLong);
            }
            let attributes = Unchecked {
                name: reader.name.clone(),
                path: reader.removal.path.clone(),
                domain: reader.removal.domain.clone(),
                secure: reader.removal.secure,
                partitioned: reader.removal.partitioned,
                same_site: if reader.removal.secure { same_site } else { SameSite::Lax },
                ..Unchecked::default()
            };
            let finder = memmem::Finder::new(&reader.name).into_owned();
            let removal = attributes.build()?.remove(0);
            Ok(OldCookie { reader, until, finder, removal, ended: AtomicBool::new(false) })
        };
        readers.into_iter().map(build).collect::<Result<_, _>>().map(Self)
    }

    /// Returns the bytes that their removals take in the head of a response.
    pub(crate) fn cost(&self) -> usize {
        self.0.iter().map(|old| old.removal.cost()).sum()
    }

    /// Finds the old cookies in one `Cookie` header value.
    pub(crate) fn read_header<'a>(&self, found: &mut Vec<OldValues<'a>>, header: &'a [u8]) {
        for (index, old) in self.0.iter().enumerate() {
            let mut values = cookies(&old.finder, header).peekable();
            // Most requests have none.
            if values.peek().is_some() {
                found.resize_with(self.0.len(), OldValues::default);
                if let Some(found) = found.get_mut(index) {
                    found.add(values);
                }
            }
        }
    }

    /// Appends the removal of the old cookies that a request has, or of all.
    pub(crate) fn remove(&self, found: Option<&[OldValues<'_>]>, lines: &mut Vec<SetCookie>) {
        for (index, old) in self.0.iter().enumerate() {
            let there =
                |found: &[OldValues<'_>]| found.get(index).is_some_and(|found| !found.is_empty());
            // Two readers may share a cookie, each with a key.
            if found.is_none_or(there) && !lines.contains(&old.removal) {
                lines.push(old.removal.clone());
            }
        }
    }

    /// Returns the name of one of them.
    pub(crate) fn name(&self, index: usize) -> Option<&str> {
        self.0.get(index).map(|old| &*old.reader.name)
    }

    /// Returns until when the last of them is read.
    pub(crate) fn until(&self) -> Option<SystemTime> {
        self.0.iter().map(|old| old.until).max()
    }

    /// Returns whether nodes of an old application answer requests too.
    fn old_nodes_run(&self, now: SystemTime) -> bool {
        self.0.iter().any(|old| old.old_nodes_run(now))
    }

    /// Returns whether a session need no longer stay beside its old cookie.
    pub(crate) fn releases(&self, origin: Option<Origin>, now: SystemTime) -> bool {
        origin.is_some_and(|origin| origin.beside) && !self.old_nodes_run(now)
    }

    /// Returns what the first old cookie that opens brings.
    fn read(&self, request: &RequestCookies<'_>, now: SystemTime) -> Option<Brought<T>> {
        self.0.iter().enumerate().find_map(|(index, old)| {
            // It is told that the date has passed, whether such a cookie is there or not.
            let found = if old.is_read(now) { request.old.get(index) } else { None }?;
            let (session, tag) = old.read(found, now)?;
            Some(Brought { index, session, tag })
        })
    }
}

impl<T> OldCookie<T> {
    fn old_nodes_run(&self, now: SystemTime) -> bool {
        self.reader.old_nodes_until.is_some_and(|until| now < until)
    }

    /// Returns whether its end date is still to come, and logs once that it is not.
    fn is_read(&self, now: SystemTime) -> bool {
        let is_read = now < self.until;
        if !is_read && !self.ended.swap(true, Ordering::Relaxed) {
            observe::old_cookie_ended(&self.reader.name);
        }
        is_read
    }

    /// Returns what the first value that opens gives.
    fn read(&self, found: &OldValues<'_>, now: SystemTime) -> Option<(T, OriginTag)> {
        let mut first = None;
        for value in found.iter() {
            match self.reader.find(value, now) {
                Ok(found) => {
                    let tag = tag(&self.reader.name, &found.canonical);
                    return Some((found.session, tag));
                }
                Err(refusal) => {
                    first.get_or_insert(refusal);
                }
            }
        }
        if let Some(refusal) = first {
            let (result, severity) = told(refusal);
            observe::old_cookie(&self.reader.name, result, severity);
        }
        None
    }
}

/// What an old cookie brings.
struct Brought<T> {
    index: usize,
    session: T,
    tag: OriginTag,
}

/// The session of a request, and what an old cookie brought of it.
type Chosen<T> = (Box<OpenedCookie>, Option<T>);

impl<T: Serialize> Settings<T> {
    /// Decides from where the session of a request comes, after our own cookies were opened. What an old cookie brought
    /// comes with the session itself.
    pub(super) fn choose(
        &self,
        ours: Result<Option<Box<OpenedCookie>>, Refused>,
        request: &RequestCookies<'_>,
        keys: &Keys,
        now: SystemTime,
    ) -> Result<Option<Chosen<T>>, Refused> {
        let run = self.old.old_nodes_run(now);
        let old = || self.old.read(request, now);
        let take = |old| self.take(old, keys, now);
        match ours {
            Ok(None) if request.found.values(0).next().is_none() => Ok(old().and_then(take)),
            Ok(None) => Ok(None),
            Ok(Some(ours)) => match ours.envelope.origin {
                Some(Origin { beside: true, tag }) => match old() {
                    Some(old) if old.tag == tag => Ok(Some((ours, None))),
                    Some(old) => Ok(take(old)),
                    None => Err(Refused { error: DecodeError::OldCookieGone, key: Some(ours.key) }),
                },
                origin if run => {
                    let another =
                        |old: &Brought<T>| origin.is_none_or(|origin| origin.tag != old.tag);
                    Ok(old().filter(another).and_then(take).or(Some((ours, None))))
                }
                _ => Ok(Some((ours, None))),
            },
            Err(refused) if run && !refused.error.is_readable_elsewhere() => {
                old().and_then(take).map(Some).ok_or(refused)
            }
            Err(refused) => Err(refused),
        }
    }

    /// Creates a session that begins now from what an old cookie brought.
    fn take(&self, old: Brought<T>, keys: &Keys, now: SystemTime) -> Option<Chosen<T>> {
        let Brought { index, session, tag } = old;
        let name = self.old.name(index).unwrap_or_default();
        #[cfg(feature = "store")]
        let scope = self.scope();
        let Ok(body) = self.format.serialize(&session, &mut SpanRecorder::default()) else {
            observe::old_cookie(name, "unserializable", Severity::Error);
            return None;
        };
        // What it has beside it is stored when the session is sealed.
        #[cfg(feature = "store")]
        let work = match scope.and_then(|scope| scope.collected()) {
            Some(collected) => self.work(collected, true).ok()?,
            None => Work::default(),
        };
        observe::old_cookie(name, "read", Severity::Info);
        let envelope = Envelope {
            format: self.format,
            began: self.beginning(&session, keys, now),
            sealed: now.into(),
            schema: self.schema,
            id: None,
            #[cfg(feature = "store")]
            elsewhere: None,
            lifetime: Lifetime::new(),
            origin: Some(Origin { tag, beside: self.old.old_nodes_run(now) }),
            skipped: Vec::new(),
        };
        let found = OpenedCookie {
            envelope,
            // The one that will seal it.
            key: keys.primary_at(now).map_or(KeyId([0; KeyId::LEN]), |primary| primary.id),
            opened: SecretBytes::default(),
            packed: 0..0,
            unpacked: Some(body),
            moved_from: Some(index),
            tags: Tags::default(),
            #[cfg(feature = "store")]
            fetched: Fetched::default(),
            #[cfg(feature = "store")]
            work,
        };
        Some((Box::new(found), Some(session)))
    }
}

impl<T> Settings<T> {
    /// Returns what is sealed of the origin of a session that goes on.
    ///
    /// As long as the old cookie is read, a logout has to revoke it, for the sake of copies.
    pub(super) fn carried(&self, origin: Option<Origin>, now: SystemTime) -> Option<Origin> {
        let origin = origin?;
        let beside = origin.beside && self.old.old_nodes_run(now);
        let revoked = self.judge.revokes() && self.old.until().is_some_and(|until| now < until);
        (beside || revoked).then_some(Origin { beside, ..origin })
    }

    /// Returns what is sealed of the origin of a session that takes the place of the one that was opened.
    pub(super) fn replaced(&self, request: &RequestCookies<'_>, now: SystemTime) -> Option<Origin> {
        let Some(Ok(Some(found))) = request.opened.get() else { return None };
        let origin = found.envelope.origin.map(|origin| Origin { beside: false, ..origin });
        self.carried(origin, now)
    }
}

/// Returns what tells an old cookie from others of its name.
fn tag(name: &str, canonical: &[u8]) -> OriginTag {
    let mut hash = Sha256::new();
    for part in [b"sealed-session/old-cookie", name.as_bytes(), canonical] {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    let digest: [u8; 32] = hash.finalize().into();
    let (tag, _) = digest.split_at(size_of::<OriginTag>());
    tag.try_into().expect("so long was it cut")
}

/// Returns what a refusal is called, and how much it asks of an operator.
fn told(refusal: Refusal) -> (&'static str, Severity) {
    match refusal {
        Refusal::Unauthentic => ("unauthentic", Severity::Info),
        Refusal::Expired => ("expired", Severity::Info),
        Refusal::Declined => ("declined", Severity::Info),
        // The reader is at fault, or what it was told of the session.
        Refusal::Content => ("content", Severity::Error),
    }
}
