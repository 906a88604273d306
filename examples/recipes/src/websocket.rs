//! A WebSocket: the session is that of the handshake, and cookies travel in its head alone.
//!
//! So all that changes the session happens before the socket opens; while it is open, the session can be read. It does
//! not end by itself when the session does: close it at `expires`, and look up again who may still listen. Browsers send
//! the cookie with a handshake from any page, so look at `Origin`.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use sealed_session::Codec;
use sealed_session::web::ChangeError;
use sealed_session::web::axum::{Session, SessionLayer};

/// What goes with a socket: who is there, and until when.
pub struct Socket {
    pub session: Session<u64>,
    pub closes: SystemTime,
}

/// The sockets that are open. In your application, a task for each: see `axum::extract::ws`.
pub type Sockets = Arc<Mutex<Vec<Socket>>>;

pub fn app(codec: Codec<u64>, sockets: Sockets) -> Router {
    Router::new()
        .route("/login", post(login))
        .route("/socket", any(handshake))
        .layer(SessionLayer::new(codec))
        .with_state(sockets)
}

async fn login(session: Session<u64>) -> Result<(), ChangeError> {
    session.renew(7)
}

async fn handshake(
    State(sockets): State<Sockets>,
    session: Session<u64>,
    headers: HeaderMap,
) -> Response {
    if headers.get(header::ORIGIN).is_none_or(|origin| origin != "https://example.com") {
        return StatusCode::FORBIDDEN.into_response();
    }
    let Ok(Some(opened)) = session.opened() else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    // The user came: the session is used.
    let _ = session.get();
    if let Ok(mut sockets) = sockets.lock() {
        sockets.push(Socket { session, closes: opened.expires });
    }
    // Here `WebSocketUpgrade::on_upgrade` gives the response.
    (StatusCode::SWITCHING_PROTOCOLS, [(header::UPGRADE, "websocket")]).into_response()
}
