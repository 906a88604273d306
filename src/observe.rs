//! What operators see: events of `tracing` and counters of `metrics`, each behind its feature.
//!
//! The counters stand in `COUNTERS`, below.
//!
//! A label is never what a client sent: `key` is an id that stands in the ring, `unknown`, or `none` where no
//! key comes into it. Neither secrets nor sessions nor anything of a cookie are told. Without the two
//! features, all of this compiles to nothing.

// Some of what is told is for one of the two alone.
#![cfg_attr(not(all(feature = "tracing", feature = "metrics")), allow(unused_variables))]

use crate::error::{DecodeError, EncodeError};
#[cfg(feature = "watch")]
use crate::key::KeyId;
use crate::request::Remembered;
use crate::ring::Entry;

/// Gives a counter, after all of them were described to the recorder.
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
        for (name, what) in COUNTERS {
            metrics::describe_counter!(name, what);
        }
    });
}

#[cfg(feature = "metrics")]
const COUNTERS: [(&str, &str); 8] = [
    ("sealed_session_opened_total", "requests whose session was opened, by key"),
    (
        "sealed_session_refused_total",
        "requests whose session cookie gave no session, by reason and key",
    ),
    ("sealed_session_sealed_total", "sessions sealed for a response, by key and packing"),
    ("sealed_session_split_total", "of the sealed sessions, those in more than one cookie"),
    ("sealed_session_body_bytes_total", "bytes of the sealed sessions as serialized"),
    ("sealed_session_cookie_bytes_total", "characters of the sealed sessions in cookies"),
    ("sealed_session_not_sealed_total", "sessions that could not be sealed, by reason"),
    (
        "sealed_session_reloads_total",
        "changes of the key ring (reloaded) and looks at a broken key file (failed)",
    ),
];

/// Tells of a look at the session of a request.
#[inline]
pub(crate) fn opened(found: &Result<Option<Remembered>, DecodeError>) {
    #[cfg(any(feature = "tracing", feature = "metrics"))]
    match found {
        Ok(None) => {}
        Ok(Some(Remembered { key, .. })) => {
            #[cfg(feature = "tracing")]
            tracing::trace!(target: TARGET, %key, "opened a session");
            #[cfg(feature = "metrics")]
            count!("sealed_session_opened_total", "key" => key.to_string()).increment(1);
        }
        Err(error) => refused(error),
    }
}

#[cfg(any(feature = "tracing", feature = "metrics"))]
#[cold]
fn refused(error: &DecodeError) {
    use std::borrow::Cow;
    let reason = refusal(error);
    let key: Cow<'static, str> = match error {
        DecodeError::RetiredKey(id) | DecodeError::RevokedKey(id) => id.to_string().into(),
        // Its id is what a client sent.
        DecodeError::UnknownKey(_) => "unknown".into(),
        _ => "none".into(),
    };
    #[cfg(feature = "tracing")]
    match error {
        // What happens to every session in the end.
        DecodeError::Expired(_) => {
            tracing::debug!(target: TARGET, reason, %key, "refused a session");
        }
        _ => tracing::info!(target: TARGET, reason, %key, "refused a session"),
    }
    #[cfg(feature = "metrics")]
    count!("sealed_session_refused_total", "reason" => reason, "key" => key).increment(1);
}

/// Looks at a session that is about to be sealed, and gives what tells of it once it is. `message` is the
/// plaintext.
#[inline]
pub(crate) fn sealing<'k>(
    key: &'k Entry,
    body: usize,
    message: &[u8],
    cookies: u8,
) -> impl FnOnce() + use<'k> {
    #[cfg(any(feature = "tracing", feature = "metrics"))]
    let (chars, packing) = {
        use crate::pack::Method;
        let packing = match crate::envelope::Envelope::parse(message) {
            Ok((_, range)) if message.get(range.clone()).and_then(crate::pack::plain).is_some() => {
                "none"
            }
            Ok((envelope, _)) if envelope.method == Method::Deflate => "deflate",
            _ => "lz4",
        };
        (crate::text::encoded_len(message.len() + crate::seal::OVERHEAD), packing)
    };
    move || {
        #[cfg(feature = "tracing")]
        tracing::debug!(target: TARGET, key = %key.id, packing, body, chars, cookies, "sealed a session");
        #[cfg(feature = "metrics")]
        {
            let wide = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
            let key = key.id.to_string();
            count!("sealed_session_sealed_total", "key" => key, "packing" => packing).increment(1);
            if cookies > 1 {
                count!("sealed_session_split_total").increment(1);
            }
            count!("sealed_session_body_bytes_total").increment(wide(body));
            count!("sealed_session_cookie_bytes_total").increment(wide(chars));
        }
    }
}

