//! Sessions in Rocket: a request guard for the cookies, and a responder that sets them.
//!
//! Run with the port as argument, and with the keys in `SEALED_SESSION_KEYS`.

use std::convert::Infallible;

use rocket::http::Status;
use rocket::request::{FromRequest, Outcome, Request};
use rocket::response::{self, Responder};
use rocket::{Config, State, get, post, routes};
use sealed_session::{Codec, EncodeError, KeyRing, SetCookies};
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
struct Session {
    visits: u32,
}

#[rocket::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::args().nth(1).ok_or("the port is missing")?.parse()?;
    let codec = Codec::<Session>::new(KeyRing::from_env()?);
    let routes = routes![visit, logout];
    let config = Config { port, ..Config::default() };
    rocket::custom(config).manage(codec).mount("/", routes).launch().await?;
    Ok(())
}

#[get("/")]
fn visit(codec: &State<Codec<Session>>, ours: Ours) -> Result<WithCookies, Status> {
    match count(codec, &ours.0) {
        Ok((visits, set_cookies)) => Ok(WithCookies(format!("visit {visits}"), set_cookies)),
        Err(error) => {
            eprintln!("{error}"); // and nothing of it to the visitor
            Err(Status::InternalServerError)
        }
    }
}

#[post("/logout")]
fn logout(codec: &State<Codec<Session>>, ours: Ours) -> WithCookies {
    WithCookies("bye".into(), codec.clear(&ours.0))
}

/// Counts this visit: gives the number, and the cookies that keep it.
fn count(
    codec: &Codec<Session>,
    request: &sealed_session::RequestCookies,
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

/// The cookies of the session in a request.
struct Ours(sealed_session::RequestCookies<'static>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Ours {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Infallible> {
        let codec = request.rocket().state::<Codec<Session>>().expect("the codec is managed");
        Outcome::Success(Self(codec.request(request.headers().get("cookie")).into_owned()))
    }
}

struct WithCookies(String, SetCookies);

impl<'r> Responder<'r, 'static> for WithCookies {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let mut response = self.0.respond_to(request)?;
        for (name, value) in self.1.headers() {
            response.adjoin_raw_header(name, value.to_owned());
        }
        Ok(response)
    }
}
