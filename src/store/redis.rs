//! A store in Redis or Valkey.
//!
//! One connection for all requests, on a thread and a runtime of its own, so that neither the codec nor the framework
//! needs one. Each operation is one command of one key, and does no harm when it is sent twice; so it is sent once more
//! where the connection broke.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use ::redis::aio::ConnectionLike;
use ::redis::{
    Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, ServerErrorKind, Value, cmd,
};
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use crate::message::blob_ref::BlobId;
use crate::observe;
use crate::redis::{Connection, Master, RedisUrlError, Server, Timeouts};
use crate::store::blob_store::{BlobStore, StoreError, StoreFuture};

/// A store in Redis or Valkey, for nodes on several machines.
///
/// # Example
///
/// ```
/// use sealed_session::store::RedisStore;
/// use sealed_session::{Codec, Key};
///
/// # let url = "redis://localhost";
/// // let url = std::env::var("SESSION_REDIS_URL")?; // it may hold a password
/// let store = RedisStore::new(url)?;
/// let codec = Codec::<Vec<String>>::builder(Key::generate()?).overflow(store).build()?;
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
/// `rediss` in the place of `redis` is TLS, by rustls; `valkey` is another word for `redis`.
///
/// # The server
///
/// Redis 7.0 or later (`EXPIRE … LT`), or Valkey. A user of its own needs `+@connection +set +getrange +expire +info` on
/// keys with the [prefix](Self::prefix); in a cluster, on each node, `+cluster|slots +cluster|nodes` too; and on Sentinels
/// that want a user, `+@connection +sentinel|master`.
///
/// - `maxmemory-policy noeviction`: a server that evicts logs users out. A warning in the log says so.
/// - What is acknowledged is as safe as the server keeps it: with replication that lags, a failover may lose the last
///   changes of some sessions, which end then: `min-replicas-to-write 1` bounds that. With persistence they outlive a
///   restart.
/// - A master that was stopped and goes on takes itself for one still, and lacks what was stored since. So Sentinels are
///   asked once a second, by the next request; and in a cluster, a blob is gone if the master of the latest election says
///   so.
///
/// # When it is down
///
/// Each operation answers within a [second](Self::timeout). Nothing has to be done when the server is back, moved by a
/// Sentinel, or restarted. The application starts without it.
pub struct RedisStore {
    server: Arc<Server>,
    prefix: String,
    limit: Duration,
    /// To the thread, which starts when it is needed: one that was there before a server forks its workers would be
    /// missing in them.
    jobs: OnceLock<Result<mpsc::Sender<Job>, StoreError>>,
}

impl RedisStore {
    /// Creates a store from a URL. Nothing is connected before it is used.
    ///
    /// # Errors
    ///
    /// [`RedisUrlError`], which repeats nothing of the URL.
    pub fn new(url: &str) -> Result<Self, RedisUrlError> {
        Ok(Self {
            server: Arc::new(Server::parse(url)?),
            prefix: "sealed-session".to_owned(),
            limit: Duration::from_secs(1),
            jobs: OnceLock::new(),
        })
    }

