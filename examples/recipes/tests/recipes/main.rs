//! Each recipe, driven by a browser that keeps cookies and nothing else.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

mod browser;
mod oidc;
mod provider;
mod websocket;

use axum::body::Body;
use axum::http::Request;
use recipes::{csrf, flash, logout_everywhere, remember_me, single_page, step_up, two_sessions};
use sealed_session::{Codec, Key, KeyRing, Limits};

use crate::browser::Browser;

fn ring() -> KeyRing {
    Key::generate().unwrap().into()
}

#[tokio::test]
async fn a_form_without_the_token_is_refused() {
    let mut browser = Browser::new(csrf::app(Codec::new(ring())));
    let page = browser.get("/").await;
    let csrf = page.body.split("value=").nth(1).unwrap().split('>').next().unwrap().to_owned();
    assert_eq!(csrf.len(), 32);
    for (form, status) in [
        ("csrf=&text=a".to_owned(), 403),
        (format!("csrf={}&text=a", "0".repeat(32)), 403),
        (format!("csrf={csrf}&text=a"), 200),
    ] {
        assert_eq!(browser.post("/", &form).await.status, status, "{form}");
    }
    let mut other = Browser::new(browser.app.clone());
    assert_eq!(other.post("/", "csrf=&text=a").await.status, 403, "nor without a session");
    assert_eq!(other.post("/", &format!("csrf={csrf}&text=a")).await.status, 403);
}

#[tokio::test]
async fn a_message_is_shown_once_and_begins_no_session() {
    let mut browser = Browser::new(flash::app(Codec::new(ring())));
    let page = browser.get("/").await;
    assert_eq!((page.body.as_str(), page.set_cookies().len()), ("nothing new", 0));
    assert_eq!(browser.post("/save", "").await.status, 303);
    assert_eq!(browser.get("/").await.body, "saved");
    assert_eq!(browser.get("/").await.body, "nothing new");
}

#[tokio::test]
async fn a_logout_everywhere_ends_each_browser_of_the_user_alone() {
    let app = logout_everywhere::app(Codec::new(ring()));
    let [mut one, mut two, mut other] = [(); 3].map(|()| Browser::new(app.clone()));
    one.post("/login/7", "").await;
    two.post("/login/7", "").await;
    other.post("/login/8", "").await;
    let copy = one.clone();
    one.post("/logout-everywhere", "").await;
    for (mut browser, status) in [(one, 401), (two, 401), (copy, 401), (other, 200)] {
        assert_eq!(browser.get("/").await.status, status);
    }
}

#[tokio::test]
async fn a_dangerous_page_wants_the_password_again() {
    let mut browser = Browser::new(step_up::app(Codec::new(ring())));
    assert_eq!(browser.post("/delete-account", "").await.status, 401);
    assert_eq!(browser.post("/confirm", "").await.status, 401);
    browser.post("/login", "").await;
    assert_eq!(browser.post("/delete-account", "").await.status, 403);
    assert_eq!(browser.post("/confirm", "").await.status, 204);
    assert_eq!(browser.post("/delete-account", "").await.body, "user 7 is gone");
}

#[tokio::test]
async fn a_browser_remembers_a_user_who_wants_it() {
    let app = remember_me::app(ring()).unwrap();
    for (form, kept) in [("", None), ("remember_me=on", Some("; Max-Age=2592000"))] {
        let page = Browser::new(app.clone()).post("/login", form).await;
        let cookie = page.set_cookies()[0].to_owned();
        match kept {
            Some(kept) => assert!(cookie.ends_with(kept), "{cookie}"),
            None => assert!(!cookie.contains("Max-Age"), "{cookie}"),
        }
    }
}

#[tokio::test]
async fn a_cart_outlives_the_login() {
    let ring = ring();
    let mut browser = Browser::new(two_sessions::app(&ring).unwrap());
    browser.post("/login", "").await;
    browser.post("/buy", "").await;
    assert_eq!(browser.get("/").await.body, "7: 1");
    browser.post("/logout", "").await;
    assert_eq!(browser.get("/").await.body, "nobody: 1");
    // Two of the default would not keep to what the proxy takes.
    let codecs = [Codec::<u8>::new(ring.clone()).limits(), Codec::<u8>::new(ring).limits()];
    assert!(Limits::UNMODIFIED_NGINX.holds(codecs).is_err());
}

#[tokio::test]
async fn a_script_is_told_who_is_there() {
    let mut browser = Browser::new(single_page::app(Codec::new(ring())));
    let page = browser.get("/api/me").await;
    assert_eq!((page.status, page.body.as_str()), (401, r#"{"error":"login"}"#));
    let login = |by: bool| {
        let request = Request::post("/api/login").header("content-type", "application/json");
        let request = if by { request.header("x-requested-by", "app") } else { request };
        request.body(Body::from(r#"{"user":7}"#)).unwrap()
    };
    assert_eq!(browser.send(login(false)).await.status, 403);
    assert_eq!(browser.send(login(true)).await.status, 200);
    assert_eq!(browser.get("/api/me").await.body, r#"{"user":7}"#);
    let news = browser.get("/api/news").await;
    assert_eq!((news.body.as_str(), news.set_cookies().len()), (r#"{"news":1}"#, 0));
}
