use std::rc::Rc;
use std::time::Duration;

use actix_web::body::{MessageBody, to_bytes};
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::{App, HttpResponse, ResponseError, error, guard, test, web};
use futures_util::FutureExt;
use sealed_session::web::actix::{SessionExt, SessionMiddleware};
use sealed_session::web::{ChangeError, Session, Unreadable};
use sealed_session::{Codec, Key};
use serde::{Deserialize, Serialize};

use crate::rules;
use crate::shop::{
    Answer, SAME_COOKIE, SAME_SESSION, Shop, Theme, accept, act, codec, own_headers, pair, sealed,
    status, theme_codec,
};

async fn handle(
    deed: web::Path<String>,
    session: Session<Shop>,
) -> Result<HttpResponse, ChangeError> {
    let body = act(&deed, &session)?;
    let status = StatusCode::from_u16(status(&deed)).unwrap();
    let mut response = HttpResponse::build(status);
    for header in own_headers(&deed) {
        response.append_header(*header);
    }
    Ok(response.body(body))
}

fn request(path: &str, cookie: Option<&str>) -> test::TestRequest {
    let request = test::TestRequest::with_uri(path);
    match cookie {
        Some(cookie) => request.insert_header(("cookie", cookie)),
        None => request,
    }
}

async fn answer<B: MessageBody>(response: ServiceResponse<B>) -> Answer {
    let status = response.status().as_u16();
    let headers = response.headers().iter();
    let own = headers.filter(|(name, _)| *name != "content-type");
    let own = own.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    let headers = own.collect();
    let body = to_bytes(response.into_body()).await.ok().unwrap();
    Answer { status, headers, body: String::from_utf8(body.into()).unwrap() }
}

#[actix_web::test]
async fn the_rules_hold() {
    let app = App::new()
        .wrap(SessionMiddleware::new(codec()).accept(accept))
        .route("/{deed}", web::get().to(handle));
    let app = test::init_service(app).await;
    rules::hold(async |deed, cookie| {
        let request = request(&format!("/{deed}"), cookie).to_request();
        answer(test::call_service(&app, request).await).await
    })
    .await;
}

#[actix_web::test]
async fn what_is_lost_may_be_replaced() {
    let middleware = SessionMiddleware::new(codec()).on_unreadable(Unreadable::Replace);
    let app = App::new().wrap(middleware).route("/{deed}", web::get().to(handle));
    let app = test::init_service(app).await;
    rules::replace(async |deed, cookie| {
        let request = request(&format!("/{deed}"), cookie).to_request();
        answer(test::call_service(&app, request).await).await
    })
    .await;
}

#[actix_web::test]
async fn a_guard_reads_the_session() {
    let known = |context: &guard::GuardContext<'_>| {
        context.session::<Shop>().is_ok_and(|session| session.peek().is_some())
    };
    let app = App::new()
        .wrap(SessionMiddleware::new(codec()).accept(accept))
        .route("/", web::get().guard(guard::fn_guard(known)).to(async || "known"))
        .default_service(web::to(async || "stranger"));
    let app = test::init_service(app).await;
    let cookie = sealed(&codec(), Duration::ZERO);
    for (cookie, body) in [(None, "stranger"), (Some(cookie.as_str()), "known")] {
        let response = test::call_service(&app, request("/", cookie).to_request()).await;
        let answer = answer(response).await;
        assert_eq!(answer.body, body);
        assert_eq!(answer.all("vary").collect::<Vec<_>>(), ["cookie"], "it depends on the session");
    }
}

#[actix_web::test]
async fn a_guard_may_change_the_session() {
    let counts = |context: &guard::GuardContext<'_>| {
        let session = context.session::<Shop>().unwrap();
        session.change(|shop| shop.cart.push("seen".into())).is_ok()
    };
    let app = App::new()
        .wrap(SessionMiddleware::new(codec()))
        .route("/{deed}", web::get().guard(guard::fn_guard(counts)).to(handle));
    let app = test::init_service(app).await;
    let cookie = sealed(&codec(), Duration::ZERO);
    for (deed, things) in [("ignore", 1), ("buy", 2)] {
        let request = request(&format!("/{deed}"), Some(&cookie)).to_request();
        let answer = answer(test::call_service(&app, request).await).await;
        let codec = codec();
        let set = answer.cookies("__Host-session").map(pair).next().unwrap();
        let opened = codec.decode(&codec.request([set])).unwrap().unwrap();
        assert_eq!((opened.session.user, opened.session.cart.len()), (7, things), "{deed}");
    }
}

