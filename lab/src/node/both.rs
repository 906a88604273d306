//! On the way from a store to sealed cookies: both at once, in two phases.
//!
//! Nodes of two phases always run at once, so each phase keeps what the one before it reads, and reads
//! what the one after it writes. A phase lasts for as long as a session may rest: after that, no cookie is left
//! that a node of the phase before should have brought up to date, or removed, and could not.

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use sealed_session::web::Session;
use sealed_session::web::tower::SessionLayer;

use super::stored::{self, Stored};
use super::{Answer, Carrier, Shop, sealed, shop, unavailable};
use crate::Result;

pub(super) async fn routes<S: Shop>(name: &Arc<str>, arguments: &[&str]) -> Result<Router> {
    let [phase, keys, url] = arguments else { return Err("usage: … both PHASE KEYS URL".into()) };
    let store = stored::redis(url).await?;
    let ours = SessionLayer::new(sealed::codec::<S>(keys)?.build()?);
    let router = match *phase {
        "store-first" => shop::<Both<S, false>>(name),
        "cookie-first" => shop::<Both<S, true>>(name),
        _ => return Err(format!("no phase {phase}").into()),
    };
    Ok(router.layer(ours).layer(stored::layer(store)))
}

/// Writes to both. Reads from the one that is true in this phase; the other one is brought up to it.
struct Both<S, const COOKIE_FIRST: bool> {
    cookie: Session<S>,
    store: Stored<S>,
}

impl<S: Shop, const COOKIE_FIRST: bool> FromRequestParts<Arc<str>> for Both<S, COOKIE_FIRST> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<str>) -> Answer<Self> {
        let cookie = Session::from_request_parts(parts, state).await;
        let store = Stored::from_request_parts(parts, state).await;
        Ok(Self {
            cookie: cookie.map_err(IntoResponse::into_response)?,
            store: store.map_err(IntoResponse::into_response)?,
        })
    }
}

impl<S: Shop, const COOKIE_FIRST: bool> Carrier for Both<S, COOKIE_FIRST> {
    type Shop = S;

    async fn load(&self) -> Answer<Option<S>> {
        let cookie = Carrier::load(&self.cookie).await?;
        if COOKIE_FIRST && cookie.is_some() {
            return Ok(cookie);
        }
        // A user whose session no node has put into a cookie yet, or has since changed in the store alone.
        let stored = self.store.load().await?;
        match (&stored, cookie) {
            (Some(shop), cookie) if Some(shop) != cookie.as_ref() => {
                self.cookie.renew(shop.clone()).map_err(unavailable)?;
            }
            // A logout at a node that knows nothing of the cookie.
            (None, Some(_)) => self.cookie.clear().map_err(unavailable)?,
            _ => {}
        }
        Ok(stored)
    }

    async fn begin(&self, shop: S) -> Answer<()> {
        self.store.begin(shop.clone()).await?;
        self.cookie.begin(shop).await
    }

    async fn store(&self, shop: S) -> Answer<()> {
        self.store.store(shop.clone()).await?;
        self.cookie.store(shop).await
    }

    async fn end(&self) -> Answer<()> {
        self.store.end().await?;
        self.cookie.end().await
    }
}
