use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Path;
use axum::http::{HeaderName, Request, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::routing::get;
use futures_util::FutureExt;
use sealed_session::Codec;
use sealed_session::web::tower::SessionLayer;
use sealed_session::web::{ChangeError, Session, Unreadable};
use tower::ServiceExt;

use crate::rules;
use crate::shop::{
    Answer, SAME_COOKIE, SAME_SESSION, Shop, Theme, accept, act, codec, own_headers, pair, sealed,
    status, theme_codec,
};

fn app() -> Router {
    Router::new().route("/{deed}", get(handle)).layer(SessionLayer::new(codec()).accept(accept))
}

async fn handle(
    Path(deed): Path<String>,
    session: Session<Shop>,
) -> Result<impl IntoResponse, ChangeError> {
    let body = act(&deed, &session)?;
    let own =
        own_headers(&deed).iter().map(|(name, value)| (HeaderName::from_static(name), *value));
    let status = StatusCode::from_u16(status(&deed)).unwrap();
    Ok((status, AppendHeaders(own.collect::<Vec<_>>()), body))
}

pub(crate) fn request(path: &str, cookie: Option<&str>) -> Request<Body> {
    let mut request = Request::builder().uri(path);
    // As HTTP/2 may send it: a header for each cookie.
    for pair in cookie.into_iter().flat_map(|cookie| cookie.split("; ")) {
        request = request.header("cookie", pair);
    }
    request.body(Body::empty()).unwrap()
}

pub(crate) async fn answer(response: Response) -> Answer {
    let (head, body) = response.into_parts();
    let headers = head.headers.iter();
    let own =
        headers.filter(|(name, _)| !matches!(name.as_str(), "content-type" | "content-length"));
    let own = own.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    let body = to_bytes(body, usize::MAX).await.unwrap();
    Answer {
        status: head.status.as_u16(),
        headers: own.collect(),
        body: String::from_utf8(body.into()).unwrap(),
    }
}

async fn send(app: Router, path: &str, cookie: Option<&str>) -> Answer {
    answer(app.oneshot(request(path, cookie)).await.unwrap()).await
}

#[tokio::test]
async fn the_rules_hold() {
    rules::hold(async |deed, cookie| send(app(), &format!("/{deed}"), cookie).await).await;
}

#[tokio::test]
async fn what_is_lost_may_be_replaced() {
    let layer = SessionLayer::new(codec()).on_unreadable(Unreadable::Replace);
    let app = Router::new().route("/{deed}", get(handle)).layer(layer);
    rules::replace(async |deed, cookie| send(app.clone(), &format!("/{deed}"), cookie).await).await;
}

#[tokio::test]
async fn an_optional_session_is_there_if_the_request_brings_one_that_opens() {
    async fn user(session: Option<Session<Shop>>) -> String {
        session.map_or("nobody".into(), |session| session.get().unwrap().user.to_string())
    }
    let app = Router::new().route("/", get(user)).layer(SessionLayer::new(codec()));
    let cookie = sealed(&codec(), Duration::ZERO);
    for (cookie, wanted) in [
        (None, "nobody"),
        (Some("__Host-session=nonsense"), "nobody"),
        (Some(cookie.as_str()), "7"),
    ] {
        assert_eq!(send(app.clone(), "/", cookie).await.body, wanted);
    }
}

#[tokio::test]
async fn without_the_layer_the_log_says_what_to_add() {
    let app = Router::new()
        .route("/plain", get(|_: Session<Theme>| async {}))
        .route("/optional", get(|_: Option<Session<Theme>>| async {}))
        .layer(SessionLayer::new(codec()));
    for path in ["/plain", "/optional"] {
        let log = crate::log::Log::start();
        let answer = send(app.clone(), path, None).await;
        assert_eq!((answer.status, answer.body.as_str()), (500, ""), "types are for the log");
        assert_eq!(
            log.take(),
            ["ERROR no session of type web::shop::Theme is provided here; wrap this route in \
              SessionLayer::new(codec), with a Codec<web::shop::Theme>"]
        );
    }
}

/// A reader between two layers of one codec is what would write the session twice.
#[tokio::test]
async fn the_same_layer_twice_is_one() {
    let layer = SessionLayer::new(codec());
    let looks = async |session: Session<Shop>, request: axum::extract::Request, next: Next| {
        let _ = session.get();
        next.run(request).await
    };
    let app = Router::new()
        .route("/{deed}", get(handle))
        .layer(layer.clone())
        .layer(from_fn(looks))
        .layer(layer);
    let due = sealed(&codec(), 3 * Duration::from_secs(3600));
    for (deed, things) in [("buy", 1), ("read", 0)] {
        let answer = send(app.clone(), &format!("/{deed}"), Some(&due)).await;
        let set: Vec<&str> = answer.all("set-cookie").map(pair).collect();
        assert_eq!(set.len(), 1, "{deed}: {set:?}");
        let codec = codec();
        let opened = codec.decode(&codec.request([set[0]])).unwrap().unwrap();
        assert_eq!(opened.session.cart.len(), things, "{deed}");
    }
}

#[tokio::test]
async fn sessions_that_cannot_be_told_apart_are_an_error_at_the_first_request() {
    let shop = || get(async |_: Session<Shop>| ());
    let theme = || get(async |_: Session<Theme>| ());
    let app = || Router::new().route("/shop", shop()).route("/theme", theme());
    let of_one_name = Codec::<Theme>::new(crate::shop::key(1));
    let same_session = app().layer(SessionLayer::new(codec())).layer(SessionLayer::new(codec()));
    let same_cookie = app().layer(SessionLayer::new(codec())).layer(SessionLayer::new(of_one_name));
    for (app, path, body) in [
        (&same_session, "/shop", SAME_SESSION),
        (&same_session, "/theme", SAME_SESSION),
        (&same_cookie, "/shop", SAME_COOKIE),
        (&same_cookie, "/theme", SAME_COOKIE),
    ] {
        let log = crate::log::Log::start();
        let answer = send(app.clone(), path, None).await;
        assert_eq!((answer.status, answer.body.as_str()), (500, ""), "{path}");
        assert_eq!(log.take(), [format!("ERROR {body}")]);
    }
}

#[tokio::test]
async fn two_sessions_live_side_by_side() {
    async fn both(shop: Session<Shop>, theme: Session<Theme>) -> Result<(), ChangeError> {
        shop.change(|shop| shop.user += 1)?;
        theme.set(Theme("dark".into()))
    }
    async fn one(shop: Session<Shop>) -> Result<(), ChangeError> {
        shop.change(|shop| shop.user += 1)
    }
    let app = Router::new()
        .route("/both", get(both))
        .route("/one", get(one))
        .layer(SessionLayer::new(codec()))
        .layer(SessionLayer::new(theme_codec()));
    let answer = send(app.clone(), "/both", None).await;
    let set: Vec<&str> = answer.all("set-cookie").map(pair).collect();
    assert_eq!(set.len(), 2, "each in a header of its own: {set:?}");
    assert_eq!(answer.all("vary").collect::<Vec<_>>(), ["cookie"], "once for both");
    assert_eq!(answer.all("cache-control").collect::<Vec<_>>(), ["no-store"], "once for both");

    let answer = send(app, "/one", Some(&set.join("; "))).await;
    let (codec, cookie) = (codec(), answer.cookies("__Host-session").next().unwrap());
    let opened = codec.decode(&codec.request([pair(cookie)])).unwrap().unwrap();
    assert_eq!(opened.session.user, 2);
    assert_eq!(answer.cookies("__Host-theme").count(), 0, "nobody touched it");
}

/// The outer one settles the session, so that the rules of the inner one would be left out.
#[tokio::test]
async fn the_same_codec_under_other_rules_is_an_error() {
    let (codec, log) = (codec(), crate::log::Log::start());
    let app = |inner: SessionLayer<Shop>, outer: SessionLayer<Shop>| {
        Router::new().route("/{deed}", get(handle)).layer(inner).layer(outer)
    };
    let plain = || SessionLayer::new(codec.clone());
    let strict = plain().accept(accept);
    for (inner, outer, status) in [
        (strict.clone(), plain(), 500),
        (plain(), strict.clone(), 500),
        (plain().on_unreadable(Unreadable::Replace), plain(), 500),
        (strict.clone(), strict.clone(), 200),
        (plain(), plain(), 200),
    ] {
        assert_eq!(send(app(inner, outer), "/read", None).await.status, status);
        let told = log.take();
        assert_eq!(told.len(), usize::from(status == 500), "{told:?}");
        assert!(
            told.iter().all(|line| line.contains("installed twice here, with different rules"))
        );
    }
}

/// By a layer for a proxy, say.
#[tokio::test]
async fn a_cookie_that_is_taken_away_within_is_the_session_s_all_the_same() {
    let strips = async |mut request: axum::extract::Request, next: Next| {
        request.headers_mut().remove("cookie");
        next.run(request).await
    };
    let app = Router::new()
        .route("/{deed}", get(handle))
        .layer(from_fn(strips))
        .layer(SessionLayer::new(codec()));
    rules::taken_away(async |deed, cookie| send(app.clone(), &format!("/{deed}"), cookie).await)
        .await;
}

/// Does its deed, and waits for ever.
async fn handle_half(Path(deed): Path<String>, session: Session<Shop>) {
    act(&deed, &session).unwrap();
    std::future::pending().await
}

#[tokio::test]
async fn a_handler_that_is_dropped_half_way_leaves_the_cookie_alone() {
    rules::half_way(async |deed, status, cookie| {
        let gives_up = from_fn(move |request: axum::extract::Request, next: Next| async move {
            assert!(next.run(request).now_or_never().is_none());
            StatusCode::from_u16(status).unwrap()
        });
        let app = Router::new()
            .route("/{deed}", get(handle_half))
            .layer(gives_up)
            .layer(SessionLayer::new(codec()));
        send(app, &format!("/{deed}"), Some(cookie)).await
    })
    .await;
}

#[test]
fn the_log_tells_what_is_lost_if_nobody_waits_for_the_response() {
    let app = Router::new().route("/{deed}", get(handle_half)).layer(SessionLayer::new(codec()));
    rules::hung_up(|deed| {
        let response = app.clone().oneshot(request(&format!("/{deed}"), None));
        assert!(response.now_or_never().is_none(), "asked once, and dropped");
    });
}

/// Such as that of tower-http's `TraceLayer`.
#[tokio::test]
async fn a_body_within_need_not_have_a_default() {
    struct Traced(Body);
    impl axum::body::HttpBody for Traced {
        type Data = axum::body::Bytes;
        type Error = axum::Error;
        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            context: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<hyper::body::Frame<axum::body::Bytes>, axum::Error>>>
        {
            std::pin::Pin::new(&mut self.0).poll_frame(context)
        }
    }
    let traced = tower::util::MapResponseLayer::new(|response: Response| response.map(Traced));
    let layers = tower::ServiceBuilder::new().layer(SessionLayer::new(codec())).layer(traced);
    let app = Router::new().route("/{deed}", get(handle)).layer(layers);
    for (deed, status, body) in [("buy", 200, "buy"), ("huge", 500, "")] {
        let answer = send(app.clone(), &format!("/{deed}"), None).await;
        assert_eq!((answer.status, answer.body.as_str()), (status, body));
    }
}

#[tokio::test]
async fn a_handler_is_tested_without_a_server() {
    let session = Session::new_for_test(Shop { user: 7, cart: vec![] });
    let response =
        handle(Path("buy".into()), session.clone()).await.map(IntoResponse::into_response);
    assert_eq!(response.unwrap().status(), StatusCode::OK);
    assert_eq!(*session.get().unwrap(), Shop { user: 7, cart: vec!["pen".into()] });
    assert!(session.id().is_some());
    let nobody = Session::<Shop>::new_for_test(None);
    assert!(nobody.get().is_none());
    handle(Path("logout".into()), session.clone()).await.map(drop).unwrap();
    assert!(session.get().is_none());
}

/// Beside each other, not within each other: what clashes there is no clash here.
#[tokio::test]
async fn each_route_may_have_a_codec_of_its_own() {
    let admin = Codec::<Shop>::builder(crate::shop::key(1)).name("__Host-admin").build().unwrap();
    let route = || Router::new().route("/{deed}", get(handle));
    let app = Router::new()
        .nest("/shop", route().layer(SessionLayer::new(codec())))
        .nest("/admin", route().layer(SessionLayer::new(admin)));
    for (path, name) in [("/shop/buy", "__Host-session"), ("/admin/buy", "__Host-admin")] {
        let answer = send(app.clone(), path, None).await;
        assert_eq!((answer.status, answer.all("set-cookie").count()), (200, 1), "{path}");
        assert_eq!(answer.cookies(name).count(), 1, "{path}");
    }
}

#[tokio::test]
async fn one_request_has_one_session() {
    async fn twice(first: Session<Shop>, second: Session<Shop>) -> Result<String, ChangeError> {
        first.change(|shop| shop.cart.push("pen".into()))?;
        second.change(|shop| shop.cart.push("ink".into()))?;
        Ok(first.get().unwrap().cart.join(" "))
    }
    let app = Router::new().route("/", get(twice)).layer(SessionLayer::new(codec()));
    assert_eq!(send(app, "/", None).await.body, "pen ink");
}

#[tokio::test]
async fn a_panic_leaves_the_cookie_alone() {
    let cookie = sealed(&codec(), Duration::ZERO);
    let panicking = tokio::spawn(app().oneshot(request("/panic", Some(&cookie)))).await;
    assert!(panicking.unwrap_err().is_panic(), "no response, so no cookie");

    // Even if something within catches the panic and makes a response of it.
    let caught = Router::new()
        .route("/{deed}", get(handle))
        .layer(from_fn(|request, next: Next| async {
            tokio::spawn(next.run(request))
                .await
                .unwrap_or_else(|_| (StatusCode::BAD_GATEWAY, "caught").into_response())
        }))
        .layer(SessionLayer::new(codec()));
    let answer = send(caught.clone(), "/panic", Some(&cookie)).await;
    assert_eq!((answer.status, answer.body.as_str()), (502, "caught"));
    assert_eq!(answer.all("set-cookie").count(), 0);
    assert_eq!(send(caught, "/buy", Some(&cookie)).await.all("set-cookie").count(), 1);
}

#[tokio::test]
async fn the_cookie_of_another_library_is_moved() {
    let layer = SessionLayer::new(crate::old_cookie::codec());
    let app = Router::new().route("/{deed}", get(handle)).layer(layer);
    crate::old_cookie::hold(async |deed, cookie| {
        send(app.clone(), &format!("/{deed}"), cookie).await
    })
    .await;
}

#[tokio::test]
async fn an_application_leaves_the_cookie_of_another_alone_and_says_what_to_do() {
    crate::two_applications::hold(async |codec, deed, cookie| {
        let layer = SessionLayer::new(codec.clone());
        let app = Router::new().route("/{deed}", get(handle)).layer(layer);
        send(app, &format!("/{deed}"), cookie).await
    })
    .await;
}
