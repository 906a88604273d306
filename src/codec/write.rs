//! Writing: from a session to the cookies of the response.

use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bytes::base64url;
use crate::bytes::secret_bytes::SecretBytes;
use crate::codec::error::{DecodeError, EncodeError};
use crate::codec::request_cookies::{OpenedCookie, RequestCookies};
use crate::codec::reseal::Reseal;
use crate::codec::settings::{ENVELOPE, Settings};
use crate::cookie::attributes::SetCookie;
use crate::cookie::chunk;
use crate::cookie::error::{Limit, TooLarge};
use crate::cookie::set_cookies::SetCookies;
use crate::keys::ring::Keys;
use crate::message::MAX_BODY;
use crate::message::envelope::{self, Envelope};
use crate::message::fields::{FieldSpan, SpanRecorder};
use crate::message::format::Format;
use crate::message::lifetime::Lifetime;
use crate::message::pack::{self, Compression, Method};
use crate::message::session_id::SessionId;
use crate::observe::{self, Sealed};
use crate::seal::{self, OVERHEAD, PREFIX};
#[cfg(feature = "store")]
use crate::store::work::Work;

/// Seals `session` as one that continues `known`, or as one that begins with this lifetime.
pub(crate) fn write<T: Serialize + DeserializeOwned>(
    codec: &Settings<T>,
    session: &T,
    known: Result<&OpenedCookie, Lifetime>,
    request: &RequestCookies<'_>,
    keys: &Keys,
    now: SystemTime,
) -> Result<SetCookies, EncodeError> {
    let mut recorder = SpanRecorder::default();
    let body = codec.format.serialize(session, &mut recorder).map_err(EncodeError::Serialize)?;
    let writer = Writer { codec, session, request, keys, now };
    match known {
        Ok(known) if is_unchanged(codec, known, &body) => {
            let written = match codec.reseal(known, keys, now) {
                None => return Ok(SetCookies::default()),
                Some(Reseal::Schema) => writer.seal_session(Ok(known), &body, recorder),
                Some(Reseal::Moved) if known.moved_from.is_some() => {
                    writer.seal_session(Ok(known), &body, recorder)
                }
                Some(Reseal::Format) if is_all(known, session) => {
                    writer.seal_session(Ok(known), &body, recorder)
                }
                Some(_) => writer.reseal(known),
            };
            // The client's cookie goes on to be valid, and nothing that it lacks was to be written.
            Ok(written.inspect_err(EncodeError::observe).unwrap_or_default())
        }
        known => writer.seal_session(known, &body, recorder),
    }
}

/// What one write goes by.
struct Writer<'w, T> {
    codec: &'w Settings<T>,
    session: &'w T,
    request: &'w RequestCookies<'w>,
    keys: &'w Keys,
    now: SystemTime,
}

