//! Coming from tower-sessions, whose sessions are on the server: the middleware of the guide, as it stands there.

use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use sealed_session::legacy::Reader;
use sealed_session::web::Session;
use sealed_session::web::tower::SessionLayer;
use sealed_session::{Codec, ConfigError, Key};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tower::ServiceExt;
use tower_sessions::session::Id;
use tower_sessions::{MemoryStore, SessionManagerLayer, SessionStore};

#[derive(Clone, Default, Serialize, Deserialize)]
struct Shop {
    user: u64,
    cart: Vec<String>,
}

async fn page(session: Session<Shop>) -> String {
    session.get().map_or("nobody".into(), |shop| shop.user.to_string())
}

// From here on as in the guide.

/// The id in the old cookie, from the bytes of the header.
fn old_id(headers: &HeaderMap) -> Option<Id> {
    let headers = headers.get_all("cookie").iter().map(HeaderValue::as_bytes);
    // Other cookies may have any bytes.
    let mut cookies = headers.flat_map(|header| header.split(|byte| *byte == b';'));
    cookies.find_map(|cookie| {
        let cookie = str::from_utf8(cookie).ok()?.trim_matches([' ', '\t']);
        cookie.strip_prefix("id=")?.parse().ok()
    })
}

/// Reads the old store once, for those who come with the old cookie alone.
async fn bring(
    State(store): State<MemoryStore>,
    session: Session<Shop>,
    request: Request,
    next: Next,
) -> Response {
    if session.get().is_none()
        && let Some(id) = old_id(request.headers())
        && let Ok(Some(mut record)) = store.load(&id).await
        && let Some(user) = record.data.get("user").and_then(serde_json::Value::as_u64)
        && session.set(Shop { user, cart: Vec::new() }).is_ok()
    {
        // A minute for requests under way, and in case that the response is lost. Then the store forgets it.
        record.expiry_date = OffsetDateTime::now_utc() + time::Duration::minutes(1);
        let _ = store.save(&record).await;
    }
    next.run(request).await
}

fn app(codec: Codec<Shop>, store: MemoryStore) -> Router {
    Router::new()
        .route("/", get(page))
        .layer(from_fn_with_state(store, bring))
        .layer(SessionLayer::new(codec))
}

fn codec(key: Key, end: SystemTime) -> Result<Codec<Shop>, ConfigError> {
    // It reads nothing: `bring` does. What is written removes the old cookie.
    Codec::builder(key).also_reads(Reader::new("id", |_| None), end).build()
}

// Up to here.

#[test]
fn the_guide_shows_the_code_that_is_tested_here() {
    let (_, code) = include_str!("tower_sessions.rs")
        .split_once("// From here on as in the guide.\n\n")
        .unwrap();
    let (code, _) = code.split_once("\n// Up to here.").unwrap();
    let guide = include_str!("../../../docs/COMING_FROM.md");
    assert!(guide.contains(&format!("```rust,ignore\n{code}```\n")));
}

#[tokio::test]
async fn a_session_of_the_old_store_is_read_once_and_sealed() {
    let store = MemoryStore::default();
    let old = Router::new()
        .route(
            "/",
            get(async |session: tower_sessions::Session| session.insert("user", 7).await.unwrap()),
        )
        .layer(SessionManagerLayer::new(store.clone()));
    let (id, _) = ask(&old, "").await;
    assert!(id.starts_with("id="), "{id}");

    let end = SystemTime::now() + Duration::from_secs(86_400);
    let new = app(codec(Key::generate().unwrap(), end).unwrap(), store.clone());
    let (cookies, body) = ask(&new, &id).await;
    assert_eq!(body, "7");
    let [ours, removal] = &cookies.split('\n').collect::<Vec<_>>()[..] else { panic!("{cookies}") };
    assert!(ours.starts_with("__Host-session=") && *removal == "id=", "{cookies}");
    // Other requests of the page are under way, and this response may be lost.
    assert_eq!(ask(&new, &id).await.1, "7");
    assert_eq!(
        ask(&new, &format!("city=Zürich; {id}")).await.1,
        "7",
        "beside a cookie of any bytes"
    );
    let record = store.load(&id[3..].parse().unwrap()).await.unwrap().unwrap();
    assert!(record.expiry_date <= OffsetDateTime::now_utc() + time::Duration::minutes(1));
    // Ours needs no store.
    store.delete(&record.id).await.unwrap();
    assert_eq!(ask(&new, ours).await.1, "7");
    assert_eq!(ask(&new, &id).await.1, "nobody");
}

/// Returns the cookies, a line each, and the body.
async fn ask(app: &Router, cookie: &str) -> (String, String) {
    let request = Request::builder().uri("/").header("cookie", cookie).body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let cookies = response.headers().get_all("set-cookie").iter();
    let pair = |line: &axum::http::HeaderValue| {
        line.to_str().unwrap().split(';').next().unwrap().to_owned()
    };
    let cookies = cookies.map(pair).collect::<Vec<_>>().join("\n");
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (cookies, String::from_utf8(body.to_vec()).unwrap())
}
