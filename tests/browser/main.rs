//! A real browser over HTTPS: what becomes of the cookies that the middlewares set.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

#[path = "../../examples/actix.rs"]
#[allow(dead_code, reason = "the test serves by itself")]
mod actix_example;
#[path = "../../examples/axum.rs"]
#[allow(dead_code, reason = "the test serves by itself")]
mod axum_example;
mod chromium;
mod driver;
mod firefox;
mod site;

use driver::Browser;
use site::{ATTRIBUTES, Site, noise};

#[tokio::test]
#[ignore = "needs chromium, chromedriver, nginx and openssl"]
async fn chromium_keeps_the_sessions_of_axum() {
    let site = Site::axum().await;
    visit(Browser::chromium(&site.origin).await, &site).await;
}

#[tokio::test]
#[ignore = "needs chromium, chromedriver, nginx and openssl"]
async fn chromium_keeps_the_sessions_of_actix() {
    let site = Site::actix().await;
    visit(Browser::chromium(&site.origin).await, &site).await;
}

#[tokio::test]
#[ignore = "needs firefox-esr, nginx and openssl"]
async fn firefox_keeps_the_sessions_of_axum() {
    let site = Site::axum().await;
    visit(Browser::firefox(&site.origin).await, &site).await;
}

#[tokio::test]
#[ignore = "needs firefox-esr, nginx and openssl"]
async fn firefox_keeps_the_sessions_of_actix() {
    let site = Site::actix().await;
    visit(Browser::firefox(&site.origin).await, &site).await;
}

async fn visit(mut browser: Browser, site: &Site) {
    one_cookie(&mut browser).await;
    several_cookies(&mut browser).await;
    the_limit_of_browsers(&mut browser).await;
    the_limit_of_the_crate(&mut browser, site.longest_user).await;
    two_tabs(&mut browser).await;
    back_after_a_logout(&mut browser).await;
}

const NOBODY: (&str, &[u64]) = ("nobody", &[]);

/// Sees the page, as it is and as it comes again.
async fn expect(browser: &mut Browser, path: &str, (user, cart): (&str, &[u64])) {
    browser.open(path).await;
    assert_eq!(browser.shop().await, (user.to_owned(), cart.to_vec()));
    browser.reload().await;
    assert_eq!(browser.shop().await, (user.to_owned(), cart.to_vec()), "after a reload");
}

async fn send(browser: &mut Browser, action: &str, value: &str) {
    assert_eq!(browser.send(action, value).await, 200, "{action}");
}

/// A session in one cookie, which scripts do not see.
async fn one_cookie(browser: &mut Browser) {
    expect(browser, "/", NOBODY).await;
    assert!(browser.cookies().await.is_empty());
    send(browser, "cart/add", "pen").await;
    send(browser, "login", "jane").await;
    let cookies = browser.cookies().await;
    assert_eq!(cookies.len(), 1);
    assert_eq!(cookies[0]["name"], "__Host-session");
    assert_eq!(cookies[0]["httpOnly"], true);
    assert_eq!(cookies[0]["secure"], true);
    assert_eq!(cookies[0]["sameSite"], "Lax");
    assert_eq!(cookies[0]["path"], "/");
    assert_eq!(browser.script("return document.cookie").await, "");
    expect(browser, "/", ("jane", &[3])).await;
}

/// It grows into two cookies and into three, and shrinks; nothing is left over. A logout removes them all.
async fn several_cookies(browser: &mut Browser) {
    const ALL: [&str; 3] = ["__Host-session", "__Host-session.1", "__Host-session.2"];
    let (long, longer) = (noise(4600), noise(9200));
    for (action, value, cookies, cart) in [
        ("cart/add", &long[..], 2, &[3, 4600][..]),
        ("cart/add", &longer[4600..], 3, &[3, 4600, 4600]),
        ("cart/drop", "", 2, &[3, 4600]),
        ("cart/drop", "", 1, &[3]),
        ("cart/add", &long, 2, &[3, 4600]),
        ("cart/add", &longer[4600..], 3, &[3, 4600, 4600]),
    ] {
        send(browser, action, value).await;
        assert_eq!(browser.names().await, ALL[..cookies], "{cart:?}");
        expect(browser, "/", ("jane", cart)).await;
    }
    send(browser, "logout", "").await;
    assert!(browser.cookies().await.is_empty());
    expect(browser, "/", NOBODY).await;
}

/// What the limits of the crate are made for: a name and value of 4096 bytes are kept, and of one byte more
/// are dropped without a word, and the old ones stay.
async fn the_limit_of_browsers(browser: &mut Browser) {
    let expect = async |browser: &mut Browser, letter: &str, len: usize| {
        let cookies = browser.cookies().await;
        assert_eq!(cookies.len(), 1);
        let value = cookies[0]["value"].as_str().unwrap();
        assert_eq!(("raw".len() + value.len(), &value[..1]), (len, letter));
    };
    browser.open("/raw/a/4095").await;
    expect(browser, "a", 4095).await;
    browser.open("/raw/b/4096").await;
    expect(browser, "b", 4096).await;
    browser.open("/raw/c/4097").await;
    expect(browser, "b", 4096).await;
    browser.open("/").await;
    browser.script("document.cookie = 'raw=; Secure; Path=/; Max-Age=0'").await;
    assert!(browser.cookies().await.is_empty());
}

/// The largest cookie that the crate makes is kept. One byte more is refused by the crate, not by the browser,
/// and the old session stays.
async fn the_limit_of_the_crate(browser: &mut Browser, longest_user: usize) {
    let (most, more) = (noise(longest_user), noise(longest_user + 1));
    browser.open("/full/").await;
    send(browser, "login", &most).await;
    expect(browser, "/full/", (&most, &[])).await;
    let before = browser.cookies().await;
    assert_eq!(before.len(), 1);
    let line = "__Host-full=".len() + before[0]["value"].as_str().unwrap().len() + ATTRIBUTES.len();
    assert!((4080..=4096).contains(&line), "{line}: room for its age, and what base64 leaves free");
    assert_eq!(browser.send("login", &more).await, 500);
    assert_eq!(browser.cookies().await, before, "never sent");
    expect(browser, "/full/", (&most, &[])).await;
    send(browser, "logout", "").await;
    assert!(browser.cookies().await.is_empty());
}

async fn two_tabs(browser: &mut Browser) {
    expect(browser, "/", NOBODY).await;
    send(browser, "login", "jane").await;
    let first = browser.tab().await;
    let second = browser.new_tab().await;
    expect(browser, "/", ("jane", &[])).await;
    send(browser, "cart/add", "pen").await;
    browser.switch_to(&first).await;
    expect(browser, "/", ("jane", &[3])).await;
    send(browser, "logout", "").await;
    browser.switch_to(&second).await;
    expect(browser, "/", NOBODY).await;
}

/// The page before a logout may come back; the session does not.
async fn back_after_a_logout(browser: &mut Browser) {
    send(browser, "login", "jane").await;
    expect(browser, "/", ("jane", &[])).await;
    browser.open("/?again").await;
    send(browser, "logout", "").await;
    browser.back().await;
    browser.reload().await;
    assert_eq!(browser.shop().await, (NOBODY.0.to_owned(), vec![]));
    assert!(browser.cookies().await.is_empty());
}
