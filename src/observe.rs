//! What operators see: events of `tracing` and counters of `metrics`, each behind its feature.
//!
//! The counters stand in `COUNTERS`, below.
//!
//! A label is never what a client sent: `key` is an id that stands in the ring, `unknown`, or `none` where no
//! key comes into it. Neither secrets nor sessions nor anything of a cookie are told, save the id of an unknown key.
//! Errors are told with their sources, which name fields and types. Without the two
//! features, all of this compiles to nothing.

// Some of what is told is for one of the two alone.
#![cfg_attr(not(all(feature = "tracing", feature = "metrics")), allow(unused_variables))]

use std::fmt::Display;

/// Returns a counter, after all of them were described to the recorder.
#[cfg(feature = "metrics")]
macro_rules! count {
    ($($counter:tt)*) => {{
        describe();
        metrics::counter!($($counter)*)
    }};
}

/// Describes the counters, once: when the first one counts, since a recorder has been installed by then.
#[cfg(feature = "metrics")]
fn describe() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        for &(name, what) in COUNTERS {
            metrics::describe_counter!(name, what);
        }
        #[cfg(feature = "revocation")]
        for &(name, what) in GAUGES {
            metrics::describe_gauge!(name, what);
        }
    });
}

#[cfg(feature = "metrics")]
const COUNTERS: &[(&str, &str)] = &[
    ("sealed_session_opened_total", "requests whose session was opened, by key"),
    (
        "sealed_session_refused_total",
        "requests whose session cookie gave no session, by reason and key",
    ),
    (
        "sealed_session_old_cookies_total",
        "cookies of another library that were read or refused, by cookie and result",
    ),
    ("sealed_session_sealed_total", "sessions sealed for a response, by key and packing"),
    ("sealed_session_split_total", "of the sealed sessions, those in more than one cookie"),
    ("sealed_session_body_bytes_total", "bytes of the sealed sessions as serialized"),
    ("sealed_session_cookie_bytes_total", "characters of the sealed sessions in cookies"),
    ("sealed_session_not_sealed_total", "sessions that could not be sealed, by reason"),
    ("sealed_session_revocations_lost_total", "revocations for which the set had no room"),
    ("sealed_session_feed_losses_total", "times that the feed of revocations was lost"),
    (
        "sealed_session_feed_healed_total",
        "revocations that were added again, because the server lacked them",
    ),
    (
        "sealed_session_journal_failures_total",
        "times that the journal of revocations became unreadable or unwritable",
    ),
    ("sealed_session_store_failures_total", "operations that a store failed to do, by operation"),
    (
        "sealed_session_reloads_total",
        "changes of the key ring (reloaded, or revoked alone), looks at a broken key file (failed), and looks at which \
         no key may seal (nothing_seals)",
    ),
];

/// Observes a session that was opened, by the id of its key.
#[inline]
pub(crate) fn opened(key: &impl Display) {
    #[cfg(feature = "tracing")]
    tracing::trace!(target: TARGET, %key, "opened a session");
    #[cfg(feature = "metrics")]
    count!("sealed_session_opened_total", "key" => key.to_string()).increment(1);
}

/// Observes a cookie that gave no session. `usual` is what happens to every session in the end.
#[cold]
pub(crate) fn refused(
    reason: &'static str,
    key: RefusedKey<impl Display>,
    error: &impl Display,
    likely: Option<&'static str>,
    usual: bool,
) {
    #[cfg(feature = "tracing")]
    {
        let key = match &key {
            RefusedKey::Known(id) | RefusedKey::Unknown(id) => Some(tracing::field::display(id)),
            RefusedKey::None => None,
        };
        if usual {
            tracing::debug!(target: TARGET, reason, key, %error, "refused a session");
        } else {
            tracing::info!(target: TARGET, reason, key, %error, likely, "refused a session");
        }
    }
    #[cfg(feature = "metrics")]
    {
        let key = match key {
            RefusedKey::Known(id) => id.to_string().into(),
            RefusedKey::Unknown(_) => std::borrow::Cow::Borrowed("unknown"),
            RefusedKey::None => "none".into(),
        };
        count!("sealed_session_refused_total", "reason" => reason, "key" => key).increment(1);
    }
}

