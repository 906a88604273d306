//! Which codecs provide sessions to a request, and whether they fit each other.

use std::any::{Any, TypeId, type_name};
use std::error::Error;
use std::sync::Arc;
use std::{fmt, iter};

use super::TARGET;
use super::settings::Settings;
use crate::Codec;

/// The codecs that provide sessions to a request, the innermost first.
#[derive(Clone)]
pub(super) struct Installed {
    codec: Arc<dyn Provider>,
    outer: Option<Arc<Installed>>,
    fault: Option<LayerError>,
}

impl Installed {
    /// Adds a codec to those of the middlewares around. `None` if it is one of them.
    pub(super) fn with<T: 'static>(
        outer: Option<&Self>,
        settings: &Arc<Settings<T>>,
    ) -> Option<Self> {
        let provider: Arc<dyn Provider> = settings.clone();
        let mut fault = outer.and_then(|outer| outer.fault);
        for Self { codec: other, .. } in iter::successors(outer, |one| one.outer.as_deref()) {
            let same = other.as_any().downcast_ref::<Settings<T>>();
            let same = same.filter(|other| Codec::ptr_eq(&other.codec, &settings.codec));
            if same.is_some_and(|other| other.same_rules(settings)) {
                return None;
            }
            if same.is_some() {
                fault = Some(LayerError(Fault::SameCodec(provider.session().1)));
            } else if other.session().0 == provider.session().0 {
                fault = Some(LayerError(Fault::SameSession(provider.session().1)));
            } else if other.cookie() == provider.cookie() {
                fault =
                    Some(LayerError(Fault::SameCookie(other.session().1, provider.session().1)));
            }
        }
        Some(Self { codec: provider, outer: outer.cloned().map(Arc::new), fault })
    }

    /// Returns whether the sessions of this request can be told apart.
    pub(super) fn check(installed: Option<&Self>) -> Result<(), LayerError> {
        match installed.and_then(|installed| installed.fault) {
            Some(fault) => Err(fault.logged()),
            None => Ok(()),
        }
    }
}

/// A codec, whatever its sessions are.
trait Provider: Send + Sync {
    fn cookie(&self) -> &str;
    fn session(&self) -> (TypeId, &'static str);
    fn as_any(&self) -> &dyn Any;
}

impl<T: 'static> Provider for Settings<T> {
    fn cookie(&self) -> &str {
        self.codec.name()
    }

    fn session(&self) -> (TypeId, &'static str) {
        (TypeId::of::<T>(), type_name::<T>())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The error that the middlewares do not provide the session that was asked for: there is none for it, or two
/// that cannot be told apart. Both are faults in the program, and show at the first request that asks.
///
/// As a response it is a status 500 without a body. The log says how to mend it. Where the session lies in a store that
/// does not answer, it is a status 503 with `Retry-After: 1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerError(Fault);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Absent {
        session: &'static str,
        middleware: &'static str,
    },
    SameSession(&'static str),
    SameCodec(&'static str),
    SameCookie(&'static str, &'static str),
    #[cfg(feature = "store")]
    StoreUnavailable,
    #[cfg(feature = "revocation")]
    RevocationsStale,
}

impl LayerError {
    /// Creates the error of a store that does not answer.
    #[cfg(feature = "store")]
    pub(super) fn store_unavailable(cookie: &str) -> Self {
        let error = Self(Fault::StoreUnavailable);
        tracing::error!(target: TARGET, cookie, "{error}");
        error
    }

    /// Creates the error of revocations that are not known at present.
    #[cfg(feature = "revocation")]
    pub(super) fn revocations_stale(cookie: &str) -> Self {
        let error = Self(Fault::RevocationsStale);
        // That the feed is lost was told once, and is no news at each request.
        tracing::debug!(target: TARGET, cookie, "{error}");
        error
    }

    /// Returns whether the request may be luckier in a moment: answer it with 503. Else the program is at fault.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self.0 {
            #[cfg(feature = "store")]
            Fault::StoreUnavailable => true,
            #[cfg(feature = "revocation")]
            Fault::RevocationsStale => true,
            _ => false,
        }
    }

    pub(super) fn absent<T>(middleware: &'static str) -> Self {
        Self(Fault::Absent { session: type_name::<T>(), middleware }).logged()
    }

    fn logged(self) -> Self {
        tracing::error!(target: TARGET, "{self}");
        self
    }
}

impl fmt::Display for LayerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Fault::Absent { session, middleware } => write!(
                f,
                "no session of type {session} is provided here; wrap this route in \
                 {middleware}::new(codec), with a Codec<{session}>"
            ),
            Fault::SameSession(session) => write!(
                f,
                "two codecs provide a session of type {session} here; give one of them a type of its own \
                 (a newtype), or clone one codec for both"
            ),
            Fault::SameCodec(session) => write!(
                f,
                "the codec of {session} is installed twice here, with different rules: the outer one would leave \
                 the rules of the inner one out; clone the middleware, or give the routes codecs of their own"
            ),
            Fault::SameCookie(one, other) => write!(
                f,
                "the sessions of types {one} and {other} are in cookies of one name; give one of their \
                 codecs another, by Builder::name"
            ),
            #[cfg(feature = "revocation")]
            Fault::RevocationsStale => f.write_str(
                "it is not known at present which sessions are revoked; the cookie is left alone",
            ),
            #[cfg(feature = "store")]
            Fault::StoreUnavailable => f.write_str(
                "the session lies in a store that does not answer; the cookie is left alone",
            ),
        }
    }
}

impl Error for LayerError {}