    /// Sets what the keys begin with; `:blob:` and the id of the blob follow. Default: `sealed-session`. All nodes of an
    /// application have the same.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets within which time each operation answers, or fails. Default: a second. A request waits for it.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Trusts the certificates in this PEM text, and not those of the operating system.
    #[must_use]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        // Nobody else has it before the thread starts.
        if let Some(server) = Arc::get_mut(&mut self.server) {
            server.trust(pem.into());
        }
        self
    }

    fn key(&self, id: BlobId) -> String {
        format!("{}:blob:{id}", self.prefix)
    }

    /// Sends a command, and reads the answer.
    fn call<V: FromRedisValue + Send + 'static>(&self, command: Cmd) -> StoreFuture<'static, V> {
        self.ask(command, None)
    }

    /// Sends a command that reads a key, if one is given: an empty answer is then confirmed where it has to be.
    fn ask<V: FromRedisValue + Send + 'static>(
        &self,
        command: Cmd,
        read: Option<String>,
    ) -> StoreFuture<'static, V> {
        let (answer, answered) = oneshot::channel();
        let sent = self.jobs().and_then(|jobs| {
            jobs.try_send(Job { command, read, answer }).map_err(|_| StoreError::Busy)
        });
        Box::pin(async move {
            sent?;
            let ended = |_| StoreError::unavailable("the thread of the store has ended");
            let value = answered.await.map_err(ended)??;
            V::from_redis_value(value).map_err(StoreError::unavailable)
        })
    }

    fn jobs(&self) -> Result<&mpsc::Sender<Job>, StoreError> {
        let started = self.jobs.get_or_init(|| {
            let (sender, jobs) = mpsc::channel(QUEUE);
            let current = Arc::new(Mutex::new((0, None)));
            let server = Arc::clone(&self.server);
            let confirming = Semaphore::new(CONFIRMED_AT_ONCE);
            let link = Link { server, limit: self.limit, current, confirming };
            // What the operating system does not give.
            let failed = |error: io::Error| StoreError::unavailable(error);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(failed)?;
            let name = "sealed-session-redis".to_owned();
            let thread = thread::Builder::new().name(name);
            thread.spawn(move || runtime.block_on(serve(link, jobs))).map_err(failed)?;
            Ok(sender)
        });
        started.as_ref().map_err(Clone::clone)
    }
}

impl BlobStore for RedisStore {
    fn put<'a>(&'a self, id: BlobId, bytes: &'a [u8], lives: Duration) -> StoreFuture<'a, ()> {
        let mut set = cmd("SET");
        set.arg(self.key(id)).arg(bytes).arg("EX").arg(seconds(lives)).arg("NX");
        // Nothing comes back where there is one already: this very blob, sent a second time.
        let stored = self.call::<Option<String>>(set);
        Box::pin(async move { stored.await.map(drop) })
    }

    fn get(&self, id: BlobId, most: usize) -> StoreFuture<'_, Option<Vec<u8>>> {
        // So that no more comes than was put, whatever lies there.
        let mut get = cmd("GETRANGE");
        let key = self.key(id);
        get.arg(&key).arg(0).arg(most.saturating_sub(1));
        let found = self.ask::<Vec<u8>>(get, Some(key));
        Box::pin(async move { found.await.map(|bytes| (!bytes.is_empty()).then_some(bytes)) })
    }

    fn expire_within(&self, id: BlobId, rest: Duration) -> StoreFuture<'_, ()> {
        let mut expire = cmd("EXPIRE");
        // With no seconds left, it is removed at once.
        let rest = if rest.is_zero() { 0 } else { seconds(rest) };
        expire.arg(self.key(id)).arg(rest).arg("LT");
        let expired = self.call::<i64>(expire);
        Box::pin(async move { expired.await.map(drop) })
    }

    fn keep_for(&self, id: BlobId, lives: Duration) -> StoreFuture<'_, ()> {
        let mut expire = cmd("EXPIRE");
        expire.arg(self.key(id)).arg(seconds(lives)).arg("GT");
        let kept = self.call::<i64>(expire);
        Box::pin(async move { kept.await.map(drop) })
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The server has a password.
        f.debug_struct("RedisStore").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// What the thread is asked to do.
struct Job {
    command: Cmd,
    /// The key that it reads, if it does.
    read: Option<String>,
    answer: oneshot::Sender<Result<Value, StoreError>>,
}

/// Does all that is asked for at once, until the store is dropped.
async fn serve(link: Link, mut jobs: mpsc::Receiver<Job>) {
    let link = Arc::new(link);
    while let Some(Job { command, read, answer }) = jobs.recv().await {
        let link = Arc::clone(&link);
        // It is done though nobody waits for it any more: a request that is cancelled leaves nothing half done.
        tokio::spawn(async move { drop(answer.send(link.call(&command, read.as_deref()).await)) });
    }
}

