//! The middlewares: logouts that are final, and answers while nobody knows what is revoked.

use std::future::ready;
use std::time::{Duration, Instant, SystemTime};

use sealed_session::legacy::Reader;
use sealed_session::revocation::{Journal, RedisFeed, Revocations, SubjectTag, WhenStale};
use sealed_session::web::{ChangeError, Session};
use sealed_session::{Codec, DecodeError, Key, KeyRing};
use serde::{Deserialize, Serialize};

use super::WEEK;

#[derive(Clone, Default, Serialize, Deserialize)]
struct Shop {
    user: u64,
    clicks: u64,
}

fn user(user: u64) -> SubjectTag {
    SubjectTag::new("user", user.to_be_bytes())
}

fn codec(ring: &KeyRing, set: &Revocations) -> Codec<Shop> {
    let old = Reader::new("old", |value| {
        let user = std::str::from_utf8(value).ok()?.strip_prefix("sealed.")?.parse().ok()?;
        Some(Shop { user, clicks: 0 })
    });
    Codec::builder(ring.clone())
        .also_reads(old, SystemTime::now() + WEEK)
        .revocations(set.clone(), |shop: &Shop| [user(shop.user)])
        .touch_after(Duration::from_secs(1))
        .build()
        .unwrap()
}

fn login(session: &Session<Shop>) -> Result<(), ChangeError> {
    session.renew(Shop { user: 7, clicks: 0 })
}

/// "Log out everywhere but here".
fn alone(session: &Session<Shop>) -> Result<(), ChangeError> {
    let shop = session.get().map(|shop| (*shop).clone()).unwrap_or_default();
    session.revoke_subject(user(shop.user))?;
    session.renew(shop)
}

/// Ends the sessions of another user, and does not look at that of the request.
fn ban(session: &Session<Shop>) -> Result<(), ChangeError> {
    session.revoke_subject(user(13))
}

/// Opens the session; and then the feed is lost.
fn lose(session: &Session<Shop>, set: Option<&Revocations>) -> Result<(), ChangeError> {
    assert_eq!(session.get().map(|shop| shop.user), Some(7));
    // Nobody listens there.
    let feed = RedisFeed::new("redis://127.0.0.1:9", WhenStale::Refuse).unwrap();
    let _feed = feed.spawn(set.unwrap()).unwrap();
    let updated = session.update(|shop| shop.as_mut().map(|shop| shop.clicks += 1));
    assert!(matches!(updated, Err(ChangeError::WouldReplace(DecodeError::RevocationsStale))));
    updated.map(drop)
}

fn show(session: &Session<Shop>) -> String {
    match session.get() {
        Some(shop) => format!("user {}", shop.user),
        None => "nobody".to_owned(),
    }
}

/// What a client sees.
struct Answer {
    status: u16,
    retry_after: bool,
    /// The `Set-Cookie` lines.
    set_cookies: Vec<String>,
    body: String,
}

impl Answer {
    fn cookie(&self) -> String {
        self.set_cookies[0].split(';').next().unwrap().to_owned()
    }
}

/// The same application in two frameworks.
trait Application {
    async fn get(&self, path: &str, cookie: &str) -> Answer;
}

struct Axum(axum::Router);

impl Axum {
    fn new(codec: Codec<Shop>, revoke_meanwhile: Option<Revocations>) -> Self {
        use axum::routing::get;
        use sealed_session::web::tower::SessionLayer;
        let feed = revoke_meanwhile.clone();
        let click = move |session: Session<Shop>| async move {
            session.change(|shop| shop.clicks += 1)?;
            if let Some(set) = revoke_meanwhile {
                set.revoke_subject(user(7)).unwrap();
            }
            Ok::<_, ChangeError>("clicked")
        };
        let router = axum::Router::new()
            .route("/", get(|session: Session<Shop>| async move { show(&session) }))
            .route("/login", get(|session: Session<Shop>| async move { login(&session) }))
            .route("/logout", get(|session: Session<Shop>| async move { session.clear() }))
            .route("/alone", get(|session: Session<Shop>| async move { alone(&session) }))
            .route("/click", get(click))
            .route("/ban", get(|session: Session<Shop>| async move { ban(&session) }))
            .route("/lose", get(|s: Session<Shop>| async move { lose(&s, feed.as_ref()) }))
            .layer(SessionLayer::new(codec));
        Self(router)
    }
}

