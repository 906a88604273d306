//! Writing: from a session to the cookies of the response.

use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bytes::base64url;
use crate::bytes::secret_bytes::SecretBytes;
use crate::codec::begin::Begin;
use crate::codec::error::EncodeError;
use crate::codec::request_cookies::{OpenedCookie, RequestCookies};
use crate::codec::reseal::Reseal;
use crate::codec::settings::{ENVELOPE, Settings};
use crate::cookie::attributes::SetCookie;
use crate::cookie::chunk;
use crate::cookie::error::{Limit, TooLarge};
use crate::cookie::set_cookies::SetCookies;
use crate::keys::ring::Keys;
use crate::message::MAX_BODY;
use crate::message::compress::Method;
use crate::message::envelope::{self, Envelope};
use crate::message::format::Format;
use crate::message::lifetime::Lifetime;
use crate::message::pack::{self, Compression, Packing};
use crate::message::recorder::{SpanRecorder, Spans};
use crate::message::same::{self, Lists};
use crate::message::seconds::Seconds;
use crate::message::session_id::SessionId;
use crate::message::shrink;
use crate::message::unpack;
use crate::observe::{self, Sealed};
use crate::seal::{self, OVERHEAD, PREFIX};
#[cfg(feature = "store")]
use crate::store::work::Work;

/// What a session that is sealed is to the request.
#[derive(Clone, Copy)]
pub(crate) enum Start<'o> {
    /// The one that the request carries, which goes on.
    Continue(&'o OpenedCookie),
    /// One that begins.
    Begin(Begin),
}

/// Seals `session`, or nothing where it is the client's and fresh.
///
/// Where it is known to be `changed`, it is not read what the client's own session would be in this release.
pub(crate) fn write<T: Serialize + DeserializeOwned>(
    codec: &Settings<T>,
    session: &T,
    start: Start<'_>,
    changed: bool,
    request: &RequestCookies<'_>,
    keys: &Keys,
    now: SystemTime,
) -> Result<SetCookies, EncodeError> {
    let mut recorder = SpanRecorder::default();
    let body = codec.format.serialize(session, &mut recorder).map_err(EncodeError::Serialize)?;
    let writer = Writer { codec, request, keys, now };
    match start {
        Start::Continue(known)
            if is_unchanged(codec, known, session, &body, &recorder, changed) =>
        {
            let written = match codec.reseal(known, keys, now) {
                None => return Ok(SetCookies::default()),
                Some(Reseal::Schema) => writer.seal_session(session, start, &body, recorder),
                Some(Reseal::Moved) if known.moved_from.is_some() => {
                    writer.seal_session(session, start, &body, recorder)
                }
                Some(Reseal::Format) if is_all(known, session) => {
                    writer.seal_session(session, start, &body, recorder)
                }
                Some(_) => writer.reseal(known),
            };
            // The client's cookie goes on to be valid, and nothing that it lacks was to be written.
            Ok(written.inspect_err(EncodeError::observe).unwrap_or_default())
        }
        start => writer.seal_session(session, start, &body, recorder),
    }
}

/// Seals the client's session again as it is, if that is due.
///
/// It is read only where it changes over to another schema or format.
pub(crate) fn touch<T: Serialize + DeserializeOwned>(
    codec: &Settings<T>,
    known: &OpenedCookie,
    request: &RequestCookies<'_>,
    keys: &Keys,
    now: SystemTime,
) -> Result<SetCookies, EncodeError> {
    let writer = Writer { codec, request, keys, now };
    let changes_over = match codec.reseal(known, keys, now) {
        None => return Ok(SetCookies::default()),
        Some(Reseal::Schema | Reseal::Format) => true,
        Some(Reseal::Moved) => known.moved_from.is_some(),
        Some(_) => false,
    };
    let session = match changes_over.then(|| codec.read(known)) {
        Some(Ok(session)) => session,
        // It is not in a cookie of ours yet, so that there is nothing to reseal.
        Some(Err(error)) if known.moved_from.is_some() => {
            return Err(EncodeError::Serialize(Arc::new(error)));
        }
        _ => return writer.reseal(known),
    };
    let mut recorder = SpanRecorder::default();
    let body = codec.format.serialize(&session, &mut recorder).map_err(EncodeError::Serialize)?;
    let drops_nothing = known.moved_from.is_some()
        || known.envelope.schema != codec.schema
        || is_all(known, &session);
    if !drops_nothing {
        return writer.reseal(known);
    }
    writer.seal_session(&session, Start::Continue(known), &body, recorder)
}

