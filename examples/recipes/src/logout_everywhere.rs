//! "Log out everywhere": one time for each user, and one place that looks at it.
//!
//! Here the times are in memory, for one node. With several, let each node load them often, or use the feature
//! `revocation`, which does this for all nodes.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use std::time::SystemTime;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use sealed_session::Codec;
use sealed_session::web::ChangeError;
use sealed_session::web::axum::{Session, SessionLayer};

/// When each user last logged out everywhere.
type Ended = Arc<RwLock<HashMap<u64, SystemTime>>>;

pub fn app(codec: Codec<u64>) -> Router {
    let ended = Ended::default();
    let times = Arc::clone(&ended);
    // Before every handler. If the times cannot be had, nobody is let in.
    let layer = SessionLayer::new(codec).accept(move |opened| {
        times
            .read()
            .is_ok_and(|times| times.get(&opened.session).is_none_or(|at| opened.began > *at))
    });
    Router::new()
        .route("/", get(page))
        .route("/login/{user}", post(login))
        .route("/logout-everywhere", post(logout_everywhere))
        .layer(layer)
        .with_state(ended)
}

async fn page(session: Session<u64>) -> Result<String, StatusCode> {
    let user = session.get().ok_or(StatusCode::UNAUTHORIZED)?;
    Ok(format!("user {user}"))
}

async fn login(Path(user): Path<u64>, session: Session<u64>) -> Result<(), ChangeError> {
    session.renew(user)
}

async fn logout_everywhere(
    State(ended): State<Ended>,
    session: Session<u64>,
) -> Result<(), ChangeError> {
    if let (Some(user), Ok(mut ended)) = (session.get(), ended.write()) {
        ended.insert(*user, SystemTime::now());
    }
    session.clear()
}