/// Tells of a session that could not be sealed.
#[inline]
pub(crate) fn not_sealed(error: &EncodeError) {
    #[cfg(any(feature = "tracing", feature = "metrics"))]
    {
        let reason = match error {
            EncodeError::TooLarge(_) => "too_large",
            EncodeError::WouldReplace(_) => "would_replace",
            EncodeError::Ended(_) => "ended",
            EncodeError::NoActiveKey => "no_active_key",
            EncodeError::Serialize(_) => "serialize",
            EncodeError::Random(_) => "random",
        };
        #[cfg(feature = "tracing")]
        match error {
            EncodeError::WouldReplace(_) | EncodeError::Ended(_) => {
                tracing::info!(target: TARGET, reason, "did not seal a session");
            }
            EncodeError::TooLarge(too_large) => {
                let (needed, allowed) = (too_large.needed, too_large.allowed);
                tracing::warn!(target: TARGET, reason, needed, allowed, "did not seal a session");
            }
            _ => tracing::error!(target: TARGET, reason, "did not seal a session"),
        }
        #[cfg(feature = "metrics")]
        count!("sealed_session_not_sealed_total", "reason" => reason).increment(1);
    }
}

/// Tells of a key ring that follows its file.
#[cfg(feature = "watch")]
pub(crate) fn reloaded(
    primary: Option<KeyId>,
    keys: usize,
    added: &[KeyId],
    removed: &[KeyId],
    revoked: &[KeyId],
) {
    #[cfg(feature = "metrics")]
    count!("sealed_session_reloads_total", "result" => "reloaded").increment(1);
    #[cfg(feature = "tracing")]
    {
        use crate::watch::{List, unannounced};
        let late = unannounced(primary, added);
        let primary = primary.map(tracing::field::display);
        let (added, removed, revoked) = (List(added), List(removed), List(revoked));
        tracing::info!(target: TARGET, primary, keys, %added, %removed, %revoked, "reloaded the key ring");
        if late {
            tracing::warn!(
                target: TARGET, primary,
                "the key that seals was not announced to this node; if others do not have it, they refuse its sessions"
            );
        }
    }
}

/// Tells of a key ring that cannot follow its file: counted at each look, logged once.
#[cfg(feature = "watch")]
pub(crate) fn not_reloaded(error: &crate::key_file::KeyFileError, known: bool) {
    #[cfg(feature = "tracing")]
    if !known {
        tracing::error!(target: TARGET, %error, "the key file is broken, the key ring stays");
    }
    #[cfg(feature = "metrics")]
    count!("sealed_session_reloads_total", "result" => "failed").increment(1);
}

#[cfg(any(feature = "tracing", feature = "metrics"))]
fn refusal(error: &DecodeError) -> &'static str {
    use crate::error::Expiry;
    match error {
        DecodeError::Malformed => "malformed",
        DecodeError::UnsupportedVersion(_) => "unsupported_version",
        DecodeError::UnknownKey(_) => "unknown_key",
        DecodeError::RetiredKey(_) => "retired_key",
        DecodeError::RevokedKey(_) => "revoked_key",
        DecodeError::Unauthentic => "unauthentic",
        DecodeError::MissingChunk => "missing_chunk",
        DecodeError::MixedChunks => "mixed_chunks",
        DecodeError::TooManyChunks(_) => "too_many_chunks",
        DecodeError::Expired(Expiry::Absolute) => "expired_absolute",
        DecodeError::Expired(Expiry::Idle) => "expired_idle",
        DecodeError::FromFuture { .. } => "from_future",
        DecodeError::UnsupportedFormat => "unsupported_format",
        DecodeError::NewerSchema { .. } => "newer_schema",
        DecodeError::NoMigration { .. } => "no_migration",
        DecodeError::Deserialize(_) => "deserialize",
        DecodeError::Message => "message",
        DecodeError::OtherCodec => "other_codec",
    }
}

#[cfg(feature = "tracing")]
const TARGET: &str = "sealed_session";
