//! The codec with a store: what to fetch for a request, and what to store before the cookies of a response are sent.
//!
//! The codec itself does no I/O. [`Codec::decode`] says that a blob has to be fetched, [`Codec::decode_with`] takes it in;
//! what [`Codec::encode`] returns says what has to be stored first. `fetch`, `load` and `store` are the futures in between.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bytes::secret_bytes::SecretBytes;
use crate::codec::Codec;
use crate::codec::error::{DecodeError, EncodeError};
use crate::codec::opened::Opened;
use crate::codec::request_cookies::{OpenedCookie, RequestCookies};
use crate::codec::settings::Settings;
use crate::cookie::padding::{Padding, padme};
use crate::cookie::set_cookies::SetCookies;
use crate::message::blob_ref::{BlobId, BlobRef};
use crate::message::compress::Method;
use crate::message::envelope::Envelope;
use crate::message::pack::{Compression, Packing};
use crate::message::recorder::SpanRecorder;
use crate::message::unpack;
use crate::store::attached::{Attached, Collected, Scope};
use crate::store::blob::{Blob, BlobError, Kind, PREFIX};
use crate::store::blob_store::{StoreError, StoreFuture};
use crate::store::work::{Overflow, Work};

/// What was fetched for a session whose body lies in a store; empty until it was.
pub(crate) type Fetched = OnceLock<Result<Content, DecodeError>>;

/// A body that came from a store.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    /// The opened blob; the packed session begins at [`PREFIX`].
    opened: SecretBytes,
    /// The session as it was serialized, unless it lies there plainly.
    unpacked: Option<SecretBytes>,
}

impl Content {
    pub(super) fn open(
        codec: &Settings<impl Sized>,
        envelope: &Envelope,
        fetched: Result<Option<Vec<u8>>, StoreError>,
    ) -> Result<Self, DecodeError> {
        let reference = envelope.elsewhere.as_ref().ok_or(DecodeError::Message)?;
        let blob = fetched.map_err(BlobError::Unavailable).map_err(DecodeError::Blob)?;
        let blob = blob.ok_or(DecodeError::Blob(BlobError::Gone))?;
        let opened = reference.open(Kind::Session, codec.binding, blob);
        let opened = opened.ok_or(DecodeError::Blob(BlobError::Unauthentic))?;
        let mut content = Self { opened, unpacked: None };
        if unpack::plain(content.packed()).is_none() {
            content.unpacked = Some(unpack::unpack(content.packed())?);
        }
        Ok(content)
    }

    pub(super) fn packed(&self) -> &[u8] {
        self.opened.get(PREFIX..).unwrap_or_default()
    }

    pub(super) fn body(&self) -> &[u8] {
        match &self.unpacked {
            Some(body) => body,
            None => unpack::plain(self.packed()).unwrap_or_default(),
        }
    }
}

impl OpenedCookie {
    /// Checks that the body is here, in the cookie or fetched.
    pub(super) fn here(&self) -> Result<(), DecodeError> {
        match (&self.envelope.elsewhere, self.fetched.get()) {
            (None, _) | (_, Some(Ok(_))) => Ok(()),
            (Some(elsewhere), None) => Err(DecodeError::Blob(BlobError::NotFetched(elsewhere.id))),
            (_, Some(Err(error))) => Err(error.clone()),
        }
    }

    pub(super) fn is_here(&self) -> bool {
        self.here().is_ok()
    }

    /// Returns the blob of the body, if it is not here and was not asked for.
    fn to_fetch(&self) -> Option<&BlobRef> {
        self.envelope.elsewhere.as_ref().filter(|_| self.fetched.get().is_none())
    }
}

