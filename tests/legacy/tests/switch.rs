//! The switch from an application with axum-extra's private cookies to one with this crate, behind one nginx that sends
//! requests to old and new nodes in turn.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use axum_extra::extract::cookie::{Cookie, Key as OldKey, PrivateCookieJar};
use sealed_session::legacy::{Jar, JarKey, Reader};
use sealed_session::web::Session;
use sealed_session::web::tower::SessionLayer;
use sealed_session::{Codec, Key};
use sealed_session_legacy_tests::browser::Browser;
use sealed_session_legacy_tests::proxy::Nginx;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

const OLD_KEY: &[u8; 64] = b"these keys are public, never use them; they are for vectors onlY";

/// The old application: a private cookie with the name of the user.
fn old_app() -> Router {
    async fn login(Path(user): Path<String>, jar: PrivateCookieJar) -> PrivateCookieJar {
        jar.add(Cookie::build(("user", user)).path("/"))
    }
    async fn logout(jar: PrivateCookieJar) -> PrivateCookieJar {
        jar.remove(Cookie::build("user").path("/"))
    }
    async fn page(jar: PrivateCookieJar) -> String {
        format!("old {}", jar.get("user").map_or("nobody".into(), |user| user.value().to_owned()))
    }
    Router::new()
        .route("/login/{user}", get(login))
        .route("/logout", get(logout))
        .route("/page", get(page))
        .with_state(OldKey::from(OLD_KEY))
}

/// The new one, which also counts the visits.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Shop {
    user: String,
    visits: u32,
}

fn new_app(codec: Codec<Shop>) -> Router {
    async fn login(Path(user): Path<String>, session: Session<Shop>) {
        session.renew(Shop { user, visits: 0 }).unwrap();
    }
    async fn logout(session: Session<Shop>) {
        session.clear().unwrap();
    }
    async fn page(session: Session<Shop>) -> String {
        format!("new {}", session.get().map_or("nobody".into(), |shop| shop.user.clone()))
    }
    async fn visit(session: Session<Shop>) -> String {
        let visits = session.change(|shop| {
            shop.visits += 1;
            shop.visits
        });
        format!("new {} {}", session.get().unwrap().user, visits.unwrap())
    }
    Router::new()
        .route("/login/{user}", get(login))
        .route("/logout", get(logout))
        .route("/page", get(page))
        .route("/visit", get(visit))
        .layer(SessionLayer::new(codec))
}

fn reader() -> Reader<Shop> {
    let jar = Jar::private(&JarKey::from_bytes(OLD_KEY).unwrap());
    jar.text("user", |user| Some(Shop { user: user.to_owned(), visits: 0 }))
}

fn codec(reader: Reader<Shop>) -> Codec<Shop> {
    let key = Key::from_bytes(*b"this key is public, never use it").unwrap();
    let end = SystemTime::now() + Duration::from_secs(7 * 86_400);
    Codec::builder(key).also_reads(reader, end).build().unwrap()
}

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