/// The connection, which is made anew when it breaks.
struct Link {
    server: Arc<Server>,
    limit: Duration,
    /// How many there were, and the present one.
    current: Arc<Mutex<(u64, Option<Present>)>>,
    /// How many may be confirmed at once.
    confirming: Semaphore,
}

/// A connection that did not break yet.
struct Present {
    connection: Connection,
    /// The master that it is to, where Sentinels may choose another.
    master: Option<Master>,
    /// When they are to be asked.
    ask: Instant,
}

impl Link {
    async fn call(&self, command: &Cmd, read: Option<&str>) -> Result<Value, StoreError> {
        let used = AtomicU64::new(0);
        let answer = async {
            let answer = self.call_twice(command, &used).await.map_err(to_store_error)?;
            match read {
                Some(key) if self.server.is_cluster() && is_empty(&answer) => {
                    // Each opens a connection, and whoever keeps the cookie of a blob that is gone may ask on and on.
                    let free = timeout(self.limit / 2, self.confirming.acquire()).await;
                    let _one = free.map_err(|_| StoreError::Busy)?;
                    self.confirm(command, key).await.map_err(to_store_error)
                }
                _ => Ok(answer),
            }
        };
        match timeout(self.limit, answer).await {
            Ok(answer) => answer,
            Err(_) => {
                // Nobody knows whether that server will ever answer; another may have its place.
                self.forget(used.into_inner());
                Err(StoreError::unavailable("the server does not answer in time"))
            }
        }
    }

    /// Sends a command, and once more if the connection broke. Leaves in `used` which connection was the last.
    async fn call_twice(&self, command: &Cmd, used: &AtomicU64) -> RedisResult<Value> {
        let answer = self.call_once(command, used).await;
        match answer {
            Err(error) if is_lost(&error) => {
                self.forget(used.load(Ordering::Relaxed));
                let answer = self.call_once(command, used).await;
                answer.inspect_err(|error| {
                    if is_lost(error) {
                        self.forget(used.load(Ordering::Relaxed));
                    }
                })
            }
            answer => answer,
        }
    }

    async fn call_once(&self, command: &Cmd, used: &AtomicU64) -> RedisResult<Value> {
        let (number, mut connection) = self.connection().await?;
        used.store(number, Ordering::Relaxed);
        connection.req_packed_command(command).await?.extract_error()
    }

    /// Asks the master that a key has by the latest election.
    ///
    /// A node of a cluster that was stopped and goes on answers for a moment as if it were one still. What it lacks must
    /// not count as gone: that would log users out.
    async fn confirm(&self, command: &Cmd, key: &str) -> RedisResult<Value> {
        let limits = Timeouts { connect: self.limit / 2, response: Some(self.limit) };
        let master = self.server.master(key, limits.connect).await?;
        let mut connection = self.server.connect_to(&master, limits).await?;
        connection.req_packed_command(command).await?.extract_error()
    }

    async fn connection(&self) -> RedisResult<(u64, Connection)> {
        let mut current = Arc::clone(&self.current).lock_owned().await;
        let (number, present) = &mut *current;
        if let Some(present) = present
            && self.is_master(present).await
        {
            return Ok((*number, present.connection.clone()));
        }
        *present = None;
        let limits = Timeouts { connect: self.limit, response: Some(self.limit) };
        let server = Arc::clone(&self.server);
        // It goes on when the request that began it waits no longer: a cluster with a node that is stopped takes longer.
        let connecting = tokio::spawn(async move {
            let (connection, master) = server.connect(limits).await?;
            let (number, present) = &mut *current;
            *number += 1;
            let ask = Instant::now() + ASK_AGAIN;
            *present = Some(Present { connection: connection.clone(), master, ask });
            tokio::spawn(warn_if_it_evicts(connection.clone()));
            Ok((*number, connection))
        });
        connecting.await.unwrap_or_else(|_| Err((ErrorKind::Io, "the connection").into()))
    }

