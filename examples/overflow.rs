//! A login whose tokens are too large for a cookie: they lie in a directory, sealed, and only the page that needs them
//! asks for them.
//!
//! ```sh
//! export SEALED_SESSION_KEYS=$(cargo run --features cli -- keygen)
//! cargo run --features axum,store --example overflow
//! ```
//!
//! It answers at <http://localhost:3000>. Look into `target/sessions` meanwhile, and remove what is there: the login stays.

use axum::Router;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use sealed_session::store::DirectoryStore;
use sealed_session::web::tower::SessionLayer;
use sealed_session::web::{ChangeError, Session};
use sealed_session::{Attached, Codec, KeyRing};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

#[derive(Clone, Default, Serialize, Deserialize)]
struct Login {
    user: Option<String>,
    #[serde(default)]
    tokens: Attached<Tokens>,
}

/// What an OpenID Connect provider gives.
#[derive(Serialize, Deserialize)]
struct Tokens {
    access: String,
    refresh: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // With nodes on several machines: RedisStore::new("redis://…")?, feature `store-redis`.
    std::fs::create_dir_all("target/sessions")?; // the store makes no directory, lest a typo be an empty store
    let store = DirectoryStore::open("target/sessions")?;
    let codec = Codec::<Login>::builder(KeyRing::from_env()?).overflow(store).build()?;
    let app = Router::new()
        .route("/", get(show))
        .route("/login", post(login))
        .route("/refresh", post(refresh))
        .route("/calendar", get(calendar))
        .route("/logout", post(logout))
        .layer(SessionLayer::new(codec));
    axum::serve(TcpListener::bind("127.0.0.1:3000").await?, app).await?;
    Ok(())
}

/// A page that needs no token: no store is asked for it.
async fn show(session: Session<Login>) -> Html<String> {
    let user = session.get().and_then(|login| login.user.clone()).unwrap_or("nobody".into());
    Html(format!(
        r#"<!doctype html><title>Tokens</title><p>Hello, <b>{user}</b>. <a href=calendar>Your calendar</a>
        <form method=post action=login><button>Log in</button></form>
        <form method=post action=refresh><button>Refresh the tokens</button></form>
        <form method=post action=logout><button>Log out</button></form>"#
    ))
}

/// Where the provider sends the user back to, in a real application.
async fn login(session: Session<Login>) -> Result<Redirect, ChangeError> {
    let tokens =
        Tokens { access: "an access token ".repeat(400), refresh: "a refresh token".into() };
    session.renew(Login { user: Some("jane".into()), tokens: Attached::new(tokens) })?;
    Ok(Redirect::to("/"))
}

async fn refresh(session: Session<Login>) -> Result<Redirect, ChangeError> {
    let tokens = Tokens { access: "another token ".repeat(400), refresh: "a refresh token".into() };
    if session.get().is_some() {
        session.change(|login| login.tokens.set(tokens))?;
    }
    Ok(Redirect::to("/"))
}

/// A page that calls an API in the user's name.
async fn calendar(session: Session<Login>) -> Response {
    let Some(login) = session.get() else { return Redirect::to("/").into_response() };
    match session.load(&login.tokens).await {
        Ok(Some(tokens)) => {
            format!("asking the calendar with {} characters of token", tokens.access.len())
                .into_response()
        }
        Ok(None) => "no tokens: log in".into_response(),
        Err(error) if error.is_lost() => "the tokens are lost: log in again".into_response(),
        // The store does not answer: 503, and the next request may be luckier.
        Err(error) => error.into_response(),
    }
}

async fn logout(session: Session<Login>) -> Result<Redirect, ChangeError> {
    session.clear()?;
    Ok(Redirect::to("/"))
}
