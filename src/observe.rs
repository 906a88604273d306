//! What operators see: events of `tracing` and counters of `metrics`, each behind its feature.
//!
//! | counter | labels | counts |
//! |---|---|---|
//! | `sealed_session_opened_total` | `key` | requests whose session was opened |
//! | `sealed_session_refused_total` | `reason`, `key` | requests whose session cookie gave no session |
//! | `sealed_session_sealed_total` | `key`, `packing` | sessions sealed for a response |
//! | `sealed_session_split_total` | | of those, the ones in more than one cookie |
//! | `sealed_session_body_bytes_total` | | their bytes as serialized |
//! | `sealed_session_cookie_bytes_total` | | their characters in cookies |
//! | `sealed_session_not_sealed_total` | `reason` | sessions that could not be sealed |
//! | `sealed_session_reloads_total` | `result` | `reloaded`: the key ring changed; `failed`: each look at a broken key file |
//!
//! A label is never what a client sent: `key` is an id that stands in the ring, `unknown`, or `none` where no
//! key comes into it. Neither secrets nor sessions nor anything of a cookie are told. Without the two
//! features, all of this compiles to nothing.

#![cfg_attr(not(any(feature = "tracing", feature = "metrics")), expect(unused_variables))]

use crate::error::{DecodeError, EncodeError};
use crate::request::Remembered;
use crate::ring::Entry;

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
            metrics::counter!("sealed_session_opened_total", "key" => key.to_string()).increment(1);
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
    metrics::counter!("sealed_session_refused_total", "reason" => reason, "key" => key)
        .increment(1);
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
            metrics::counter!("sealed_session_sealed_total", "key" => key, "packing" => packing)
                .increment(1);
            if cookies > 1 {
                metrics::counter!("sealed_session_split_total").increment(1);
            }
            metrics::counter!("sealed_session_body_bytes_total").increment(wide(body));
            metrics::counter!("sealed_session_cookie_bytes_total").increment(wide(chars));
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
        metrics::counter!("sealed_session_not_sealed_total", "reason" => reason).increment(1);
    }
}

/// Tells of a key ring that follows its file.
#[cfg(feature = "watch")]
pub(crate) fn reloaded(keys: usize) {
    #[cfg(feature = "tracing")]
    tracing::info!(target: TARGET, keys, "reloaded the key ring");
    #[cfg(feature = "metrics")]
    metrics::counter!("sealed_session_reloads_total", "result" => "reloaded").increment(1);
}

/// Tells of a key ring that cannot follow its file: counted at each look, logged once.
#[cfg(feature = "watch")]
pub(crate) fn not_reloaded(error: &crate::key_file::KeyFileError, known: bool) {
    #[cfg(feature = "tracing")]
    if !known {
        tracing::error!(target: TARGET, %error, "the key file is broken, the key ring stays");
    }
    #[cfg(feature = "metrics")]
    metrics::counter!("sealed_session_reloads_total", "result" => "failed").increment(1);
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
