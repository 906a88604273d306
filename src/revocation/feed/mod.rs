//! The feed: what is revoked, from node to node, by a stream in Redis or Valkey.
//!
//! The stream is log and snapshot in one. At each connection all of it is read, and then what comes. What this node
//! knows and the stream lacks is added again, so that no fault of the server takes anything back. `link` is one
//! connection's life, `stream` what the stream says; here is what outlives connections.

mod link;
mod stream;

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::bytes::random;
use crate::observe;
use crate::redis::{RedisUrlError, Server};
use crate::revocation::entry::Entry;
use crate::revocation::guarded;
use crate::revocation::receipt::Part;
use crate::revocation::set::{Freshness, Revocations, Sink};

/// Shares a set of revocations with other machines, by a stream in Redis or Valkey.
///
/// # Example
///
/// ```no_run
/// use std::time::Duration;
/// use sealed_session::revocation::{RedisFeed, Revocations, WhenStale};
///
/// let revocations = Revocations::new(Duration::from_secs(7 * 86_400));
/// let url = std::env::var("REVOCATION_REDIS_URL")?; // it may hold a password
/// let feed = RedisFeed::new(&url, WhenStale::Refuse)?.spawn(&revocations)?; // until it is dropped
/// assert!(feed.wait(Duration::from_secs(10)), "not ready: {:?}", feed.status());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # URLs
///
/// - `redis://[user[:password]@]host[:port][/database]`
/// - `redis+sentinel://[user[:password]@]host[:port],host…/master[/database]`; where the Sentinels want a password,
///   `?sentinel_user=…&sentinel_password=…`
/// - `redis+cluster://[user[:password]@]host[:port],host…`
/// - `redis+unix:///path/of/the.sock[?db=…&user=…&pass=…]`
///
/// `rediss` in the place of `redis` is TLS, by rustls; `valkey` is another word for `redis`. The server has to be of Redis 5
/// or later, or Valkey. Give it `maxmemory-policy noeviction`.
#[derive(Debug)]
#[must_use = "a feed does nothing until `spawn` is called"]
pub struct RedisFeed {
    server: Server,
    prefix: String,
    bound: Duration,
    when: WhenStale,
}

/// What becomes of sessions when the feed is lost for longer than [`RedisFeed::stale_after`].
///
/// Both are right for somebody, so it has to be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhenStale {
    /// They are served by what is known. What was revoked elsewhere since then is accepted here. For shops.
    Serve,
    /// They are refused by [`DecodeError::RevocationsStale`](crate::DecodeError::RevocationsStale), whose advice is to keep
    /// the cookie: answer 503, as the middlewares do. For banks.
    Refuse,
}

impl RedisFeed {
    /// Creates a feed from a URL.
    ///
    /// # Errors
    ///
    /// [`RedisUrlError`], which repeats nothing of the URL.
    pub fn new(url: &str, when_stale: WhenStale) -> Result<Self, RedisUrlError> {
        let (prefix, bound) = ("sealed-session".to_owned(), STALE_AFTER);
        Ok(Self { server: Server::parse(url)?, prefix, bound, when: when_stale })
    }

    /// Sets what the keys begin with, within the braces of a hash tag. Default: `sealed-session`. All nodes of an
    /// application have the same, and other applications on that server another.
    ///
    /// The keys are `{prefix}:revoked` and, for each node, `{prefix}:beat:` and a random number.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets for how long the feed may be lost before [`WhenStale`] applies. Default: 10 seconds, which a failover
    /// does not reach. At least 2.
    pub fn stale_after(mut self, bound: Duration) -> Self {
        self.bound = bound.max(BEAT * 4);
        self
    }

    /// Trusts the certificates in this PEM text, and not those of the operating system.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.server.trust(pem.into());
        self
    }

    /// Starts the thread that keeps the set in step with the stream, until the result is dropped.
    ///
    /// It returns at once. Until the first snapshot is read, the set is stale: with [`WhenStale::Refuse`], sessions are
    /// refused until then. [`Feed::wait`] waits for it.
    ///
    /// A thread does not survive a fork: a server that forks its workers calls this in each of them.
    ///
    /// # Errors
    ///
    /// The operating system's, if it gives no thread.
    pub fn spawn(self, set: &Revocations) -> std::io::Result<Feed> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut node = [0; 8];
        random::fill(&mut node).map_err(std::io::Error::other)?;
        let node = u64::from_be_bytes(node);
        let shared = Arc::new(Shared {
            server: self.server,
            log: format!("{{{}}}:revoked", self.prefix),
            beats: format!("{{{}}}:beat:{node:016x}", self.prefix),
            set: set.clone(),
            queue: Mutex::default(),
            woken: Notify::new(),
            stop: AtomicBool::new(false),
            proved: Arc::new(AtomicU64::new(0)),
            status: Mutex::default(),
            ready: Condvar::new(),
        });
        let (proved, refuse) = (Arc::clone(&shared.proved), self.when == WhenStale::Refuse);
        set.attach(shared.clone());
        set.follow(Some(Freshness { proved, bound: self.bound, refuse }));
        let work = Arc::clone(&shared);
        let thread = thread::Builder::new().name("sealed-session-feed".to_owned());
        match thread.spawn(move || runtime.block_on(link::run(work))) {
            Ok(thread) => Ok(Feed { shared, thread: Some(thread) }),
            Err(error) => {
                set.detach(&*shared);
                set.follow(None);
                Err(error)
            }
        }
    }
}

