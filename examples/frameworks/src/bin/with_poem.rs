//! Sessions in poem: the codec as shared data of the handlers.
//!
//! Run with the port as argument, and with the keys in `SEALED_SESSION_KEYS`.

use poem::error::InternalServerError;
use poem::http::{HeaderMap, HeaderValue, StatusCode};
use poem::listener::TcpListener;
use poem::web::Data;
use poem::{EndpointExt, IntoResponse, Response, Route, Server, get, handler, post};
use sealed_session::{Codec, EncodeError, KeyRing, RequestCookies, SetCookies};
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
struct Session {
    visits: u32,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).ok_or("the port is missing")?;
    let codec = Codec::<Session>::new(KeyRing::from_env()?);
    let app = Route::new().at("/", get(visit)).at("/logout", post(logout)).data(codec);
    Ok(Server::new(TcpListener::bind(format!("127.0.0.1:{port}"))).run(app).await?)
}

#[handler]
fn visit(Data(codec): Data<&Codec<Session>>, headers: &HeaderMap) -> poem::Result<Response> {
    let request = codec.request(headers.get_all("cookie"));
    let (visits, set_cookies) = count(codec, &request).map_err(|error| {
        eprintln!("{error}"); // and nothing of it to the visitor
        poem::Error::from_status(StatusCode::INTERNAL_SERVER_ERROR)
    })?;
    respond(format!("visit {visits}"), &set_cookies)
}

#[handler]
fn logout(Data(codec): Data<&Codec<Session>>, headers: &HeaderMap) -> poem::Result<Response> {
    respond("bye".into(), &codec.clear(&codec.request(headers.get_all("cookie"))))
}

/// Counts this visit: gives the number, and the cookies that keep it.
fn count(
    codec: &Codec<Session>,
    request: &RequestCookies,
) -> Result<(u32, SetCookies), EncodeError> {
    let opened = codec.decode(request).unwrap_or_else(|error| {
        eprintln!("{error}"); // for the log; the visitor goes on without a session
        None
    });
    let mut session = opened.map(|opened| opened.session).unwrap_or_default();
    session.visits += 1;
    match codec.encode(&session, request) {
        // Another node may read it. The page needs no session; a purchase would answer 503 here.
        Err(EncodeError::WouldReplace(_)) => Ok((session.visits, SetCookies::default())),
        set_cookies => Ok((session.visits, set_cookies?)),
    }
}

fn respond(body: String, set_cookies: &SetCookies) -> poem::Result<Response> {
    let mut response = body.into_response();
    for (name, value) in set_cookies.headers() {
        let value = HeaderValue::from_str(value).map_err(InternalServerError)?;
        response.headers_mut().append(name, value);
    }
    Ok(response)
}
