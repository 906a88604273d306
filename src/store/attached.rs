//! A value beside the session: the session holds its reference, and a store the value.
//!
//! To its application it is a field. When a codec serializes a session it opens a [`Scope`] on its thread, in
//! which each field leaves what has to be stored. Outside of a scope a field with a value refuses to be serialized: its
//! reference holds the key.

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use serde::de::{self, DeserializeOwned, Deserializer, Visitor};
use serde::ser::{self, Serializer};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::bytes::base64url;
use crate::bytes::secret_bytes::SecretBytes;
use crate::message::MAX_BODY;
use crate::message::blob_ref::{BlobId, BlobRef};
use crate::message::compress::Method;
use crate::message::error::MessageError;
use crate::message::format::Format;
use crate::message::pack::{self, Packing};
use crate::message::recorder::{SpanRecorder, Spans};
use crate::message::unpack;
use crate::seal::binding::Binding;
use crate::store::blob::{BlobError, Kind, PREFIX};
use crate::store::blob_store::StoreError;

/// A field of a session whose value lies in a store, sealed, and is fetched only when it is asked for.
///
/// For what is large and seldom needed, such as the tokens of an OpenID Connect provider: the login stays in the cookie,
/// and a page that needs no token asks no store. In the cookie, the field takes 48 bytes, or 64 once its value has
/// changed.
///
/// The codec needs a store ([`Builder::overflow`](crate::Builder::overflow)). A value set in a handler is stored before
/// the cookie is sent; if it cannot be, the response becomes a 503, and the old cookie and value go on. The value lives
/// as long as the session can: until its absolute timeout.
///
/// A field is compared and shown by what it refers to; the value is not looked at.
///
/// # Example
///
#[cfg_attr(feature = "axum", doc = "```")]
#[cfg_attr(not(feature = "axum"), doc = "```ignore")]
/// use sealed_session::Attached;
/// use sealed_session::web::{ChangeError, LoadError, Session};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Default, Serialize, Deserialize)]
/// struct Login {
///     user: Option<u64>,
///     #[serde(default)]
///     tokens: Attached<Tokens>,
/// }
///
/// #[derive(Serialize, Deserialize)]
/// struct Tokens { access: String, id: String, refresh: String }
///
/// // After the provider sent the user back.
/// async fn logged_in(session: Session<Login>, tokens: Tokens) -> Result<(), ChangeError> {
///     session.renew(Login { user: Some(7), tokens: Attached::new(tokens) })
/// }
///
/// // Most pages: no store is asked.
/// async fn greeting(session: Session<Login>) -> String {
///     format!("{:?}", session.get().and_then(|login| login.user))
/// }
///
/// // One that calls an API in the user's name.
/// async fn calendar(session: Session<Login>) -> Result<String, LoadError> {
///     let Some(login) = session.get() else { return Ok("please log in".into()) };
///     let tokens = session.load(&login.tokens).await?;
///     Ok(tokens.map_or("please log in again".into(), |tokens| tokens.access.clone()))
/// }
/// ```
pub struct Attached<B> {
    state: State<B>,
}

enum State<B> {
    Empty,
    /// As it came with the session.
    Stored {
        reference: Arc<BlobRef>,
        value: OnceLock<Arc<B>>,
    },
    /// Not stored yet.
    Fresh {
        /// None if the operating system gave no random bytes.
        reference: Option<Arc<BlobRef>>,
        value: Arc<B>,
        /// What its predecessor had replaced: the browser has shown that one.
        shown: Option<BlobId>,
    },
}

impl<B> Attached<B> {
    /// Creates a field with this value. Use [`set`](Self::set) to put one in the place of another.
    #[must_use]
    pub fn new(value: B) -> Self {
        let mut attached = Self::default();
        attached.set(value);
        attached
    }

    /// Replaces the value, which stays in the store until a browser has got the new cookie.
    pub fn set(&mut self, value: B) {
        let (previous, shown) = match &self.state {
            State::Empty => (None, None),
            State::Stored { reference, .. } => (Some(reference.id), reference.previous),
            // That one was never stored.
            State::Fresh { reference, shown, .. } => {
                (reference.as_ref().and_then(|reference| reference.previous), *shown)
            }
        };
        let reference = BlobRef::fresh(previous, crate::bytes::random::fill).ok().map(Arc::new);
        self.state = State::Fresh { reference, value: Arc::new(value), shown };
    }

