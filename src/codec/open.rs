//! Opening: from the cookies of a request to the serialized session and what is known about it.

use std::time::SystemTime;

use crate::bytes::secret_bytes::SecretBytes;
use crate::codec::error::{Advice, DecodeError};
use crate::codec::judge::{Ended, Tags};
use crate::codec::lifetimes::Lifetimes;
#[cfg(feature = "store")]
use crate::codec::overflow::Fetched;
use crate::codec::request_cookies::{OpenedCookie, RequestCookies};
use crate::codec::reseal::check_cutoff;
use crate::cookie::chunk;
use crate::keys::key_id::KeyId;
use crate::keys::ring::Keys;
use crate::message::envelope::Envelope;
#[cfg(feature = "revocation")]
use crate::message::origin::Origin;
#[cfg(feature = "revocation")]
use crate::message::session_id::SessionId;
use crate::message::unpack;
use crate::seal::{self, OpenError};
#[cfg(feature = "store")]
use crate::store::work::Work;

/// Opens the session of a request: with several values of the name, the one sealed last.
///
/// When none opens, the error is the one that asks for the most care with the cookie.
pub(crate) fn open(
    request: &RequestCookies<'_>,
    keys: &Keys,
    lifetimes: &Lifetimes,
    ended: &Ended,
    now: SystemTime,
) -> Result<Option<Box<OpenedCookie>>, Refused> {
    let mut newest: Option<Box<OpenedCookie>> = None;
    let mut worst: Option<Refused> = None;
    for base in request.found.values(0) {
        match open_one(base, request, keys, lifetimes, ended, now) {
            Ok(found) => {
                let known = newest.as_ref().map(|newest| newest.envelope.sealed);
                if known.is_none_or(|known| known < found.envelope.sealed) {
                    newest = Some(found);
                }
            }
            Err(refused) => {
                if worst.as_ref().is_none_or(|worst| care(&worst.error) < care(&refused.error)) {
                    worst = Some(refused);
                }
            }
        }
    }
    match (newest, worst) {
        // The session may be among those that were not tried.
        (None, Some(refused))
            if request.found.too_many() && !refused.error.is_readable_elsewhere() =>
        {
            Err(Refused { error: DecodeError::TooManyValues, key: None })
        }
        (None, Some(refused)) => Err(refused),
        (newest, _) => Ok(newest),
    }
}

/// Why a cookie was refused, and the key of the ring that it names, if it got as far.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) error: DecodeError,
    pub(crate) key: Option<KeyId>,
}

impl From<OpenError> for Refused {
    fn from(error: OpenError) -> Self {
        let key = match error {
            OpenError::InvalidTag(id) => Some(id),
            _ => None,
        };
        Self { error: error.into(), key }
    }
}

/// What another node may read counts for more than what is merely kept, and that for more than the rest.
fn care(error: &DecodeError) -> (bool, bool) {
    (error.is_readable_elsewhere(), error.advice() == Advice::Keep)
}

/// Returns by what each session of a request can be revoked, of those whose seal holds.
#[cfg(feature = "revocation")]
pub(crate) fn names(
    request: &RequestCookies<'_>,
    keys: &Keys,
    now: SystemTime,
) -> Vec<(Option<SessionId>, Option<Origin>)> {
    let open = |base| {
        let (opened, _) = unsealed(base, request, keys, now).ok()?;
        Envelope::parse_names(opened.get(seal::PREFIX..).unwrap_or_default())
    };
    request.found.values(0).filter_map(open).collect()
}

fn open_one(
    base: &[u8],
    request: &RequestCookies<'_>,
    keys: &Keys,
    lifetimes: &Lifetimes,
    ended: &Ended,
    now: SystemTime,
) -> Result<Box<OpenedCookie>, Refused> {
    let (opened, key) = unsealed(base, request, keys, now)?;
    let refused = |error| Refused { error, key: Some(key) };
    authentic(opened, key, keys, lifetimes, ended, now).map_err(refused)
}

/// Opens the seal, and tells by which key.
fn unsealed(
    base: &[u8],
    request: &RequestCookies<'_>,
    keys: &Keys,
    now: SystemTime,
) -> Result<(SecretBytes, KeyId), Refused> {
    let sealed = chunk::sealed(base, &request.found);
    let sealed = sealed.map_err(|error| Refused { error: error.into(), key: None })?;
    let mut opened = SecretBytes::new(sealed);
    let key = seal::open(&mut opened, keys, request.binding, now)?.id;
    Ok((opened, key))
}

/// Reads what was inside a seal that held.
fn authentic(
    opened: SecretBytes,
    key: KeyId,
    keys: &Keys,
    lifetimes: &Lifetimes,
    ended: &Ended,
    now: SystemTime,
) -> Result<Box<OpenedCookie>, DecodeError> {
    let (envelope, range) = Envelope::parse(opened.get(seal::PREFIX..).unwrap_or_default())?;
    lifetimes.check(&envelope, now)?;
    check_cutoff(&envelope, keys)?;
    ended.check(&envelope)?;
    let packed = seal::PREFIX + range.start..seal::PREFIX + range.end;
    let mut found = Box::new(OpenedCookie {
        envelope,
        key,
        opened,
        packed,
        unpacked: None,
        moved_from: None,
        tags: Tags::default(),
        #[cfg(feature = "store")]
        fetched: Fetched::default(),
        #[cfg(feature = "store")]
        work: Work::default(),
    });
    #[cfg(feature = "store")]
    if found.envelope.elsewhere.is_some() {
        return if found.packed().is_empty() { Ok(found) } else { Err(DecodeError::Message) };
    }
    if unpack::plain(found.packed()).is_none() {
        found.unpacked = Some(unpack::unpack(found.packed())?);
    }
    Ok(found)
}
