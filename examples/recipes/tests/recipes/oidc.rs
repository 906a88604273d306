//! Logins by a provider that checks what it is asked.

use std::sync::Arc;

use axum::http::header;
use openidconnect::{ClientId, ClientSecret, IssuerUrl, RedirectUrl};
use recipes::oidc;

use crate::browser::{Browser, Page};
use crate::provider::{Fault, ISSUER, Provider};
use crate::ring;

async fn browser(provider: &Arc<Provider>) -> Browser {
    let client = (ClientId::new("shop".into()), ClientSecret::new("of-the-shop".into()));
    let issuer = IssuerUrl::new(ISSUER.into()).unwrap();
    let callback = RedirectUrl::new("https://example.com/callback".into()).unwrap();
    let known = oidc::Provider::discover(issuer, client, callback, provider.http()).await.unwrap();
    Browser::new(oidc::app(&ring(), known).unwrap())
}

fn location(page: &Page) -> String {
    page.head[header::LOCATION].to_str().unwrap().to_owned()
}

/// Posts what the provider's page posts: from its site, so that no cookie comes but those with `SameSite=None`.
async fn come_back(browser: &mut Browser, form: &str) -> Page {
    let lax = browser.cookies.remove("__Host-session");
    let page = browser.post("/callback", form).await;
    if let Some(lax) = lax {
        browser.cookies.entry("__Host-session".into()).or_insert(lax);
    }
    page
}

#[tokio::test]
async fn logins_in_several_tabs_each_come_back_to_their_own_page() {
    let provider = Provider::new();
    let mut browser = browser(&provider).await;
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
    let forms: Vec<_> = tabs.iter().map(|url| provider.authorize(url)).collect();
    for (form, back) in forms.iter().zip(["/a", "/b", "/"]).rev() {
        let page = come_back(&mut browser, form).await;
        assert_eq!((page.status, location(&page).as_str()), (303, back));
        assert!(page.set_cookies().iter().any(|cookie| cookie.contains("SameSite=Lax")));
    }
    assert_eq!(browser.get("/").await.body, "jane");
    assert!(!browser.cookies.contains_key("__Host-login"), "the last one takes it along");
    assert_eq!(come_back(&mut browser, &forms[0]).await.status, 400, "an answer counts once");
}

#[tokio::test]
async fn an_answer_that_is_not_to_this_login_logs_nobody_in() {
    let provider = Provider::new();
    let mut attacker = browser(&provider).await;
    let mut victim = Browser::new(attacker.app.clone());
    let of_attacker = provider.authorize(&location(&attacker.get("/login").await));
    assert_eq!(come_back(&mut victim, &of_attacker).await.status, 400, "none was under way");
    // The code of the attacker with the state of the victim: PKCE's verifier is another.
    let begun = provider.authorize(&location(&victim.get("/login").await));
    let (state, _) = begun.split_once('&').unwrap();
    let (_, code) = of_attacker.split_once('&').unwrap();
    assert_eq!(come_back(&mut victim, &format!("{state}&{code}")).await.status, 403);
    assert_eq!(come_back(&mut victim, &begun).await.status, 400, "that login is spent");
    let begun = provider.authorize(&location(&victim.get("/login").await));
    let (state, _) = begun.split_once('&').unwrap();
    let denied = format!("{state}&error=access_denied");
    assert_eq!(come_back(&mut victim, &denied).await.status, 403);
    assert_eq!(victim.get("/").await.body, "nobody");
}

#[tokio::test]
async fn a_token_that_does_not_hold_logs_nobody_in() {
    let provider = Provider::new();
    let mut browser = browser(&provider).await;
    for fault in [
        Fault::Nonce,
        Fault::Audience,
        Fault::Issuer,
        Fault::Expired,
        Fault::Key,
        Fault::AccessToken,
        Fault::None,
    ] {
        provider.set_fault(fault);
        let form = provider.authorize(&location(&browser.get("/login").await));
        let status = come_back(&mut browser, &form).await.status;
        assert_eq!(status, if fault == Fault::None { 303 } else { 403 }, "{fault:?}");
        let user = browser.get("/").await.body;
        assert_eq!(user, if fault == Fault::None { "jane" } else { "nobody" }, "{fault:?}");
    }
}

#[tokio::test]
async fn tabs_that_were_given_up_push_out_the_oldest_and_the_cookie_stays_small() {
    let provider = Provider::new();
    let mut browser = browser(&provider).await;
    let mut forms = Vec::new();
    for _ in 0..20 {
        let page = browser.get("/login").await;
        assert_eq!(page.status, 303);
        forms.push(provider.authorize(&location(&page)));
    }
    assert!(browser.cookies["__Host-login"].len() < 1500);
    for (form, status) in [(&forms[15], 400), (&forms[16], 303), (&forms[19], 303)] {
        assert_eq!(come_back(&mut browser, form).await.status, status);
    }
}
