//! Sessions in a store, and an id in the cookie: tower-sessions, in memory or in Redis.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use tower_sessions::cookie::time::Duration as Span;
use tower_sessions::{Expiry, MemoryStore, Session, SessionManagerLayer, SessionStore};
use tower_sessions_redis_store::RedisStore;
use tower_sessions_redis_store::fred::prelude::{
    Builder, ClientLike, Config, Pool, ReconnectPolicy,
};

use super::{Answer, Carrier, Shop, shop, unavailable};
use crate::Result;

const KEY: &str = "shop";

pub(super) fn layer<Store: SessionStore>(store: Store) -> SessionManagerLayer<Store> {
    SessionManagerLayer::new(store).with_expiry(Expiry::OnInactivity(Span::minutes(30)))
}

/// Connects to Redis, with limits of time: by default, fred waits for ever.
pub(super) async fn redis(url: &str) -> Result<RedisStore<Pool>> {
    let pool = Builder::from_config(Config::from_url(url)?)
        .with_connection_config(|config| {
            config.connection_timeout = Duration::from_secs(1);
            config.internal_command_timeout = Duration::from_secs(1);
        })
        .with_performance_config(|config| config.default_command_timeout = Duration::from_secs(1))
        .set_policy(ReconnectPolicy::new_constant(0, 200))
        .build_pool(2)?;
    pool.init().await?;
    Ok(RedisStore::new(pool))
}

pub(super) fn in_memory<S: Shop>(name: &Arc<str>) -> Router {
    shop::<Stored<S>>(name).layer(layer(MemoryStore::default()))
}

pub(super) async fn in_redis<S: Shop>(name: &Arc<str>, arguments: &[&str]) -> Result<Router> {
    let [url] = arguments else { return Err("usage: … redis URL".into()) };
    Ok(shop::<Stored<S>>(name).layer(layer(redis(url).await?)))
}

pub(super) struct Stored<S>(Session, PhantomData<S>);

impl<S: Shop> FromRequestParts<Arc<str>> for Stored<S> {
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(
        parts: &mut Parts,
        state: &Arc<str>,
    ) -> std::result::Result<Self, Self::Rejection> {
        Ok(Self(Session::from_request_parts(parts, state).await?, PhantomData))
    }
}

impl<S: Shop> Carrier for Stored<S> {
    type Shop = S;

    async fn load(&self) -> Answer<Option<S>> {
        self.0.get(KEY).await.map_err(unavailable)
    }

    async fn begin(&self, shop: S) -> Answer<()> {
        self.0.cycle_id().await.map_err(unavailable)?;
        self.store(shop).await
    }

    async fn store(&self, shop: S) -> Answer<()> {
        self.0.insert(KEY, shop).await.map_err(unavailable)
    }

    async fn end(&self) -> Answer<()> {
        self.0.flush().await.map_err(unavailable)
    }
}
