//! Step-up: what is dangerous wants the password again, if the last time was long ago.
//!
//! The new right is a new session: `renew_with` gives it a new id and keeps the rest.

use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use sealed_session::Codec;
use sealed_session::web::ChangeError;
use sealed_session::web::axum::{Session, SessionLayer};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
pub struct Login {
    user: u64,
    /// When the password was last asked for.
    confirmed: Option<SystemTime>,
}

const FRESH: Duration = Duration::from_secs(5 * 60);

pub fn app(codec: Codec<Login>) -> Router {
    Router::new()
        .route("/login", post(login))
        .route("/confirm", post(confirm))
        .route("/delete-account", post(delete))
        .layer(SessionLayer::new(codec))
}

/// A user who gave the password within the last minutes.
struct Confirmed(u64);

impl<S: Send + Sync> FromRequestParts<S> for Confirmed {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let session = Session::<Login>::from_request_parts(parts, state).await;
        let login = session.map_err(IntoResponse::into_response)?.get();
        let login = login.ok_or_else(|| StatusCode::UNAUTHORIZED.into_response())?;
        let fresh = login.confirmed.is_some_and(|at| at.elapsed().is_ok_and(|age| age < FRESH));
        // Your page would ask for the password, and come back.
        fresh.then_some(Self(login.user)).ok_or_else(|| StatusCode::FORBIDDEN.into_response())
    }
}

async fn login(session: Session<Login>) -> Result<(), ChangeError> {
    session.renew(Login { user: 7, confirmed: None })
}

/// After the password was checked.
async fn confirm(session: Session<Login>) -> Result<StatusCode, ChangeError> {
    let Some(user) = session.get().map(|login| login.user) else {
        return Ok(StatusCode::UNAUTHORIZED);
    };
    session.renew_with(|_| Login { user, confirmed: Some(SystemTime::now()) })?;
    Ok(StatusCode::NO_CONTENT)
}

async fn delete(Confirmed(user): Confirmed) -> String {
    format!("user {user} is gone")
}
