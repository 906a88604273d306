//! A single-page application: JSON in, JSON out, and answers that a script can tell apart.
//!
//! The cookie stays `HttpOnly`: the script never sees the session, and asks who is there. A header that forms cannot send
//! stands in for a token against cross-site request forgery.

use axum::Router;
use axum::extract::{Json, Request};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use sealed_session::Codec;
use sealed_session::web::ChangeError;
use sealed_session::web::axum::{Session, SessionLayer};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Login {
    user: u64,
}

pub fn app(codec: Codec<u64>) -> Router {
    Router::new()
        .route("/api/me", get(me))
        .route("/api/news", get(news))
        .route("/api/login", post(login))
        .layer(from_fn(same_origin))
        .layer(SessionLayer::new(codec))
}

/// Lets no page of another origin write: it cannot set the header without asking first, and nobody answers that.
async fn same_origin(headers: HeaderMap, request: Request, next: Next) -> Response {
    if request.method().is_safe() || headers.contains_key("x-requested-by") {
        next.run(request).await
    } else {
        (StatusCode::FORBIDDEN, Json(json!({ "error": "x-requested-by is missing" })))
            .into_response()
    }
}

async fn me(session: Session<u64>) -> (StatusCode, Json<Value>) {
    match session.get() {
        Some(user) => (StatusCode::OK, Json(json!({ "user": *user }))),
        // Not a redirect: the script shows its own form.
        None => (StatusCode::UNAUTHORIZED, Json(json!({ "error": "login" }))),
    }
}

/// Asked for every minute by a page that nobody may be looking at: it keeps no session alive.
async fn news(session: Session<u64>) -> Json<Value> {
    Json(json!({ "news": u8::from(session.peek().is_some()) }))
}

async fn login(
    session: Session<u64>,
    Json(login): Json<Login>,
) -> Result<Json<Value>, ChangeError> {
    session.renew(login.user)?;
    Ok(Json(json!({ "user": login.user })))
}