/// Checks that `session` can be sealed.
pub(crate) fn fits<T: Serialize + DeserializeOwned>(
    codec: &Settings<T>,
    session: &T,
    start: Start<'_>,
    request: &RequestCookies<'_>,
    keys: &Keys,
    now: SystemTime,
) -> Result<(), EncodeError> {
    let mut recorder = SpanRecorder::default();
    let body = codec.format.serialize(session, &mut recorder).map_err(EncodeError::Serialize)?;
    match start {
        // The client has it.
        Start::Continue(known)
            if known.moved_from.is_none() && is_written_alike(codec, known, &body, &recorder) =>
        {
            Ok(())
        }
        start => Writer { codec, request, keys, now }.fits(session, start, &body, recorder),
    }
}

/// Creates the id of a session.
pub(crate) fn new_id<T>(codec: &Settings<T>) -> Result<SessionId, EncodeError> {
    let mut id = [0; SessionId::LEN];
    let random = (codec.random)(&mut id);
    random.map_err(|error| EncodeError::Random(Arc::new(error)))?;
    Ok(SessionId(id))
}

/// What one write goes by.
struct Writer<'w, T> {
    codec: &'w Settings<T>,
    request: &'w RequestCookies<'w>,
    keys: &'w Keys,
    now: SystemTime,
}