/// One old and one new node, asked in turn; under `/old` and `/new` each alone.
async fn in_turn(old: SocketAddr, new: SocketAddr) -> Nginx {
    Nginx::start(&format!(
        "upstream all {{ server {old}; server {new}; }}
         server {{
             listen LISTEN;
             location / {{ proxy_pass http://all; }}
             location /old/ {{ proxy_pass http://{old}/; }}
             location /new/ {{ proxy_pass http://{new}/; }}
         }}"
    ))
    .await
}

/// Asks until both nodes have answered several times, and returns all that was said.
async fn both(browser: &mut Browser, path: &str) -> Vec<String> {
    let mut said = Vec::new();
    for _ in 0..10 {
        said.push(browser.get(path).await);
    }
    for node in ["old ", "new "] {
        let answers = said.iter().filter(|answer| answer.starts_with(node)).count();
        assert!(answers >= 3, "{node} was asked: {said:?}");
    }
    said.sort();
    said.dedup();
    said
}

#[tokio::test]
#[ignore = "needs nginx"]
async fn users_go_back_and_forth_and_nobody_is_logged_out() {
    let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
    let new = codec(reader().old_nodes_until(tomorrow));
    let (old, new) = (serve(old_app()).await, serve(new_app(new)).await);
    let nginx = in_turn(old, new).await;
    let mut jane = Browser::new(nginx.address);
    jane.get("/old/login/jane").await;
    assert_eq!(both(&mut jane, "/page").await, ["new jane", "old jane"]);
    assert_eq!(jane.cookies.keys().collect::<Vec<_>>(), ["__Host-session", "user"]);

    // What the new node keeps stays, whoever answers in between.
    for visits in 1..=5 {
        assert_eq!(jane.get("/new/visit").await, format!("new jane {visits}"));
        assert_eq!(both(&mut jane, "/page").await, ["new jane", "old jane"]);
    }

    // A logout on either is one on both, and so is it for who had both cookies.
    jane.get("/old/logout").await;
    assert_eq!(both(&mut jane, "/page").await, ["new nobody", "old nobody"]);
    jane.get("/old/login/jane").await;
    assert_eq!(both(&mut jane, "/page").await, ["new jane", "old jane"]);
    assert_eq!(jane.get("/new/visit").await, "new jane 1", "another session than before");
    jane.get("/new/logout").await;
    assert!(jane.cookies.is_empty(), "{:?}", jane.cookies.keys());
    assert_eq!(both(&mut jane, "/page").await, ["new nobody", "old nobody"]);

    // Somebody else at the same browser, with no logout before.
    jane.get("/old/login/jane").await;
    assert_eq!(both(&mut jane, "/page").await, ["new jane", "old jane"]);
    jane.get("/old/login/mary").await;
    assert_eq!(both(&mut jane, "/page").await, ["new mary", "old mary"]);

    // The last old node is gone: ours goes on alone, and the old cookie goes.
    assert_eq!(jane.get("/new/visit").await, "new mary 1");
    let later = serve(new_app(codec(reader()))).await;
    let mut alone = Browser::new(later);
    alone.cookies = jane.cookies.clone();
    assert_eq!(alone.get("/page").await, "new mary");
    assert_eq!(alone.cookies.keys().collect::<Vec<_>>(), ["__Host-session"]);
    assert_eq!(alone.get("/visit").await, "new mary 2");
}

/// What the guide says of logins on new nodes: old ones do not know of them.
#[tokio::test]
#[ignore = "needs nginx"]
async fn a_login_on_a_new_node_is_known_to_new_nodes_alone() {
    let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
    let new = codec(reader().old_nodes_until(tomorrow));
    let (old, new) = (serve(old_app()).await, serve(new_app(new)).await);
    let nginx = in_turn(old, new).await;
    let mut jane = Browser::new(nginx.address);
    jane.get("/new/login/jane").await;
    assert_eq!(both(&mut jane, "/page").await, ["new jane", "old nobody"]);
    jane.get("/old/login/jane").await;
    assert_eq!(both(&mut jane, "/page").await, ["new jane", "old jane"]);
}

/// The other way: the proxy keeps on new nodes whom a new node has moved.
#[tokio::test]
#[ignore = "needs nginx"]
async fn the_proxy_of_the_guide_keeps_moved_users_on_new_nodes() {
    let guide = include_str!("../../../docs/COMING_FROM.md");
    let (_, lines) = guide.split_once("```nginx\n").unwrap();
    let (lines, _) = lines.split_once("```").unwrap();
    let (old, new) = (serve(old_app()).await, serve(new_app(codec(reader()))).await);
    let mut http =
        lines.replace("server 10.0.0.2:8080;", "").replace("server {", "server {\nlisten LISTEN;");
    for (placeholder, node) in [("10.0.0.1:8080", old), ("10.0.0.3:8080", new)] {
        assert!(http.contains(placeholder));
        http = http.replace(placeholder, &node.to_string());
    }
    let nginx = Nginx::start(&http).await;

    let mut jane = Browser::new(nginx.address);
    // Whoever answers the login, the user is known to all who answer later.
    jane.get("/login/jane").await;
    let mut moved = false;
    for _ in 0..20 {
        let said = jane.get("/page").await;
        assert!(said.ends_with(" jane"), "{said}");
        assert!(!moved || said == "new jane", "who was moved stays: {said}");
        moved |= said == "new jane";
    }
    assert!(moved);
    assert_eq!(jane.cookies.keys().collect::<Vec<_>>(), ["__Host-session"]);
    for visits in 1..=5 {
        assert_eq!(jane.get("/visit").await, format!("new jane {visits}"));
    }
    jane.get("/logout").await;
    for _ in 0..6 {
        assert!(jane.get("/page").await.ends_with(" nobody"));
    }
}

/// With neither of the two, who was moved is nobody on an old node: this is what they are for.
#[tokio::test]
#[ignore = "needs nginx"]
async fn without_either_users_are_logged_out_on_old_nodes() {
    let (old, new) = (serve(old_app()).await, serve(new_app(codec(reader()))).await);
    let nginx = in_turn(old, new).await;
    let mut jane = Browser::new(nginx.address);
    jane.get("/old/login/jane").await;
    assert_eq!(jane.get("/new/page").await, "new jane");
    assert_eq!(both(&mut jane, "/page").await, ["new jane", "old nobody"]);
}
