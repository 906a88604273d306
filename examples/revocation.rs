//! Logouts that are final, in axum: of this session, of another device, of all of them.
//!
//! ```sh
//! export SEALED_SESSION_KEYS=$(cargo run --features cli -- keygen)
//! cargo run --features axum,revocation-redis --example revocation -- /tmp/revoked
//! ```
//!
//! What is revoked is kept in the file that is named, which all processes of this machine share. Between machines it
//! goes by the server that `REVOCATION_REDIS_URL` names, if it is set.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Form, Router};
use sealed_session::revocation::{Journal, RedisFeed, Revocations, SubjectTag, WhenStale};
use sealed_session::web::tower::SessionLayer;
use sealed_session::web::{ChangeError, Session};
use sealed_session::{Codec, KeyRing, SessionId};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Login {
    user: String,
    device: String,
}

const WEEK: Duration = Duration::from_secs(7 * 86_400);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("name a file for what is revoked")?;
    let revocations = Revocations::new(WEEK);
    let _journal = Journal::open(path, &revocations)?;
    let _feed = match std::env::var("REVOCATION_REDIS_URL") {
        Ok(url) => Some(RedisFeed::new(&url, WhenStale::Refuse)?.spawn(&revocations)?),
        Err(_) => None,
    };
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    Ok(serve(listener, KeyRing::from_env()?, revocations).await?)
}

/// Whose session it is: what "log out everywhere" ends.
fn tag(user: &str) -> SubjectTag {
    SubjectTag::new("user", user)
}

pub(crate) async fn serve(
    listener: TcpListener,
    ring: KeyRing,
    revocations: Revocations,
) -> std::io::Result<()> {
    let codec = Codec::<Login>::builder(ring)
        .absolute_timeout(WEEK)
        .revocations(revocations.clone(), |login: &Login| [tag(&login.user)])
        .build()
        .map_err(std::io::Error::other)?;
    let app = Router::new()
        .route("/", get(show))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/logout/everywhere", post(everywhere))
        .route("/devices", get(devices))
        .route("/devices/{id}/end", post(end))
        .layer(SessionLayer::new(codec))
        .route("/ready", get(ready))
        .with_state(Shop { revocations, devices: Arc::default() });
    axum::serve(listener, app).await
}

#[derive(Clone)]
struct Shop {
    revocations: Revocations,
    /// By user and session id; a table of your database.
    devices: Arc<Mutex<BTreeMap<(String, SessionId), String>>>,
}

async fn show(State(shop): State<Shop>, session: Session<Login>) -> String {
    let Ok(Some(opened)) = session.opened() else { return "nobody".to_owned() };
    let login = &*opened.session;
    // The list of devices has whatever was seen; a column of the last time is useful too.
    if let Some(id) = opened.id {
        let mut devices = shop.devices.lock().expect("nobody panics while it is held");
        devices.insert((login.user.clone(), id), login.device.clone());
    }
    login.user.clone()
}

async fn login(session: Session<Login>, Form(login): Form<Login>) -> Result<(), ChangeError> {
    // Check a password here.
    session.renew(login)
}

async fn logout(session: Session<Login>) -> Result<(), ChangeError> {
    session.clear()
}

/// After a change of the password, say: all others end, this one goes on.
async fn everywhere(session: Session<Login>) -> Result<(), ChangeError> {
    let Some(login) = session.get() else { return Ok(()) };
    session.revoke_subject(tag(&login.user))?;
    session.renew((*login).clone())
}

async fn devices(State(shop): State<Shop>, session: Session<Login>) -> String {
    let Some(login) = session.get() else { return String::new() };
    let devices = shop.devices.lock().expect("nobody panics while it is held");
    let mine = devices.iter().filter(|((user, id), _)| {
        *user == login.user && !shop.revocations.ends(std::time::SystemTime::now(), Some(*id), &[])
    });
    mine.map(|((_, id), device)| format!("{id} {device}\n")).collect()
}

/// Ends another device's session, by the id that the list has.
async fn end(
    State(shop): State<Shop>,
    session: Session<Login>,
    Path(id): Path<String>,
) -> StatusCode {
    let Some(login) = session.get() else { return StatusCode::UNAUTHORIZED };
    let mine = {
        let devices = shop.devices.lock().expect("nobody panics while it is held");
        devices.keys().find(|(user, known)| *user == login.user && known.to_string() == id).cloned()
    };
    let Some((_, id)) = mine else { return StatusCode::NOT_FOUND };
    match shop.revocations.revoke_session(id) {
        Ok(receipt) => {
            // It holds here; wait a moment for the others.
            receipt.within(Duration::from_secs(1)).await;
            StatusCode::OK
        }
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// For the load balancer: a node that does not know what is revoked is not ready.
async fn ready(State(shop): State<Shop>) -> StatusCode {
    if shop.revocations.is_fresh() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}
