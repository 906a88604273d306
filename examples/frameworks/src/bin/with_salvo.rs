//! Sessions in salvo: the codec in the depot.
//!
//! Run with the port as argument, and with the keys in `SEALED_SESSION_KEYS`.

use salvo::prelude::*;
use sealed_session::{Codec, EncodeError, KeyRing, SetCookies};
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
struct Session {
    visits: u32,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).ok_or("the port is missing")?;
    let codec = Codec::<Session>::new(KeyRing::from_env()?);
    let router = Router::new()
        .hoop(affix_state::inject(codec))
        .get(visit)
        .push(Router::with_path("logout").post(logout));
    let acceptor = TcpListener::new(format!("127.0.0.1:{port}")).bind().await;
    Server::new(acceptor).serve(router).await;
    Ok(())
}

#[handler]
async fn visit(req: &mut Request, depot: &mut Depot, res: &mut Response) {
    let codec = depot.get_typed::<Codec<Session>>().expect("the codec is in the depot");
    let request = codec.request(req.headers().get_all("cookie"));
    match count(codec, &request) {
        Ok((visits, set_cookies)) => respond(res, format!("visit {visits}"), &set_cookies),
        Err(error) => {
            eprintln!("{error}"); // and nothing of it to the visitor
            res.status_code(StatusCode::INTERNAL_SERVER_ERROR);
        }
    }
}

#[handler]
async fn logout(req: &mut Request, depot: &mut Depot, res: &mut Response) {
    let codec = depot.get_typed::<Codec<Session>>().expect("the codec is in the depot");
    let request = codec.request(req.headers().get_all("cookie"));
    respond(res, "bye".into(), &codec.clear(&request));
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

fn respond(res: &mut Response, body: String, set_cookies: &SetCookies) {
    for (name, value) in set_cookies.headers() {
        res.add_header(name, value, false).expect("cookies make valid headers");
    }
    res.render(body);
}
