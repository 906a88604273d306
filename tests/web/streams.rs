//! Responses whose body is made after their head, over TCP.

use std::convert::Infallible;

use actix_web::http::header::SET_COOKIE;
use actix_web::{App, HttpResponse, test, web};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::get;
use futures_util::{Stream, stream};
use sealed_session::web::actix::SessionMiddleware;
use sealed_session::web::tower::SessionLayer;
use sealed_session::web::{ChangeError, Session};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::shop::{Shop, codec};

async fn stream_of(session: Session<Shop>) -> Result<Body, ChangeError> {
    session.change(|shop| shop.user = 3)?;
    Ok(Body::from_stream(late(session)))
}

async fn actix_stream_of(session: Session<Shop>) -> Result<HttpResponse, ChangeError> {
    session.change(|shop| shop.user = 3)?;
    Ok(HttpResponse::Ok().streaming(Box::pin(late(session))))
}

/// What a body does that is made after the head.
fn late(session: Session<Shop>) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::once(async move {
        let read = session.get().unwrap().user;
        let changes =
            [session.change(|shop| shop.user = 4), session.clear(), session.renew(Shop::default())];
        let late = changes.iter().filter(|c| matches!(c, Err(ChangeError::HeadersSent))).count();
        let after = session.get().unwrap().user;
        Ok::<_, Infallible>(Bytes::from(format!("read {read}, {late} late, still {after}")))
    })
}

#[tokio::test]
async fn a_change_after_the_head_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().route("/", get(stream_of)).layer(SessionLayer::new(codec()));
    tokio::spawn(axum::serve(listener, app).into_future());

    let mut connection = TcpStream::connect(address).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    connection.write_all(request).await.unwrap();
    let mut response = String::new();
    connection.read_to_string(&mut response).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert_eq!(head.matches("set-cookie: __Host-session=").count(), 1, "{head}");
    assert!(body.contains("read 3, 3 late, still 3"), "{body}");
}

#[actix_web::test]
async fn a_change_after_the_head_is_an_error_in_actix_too() {
    let app =
        App::new().wrap(SessionMiddleware::new(codec())).route("/", web::get().to(actix_stream_of));
    let app = test::init_service(app).await;
    let response = test::call_service(&app, test::TestRequest::get().to_request()).await;
    assert_eq!(response.headers().get_all(SET_COOKIE).count(), 1);
    assert_eq!(test::read_body(response).await, "read 3, 3 late, still 3");
}