/// The key that a refused cookie names.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RefusedKey<K> {
    /// One of the ring.
    Known(K),
    /// One that is not in the ring. Its id is what a client sent: 8 hexadecimal digits in the log, and no label.
    Unknown(K),
    /// It was not looked at.
    None,
}

/// Observes a cookie of another library, by its name in the settings.
pub(crate) fn old_cookie(cookie: &str, result: &'static str, severity: Severity) {
    #[cfg(feature = "tracing")]
    match severity {
        Severity::Error => tracing::warn!(target: TARGET, cookie, result, "refused an old cookie"),
        _ if result == "read" => tracing::debug!(target: TARGET, cookie, "read an old cookie"),
        _ => tracing::info!(target: TARGET, cookie, result, "refused an old cookie"),
    }
    #[cfg(feature = "metrics")]
    count!("sealed_session_old_cookies_total", "cookie" => cookie.to_owned(), "result" => result)
        .increment(1);
}

/// Observes that a cookie of another library is read no more.
#[cold]
pub(crate) fn old_cookie_ended(cookie: &str) {
    #[cfg(feature = "tracing")]
    tracing::warn!(
        target: TARGET, cookie,
        "the end date of an old cookie has passed: it is read no more, and its reader can be taken out"
    );
}

/// Observes how many revocations are known.
#[cfg(feature = "revocation")]
pub(crate) fn revocations(entries: usize) {
    #[cfg(feature = "metrics")]
    gauge("sealed_session_revocations", entries);
}

/// Observes a revocation for which there is no room.
#[cfg(feature = "revocation")]
#[cold]
pub(crate) fn revocations_full(entries: usize) {
    #[cfg(feature = "tracing")]
    tracing::error!(
        target: TARGET, entries,
        "the set of revocations is full, and a revocation is lost; raise Revocations::set_capacity"
    );
    #[cfg(feature = "metrics")]
    count!("sealed_session_revocations_lost_total").increment(1);
}

/// Observes records of the journal that are damaged.
#[cfg(feature = "revocation")]
#[cold]
pub(crate) fn journal_damaged(records: u64) {
    #[cfg(feature = "tracing")]
    tracing::error!(target: TARGET, records, "records of the journal of revocations are damaged");
}

/// Observes a journal that cannot be read or written: told once, until it is another fault.
#[cfg(feature = "revocation")]
#[cold]
pub(crate) fn journal_failed(error: &str) {
    #[cfg(feature = "tracing")]
    tracing::error!(
        target: TARGET, error,
        "the journal of revocations is broken; what is revoked holds in this process and is not stored"
    );
    #[cfg(feature = "metrics")]
    count!("sealed_session_journal_failures_total").increment(1);
}

/// Observes that the journal is whole again, and has what was revoked meanwhile.
#[cfg(feature = "revocation")]
#[cold]
pub(crate) fn journal_recovered() {
    #[cfg(feature = "tracing")]
    tracing::info!(target: TARGET, "the journal of revocations is written again");
}

/// Observes a feed that is ready: it has read all, at the start or after a loss.
#[cfg(feature = "revocation-redis")]
#[cold]
pub(crate) fn feed_ready(server: &impl Display, entries: usize) {
    #[cfg(feature = "tracing")]
    tracing::info!(target: TARGET, %server, entries, "the feed of revocations is read");
}

/// Observes the loss of a feed: counted each time, told once, until it is another error.
#[cfg(feature = "revocation-redis")]
#[cold]
pub(crate) fn feed_lost(error: &impl Display, known: bool) {
    #[cfg(feature = "tracing")]
    if !known {
        tracing::warn!(
            target: TARGET, %error,
            "the feed of revocations is lost; what is revoked elsewhere is not known here until it is back"
        );
    }
    #[cfg(feature = "metrics")]
    count!("sealed_session_feed_losses_total").increment(1);
}

