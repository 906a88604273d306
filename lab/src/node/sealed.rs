//! Sessions in sealed cookies: all that the application does with this crate.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use sealed_session::revocation::{RedisFeed, Revocations, SubjectTag, WhenStale};
use sealed_session::store::RedisStore;
use sealed_session::web::Session;
use sealed_session::web::tower::SessionLayer;
use sealed_session::{Builder, Codec, KeySource, Limits, Watcher};

use super::{Answer, Carrier, Shop, shop, unavailable};
use crate::Result;

/// Returns a codec with the keys of this file, which is watched as long as the node runs.
pub(super) fn codec<S: Shop>(keys: &str) -> Result<Builder<S>> {
    let watcher = Watcher::new(KeySource::file(keys))?.every(Duration::from_millis(500));
    let codec = Codec::builder(watcher.ring());
    std::mem::forget(watcher.spawn(|event| eprintln!("{event}"))?);
    Ok(codec)
}

/// Where more than one cookie is needed, `split` is given, and the proxy has longer buffers.
pub(super) fn routes<S: Shop>(name: &Arc<str>, arguments: &[&str]) -> Result<Router> {
    let codec = match arguments {
        [keys] => codec::<S>(keys)?,
        [keys, "split"] => codec(keys)?.limits(Limits::NGINX_PROXY_BUFFER_16K),
        _ => return Err("usage: … sealed KEYS [split]".into()),
    };
    Ok(shop::<Session<S>>(name).layer(SessionLayer::new(codec.build()?)))
}

/// A logout ends the session on all nodes; if Redis is away, sessions are served by what is known.
pub(super) fn revocable<S: Shop>(name: &Arc<str>, arguments: &[&str]) -> Result<Router> {
    let [keys, url] = arguments else { return Err("usage: … revocable KEYS URL".into()) };
    let revocations = Revocations::new(Duration::from_secs(7 * 86_400));
    let feed = RedisFeed::new(url, WhenStale::Serve)?.spawn(&revocations)?;
    if !feed.wait(Duration::from_secs(10)) {
        eprintln!("no revocations yet: {:?}", feed.status());
    }
    std::mem::forget(feed);
    let codec = codec::<S>(keys)?.revocations(revocations, |_| None::<SubjectTag>);
    Ok(shop::<Session<S>>(name).layer(SessionLayer::new(codec.build()?)))
}

/// What does not fit into a cookie is in Redis; only the cookie has the key to it.
pub(super) fn overflow<S: Shop>(name: &Arc<str>, arguments: &[&str]) -> Result<Router> {
    let [keys, url] = arguments else { return Err("usage: … overflow KEYS URL".into()) };
    let codec = codec::<S>(keys)?.overflow(RedisStore::new(url)?);
    Ok(shop::<Session<S>>(name).layer(SessionLayer::new(codec.build()?)))
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