impl<T: Serialize + DeserializeOwned> Writer<'_, T> {
    /// Seals the session as this release serializes it.
    fn seal_session(
        &self,
        session: &T,
        start: Start<'_>,
        body: &SecretBytes,
        recorder: SpanRecorder,
    ) -> Result<SetCookies, EncodeError> {
        let Self { codec, .. } = *self;
        self.check_len(session, body)?;
        let mut envelope = self.envelope(session, start)?;
        self.give_id(&mut envelope)?;
        let odd_nulls = recorder.odd_nulls();
        let spans = recorder.into_spans();
        let message = smallest(codec, &envelope, body, &spans);
        #[cfg(feature = "store")]
        let is_sealed = message.is_ok() || codec.overflow.is_some();
        #[cfg(not(feature = "store"))]
        let is_sealed = message.is_ok();
        // What is refused for its size is not read for it.
        if is_sealed {
            self.check_reads_back(session, body, odd_nulls)?;
        }
        let message = match message {
            #[cfg(feature = "store")]
            Err(_) if codec.overflow.is_some() => {
                let packing = codec.packing_of_blobs();
                let append =
                    |out: &mut Vec<u8>| pack::pack(body, &spans, codec.format, packing, out);
                let known = match start {
                    Start::Continue(known) => Some(known),
                    Start::Begin(_) => None,
                };
                return self.seal_elsewhere(envelope, known, body.len(), append);
            }
            message => message.map_err(|refusal| too_large(session, refusal))?,
        };
        self.seal(&envelope, message, body.len())
    }

    fn check_len(&self, session: &T, body: &SecretBytes) -> Result<(), EncodeError> {
        if body.len() > MAX_BODY {
            return Err(too_large(session, (Limit::Session, body.len(), MAX_BODY)));
        }
        Ok(())
    }

    fn check_reads_back(
        &self,
        session: &T,
        body: &SecretBytes,
        odd_nulls: usize,
    ) -> Result<(), EncodeError> {
        if !self.codec.reads_back {
            return Ok(());
        }
        let reads_back = self.codec.format.check_reads_back(session, body, odd_nulls);
        reads_back.map_err(|error| EncodeError::Serialize(Arc::new(error)))
    }

    /// Creates what stands before the session, but for an id that has to be created.
    fn envelope(&self, session: &T, start: Start<'_>) -> Result<Envelope, EncodeError> {
        let Self { codec, keys, now, .. } = *self;
        let mut envelope = Envelope {
            format: codec.format,
            began: codec.beginning(session, keys, now),
            sealed: now.into(),
            schema: codec.schema,
            id: None,
            #[cfg(feature = "store")]
            elsewhere: None,
            lifetime: Lifetime::new(),
            origin: None,
            skipped: Vec::new(),
        };
        match start {
            Start::Continue(OpenedCookie { envelope: known, .. }) => {
                (envelope.began, envelope.id) = (known.began, known.id);
                envelope.lifetime = known.lifetime;
                envelope.origin = codec.carried(known.origin, now);
                // It may be of another user now, whose sessions have ended.
                codec.judge.tags(session, envelope.began).map_err(EncodeError::Ended)?;
            }
            Start::Begin(Begin { lifetime, id }) => {
                (envelope.lifetime, envelope.id) = (lifetime, id);
                envelope.origin = codec.replaced(self.request, now);
            }
        }
        Ok(envelope)
    }

    /// Checks that there is room for the session.
    fn fits(
        &self,
        session: &T,
        start: Start<'_>,
        body: &SecretBytes,
        recorder: SpanRecorder,
    ) -> Result<(), EncodeError> {
        let codec = self.codec;
        self.check_len(session, body)?;
        self.check_reads_back(session, body, recorder.odd_nulls())?;
        let mut envelope = self.envelope(session, start)?;
        if codec.session_ids {
            envelope.id.get_or_insert(SessionId([0; SessionId::LEN]));
        }
        #[cfg(feature = "store")]
        if codec.overflow.is_some() {
            return Ok(());
        }
        let fits = smallest(codec, &envelope, body, &recorder.into_spans());
        fits.map(|_| ()).map_err(|refusal| too_large(session, refusal))
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
        let codec = self.codec;
        let replaced = known.and_then(|known| known.envelope.elsewhere.as_ref());
        let previous = replaced.map(|replaced| replaced.id);
        let (reference, blob) = codec.seal_blob(&envelope, previous, append)?;
        envelope.elsewhere = Some(reference);
        let message = message(codec, &envelope, 0, |_| {}).map_err(refused)?;
        let mut set_cookies = self.seal(&envelope, message, body)?;
        set_cookies.add_work(Work { puts: vec![blob], ..Work::default() });
        Ok(set_cookies)
    }

    /// Seals the very session that the client has: nothing is lost that another release put into it.
    fn reseal(&self, known: &OpenedCookie) -> Result<SetCookies, EncodeError> {
        let Self { codec, request, now, .. } = *self;
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
        let message = message.map_err(refused)?;
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
            envelope.id = Some(new_id(self.codec)?);
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
    let packed = Envelope::parse(message).ok().and_then(|(_, range)| message.get(range));
    packed.map_or("none", unpack::packing)
}

/// Returns whether the session is the one that the client has.
///
/// It may have been written by another release, whose fields this one does not know or lacks: then what
/// counts is what this release makes of it. Else every read would write, and would drop these fields.
fn is_unchanged<T: Serialize + DeserializeOwned>(
    codec: &Settings<T>,
    known: &OpenedCookie,
    session: &T,
    body: &[u8],
    recorder: &SpanRecorder,
    changed: bool,
) -> bool {
    let Envelope { format, schema, .. } = known.envelope;
    let is_alike = (format, schema) == (codec.format, codec.schema);
    if is_alike && is_written_alike(codec, known, body, recorder) {
        return true;
    }
    if changed {
        return false;
    }
    let nulls = recorder.odd_nulls();
    codec.read(known).is_ok_and(|known| codec.format.is_same(session, body, nulls, &known))
}

/// Returns whether a session is the client's by its bytes. These do not tell one null from another: a type may read as
/// `Some(None)` what was written as `None`.
fn is_written_alike<T: Serialize + DeserializeOwned>(
    codec: &Settings<T>,
    known: &OpenedCookie,
    body: &[u8],
    recorder: &SpanRecorder,
) -> bool {
    known.body() == body
        && recorder.odd_nulls() == 0
        && (!codec.format.may_hold_null(body)
            || codec.read(known).is_ok_and(|known| codec.format.has_plain_nulls(&known)))
}

