//! Sessions in warp: the codec between a filter for the headers and the reply.
//!
//! Run with the port as argument, and with the keys in `SEALED_SESSION_KEYS`.

use sealed_session::{Codec, EncodeError, KeyRing, RequestCookies, SetCookies};
use serde::{Deserialize, Serialize};
use warp::http::{HeaderMap, Response, StatusCode};
use warp::{Filter, Reply};

#[derive(Default, Serialize, Deserialize)]
struct Session {
    visits: u32,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::args().nth(1).ok_or("the port is missing")?.parse()?;
    let codec = Codec::<Session>::new(KeyRing::from_env()?);
    let with_codec = warp::any().map(move || codec.clone());
    let parts = with_codec.and(warp::header::headers_cloned());
    let visit = warp::get().and(warp::path::end()).and(parts.clone()).map(visit);
    let logout = warp::post().and(warp::path!("logout")).and(parts).map(logout);
    warp::serve(visit.or(logout)).run(([127, 0, 0, 1], port)).await;
    Ok(())
}

fn visit(codec: Codec<Session>, headers: HeaderMap) -> impl Reply {
    let request = codec.request(headers.get_all("cookie"));
    match count(&codec, &request) {
        Ok((visits, set_cookies)) => reply(format!("visit {visits}"), &set_cookies),
        Err(error) => {
            eprintln!("{error}"); // and nothing of it to the visitor
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
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

fn logout(codec: Codec<Session>, headers: HeaderMap) -> impl Reply {
    reply("bye".into(), &codec.clear(&codec.request(headers.get_all("cookie"))))
}

fn reply(body: String, set_cookies: &SetCookies) -> warp::reply::Response {
    let mut response = Response::builder();
    for (name, value) in set_cookies.headers() {
        response = response.header(name, value);
    }
    response.body(body).expect("cookies make valid headers").into_response()
}
