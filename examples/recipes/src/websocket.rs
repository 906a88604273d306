//! A WebSocket: the session is that of the handshake, and cookies travel in its head alone.
//!
//! So all that changes the session happens before the socket opens; while it is open, the session can be read. It does
//! not end by itself when the session does: close it at `expires`, and look up again who may still listen. Browsers send
//! the cookie with a handshake from any page, so look at `Origin`.

use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use sealed_session::Codec;
use sealed_session::web::ChangeError;
use sealed_session::web::axum::{Session, SessionLayer};
use tokio::time::{Instant, timeout, timeout_at};

pub fn app(codec: Codec<u64>) -> Router {
    Router::new()
        .route("/login", post(login))
        .route("/socket", any(handshake))
        .layer(SessionLayer::new(codec))
}

async fn login(session: Session<u64>) -> Result<(), ChangeError> {
    session.renew(7)
}

async fn handshake(
    session: Session<u64>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    if headers.get(header::ORIGIN).is_none_or(|origin| origin != "https://example.com") {
        return StatusCode::FORBIDDEN.into_response();
    }
    let Ok(Some(opened)) = session.opened() else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    // The user came: the session is used.
    let _ = session.get();
    let left = opened.expires.duration_since(SystemTime::now()).unwrap_or_default();
    let closes = Instant::now() + left;
    upgrade.on_upgrade(move |socket| talk(socket, session, closes))
}

/// Answers what comes, until the session ends or the client goes.
async fn talk(mut socket: WebSocket, session: Session<u64>, closes: Instant) {
    // Around all of it: who never pauses, or reads nothing that is sent, would outlast a limit on each message.
    if timeout_at(closes, answer(&mut socket, &session)).await.is_err() {
        // Nor may a client that reads nothing keep the socket.
        let _ = timeout(Duration::from_secs(5), socket.send(Message::Close(None))).await;
    }
}

async fn answer(socket: &mut WebSocket, session: &Session<u64>) {
    while let Some(Ok(message)) = socket.recv().await {
        let answer = match message.to_text() {
            Ok("who") => session.peek().map_or("nobody".into(), |user| format!("user {user}")),
            // Too late for a cookie: let the page send a request of its own for this.
            Ok("log out") => {
                session.clear().map_or_else(|late| late.to_string(), |()| "done".into())
            }
            _ => continue,
        };
        if socket.send(Message::text(answer)).await.is_err() {
            return;
        }
    }
}
