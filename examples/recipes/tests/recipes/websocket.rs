//! Over TCP, as browsers speak.

use std::time::{Duration, SystemTime};

use futures_util::{SinkExt, StreamExt};
use recipes::websocket::app;
use sealed_session::Codec;
use tokio::net::TcpSocket;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::browser::Browser;
use crate::ring;

#[tokio::test]
async fn a_socket_reads_the_session_of_its_handshake_and_closes_at_its_end() {
    let codec = Codec::new(ring());
    let app = app(codec.clone());
    // Connections inherit how little it holds of what is not read.
    let listener = little();
    listener.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = listener.listen(8).unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, app.clone()).into_future());
    let mut browser = Browser::new(app);
    browser.post("/login", "").await;
    let session = format!("__Host-session={}", browser.cookies["__Host-session"]);
    let connect = async |origin: &str, cookie: &str| {
        let mut request = format!("ws://{address}/socket").into_client_request().unwrap();
        request.headers_mut().insert("origin", origin.parse().unwrap());
        request.headers_mut().insert("cookie", cookie.parse().unwrap());
        client_async(request, little().connect(address).await.unwrap()).await
    };
    for (origin, cookie, status) in [
        ("https://example.com", "", 401),
        ("https://example.com", "__Host-session=nonsense", 401),
        ("https://evil.example", session.as_str(), 403),
    ] {
        match connect(origin, cookie).await {
            Err(Error::Http(response)) => assert_eq!(response.status(), status),
            other => panic!("{origin} {cookie}: {other:?}"),
        }
    }
    let (mut socket, response) = connect("https://example.com", &session).await.unwrap();
    assert_eq!(response.status(), 101);
    for (said, answer) in [
        ("who", "user 7"),
        ("log out", "the session was changed after the head of the response was written"),
        ("who", "user 7"),
    ] {
        socket.send(Message::text(said)).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(answer));
    }
    let expires = codec.decode(&codec.request([&session])).unwrap().unwrap().expires;
    let left = expires.duration_since(SystemTime::now()).unwrap();
    let (mut deaf, _) = connect("https://example.com", &session).await.unwrap();
    // One says nothing more; the other asks on and on and reads no answer, until neither side can write. Then time
    // passes at once, up to the end of the session.
    tokio::time::pause();
    let begin = Instant::now();
    let silent = async {
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::Close(None));
        begin.elapsed()
    };
    let flood = async { while deaf.send(Message::text("who")).await.is_ok() {} };
    let minute = Duration::from_secs(60);
    let (elapsed, left_alone) = tokio::join!(silent, timeout(left + minute, flood));
    assert!(elapsed > left - minute && elapsed < left + minute, "{elapsed:?}");
    left_alone.expect("the server keeps the socket");
}

fn little() -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(4096).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket
}
