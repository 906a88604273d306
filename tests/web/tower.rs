//! The layer by itself: any body, any service.

use std::convert::Infallible;
use std::time::Duration;

use axum::http::{Request, Response, StatusCode};
use sealed_session::web::tower::{SessionLayer, session};
use tower::{Layer, ServiceExt, service_fn};

use crate::rules;
use crate::shop::{Answer, Shop, act, codec, own_headers, sealed};

/// A body that no framework knows.
#[derive(Debug, Default)]
struct Words(String);

async fn handle(request: Request<Words>) -> Result<Response<Words>, Infallible> {
    let deed = request.uri().path().trim_start_matches('/');
    let session = session::<Shop, _>(&request).unwrap();
    let mut response = Response::builder().status(if deed == "fail" { 404 } else { 200 });
    for (name, value) in own_headers(deed) {
        response = response.header(*name, *value);
    }
    Ok(match act(deed, &session) {
        Ok(body) => response.body(Words(body)).unwrap(),
        // What the extractors of the frameworks do by themselves.
        Err(_) => Response::builder().status(500).body(Words::default()).unwrap(),
    })
}

#[tokio::test]
async fn the_rules_hold() {
    rules::hold(async |deed, cookie| {
        let request = Request::builder().uri(format!("/{deed}"));
        let request =
            cookie.into_iter().fold(request, |request, cookie| request.header("cookie", cookie));
        let service = SessionLayer::new(codec()).layer(service_fn(handle));
        let response = service.oneshot(request.body(Words::default()).unwrap()).await.unwrap();
        let headers = response.headers().iter();
        Answer {
            status: response.status().as_u16(),
            headers: headers.map(|(n, v)| (n.to_string(), v.to_str().unwrap().into())).collect(),
            body: response.into_body().0,
        }
    })
    .await;
}

#[tokio::test]
async fn an_error_of_the_service_passes() {
    let service = SessionLayer::new(codec()).layer(service_fn(async |request: Request<()>| {
        session::<Shop, _>(&request).unwrap().clear().unwrap();
        Err::<Response<Words>, _>(StatusCode::BAD_GATEWAY)
    }));
    assert_eq!(service.oneshot(Request::new(())).await.unwrap_err(), StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn a_touch_that_cannot_be_sealed_costs_nobody_a_page() {
    // The only key that seals is to become active in an hour.
    let soon = std::time::SystemTime::now() + Duration::from_secs(3600);
    let codec = codec();
    let cookie = sealed(&codec, Duration::from_secs(3 * 3600));
    let keys = [
        sealed_session::RingKey::open_only(crate::shop::key(1)),
        sealed_session::RingKey::new(crate::shop::key(2)).activates(soon),
    ];
    codec.ring().replace(keys).unwrap();
    let told = "no key of the ring is active: none is past its activation and before its retirement cookie=\"__Host-session\"";
    for (deed, status, body, told) in [("read", 200, "7", &[][..]), ("buy", 500, "", &[told])] {
        let log = crate::log::Log::start();
        let service = SessionLayer::new(codec.clone()).layer(service_fn(handle));
        let request = Request::builder().uri(format!("/{deed}")).header("cookie", &cookie);
        let response = service.oneshot(request.body(Words::default()).unwrap()).await.unwrap();
        assert_eq!(response.headers().get("set-cookie"), None);
        assert_eq!(log.take(), told);
        assert_eq!(response.status(), status);
        assert_eq!(response.into_body().0, body);
    }
}
