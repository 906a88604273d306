//! A browser of one user: a cookie jar, a connection that is kept, and an address of its own.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cookie::Cookie;
use http_body_util::BodyExt;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, COOKIE, HOST, SET_COOKIE};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpSocket;
use tokio_util::io::{InspectReader, InspectWriter};

use crate::Result;

/// As long as a user would wait.
const PATIENCE: Duration = Duration::from_secs(15);
/// What browsers keep of a cookie's name and value; a longer one is dropped, and the old one stays.
const MOST_OF_A_COOKIE: usize = 4096;

#[derive(Debug)]
pub(crate) struct Client {
    to: SocketAddr,
    from: Ipv4Addr,
    jar: Jar,
    connection: Option<SendRequest<String>>,
    traffic: Arc<Traffic>,
}

/// Bytes on the wire, heads included.
#[derive(Debug, Default)]
struct Traffic {
    up: AtomicU64,
    down: AtomicU64,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) took: Duration,
}

impl Client {
    pub(crate) fn new(port: u16) -> Self {
        Self::from_address(port, Ipv4Addr::LOCALHOST)
    }

    /// Creates a client whose connections come from this address.
    pub(crate) fn from_address(port: u16, from: Ipv4Addr) -> Self {
        Self {
            to: (Ipv4Addr::LOCALHOST, port).into(),
            from,
            jar: Jar::default(),
            connection: None,
            traffic: Arc::default(),
        }
    }

    /// Creates a client of another server, with what is in this one's jar now.
    pub(crate) fn copy_for(&self, port: u16) -> Self {
        Self { jar: self.jar.clone(), ..Self::from_address(port, self.from) }
    }

    pub(crate) fn forget_cookies(&mut self) {
        self.jar = Jar::default();
    }

    /// Takes over the cookies of another tab of the same browser.
    pub(crate) fn share_cookies(&mut self, other: &Self) {
        self.jar = other.jar.clone();
    }

    /// Takes what another tab's answer set on top of what is here, as one jar for both would.
    pub(crate) fn merge_cookies(&mut self, other: &Self) {
        self.jar.cookies.extend(other.jar.cookies.clone());
    }

    /// Returns the bytes sent and received so far.
    pub(crate) fn traffic(&self) -> (u64, u64) {
        (self.traffic.up.load(Ordering::Relaxed), self.traffic.down.load(Ordering::Relaxed))
    }

    pub(crate) async fn get(&mut self, path: &str) -> Result<Answer> {
        self.send(Method::GET, path, "").await
    }

    pub(crate) async fn post(&mut self, path: &str, form: &str) -> Result<Answer> {
        self.send(Method::POST, path, form).await
    }

    async fn send(&mut self, method: Method, path: &str, form: &str) -> Result<Answer> {
        let since = Instant::now();
        let answer = tokio::time::timeout(PATIENCE, self.send_again_if_closed(method, path, form));
        let (status, body) = answer.await.inspect_err(|_| self.connection = None)??;
        Ok(Answer { status, body, took: since.elapsed() })
    }

    /// As browsers do it: if a kept connection turns out to be closed, the request goes over a new one.
    async fn send_again_if_closed(
        &mut self,
        method: Method,
        path: &str,
        form: &str,
    ) -> Result<(u16, String)> {
        let kept = self.connection.is_some();
        match self.send_once(&method, path, form).await {
            Err(_) if kept => self.send_once(&method, path, form).await,
            result => result,
        }
    }

    async fn send_once(
        &mut self,
        method: &Method,
        path: &str,
        form: &str,
    ) -> Result<(u16, String)> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        connection.ready().await?;
        let mut request = Request::builder().method(method).uri(path).header(HOST, "shop.example");
        if let Some(header) = self.jar.header() {
            request = request.header(COOKIE, header);
        }
        if !form.is_empty() {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let response = connection.send_request(request.body(form.to_owned())?).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        for value in head.headers.get_all(SET_COOKIE) {
            self.jar.set(value.to_str()?);
        }
        self.connection = Some(connection);
        Ok((head.status.as_u16(), String::from_utf8_lossy(&body).into_owned()))
    }

    async fn connect(&self) -> Result<SendRequest<String>> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((self.from, 0).into())?;
        let stream = socket.connect(self.to).await?;
        stream.set_nodelay(true)?;
        let (up, down) = (Arc::clone(&self.traffic), Arc::clone(&self.traffic));
        let count = |bytes: &[u8]| u64::try_from(bytes.len()).unwrap_or(0);
        let stream = InspectReader::new(stream, move |bytes| {
            down.down.fetch_add(count(bytes), Ordering::Relaxed);
        });
        let stream = InspectWriter::new(stream, move |bytes| {
            up.up.fetch_add(count(bytes), Ordering::Relaxed);
        });
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

#[derive(Debug, Default, Clone)]
struct Jar {
    cookies: BTreeMap<String, String>,
}

impl Jar {
    fn set(&mut self, set_cookie: &str) {
        let Ok(cookie) = Cookie::parse(set_cookie) else { return };
        let (name, value) = cookie.name_value();
        if cookie.max_age().is_some_and(|age| age.is_zero() || age.is_negative()) {
            self.cookies.remove(name);
        } else if name.len() + value.len() <= MOST_OF_A_COOKIE {
            self.cookies.insert(name.into(), value.into());
        }
    }

    fn header(&self) -> Option<String> {
        let pairs: Vec<_> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}
