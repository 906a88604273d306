//! Sessions in poem: the codec as shared data of the handlers.
//!
//! Run with the port as argument, and with the key in `SESSION_KEY`.

use poem::error::InternalServerError;
use poem::http::{HeaderMap, HeaderValue};
use poem::listener::TcpListener;
use poem::web::Data;
use poem::{EndpointExt, IntoResponse, Response, Route, Server, get, handler, post};
use sealed_session::{Codec, Key, SetCookies};
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
struct Session {
    visits: u32,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).ok_or("the port is missing")?;
    let key: Key = std::env::var("SESSION_KEY")?.parse()?;
    let codec = Codec::<Session>::new(key);
    let app = Route::new().at("/", get(visit)).at("/logout", post(logout)).data(codec);
    Ok(Server::new(TcpListener::bind(format!("127.0.0.1:{port}"))).run(app).await?)
}

#[handler]
fn visit(Data(codec): Data<&Codec<Session>>, headers: &HeaderMap) -> poem::Result<Response> {
    let request = codec.request(headers.get_all("cookie"));
    let opened = codec.decode(&request).ok().flatten();
    let mut session = opened.map(|opened| opened.session).unwrap_or_default();
    session.visits += 1;
    let set_cookies = codec.encode(&session, &request).map_err(|error| {
        eprintln!("{error}");
        poem::Error::from_status(poem::http::StatusCode::INTERNAL_SERVER_ERROR)
    })?;
    respond(format!("visit {}", session.visits), &set_cookies)
}

#[handler]
fn logout(Data(codec): Data<&Codec<Session>>, headers: &HeaderMap) -> poem::Result<Response> {
    respond("bye".into(), &codec.clear(&codec.request(headers.get_all("cookie"))))
}

fn respond(body: String, set_cookies: &SetCookies) -> poem::Result<Response> {
    let mut response = body.into_response();
    for (name, value) in set_cookies.headers() {
        let value = HeaderValue::from_str(value).map_err(InternalServerError)?;
        response.headers_mut().append(name, value);
    }
    Ok(response)
}
