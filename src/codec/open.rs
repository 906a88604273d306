//! Opening: from the cookies of a request to the serialized session and what is known about it.

use std::time::SystemTime;

use crate::bytes::secret_bytes::SecretBytes;
use crate::codec::error::{Advice, DecodeError};
use crate::codec::judge::{Ended, Tags};
use crate::codec::lifetimes::Lifetimes;
use crate::codec::request_cookies::{OpenedCookie, RequestCookies};
use crate::cookie::chunk;
use crate::keys::ring::Keys;
use crate::message::envelope::Envelope;
use crate::message::pack;
use crate::seal;

/// Opens the session of a request: with several values of the name, the one sealed last.
///
/// When none opens, the error is the one that asks for the most care with the cookie.
pub(crate) fn open(
    request: &RequestCookies<'_>,
    keys: &Keys,
    lifetimes: &Lifetimes,
    ended: &Ended,
    now: SystemTime,
) -> Result<Option<OpenedCookie>, DecodeError> {
    let mut newest: Option<OpenedCookie> = None;
    let mut worst: Option<DecodeError> = None;
    for base in request.found.values(0) {
        match open_one(base, request, keys, lifetimes, ended, now) {
            Ok(found) => {
                let known = newest.as_ref().map(|newest| newest.envelope.sealed);
                if known.is_none_or(|known| known < found.envelope.sealed) {
                    newest = Some(found);
                }
            }
            Err(error) => {
                if worst.as_ref().is_none_or(|worst| care(worst) < care(&error)) {
                    worst = Some(error);
                }
            }
        }
    }
    match (newest, worst) {
        (None, Some(error)) => Err(error),
        (newest, _) => Ok(newest),
    }
}

/// What another node may read counts for more than what is merely kept, and that for more than the rest.
fn care(error: &DecodeError) -> (bool, bool) {
    (error.is_readable_elsewhere(), error.advice() == Advice::Keep)
}

fn open_one(
    base: &[u8],
    request: &RequestCookies<'_>,
    keys: &Keys,
    lifetimes: &Lifetimes,
    ended: &Ended,
    now: SystemTime,
) -> Result<OpenedCookie, DecodeError> {
    let mut opened = SecretBytes::new(chunk::sealed(base, &request.found)?);
    let key = seal::open(&mut opened, keys, request.binding, now)?.id;
    let (envelope, range) = Envelope::parse(opened.get(seal::PREFIX..).unwrap_or_default())?;
    lifetimes.check(&envelope, now)?;
    ended.check(&envelope)?;
    let packed = seal::PREFIX + range.start..seal::PREFIX + range.end;
    let mut found =
        OpenedCookie { envelope, key, opened, packed, unpacked: None, tags: Tags::default() };
    if pack::plain(found.packed()).is_none() {
        found.unpacked = Some(pack::unpack(found.packed(), envelope.method)?);
    }
    Ok(found)
}
