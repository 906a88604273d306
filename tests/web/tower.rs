//! The layer by itself: any body, any service.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use axum::http::{Request, Response, StatusCode};
use futures_util::FutureExt;
use sealed_session::web::tower::{SessionLayer, session};
use sealed_session::web::{ChangeError, Session};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::rules;
use crate::shop::{Answer, Shop, accept, act, codec, own_headers, pair, sealed, status};

/// A body that no framework knows.
#[derive(Debug, Default)]
struct Words(String);

async fn handle(request: Request<Words>) -> Result<Response<Words>, Infallible> {
    let deed = request.uri().path().trim_start_matches('/');
    let session = session::<Shop, _>(&request).unwrap();
    let mut response = Response::builder().status(status(deed));
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
        Err(_) => {
            let mut response = Response::new(Words::default());
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        }
    })
}

#[tokio::test]
async fn the_rules_hold() {
    rules::hold(async |deed, cookie| {
        let request = Request::builder().uri(format!("/{deed}"));
        let request =
            cookie.into_iter().fold(request, |request, cookie| request.header("cookie", cookie));
        let service = SessionLayer::new(codec()).accept(accept).layer(service_fn(handle));
        let response = service.oneshot(request.body(Words::default()).unwrap()).await.unwrap();
        let headers = response.headers().iter();
        Answer {
            status: response.status().as_u16(),
            headers: headers.map(|(n, v)| (n.to_string(), v.to_str().unwrap().into())).collect(),
            body: response.into_body().into_inner().unwrap_or_default().0,
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
async fn a_change_that_changes_the_session_otherwise_panics_and_waits_for_nobody() {
    let changes: [fn(&Session<Shop>); 6] = [
        |session| session.change(|_| ()).unwrap(),
        |session| session.update(|_| ()).unwrap(),
        |session| session.set(Shop::default()).unwrap(),
        |session| session.renew(Shop::default()).unwrap(),
        |session| session.renew_with(|_| Shop::default()).unwrap(),
        |session| session.clear().unwrap(),
    ];
    for otherwise in changes {
        let after = settled(|session| {
            let panicking =
                catch_unwind(AssertUnwindSafe(|| session.change(|_| otherwise(&session))));
            let panic = panicking.unwrap_err();
            assert_eq!(
                panic.downcast_ref(),
                Some(
                    &"a closure given to `Session::change` changed the session in another way than by its argument"
                )
            );
            session.change(|shop| shop.user = 2).unwrap();
        });
        assert_eq!(after.await.unwrap().user, 2);
    }
}

#[tokio::test]
async fn a_change_may_look_at_the_session_as_it_was_before() {
    let after = settled(|session| {
        session.change(|shop| shop.user = 1).unwrap();
        session
            .change(|shop| {
                shop.user = 2;
                assert_eq!(session.get().unwrap().user, 1);
                assert!(session.opened().unwrap().is_none());
            })
            .unwrap();
    });
    assert_eq!(after.await.unwrap().user, 2);
}

/// Fails, instead of waiting for ever, if it does not come to its end.
fn within_a_minute<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(work()));
    is_done.recv_timeout(Duration::from_secs(60)).expect("it waits for itself, or panicked")
}

/// As one does that adds the user to each line. Any client makes the codec log, by a junk cookie.
#[test]
fn a_subscriber_may_ask_for_the_session_whatever_it_is_told() {
    for (cookie, deed, user) in [
        (Some("__Host-session=junk".to_owned()), "read", None),
        (
            Some(sealed(&sealed_session::Codec::new(crate::shop::key(3)), Duration::ZERO)),
            "buy",
            None,
        ),
        (Some(sealed(&codec(), Duration::ZERO)), "buy", Some(7)),
        (Some(sealed(&codec(), Duration::ZERO)), "huge", Some(7)),
        (None, "buy", Some(0)),
    ] {
        let asked = within_a_minute(move || {
            let log = crate::log::Log::start();
            let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
            let answers = Arc::clone(&asked);
            let service =
                SessionLayer::new(codec()).layer(service_fn(async |request: Request<Words>| {
                    let session = session::<Shop, _>(&request).unwrap();
                    let (answers, asks) = (Arc::clone(&answers), session.clone());
                    log.through(move || {
                        let user = asks.get().map(|shop| shop.user);
                        asks.opened().map(drop).unwrap_or_default();
                        answers.lock().unwrap().push(user);
                    });
                    let _ = act(deed, &session);
                    Ok::<_, Infallible>(Response::new(Words::default()))
                }));
            let mut request = Request::builder();
            if let Some(cookie) = cookie {
                request = request.header("cookie", cookie);
            }
            let request = request.body(Words::default()).unwrap();
            service.oneshot(request).now_or_never().unwrap().unwrap();
            log.through(|| ());
            asked.lock().unwrap().clone()
        });
        assert!(!asked.is_empty(), "{deed}");
        assert!(
            asked.iter().all(|found| found.is_none_or(|found| Some(found) == user)),
            "{asked:?}"
        );
    }
}

/// Code of the application's own runs in serde and in `accept` too, and may log.
#[test]
fn what_runs_while_a_session_is_opened_and_sealed_may_log() {
    #[derive(Clone, Default)]
    struct Chatty(u32);
    impl serde::Serialize for Chatty {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            tracing::info!("serialize");
            to.serialize_u32(self.0)
        }
    }
    impl<'de> serde::Deserialize<'de> for Chatty {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            tracing::info!("deserialize");
            serde::Deserialize::deserialize(from).map(Self)
        }
    }
    impl Drop for Chatty {
        fn drop(&mut self) {
            tracing::info!("drop");
        }
    }
    within_a_minute(|| {
        let log = crate::log::Log::start();
        let codec = sealed_session::Codec::<Chatty>::new(crate::shop::key(1));
        let set = codec.renew(&Chatty(7), &codec.request([""])).unwrap();
        let cookie = pair(set.values().next().unwrap()).to_owned();
        let layer = SessionLayer::new(codec).accept(|_| {
            tracing::info!("accept");
            true
        });
        let service = layer.layer(service_fn(async |request: Request<()>| {
            let session = session::<Chatty, _>(&request).unwrap();
            let asks = session.clone();
            log.through(move || drop(asks.get()));
            assert_eq!(session.get().unwrap().0, 7);
            session.change(|chatty| chatty.0 += 1).unwrap();
            session.update(|chatty| chatty.as_mut().unwrap().0 += 1).unwrap();
            session.set(Chatty(1)).unwrap();
            session.fits(&Chatty(2)).unwrap();
            session.renew_with(|old| Chatty(old.unwrap().0)).unwrap();
            Ok::<_, Infallible>(Response::new(()))
        }));
        let request = Request::builder().header("cookie", cookie).body(()).unwrap();
        let response = service.oneshot(request).now_or_never().unwrap().unwrap();
        log.through(|| ());
        assert!(response.headers().contains_key("set-cookie"));
    });
}