    /// Removes the value from the session. In the store it ends by its time.
    pub fn clear(&mut self) {
        self.state = State::Empty;
    }

    /// Returns whether there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self.state, State::Empty)
    }

    /// Returns the value, if it is here: it was set or fetched in this request.
    #[must_use]
    pub fn get(&self) -> Option<Arc<B>> {
        match &self.state {
            State::Empty => None,
            State::Stored { value, .. } => value.get().cloned(),
            State::Fresh { value, .. } => Some(Arc::clone(value)),
        }
    }

    /// Returns the name of the blob to fetch, if the value is not [here](Self::get).
    #[must_use]
    pub fn blob(&self) -> Option<BlobId> {
        self.to_fetch().map(|reference| reference.id)
    }

    pub(crate) fn to_fetch(&self) -> Option<&BlobRef> {
        match &self.state {
            State::Stored { reference, value } if value.get().is_none() => Some(reference),
            _ => None,
        }
    }
}

/// The reason why a blob gives no value.
#[derive(Debug)]
pub(crate) enum Unopened {
    Blob(BlobError),
    Message(MessageError),
}

impl From<BlobError> for Unopened {
    fn from(error: BlobError) -> Self {
        Self::Blob(error)
    }
}

impl From<MessageError> for Unopened {
    fn from(error: MessageError) -> Self {
        Self::Message(error)
    }
}

impl<B: DeserializeOwned> Attached<B> {
    /// Opens what the store has.
    pub(crate) fn open(
        &self,
        binding: Binding,
        fetched: Result<Option<Vec<u8>>, StoreError>,
    ) -> Result<Option<Arc<B>>, Unopened> {
        let State::Stored { reference, value } = &self.state else { return Ok(self.get()) };
        let blob = fetched.map_err(BlobError::Unavailable)?.ok_or(BlobError::Gone)?;
        let opened = reference.open(Kind::Attached, binding, blob);
        let opened = opened.ok_or(BlobError::Unauthentic)?;
        let content = opened.get(PREFIX..).unwrap_or_default();
        let (tag, packed) = content.split_first().ok_or(MessageError::Malformed)?;
        let format = Format::from_tag(*tag).ok_or(MessageError::UnsupportedFormat)?;
        let found = match unpack::plain(packed) {
            Some(body) => format.deserialize(body)?,
            None => format.deserialize(&unpack::unpack(packed)?)?,
        };
        Ok(Some(Arc::clone(value.get_or_init(|| Arc::new(found)))))
    }
}

impl<B> Default for Attached<B> {
    fn default() -> Self {
        Self { state: State::Empty }
    }
}

impl<B> Clone for Attached<B> {
    fn clone(&self) -> Self {
        let state = match &self.state {
            State::Empty => State::Empty,
            State::Stored { reference, value } => {
                State::Stored { reference: Arc::clone(reference), value: value.clone() }
            }
            State::Fresh { reference, value, shown } => State::Fresh {
                reference: reference.clone(),
                value: Arc::clone(value),
                shown: *shown,
            },
        };
        Self { state }
    }
}

impl<B> PartialEq for Attached<B> {
    fn eq(&self, other: &Self) -> bool {
        let reference = |attached: &Self| match &attached.state {
            State::Empty => None,
            State::Stored { reference, .. } => Some(Arc::clone(reference)),
            State::Fresh { reference, .. } => reference.clone(),
        };
        reference(self) == reference(other)
    }
}

impl<B> Eq for Attached<B> {}

/// Shows neither the value nor its key.
impl<B> fmt::Debug for Attached<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (state, reference) = match &self.state {
            State::Empty => ("empty", None),
            State::Stored { reference, .. } => ("stored", Some(reference.id)),
            State::Fresh { reference, .. } => {
                ("fresh", reference.as_ref().map(|reference| reference.id))
            }
        };
        f.debug_struct("Attached").field("state", &state).field("blob", &reference).finish()
    }
}

