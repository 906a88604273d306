//! What everybody calls: read a request, write a response, begin anew, end.

use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bytes::base64url;
use crate::codec::Codec;
use crate::codec::begin::Begin;
use crate::codec::error::{DecodeError, EncodeError};
#[cfg(feature = "revocation")]
use crate::codec::open;
use crate::codec::opened::Opened;
use crate::codec::request_cookies::{OpenedCookie, RequestCookies};
use crate::codec::write::{self, Start};
use crate::cookie::limits::{Cost, MAX_TEXT};
use crate::cookie::set_cookies::SetCookies;
use crate::keys::ring::Keys;
use crate::message::seconds::Seconds;
use crate::message::session_id::SessionId;
#[cfg(feature = "revocation")]
use crate::revocation::{Full, Receipt, SubjectTag};
use crate::seal;
#[cfg(feature = "store")]
use crate::store::blob::BlobError;

impl<T: Serialize + DeserializeOwned + 'static> Codec<T> {
    /// Finds this codec's cookies in the `Cookie` header values of a request, of which there may be
    /// none, one, or, with HTTP/2, one for each cookie.
    ///
    /// Takes whatever the request has: an iterator over `&str`, `&[u8]`, `&String`, or `http`'s
    /// `headers.get_all("cookie")`.
    ///
    /// The headers must be as the browser sent them. Many cookie jars trim all white space of Unicode and decode `%5f`
    /// in *names*; so what a sibling domain set as `__%48ost-session` comes out of them as `__Host-session`, a name
    /// that browsers let nobody but this host set. Do not make a header again from such a jar.
    pub fn request<'a, I, B>(&self, cookie_headers: I) -> RequestCookies<'a>
    where
        I: IntoIterator<Item = &'a B>,
        B: AsRef<[u8]> + ?Sized + 'a,
    {
        let mut request = RequestCookies::new(self.settings.id, self.settings.binding);
        for header in cookie_headers {
            request.read_header(&self.settings.finder, header.as_ref());
            self.settings.old.read_header(&mut request.old, header.as_ref());
        }
        request
    }

    /// Opens the session of a request: `None` where the request has none.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] where there is a cookie of ours that gives no session. Go on without a session,
    /// log the reason, and follow [`DecodeError::advice`].
    pub fn decode(&self, request: &RequestCookies<'_>) -> Result<Option<Opened<T>>, DecodeError> {
        self.decode_at(request, self.settings.now())
    }

    /// Behaves as [`decode`](Self::decode) does, at the time `now`.
    ///
    /// # Example: a test that does not wait
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use sealed_session::{Codec, DecodeError, Expiry, Key};
    ///
    /// let codec = Codec::<u32>::builder(Key::generate()?)
    ///     .idle_timeout(Duration::from_secs(30 * 60))
    ///     .build()?;
    /// let login = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    /// let set_cookies = codec.renew_at(&7, &codec.request([""]), login)?;
    /// let cookie = set_cookies.values().next().unwrap().split(';').next().unwrap();
    ///
    /// let after = |minutes: u64| {
    ///     codec.decode_at(&codec.request([cookie]), login + Duration::from_secs(minutes * 60))
    /// };
    /// assert!(after(29)?.is_some());
    /// assert!(matches!(after(31), Err(DecodeError::Expired(Expiry::Idle))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
    pub fn decode_at(
        &self,
        request: &RequestCookies<'_>,
        now: SystemTime,
    ) -> Result<Option<Opened<T>>, DecodeError> {
        let keys = self.settings.ring.load();
        let Some((session, found)) = self.settings.lookup(request, &keys, now)? else {
            return Ok(None);
        };
        let reseal = self.settings.reseal(found, &keys, now);
        let OpenedCookie { envelope, key, .. } = found;
        let lives = self.settings.lifetimes.remaining(envelope).as_secs();
        Ok(Some(Opened {
            session,
            began: envelope.began.into(),
            sealed: envelope.sealed.into(),
            expires: Seconds(envelope.sealed.0.saturating_add(lives)).into(),
            id: envelope.id,
            lifetime: envelope.lifetime,
            schema: envelope.schema,
            format: envelope.format,
            key: *key,
            moved_from: found
                .moved_from
                .and_then(|index| self.settings.old.name(index))
                .map(Into::into),
            reseal,
        }))
    }

    /// Seals a session for the response to this request.
    ///
    /// The session that the request carries goes on: it keeps its beginning and its id, and if it is
    /// unchanged and fresh, the result is empty. If the request carries none, one begins.
    /// Call it at the end of each request that has a session, or [`touch`](Self::touch) if nothing changed it. The order
    /// of a map does not count as a change. That of a list does, and a `HashSet` is a list in another order each time:
    /// prefer `BTreeSet`.
    ///
    /// A session that is unchanged and due ([`Opened::reseal`]) is resealed as it was, byte for byte, so that a
    /// release which only reads drops nothing that another one wrote. If that cannot be done (no key is active,
    /// or the limits were lowered), the result is empty, and it is logged and counted: the cookie is good still.
    ///
    /// A session that expired, was revoked or forged, or lacks chunks is replaced by a new one, unless it was opened
    /// by this request before.
    ///
    /// Use [`renew`](Self::renew) at a login.
    ///
    /// # Errors
    ///
    /// [`EncodeError::WouldReplace`] if the request carries a session that this node cannot read but
    /// another may, [`EncodeError::Ended`] if it ended while the request ran, and the others; no cookie is to be set
    /// then.
    pub fn encode(
        &self,
        session: &T,
        request: &RequestCookies<'_>,
    ) -> Result<SetCookies, EncodeError> {
        self.encode_at(session, request, self.settings.now())
    }

    /// Behaves as [`encode`](Self::encode) does, at the time `now`.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    pub fn encode_at(
        &self,
        session: &T,
        request: &RequestCookies<'_>,
        now: SystemTime,
    ) -> Result<SetCookies, EncodeError> {
        self.encode_as(session, request, false, now)
    }

    /// Does what [`encode`](Self::encode) does with a session that is known to have been changed.
    ///
    /// It is faster, since it does not compare the session with what this release would make of the client's. Where the
    /// bytes are the same, nothing is sealed all the same. A session that was not changed must not be passed: the fields
    /// that another release put into it would be dropped.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    pub fn encode_changed(
        &self,
        session: &T,
        request: &RequestCookies<'_>,
    ) -> Result<SetCookies, EncodeError> {
        self.encode_changed_at(session, request, self.settings.now())
    }

    /// Behaves as [`encode_changed`](Self::encode_changed) does, at the time `now`.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    pub fn encode_changed_at(
        &self,
        session: &T,
        request: &RequestCookies<'_>,
        now: SystemTime,
    ) -> Result<SetCookies, EncodeError> {
        self.encode_as(session, request, true, now)
    }

    /// Seals the session of a request again if that is due ([`Opened::reseal`]), as it is, byte for byte.
    ///
    /// Call it in the place of [`encode`](Self::encode) where nothing changed the session: nothing is compared, so it
    /// does not matter in which order a `HashMap` or `HashSet` stands, and nothing is dropped that another release
    /// put in. Where the request carries no session that opens, or where it cannot be sealed (which is logged), there is
    /// nothing to send: the client's cookie goes on.
    pub fn touch(&self, request: &RequestCookies<'_>) -> SetCookies {
        self.touch_at(request, self.settings.now())
    }

    /// Behaves as [`touch`](Self::touch) does, at the time `now`.
    pub fn touch_at(&self, request: &RequestCookies<'_>, now: SystemTime) -> SetCookies {
        let keys = self.settings.ring.load();
        match self.settings.known(request, &keys, now) {
            Ok(Some(known)) => {
                let touch = || write::touch(&self.settings, known, request, &keys, now);
                #[cfg(feature = "store")]
                let touched = self.settings.with_attached(false, touch);
                #[cfg(not(feature = "store"))]
                let touched = touch();
                touched.inspect_err(EncodeError::observe).unwrap_or_default()
            }
            Ok(None) | Err(_) => SetCookies::default(),
        }
    }

    /// Checks that a session comes back as it is, for the tests of an application: seals it, opens it, and compares.
    ///
    /// Call it with sessions of each shape that the application makes. Sealing makes the same check each time, so that
    /// what cannot be read is refused on the spot; here it is made also
    /// [where that was switched off](crate::Builder::dangerous_without_read_back). What no check can see from outside
    /// is listed at [`Format`](crate::Format).
    ///
    /// # Errors
    ///
    /// [`EncodeError::Serialize`], whose source names the field that differs or why the session cannot be read; and
    /// those of [`renew`](Self::renew).
    ///
    /// # Example
    ///
    /// ```
    /// use sealed_session::{Codec, Key};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct Session {
    ///     user: u64,
    ///     #[serde(skip_serializing_if = "Option::is_none", default = "nobody")]
    ///     name: Option<String>,
    /// }
    /// fn nobody() -> Option<String> { Some("nobody".into()) }
    ///
    /// let codec = Codec::<Session>::new(Key::generate()?);
    /// codec.check(&Session { user: 7, name: Some("jane".into()) })?;
    ///
    /// let error = codec.check(&Session { user: 7, name: None }).unwrap_err();
    /// let source = std::error::Error::source(&error).expect("the reason");
    /// assert!(source.to_string().ends_with("differs in `name`"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn check(&self, session: &T) -> Result<(), EncodeError> {
        #[cfg(feature = "store")]
        let scope = self.settings.scope();
        write::check(&self.settings, session)?;
        #[cfg(feature = "store")]
        drop(scope);
        let sealed = self.renew(session, &self.request::<_, str>([]))?;
        let pairs: Vec<_> = sealed.values().filter_map(|line| line.split(';').next()).collect();
        let request = self.request(pairs);
        #[cfg(not(feature = "store"))]
        let opened = self.decode(&request);
        #[cfg(feature = "store")]
        let opened = match self.decode(&request) {
            Err(DecodeError::Blob(BlobError::NotFetched(id))) => {
                let blob = sealed.blobs().iter().find(|blob| blob.id == id);
                self.decode_with(&request, Ok(blob.map(|blob| blob.bytes.clone())))
            }
            opened => opened,
        };
        match opened {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(EncodeError::Serialize(Arc::new(DecodeError::Malformed))),
            Err(error) => Err(EncodeError::Serialize(Arc::new(error))),
        }
    }

    fn encode_as(
        &self,
        session: &T,
        request: &RequestCookies<'_>,
        changed: bool,
        now: SystemTime,
    ) -> Result<SetCookies, EncodeError> {
        let keys = self.settings.ring.load();
        let known = self.settings.known(request, &keys, now);
        known
            .and_then(|known| {
                let start = known.map_or(Start::Begin(Begin::new()), Start::Continue);
                self.write(session, start, changed, request, &keys, now)
            })
            .inspect_err(EncodeError::observe)
    }

    /// Begins a new session, with a new beginning and a new id, whatever the request carries.
    ///
    /// Use it at each login and change of rights, so that nothing an attacker may have planted before lives
    /// on (session fixation).
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode), without [`EncodeError::WouldReplace`].
    pub fn renew(
        &self,
        session: &T,
        request: &RequestCookies<'_>,
    ) -> Result<SetCookies, EncodeError> {
        self.renew_at(session, request, self.settings.now())
    }

    /// Behaves as [`renew`](Self::renew) does, at the time `now`.
    ///
    /// # Errors
    ///
    /// As [`renew`](Self::renew).
    pub fn renew_at(
        &self,
        session: &T,
        request: &RequestCookies<'_>,
        now: SystemTime,
    ) -> Result<SetCookies, EncodeError> {
        self.renew_with_at(session, request, Begin::new(), now)
    }

    /// Begins a new session as `begin` says: with a [`Lifetime`](crate::Lifetime) of its own within the codec's timeouts, or
    /// with an id that was created before.
    ///
    /// It keeps its lifetime until it ends or is begun anew, whichever node writes it.
    ///
    /// # Errors
    ///
    /// As [`renew`](Self::renew).
    pub fn renew_with(
        &self,
        session: &T,
        request: &RequestCookies<'_>,
        begin: impl Into<Begin>,
    ) -> Result<SetCookies, EncodeError> {
        self.renew_with_at(session, request, begin, self.settings.now())
    }

    /// Behaves as [`renew_with`](Self::renew_with) does, at the time `now`.
    ///
    /// # Errors
    ///
    /// As [`renew`](Self::renew).
    pub fn renew_with_at(
        &self,
        session: &T,
        request: &RequestCookies<'_>,
        begin: impl Into<Begin>,
        now: SystemTime,
    ) -> Result<SetCookies, EncodeError> {
        let keys = self.settings.ring.load();
        let start = Start::Begin(begin.into());
        self.write(session, start, true, request, &keys, now).inspect_err(EncodeError::observe)
    }

    /// Creates the id for a session that is to begin, so that it is known before; `None` if the codec gives no ids.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Random`].
    pub fn new_id(&self) -> Result<Option<SessionId>, EncodeError> {
        self.settings.session_ids.then(|| write::new_id(&self.settings)).transpose()
    }

    /// Checks that [`encode`](Self::encode) would take this session for this request: that it fits the limits, and may be
    /// written. Nothing is sealed.
    ///
    /// # Errors
    ///
    /// Those of [`encode`](Self::encode), but for what only sealing meets.
    pub fn fits(&self, session: &T, request: &RequestCookies<'_>) -> Result<(), EncodeError> {
        let (keys, now) = (self.settings.ring.load(), self.settings.now());
        let known = self.settings.known(request, &keys, now)?;
        let start = known.map_or(Start::Begin(Begin::new()), Start::Continue);
        #[cfg(feature = "store")]
        let _scope = self.settings.scope();
        write::fits(&self.settings, session, start, request, &keys, now)
    }

    fn write(
        &self,
        session: &T,
        start: Start<'_>,
        changed: bool,
        request: &RequestCookies<'_>,
        keys: &Keys,
        now: SystemTime,
    ) -> Result<SetCookies, EncodeError> {
        let write = || write::write(&self.settings, session, start, changed, request, keys, now);
        #[cfg(feature = "store")]
        return self.settings.with_attached(matches!(start, Start::Begin(_)), write);
        #[cfg(not(feature = "store"))]
        write()
    }

    /// Revokes the session that the request carries, on all nodes: for a logout, together with
    /// [`clear`](Self::clear). `None` if there is none, or if it has no id yet.
    ///
    /// It need not be one that this node can read: a session of a newer release is revoked too, and one whose body lies in a
    /// store that is down. Only that its seal holds is asked.
    ///
    /// It holds here at once; the receipt tells when it is stored, and can be dropped. The middlewares do this by
    /// themselves.
    ///
    /// # Errors
    ///
    /// [`Full`].
    #[cfg(feature = "revocation")]
    pub fn revoke(&self, request: &RequestCookies<'_>) -> Result<Option<Receipt>, Full> {
        self.revoke_at(request, self.settings.now())
    }

    /// Behaves as [`revoke`](Self::revoke) does, at the time `now`.
    ///
    /// # Errors
    ///
    /// As [`revoke`](Self::revoke).
    #[cfg(feature = "revocation")]
    pub fn revoke_at(
        &self,
        request: &RequestCookies<'_>,
        now: SystemTime,
    ) -> Result<Option<Receipt>, Full> {
        let Some(revocations) = &self.settings.judge.ended.revocations else { return Ok(None) };
        let keys = self.settings.ring.load();
        if let Err(DecodeError::OtherCodec) = self.settings.lookup(request, &keys, now) {
            return Ok(None);
        }
        // Each whose seal holds, though it is of a newer release, its body in a store that cannot be asked, or what is
        // revoked not known at present.
        let mut names = open::names(request, &keys, now);
        if let Some(Ok(Some(found))) = request.opened.get() {
            let name = (found.envelope.id, found.envelope.origin);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let mut receipt = None;
        for (id, origin) in names {
            // The old cookie that it was read from must not bring it back.
            if let (Some(origin), Some(until)) = (origin, self.settings.old.until()) {
                let tag = SubjectTag::from_bytes(origin.tag);
                receipt = Some(revocations.revoke_old_cookie(tag, until, now)?);
            }
            if let Some(id) = id {
                receipt = Some(revocations.revoke_session_at(id, now)?);
            }
        }
        Ok(receipt)
    }

    /// Returns what is revoked, if the codec was [given that](crate::Builder::revocations).
    #[cfg(feature = "revocation")]
    #[must_use]
    pub fn revocations(&self) -> Option<&crate::revocation::Revocations> {
        self.settings.judge.ended.revocations.as_ref()
    }

    /// Ends a session in the client: removes each of its cookies that the request has, and the base
    /// cookie in any case.
    ///
    /// The cookies of other libraries that the codec [reads](crate::Builder::also_reads) are removed too, in any case.
    ///
    /// A copy of the cookie made before remains valid until it expires, unless its session lies in the store, from where
    /// it is removed.
    pub fn clear(&self, request: &RequestCookies<'_>) -> SetCookies {
        let mut removals = vec![self.settings.attributes.remove(0)];
        self.settings.remove_from(1, request, &mut removals);
        self.settings.old.remove(None, &mut removals);
        #[cfg_attr(not(feature = "store"), expect(unused_mut))]
        let mut set_cookies = SetCookies::new(removals, None);
        #[cfg(feature = "store")]
        set_cookies.add_work(self.settings.left_behind(request));
        set_cookies
    }

    /// Returns the bytes that a session may have after packing, under the limits of this codec.
    ///
    /// A session that fits once fits for as long as it lives: room for its age is counted.
    #[must_use]
    pub fn capacity(&self) -> usize {
        let (envelope, growth) = self.settings.envelope_len();
        self.settings.longest_message().saturating_sub(envelope + growth)
    }

    /// Returns what a session of so many bytes after packing takes, or `None` if it is too large.
    #[must_use]
    pub fn cost(&self, packed_bytes: usize) -> Option<Cost> {
        let (envelope, growth) = self.settings.envelope_len();
        let message = envelope.checked_add(packed_bytes)?;
        if message > MAX_TEXT {
            return None;
        }
        let (cookies, padded) = self.settings.padded(message, growth)?;
        Some(self.settings.layout.cost(base64url::encoded_len(padded + seal::OVERHEAD), cookies))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::random::SysError;
    use crate::keys::key::Key;
    use crate::keys::ring::KeyRing;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn ring() -> KeyRing {
        KeyRing::from(Key::from_bytes(*b"this key is public, never use it").unwrap())
    }

    #[test]
    fn nothing_is_sealed_without_random_bytes() {
        let mut codec = Codec::<u8>::builder(ring()).session_ids().build().unwrap();
        let settings = Arc::get_mut(&mut codec.settings).unwrap();
        settings.random = |_| Err(SysError::UNSUPPORTED);
        let error = codec.encode_at(&1, &codec.request([""]), NOW).unwrap_err();
        assert!(matches!(error, EncodeError::Random(_)), "{error:?}");
        // Enough for the id, and no more.
        Arc::get_mut(&mut codec.settings).unwrap().random = |bytes| {
            if bytes.len() == 16 { Ok(()) } else { Err(SysError::UNSUPPORTED) }
        };
        let error = codec.encode_at(&1, &codec.request([""]), NOW).unwrap_err();
        assert!(matches!(error, EncodeError::Random(_)), "{error:?}");
    }
}