impl Application for Axum {
    async fn get(&self, path: &str, cookie: &str) -> Answer {
        use axum::http;
        use tower::ServiceExt;
        let request = http::Request::get(path).header("cookie", cookie);
        let request = request.body(axum::body::Body::empty()).unwrap();
        let response = self.0.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let lines = head.headers.get_all("set-cookie").iter();
        Answer {
            status: head.status.as_u16(),
            retry_after: head.headers.contains_key("retry-after"),
            set_cookies: lines.map(|line| line.to_str().unwrap().to_owned()).collect(),
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }
}

struct Actix(Codec<Shop>, Option<Revocations>);

impl Application for Actix {
    async fn get(&self, path: &str, cookie: &str) -> Answer {
        use actix_web::{App, HttpResponse, test, web};
        use sealed_session::web::actix::SessionMiddleware;
        let revoke = self.1.clone();
        let click = move |session: Session<Shop>| {
            let revoke = revoke.clone();
            async move {
                session.change(|shop| shop.clicks += 1)?;
                if let Some(set) = revoke {
                    set.revoke_subject(user(7)).unwrap();
                }
                Ok::<_, ChangeError>("clicked")
            }
        };
        let feed = self.1.clone();
        let lose = move |session: Session<Shop>| ready(lose(&session, feed.as_ref()));
        let ok = |done: Result<(), ChangeError>| done.map(|()| HttpResponse::Ok().finish());
        let app = App::new()
            .wrap(SessionMiddleware::new(self.0.clone()))
            .route("/", web::get().to(|session: Session<Shop>| async move { show(&session) }))
            .route("/login", web::get().to(move |s: Session<Shop>| async move { ok(login(&s)) }))
            .route("/logout", web::get().to(move |s: Session<Shop>| async move { ok(s.clear()) }))
            .route("/alone", web::get().to(move |s: Session<Shop>| async move { ok(alone(&s)) }))
            .route("/click", web::get().to(click))
            .route("/ban", web::get().to(move |s: Session<Shop>| async move { ok(ban(&s)) }))
            .route(
                "/lose",
                web::get().to(move |s: Session<Shop>| {
                    let lost = lose(s);
                    async move { lost.await.map(|()| "lost") }
                }),
            );
        let app = test::init_service(app).await;
        let request = test::TestRequest::get().uri(path).insert_header(("cookie", cookie));
        let response = test::call_service(&app, request.to_request()).await;
        let lines = response.headers().get_all("set-cookie");
        Answer {
            status: response.status().as_u16(),
            retry_after: response.headers().contains_key("retry-after"),
            set_cookies: lines.map(|line| line.to_str().unwrap().to_owned()).collect(),
            body: String::from_utf8(test::read_body(response).await.to_vec()).unwrap(),
        }
    }
}

/// Runs what is the same in both.
macro_rules! in_both {
    ($(#[doc = $doc:literal])* $name:ident, |$one:ident, $set:ident, $app:ident| $body:expr) => {
        mod $name {
            use super::*;

            async fn rule<A: Application>(
                $set: &Revocations,
                $one: impl Fn(Codec<Shop>, Option<Revocations>) -> A,
                ring: &KeyRing,
            ) {
                let $app = |revoke: Option<Revocations>| $one(codec(ring, $set), revoke);
                $body
            }

            #[tokio::test]
            async fn axum() {
                let ring = Key::generate().unwrap().into();
                rule(&Revocations::new(WEEK), Axum::new, &ring).await;
            }

            #[actix_web::test]
            async fn actix() {
                let ring = Key::generate().unwrap().into();
                rule(&Revocations::new(WEEK), Actix, &ring).await;
            }
        }
    };
}

in_both!(a_logout_ends_every_copy_of_the_cookie, |one, set, app| {
    let app = app(None);
    let cookie = app.get("/login", "").await.cookie();
    assert_eq!(app.get("/", &cookie).await.body, "user 7");
    let answer = app.get("/logout", &cookie).await;
    assert_eq!(answer.status, 200);
    assert!(answer.set_cookies[0].contains("Max-Age=0"));
    assert_eq!(app.get("/", &cookie).await.body, "nobody");
    assert_eq!(set.len(), 1);
});

in_both!(
    a_logout_ends_every_copy_of_the_old_cookie_that_the_session_came_from,
    |one, _set, app| {
        let app = app(None);
        for at_once in [true, false] {
            let old = format!("old=sealed.{}", 7 + u8::from(at_once));
            let answer = app.get("/", &old).await;
            assert_ne!(answer.body, "nobody");
            let ours = if at_once { old.clone() } else { answer.cookie() };
            assert_eq!(app.get("/logout", &ours).await.status, 200);
            assert_eq!(app.get("/", &old).await.body, "nobody", "at once: {at_once}");
        }
    }
);

in_both!(a_logout_waits_until_it_is_stored_and_no_longer_than_is_set, |one, set, app| {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("revoked");
    let journal = Journal::open(&path, set).unwrap();
    let app = app(None);
    let cookie = app.get("/login", "").await.cookie();
    app.get("/logout", &cookie).await;
    // It is on the disk now, without any further waiting.
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 64);

    let cookie = app.get("/login", "").await.cookie();
    let lock = std::fs::File::open(folder.path().join("revoked.lock")).unwrap();
    fs4::FileExt::lock(&lock).unwrap();
    set.set_patience(Duration::from_millis(50));
    let began = Instant::now();
    assert_eq!(app.get("/logout", &cookie).await.status, 200);
    assert!(began.elapsed() >= Duration::from_millis(50));
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 64, "it is not stored");
    assert_eq!(app.get("/", &cookie).await.body, "nobody", "and holds here");
    drop(lock);
    drop(journal);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 96, "it is stored now");
});

