use ::axum::Router;
use ::axum::body::{Body, to_bytes};
use ::axum::extract::Path;
use ::axum::http::Request;
use ::axum::response::{IntoResponse, Response};
use ::axum::routing::get;
use sealed_session::Codec;
use sealed_session::web::Session;
use sealed_session::web::tower::{SessionLayer, session};
use tower::ServiceExt;

use crate::app::{Answer, Failure, Shop, act, codec, without_store};
use crate::outcomes;
use crate::stores::TestStore;

pub(crate) fn app(codec: Codec<Shop>) -> Router {
    Router::new()
        .route("/{deed}/{n}", get(handle))
        .route("/ignore", get(async || "ignore"))
        .route("/emergency/logout", get(emergency))
        .layer(SessionLayer::new(codec))
}

async fn handle(
    Path((deed, n)): Path<(String, usize)>,
    session: Session<Shop>,
) -> Result<String, Response> {
    act(&deed, n, &session).await.map_err(|failure| match failure {
        Failure::Change(error) => error.into_response(),
        Failure::Load(error) => error.into_response(),
    })
}

/// A logout that works while the store does not.
async fn emergency(request: Request<Body>) -> Response {
    match session::<Shop, _>(&request).unwrap().clear() {
        Ok(()) => "logout".into_response(),
        Err(error) => error.into_response(),
    }
}

pub(crate) async fn send(app: &Router, path: &str, cookie: &str) -> Answer {
    let request = Request::builder().uri(path).header("cookie", cookie);
    let response = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    let headers = head.headers.iter();
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().into()));
    Answer {
        status: head.status.as_u16(),
        headers: headers.collect(),
        body: String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().into()).unwrap(),
    }
}

#[tokio::test]
async fn each_failure_of_the_store_has_its_outcome() {
    let store = TestStore::default();
    let app = app(codec(store.clone()));
    outcomes::hold(&store, async |path, cookie| send(&app, path, cookie).await).await;
}

#[cfg(feature = "revocation")]
#[tokio::test]
async fn a_logout_while_the_store_is_down_ends_every_copy_of_the_cookie() {
    let store = TestStore::default();
    let revoked =
        sealed_session::revocation::Revocations::new(std::time::Duration::from_secs(7 * 86_400));
    let app = app(crate::app::revoking_codec(store.clone(), &revoked));
    outcomes::revoke(&store, &revoked, async |path, cookie| send(&app, path, cookie).await).await;
}

#[tokio::test]
async fn a_node_without_the_store_keeps_the_cookie() {
    let app = app(without_store());
    outcomes::hold_without(async |path, cookie| send(&app, path, cookie).await).await;
}

#[cfg(feature = "store-redis")]
#[tokio::test]
#[ignore = "needs redis-server; .ci/run has it"]
async fn each_failure_of_a_real_redis_has_its_outcome() {
    let server = crate::redis::Server::start();
    let app = app(server.codec());
    crate::redis::hold(server, async |path, cookie| send(&app, path, cookie).await).await;
}