impl<T: Serialize + DeserializeOwned> Writer<'_, T> {
    /// Seals the session as this release serializes it.
    fn seal_session(
        &self,
        known: Result<&OpenedCookie, Lifetime>,
        body: &SecretBytes,
        recorder: SpanRecorder,
    ) -> Result<SetCookies, EncodeError> {
        let Self { codec, session, now, .. } = *self;
        if body.len() > MAX_BODY {
            return Err(too_large(session, (Limit::Session, body.len(), MAX_BODY)));
        }
        codec.format.check_readable::<T>(body).map_err(EncodeError::Serialize)?;
        let mut envelope = Envelope {
            format: codec.format,
            method: Method::Lz4,
            began: codec.judge.beginning(session, now, codec.lifetimes.skew),
            sealed: now.into(),
            schema: codec.schema,
            id: None,
            #[cfg(feature = "store")]
            elsewhere: None,
            lifetime: Lifetime::new(),
            origin: None,
            skipped: Vec::new(),
        };
        match known {
            Ok(OpenedCookie { envelope: known, .. }) => {
                (envelope.began, envelope.id) = (known.began, known.id);
                envelope.lifetime = known.lifetime;
                envelope.origin = codec.carried(known.origin, now);
                // It may be of another user now, whose sessions have ended.
                codec.judge.tags(session, envelope.began).map_err(EncodeError::Ended)?;
            }
            Err(lifetime) => {
                envelope.lifetime = lifetime;
                envelope.origin = codec.replaced(self.request, now);
            }
        }
        self.give_id(&mut envelope)?;
        let fields = recorder.into_fields();
        let message = match smallest(codec, &envelope, body, &fields) {
            #[cfg(feature = "store")]
            Err(_) if codec.overflow.is_some() => {
                let method = codec.packing_of_blobs();
                envelope.method = method.unwrap_or(Method::Lz4);
                let append =
                    |out: &mut Vec<u8>| pack::pack(body, &fields, codec.format, method, out);
                return self.seal_elsewhere(envelope, known.ok(), body.len(), append);
            }
            message => message.map_err(|refusal| too_large(session, refusal))?,
        };
        self.seal(&envelope, message, body.len())
    }

    /// Seals a session whose body goes to the store, in the place of what the client has there.
    #[cfg(feature = "store")]
    fn seal_elsewhere(
        &self,
        mut envelope: Envelope,
        known: Option<&OpenedCookie>,
        body: usize,
        append: impl FnOnce(&mut Vec<u8>),
    ) -> Result<SetCookies, EncodeError> {
        let Self { codec, session, .. } = *self;
        let replaced = known.and_then(|known| known.envelope.elsewhere.as_ref());
        let previous = replaced.map(|replaced| replaced.id);
        let (reference, blob) = codec.seal_blob(&envelope, previous, append)?;
        envelope.elsewhere = Some(reference);
        let message =
            message(codec, &envelope, 0, |_| {}).map_err(|refusal| too_large(session, refusal))?;
        let mut set_cookies = self.seal(&envelope, message, body)?;
        set_cookies.add_work(Work { puts: vec![blob], ..Work::default() });
        Ok(set_cookies)
    }

    /// Seals the very session that the client has: nothing is lost that another release put into it.
    fn reseal(&self, known: &OpenedCookie) -> Result<SetCookies, EncodeError> {
        let Self { codec, session, request, now, .. } = *self;
        let origin = codec.carried(known.envelope.origin, now);
        let mut envelope = Envelope { sealed: now.into(), origin, ..known.envelope.clone() };
        self.give_id(&mut envelope)?;
        let packed = known.packed();
        #[cfg(feature = "store")]
        if envelope.elsewhere.is_some() {
            let append = |out: &mut Vec<u8>| out.extend_from_slice(packed);
            return self.seal_elsewhere(envelope, Some(known), known.body().len(), append);
        }
        let build = |envelope: &Envelope| {
            message(codec, envelope, packed.len(), |out| out.extend_from_slice(packed))
        };
        let message = build(&envelope).or_else(|_| {
            // It began before ids were given, and has no room for one.
            envelope.id = known.envelope.id;
            build(&envelope)
        });
        let message = message.map_err(|refusal| too_large(session, refusal))?;
        // What a longer session left behind goes first, if there is no room for both.
        let chars = base64url::encoded_len(message.0.len() - PREFIX + OVERHEAD);
        let used = codec.layout.cost(chars, message.1).response_bytes;
        let mut removals = Vec::new();
        codec.remove_from(message.1, request, &mut removals);
        if removals.iter().map(SetCookie::cost).sum::<usize>()
            > codec.layout.response_bytes_left(used)
        {
            return Ok(SetCookies::new(removals, None));
        }
        self.seal(&envelope, message, known.body().len())
    }

    /// Adds an id to the session, if it lacks one and this codec gives them. An id that other nodes gave stays, though
    /// this one gives none.
    fn give_id(&self, envelope: &mut Envelope) -> Result<(), EncodeError> {
        if self.codec.session_ids && envelope.id.is_none() {
            let mut id = [0; SessionId::LEN];
            let random = (self.codec.random)(&mut id);
            random.map_err(|error| EncodeError::Random(std::sync::Arc::new(error)))?;
            envelope.id = Some(SessionId(id));
        }
        Ok(())
    }

    fn seal(
        &self,
        envelope: &Envelope,
        (mut buffer, cookies): (SecretBytes, u8),
        body: usize,
    ) -> Result<SetCookies, EncodeError> {
        let Self { codec, request, keys, now, .. } = *self;
        let key = keys.primary_at(now).ok_or(EncodeError::NoActiveKey)?;
        let packing = if observe::ENABLED { packing(&buffer) } else { "" };
        seal::seal(&mut buffer, cookies, key, codec.binding, codec.random)?;
        observe::sealed(|| Sealed {
            key: key.id,
            packing,
            body,
            chars: base64url::encoded_len(buffer.len()),
            cookies,
        });
        let max_age = (!envelope.lifetime.is_browser_session())
            .then(|| codec.lifetimes.remaining(envelope).as_secs());
        let mut lines = print(codec, &buffer, cookies, max_age, request);
        if !envelope.origin.is_some_and(|origin| origin.beside) {
            codec.old.remove(Some(&request.old), &mut lines);
        }
        Ok(SetCookies::new(lines, envelope.id))
    }
}

