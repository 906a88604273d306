//! What a browser does: sends its cookies, keeps new ones, drops removed ones, follows redirects.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::Result;

#[derive(Default)]
pub(crate) struct Browser {
    cookies: BTreeMap<String, String>,
    /// What the last response did to the cookies.
    pub(crate) set: Vec<String>,
    pub(crate) removed: Vec<String>,
}

impl Browser {
    /// Loads a page and gives its lines of the form `name: value`.
    pub(crate) async fn load(&mut self, node: SocketAddr) -> Result<BTreeMap<String, String>> {
        let response = self.send(node, Method::GET, "/", "").await?;
        let text = String::from_utf8(response.into_body().to_vec())?;
        let lines = text.lines().filter_map(|line| line.split_once(": "));
        Ok(lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// Submits a form, and gives the status.
    pub(crate) async fn post(
        &mut self,
        node: SocketAddr,
        path: &str,
        form: &str,
    ) -> Result<StatusCode> {
        Ok(self.send(node, Method::POST, path, form).await?.status())
    }

    async fn send(
        &mut self,
        node: SocketAddr,
        method: Method,
        path: &str,
        form: &str,
    ) -> Result<Response<Bytes>> {
        let pairs: Vec<_> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost")
            .header(header::ACCEPT, "text/plain")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::COOKIE, pairs.join("; "))
            .body(Full::new(Bytes::from(form.to_owned())))?;
        let response = send(node, request).await?;
        self.take(&response)?;
        Ok(response)
    }

    fn take(&mut self, response: &Response<Bytes>) -> Result<()> {
        (self.set, self.removed) = (Vec::new(), Vec::new());
        for value in response.headers().get_all(header::SET_COOKIE) {
            let cookie = cookie::Cookie::parse(value.to_str()?)?;
            let (name, value) = (cookie.name().to_owned(), cookie.value().to_owned());
            if cookie.max_age().is_some_and(|age| age.is_zero()) {
                self.cookies.remove(&name);
                self.removed.push(name);
            } else {
                self.cookies.insert(name.clone(), value);
                self.set.push(name);
            }
        }
        Ok(())
    }

    /// Gives the number of cookies, and their bytes in a request.
    pub(crate) fn weight(&self) -> (usize, usize) {
        let pairs: Vec<_> =
            self.cookies.iter().map(|(name, value)| name.len() + 1 + value.len()).collect();
        (pairs.len(), pairs.iter().sum::<usize>() + 2 * pairs.len().saturating_sub(1))
    }

    /// Takes a copy of all cookies, as a thief would.
    pub(crate) fn copy(&self) -> Self {
        Self { cookies: self.cookies.clone(), ..Self::default() }
    }
}

/// Sends one request over a connection of its own.
pub(crate) async fn send(
    node: SocketAddr,
    request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>> {
    let stream = TcpStream::connect(node).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await?.into_parts();
    Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
}