/// Observes that the server has lost some of what it had.
#[cfg(feature = "revocation-redis")]
#[cold]
pub(crate) fn feed_went_backwards() {
    #[cfg(feature = "tracing")]
    tracing::warn!(target: TARGET, "the server has lost revocations; what is known here is added again");
}

/// Observes revocations that were added again.
#[cfg(feature = "revocation-redis")]
#[cold]
pub(crate) fn feed_healed(entries: u64) {
    #[cfg(feature = "tracing")]
    tracing::info!(target: TARGET, entries, "added revocations again that the server lacked");
    #[cfg(feature = "metrics")]
    count!("sealed_session_feed_healed_total").increment(entries);
}

/// Observes a server that may drop the stream when its memory is full.
#[cfg(feature = "revocation-redis")]
#[cold]
pub(crate) fn feed_evicts() {
    #[cfg(feature = "tracing")]
    tracing::warn!(
        target: TARGET,
        "the server of revocations evicts keys when its memory is full; set maxmemory-policy noeviction"
    );
}

/// Observes a heartbeat that has come back.
#[cfg(feature = "revocation-redis")]
pub(crate) fn feed_beat(staleness: std::time::Duration, lag: std::time::Duration) {
    #[cfg(feature = "metrics")]
    {
        describe();
        metrics::gauge!("sealed_session_feed_staleness_seconds").set(staleness.as_secs_f64());
        metrics::gauge!("sealed_session_feed_lag_seconds").set(lag.as_secs_f64());
    }
}

/// Sets a gauge, after all of them were described to the recorder.
#[cfg(all(feature = "metrics", feature = "revocation"))]
fn gauge(name: &'static str, value: impl TryInto<u32>) {
    describe();
    metrics::gauge!(name).set(f64::from(value.try_into().unwrap_or(u32::MAX)));
}

#[cfg(all(feature = "metrics", feature = "revocation"))]
const GAUGES: &[(&str, &str)] = &[
    ("sealed_session_revocations", "revocations that are known and not forgotten"),
    (
        "sealed_session_feed_staleness_seconds",
        "how old the news of other nodes may be; alert where it is not set for a while, too",
    ),
    ("sealed_session_feed_lag_seconds", "what the last heartbeat took to the server and back"),
];

/// Whether anything is observed.
pub(crate) const ENABLED: bool = cfg!(any(feature = "tracing", feature = "metrics"));

/// What is observed of a session that was sealed.
#[derive(Debug)]
#[cfg_attr(not(any(feature = "tracing", feature = "metrics")), expect(dead_code))]
pub(crate) struct Sealed<K> {
    pub(crate) key: K,
    pub(crate) packing: &'static str,
    pub(crate) body: usize,
    pub(crate) chars: usize,
    pub(crate) cookies: u8,
}

/// Observes a session that was sealed.
#[inline]
pub(crate) fn sealed<K: Display>(sealed: impl FnOnce() -> Sealed<K>) {
    #[cfg(any(feature = "tracing", feature = "metrics"))]
    {
        let Sealed { key, packing, body, chars, cookies } = sealed();
        #[cfg(feature = "tracing")]
        tracing::debug!(target: TARGET, %key, packing, body, chars, cookies, "sealed a session");
        #[cfg(feature = "metrics")]
        {
            let wide = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
            let key = key.to_string();
            count!("sealed_session_sealed_total", "key" => key, "packing" => packing).increment(1);
            if cookies > 1 {
                count!("sealed_session_split_total").increment(1);
            }
            count!("sealed_session_body_bytes_total").increment(wide(body));
            count!("sealed_session_cookie_bytes_total").increment(wide(chars));
        }
    }
}

/// How much a session that was not sealed asks of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// Nothing: clients and clocks bring it about.
    Info,
    /// The session is too large: bytes needed and allowed.
    TooLarge(usize, usize),
    /// A fault of the program or of the machine.
    Error,
}