/// Returns how the session in a message, which is not sealed yet, was made smaller.
fn packing(buffer: &[u8]) -> &'static str {
    let message = buffer.get(PREFIX..).unwrap_or_default();
    match Envelope::parse(message) {
        Ok((_, range)) if message.get(range.clone()).and_then(pack::plain).is_some() => "none",
        Ok((Envelope { method: Method::Deflate, .. }, _)) => "deflate",
        _ => "lz4",
    }
}

/// Returns whether the session is the one that the client has.
///
/// It may have been written by another release, whose fields this one does not know or lacks: then what
/// counts is what this release makes of it. Else every read would write, and would drop these fields.
fn is_unchanged<T: Serialize + DeserializeOwned>(
    codec: &Settings<T>,
    known: &OpenedCookie,
    body: &[u8],
) -> bool {
    known.body() == body
        || codec
            .read(known)
            .and_then(|session| {
                let again = codec.format.serialize(&session, &mut SpanRecorder::default());
                again.map_err(|_| DecodeError::Message)
            })
            .is_ok_and(|again| again.as_slice() == body)
}

/// Returns whether the client's session has nothing that this release does not know.
fn is_all<T: Serialize>(known: &OpenedCookie, session: &T) -> bool {
    let again = known.envelope.format.serialize(session, &mut SpanRecorder::default());
    again.is_ok_and(|again| again.as_slice() == known.body())
}

/// Builds the message, ready to be sealed, in the way that the setting of compression asks for.
fn smallest<T>(
    codec: &Settings<T>,
    envelope: &Envelope,
    body: &[u8],
    fields: &[FieldSpan],
) -> Result<(SecretBytes, u8), Refusal> {
    let build = |method: Option<Method>| {
        let method_or_any = method.unwrap_or(Method::Lz4);
        let envelope = Envelope { method: method_or_any, ..envelope.clone() };
        message(codec, &envelope, body.len(), |out| {
            pack::pack(body, fields, codec.format, method, out);
        })
    };
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

/// Builds a message around the packed session that `append` writes.
fn message<T>(
    codec: &Settings<T>,
    envelope: &Envelope,
    packed: usize,
    append: impl FnOnce(&mut Vec<u8>),
) -> Result<(SecretBytes, u8), Refusal> {
    let mut out =
        SecretBytes::new(Vec::with_capacity(PREFIX + ENVELOPE + packed + packed / 8 + OVERHEAD));
    out.resize(PREFIX, 0);
    envelope.write(&mut out);
    append(&mut out);
    let len = out.len() - PREFIX + 1;
    let growth = envelope.growth(codec.lifetimes.absolute);
    let Some((cookies, padded)) = codec.padded(len, growth) else {
        return Err(codec.layout.refusal(codec.chars(len + growth)));
    };
    envelope::pad(&mut out, PREFIX + padded);
    Ok((out, cookies))
}

/// The limit that is broken, what is needed, and what is allowed.
type Refusal = (Limit, usize, usize);

fn too_large<T: Serialize>(session: &T, (limit, needed, allowed): Refusal) -> EncodeError {
    // Named fields, whatever the format of the codec.
    let mut recorder = SpanRecorder::weighing();
    let heaviest = match Format::MessagePack.serialize(session, &mut recorder) {
        Ok(_) => recorder.into_heaviest(),
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
    max_age: Option<u64>,
    request: &RequestCookies<'_>,
) -> Vec<SetCookie> {
    let Settings { attributes, layout, .. } = codec;
    let mut lines: Vec<SetCookie> = Vec::with_capacity(cookies.into());
    if cookies == 1 {
        let len = base64url::encoded_len(sealed.len());
        lines.push(attributes.set(0, len, max_age, |line| base64url::encode(sealed, line)));
    } else {
        let mut text = String::with_capacity(base64url::encoded_len(sealed.len()));
        base64url::encode(sealed, &mut text);
        lines.extend(chunk::split(&text, layout).map(|(index, tag, share)| {
            attributes.set(index, tag.len() + share.len(), max_age, |line| {
                line.push_str(tag);
                line.push_str(share);
            })
        }));
    }
    codec.remove_from(cookies, request, &mut lines);
    lines
}

impl<T> Settings<T> {
    /// Appends the removal of the cookies that the request has from this index on, as far as the limit of the
    /// response allows.
    pub(crate) fn remove_from(
        &self,
        index: u8,
        request: &RequestCookies<'_>,
        lines: &mut Vec<SetCookie>,
    ) {
        let used = lines.iter().map(SetCookie::cost).sum();
        let mut left = self.layout.response_bytes_left(used);
        for removal in request.found.present_from(index).map(|index| self.attributes.remove(index))
        {
            let cost = removal.cost();
            if cost > left {
                break;
            }
            left -= cost;
            lines.push(removal);
        }
    }
}
