//! Judging: whether a session has been revoked, and when one begins that is made in knowledge of what was.
//!
//! It is asked where the times and the key are judged: when a session is opened, and once more before it is sealed
//! again. Without the feature `revocation` it compiles to nothing.

#![cfg_attr(not(feature = "revocation"), allow(unused_variables, clippy::unused_self))]

use std::marker::PhantomData;
use std::time::{Duration, SystemTime};

use crate::codec::error::DecodeError;
use crate::message::envelope::Envelope;
use crate::message::seconds::Seconds;
#[cfg(feature = "revocation")]
use crate::revocation::{Revocations, SubjectTag};

/// What is revoked, and how the tags of a session are found.
pub(crate) struct Judge<T> {
    pub(crate) ended: Ended,
    #[cfg(feature = "revocation")]
    tags: Option<TagsOf<T>>,
    session: PhantomData<fn(&T)>,
}

/// The part that needs only what the envelope says.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    #[cfg(feature = "revocation")]
    pub(crate) revocations: Option<Revocations>,
}

/// A function that passes on the tags of a session, one after the other.
#[cfg(feature = "revocation")]
type TagsOf<T> = Box<dyn Fn(&T, &mut dyn FnMut(SubjectTag)) + Send + Sync>;

/// The tags of an opened session; unknown as long as nothing is revoked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tags {
    #[cfg(feature = "revocation")]
    found: Option<Vec<SubjectTag>>,
}

impl<T> Default for Judge<T> {
    fn default() -> Self {
        Self {
            ended: Ended::default(),
            #[cfg(feature = "revocation")]
            tags: None,
            session: PhantomData,
        }
    }
}

impl<T> Judge<T> {
    #[cfg(feature = "revocation")]
    pub(crate) fn new<I>(
        revocations: Revocations,
        tags: impl Fn(&T) -> I + Send + Sync + 'static,
    ) -> Self
    where
        I: IntoIterator<Item = SubjectTag>,
    {
        let tags: TagsOf<T> =
            Box::new(move |session, each| tags(session).into_iter().for_each(each));
        let ended = Ended { revocations: Some(revocations) };
        Self { ended, tags: Some(tags), session: PhantomData }
    }

    /// Judges a session by its tags, and returns them, so that it can be judged again.
    pub(crate) fn tags(&self, session: &T, began: Seconds) -> Result<Tags, DecodeError> {
        #[cfg(feature = "revocation")]
        if let (Some(revocations), Some(tags)) = (&self.ended.revocations, &self.tags)
            && !revocations.is_empty()
        {
            let mut found = Vec::new();
            tags(session, &mut |tag| found.push(tag));
            let tags = Tags { found: Some(found) };
            return self.ended.tags(&tags, began).map(|()| tags);
        }
        Ok(Tags::default())
    }

    /// Judges a session that another library's cookie brought, and returns its tags.
    ///
    /// That cookie tells no beginning, so any cutoff counts: the session may have begun before it.
    pub(crate) fn old_cookie(&self, session: &T, envelope: &Envelope) -> Result<Tags, DecodeError> {
        let earliest = Seconds(0);
        #[cfg(feature = "revocation")]
        if let Some(revocations) = &self.ended.revocations {
            self.ended.check(&Envelope { began: earliest, ..envelope.clone() })?;
            let tag = envelope.origin.map(|origin| SubjectTag::from_bytes(origin.tag));
            if tag.is_some_and(|tag| revocations.ends_tag(earliest.0, tag)) {
                return Err(DecodeError::Revoked);
            }
        }
        self.tags(session, earliest)
    }

    /// Returns whether a logout revokes the session.
    pub(crate) fn revokes(&self) -> bool {
        #[cfg(feature = "revocation")]
        return self.ended.revocations.is_some();
        #[cfg(not(feature = "revocation"))]
        false
    }

    /// Returns when a session begins that is made now.
    pub(crate) fn beginning(&self, session: &T, now: SystemTime, skew: Duration) -> Seconds {
        let now = Seconds::from(now);
        #[cfg(feature = "revocation")]
        if let (Some(revocations), Some(tags)) = (&self.ended.revocations, &self.tags)
            && !revocations.is_empty()
        {
            let mut latest = revocations.latest(None);
            tags(session, &mut |tag| latest = latest.max(revocations.latest(Some(tag))));
            return Seconds(latest.beginning(now.0, skew));
        }
        now
    }
}

impl Ended {
    /// Judges a session by its id and its beginning.
    #[inline]
    pub(crate) fn check(&self, envelope: &Envelope) -> Result<(), DecodeError> {
        #[cfg(feature = "revocation")]
        if let Some(revocations) = &self.revocations {
            if revocations.ends_id(envelope.began.0, envelope.id) {
                return Err(DecodeError::Revoked);
            }
            if revocations.refuses_all() {
                return Err(DecodeError::RevocationsStale);
            }
        }
        Ok(())
    }

    /// Judges a session by its tags.
    #[cfg(feature = "revocation")]
    fn tags(&self, tags: &Tags, began: Seconds) -> Result<(), DecodeError> {
        if let (Some(revocations), Some(found)) = (&self.revocations, &tags.found)
            && found.iter().any(|tag| revocations.ends_tag(began.0, *tag))
        {
            return Err(DecodeError::Revoked);
        }
        Ok(())
    }
}

impl<T> Judge<T> {
    /// Judges once more, by the tags that were found, or by those that `read` has.
    pub(crate) fn again(
        &self,
        tags: &Tags,
        began: Seconds,
        read: impl FnOnce() -> Result<T, DecodeError>,
    ) -> Result<(), DecodeError> {
        #[cfg(feature = "revocation")]
        if let Some(revocations) = &self.ended.revocations
            && !revocations.is_empty()
        {
            return match tags.found {
                Some(_) => self.ended.tags(tags, began),
                // Nothing was revoked when it was opened.
                None => self.tags(&read()?, began).map(|_| ()),
            };
        }
        Ok(())
    }
}
