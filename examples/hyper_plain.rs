//! No framework: header strings in, header strings out. A page that counts its visits, served by hyper and
//! visited three times by itself.

use std::convert::Infallible;
use std::error::Error;
use std::net::Ipv4Addr;
use std::sync::Arc;

use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::header::{COOKIE, HOST, SET_COOKIE};
use hyper::{Request, Response, StatusCode, client, server, service::service_fn};
use hyper_util::rt::TokioIo;
use sealed_session::{Codec, EncodeError, Key, SetCookies};
use tokio::net::{TcpListener, TcpStream};

type Visits = u32;

/// Answers with the count, and puts the new one into the cookie.
fn answer(codec: &Codec<Visits>, request: &Request<Incoming>) -> Response<String> {
    let cookies = codec.request(request.headers().get_all(COOKIE));
    let opened = codec.decode(&cookies).unwrap_or_else(|error| {
        eprintln!("{error}"); // for the log; the visitor is told nothing of it
        None
    });
    let visits = opened.map_or(0, |opened| opened.session) + 1;
    let cookies = match codec.encode(&visits, &cookies) {
        // Another node may read it, and this page does without.
        Err(EncodeError::WouldReplace(_)) => SetCookies::default(),
        Err(error) => return failure(&error),
        Ok(set_cookies) => set_cookies,
    };
    let mut response = Response::builder();
    for (name, value) in cookies.headers() {
        response = response.header(name, value); // appends
    }
    response.body(format!("visit {visits}")).unwrap_or_else(|error| failure(&error))
}

fn failure(error: &dyn Error) -> Response<String> {
    eprintln!("{error}");
    let mut response = Response::new("something went wrong".to_owned());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // One process that ends soon needs no key but its own. Servers load theirs: `KeyRing::from_env()?`, or a key file.
    let codec = Arc::new(Codec::<Visits>::new(Key::generate()?));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let codec = Arc::clone(&codec);
            let service = service_fn(move |request| {
                let response = answer(&codec, &request);
                async move { Ok::<_, Infallible>(response) }
            });
            tokio::spawn(
                server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    });

    let mut cookie = String::new();
    for visit in 1..=3 {
        let stream = TokioIo::new(TcpStream::connect(address).await?);
        let (mut sender, connection) = client::conn::http1::handshake(stream).await?;
        tokio::spawn(connection);
        let request = Request::get("/").header(HOST, "localhost").header(COOKIE, &cookie);
        let response = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
        let set_cookie = response.headers().get(SET_COOKIE).ok_or("the count was not kept")?;
        cookie = set_cookie.to_str()?.split(';').next().unwrap_or_default().to_owned();
        let body = http_body_util::BodyExt::collect(response.into_body()).await?.to_bytes();
        println!("{}, with a cookie of {} bytes", std::str::from_utf8(&body)?, cookie.len());
        if body != format!("visit {visit}") {
            return Err("the count is not as it should be".into());
        }
    }
    Ok(())
}