impl<B: Serialize + DeserializeOwned> Serialize for Attached<B> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let reference = match &self.state {
            State::Empty => return serializer.serialize_str(""),
            State::Stored { reference, .. } => {
                note(|collected| collected.seen(reference.id)).map_err(ser::Error::custom)?;
                reference
            }
            State::Fresh { reference, value, shown } => {
                let reference = reference.as_ref().ok_or_else(|| ser::Error::custom(NO_RANDOM))?;
                collect(reference, &**value, *shown).map_err(ser::Error::custom)?;
                reference
            }
        };
        let mut bytes = Zeroizing::new(Vec::with_capacity(BlobRef::MAX));
        reference.write(&mut bytes);
        let mut printed =
            Zeroizing::new(String::with_capacity(base64url::encoded_len(BlobRef::MAX)));
        base64url::encode(&bytes, &mut printed);
        serializer.serialize_str(&printed)
    }
}

impl<'de, B> Deserialize<'de> for Attached<B> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text<B>(PhantomData<B>);

        impl<B> Visitor<'_> for Text<B> {
            type Value = Attached<B>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the reference of an attached value")
            }

            fn visit_str<E: de::Error>(self, printed: &str) -> Result<Attached<B>, E> {
                if printed.is_empty() {
                    return Ok(Attached::default());
                }
                let bytes = base64url::decode(printed.as_bytes()).map(SecretBytes::new);
                let reference = bytes.and_then(|bytes| BlobRef::parse(&bytes));
                let reference = reference.ok_or_else(|| {
                    // What was found holds a key, should it be one of a later release.
                    E::invalid_value(de::Unexpected::Other("another text"), &self)
                })?;
                let reference = Arc::new(reference);
                Ok(Attached { state: State::Stored { reference, value: OnceLock::new() } })
            }
        }

        deserializer.deserialize_str(Text(PhantomData))
    }
}

/// What the fields of one session left, while this lives.
pub(crate) struct Scope {
    outer: Option<Collected>,
}

/// What has to be done in the store for the fields of a session.
#[derive(Default)]
pub(crate) struct Collected {
    pub(crate) fresh: Vec<Fresh>,
    /// What is there already.
    pub(crate) stored: Vec<BlobId>,
    /// What a browser has shown the successor of.
    pub(crate) replaced: Vec<BlobId>,
    within: bool,
}

/// A value that has to be stored.
pub(crate) struct Fresh {
    reference: Arc<BlobRef>,
    body: SecretBytes,
    spans: Spans,
}

impl Fresh {
    pub(crate) fn id(&self) -> BlobId {
        self.reference.id
    }

    /// Seals the value.
    pub(crate) fn seal(
        &self,
        compress: bool,
        binding: Binding,
        padded: impl FnOnce(usize) -> usize,
    ) -> Result<Vec<u8>, crate::bytes::random::SysError> {
        let packing = if compress { Packing::Fields(Method::Lz4) } else { Packing::Plain };
        self.reference.seal(Kind::Attached, binding, crate::bytes::random::fill, padded, |out| {
            out.push(FORMAT_OF_ALL.tag());
            pack::pack(&self.body, &self.spans, FORMAT_OF_ALL, packing, out);
        })
    }
}

impl Scope {
    pub(crate) fn enter() -> Self {
        Self { outer: COLLECTED.replace(Some(Collected::default())) }
    }

    /// Returns what was left until now, if anything was. From then on, no value beside a session is written.
    pub(crate) fn collected(&self) -> Option<Collected> {
        COLLECTED.take().filter(|collected| {
            let Collected { fresh, stored, replaced, .. } = collected;
            !(fresh.is_empty() && stored.is_empty() && replaced.is_empty())
        })
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        COLLECTED.set(self.outer.take());
    }
}

impl Collected {
    fn seen(&mut self, id: BlobId) {
        if !self.stored.contains(&id) {
            self.stored.push(id);
        }
    }
}

thread_local! {
    static COLLECTED: RefCell<Option<Collected>> = const { RefCell::new(None) };
}

fn note<V>(act: impl FnOnce(&mut Collected) -> V) -> Result<V, &'static str> {
    COLLECTED.with_borrow_mut(|collected| match collected {
        None => Err(OUTSIDE),
        Some(Collected { within: true, .. }) => Err(NESTED),
        Some(collected) => Ok(act(collected)),
    })
}

