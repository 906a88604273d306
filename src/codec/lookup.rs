//! Looking into a request: its session, opened once and remembered.

use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::error::{DecodeError, EncodeError};
use crate::codec::open::{self, Refused};
use crate::codec::request_cookies::{OpenedCookie, RequestCookies};
use crate::codec::settings::Settings;
use crate::keys::key_id::KeyId;
use crate::keys::ring::Keys;
use crate::message::envelope::Envelope;
use crate::observe;

impl<T: Serialize + DeserializeOwned> Settings<T> {
    /// Opens and reads the session of a request, or what was remembered of it.
    pub(super) fn lookup<'r>(
        &self,
        request: &'r RequestCookies<'_>,
        keys: &Keys,
        now: SystemTime,
    ) -> Result<Option<(T, &'r OpenedCookie)>, DecodeError> {
        let mut read = None;
        let opened = self.open_once(request, keys, now, &mut read)?;
        if let (Ok(Some(found)), None) = (opened, &read) {
            #[cfg(feature = "store")]
            found.here()?;
            // A request that is kept for long does not keep its session alive, nor its key.
            self.check_again(found, keys, now)?;
        }
        match (opened, read) {
            (Err(error), _) => Err(error.clone()),
            (Ok(None), _) => Ok(None),
            (Ok(Some(found)), Some(session)) => Ok(Some((session, found))),
            (Ok(Some(found)), None) => Ok(Some((self.read(found)?, found))),
        }
    }

    /// Opens what the request carries, if that was not done before, and leaves in `read` the session that it then read.
    ///
    /// What was opened is told only when it is kept: who is told may ask the request again, as a subscriber of `tracing`
    /// does that adds the user to each line.
    fn open_once<'r>(
        &self,
        request: &'r RequestCookies<'_>,
        keys: &Keys,
        now: SystemTime,
        read: &mut Option<T>,
    ) -> Result<&'r Result<Option<Box<OpenedCookie>>, DecodeError>, DecodeError> {
        if request.codec != self.id {
            return Err(DecodeError::OtherCodec);
        }
        if let Some(opened) = request.opened.get() {
            return Ok(opened);
        }
        let ended = &self.judge.ended;
        let found = open::open(request, keys, &self.lifetimes, ended, now);
        let found = self.choose(found, request, keys, now).and_then(|chosen| {
            let Some((mut found, session)) = chosen else { return Ok(None) };
            let key = found.key;
            let refused = |error| Refused { error, key: Some(key) };
            if let Some(session) = session {
                // It tells no beginning, so it may have begun before any cutoff.
                if keys.cutoff().ends(0) {
                    return Err(refused(DecodeError::BeforeCutoff));
                }
                let tags = self.judge.old_cookie(&session, &found.envelope);
                found.tags = tags.map_err(refused)?;
                *read = Some(session);
            } else if found.is_here() {
                // Whether it can be read is remembered too: what cannot must not be overwritten.
                let session = self.read(&found).map_err(refused)?;
                let tags = self.judge.tags(&session, found.envelope.began);
                found.tags = tags.map_err(refused)?;
                *read = Some(session);
            }
            Ok(Some(found))
        });
        let mut refused_key = None;
        let mut found = Some(found.map_err(|Refused { error, key }| {
            refused_key = key;
            error
        }));
        let opened = request.opened.get_or_init(|| found.take().unwrap_or(Ok(None)));
        if found.is_some() {
            // Another thread was faster; what was read belongs to what is not kept.
            *read = None;
            return Ok(opened);
        }
        observe_opened(opened, refused_key);
        #[cfg(feature = "watch")]
        if let Err(DecodeError::UnknownKey(_)) = opened {
            self.ring.wake_up().request();
        }
        Ok(opened)
    }

    /// Opens what the request carries, if that was not done before.
    #[cfg(feature = "store")]
    pub(super) fn opened<'r>(
        &self,
        request: &'r RequestCookies<'_>,
        keys: &Keys,
        now: SystemTime,
    ) -> Result<&'r Result<Option<Box<OpenedCookie>>, DecodeError>, DecodeError> {
        self.open_once(request, keys, now, &mut None)
    }

    /// Returns the session of the request that a write continues, if there is one.
    pub(super) fn known<'r>(
        &self,
        request: &'r RequestCookies<'_>,
        keys: &Keys,
        now: SystemTime,
    ) -> Result<Option<&'r OpenedCookie>, EncodeError> {
        let opened = request.opened.get().filter(|_| request.codec == self.id);
        let (known, was_opened) = match opened {
            #[cfg(feature = "store")]
            Some(Ok(Some(found))) if !found.is_here() => {
                (found.here().map(|()| Some(&**found)), false)
            }
            Some(Ok(Some(found))) => {
                (self.check_again(found, keys, now).map(|()| Some(&**found)), true)
            }
            Some(Ok(None)) => (Ok(None), false),
            Some(Err(error)) => (Err(error.clone()), false),
            None => {
                (self.lookup(request, keys, now).map(|found| found.map(|(_, found)| found)), false)
            }
        };
        match known {
            Ok(known) => Ok(known),
            Err(error) if error.is_readable_elsewhere() => Err(EncodeError::WouldReplace(error)),
            // What was handed out may be in what is to be written, and must not live on by that.
            Err(error) if was_opened => Err(EncodeError::Ended(error)),
            Err(_) => Ok(None),
        }
    }

    /// Judges once more what was opened before: its time may have passed, and its key or itself been revoked.
    fn check_again(
        &self,
        found: &OpenedCookie,
        keys: &Keys,
        now: SystemTime,
    ) -> Result<(), DecodeError> {
        self.check(found, keys, now)?;
        if found.moved_from.is_some() && self.judge.revokes() {
            // The old cookie may have been logged out meanwhile.
            return self.judge.old_cookie(&self.read(found)?, &found.envelope).map(|_| ());
        }
        self.judge.again(&found.tags, found.envelope.began, || self.read(found))
    }

    pub(crate) fn read(&self, found: &OpenedCookie) -> Result<T, DecodeError> {
        self.read_body(&found.envelope, found.body())
    }

    /// Reads a session that was serialized as the envelope says.
    pub(super) fn read_body(&self, envelope: &Envelope, body: &[u8]) -> Result<T, DecodeError> {
        let Envelope { format, schema, .. } = *envelope;
        // Without names, a type that is not the very one that was sealed reads a wrong session.
        let is_safe = format == self.format || !format.is_positional();
        if schema == self.schema && is_safe {
            return Ok(format.deserialize(body)?);
        }
        if envelope.schema > self.schema {
            let (found, known) = (envelope.schema, self.schema);
            return Err(DecodeError::NewerSchema { found, known });
        }
        let of_this = self.migrations.get(&(schema, Some(format.tag())));
        let of_any = || self.migrations.get(&(schema, None)).filter(|_| is_safe);
        match of_this.or_else(of_any) {
            Some(migrate) => Ok(migrate(format, body)?),
            None if !is_safe => Err(DecodeError::UnsupportedFormat),
            None => Err(DecodeError::NoMigration { found: schema }),
        }
    }
}

/// Observes what a request carries; where it was refused, by which key of the ring.
fn observe_opened(opened: &Result<Option<Box<OpenedCookie>>, DecodeError>, refused: Option<KeyId>) {
    match opened {
        Ok(None) => {}
        Ok(Some(found)) => observe::opened(&found.key),
        Err(error) => error.observe(refused),
    }
}
