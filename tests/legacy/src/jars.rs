//! The jars of `cookie`, as frameworks offer them.

use axum::response::IntoResponse;
use axum_extra::extract::cookie::{Cookie, Key as AxumKey, PrivateCookieJar, SignedCookieJar};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rocket::http::CookieJar;
use rocket::local::blocking::Client;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_cookies::{CookieManagerLayer, Cookies};

use crate::{Format, Key, Made, cut, json, run};

pub fn all(secret: [u8; 64]) -> Vec<Made> {
    let bytes = || Key::Bytes(STANDARD.encode(secret));
    let master = || Key::Master(STANDARD.encode(&secret[..40]));
    let mut made = vec![
        Made::new("cookie, private, raw", Format::PrivateText, bytes(), raw(&secret, true)),
        Made::new("cookie, signed, raw", Format::SignedText, bytes(), raw(&secret, false)),
        Made::new("cookie, derived key", Format::PrivateText, master(), derived(&secret[..40])),
        Made::new("axum-extra, private", Format::PrivateText, bytes(), axum(&secret, true)),
        Made::new("axum-extra, signed", Format::SignedJson, bytes(), axum(&secret, false)),
        Made::new("tower-cookies, private", Format::PrivateJson, bytes(), tower(&secret, true)),
        Made::new("tower-cookies, signed", Format::SignedText, bytes(), tower(&secret, false)),
    ];
    let hex = secret[..32].iter().map(|byte| format!("{byte:02x}")).collect();
    for (form, secret_key) in [
        ("44 characters", STANDARD.encode(&secret[..32])),
        ("64 digits", hex),
        ("88 characters", STANDARD.encode(secret)),
    ] {
        let by = format!("Rocket, private, secret_key of {form}");
        let cookie = rocket(&secret_key);
        made.push(Made::new(&by, Format::PrivateText, Key::Rocket(secret_key), cookie));
    }
    made
}

fn raw(secret: &[u8], private: bool) -> (String, String) {
    jar(&cookie::Key::from(secret), private)
}

fn derived(master: &[u8]) -> (String, String) {
    jar(&cookie::Key::derive_from(master), true)
}

fn jar(key: &cookie::Key, private: bool) -> (String, String) {
    let mut jar = cookie::CookieJar::new();
    if private {
        jar.private_mut(key).add(("login", json()));
    } else {
        // Raw, so nothing that a cookie cannot hold.
        let text = json().replace(';', "\\u003b");
        jar.signed_mut(key).add(("login", text));
    }
    let cookie = jar.get("login").unwrap();
    (cookie.name().to_owned(), cookie.value().to_owned())
}

fn axum(secret: &[u8], private: bool) -> (String, String) {
    let key = AxumKey::from(secret);
    let cookie = Cookie::new("login", json());
    let response = if private {
        PrivateCookieJar::new(key).add(cookie).into_response()
    } else {
        SignedCookieJar::new(key).add(cookie).into_response()
    };
    cut(response.headers()["set-cookie"].to_str().unwrap())
}

fn tower(secret: &[u8], private: bool) -> (String, String) {
    let key = tower_cookies::Key::from(secret);
    let answer = service_fn(move |request: axum::http::Request<String>| {
        let cookies = request.extensions().get::<Cookies>().unwrap().clone();
        if private {
            cookies.private(&key).add(tower_cookies::Cookie::new("login", json()));
        } else {
            // It does not encode, so a `;` would end the value, and what is not ASCII is no header.
            let text = json().replace(';', "\\u003b").replace('\u{eb}', "\\u00eb");
            let text = text.replace('\u{2603}', "\\u2603");
            cookies.signed(&key).add(tower_cookies::Cookie::new("login", text));
        }
        async { Ok::<_, std::convert::Infallible>(axum::http::Response::new(String::new())) }
    });
    let response = run(async {
        let mut service = CookieManagerLayer::new().layer(answer);
        service.ready().await.unwrap().call(axum::http::Request::new(String::new())).await.unwrap()
    });
    cut(response.headers()["set-cookie"].to_str().unwrap())
}

#[rocket::get("/")]
fn login(cookies: &CookieJar<'_>) {
    cookies.add_private(("login", json()));
}

fn rocket(secret_key: &str) -> (String, String) {
    let config =
        rocket::Config::figment().merge(("secret_key", secret_key)).merge(("log_level", "off"));
    let client =
        Client::tracked(rocket::custom(config).mount("/", rocket::routes![login])).unwrap();
    let response = client.get("/").dispatch();
    cut(response.headers().get_one("set-cookie").unwrap())
}
