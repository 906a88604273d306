//! Two sessions: a login that lives for an hour, and a cart that lives for weeks. Each has a type, a name and timeouts
//! of its own, and together they keep to what the proxy takes.

use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use sealed_session::web::ChangeError;
use sealed_session::web::axum::{Session, SessionLayer};
use sealed_session::{Codec, ConfigError, KeyRing, Limits};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
pub struct Login {
    user: u64,
}

#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Cart {
    items: Vec<String>,
}

/// # Errors
///
/// If the two codecs together exceed what the proxy takes.
pub fn app(ring: &KeyRing) -> Result<Router, ConfigError> {
    const HOUR: Duration = Duration::from_secs(3600);
    const PROXY: Limits = Limits::UNMODIFIED_NGINX;
    let login = Codec::<Login>::builder(ring.clone())
        .name("__Host-login")
        .absolute_timeout(HOUR)
        .limits(PROXY.response_bytes(500).request_bytes(500))
        .build()?;
    let cart = Codec::<Cart>::builder(ring.clone())
        .name("__Host-cart")
        .absolute_timeout(24 * 30 * HOUR)
        .limits(PROXY.response_bytes(2500).request_bytes(2500))
        .build()?;
    PROXY.holds([login.limits(), cart.limits()])?;
    Ok(Router::new()
        .route("/", get(page))
        .route("/login", post(log_in))
        .route("/buy", post(buy))
        .route("/logout", post(log_out))
        .layer(SessionLayer::new(login))
        .layer(SessionLayer::new(cart)))
}

async fn page(login: Session<Login>, cart: Session<Cart>) -> String {
    let user = login.get().map_or("nobody".into(), |login| login.user.to_string());
    format!("{user}: {}", cart.get().map_or(0, |cart| cart.items.len()))
}

async fn log_in(login: Session<Login>) -> Result<(), ChangeError> {
    login.renew(Login { user: 7 })
}

async fn buy(cart: Session<Cart>) -> Result<(), ChangeError> {
    cart.change(|cart| cart.items.push("pen".into()))
}

async fn log_out(login: Session<Login>) -> Result<(), ChangeError> {
    login.clear() // the cart stays
}
