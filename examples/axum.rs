//! A shop in axum: login, cart and logout, with the session in the visitor's cookie.
//!
//! ```sh
//! export SEALED_SESSION_KEYS=$(cargo run --features cli -- keygen)
//! cargo run --features axum --example axum
//! ```
//!
//! It answers at <http://localhost:3000>, from where browsers take `Secure` cookies too.

use axum::response::{Html, Redirect};
use axum::routing::{get, post};
use axum::{Form, Router};
use sealed_session::web::tower::SessionLayer;
use sealed_session::web::{ChangeError, Session};
use sealed_session::{Codec, KeyRing};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Shop {
    user: Option<String>,
    cart: Vec<String>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let codec = Codec::new(KeyRing::from_env()?);
    Ok(serve(TcpListener::bind("127.0.0.1:3000").await?, codec).await?)
}

pub(crate) async fn serve(listener: TcpListener, codec: Codec<Shop>) -> std::io::Result<()> {
    let app = Router::new()
        .route("/", get(show))
        .route("/login", post(login))
        .route("/cart/add", post(add))
        .route("/cart/drop", post(drop_last))
        .route("/logout", post(logout))
        .layer(SessionLayer::new(codec));
    axum::serve(listener, app).await
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