/// Observes a session that could not be sealed.
#[cold]
pub(crate) fn not_sealed(reason: &'static str, severity: Severity, error: &impl Display) {
    #[cfg(feature = "tracing")]
    match severity {
        Severity::Info => tracing::info!(target: TARGET, reason, %error, "did not seal a session"),
        // The error names fields, and those of a map are a part of the session.
        Severity::TooLarge(needed, allowed) => {
            tracing::warn!(target: TARGET, reason, needed, allowed, "did not seal a session");
        }
        Severity::Error => {
            tracing::error!(target: TARGET, reason, %error, "did not seal a session");
        }
    }
    #[cfg(feature = "metrics")]
    count!("sealed_session_not_sealed_total", "reason" => reason).increment(1);
}

/// Observes a key ring that follows its file. The ids are printed, with commas between them; `unannounced` is a key
/// that seals at once.
#[cfg(feature = "watch")]
pub(crate) fn reloaded(
    primary: Option<impl Display>,
    keys: usize,
    [added, removed, revoked]: [impl Display; 3],
    cutoff: Option<impl Display>,
    unannounced: bool,
) {
    #[cfg(feature = "metrics")]
    count!("sealed_session_reloads_total", "result" => "reloaded").increment(1);
    #[cfg(feature = "tracing")]
    {
        let primary = primary.as_ref().map(tracing::field::display);
        let cutoff = cutoff.as_ref().map(tracing::field::display);
        tracing::info!(target: TARGET, primary, keys, %added, %removed, %revoked, cutoff, "reloaded the key ring");
        if unannounced {
            tracing::warn!(
                target: TARGET, primary,
                "the key that seals was not announced to this node; if others do not have it, they refuse its sessions"
            );
        }
    }
}

/// Observes a key ring that cannot follow its file: counted at each check, logged once.
#[cfg(feature = "watch")]
pub(crate) fn not_reloaded(error: &impl Display, known: bool) {
    #[cfg(feature = "tracing")]
    if !known {
        tracing::error!(target: TARGET, %error, "the key file is broken, the key ring stays");
    }
    #[cfg(feature = "metrics")]
    count!("sealed_session_reloads_total", "result" => "failed").increment(1);
}

/// Observes an operation that a store failed to do.
#[cfg(feature = "store")]
#[cold]
pub(crate) fn store_failed(operation: &'static str, error: &impl Display) {
    #[cfg(feature = "tracing")]
    tracing::error!(target: TARGET, operation, %error, "the store failed");
    #[cfg(feature = "metrics")]
    count!("sealed_session_store_failures_total", "operation" => operation).increment(1);
}

/// Observes a file of which only what it takes back was taken. Why is told beside it.
#[cfg(feature = "watch")]
pub(crate) fn revoked(
    revoked: &impl Display,
    cutoff: Option<impl Display>,
    primary: Option<impl Display>,
) {
    #[cfg(feature = "metrics")]
    count!("sealed_session_reloads_total", "result" => "revoked").increment(1);
    #[cfg(feature = "tracing")]
    {
        let cutoff = cutoff.as_ref().map(tracing::field::display);
        let primary = primary.as_ref().map(tracing::field::display);
        tracing::warn!(
            target: TARGET, %revoked, cutoff, primary,
            "took back what the key file says, and nothing else of it"
        );
    }
}

/// Observes a ring without a key that may seal: logged and counted at each check.
#[cfg(feature = "watch")]
pub(crate) fn nothing_seals(error: &impl Display) {
    #[cfg(feature = "tracing")]
    tracing::error!(target: TARGET, %error, "no key may seal, so that no session can begin or change");
    #[cfg(feature = "metrics")]
    count!("sealed_session_reloads_total", "result" => "nothing_seals").increment(1);
}

/// Observes a server that removes blobs before their time when its memory is full.
#[cfg(feature = "store-redis")]
#[cold]
pub(crate) fn store_evicts(policy: &str) {
    #[cfg(feature = "tracing")]
    tracing::warn!(
        target: TARGET, policy,
        "the store evicts when its memory is full, and so logs users out; set maxmemory-policy noeviction"
    );
}

#[cfg(feature = "tracing")]
const TARGET: &str = "sealed_session";
