//! The layer by itself: any body, any service.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use axum::http::{Request, Response, StatusCode};
use futures_util::FutureExt;
use sealed_session::web::tower::{SessionLayer, session};
use sealed_session::web::{ChangeError, Session};
use tower::{Layer, ServiceExt, service_fn};

use crate::rules;
use crate::shop::{Answer, Shop, act, codec, own_headers, pair, sealed};

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
        Err(ChangeError::WouldReplace(_)) => {
            let response = Response::builder().status(503).header("retry-after", "1");
            response.body(Words::default()).unwrap()
        }
        Err(error) => panic!("{error}"),
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
async fn an_error_of_the_service_passes_and_the_log_tells_what_is_lost() {
    let log = crate::log::Log::start();
    for (deed, lines) in [
        (
            "logout",
            &[
                r#"WARN there was no response; a change of the session is lost cookie="__Host-session""#,
            ][..],
        ),
        ("read", &[]),
        ("ignore", &[]),
    ] {
        let service = SessionLayer::new(codec()).layer(service_fn(async |request: Request<()>| {
            act(deed, &session::<Shop, _>(&request).unwrap()).unwrap();
            Err::<Response<Words>, _>(StatusCode::BAD_GATEWAY)
        }));
        let error = service.oneshot(Request::new(())).await.unwrap_err();
        assert_eq!(error, StatusCode::BAD_GATEWAY);
        assert_eq!(log.take(), lines, "{deed}");
    }
}

/// As when the client hangs up, or a layer around this one has waited long enough.
#[tokio::test]
async fn the_log_tells_what_is_lost_if_nobody_waits_for_the_response() {
    let log = crate::log::Log::start();
    let service = SessionLayer::new(codec()).layer(service_fn(async |request: Request<()>| {
        let session = session::<Shop, _>(&request).unwrap();
        session.clear().unwrap();
        std::future::pending::<Result<Response<Words>, Infallible>>().await
    }));
    assert!(service.oneshot(Request::new(())).now_or_never().is_none(), "asked once, and dropped");
    assert_eq!(
        log.take(),
        [r#"WARN there was no response; a change of the session is lost cookie="__Host-session""#]
    );
}

/// Lets one handler have the session, and gives the session of its response.
async fn settled(handler: impl Fn(Session<Shop>)) -> Option<Shop> {
    let service = SessionLayer::new(codec()).layer(service_fn(async |request: Request<()>| {
        handler(session::<Shop, _>(&request).unwrap());
        Ok::<_, Infallible>(Response::new(Words::default()))
    }));
    let response = service.oneshot(Request::new(())).await.unwrap();
    let set_cookie = response.headers().get("set-cookie")?.to_str().unwrap();
    let codec = codec();
    let opened = codec.decode(&codec.request([pair(set_cookie)])).unwrap().unwrap();
    Some(opened.session)
}

#[tokio::test]
async fn a_change_that_panics_changes_nothing() {
    let half_made = |session: &Session<Shop>| {
        let panicking = catch_unwind(AssertUnwindSafe(|| {
            session.change(|shop| {
                shop.user = 13;
                panic!("half way");
            })
        }));
        assert!(panicking.is_err());
    };
    let alone = settled(|session| {
        half_made(&session);
        assert!(session.get().is_none());
    });
    assert_eq!(alone.await, None);
    let between = settled(|session| {
        session.change(|shop| shop.cart.push("pen".into())).unwrap();
        half_made(&session);
        session.change(|shop| shop.cart.push("ink".into())).unwrap();
    });
    assert_eq!(between.await, Some(Shop { user: 0, cart: vec!["pen".into(), "ink".into()] }));
}

#[tokio::test]
async fn a_change_that_uses_the_session_otherwise_panics_and_waits_for_nobody() {
    let uses: [fn(&Session<Shop>); 4] = [
        |session| drop(session.get()),
        |session| drop(session.opened()),
        |session| session.change(|_| ()).unwrap(),
        |session| session.clear().unwrap(),
    ];
    for otherwise in uses {
        let after = settled(|session| {
            let panicking =
                catch_unwind(AssertUnwindSafe(|| session.change(|_| otherwise(&session))));
            let panic = panicking.unwrap_err();
            assert_eq!(
                panic.downcast_ref(),
                Some(
                    &"a closure given to `Session::change` used the session in another way than by its argument"
                )
            );
            session.change(|shop| shop.user = 2).unwrap();
        });
        assert_eq!(after.await.unwrap().user, 2);
    }
}

#[tokio::test]
async fn of_two_threads_that_change_a_session_one_waits_for_the_other() {
    let after = settled(|session| {
        let other = session.clone();
        let (begun, begins) = std::sync::mpsc::channel();
        let waiting = session.change(|shop| {
            let waiting = std::thread::spawn(move || {
                begun.send(()).unwrap();
                other.change(|shop| shop.cart.push("ink".into())).unwrap();
            });
            begins.recv().unwrap();
            shop.cart.push("pen".into());
            waiting
        });
        waiting.unwrap().join().unwrap();
    });
    assert_eq!(after.await.unwrap().cart, ["pen", "ink"]);
}

/// What the documentation says of a request that never touches the session.
#[test]
fn a_request_that_does_not_look_costs_three_allocations() {
    let count = |layer: Option<SessionLayer<Shop>>| {
        let service = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(())));
        let service = tower::util::option_layer(layer).layer(service);
        let mut request = Request::new(());
        request.extensions_mut().insert("the framework's own");
        let mut request = Some(request);
        let counted = allocation_counter::measure(|| {
            let response = service.clone().oneshot(request.take().unwrap());
            response.now_or_never().unwrap().unwrap();
        });
        counted.count_total
    };
    assert_eq!(count(Some(SessionLayer::new(codec()))) - count(None), 3);
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
    let told = "ERROR no key of the ring is active: none is past its activation and before its retirement cookie=\"__Host-session\"";
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
