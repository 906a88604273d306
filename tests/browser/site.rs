//! The shops of the examples, behind an nginx that speaks TLS.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use axum::extract::Path;
use axum::http::header::{HeaderName, SET_COOKIE};
use axum::routing::get;
use sealed_session::{Codec, EncodeError, Key, Limits, Padding};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};

/// What stands behind the value of each cookie.
pub(crate) const ATTRIBUTES: &str = "; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=86400";

/// A shop of the examples: at `/` with a session in up to four cookies; at `/full/` with one in a single
/// cookie, as large as the crate allows. At `/raw/` there are cookies of any length.
pub(crate) struct Site {
    pub(crate) origin: String,
    /// The longest name of a user that fits into the session at `/full/`.
    pub(crate) longest_user: usize,
    nginx: Child,
    _directory: TempDir,
}

impl Site {
    pub(crate) async fn axum() -> Self {
        use crate::axum_example::{Shop, shop};
        let start = async |codec: Codec<Shop>| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(async { axum::serve(listener, shop(codec)).await.unwrap() });
            address
        };
        Self::start(start(codec()).await, start(full_codec()).await, longest_user::<Shop>()).await
    }

    pub(crate) async fn actix() -> Self {
        use crate::actix_example::{Shop, serve};
        let start = |codec: Codec<Shop>| {
            let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let address = listener.local_addr().unwrap();
            std::thread::spawn(|| {
                actix_web::rt::System::new().block_on(serve(listener, codec)).unwrap();
            });
            address
        };
        Self::start(start(codec()), start(full_codec()), longest_user::<Shop>()).await
    }

    async fn start(shop: SocketAddr, full: SocketAddr, longest_user: usize) -> Self {
        let raw = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let raw_address = raw.local_addr().unwrap();
        let app = axum::Router::new().route("/{letter}/{len}", get(set_raw));
        tokio::spawn(async { axum::serve(raw, app).await.unwrap() });
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
                location / {{ proxy_pass http://{shop}; }}
                location /full/ {{ proxy_pass http://{full}/; }}
                location /raw/ {{ proxy_pass http://{raw_address}/; }}
            }} }}"
        );
        std::fs::write(path("nginx.conf"), configuration).unwrap();
        let nginx = Command::new("nginx")
            .args(["-e", "stderr", "-p", &path(""), "-c", &path("nginx.conf")])
            .args(["-g", &format!("daemon off; master_process off; pid {};", path("pid"))])
            .spawn()
            .expect("nginx runs");
        let origin = format!("https://localhost:{}", address.port());
        let site = Self { origin, longest_user, nginx, _directory: directory };
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

/// Sets a cookie whose name and value have so many bytes together.
async fn set_raw(
    Path((letter, len)): Path<(char, usize)>,
) -> ([(HeaderName, String); 1], &'static str) {
    let value = letter.to_string().repeat(len - "raw".len());
    ([(SET_COOKIE, format!("raw={value}; Secure; Path=/"))], "set")
}

fn codec<T: Serialize + DeserializeOwned + 'static>() -> Codec<T> {
    Codec::builder(key()).limits(Limits::NGINX_PROXY_BUFFER_16K).build().unwrap()
}

fn full_codec<T: Serialize + DeserializeOwned + 'static>() -> Codec<T> {
    let limits = Limits::NGINX_PROXY_BUFFER_16K.cookies(1).cookie_bytes(4096);
    // Padded lengths end some bytes before the limit; this is about the last one.
    Codec::builder(key())
        .name("__Host-full")
        .limits(limits)
        .padding(Padding::DangerousNone)
        .build()
        .unwrap()
}

fn key() -> Key {
    let mut secret = [7; Key::LEN];
    secret[0] = 0;
    Key::from_bytes(secret).unwrap()
}

fn longest_user<T: Serialize + DeserializeOwned + 'static>() -> usize {
    let codec = full_codec::<T>();
    let fits = |len: usize| {
        let session = serde_json::from_value(json!({ "user": noise(len), "cart": [] })).unwrap();
        match codec.renew(&session, &codec.request::<_, str>([])) {
            Ok(_) => true,
            Err(EncodeError::TooLarge(_)) => false,
            Err(other) => panic!("{other}"),
        }
    };
    let (mut low, mut high) = (0, 64 * 1024);
    while high - low > 1 {
        let middle = usize::midpoint(low, high);
        if fits(middle) { low = middle } else { high = middle }
    }
    low
}

/// Text that nothing compresses, without what ends a string in a script: the same in each test run.
pub(crate) fn noise(len: usize) -> String {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'(' + u8::try_from((state >> 40) % 52).unwrap())
    };
    (0..len).map(|_| next()).collect()
}
