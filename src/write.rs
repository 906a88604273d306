//! Writing: from a session to the cookies of the response.

use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::attributes::SetCookie;
use crate::chunk;
use crate::envelope::{self, Envelope, SessionId};
use crate::error::{DecodeError, EncodeError, Limit, TooLarge};
use crate::fields::{Field, Tape};
use crate::format::Format;
use crate::limits::{LINE, MAX_BODY};
use crate::observe;
use crate::pack::{self, Compression, Method};
use crate::request::{Remembered, Request};
use crate::ring::Keys;
use crate::seal::{self, OVERHEAD, PREFIX};
use crate::set_cookies::SetCookies;
use crate::settings::{ENVELOPE, Settings};
use crate::text;
use crate::wiped::Wiped;

/// Seals `session` as one that goes on from `known`, or as one that begins.
pub(crate) fn write<T: Serialize + DeserializeOwned>(
    codec: &Settings<T>,
    session: &T,
    known: Option<&Remembered>,
    request: &Request<'_>,
    keys: &Keys,
    now: SystemTime,
) -> Result<SetCookies, EncodeError> {
    let mut tape = Tape::default();
    let body = codec.format.serialize(session, &mut tape)?;
    if known.is_some_and(|known| {
        codec.reseal(known, keys, now).is_none() && is_unchanged(codec, known, &body)
    }) {
        return Ok(SetCookies::default());
    }
    let key = keys.primary_at(now).ok_or(EncodeError::NoActiveKey)?;
    if body.len() > MAX_BODY {
        return Err(too_large(session, (Limit::Session, body.len(), MAX_BODY)));
    }
    codec.format.check_readable::<T>(&body)?;
    let mut envelope = Envelope {
        format: codec.format,
        method: Method::Lz4,
        began: now.into(),
        sealed: now.into(),
        schema: codec.schema,
        id: known.and_then(|known| known.envelope.id),
    };
    if let Some(known) = known {
        envelope.began = known.envelope.began;
        // A clock that was set back must not make the session younger than it is.
        envelope.sealed = envelope.sealed.max(known.envelope.began);
    }
    // An id that other nodes gave stays, though this one gives none.
    if codec.session_ids && envelope.id.is_none() {
        let mut id = [0; SessionId::LEN];
        (codec.random)(&mut id).map_err(|e| EncodeError::Random(std::sync::Arc::new(e)))?;
        envelope.id = Some(SessionId(id));
    }
    let fields = tape.into_fields();
    let (mut buffer, cookies) =
        smallest(codec, envelope, &body, &fields).map_err(|refusal| too_large(session, refusal))?;
    let message = buffer.get(PREFIX..).unwrap_or_default();
    let tell = observe::sealing(key, body.len(), message, cookies);
    seal::seal(&mut buffer, cookies, key, codec.binding, codec.random)?;
    tell();
    let max_age = codec.lifetimes.remaining(&envelope).as_secs();
    Ok(SetCookies::new(print(codec, &buffer, cookies, max_age, request), envelope.id))
}

/// Says whether the session is the one that the client has.
///
/// It may have been written by another release, whose fields this one does not know or lacks: then what
/// counts is what this release makes of it. Else every read would write, and would drop these fields.
fn is_unchanged<T: Serialize + DeserializeOwned>(
    codec: &Settings<T>,
    known: &Remembered,
    body: &[u8],
) -> bool {
    known.body() == body
        || codec
            .read(known)
            .and_then(|session| {
                let again = codec.format.serialize(&session, &mut Tape::default());
                again.map_err(|_| DecodeError::Message)
            })
            .is_ok_and(|again| again.as_slice() == body)
}

/// Builds the message, ready to be sealed, in the way that the setting of compression asks for.
fn smallest<T>(
    codec: &Settings<T>,
    envelope: Envelope,
    body: &[u8],
    fields: &[Field],
) -> Result<(Wiped, u8), (Limit, usize, usize)> {
    let build = |method| message(codec, envelope, body, fields, method);
    match codec.compression {
        Compression::Off => build(None),
        Compression::Smallest => build(Some(Method::Deflate)),
        Compression::Adaptive => {
            let fast = build(Some(Method::Lz4));
            if matches!(fast, Ok((_, 1))) {
                return fast;
            }
            match (fast, build(Some(Method::Deflate))) {
                (Ok((fast, cookies)), Ok((_, least))) if cookies <= least => Ok((fast, cookies)),
                (fast, small) => {
                    if small.is_ok() || fast.is_err() {
                        small
                    } else {
                        fast
                    }
                }
            }
        }
    }
}

fn message<T>(
    codec: &Settings<T>,
    mut envelope: Envelope,
    body: &[u8],
    fields: &[Field],
    method: Option<Method>,
) -> Result<(Wiped, u8), (Limit, usize, usize)> {
    let mut out =
        Wiped::new(Vec::with_capacity(PREFIX + ENVELOPE + body.len() + body.len() / 8 + OVERHEAD));
    out.resize(PREFIX, 0);
    envelope.method = method.unwrap_or(Method::Lz4);
    envelope.write(&mut out);
    pack::pack(body, fields, codec.format, method, &mut out);
    let len = out.len() - PREFIX + 1;
    let Some((cookies, padded)) = codec.padded(len) else {
        return Err(codec.layout.refusal(text::encoded_len(len + OVERHEAD)));
    };
    envelope::pad(&mut out, PREFIX + padded);
    Ok((out, cookies))
}

fn too_large<T: Serialize>(
    session: &T,
    (limit, needed, allowed): (Limit, usize, usize),
) -> EncodeError {
    // Named fields, whatever the format of the codec.
    let mut tape = Tape::weighing();
    let heaviest = match Format::MessagePack.serialize(session, &mut tape) {
        Ok(_) => tape.into_heaviest(),
        Err(_) => Vec::new(),
    };
    EncodeError::TooLarge(TooLarge { limit, needed, allowed, heaviest })
}

/// Prints the cookies, and the removal of those that a longer session left behind, as far as the
/// limit of the response allows: a leftover does no harm.
fn print<T>(
    codec: &Settings<T>,
    sealed: &[u8],
    cookies: u8,
    max_age: u64,
    request: &Request<'_>,
) -> Vec<SetCookie> {
    let Settings { attributes, layout, .. } = codec;
    let mut lines: Vec<SetCookie> = Vec::with_capacity(cookies.into());
    if cookies == 1 {
        let len = text::encoded_len(sealed.len());
        lines.push(attributes.set(0, len, max_age, |line| text::encode(sealed, line)));
    } else {
        let mut text = String::with_capacity(text::encoded_len(sealed.len()));
        text::encode(sealed, &mut text);
        lines.extend(chunk::split(&text, layout).map(|(index, tag, share)| {
            attributes.set(index, tag.len() + share.len(), max_age, |line| {
                line.push_str(tag);
                line.push_str(share);
            })
        }));
    }
    let used = lines.iter().map(|set| set.line.len() + LINE).sum();
    let mut left = layout.response_bytes_left(used);
    for removal in request.present_from(cookies).map(|index| attributes.remove(index)) {
        let cost = removal.line.len() + LINE;
        if cost > left {
            break;
        }
        left -= cost;
        lines.push(removal);
    }
    lines
}
