//! The same site in axum and in actix-web, behind an nginx that speaks TLS.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use sealed_session::web::actix::SessionMiddleware;
use sealed_session::web::tower::SessionLayer;
use sealed_session::web::{ChangeError, Session};
use sealed_session::{Codec, EncodeError, Key, Limits};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};

/// What stands behind the value of each cookie.
pub(crate) const ATTRIBUTES: &str = "; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=86400";

pub(crate) struct Site {
    pub(crate) origin: String,
    nginx: Child,
    _directory: TempDir,
}

impl Site {
    pub(crate) async fn axum() -> Self {
        use axum::extract::Path;
        use axum::routing::get;
        let app = axum::Router::new()
            .route("/set/{len}", get(async |s: Session<Text>, Path(len)| set(s, len)))
            .route("/read", get(async |s: Session<Text>| read(s)))
            .route("/logout", get(async |s: Session<Text>| logout(s)))
            .route("/full/set/{len}", get(async |s: Session<Full>, Path(len)| set(s, len)))
            .route("/full/read", get(async |s: Session<Full>| read(s)))
            .route("/full/logout", get(async |s: Session<Full>| logout(s)))
            .layer(SessionLayer::new(codec()))
            .layer(SessionLayer::new(full_codec()));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
        Self::start(address).await
    }

    pub(crate) async fn actix() -> Self {
        use actix_web::web::{Path, get};
        use actix_web::{App, HttpServer};
        let (codec, full) = (codec(), full_codec());
        let app = move || {
            App::new()
                .wrap(SessionMiddleware::new(codec.clone()))
                .wrap(SessionMiddleware::new(full.clone()))
                .route(
                    "/set/{len}",
                    get().to(async |s: Session<Text>, len: Path<usize>| set(s, *len)),
                )
                .route("/read", get().to(async |s: Session<Text>| read(s)))
                .route("/logout", get().to(async |s: Session<Text>| logout(s)))
                .route(
                    "/full/set/{len}",
                    get().to(async |s: Session<Full>, len: Path<usize>| set(s, *len)),
                )
                .route("/full/read", get().to(async |s: Session<Full>| read(s)))
                .route("/full/logout", get().to(async |s: Session<Full>| logout(s)))
        };
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(|| {
            let server = HttpServer::new(app).workers(1).disable_signals();
            actix_web::rt::System::new().block_on(server.listen(listener).unwrap().run())
        });
        Self::start(address).await
    }

    async fn start(node: SocketAddr) -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = port.local_addr().unwrap();
        drop(port);
        let directory = tempfile::tempdir().unwrap();
        let path = |name| directory.path().join(name).display().to_string();
        let (key, certificate) = (path("key.pem"), path("certificate.pem"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
            .args(["-keyout", &key, "-out", &certificate])
            .output()
            .expect("openssl runs");
        assert!(made.status.success(), "{made:?}");
        let configuration = format!(
            "events {{}} http {{ access_log off; server {{
                listen {address} ssl;
                ssl_certificate {certificate}; ssl_certificate_key {key};
                proxy_buffer_size 16k; proxy_buffers 8 16k; large_client_header_buffers 4 16k;
                location / {{ proxy_pass http://{node}; }}
            }} }}"
        );
        std::fs::write(path("nginx.conf"), configuration).unwrap();
        let nginx = Command::new("nginx")
            .args(["-e", "stderr", "-p", &path(""), "-c", &path("nginx.conf")])
            .args(["-g", &format!("daemon off; master_process off; pid {};", path("pid"))])
            .spawn()
            .expect("nginx runs");
        let origin = format!("https://localhost:{}", address.port());
        let site = Self { origin, nginx, _directory: directory };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).await.is_err() {
            assert!(Instant::now() < deadline, "nginx does not listen");
            tokio::task::yield_now().await;
        }
        site
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.nginx.kill();
        let _ = self.nginx.wait();
    }
}

/// A session in up to four cookies.
#[derive(Serialize, Deserialize)]
struct Text(String);

/// A session in one cookie that is as large as browsers keep it.
#[derive(Serialize, Deserialize)]
struct Full(String);

trait OfText: Serialize + DeserializeOwned + 'static {
    fn new(text: String) -> Self;
    fn text(&self) -> &str;
}

impl OfText for Text {
    fn new(text: String) -> Self {
        Self(text)
    }
    fn text(&self) -> &str {
        &self.0
    }
}

impl OfText for Full {
    fn new(text: String) -> Self {
        Self(text)
    }
    fn text(&self) -> &str {
        &self.0
    }
}

fn set<T: OfText>(session: Session<T>, len: usize) -> Result<&'static str, ChangeError> {
    session.set(T::new(noise(len)))?;
    Ok("set")
}

fn read<T: OfText>(session: Session<T>) -> String {
    session.get().map_or("nobody".to_owned(), |session| session.text().len().to_string())
}

fn logout<T: OfText>(session: Session<T>) -> Result<&'static str, ChangeError> {
    session.clear()?;
    Ok("bye")
}

fn codec() -> Codec<Text> {
    Codec::builder(key()).limits(Limits::NGINX_PROXY_BUFFER_16K).build().unwrap()
}

fn full_codec() -> Codec<Full> {
    let limits = Limits::NGINX_PROXY_BUFFER_16K.cookies(1).cookie_bytes(4096);
    Codec::builder(key()).name("__Host-full").limits(limits).build().unwrap()
}

fn key() -> Key {
    let mut secret = [7; Key::LEN];
    secret[0] = 0;
    Key::from_bytes(secret).unwrap()
}

/// The longest session that fits into one cookie.
pub(crate) fn most_in_one_cookie() -> usize {
    let codec = full_codec();
    let fits = |len: usize| match codec.renew(&Full(noise(len)), &codec.request::<_, str>([])) {
        Ok(_) => true,
        Err(EncodeError::TooLarge(_)) => false,
        Err(other) => panic!("{other}"),
    };
    let (mut low, mut high) = (0, 64 * 1024);
    while high - low > 1 {
        let middle = usize::midpoint(low, high);
        if fits(middle) { low = middle } else { high = middle }
    }
    low
}

/// Text that nothing compresses: the same in each test run.
fn noise(len: usize) -> String {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b' ' + u8::try_from((state >> 40) % 92).unwrap())
    };
    (0..len).map(|_| next()).collect()
}