#[actix_web::test]
async fn a_cookie_that_is_taken_away_within_is_the_session_s_all_the_same() {
    let app = App::new()
        .route("/{deed}", web::get().to(handle))
        .wrap_fn(|mut request, service| {
            request.headers_mut().remove("cookie");
            service.call(request)
        })
        .wrap(SessionMiddleware::new(codec()));
    let app = test::init_service(app).await;
    rules::taken_away(async |deed, cookie| {
        let request = request(&format!("/{deed}"), cookie).to_request();
        answer(test::call_service(&app, request).await).await
    })
    .await;
}

/// Does its deed, and waits for ever.
async fn handle_half(deed: web::Path<String>, session: Session<Shop>) -> &'static str {
    act(&deed, &session).unwrap();
    std::future::pending().await
}

/// A middleware in actix-web may answer by a response or by an error.
#[actix_web::test]
async fn a_handler_that_is_dropped_half_way_leaves_the_cookie_alone() {
    for by_error in [false, true] {
        rules::half_way(async |deed, status, cookie| {
            let app = App::new()
                .route("/{deed}", web::get().to(handle_half))
                .wrap_fn(move |request, service| {
                    assert!(service.call(request).now_or_never().is_none());
                    async move {
                        let status = StatusCode::from_u16(status).unwrap();
                        if by_error {
                            return Err(error::InternalError::new("too late", status).into());
                        }
                        let request = test::TestRequest::default().to_http_request();
                        Ok(ServiceResponse::new(request, HttpResponse::new(status)))
                    }
                })
                .wrap(SessionMiddleware::new(codec()));
            let app = test::init_service(app).await;
            let request = request(&format!("/{deed}"), Some(cookie)).to_request();
            match app.call(request).await {
                Ok(response) => answer(response).await,
                Err(error) => {
                    let response = error.error_response();
                    let request = test::TestRequest::default().to_http_request();
                    answer(ServiceResponse::new(request, response)).await
                }
            }
        })
        .await;
    }
}

#[actix_web::test]
async fn the_log_tells_what_is_lost_if_nobody_waits_for_the_response() {
    let app = App::new()
        .route("/{deed}", web::get().to(handle_half))
        .wrap(SessionMiddleware::new(codec()));
    let app = test::init_service(app).await;
    rules::hung_up(|deed| {
        let response = app.call(request(&format!("/{deed}"), None).to_request());
        assert!(response.now_or_never().is_none(), "asked once, and dropped");
    });
}

#[actix_web::test]
async fn a_handler_is_tested_without_a_server() {
    let session = Session::new_for_test(Shop { user: 7, cart: vec![] });
    let response = handle(web::Path::from("buy".to_owned()), session.clone()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(*session.get().unwrap(), Shop { user: 7, cart: vec!["pen".into()] });
}

/// An error that a middleware within gives, instead of a response.
#[actix_web::test]
async fn the_rules_hold_where_the_response_is_an_error() {
    let app = App::new()
        .wrap_fn(|request, service| {
            let session = request.session::<Shop>().unwrap();
            let deed = request.path().trim_start_matches('/').to_owned();
            let _ = service;
            async move {
                act(&deed, &session)?;
                Err::<ServiceResponse, _>(error::ErrorForbidden("no entry"))
            }
        })
        .wrap(SessionMiddleware::new(codec()));
    let app = test::init_service(app).await;
    let cookie = sealed(&codec(), Duration::ZERO);
    for (deed, status, cookies) in
        [("buy", 403, 1), ("read", 403, 0), ("ignore", 403, 0), ("huge", 500, 0)]
    {
        let error = app.call(request(&format!("/{deed}"), Some(&cookie)).to_request()).await;
        let response = error.unwrap_err().error_response();
        assert_eq!(response.status().as_u16(), status, "{deed}");
        assert_eq!(response.headers().get_all("set-cookie").count(), cookies, "{deed}");
        let body = to_bytes(response.into_body()).await.unwrap();
        assert_eq!(body, if status == 403 { "no entry" } else { "" }, "{deed}");
    }
}

/// A middleware around finds the error that one within gave, wherever that does no harm.
#[actix_web::test]
async fn an_error_stays_as_it_is_if_no_cookie_is_set_and_no_cache_may_store_it() {
    #[derive(Debug, Clone, Copy)]
    struct Failure(u16, Option<&'static str>);
    impl std::fmt::Display for Failure {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "failure")
        }
    }
    impl ResponseError for Failure {
        fn status_code(&self) -> StatusCode {
            StatusCode::from_u16(self.0).unwrap()
        }
        fn error_response(&self) -> HttpResponse {
            let mut response = HttpResponse::build(self.status_code());
            if let Some(name) = self.1 {
                response.insert_header((name, "max-age=60"));
            }
            response.finish()
        }
    }
    let cookie = sealed(&codec(), Duration::ZERO);
    for (deed, failure, stays) in [
        ("ignore", Failure(404, None), true),
        ("read", Failure(403, None), true),
        ("read", Failure(404, None), false),
        ("read", Failure(403, Some("cache-control")), false),
        ("read", Failure(403, Some("expires")), false),
        ("buy", Failure(403, None), false),
    ] {
        let app = App::new()
            .wrap_fn(move |request, _| {
                let session = request.session::<Shop>().unwrap();
                async move {
                    act(deed, &session)?;
                    Err::<ServiceResponse, _>(failure.into())
                }
            })
            .wrap(SessionMiddleware::new(codec()));
        let app = test::init_service(app).await;
        let error = app.call(request("/", Some(&cookie)).to_request()).await.unwrap_err();
        assert_eq!(error.as_error::<Failure>().is_some(), stays, "{deed}: {failure:?}");
        let response = error.error_response();
        assert_eq!(response.status().as_u16(), failure.0);
        assert_eq!(response.headers().contains_key("vary"), !stays, "{deed}: {failure:?}");
    }
}

