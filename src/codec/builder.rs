//! The settings of a codec.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use memchr::memmem;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bytes::random;
use crate::codec::Codec;
use crate::codec::judge::Judge;
use crate::codec::lifetimes::{DEFAULT_ABSOLUTE, DEFAULT_SKEW, Lifetimes};
use crate::codec::old_cookies::OldCookies;
use crate::codec::request_cookies::CodecId;
use crate::codec::settings::{Clock, Migrate, Settings};
use crate::cookie::attributes::{Persistence, SameSite, Unchecked};
use crate::cookie::error::ConfigError;
use crate::cookie::layout::Layout;
use crate::cookie::limits::Limits;
use crate::cookie::padding::Padding;
use crate::keys::ring::KeyRing;
use crate::legacy::Reader;
use crate::message::format::Format;
use crate::message::pack::Compression;
use crate::seal::binding::Binding;
#[cfg(feature = "store")]
use crate::store::blob_store::BlobStore;
#[cfg(feature = "store")]
use crate::store::work::Overflow;

/// A builder of a [`Codec`]; every setting has a safe default.
///
/// # Example
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use sealed_session::{Codec, Key, Limits, SameSite};
///
/// let codec = Codec::<String>::builder(Key::generate()?)
///     .name("__Host-shop")
///     .same_site(SameSite::Strict)
///     .idle_timeout(Duration::from_secs(30 * 60))
///     .limits(Limits::NGINX_PROXY_BUFFER_8K)
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a builder does nothing until `build` is called"]
pub struct Builder<T> {
    ring: KeyRing,
    attributes: Unchecked,
    limits: Limits,
    context: Vec<u8>,
    absolute: Duration,
    idle: Option<Duration>,
    touch: Option<Duration>,
    skew: Duration,
    format: Format,
    compression: Compression,
    reads_back: bool,
    padding: Padding,
    session_ids: bool,
    judge: Judge<T>,
    schema: Option<u32>,
    migrations: BTreeMap<(u32, Option<u8>), Migrate<T>>,
    readers: Vec<(Reader<T>, SystemTime)>,
    clock: Option<Clock>,
    #[cfg(feature = "store")]
    overflow: Option<Arc<Overflow>>,
    session: PhantomData<fn(T) -> T>,
}

impl<T: Serialize + DeserializeOwned + 'static> Codec<T> {
    /// Creates a codec with the defaults of [`Builder`], from a [`KeyRing`] or a single [`Key`](crate::Key).
    ///
    /// # Panics
    ///
    /// Never: the defaults fit each other.
    pub fn new(ring: impl Into<KeyRing>) -> Self {
        Self::builder(ring).build().expect("the defaults fit each other")
    }

    /// Creates a builder with the default settings.
    pub fn builder(ring: impl Into<KeyRing>) -> Builder<T> {
        Builder::new(ring.into())
    }
}

