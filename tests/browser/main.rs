//! A real browser over HTTPS: what becomes of the cookies that the middlewares set.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

mod chromium;
mod driver;
mod firefox;
mod site;

use driver::Browser;
use site::{ATTRIBUTES, Site};

#[tokio::test]
#[ignore = "needs chromium, chromedriver, nginx and openssl"]
async fn chromium_keeps_the_sessions_of_axum() {
    let site = Site::axum().await;
    visit(Browser::chromium(&site.origin).await).await;
}

#[tokio::test]
#[ignore = "needs chromium, chromedriver, nginx and openssl"]
async fn chromium_keeps_the_sessions_of_actix() {
    let site = Site::actix().await;
    visit(Browser::chromium(&site.origin).await).await;
}

#[tokio::test]
#[ignore = "needs firefox-esr, nginx and openssl"]
async fn firefox_keeps_the_sessions_of_axum() {
    let site = Site::axum().await;
    visit(Browser::firefox(&site.origin).await).await;
}

#[tokio::test]
#[ignore = "needs firefox-esr, nginx and openssl"]
async fn firefox_keeps_the_sessions_of_actix() {
    let site = Site::actix().await;
    visit(Browser::firefox(&site.origin).await).await;
}

async fn visit(mut browser: Browser) {
    assert_eq!(browser.open("/read").await, "nobody");

    // A session in one cookie, which scripts do not see.
    assert_eq!(browser.open("/set/10").await, "set");
    let cookies = browser.cookies().await;
    assert_eq!(cookies.len(), 1);
    assert_eq!(cookies[0]["name"], "__Host-session");
    assert_eq!(cookies[0]["httpOnly"], true);
    assert_eq!(cookies[0]["secure"], true);
    assert_eq!(cookies[0]["sameSite"], "Lax");
    assert_eq!(cookies[0]["path"], "/");
    assert_eq!(browser.script("return document.cookie").await, "");
    assert_eq!(browser.open("/read").await, "10");
    assert_eq!(browser.reload().await, "10");

    // It grows into two cookies, into more, and shrinks; nothing is left over.
    for (len, names) in [
        (4000, &["__Host-session", "__Host-session.1"][..]),
        (8000, &["__Host-session", "__Host-session.1", "__Host-session.2"]),
        (4500, &["__Host-session", "__Host-session.1"]),
        (20, &["__Host-session"]),
    ] {
        assert_eq!(browser.open(&format!("/set/{len}")).await, "set");
        assert_eq!(browser.names().await, names, "{len}");
        assert_eq!(browser.open("/read").await, len.to_string());
        assert_eq!(browser.reload().await, len.to_string());
    }

    // At the very limit of a cookie it is kept; one byte more is refused here, not by the browser, and
    // the old session stays.
    let most = site::most_in_one_cookie();
    assert_eq!(browser.open(&format!("/full/set/{most}")).await, "set");
    assert_eq!(browser.open("/full/read").await, most.to_string());
    let cookies = browser.cookies().await;
    let full = cookies.iter().find(|cookie| cookie["name"] == "__Host-full").unwrap();
    let line = "__Host-full=".len() + full["value"].as_str().unwrap().len() + ATTRIBUTES.len();
    assert!((4094..=4096).contains(&line), "{line}: base64 leaves at most two characters free");
    assert_ne!(browser.open(&format!("/full/set/{}", most + 1)).await, "set");
    assert_eq!(browser.open("/full/read").await, most.to_string());
    assert_eq!(browser.open("/full/logout").await, "bye");
    assert_eq!(browser.names().await, ["__Host-session"]);

    // A logout removes every cookie.
    assert_eq!(browser.open("/set/8000").await, "set");
    assert_eq!(browser.names().await.len(), 3);
    assert_eq!(browser.open("/logout").await, "bye");
    assert!(browser.cookies().await.is_empty());
    assert_eq!(browser.open("/read").await, "nobody");

    // Two tabs have one session.
    assert_eq!(browser.open("/set/30").await, "set");
    let first = browser.tab().await;
    let second = browser.new_tab().await;
    assert_eq!(browser.open("/read").await, "30");
    assert_eq!(browser.open("/set/31").await, "set");
    browser.switch_to(&first).await;
    assert_eq!(browser.open("/read").await, "31");
    assert_eq!(browser.open("/logout").await, "bye");
    browser.switch_to(&second).await;
    assert_eq!(browser.open("/read").await, "nobody");

    // Back, after a logout, brings no session back.
    assert_eq!(browser.open("/set/40").await, "set");
    assert_eq!(browser.open("/read").await, "40");
    assert_eq!(browser.open("/logout").await, "bye");
    browser.back().await;
    assert_eq!(browser.reload().await, "nobody");
    assert!(browser.cookies().await.is_empty());
}