#[actix_web::test]
async fn without_the_middleware_the_log_says_what_to_add() {
    let log = crate::log::Log::start();
    let app = App::new()
        .wrap(SessionMiddleware::new(codec()))
        .route("/", web::get().to(|_: Session<Theme>| async { "" }));
    let app = test::init_service(app).await;
    let answer = answer(test::call_service(&app, request("/", None).to_request()).await).await;
    assert_eq!((answer.status, answer.body.as_str()), (500, ""), "types are for the log");
    assert_eq!(
        log.take(),
        ["ERROR no session of type web::shop::Theme is provided here; wrap this route in \
          SessionMiddleware::new(codec), with a Codec<web::shop::Theme>"]
    );
}

/// A reader between two middlewares of one codec is what would write the session twice.
#[actix_web::test]
async fn the_same_middleware_twice_is_one() {
    let middleware = SessionMiddleware::new(codec());
    let app = App::new()
        .route("/{deed}", web::get().to(handle))
        .wrap(middleware.clone())
        .wrap_fn(|request, service| {
            let _ = request.session::<Shop>().unwrap().get();
            service.call(request)
        })
        .wrap(middleware);
    let app = test::init_service(app).await;
    let due = sealed(&codec(), 3 * Duration::from_secs(3600));
    for (deed, things) in [("buy", 1), ("read", 0)] {
        let request = request(&format!("/{deed}"), Some(&due)).to_request();
        let answer = answer(test::call_service(&app, request).await).await;
        let set: Vec<&str> = answer.all("set-cookie").map(pair).collect();
        assert_eq!(set.len(), 1, "{deed}: {set:?}");
        let codec = codec();
        let opened = codec.decode(&codec.request([set[0]])).unwrap().unwrap();
        assert_eq!(opened.session.cart.len(), things, "{deed}");
    }
}

#[actix_web::test]
async fn sessions_that_cannot_be_told_apart_are_an_error_at_the_first_request() {
    async fn refuses<T>(outer: Codec<T>, wanted: &str)
    where
        T: Serialize + for<'de> Deserialize<'de> + 'static,
    {
        let app = App::new()
            .route("/shop", web::get().to(async |_: Session<Shop>| ""))
            .route("/theme", web::get().to(async |_: Session<Theme>| ""))
            .wrap(SessionMiddleware::new(codec()))
            .wrap(SessionMiddleware::new(outer));
        let app = test::init_service(app).await;
        for path in ["/shop", "/theme"] {
            let log = crate::log::Log::start();
            let response = test::call_service(&app, request(path, None).to_request()).await;
            let answer = answer(response).await;
            assert_eq!((answer.status, answer.body.as_str()), (500, ""), "{path}");
            assert_eq!(log.take(), [format!("ERROR {wanted}")]);
        }
    }
    refuses(Codec::<Shop>::new(crate::shop::key(1)), SAME_SESSION).await;
    refuses(Codec::<Theme>::new(crate::shop::key(1)), SAME_COOKIE).await;
}

