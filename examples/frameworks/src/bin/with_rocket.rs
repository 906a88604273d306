//! Sessions in Rocket: a request guard for the cookies, and a responder that sets them.
//!
//! Run with the port as argument, and with the key in `SESSION_KEY`.

use std::convert::Infallible;

use rocket::http::Status;
use rocket::request::{FromRequest, Outcome, Request};
use rocket::response::{self, Responder};
use rocket::{Config, State, get, post, routes};
use sealed_session::{Codec, Key, SetCookies};
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
struct Session {
    visits: u32,
}

#[rocket::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::args().nth(1).ok_or("the port is missing")?.parse()?;
    let key: Key = std::env::var("SESSION_KEY")?.parse()?;
    let codec = Codec::<Session>::new(key);
    let routes = routes![visit, logout];
    let config = Config { port, ..Config::default() };
    rocket::custom(config).manage(codec).mount("/", routes).launch().await?;
    Ok(())
}

#[get("/")]
fn visit(codec: &State<Codec<Session>>, ours: Ours) -> Result<WithCookies, Status> {
    let opened = codec.decode(&ours.0).ok().flatten();
    let mut session = opened.map(|opened| opened.session).unwrap_or_default();
    session.visits += 1;
    match codec.encode(&session, &ours.0) {
        Ok(set_cookies) => Ok(WithCookies(format!("visit {}", session.visits), set_cookies)),
        Err(error) => {
            eprintln!("{error}");
            Err(Status::InternalServerError)
        }
    }
}

#[post("/logout")]
fn logout(codec: &State<Codec<Session>>, ours: Ours) -> WithCookies {
    WithCookies("bye".into(), codec.clear(&ours.0))
}

/// The cookies of the session in a request.
struct Ours(sealed_session::Request<'static>);

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