fn collect<B: Serialize + DeserializeOwned>(
    reference: &Arc<BlobRef>,
    value: &B,
    shown: Option<BlobId>,
) -> Result<(), String> {
    // A session is serialized more than once, to be compared or weighed.
    let known = note(|collected| {
        let known = collected.fresh.iter().any(|fresh| fresh.id() == reference.id);
        collected.within = !known;
        known
    })?;
    if known {
        return Ok(());
    }
    let serialized = serialize(value);
    COLLECTED.with_borrow_mut(|collected| {
        if let Some(collected) = collected {
            collected.within = false;
        }
    });
    let (body, spans) = serialized?;
    note(|collected| {
        collected.fresh.push(Fresh { reference: Arc::clone(reference), body, spans });
        collected.replaced.extend(shown);
    })?;
    Ok(())
}

fn serialize<B: Serialize + DeserializeOwned>(value: &B) -> Result<(SecretBytes, Spans), String> {
    let mut recorder = SpanRecorder::default();
    let body = FORMAT_OF_ALL.serialize(value, &mut recorder).map_err(|error| why(&*error))?;
    if body.len() > MAX_BODY {
        return Err(format!(
            "an attached value has {} bytes before compression, {MAX_BODY} are allowed",
            body.len()
        ));
    }
    // What cannot be read must not be stored.
    let reads_back = FORMAT_OF_ALL.check_reads_back(value, &body, recorder.odd_nulls());
    reads_back.map_err(|error| why(&error))?;
    Ok((body, recorder.into_spans()))
}

fn why(error: &dyn std::error::Error) -> String {
    let source = error.source().map_or_else(String::new, |source| format!(": {source}"));
    format!("an attached value: {error}{source}")
}

/// Named fields, whatever the format of the codec: a value outlives releases, and has no schema of its own.
const FORMAT_OF_ALL: Format = Format::MessagePack;

