//! Sessions in sealed cookies: all that the application does with this crate.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use sealed_session::web::Session;
use sealed_session::web::tower::SessionLayer;
use sealed_session::{Codec, KeySource, Limits, Watcher};

use super::{Answer, Carrier, Shop, shop, unavailable};
use crate::Result;

/// Where more than one cookie is needed, `split` is given, and the proxy has longer buffers.
pub(super) fn codec<S: Shop>(keys: &str, split: bool) -> Result<Codec<S>> {
    let watcher = Watcher::new(KeySource::file(keys))?.every(Duration::from_millis(500));
    let limits = if split { Limits::NGINX_PROXY_BUFFER_16K } else { Limits::default() };
    let codec = Codec::builder(watcher.ring()).limits(limits).build()?;
    // The node watches its keys as long as it runs.
    std::mem::forget(watcher.spawn(|event| eprintln!("{event}"))?);
    Ok(codec)
}

pub(super) fn routes<S: Shop>(name: &Arc<str>, arguments: &[&str]) -> Result<Router> {
    let (keys, split) = match arguments {
        [keys] => (keys, false),
        [keys, "split"] => (keys, true),
        _ => return Err("usage: … sealed KEYS [split]".into()),
    };
    Ok(shop::<Session<S>>(name).layer(SessionLayer::new(codec::<S>(keys, split)?)))
}

impl<S: Shop> Carrier for Session<S> {
    type Shop = S;

    async fn load(&self) -> Answer<Option<S>> {
        Ok(Self::get(self).map(Arc::unwrap_or_clone))
    }

    async fn begin(&self, shop: S) -> Answer<()> {
        self.renew(shop).map_err(unavailable)
    }

    async fn store(&self, shop: S) -> Answer<()> {
        self.set(shop).map_err(unavailable)
    }

    async fn end(&self) -> Answer<()> {
        self.clear().map_err(unavailable)
    }
}