impl<T: Serialize + DeserializeOwned + 'static> Builder<T> {
    fn new(ring: KeyRing) -> Self {
        Self {
            ring,
            attributes: Unchecked::default(),
            limits: Limits::default(),
            context: Vec::new(),
            absolute: DEFAULT_ABSOLUTE,
            idle: None,
            touch: None,
            skew: DEFAULT_SKEW,
            format: Format::default(),
            compression: Compression::default(),
            reads_back: true,
            padding: Padding::default(),
            session_ids: false,
            judge: Judge::default(),
            schema: None,
            migrations: BTreeMap::new(),
            readers: Vec::new(),
            clock: None,
            #[cfg(feature = "store")]
            overflow: None,
            session: PhantomData,
        }
    }

    /// Sets the cookie-name. Default: `__Host-session`.
    ///
    /// **Two applications on one host need two names**, also on two ports or under two paths: to browsers, cookies know no
    /// ports, and with `Path=/` no paths. Under one name, each finds the session of the other in the place of its own:
    ///
    /// - With other keys, it is as one of a key that has not arrived yet, from which nothing tells it. It is kept: a change
    ///   gives [`WouldReplace`](crate::EncodeError::WouldReplace), in the middlewares a 503, and the log names this way out.
    /// - With the same keys and another [`context`](Self::context), it is as a forged one, and a change replaces it.
    ///
    /// Keep the prefix `__Host-` wherever you can: with it, browsers take the cookie only from this very
    /// host over HTTPS, so that no sibling domain can plant one. The name is sealed: a value moved to
    /// another name does not open.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.attributes.name = name.into();
        self
    }

    /// Sets `Path`. Default: `/`, which `__Host-` demands.
    ///
    /// When an application that runs changes it, [the name must change with it](Self::domain).
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.attributes.path = path.into();
        self
    }

    /// Sets `Domain`, so that all subdomains get the session, and can set it. Default: none; the name
    /// must not begin with `__Host-` then.
    ///
    /// # Changing it later
    ///
    /// To a browser, a cookie of the same name with another `Domain`, `Path` or `Partitioned` is another cookie. It
    /// keeps the one with the former attributes beside the new one and sends both, and a logout removes only the
    /// new one: the user stays logged in by the old. So give the cookie another [`name`](Self::name)
    /// whenever you change one of the three.
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.attributes.domain = Some(domain.into());
        self
    }

    /// Sets `SameSite`. Default: [`SameSite::Lax`].
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.attributes.same_site = same_site;
        self
    }

    /// Adds `Partitioned`, for an application embedded in other sites (CHIPS). Default: off.
    ///
    /// When an application that runs changes it, [the name must change with it](Self::domain).
    pub fn partitioned(mut self) -> Self {
        self.attributes.partitioned = true;
        self
    }

    /// Sets how long browsers keep the cookie. Default: [`Persistence::UntilExpiry`].
    pub fn persistence(mut self, persistence: Persistence) -> Self {
        self.attributes.persistence = persistence;
        self
    }

    /// Omits `Secure`, so that the session travels over plain HTTP for all to take.
    ///
    /// Chromium and Firefox do not need it for development: they take `Secure` cookies from `http://localhost`.
    /// Safari does not: use HTTPS there, or this in development alone.
    pub fn dangerous_without_secure(mut self) -> Self {
        self.attributes.secure = false;
        self
    }

    /// Binds sessions to a context: an application, an environment, a tenant. Default: empty.
    ///
    /// What was sealed under another context does not open, even under the same key. Changing the context ends
    /// all sessions; during that deploy, old and new nodes replace each other's. Applications on one host need
    /// another [`name`](Self::name) too.
    pub fn context(mut self, context: impl Into<Vec<u8>>) -> Self {
        self.context = context.into();
        self
    }

    /// Sets how long a session lives from its beginning. Default: 7 days. At most 400 days.
    pub fn absolute_timeout(mut self, timeout: Duration) -> Self {
        self.absolute = timeout;
        self
    }

    /// Sets how long a session lives without being resealed. Default: 1 day, or the absolute
    /// timeout where that is shorter.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle = Some(timeout);
        self
    }

    /// Sets after how much of the idle time an unchanged session is resealed. Default: a tenth of the
    /// idle timeout. Until then, responses carry no cookie; so a session may end this much earlier than
    /// the idle timeout after its last use. Parts of a second are rounded up.
    pub fn touch_after(mut self, threshold: Duration) -> Self {
        self.touch = Some(threshold);
        self
    }

    /// Sets how far the clocks of two nodes may differ. Default: 60 seconds. What was sealed further in the
    /// future is refused. Parts of a second are rounded up, and it is a second at least: sessions know whole ones, and
    /// a login in the second of "log out everywhere" begins in the next.
    pub fn clock_skew(mut self, skew: Duration) -> Self {
        self.skew = skew;
        self
    }

    /// Sets the clock that all operations without a time of their own read, those of the middlewares included.
    /// Default: [`SystemTime::now`].
    ///
    /// For tests, in which no time need pass, and for runtimes without that clock: on `wasm32-unknown-unknown`
    /// `SystemTime::now` panics, and what the runtime offers takes its place (JavaScript's `Date.now()`, say).
    ///
    /// # Example
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use std::time::{Duration, SystemTime};
    /// use sealed_session::{Codec, DecodeError, Key};
    ///
    /// let seconds = Arc::new(AtomicU64::new(1_800_000_000));
    /// let clock = Arc::clone(&seconds);
    /// let codec = Codec::<u32>::builder(Key::generate()?)
    ///     .clock(move || SystemTime::UNIX_EPOCH + Duration::from_secs(clock.load(Ordering::Relaxed)))
    ///     .build()?;
    /// let set_cookies = codec.renew(&7, &codec.request([""]))?;
    /// let cookie = set_cookies.values().next().unwrap().split(';').next().unwrap();
    ///
    /// seconds.fetch_add(2 * 86_400, Ordering::Relaxed); // two days later
    /// assert!(matches!(codec.decode(&codec.request([cookie])), Err(DecodeError::Expired(_))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Some(Box::new(clock));
        self
    }

    /// Sets the format in which sessions are sealed. Default: [`Format::MessagePack`]. Every format
    /// compiled in is opened.
    pub fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// Sets whether sessions are compressed. Default: [`Compression::Adaptive`].
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Seals sessions without reading them back before.
    ///
    /// By default each session that is sealed anew is also read, and what was read is compared with it: some types are
    /// written so that nothing reads them, or so that they read as another value. `encode` is an error then, and the client
    /// keeps the session that it has. It takes about as long as [`Codec::decode`].
    ///
    /// Without it, such a session is sealed, and whoever has it stays locked out until it expires, or is given another value
    /// than was set. So leave it out only where it costs too much, and for a type of which [`Codec::check`] passes all kinds
    /// of values in your tests.
    pub fn dangerous_without_read_back(mut self) -> Self {
        self.reads_back = false;
        self
    }

    /// Sets how the length of sessions is hidden. Default: [`Padding::Padme`].
    pub fn padding(mut self, padding: Padding) -> Self {
        self.padding = padding;
        self
    }

    /// Sets the limits of size, and whether a session may be split over cookies. Default:
    /// [`Limits::UNMODIFIED_NGINX`], one cookie.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets a store for sessions that do not fit into their cookies, and for [`Attached`](crate::Attached) values.
    /// Default: none; such a session is an error.
    ///
    /// A session that fits costs nothing new. The [limits](Self::limits) say from where on the store is used. See
    /// [`guide::overflow`](crate::guide::overflow).
    #[cfg(feature = "store")]
    pub fn overflow(mut self, store: impl BlobStore) -> Self {
        self.overflow = Some(Arc::new(Overflow::new(Arc::new(store))));
        self
    }

    /// Adds an id of 16 random bytes to each session, which [`Codec::renew`] changes. Default: none, which
    /// saves 22 characters. Sessions that began without get one when they are next changed.
    ///
    /// # Example: a deny list
    ///
    /// A logout that also ends copies of the cookie. The list may forget an id when the absolute timeout is over;
    /// here it is a set in memory, in production what your nodes share.
    ///
    /// ```
    /// use std::collections::HashSet;
    /// use sealed_session::{Codec, Key};
    ///
    /// # let mut denied = HashSet::new();
    /// let codec = Codec::<String>::builder(Key::generate()?).session_ids().build()?;
    /// # let login = codec.renew(&"jane".into(), &codec.request([""]))?;
    /// # let cookie = login.values().next().unwrap().split(';').next().unwrap().to_owned();
    ///
    /// // At a logout: note the id, and remove the cookie.
    /// let request = codec.request([&cookie]);
    /// if let Ok(Some(opened)) = codec.decode(&request) {
    ///     denied.extend(opened.id); // `SessionId::to_bytes` for a database
    /// }
    /// let response = codec.clear(&request);
    ///
    /// // At each request: a session whose id is on the list counts for nothing.
    /// let request = codec.request([&cookie]); // a copy of the cookie, made before the logout
    /// let session = codec.decode(&request)?.filter(|opened| !opened.id.is_some_and(|id| denied.contains(&id)));
    /// assert!(session.is_none());
    /// # assert_eq!(response.removed().count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn session_ids(mut self) -> Self {
        self.session_ids = true;
        self
    }

    /// Refuses what is revoked: sessions by their id, by one of their tags, or by when they began. Gives each session
    /// [an id](Self::session_ids).
    ///
    /// `tags` says what a session has in common with others that is to be ended at once, such as its user; `|_| []` if
    /// there is no such thing. It is called for each session that is opened, so it should be quick.
    ///
    /// A session that is older than this setting gets an id when it is next sealed. Until then it can be revoked by
    /// its tags and its beginning alone.
    ///
    /// The clock skew is at least 5 seconds then: what begins in the second of a "log out everywhere", and after it, is
    /// dated to the next one, and may be used at once.
    #[cfg(feature = "revocation")]
    pub fn revocations<I>(
        mut self,
        revocations: crate::revocation::Revocations,
        tags: impl Fn(&T) -> I + Send + Sync + 'static,
    ) -> Self
    where
        I: IntoIterator<Item = crate::revocation::SubjectTag>,
    {
        self.judge = Judge::new(revocations, tags);
        self.session_ids()
    }

    fn least_skew(&self) -> Duration {
        #[cfg(feature = "revocation")]
        if self.judge.ended.revocations.is_some() {
            return self.skew.max(crate::revocation::LEAST_SKEW);
        }
        self.skew
    }

    /// Sets the number of the session type's schema, which is sealed with each session. Default: 0.
    ///
    /// Raise it when a change of the type is more than a field added with `#[serde(default)]` or
    /// removed, and give a [`migration`](Self::migration). A node that meets a newer schema keeps
    /// the cookie, but its user has no session there. So while such a deploy runs, users whose session a
    /// new node wrote are without one on old nodes: prefer changes that need no new number, or let the
    /// load balancer keep users on one side for these minutes.
    pub fn schema(mut self, schema: u32) -> Self {
        self.schema = Some(schema);
        self
    }

    /// Adds a way to read sessions of an older schema.
    ///
    /// # Example
    ///
    /// ```
    /// use sealed_session::{Codec, Key};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct SessionV1 { name: String }
    /// #[derive(Serialize, Deserialize)]
    /// struct SessionV2 { first: String, last: String }
    ///
    /// let codec = Codec::<SessionV2>::builder(Key::generate()?)
    ///     .schema(2)
    ///     .migration(1, |old: SessionV1| {
    ///         let (first, last) = old.name.split_once(' ').unwrap_or((&old.name, ""));
    ///         SessionV2 { first: first.into(), last: last.into() }
    ///     })
    ///     .build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn migration<Old: DeserializeOwned>(
        self,
        from: u32,
        migrate: impl Fn(Old) -> T + Send + Sync + 'static,
    ) -> Self {
        self.migrating(from, None, migrate)
    }

    /// Adds a way to read sessions that were sealed in a positional format that is not the codec's, of an older schema or
    /// of the present one: for a switch from it to another format.
    ///
    /// A positional session has no names, so a type with other fields, or in another order, reads it wrong. `Old` must be
    /// the very type that was sealed in this format under this schema. Without such a migration, the session is kept
    /// and not read ([`DecodeError::UnsupportedFormat`](crate::DecodeError::UnsupportedFormat)); the named formats need none.
    pub fn migration_in<Old: DeserializeOwned>(
        self,
        from: u32,
        format: Format,
        migrate: impl Fn(Old) -> T + Send + Sync + 'static,
    ) -> Self {
        self.migrating(from, Some(format), migrate)
    }

    fn migrating<Old: DeserializeOwned>(
        mut self,
        from: u32,
        format: Option<Format>,
        migrate: impl Fn(Old) -> T + Send + Sync + 'static,
    ) -> Self {
        let migrate: Migrate<T> =
            Box::new(move |format, body| format.deserialize(body).map(&migrate));
        self.migrations.insert((from, format.map(Format::tag)), migrate);
        self
    }

    /// Reads the cookie of another library too, until this time, so that a switch to this crate logs nobody out.
    ///
    /// The reader is tried only where our own cookie is absent; one that is there and does not open is left to the nodes
    /// that can read it. A session that it brings begins now. The first response seals it and removes the old cookie.
    /// [`Codec::clear`] removes both.
    ///
    /// From `until` on, no old cookie is read, and the log says so once: the reader can go. Choose the longest time for
    /// which the old application let a session live, and no longer: most old formats seal no time, so that a copied
    /// cookie is good until then, also after a logout.
    ///
    /// Of several readers, the first one that gives a session counts. Two of them may read one cookie, each by a key.
    /// While they are there, sessions have less room by what the removal of the old cookies takes in a response.
    ///
    /// Where nodes of the old application answer requests while the new release is rolled out, see
    /// [`Reader::old_nodes_until`]. The guide is [`guide::coming_from`](crate::guide::coming_from).
    ///
    /// # Example
    ///
    #[cfg_attr(feature = "legacy", doc = "```")]
    #[cfg_attr(not(feature = "legacy"), doc = "```ignore")]
    /// use std::time::{Duration, SystemTime};
    /// use sealed_session::legacy::{Jar, JarKey};
    /// use sealed_session::{Codec, Key};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct Session { user: u64 }
    ///
    /// # let (key, old) = (Key::generate()?, [7; 64]);
    /// let switch = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_651_200); // 2026-11-26
    /// let reader = Jar::private(&JarKey::from_bytes(&old)?)
    ///     .text("user_id", |id| Some(Session { user: id.parse().ok()? }));
    /// let codec = Codec::builder(key)
    ///     .also_reads(reader, switch + Duration::from_secs(14 * 86_400))
    ///     .build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn also_reads(mut self, reader: Reader<T>, until: SystemTime) -> Self {
        self.readers.push((reader, until));
        self
    }

    /// Builds the codec.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] for each setting that browsers, proxies or other settings would turn into
    /// a silent failure later.
    pub fn build(self) -> Result<Codec<T>, ConfigError> {
        let skew = self.least_skew();
        let lifetimes = Lifetimes::build(self.absolute, self.idle, self.touch, skew)?;
        #[cfg(feature = "revocation")]
        if let Some(revocations) = &self.judge.ended.revocations
            && !revocations.outlasts(lifetimes.absolute, lifetimes.skew)
        {
            return Err(ConfigError::RevocationsTooShort);
        }
        if self.format.is_positional() && self.schema.is_none() {
            return Err(ConfigError::SchemaRequired(self.format));
        }
        let schema = self.schema.unwrap_or(0);
        let starts_late = |(from, format): &&(u32, Option<u8>)| {
            *from > schema || *from == schema && format.is_none_or(|tag| tag == self.format.tag())
        };
        if let Some(&(from, _)) = self.migrations.keys().find(starts_late) {
            return Err(ConfigError::Migration { from, schema });
        }
        let (partitioned, same_site) = (self.attributes.partitioned, self.attributes.same_site);
        let attributes = self.attributes.build()?;
        let attributes_len = attributes.max_len(lifetimes.idle.as_secs());
        if partitioned {
            self.limits.check_partitioned()?;
        }
        let old = OldCookies::build(self.readers, &attributes.name, same_site, lifetimes.idle)?;
        let limits = self.limits.less_in_response(old.cost());
        let layout = Layout::new(limits, attributes.name.len(), attributes_len)?;
        Ok(Codec {
            settings: Arc::new(Settings {
                id: CodecId::next(),
                ring: self.ring,
                binding: Binding::new(&attributes.name, &self.context),
                finder: memmem::Finder::new(&attributes.name).into_owned(),
                attributes,
                layout,
                lifetimes,
                judge: self.judge,
                format: self.format,
                compression: self.compression,
                reads_back: self.reads_back,
                padding: self.padding,
                session_ids: self.session_ids,
                schema,
                migrations: self.migrations,
                old,
                random: random::fill,
                clock: self.clock,
                #[cfg(feature = "store")]
                overflow: self.overflow,
            }),
        })
    }
}

impl<T> std::fmt::Debug for Builder<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("name", &self.attributes.name).finish_non_exhaustive()
    }
}
