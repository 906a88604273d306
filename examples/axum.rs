//! A shop in axum: login, cart and logout, with the session in the visitor's cookie.
//!
//! ```sh
//! cargo run --features cli -- ring init --keys keys.toml
//! cargo run --features axum,watch --example axum
//! ```
//!
//! It answers at <http://localhost:3000>, from where browsers take `Secure` cookies too. Orchestrators ask `/health` and
//! `/ready`.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{Html, Redirect};
use axum::routing::{get, post};
use axum::{Form, Router};
use sealed_session::web::tower::SessionLayer;
use sealed_session::web::{ChangeError, Session};
use sealed_session::{Codec, KeyRing, KeySource, Watcher};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Shop {
    user: Option<String>,
    cart: Vec<String>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::var_os("SEALED_SESSION_KEY_FILE").unwrap_or("keys.toml".into());
    let watcher = Watcher::new(KeySource::file(path))?;
    let codec = Codec::new(watcher.ring());
    let watch = Arc::new(watcher.spawn(|event| eprintln!("{event}"))?);
    // The file is read every 10 seconds.
    let alive = move || watch.last_check().elapsed() < Duration::from_secs(60);
    let app = shop(codec.clone()).merge(probes(codec.ring().clone(), alive));
    Ok(axum::serve(TcpListener::bind("127.0.0.1:3000").await?, app).await?)
}

/// What an orchestrator asks: `/health` fails if this node should be started anew, because it does not follow its key file
/// any more; `/ready` fails as long as it should get no requests, because no key may seal.
fn probes(ring: KeyRing, alive: impl Fn() -> bool + Clone + Send + Sync + 'static) -> Router {
    let status = |good| if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let health = move || std::future::ready(status(alive()));
    let ready = move || std::future::ready(status(ring.primary().is_some()));
    Router::new().route("/health", get(health)).route("/ready", get(ready))
}

pub(crate) fn shop(codec: Codec<Shop>) -> Router {
    Router::new()
        .route("/", get(show))
        .route("/login", post(login))
        .route("/cart/add", post(add))
        .route("/cart/drop", post(drop_last))
        .route("/logout", post(logout))
        .layer(SessionLayer::new(codec))
}

async fn show(session: Session<Shop>) -> Html<String> {
    let shop = session.get().unwrap_or_default();
    let user = escape(shop.user.as_deref().unwrap_or("nobody"));
    let cart: String = shop.cart.iter().map(|item| format!("<li>{}", escape(item))).collect();
    Html(format!(
        r#"<!doctype html><title>Shop</title><p>Hello, <b>{user}</b>. Your cart:<ul>{cart}</ul>
        <form method=post action=cart/add><input name=item><button>Add</button></form>
        <form method=post action=cart/drop><button>Drop the last</button></form>
        <form method=post action=login><input name=user><button>Log in</button></form>
        <form method=post action=logout><button>Log out</button></form>"#
    ))
}

#[derive(Deserialize)]
struct Login {
    user: String,
}

async fn login(
    session: Session<Shop>,
    Form(Login { user }): Form<Login>,
) -> Result<Redirect, ChangeError> {
    // Check a password here. Then begin anew, and take along what the visitor may keep.
    let cart = session.get().map(|shop| shop.cart.clone()).unwrap_or_default();
    session.renew(Shop { user: Some(user), cart })?;
    Ok(Redirect::to("/"))
}

#[derive(Deserialize)]
struct Add {
    item: String,
}

async fn add(
    session: Session<Shop>,
    Form(Add { item }): Form<Add>,
) -> Result<Redirect, ChangeError> {
    session.change(|shop| shop.cart.push(item))?;
    Ok(Redirect::to("/"))
}

async fn drop_last(session: Session<Shop>) -> Result<Redirect, ChangeError> {
    session.change(|shop| shop.cart.pop())?;
    Ok(Redirect::to("/"))
}

async fn logout(session: Session<Shop>) -> Result<Redirect, ChangeError> {
    session.clear()?;
    Ok(Redirect::to("/"))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::SystemTime;

    use axum::body::Body;
    use axum::http::Request;
    use sealed_session::{Key, RingKey};
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn the_probes_tell_whether_the_watch_works_and_a_key_seals() {
        static ALIVE: AtomicBool = AtomicBool::new(true);
        let ring = KeyRing::from(Key::generate().unwrap());
        let codec = Codec::new(ring.clone());
        let app = shop(codec).merge(probes(ring.clone(), || ALIVE.load(Ordering::Relaxed)));
        let ask = async |path| {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let response = app.clone().oneshot(request).await.unwrap();
            assert!(response.headers().get("set-cookie").is_none());
            response.status().as_u16()
        };
        assert_eq!((ask("/health").await, ask("/ready").await, ask("/").await), (200, 200, 200));
        ALIVE.store(false, Ordering::Relaxed);
        assert_eq!((ask("/health").await, ask("/ready").await), (503, 200));
        let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
        ring.replace([RingKey::new(Key::generate().unwrap()).activates(tomorrow)]).unwrap();
        assert_eq!(ask("/ready").await, 503);
    }
}