/// Else a runtime's thread would wait for that of another request.
#[test]
fn a_request_that_is_dropped_waits_for_no_change() {
    within_a_minute(|| {
        let (begun, begins) = std::sync::mpsc::channel();
        let (dropped, is_dropped) = std::sync::mpsc::channel::<()>();
        let handles = std::sync::Mutex::new(Some((begun, is_dropped)));
        let result = Arc::new(std::sync::Mutex::new(None));
        let service = SessionLayer::new(codec()).layer(service_fn(async |request: Request<()>| {
            let session = session::<Shop, _>(&request).unwrap();
            let (begun, is_dropped) = handles.lock().unwrap().take().unwrap();
            let writer = std::thread::spawn(move || {
                session.change(|_| {
                    begun.send(()).unwrap();
                    let _ = is_dropped.recv();
                })
            });
            *result.lock().unwrap() = Some(writer);
            begins.recv().unwrap();
            std::future::pending::<Result<Response<()>, Infallible>>().await
        }));
        assert!(
            service.oneshot(Request::new(())).now_or_never().is_none(),
            "asked once, and dropped"
        );
        drop(dropped);
        let writer = result.lock().unwrap().take().unwrap();
        assert!(matches!(writer.join().unwrap(), Err(ChangeError::HeadersSent)));
    });
}

#[tokio::test]
async fn no_message_of_the_application_breaks_a_line_of_the_log() {
    #[derive(Clone, Default, serde::Deserialize)]
    struct Fails;
    impl serde::Serialize for Fails {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no\nforged\u{1b}[31m"))
        }
    }
    let log = crate::log::Log::start();
    let codec = sealed_session::Codec::<Fails>::new(crate::shop::key(1));
    let service = SessionLayer::new(codec).layer(service_fn(async |request: Request<()>| {
        session::<Fails, _>(&request).unwrap().set(Fails).unwrap();
        Ok::<_, Infallible>(Response::new(()))
    }));
    let response = service.oneshot(Request::new(())).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let lines = log.take();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains(r"no\nforged\u{1b}[31m"), "{lines:?}");
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
    async fn bare(_: Request<()>) -> Result<Response<()>, Infallible> {
        Ok(Response::new(()))
    }
    fn count<S: Service<Request<()>, Error = Infallible>>(service: S, cookie: Option<&str>) -> u64 {
        let mut request = Request::new(());
        request.extensions_mut().insert("the framework's own");
        if let Some(cookie) = cookie {
            request.headers_mut().insert("cookie", cookie.parse().unwrap());
        }
        let mut request = Some((service, request));
        let counted = allocation_counter::measure(|| {
            let (service, request) = request.take().unwrap();
            assert!(service.oneshot(request).now_or_never().unwrap().is_ok());
        });
        counted.count_total
    }
    let layer = SessionLayer::new(codec());
    let session = sealed(&codec(), Duration::ZERO);
    let theirs = format!("theme=dark; {session}x=1; lang=en").replace("__Host-session", "x");
    // And one for a copy of the session's cookie.
    for (cookie, more) in [(None, 3), (Some(&*theirs), 3), (Some(&*session), 4)] {
        let added = count(layer.layer(service_fn(bare)), cookie) - count(service_fn(bare), cookie);
        assert_eq!(added, more, "{cookie:?}");
    }
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
        assert_eq!(response.into_body().into_inner().unwrap_or_default().0, body);
    }
}
