//! Each recipe, driven by a browser that keeps cookies and nothing else.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, header};
use http_body_util::BodyExt;
use recipes::{
    csrf, flash, logout_everywhere, oidc, remember_me, single_page, step_up, two_sessions,
    websocket,
};
use sealed_session::web::ChangeError;
use sealed_session::{Codec, Key, KeyRing, Limits};
use tower::ServiceExt;

#[derive(Clone)]
struct Browser {
    app: Router,
    cookies: BTreeMap<String, String>,
}

struct Page {
    status: u16,
    head: axum::http::HeaderMap,
    body: String,
}

impl Browser {
    fn new(app: Router) -> Self {
        Self { app, cookies: BTreeMap::new() }
    }

    async fn get(&mut self, path: &str) -> Page {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn post(&mut self, path: &str, form: &str) -> Page {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form.to_owned()));
        self.send(request.unwrap()).await
    }

    async fn send(&mut self, mut request: Request<Body>) -> Page {
        let pairs: Vec<_> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        request.headers_mut().insert(header::COOKIE, pairs.join("; ").parse().unwrap());
        let response: Response<Body> = self.app.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        for line in head.headers.get_all(header::SET_COOKIE) {
            let line = line.to_str().unwrap();
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if line.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let body = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.into()).unwrap();
        Page { status: head.status.as_u16(), head: head.headers, body }
    }
}

impl Page {
    fn set_cookies(&self) -> Vec<&str> {
        self.head.get_all(header::SET_COOKIE).iter().map(|line| line.to_str().unwrap()).collect()
    }
}

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

#[tokio::test]
async fn a_socket_reads_the_session_of_its_handshake() {
    let sockets = websocket::Sockets::default();
    let mut browser = Browser::new(websocket::app(Codec::new(ring()), Arc::clone(&sockets)));
    let handshake = |origin: &str| {
        Request::get("/socket").header("origin", origin).body(Body::empty()).unwrap()
    };
    assert_eq!(browser.send(handshake("https://example.com")).await.status, 401);
    browser.post("/login", "").await;
    assert_eq!(browser.send(handshake("https://evil.example")).await.status, 403);
    assert_eq!(browser.send(handshake("https://example.com")).await.status, 101);
    let sockets = sockets.lock().unwrap();
    assert_eq!(sockets[0].session.get().as_deref(), Some(&7));
    assert!(sockets[0].closes > std::time::SystemTime::now());
    assert!(matches!(sockets[0].session.clear(), Err(ChangeError::HeadersSent)));
}

#[tokio::test]
async fn logins_in_several_tabs_each_come_back_to_their_own_page() {
    // A provider whose codes are the nonces that it was sent.
    let exchange = |code: &str, login: &oidc::Login| {
        assert_eq!(login.verifier.len(), 64);
        (code == login.nonce).then(|| "jane".to_owned())
    };
    let mut browser = Browser::new(oidc::app(&ring(), Arc::new(exchange)).unwrap());
    let location = |page: &Page| page.head[header::LOCATION].to_str().unwrap().to_owned();
    let parameter = |url: &str, name: &str| {
        url.split(['?', '&']).find_map(|pair| pair.strip_prefix(name)).unwrap().to_owned()
    };
    let mut tabs = Vec::new();
    for path in ["/login?return_to=/a", "/login?return_to=/b", "/login?return_to=//evil.example"] {
        let page = browser.get(path).await;
        let cookie = page.set_cookies()[0];
        assert!(
            cookie.starts_with("__Host-login=") && cookie.contains("SameSite=None"),
            "{cookie}"
        );
        tabs.push(location(&page));
    }
    let form =
        |url: &str| format!("state={}&code={}", parameter(url, "state="), parameter(url, "nonce="));
    // The answer comes from another site, so without the Lax cookie.
    let first = form(&tabs[0]);
    for (url, back) in tabs.iter().zip(["/a", "/b", "/"]).rev() {
        let page = browser.post("/callback", &form(url)).await;
        assert_eq!((page.status, location(&page).as_str()), (303, back));
    }
    assert_eq!(browser.get("/").await.body, "jane");
    assert!(!browser.cookies.contains_key("__Host-login"), "the last one takes it along");
    // Once more, from elsewhere, or with the code of another login.
    assert_eq!(browser.post("/callback", &first).await.status, 400);
    let mut victim = Browser::new(browser.app.clone());
    assert_eq!(victim.post("/callback", &first).await.status, 400, "brought by the attacker");
    let begun = location(&victim.get("/login").await);
    let forged = format!("state={}&code=of+another", parameter(&begun, "state="));
    assert_eq!(victim.post("/callback", &forged).await.status, 403);
    assert_eq!(victim.get("/").await.body, "nobody");
    // Tabs that were given up push out the oldest, and the cookie stays small.
    for _ in 0..20 {
        assert_eq!(victim.get("/login").await.status, 303);
    }
    assert!(victim.cookies["__Host-login"].len() < 1500);
}