    /// Returns whether the connection is to the master still, as far as the Sentinels say.
    ///
    /// A server that was stopped and goes on says so of itself for seconds. It would take blobs that are lost, and what it
    /// lacks of the others' would count as gone: both would log users out.
    async fn is_master(&self, present: &mut Present) -> bool {
        let Some(master) = present.master.as_ref().filter(|_| present.ask <= Instant::now()) else {
            return true;
        };
        let found = self.server.master("", self.limit / 4).await;
        let wait = if found.is_ok() { ASK_AGAIN } else { ASK_LATER };
        present.ask = Instant::now() + wait;
        // Without Sentinels, the master that is known serves on.
        found.map_or(true, |found| found == *master)
    }

    /// Drops a connection, if it is still the present one.
    fn forget(&self, used: u64) {
        // Whoever has it locked makes a new one.
        if let Ok(mut current) = self.current.try_lock()
            && current.0 == used
        {
            current.1 = None;
        }
    }
}

/// Whether another connection may do better.
fn is_lost(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_unrecoverable_error()
        || matches!(error.kind(), ErrorKind::Server(ServerErrorKind::ReadOnly))
}

fn is_empty(answer: &Value) -> bool {
    matches!(answer, Value::Nil) || matches!(answer, Value::BulkString(bytes) if bytes.is_empty())
}

fn to_store_error(error: RedisError) -> StoreError {
    match error.code() {
        Some("OOM") => StoreError::Full,
        _ => StoreError::unavailable(error),
    }
}

/// A server that evicts logs users out.
async fn warn_if_it_evicts(mut connection: Connection) {
    let mut info = cmd("INFO");
    info.arg("memory");
    // Who may not ask, or asks a whole cluster, is not told.
    let Ok(told) = connection.req_packed_command(&info).await else { return };
    let Ok(told) = String::from_redis_value(told) else { return };
    if let Some(policy) = evicts(&told) {
        observe::store_evicts(policy);
    }
}

/// Returns the policy by which a server evicts, if it does.
fn evicts(info: &str) -> Option<&str> {
    let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name));
    field("maxmemory:").filter(|most| *most != "0")?;
    field("maxmemory_policy:").filter(|policy| *policy != "noeviction")
}

/// Whole seconds, and not none: without a time a blob would stay for ever.
fn seconds(duration: Duration) -> u64 {
    // Redis refuses what overflows its clock.
    duration.as_secs().clamp(1, 1 << 40)
}

const QUEUE: usize = 1024;

const CONFIRMED_AT_ONCE: usize = 8;

/// How long what the Sentinels say is taken for granted.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// And how long they are left alone where too few of them answer, as a request waits for them.
const ASK_LATER: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_evicts_only_with_a_limit_and_a_policy() {
        let info = |most, policy| {
            format!("used_memory:1\r\nmaxmemory:{most}\r\nmaxmemory_policy:{policy}\r\n")
        };
        assert_eq!(evicts(&info(0, "allkeys-lru")), None);
        assert_eq!(evicts(&info(100, "noeviction")), None);
        assert_eq!(evicts(&info(100, "volatile-lru")), Some("volatile-lru"));
        assert_eq!(evicts("# Memory"), None);
    }

    #[test]
    fn no_password_is_shown() {
        let store = RedisStore::new("redis://user:secret@localhost").unwrap();
        assert!(!format!("{store:?}").contains("secret"));
    }

    #[test]
    fn a_blob_never_stays_for_ever() {
        assert_eq!(seconds(Duration::ZERO), 1);
        assert_eq!(seconds(Duration::from_millis(1999)), 1);
        assert_eq!(seconds(Duration::MAX), 1 << 40);
    }
}
