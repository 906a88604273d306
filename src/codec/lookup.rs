//! Looking into a request: its session, opened once and remembered.

use std::time::SystemTime;

use serde::de::DeserializeOwned;

use crate::codec::error::{DecodeError, EncodeError};
use crate::codec::open::{self, Refused};
use crate::codec::request_cookies::{OpenedCookie, RequestCookies};
use crate::codec::settings::Settings;
use crate::keys::ring::Keys;
use crate::observe;

impl<T: DeserializeOwned> Settings<T> {
    /// Opens and reads the session of a request, or what was remembered of it.
    pub(super) fn lookup<'r>(
        &self,
        request: &'r RequestCookies<'_>,
        keys: &Keys,
        now: SystemTime,
    ) -> Result<Option<(T, &'r OpenedCookie)>, DecodeError> {
        if request.binding != self.binding {
            return Err(DecodeError::OtherCodec);
        }
        let mut read = None;
        let opened = request.opened.get_or_init(|| {
            let found = open::open(request, keys, &self.lifetimes, now).and_then(|found| {
                // Whether it can be read is remembered too: what cannot must not be overwritten.
                if let Some(found) = &found {
                    let refused = |error| Refused { error, key: Some(found.key) };
                    read = Some(self.read(found).map_err(refused)?);
                }
                Ok(found)
            });
            observe_opened(&found);
            #[cfg(feature = "watch")]
            if let Err(Refused { error: DecodeError::UnknownKey(_), .. }) = found {
                self.ring.wake_up().request();
            }
            found.map_err(|refused| refused.error)
        });
        if let (Ok(Some(found)), None) = (opened, &read) {
            // A request that is kept for long does not keep its session alive, nor its key.
            self.check(found, keys, now)?;
        }
        match (opened, read) {
            (Err(error), _) => Err(error.clone()),
            (Ok(None), _) => Ok(None),
            (Ok(Some(found)), Some(session)) => Ok(Some((session, found))),
            (Ok(Some(found)), None) => Ok(Some((self.read(found)?, found))),
        }
    }

    /// Gives the session of the request that a write goes on from, if there is one.
    pub(super) fn known<'r>(
        &self,
        request: &'r RequestCookies<'_>,
        keys: &Keys,
        now: SystemTime,
    ) -> Result<Option<&'r OpenedCookie>, EncodeError> {
        let opened = request.opened.get().filter(|_| request.binding == self.binding);
        let (known, was_opened) = match opened {
            Some(Ok(Some(found))) => (self.check(found, keys, now).map(|()| Some(found)), true),
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

    pub(crate) fn read(&self, found: &OpenedCookie) -> Result<T, DecodeError> {
        let envelope = &found.envelope;
        if envelope.schema == self.schema {
            return Ok(envelope.format.deserialize(found.body())?);
        }
        if envelope.schema > self.schema {
            let (found, known) = (envelope.schema, self.schema);
            return Err(DecodeError::NewerSchema { found, known });
        }
        match self.migrations.get(&envelope.schema) {
            Some(migrate) => Ok(migrate(envelope.format, found.body())?),
            None => Err(DecodeError::NoMigration { found: envelope.schema }),
        }
    }
}

/// Observes what a request carries.
fn observe_opened(opened: &Result<Option<OpenedCookie>, Refused>) {
    match opened {
        Ok(None) => {}
        Ok(Some(OpenedCookie { key, .. })) => observe::opened(key),
        Err(Refused { error, key }) => error.observe(*key),
    }
}