/// The thread of a [`RedisFeed`]; when dropped, it sends what is queued, and ends. The set then stays as it is, and
/// becomes stale.
#[must_use = "the feed ends when this is dropped"]
pub struct Feed {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What a feed does at present.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FeedStatus {
    /// The server that it is connected to.
    pub server: Option<String>,
    /// Why it is not, or was not.
    pub error: Option<String>,
    /// How often all of the stream was read.
    pub snapshots: u64,
    /// How often the connection was lost.
    pub losses: u64,
    /// How many revocations were added again, because the stream lacked them.
    pub healed: u64,
    /// Whether the server may drop the stream when its memory is full.
    pub evicts: bool,
    /// How long the last heartbeat took, from here to the server and back.
    pub lag: Option<Duration>,
}

impl Feed {
    /// Returns what the feed does at present.
    #[must_use]
    pub fn status(&self) -> FeedStatus {
        self.shared.status().clone()
    }

    /// Waits until what is revoked is known and fresh, for at most this long, and returns whether it is.
    #[must_use]
    pub fn wait(&self, limit: Duration) -> bool {
        let deadline = Instant::now().checked_add(limit);
        let mut status = self.shared.status();
        loop {
            if self.shared.set.is_fresh() {
                return true;
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            let wait = left.map_or(BEAT, |left| left.min(BEAT));
            if wait.is_zero() {
                return false;
            }
            let woken = self.shared.ready.wait_timeout(status, wait);
            status = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("status", &self.status()).finish_non_exhaustive()
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.shared.set.detach(&*self.shared);
        self.shared.stop.store(true, Ordering::Release);
        self.shared.woken.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the set, the handle and the thread share.
struct Shared {
    server: Server,
    /// The key of the stream.
    log: String,
    /// The key of this node's heartbeats.
    beats: String,
    set: Revocations,
    queue: Mutex<Queue>,
    woken: Notify,
    stop: AtomicBool,
    proved: Arc<AtomicU64>,
    status: Mutex<FeedStatus>,
    ready: Condvar,
}

#[derive(Default)]
struct Queue {
    /// What was revoked here and is to be sent at once.
    own: VecDeque<(Entry, Part)>,
    /// What came from the journal, so that another process may be sending it: since when.
    others: VecDeque<(Entry, Instant)>,
    /// Whether there was no room for something. The set has it, so it is added with what the stream lacks.
    missed: bool,
}

impl Queue {
    /// Takes so much of what is to be sent, and whether that was not all of it.
    fn take(&mut self, most: usize) -> (Vec<(Entry, Part)>, Vec<Entry>, bool) {
        let own = self.own.drain(..self.own.len().min(most)).collect();
        let due = self.others.iter().take(most);
        let due = due.take_while(|(_, since)| since.elapsed() >= OTHERS_AFTER).count();
        let others = self.others.drain(..due).map(|(entry, _)| entry).collect();
        (own, others, !self.own.is_empty() || due == most)
    }
}

impl Shared {
    fn status(&self) -> std::sync::MutexGuard<'_, FeedStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stops(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Milliseconds since the set began.
    fn clock(&self) -> u64 {
        u64::try_from(self.set.age().as_millis()).unwrap_or(u64::MAX).max(1)
    }

    /// Notes that all that was revoked until then is known.
    fn prove(&self, then: u64) {
        let lag = Duration::from_millis(self.clock().saturating_sub(then));
        let first = self.proved.fetch_max(then, Ordering::AcqRel) == 0;
        self.status().lag = Some(lag);
        guarded(|| observe::feed_beat(self.set.staleness().unwrap_or_default(), lag));
        if first {
            self.ready.notify_all();
        }
    }
}

impl Sink for Shared {
    fn push(&self, entry: Entry, part: Option<Part>) {
        let mut queue = self.queue();
        match part {
            Some(part) if queue.own.len() < MOST_QUEUED => queue.own.push_back((entry, part)),
            None if queue.others.len() < MOST_QUEUED => {
                queue.others.push_back((entry, Instant::now()));
            }
            _ => queue.missed = true,
        }
        drop(queue);
        self.woken.notify_one();
    }
}

const STALE_AFTER: Duration = Duration::from_secs(10);

/// What came from the journal is sent by the process that put it there; by this one only if it has not been after this.
const OTHERS_AFTER: Duration = Duration::from_secs(1);

/// How often a heartbeat is written.
const BEAT: Duration = Duration::from_millis(500);

/// The most that waits for a server. The receipts of what is beyond say that it is queued; it is sent after the rest.
const MOST_QUEUED: usize = 100_000;