in_both!(
    what_a_handler_revokes_is_waited_for_though_it_does_not_look_at_the_session,
    |one, set, app| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revoked");
        let _journal = Journal::open(&path, set).unwrap();
        let app = app(None);
        for cookie in ["", &app.get("/login", "").await.cookie()] {
            let lock = std::fs::File::open(folder.path().join("revoked.lock")).unwrap();
            fs4::FileExt::lock(&lock).unwrap();
            set.set_patience(Duration::from_millis(50));
            let began = Instant::now();
            let answer = app.get("/ban", cookie).await;
            assert_eq!((answer.status, answer.set_cookies.len()), (200, 0));
            assert!(began.elapsed() >= Duration::from_millis(50), "it cannot be stored yet");
        }
    }
);

in_both!(an_update_after_the_feed_was_lost_writes_nothing, |one, set, app| {
    let app = app(Some(set.clone()));
    let cookie = app.get("/login", "").await.cookie();
    let answer = app.get("/lose", &cookie).await;
    assert_eq!((answer.status, answer.retry_after), (503, true));
    assert!(answer.set_cookies.is_empty());
});

in_both!(what_is_revoked_while_its_request_runs_is_not_sealed_again, |one, set, app| {
    let app = app(Some(set.clone()));
    let cookie = app.get("/login", "").await.cookie();
    let answer = app.get("/click", &cookie).await;
    assert_eq!((answer.status, answer.set_cookies.len()), (500, 0));
    assert_eq!(app.get("/", &cookie).await.body, "nobody");
});

in_both!(log_out_everywhere_but_here_in_one_request, |one, set, app| {
    let app = app(None);
    let [here, there] =
        [app.get("/login", "").await.cookie(), app.get("/login", "").await.cookie()];
    let answer = app.get("/alone", &here).await;
    assert_eq!(answer.status, 200);
    assert_eq!(app.get("/", &answer.cookie()).await.body, "user 7");
    assert_eq!(app.get("/", &here).await.body, "nobody");
    assert_eq!(app.get("/", &there).await.body, "nobody");
    assert_eq!(set.len(), 1);
});

in_both!(a_set_without_room_says_so_and_removes_the_cookie_all_the_same, |one, set, app| {
    let app = app(None);
    let cookie = app.get("/login", "").await.cookie();
    set.set_capacity(0);
    let answer = app.get("/logout", &cookie).await;
    assert_eq!((answer.status, answer.retry_after), (503, true));
    assert!(answer.set_cookies[0].contains("Max-Age=0"));
});

in_both!(
    while_nobody_knows_what_is_revoked_the_answer_is_as_was_chosen_and_never_nobody,
    |one, set, app| {
        let app = app(None);
        let cookie = app.get("/login", "").await.cookie();
        // Nobody listens there.
        let feed = |when| RedisFeed::new("redis://127.0.0.1:9", when).unwrap().spawn(set).unwrap();
        let refusing = feed(WhenStale::Refuse);
        for path in ["/", "/click"] {
            let answer = app.get(path, &cookie).await;
            assert_eq!((answer.status, answer.retry_after), (503, true), "{path}");
            assert!(answer.set_cookies.is_empty(), "{path}");
        }
        assert_eq!(app.get("/", "").await.body, "nobody", "there is no session to judge");
        assert_eq!(app.get("/login", "").await.status, 200);
        drop(refusing);
        let _serving = feed(WhenStale::Serve);
        assert_eq!(app.get("/", &cookie).await.body, "user 7");
    }
);