/// Returns whether the client's session has nothing that this release does not know.
fn is_all<T: Serialize>(known: &OpenedCookie, session: &T) -> bool {
    let format = known.envelope.format;
    let again = format.serialize(session, &mut SpanRecorder::default());
    // Without names, what was not known could not have been read.
    format.is_positional()
        || again.is_ok_and(|again| {
            same::difference(format, &again, known.body(), Lists::Unordered).is_none()
        })
}

/// Builds the message, ready to be sealed, in the way that the setting of compression asks for.
fn smallest<T>(
    codec: &Settings<T>,
    envelope: &Envelope,
    body: &[u8],
    spans: &Spans,
) -> Result<(SecretBytes, u8), Refusal> {
    let build = |packing: Packing| {
        message(codec, envelope, body.len(), |out| {
            pack::pack(body, spans, codec.format, packing, out);
        })
    };
    match codec.compression {
        Compression::Off => build(Packing::Plain),
        Compression::Smallest => build(Packing::Fields(Method::Deflate)),
        Compression::Adaptive => {
            let mut out = begin(envelope, body.len());
            let start = out.len();
            pack::pack(body, spans, codec.format, Packing::Fields(Method::Lz4), &mut out);
            let growth = envelope.growth(codec.lifetimes.absolute);
            let cookies = |packed: usize| {
                let message = start - PREFIX + packed + MARKER;
                codec.padded(message, growth).map(|(cookies, _)| cookies)
            };
            if cookies(out.len() - start) != Some(1)
                && let Some(packed) = out.get(start..)
                && let Some(smaller) = shrink::shrink(body, spans, packed, cookies)
            {
                out = begin(envelope, smaller.len());
                out.extend_from_slice(&smaller);
            }
            finish(codec, envelope, out)
        }
        Compression::DangerousOneContext => {
            let fields = build(Packing::Fields(Method::Deflate));
            let whole = build(Packing::Whole(Method::Deflate));
            match (&fields, &whole) {
                (Ok((fields, _)), Ok((whole, _))) if fields.len() <= whole.len() => {}
                (_, Ok(_)) => return whole,
                (_, Err(_)) => {}
            }
            fields
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
    let mut out = begin(envelope, packed);
    append(&mut out);
    finish(codec, envelope, out)
}

/// Begins a message with a packed session of some such length.
fn begin(envelope: &Envelope, packed: usize) -> SecretBytes {
    let mut out =
        SecretBytes::new(Vec::with_capacity(PREFIX + ENVELOPE + packed + packed / 8 + OVERHEAD));
    out.resize(PREFIX, 0);
    envelope.write(&mut out);
    out
}

/// Pads a message that ends with its packed session.
fn finish<T>(
    codec: &Settings<T>,
    envelope: &Envelope,
    mut out: SecretBytes,
) -> Result<(SecretBytes, u8), Refusal> {
    let len = out.len() - PREFIX + MARKER;
    let growth = envelope.growth(codec.lifetimes.absolute);
    let Some((cookies, padded)) = codec.padded(len, growth) else {
        return Err(codec.layout.refusal(codec.chars(len + growth)));
    };
    envelope::pad(&mut out, PREFIX + padded);
    Ok((out, cookies))
}

/// What marks the end of the packed session, before the padding.
const MARKER: usize = 1;

/// The limit that is broken, what is needed, and what is allowed.
type Refusal = (Limit, usize, usize);

/// Observes a refusal that is no matter of the session's fields.
fn refused((limit, needed, allowed): Refusal) -> EncodeError {
    EncodeError::TooLarge(TooLarge { limit, needed, allowed, heaviest: Vec::new() })
}

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
    /// Returns when a session begins that is made now. What begins in the second of a cutoff begins after it.
    pub(super) fn beginning(&self, session: &T, keys: &Keys, now: SystemTime) -> Seconds {
        let skew = self.lifetimes.skew;
        let cutoff = keys.cutoff().beginning(Seconds::from(now).0, skew);
        self.judge.beginning(session, now, skew).max(Seconds(cutoff))
    }

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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::codec::Codec;
    use crate::codec::error::DecodeError;
    use crate::keys::key::Key;
    use crate::keys::ring::{KeyRing, RingKey};

    const EXTENSION_5: [u8; 4] = [5 << 1, 2, 0xa5, 0x5a];
    const CRITICAL_6: [u8; 2] = [6 << 1 | 1, 0];

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_763_996_400 + seconds)
    }

    fn key(n: u8) -> Key {
        let mut secret = *b"this key is public, never use it";
        secret[0] = n;
        Key::from_bytes(secret).unwrap()
    }

    fn codec() -> Codec<String> {
        Codec::<String>::builder(key(1)).session_ids().build().unwrap()
    }

    /// Seals a session beside extensions of a later release.
    fn sealed_with(codec: &Codec<String>, extensions: &[u8]) -> String {
        let (keys, now) = (codec.settings.ring.load(), at(0));
        let request = codec.request([""]);
        let writer = Writer { codec: &codec.settings, request: &request, keys: &keys, now };
        let session = "a session".to_owned();
        let mut recorder = SpanRecorder::default();
        let body = Format::MessagePack.serialize(&session, &mut recorder).unwrap();
        let lifetime = Lifetime::new().idle_timeout(Duration::from_secs(90_000));
        let id = Some(new_id(&codec.settings).unwrap());
        let start = Start::Begin(Begin { lifetime, id });
        let mut envelope = writer.envelope(&session, start).unwrap();
        envelope.skipped = extensions.to_vec();
        let message = smallest(&codec.settings, &envelope, &body, &recorder.into_spans()).unwrap();
        header(&writer.seal(&envelope, message, body.len()).unwrap())
    }

    fn header(set: &SetCookies) -> String {
        set.values().next().unwrap().split(';').next().unwrap().to_owned()
    }

    fn envelope(codec: &Codec<String>, header: &str, now: SystemTime) -> Envelope {
        let request = codec.request([header]);
        let keys = codec.settings.ring.load();
        codec.settings.known(&request, &keys, now).unwrap().unwrap().envelope.clone()
    }

    #[test]
    fn extensions_that_were_skipped_go_on_with_a_session_until_it_is_changed() {
        let codec = codec();
        let before = sealed_with(&codec, &EXTENSION_5);
        let known = envelope(&codec, &before, at(0));
        assert_eq!(known.skipped, EXTENSION_5);
        let rotated = KeyRing::new([RingKey::new(key(1)), RingKey::new(key(2)).activates(at(0))]);
        let rotated = Codec::<String>::builder(rotated.unwrap()).build().unwrap();
        // Idle for the threshold, or by another key: as it is, and by a node that gives no ids.
        for (node, now) in [(&codec, at(20_000)), (&rotated, at(1))] {
            let request = node.request([&before]);
            let session = node.decode_at(&request, now).unwrap().unwrap().session;
            for set in
                [node.touch_at(&request, now), node.encode_at(&session, &request, now).unwrap()]
            {
                let found = envelope(node, &header(&set), now);
                assert_eq!(found, Envelope { sealed: now.into(), ..known.clone() });
            }
        }
        let request = codec.request([&before]);
        let set = codec.encode_at(&"another".to_owned(), &request, at(1)).unwrap();
        let changed = envelope(&codec, &header(&set), at(1));
        // What it says may be of what the session was.
        let expected = Envelope { sealed: at(1).into(), skipped: Vec::new(), ..known };
        assert_eq!(changed, expected, "the id and the lifetime stay");
    }

    #[test]
    fn a_session_with_an_extension_that_must_be_known_is_kept() {
        let codec = codec();
        for extensions in [&CRITICAL_6[..], &[&EXTENSION_5[..], &CRITICAL_6].concat()] {
            let header = sealed_with(&codec, extensions);
            let request = codec.request([&header]);
            let error = codec.decode_at(&request, at(1)).unwrap_err();
            assert!(matches!(error, DecodeError::UnsupportedFormat), "{error}");
            assert!(codec.touch_at(&request, at(20_000)).is_empty());
            for session in ["a session", "another"] {
                let refused = codec.encode_at(&session.to_owned(), &request, at(1)).unwrap_err();
                assert!(matches!(
                    refused,
                    EncodeError::WouldReplace(DecodeError::UnsupportedFormat)
                ));
            }
            assert!(!codec.renew_at(&"a login".to_owned(), &request, at(1)).unwrap().is_empty());
        }
    }
}