impl<T: Serialize + DeserializeOwned + 'static> Codec<T> {
    /// Returns whether the codec has a store.
    #[must_use]
    pub fn has_store(&self) -> bool {
        self.settings.overflow.is_some()
    }

    /// Returns the future that fetches the body of the request's session, if it lies in the store; `None` where there is
    /// nothing to fetch. Hand what it gives to [`decode_with`](Self::decode_with).
    ///
    /// The future is `'static`, and stands for itself.
    ///
    /// # Example: without a middleware
    ///
    /// ```
    /// use sealed_session::store::MemoryStore;
    /// use sealed_session::{Codec, DecodeError, Key, Opened, RequestCookies};
    ///
    /// type Session = Vec<String>;
    ///
    /// async fn open(
    ///     codec: &Codec<Session>,
    ///     request: &RequestCookies<'_>,
    /// ) -> Result<Option<Opened<Session>>, DecodeError> {
    ///     match codec.fetch(request) {
    ///         None => codec.decode(request),
    ///         Some(fetch) => codec.decode_with(request, fetch.await),
    ///     }
    /// }
    ///
    /// # fn block_on<F: Future>(future: F) -> F::Output {
    /// #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    /// #     match std::pin::pin!(future).poll(&mut context) {
    /// #         std::task::Poll::Ready(output) => output,
    /// #         std::task::Poll::Pending => unreachable!("the store is in memory"),
    /// #     }
    /// # }
    /// # block_on(async {
    /// let codec = Codec::<Session>::builder(Key::generate()?).overflow(MemoryStore::new()).build()?;
    /// # let mut state = 1_u64;
    /// # let mut noise = |len| (0..len).map(|_| {
    /// #     (state ^= state << 13, state ^= state >> 7, state ^= state << 17);
    /// #     char::from(b' ' + (state % 95) as u8)
    /// # }).collect::<String>();
    /// let session = vec![noise(8000)]; // text that does not compress
    /// let set_cookies = codec.encode(&session, &codec.request([""]))?;
    /// if let Some(store) = codec.store(&set_cookies) {
    ///     store.await?; // before the cookies are sent: if it fails, send none
    /// }
    /// let cookie = set_cookies.values().next().unwrap().split(';').next().unwrap();
    /// assert!(cookie.len() < 300);
    ///
    /// let opened = open(&codec, &codec.request([cookie])).await?.expect("a session");
    /// assert_eq!(opened.session, session);
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn fetch(
        &self,
        request: &RequestCookies<'_>,
    ) -> Option<StoreFuture<'static, Option<Vec<u8>>>> {
        self.fetch_at(request, self.settings.now())
    }

    /// Behaves as [`fetch`](Self::fetch) does, at the time `now`.
    #[must_use]
    pub fn fetch_at(
        &self,
        request: &RequestCookies<'_>,
        now: SystemTime,
    ) -> Option<StoreFuture<'static, Option<Vec<u8>>>> {
        let overflow = self.settings.overflow.as_ref()?;
        let keys = self.settings.ring.load();
        let found = self.settings.opened(request, &keys, now).ok()?.as_ref().ok()?.as_ref()?;
        Some(fetch(overflow, found.to_fetch()?))
    }

    /// Opens the session of a request with what the store had for it. Of several calls for one request the first one
    /// counts.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode), and [`DecodeError::Blob`].
    pub fn decode_with(
        &self,
        request: &RequestCookies<'_>,
        fetched: Result<Option<Vec<u8>>, StoreError>,
    ) -> Result<Option<Opened<T>>, DecodeError> {
        self.decode_with_at(request, fetched, self.settings.now())
    }

    /// Behaves as [`decode_with`](Self::decode_with) does, at the time `now`.
    ///
    /// # Errors
    ///
    /// As [`decode_with`](Self::decode_with).
    pub fn decode_with_at(
        &self,
        request: &RequestCookies<'_>,
        fetched: Result<Option<Vec<u8>>, StoreError>,
        now: SystemTime,
    ) -> Result<Option<Opened<T>>, DecodeError> {
        let keys = self.settings.ring.load();
        if let Ok(Ok(Some(found))) = self.settings.opened(request, &keys, now)
            && found.to_fetch().is_some()
        {
            let mut content = Content::open(&self.settings, &found.envelope, fetched);
            if let Ok(body) = &content
                // Whether it can be read is remembered too: what cannot must not be overwritten.
                && let Err(error) = self.settings.read_body(&found.envelope, body.body())
            {
                content = Err(error);
            }
            let content = found.fetched.get_or_init(|| content);
            if let Err(error) = content {
                error.observe(Some(found.key));
            }
        }
        self.decode_at(request, now)
    }

    /// Returns the future that does in the store what has to be done before these cookies are sent; `None` where
    /// there is nothing to do. **If it fails, send none of the cookies**, and answer with 503: the client's cookie
    /// is good still.
    ///
    /// The future is `'static`, and stands for itself.
    #[must_use]
    pub fn store(&self, set_cookies: &SetCookies) -> Option<StoreFuture<'static, ()>> {
        let overflow = Arc::clone(self.settings.overflow.as_ref()?);
        let work = set_cookies.work()?.clone();
        Some(Box::pin(async move { overflow.run(&work).await }))
    }

    /// Fetches a value that lies beside the session; `None` if there is none. The store is asked once for each clone of a
    /// session.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Blob`], and [`DecodeError::Deserialize`] where the value does not fit its type. The session itself
    /// is none the worse.
    pub async fn load<B: DeserializeOwned>(
        &self,
        attached: &Attached<B>,
    ) -> Result<Option<Arc<B>>, DecodeError> {
        let fetched = match (attached.to_fetch(), &self.settings.overflow) {
            (None, _) => return Ok(attached.get()),
            (Some(reference), Some(overflow)) => fetch(overflow, reference).await,
            (Some(reference), None) => {
                return Err(DecodeError::Blob(BlobError::NotFetched(reference.id)));
            }
        };
        self.load_with(attached, fetched)
    }

    /// Opens a value that lies beside the session with what the store had for it, by the name that
    /// [`Attached::blob`] gives.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn load_with<B: DeserializeOwned>(
        &self,
        attached: &Attached<B>,
        fetched: Result<Option<Vec<u8>>, StoreError>,
    ) -> Result<Option<Arc<B>>, DecodeError> {
        let opened = attached.open(self.settings.binding, fetched).map_err(DecodeError::from);
        opened.inspect_err(|error| error.observe(None))
    }
}

