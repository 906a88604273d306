//! Sessions whose body lies in a store, and values beside a session: fetched before a handler runs or when it asks, and
//! stored before the head of the response is written.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::TARGET;
use super::before::{Before, Outcome};
use super::installed::LayerError;
use super::session::Session;
use crate::store::BlobError;
use crate::{Attached, Codec, DecodeError, SetCookies};

impl<T: Serialize + DeserializeOwned + 'static> Session<T> {
    /// Fetches the session, if it lies in the store of the codec. The extractors do this; after `tower::session` and
    /// `actix::SessionExt` call it yourself. Nothing happens where the session is in its cookies.
    ///
    /// # Errors
    ///
    /// [`LayerError`] if the store does not answer: as a response, status 503 with `Retry-After: 1`. The user is logged in
    /// still, and the cookie is left alone.
    pub async fn fetch(&self) -> Result<(), LayerError> {
        let codec = self.codec();
        if !codec.has_store() {
            return Ok(());
        }
        // It is opened once, and not looked at yet.
        let Some(fetch) = self.shared().open_ahead(|request| match codec.decode(request) {
            Err(DecodeError::Blob(BlobError::NotFetched(_))) => Err(codec.fetch(request)),
            opened => Ok(opened),
        }) else {
            return Ok(());
        };
        let fetched = fetch.await;
        self.shared()
            .open_ahead(|request| Ok::<_, Option<()>>(codec.decode_with(request, fetched)));
        match self.shared().opened_ahead() {
            Some(DecodeError::Blob(BlobError::Unavailable(_))) => {
                // The response depends on the session.
                drop(self.opened());
                Err(LayerError::store_unavailable(codec.name()))
            }
            _ => Ok(()),
        }
    }

    /// Fetches a value that lies beside the session; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`LoadError`]. The session itself is none the worse.
    pub async fn load<B: DeserializeOwned>(
        &self,
        attached: &Attached<B>,
    ) -> Result<Option<Arc<B>>, LoadError> {
        let loaded = self.codec().load(attached).await;
        loaded.map_err(LoadError)
    }
}

/// The reason why a value beside the session was not had.
///
/// As a response it has no body; the reason is in the log already. Where the store does not answer it is a 503 with
/// `Retry-After: 1`. Else the value is lost, as after a flush of the store, and the response is a 500: better ask
/// [`is_lost`](Self::is_lost) and send the user where the value comes from, to the login, say.
#[derive(Debug, Clone)]
pub struct LoadError(DecodeError);

impl LoadError {
    /// Returns whether the value is lost: no later request will have it.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        !self.0.is_readable_elsewhere()
    }

    /// Returns the reason, for the log.
    #[must_use]
    pub fn reason(&self) -> &DecodeError {
        &self.0
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

/// Returns what has to happen in the store before these cookies are sent. `asked` is whether a handler wanted them.
pub(super) fn before<T: Serialize + DeserializeOwned + 'static>(
    codec: &Codec<T>,
    set_cookies: &SetCookies,
    asked: bool,
) -> Option<Before> {
    let store = codec.store(set_cookies)?;
    let cookie = codec.name().to_owned();
    Some(Box::pin(async move {
        match store.await {
            Ok(()) => Outcome::Send,
            Err(error) if asked => {
                tracing::error!(target: TARGET, cookie, "a changed session could not be stored: {error}");
                Outcome::Refuse
            }
            // Nobody asked for it, so the response does not depend on it.
            Err(_) => Outcome::WithoutCookies,
        }
    }))
}
