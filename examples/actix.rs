//! A shop in actix-web: login, cart and logout, with the session in the visitor's cookie.
//!
//! ```sh
//! export SEALED_SESSION_KEYS=$(cargo run --features cli -- keygen)
//! cargo run --features actix-web --example actix
//! ```
//!
//! It answers at <http://localhost:3000>, from where browsers take `Secure` cookies too.

use std::net::TcpListener;

use actix_web::web::{Form, Html, Redirect, get, post};
use actix_web::{App, HttpServer};
use sealed_session::web::actix::SessionMiddleware;
use sealed_session::web::{ChangeError, Session};
use sealed_session::{Codec, KeyRing};
use serde::{Deserialize, Serialize};

#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Shop {
    user: Option<String>,
    cart: Vec<String>,
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let codec = Codec::new(KeyRing::from_env()?);
    Ok(serve(TcpListener::bind("127.0.0.1:3000")?, codec).await?)
}

pub(crate) async fn serve(listener: TcpListener, codec: Codec<Shop>) -> std::io::Result<()> {
    let app = move || {
        App::new()
            .wrap(SessionMiddleware::new(codec.clone()))
            .route("/", get().to(show))
            .route("/login", post().to(login))
            .route("/cart/add", post().to(add))
            .route("/cart/drop", post().to(drop_last))
            .route("/logout", post().to(logout))
    };
    HttpServer::new(app).listen(listener)?.run().await
}

async fn show(session: Session<Shop>) -> Html {
    let shop = session.get().unwrap_or_default();
    let user = escape(shop.user.as_deref().unwrap_or("nobody"));
    let cart: String = shop.cart.iter().map(|item| format!("<li>{}", escape(item))).collect();
    Html::new(format!(
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

async fn login(session: Session<Shop>, form: Form<Login>) -> Result<Redirect, ChangeError> {
    // Check a password here. Then begin anew, and take along what the visitor may keep.
    let cart = session.get().map(|shop| shop.cart.clone()).unwrap_or_default();
    session.renew(Shop { user: Some(form.into_inner().user), cart })?;
    Ok(Redirect::to("/").see_other())
}

#[derive(Deserialize)]
struct Add {
    item: String,
}

async fn add(session: Session<Shop>, form: Form<Add>) -> Result<Redirect, ChangeError> {
    session.change(|shop| shop.cart.push(form.into_inner().item))?;
    Ok(Redirect::to("/").see_other())
}

async fn drop_last(session: Session<Shop>) -> Result<Redirect, ChangeError> {
    session.change(|shop| shop.cart.pop())?;
    Ok(Redirect::to("/").see_other())
}

async fn logout(session: Session<Shop>) -> Result<Redirect, ChangeError> {
    session.clear()?;
    Ok(Redirect::to("/").see_other())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
