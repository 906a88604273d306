use actix_web::body::{MessageBody, to_bytes};
use actix_web::dev::ServiceResponse;
use actix_web::{App, Error, HttpRequest, test, web};
use sealed_session::web::actix::{SessionExt, SessionMiddleware};
use sealed_session::web::{ChangeError, Session};

use crate::app::{Answer, Failure, Shop, act, codec, without_store};
use crate::outcomes;
use crate::stores::TestStore;

async fn handle(path: web::Path<(String, usize)>, session: Session<Shop>) -> Result<String, Error> {
    let (deed, n) = path.into_inner();
    act(&deed, n, &session).await.map_err(|failure| match failure {
        Failure::Change(error) => error.into(),
        Failure::Load(error) => error.into(),
    })
}

/// A logout that works while the store does not.
async fn emergency(request: HttpRequest) -> Result<&'static str, ChangeError> {
    request.session::<Shop>().unwrap().clear().map(|()| "logout")
}

/// The application, and what sends to it.
macro_rules! app {
    ($codec:expr) => {{
        let app = App::new()
            .route("/ignore", web::get().to(async || "ignore"))
            .route("/emergency/logout", web::get().to(emergency))
            .route("/{deed}/{n}", web::get().to(handle))
            .wrap(SessionMiddleware::new($codec));
        test::init_service(app).await
    }};
}

async fn answer(response: ServiceResponse<impl MessageBody>) -> Answer {
    let status = response.status().as_u16();
    let headers = response.headers().iter();
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().into()));
    let headers = headers.collect();
    let body = to_bytes(response.into_body()).await.ok().unwrap();
    Answer { status, headers, body: String::from_utf8(body.into()).unwrap() }
}

#[actix_web::test]
async fn each_failure_of_the_store_has_its_outcome() {
    let store = TestStore::default();
    let app = app!(codec(store.clone()));
    outcomes::hold(&store, async |path, cookie| {
        let request = test::TestRequest::with_uri(path).insert_header(("cookie", cookie));
        answer(test::call_service(&app, request.to_request()).await).await
    })
    .await;
}

#[cfg(feature = "revocation")]
#[actix_web::test]
async fn a_logout_while_the_store_is_down_ends_every_copy_of_the_cookie() {
    let store = TestStore::default();
    let revoked =
        sealed_session::revocation::Revocations::new(std::time::Duration::from_secs(7 * 86_400));
    let app = app!(crate::app::revoking_codec(store.clone(), &revoked));
    outcomes::revoke(&store, &revoked, async |path, cookie| {
        let request = test::TestRequest::with_uri(path).insert_header(("cookie", cookie));
        answer(test::call_service(&app, request.to_request()).await).await
    })
    .await;
}

#[actix_web::test]
async fn a_node_without_the_store_keeps_the_cookie() {
    let app = app!(without_store());
    outcomes::hold_without(async |path, cookie| {
        let request = test::TestRequest::with_uri(path).insert_header(("cookie", cookie));
        answer(test::call_service(&app, request.to_request()).await).await
    })
    .await;
}

#[cfg(feature = "store-redis")]
#[actix_web::test]
#[ignore = "needs redis-server; .ci/run has it"]
async fn each_failure_of_a_real_redis_has_its_outcome() {
    let server = crate::redis::Server::start();
    let app = app!(server.codec());
    crate::redis::hold(server, async |path, cookie| {
        let request = test::TestRequest::with_uri(path).insert_header(("cookie", cookie));
        answer(test::call_service(&app, request.to_request()).await).await
    })
    .await;
}