fn fetch(overflow: &Arc<Overflow>, reference: &BlobRef) -> StoreFuture<'static, Option<Vec<u8>>> {
    let (overflow, reference) = (Arc::clone(overflow), reference.clone());
    Box::pin(async move { overflow.fetch(&reference).await })
}

impl<T> Settings<T> {
    /// Seals a packed session as a blob of its own, and returns what goes into the message in its place.
    pub(super) fn seal_blob(
        &self,
        envelope: &Envelope,
        previous: Option<BlobId>,
        append: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(BlobRef, Blob), EncodeError> {
        let random = |error| EncodeError::Random(Arc::new(error));
        let reference = BlobRef::fresh(previous, self.random).map_err(random)?;
        let bytes = reference
            .seal(Kind::Session, self.binding, self.random, |len| self.padded_blob(len), append)
            .map_err(random)?;
        let lives = self.lifetimes.remaining(envelope) + self.lifetimes.skew;
        let blob = Blob { id: reference.id, bytes, lives };
        Ok((reference, blob))
    }

    /// The way in which a session is made smaller before it goes to the store: there are no cookies to save.
    pub(super) fn packing_of_blobs(&self) -> Packing {
        match self.compression {
            Compression::Off => Packing::Plain,
            Compression::Adaptive => Packing::Fields(Method::Lz4),
            Compression::Smallest => Packing::Fields(Method::Deflate),
            Compression::DangerousOneContext => Packing::Whole(Method::Deflate),
        }
    }

    fn padded_blob(&self, len: usize) -> usize {
        match self.padding {
            Padding::Padme => padme(len),
            Padding::DangerousNone => len,
        }
    }

    /// How long a value beside the session is kept: as long as any session can live.
    fn longest(&self) -> Duration {
        self.lifetimes.absolute + self.lifetimes.skew
    }

    /// Collects from the fields of a session what has to be stored while it is written. `renews` where a session begins, which
    /// may bring along values that were stored for an older one.
    pub(super) fn with_attached(
        &self,
        renews: bool,
        write: impl FnOnce() -> Result<SetCookies, EncodeError>,
    ) -> Result<SetCookies, EncodeError> {
        let Some(scope) = self.scope() else { return write() };
        let mut set_cookies = write()?;
        if set_cookies.set().next().is_some()
            && let Some(collected) = scope.collected()
        {
            set_cookies.add_work(self.work(collected, renews)?);
        }
        Ok(set_cookies)
    }

    /// Begins to collect what the fields of a session leave, if there is a store for it.
    pub(super) fn scope(&self) -> Option<Scope> {
        self.overflow.is_some().then(Scope::enter)
    }

    /// Returns what has to be done in the store for a session.
    pub(super) fn work(&self, collected: Collected, renews: bool) -> Result<Work, EncodeError> {
        let Collected { fresh, stored, replaced, .. } = collected;
        let compress = self.packing_of_blobs() != Packing::Plain;
        // What is new is read back too, as one that is stored.
        let is_new = |id: &BlobId| fresh.iter().any(|fresh| fresh.id() == *id);
        let stored: Vec<_> = stored.into_iter().filter(|id| !is_new(id)).collect();
        let lives = self.longest();
        let mut work = Work::default();
        for value in fresh {
            let bytes = value.seal(compress, self.binding, |len| self.padded_blob(len));
            let bytes = bytes.map_err(|error| EncodeError::Random(Arc::new(error)))?;
            work.puts.push(Blob { id: value.id(), bytes, lives });
        }
        work.expires.extend(replaced.into_iter().map(|id| (id, LAST_MINUTE)));
        if renews {
            work.keeps.extend(stored.into_iter().map(|id| (id, lives)));
        }
        Ok(work)
    }
}

impl<T: Serialize + DeserializeOwned> Settings<T> {
    /// Returns what a session that ends leaves in the store: nobody needs it any more.
    pub(super) fn left_behind(&self, request: &RequestCookies<'_>) -> Work {
        let mut work = Work::default();
        if self.overflow.is_none() || request.codec != self.id {
            return work;
        }
        let Some(Ok(Some(found))) = request.opened.get() else { return work };
        // What the store does not have today is not removed: another answer of it may be better.
        let lost = matches!(found.fetched.get(), Some(Err(_)));
        let body = found.envelope.elsewhere.as_ref().filter(|_| !lost).map(|body| body.id);
        let scope = Scope::enter();
        if let (true, Ok(session)) = (found.is_here(), self.read(found)) {
            // What it is made to is of no interest, but what it refers to.
            drop(self.format.serialize(&session, &mut SpanRecorder::default()));
        }
        let beside = scope.collected().map(|collected| collected.stored).unwrap_or_default();
        let ended = body.into_iter().chain(beside);
        work.expires.extend(ended.map(|id| (id, Duration::ZERO)));
        work
    }
}

/// For the requests that were sent before the browser got the new cookie.
const LAST_MINUTE: Duration = Duration::from_secs(60);