#[actix_web::test]
async fn two_sessions_live_side_by_side() {
    async fn both(shop: Session<Shop>, theme: Session<Theme>) -> Result<String, ChangeError> {
        shop.change(|shop| shop.user += 1)?;
        theme.set(Theme("dark".into()))?;
        Ok("both".into())
    }
    let app = App::new()
        .wrap(SessionMiddleware::new(codec()))
        .wrap(SessionMiddleware::new(theme_codec()))
        .route("/", web::get().to(both));
    let app = test::init_service(app).await;
    let answer = answer(test::call_service(&app, request("/", None).to_request()).await).await;
    let set: Vec<&str> = answer.all("set-cookie").map(pair).collect();
    assert_eq!(set.len(), 2, "each in a header of its own: {set:?}");
    assert_eq!(answer.all("vary").collect::<Vec<_>>(), ["cookie"], "once for both");
    assert_eq!(answer.all("cache-control").collect::<Vec<_>>(), ["no-store"], "once for both");
}

#[actix_web::test]
async fn a_session_need_not_be_send() {
    #[derive(Clone, Default, Serialize, Deserialize)]
    #[serde(from = "String", into = "String")]
    struct Local(Rc<str>);
    impl From<String> for Local {
        fn from(text: String) -> Self {
            Self(text.into())
        }
    }
    impl From<Local> for String {
        fn from(local: Local) -> Self {
            (*local.0).into()
        }
    }
    async fn handle(session: Session<Local>) -> Result<String, ChangeError> {
        session.change(|local| local.0 = format!("{}x", local.0).into())?;
        Ok(String::from(&*session.get().unwrap().0))
    }
    let codec = Codec::<Local>::new(Key::generate().unwrap());
    let app = App::new().wrap(SessionMiddleware::new(codec)).route("/", web::get().to(handle));
    let app = test::init_service(app).await;
    let first = answer(test::call_service(&app, request("/", None).to_request()).await).await;
    let cookie = pair(first.all("set-cookie").next().unwrap());
    let second = request("/", Some(cookie)).to_request();
    assert_eq!(answer(test::call_service(&app, second).await).await.body, "xx");
}

#[actix_web::test]
async fn a_panic_leaves_the_cookie_alone() {
    let cookie = sealed(&codec(), Duration::ZERO);
    for (deed, cookies) in [("panic", 0), ("buy", 1)] {
        let app = App::new()
            .route("/{deed}", web::get().to(handle))
            .wrap_fn(|request, service| {
                // Something within that catches the panic and makes a response of it.
                let response = actix_web::rt::spawn(service.call(request));
                async { response.await.unwrap_or_else(|_| Err(error::ErrorBadGateway("caught"))) }
            })
            .wrap(SessionMiddleware::new(codec()));
        let app = test::init_service(app).await;
        let result = app.call(request(&format!("/{deed}"), Some(&cookie)).to_request()).await;
        let set = match result {
            Ok(response) => response.headers().get_all("set-cookie").count(),
            Err(error) => error.error_response().headers().get_all("set-cookie").count(),
        };
        assert_eq!(set, cookies, "{deed}");
    }
}

#[actix_web::test]
async fn the_cookie_of_another_library_is_moved() {
    let middleware = SessionMiddleware::new(crate::old_cookie::codec());
    let app = App::new().wrap(middleware).route("/{deed}", web::get().to(handle));
    let app = test::init_service(app).await;
    crate::old_cookie::hold(async |deed, cookie| {
        let request = request(&format!("/{deed}"), cookie).to_request();
        answer(test::call_service(&app, request).await).await
    })
    .await;
}

#[actix_web::test]
async fn an_application_leaves_the_cookie_of_another_alone_and_says_what_to_do() {
    crate::two_applications::hold(async |codec, deed, cookie| {
        let app = App::new()
            .route("/{deed}", web::get().to(handle))
            .wrap(SessionMiddleware::new(codec.clone()));
        let app = test::init_service(app).await;
        let request = request(&format!("/{deed}"), cookie).to_request();
        answer(test::call_service(&app, request).await).await
    })
    .await;
}