const NO_RANDOM: &str = "the operating system's random source failed";
const NESTED: &str = "an attached value has an attached value in it";
const OUTSIDE: &str = "an attached value is serialized by a codec that has a store, and by nothing else: what \
                       stands in its place holds a key";

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
    struct Login {
        user: u64,
        #[serde(default)]
        tokens: Attached<Vec<String>>,
    }

    fn tokens() -> Vec<String> {
        vec!["access".into(), "refresh".into()]
    }

    fn serialize(login: &Login) -> Result<SecretBytes, crate::error::Source> {
        Format::MessagePack.serialize(login, &mut SpanRecorder::default())
    }

    fn binding() -> Binding {
        Binding::new("__Host-session", b"")
    }

    /// Stores and brings back.
    fn through(login: &Login) -> (Login, Collected) {
        let scope = Scope::enter();
        let body = serialize(login).unwrap();
        let collected = scope.collected().unwrap_or_default();
        (Format::MessagePack.deserialize(&body).unwrap(), collected)
    }

    #[test]
    fn a_value_is_stored_once_and_comes_back_by_its_reference() {
        let login = Login { user: 7, tokens: Attached::new(tokens()) };
        let scope = Scope::enter();
        let body = serialize(&login).unwrap();
        assert_eq!(serialize(&login).unwrap().as_slice(), body.as_slice());
        let collected = scope.collected().unwrap();
        let [fresh] = &collected.fresh[..] else { panic!("stored once") };
        let blob = fresh.seal(true, binding(), |len| len).unwrap();

        let found: Login = Format::MessagePack.deserialize(&body).unwrap();
        assert_eq!(found, login);
        assert_eq!((found.tokens.blob(), found.tokens.get()), (Some(fresh.id()), None));
        // Unchanged, it is the same again, and nothing has to be stored.
        drop(scope);
        let scope = Scope::enter();
        assert_eq!(serialize(&found).unwrap().as_slice(), body.as_slice());
        let again = scope.collected().unwrap();
        assert!(again.fresh.is_empty() && again.stored == [fresh.id()]);

        let opened = found.tokens.open(binding(), Ok(Some(blob))).unwrap().unwrap();
        assert_eq!(*opened, tokens());
        assert_eq!((found.tokens.blob(), found.tokens.get()), (None, Some(opened)));
    }

    #[test]
    fn an_empty_field_needs_no_store() {
        let body = serialize(&Login::default()).unwrap();
        let found: Login = Format::MessagePack.deserialize(&body).unwrap();
        assert!(found.tokens.is_empty() && found.tokens.blob().is_none());
        assert!(found.tokens.open(binding(), Ok(None)).unwrap().is_none());
        // Nor does one that the session of an older release lacks.
        let older = Format::MessagePack.serialize(
            &std::collections::BTreeMap::from([("user", 7)]),
            &mut SpanRecorder::default(),
        );
        let found: Login = Format::MessagePack.deserialize(&older.unwrap()).unwrap();
        assert!(found.tokens.is_empty());
    }

    #[test]
    fn nothing_but_a_codec_serializes_a_value_or_its_key() {
        let fresh = Login { user: 7, tokens: Attached::new(tokens()) };
        assert!(serialize(&fresh).is_err());
        let (stored, _) = through(&fresh);
        assert!(serialize(&stored).is_err());
        assert!(serde_json::to_string(&stored).unwrap_err().to_string().contains("holds a key"));
        let shown = format!("{fresh:?} {stored:?}");
        assert!(!shown.contains("access"), "{shown}");
    }

    #[test]
    fn what_is_replaced_is_told_to_the_store_when_a_browser_has_shown_the_successor() {
        let (mut login, collected) = through(&Login { user: 7, tokens: Attached::new(tokens()) });
        let first = collected.fresh[0].id();
        login.tokens.set(vec!["second".into()]);
        let (mut login, collected) = through(&login);
        let second = collected.fresh[0].id();
        assert!(collected.replaced.is_empty(), "the first one is good until the second was shown");
        assert_eq!(login.tokens.to_fetch().unwrap().previous, Some(first));
        // Set twice in one request: what came between was never stored.
        login.tokens.set(vec!["third".into()]);
        login.tokens.set(vec!["fourth".into()]);
        let (login, collected) = through(&login);
        assert_eq!(collected.fresh.len(), 1);
        assert_eq!(collected.replaced, [first]);
        assert_eq!(login.tokens.to_fetch().unwrap().previous, Some(second));
    }

    #[test]
    fn each_failure_of_the_store_is_told_apart() {
        let (login, collected) = through(&Login { user: 7, tokens: Attached::new(tokens()) });
        let fresh = &collected.fresh[0];
        let mut blob = fresh.seal(true, binding(), |len| len).unwrap();
        let open = |fetched| login.tokens.open(binding(), fetched).unwrap_err();
        use BlobError::{Gone, Unauthentic, Unavailable};
        assert!(matches!(open(Err(StoreError::Busy)), Unopened::Blob(Unavailable(_))));
        assert!(matches!(open(Ok(None)), Unopened::Blob(Gone)));
        blob[40] ^= 1;
        assert!(matches!(open(Ok(Some(blob))), Unopened::Blob(Unauthentic)));
        assert!(login.tokens.get().is_none());
    }

    #[test]
    fn what_cannot_be_read_again_is_not_stored() {
        #[derive(Serialize, Deserialize)]
        struct Large {
            tokens: Attached<String>,
        }
        let _scope = Scope::enter();
        let large = Large { tokens: Attached::new("x".repeat(MAX_BODY + 1)) };
        let error =
            Format::MessagePack.serialize(&large, &mut SpanRecorder::default()).unwrap_err();
        assert!(error.to_string().contains("65536 are allowed"));

        #[derive(Serialize, Deserialize)]
        struct Nested {
            outer: Attached<Attached<u8>>,
        }
        let nested = Nested { outer: Attached::new(Attached::new(7)) };
        assert!(Format::MessagePack.serialize(&nested, &mut SpanRecorder::default()).is_err());
    }

    #[test]
    fn no_other_text_is_a_reference() {
        for bad in ["A", "AAAA", "not base64url", &"A".repeat(63), &"A".repeat(65), &"A".repeat(85)]
        {
            let json = format!("{{\"user\":7,\"tokens\":\"{bad}\"}}");
            let error = serde_json::from_str::<Login>(&json).unwrap_err().to_string();
            assert!(!error.contains(bad), "{error}");
        }
        assert!(serde_json::from_str::<Login>("{\"user\":7,\"tokens\":7}").is_err());
    }
}
