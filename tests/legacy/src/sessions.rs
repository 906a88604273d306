//! Other session libraries that keep the session in a cookie.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use poem::session::{CookieConfig, CookieSession};
use poem::web::cookie::CookieKey;
use poem::{Endpoint, EndpointExt};
use tower::{Layer, ServiceExt, service_fn};
use tower_sessions_cookie_store::{CookieSessionConfig, CookieSessionManagerLayer, Expiry};
use tower_sessions_core::Session;

use crate::{Format, Key, Made, cut, run, session};

pub fn all(secret: [u8; 64]) -> Vec<Made> {
    let key = || Key::Bytes(STANDARD.encode(secret));
    let made = |by, format, cookie| Made::new(by, format, key(), cookie);
    vec![
        made("poem, private", Format::PrivateJson, poem(&secret, true)),
        made("poem, signed", Format::SignedJson, poem(&secret, false)),
        made("tower-sessions-cookie-store, private", Format::PrivateTower, tower(&secret, true)),
        made("tower-sessions-cookie-store, signed", Format::SignedTower, tower(&secret, false)),
    ]
}

fn poem(secret: &[u8], private: bool) -> (String, String) {
    #[poem::handler]
    fn login(at: &poem::session::Session) {
        at.set("user", session().user);
        at.set("name", session().name);
    }
    let key = CookieKey::from(secret);
    let config = if private { CookieConfig::private(key) } else { CookieConfig::signed(key) };
    let app = login.with(CookieSession::new(config));
    let response = run(app.call(poem::Request::default())).unwrap();
    let response = poem::IntoResponse::into_response(response);
    cut(response.headers()["set-cookie"].to_str().unwrap())
}

fn tower(secret: &[u8], private: bool) -> (String, String) {
    let key = || tower_sessions_cookie_store::Key::from(secret);
    // A hundred years, for the vectors.
    let far = Expiry::OnInactivity(time::Duration::days(36_500));
    let config = CookieSessionConfig::default().with_expiry(far);
    let login = service_fn(|request: axum::http::Request<String>| async move {
        let at = request.extensions().get::<Session>().unwrap();
        at.insert("user", session().user).await.unwrap();
        at.insert("name", session().name).await.unwrap();
        Ok::<_, std::convert::Infallible>(axum::http::Response::new(String::new()))
    });
    let request = axum::http::Request::new(String::new());
    let response = run(async {
        if private {
            let layer = CookieSessionManagerLayer::private(key()).with_config(config);
            layer.layer(login).oneshot(request).await.unwrap()
        } else {
            let layer = CookieSessionManagerLayer::signed(key()).with_config(config);
            layer.layer(login).oneshot(request).await.unwrap()
        }
    });
    cut(response.headers()["set-cookie"].to_str().unwrap())
}
