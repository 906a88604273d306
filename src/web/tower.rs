//! Sessions for tower services: hyper with tower, tonic, and axum, which has a [page](super::axum) of its
//! own.
//!
//! Needs the feature `tower`. The layer takes any body; that of a response must have a default, the empty
//! body, for the one response that the layer makes by itself.
//!
//! If the service returns an error, or is dropped before it returns, there is no response, and so no cookie: a
//! change, a login or a logout is lost, and a warning in the log says so. Turn errors into responses within
//! the layer, as axum does.
//!
//! # Example
//!
//! ```
//! use std::convert::Infallible;
//! use http::{Request, Response};
//! use sealed_session::web::tower::{SessionLayer, session};
//! use sealed_session::{Codec, Key};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! async fn count(request: Request<String>) -> Result<Response<String>, Infallible> {
//!     let visits = session::<u32, _>(&request).expect("the layer is there");
//!     let answer = match visits.change(|visits| { *visits += 1; *visits }) {
//!         Ok(visits) => Response::new(format!("visit {visits}")),
//!         // Another node may read the cookie that this one cannot.
//!         Err(_) => Response::builder().status(503).header("retry-after", "1").body("".into()).unwrap(),
//!     };
//!     Ok(answer)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let codec = Codec::<u32>::new(Key::generate()?);
//! let service = ServiceBuilder::new().layer(SessionLayer::new(codec)).service_fn(count);
//!
//! let response = service.oneshot(Request::new(String::new())).await?;
//! assert_eq!(response.body(), "visit 1");
//! assert!(response.headers()["set-cookie"].to_str()?.starts_with("__Host-session="));
//! # Ok(()) }
//! ```

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::header::{CACHE_CONTROL, COOKIE, RETRY_AFTER, SET_COOKIE, VARY};
use http::{Extensions, HeaderMap, HeaderValue, Request, Response, StatusCode};
use pin_project_lite::pin_project;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tower_layer::Layer;
use tower_service::Service;

use super::before::{Before, Outcome};
use super::caching;
use super::installed::{Installed, LayerError};
use super::session::{Pending, Session, Settled, Slot};
use crate::{Codec, SetCookies};

/// A middleware that provides the sessions of a codec to the services within, and writes them into their responses.
#[derive(Debug)]
pub struct SessionLayer<T> {
    codec: Arc<Codec<T>>,
}

impl<T> SessionLayer<T> {
    /// Creates the layer.
    #[must_use]
    pub fn new(codec: Codec<T>) -> Self {
        Self { codec: Arc::new(codec) }
    }
}

impl<T> Clone for SessionLayer<T> {
    fn clone(&self) -> Self {
        Self { codec: Arc::clone(&self.codec) }
    }
}

impl<S, T> Layer<S> for SessionLayer<T> {
    type Service = SessionService<S, T>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService { inner, codec: Arc::clone(&self.codec) }
    }
}

/// The service that [`SessionLayer`] makes.
#[derive(Debug)]
pub struct SessionService<S, T> {
    inner: S,
    codec: Arc<Codec<T>>,
}

impl<S: Clone, T> Clone for SessionService<S, T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), codec: Arc::clone(&self.codec) }
    }
}

impl<S, T, ReqBody, ResBody> Service<Request<ReqBody>> for SessionService<S, T>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    T: Serialize + DeserializeOwned + Send + Sync + 'static,
    ResBody: Default,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, T>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let extensions = request.extensions_mut();
        // The same layer twice is one: that around this one settles the session.
        let pending = Installed::with(extensions.get(), &self.codec).map(|installed| {
            let (slot, pending) = Slot::new(Codec::clone(&self.codec));
            extensions.insert(installed);
            extensions.insert(slot);
            pending
        });
        ResponseFuture { inner: self.inner.call(request), pending, waiting: None }
    }
}

pin_project! {
    /// The future of [`SessionService`].
    pub struct ResponseFuture<F, T>
    where
        F: Future,
    {
        #[pin]
        inner: F,
        pending: Option<Pending<T>>,
        // A response that is there, and what has to happen before it goes out.
        waiting: Option<(Before, Settled, F::Output)>,
    }
}

impl<F, T, ResBody, E> Future for ResponseFuture<F, T>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
    T: Serialize + DeserializeOwned + 'static,
    ResBody: Default,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.waiting.is_none() {
            let mut response = ready!(this.inner.poll(context))?;
            let Some(pending) = this.pending.take() else { return Poll::Ready(Ok(response)) };
            let status = response.status();
            match pending.settle(status.is_client_error() || status.is_server_error()) {
                Ok(Settled { before: Some(before), set_cookies, looked }) => {
                    let settled = Settled { set_cookies, looked, before: None };
                    *this.waiting = Some((before, settled, Ok(response)));
                }
                Ok(settled) => {
                    write_head(settled, response.headers_mut());
                    return Poll::Ready(Ok(response));
                }
                Err(_) => return Poll::Ready(Ok(refusal(StatusCode::INTERNAL_SERVER_ERROR))),
            }
        }
        let Some((before, ..)) = this.waiting else { return Poll::Pending };
        let outcome = ready!(before.as_mut().poll(context));
        let Some((_, mut settled, response)) = this.waiting.take() else { return Poll::Pending };
        let mut response = response?;
        match outcome {
            Outcome::Send => {}
            Outcome::WithoutCookies => settled.set_cookies = SetCookies::default(),
            Outcome::Refuse => {
                let mut response = refusal(StatusCode::SERVICE_UNAVAILABLE);
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
                return Poll::Ready(Ok(response));
            }
        }
        write_head(settled, response.headers_mut());
        Poll::Ready(Ok(response))
    }
}

fn refusal<ResBody: Default>(status: StatusCode) -> Response<ResBody> {
    let mut response = Response::new(ResBody::default());
    *response.status_mut() = status;
    response
}

impl<F: Future, T> fmt::Debug for ResponseFuture<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

/// Returns the session of a request that came through [`SessionLayer`].
///
/// # Errors
///
/// [`LayerError`] if it did not, or came through two that clash.
pub fn session<T, B>(request: &Request<B>) -> Result<Session<T>, LayerError>
where
    T: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    find(request.extensions(), request.headers())
}

pub(super) fn find<T>(
    extensions: &Extensions,
    headers: &HeaderMap,
) -> Result<Session<T>, LayerError>
where
    T: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    Installed::check(extensions.get())?;
    let slot = extensions.get::<Slot<T>>();
    let slot = slot.ok_or_else(|| LayerError::absent::<T>("SessionLayer"))?;
    let session = slot.session(headers.get_all(COOKIE));
    #[cfg(feature = "revocation")]
    session.check_known()?;
    Ok(session)
}

fn write_head(Settled { set_cookies, looked, .. }: Settled, headers: &mut HeaderMap) {
    if looked && !caching::varies(headers.get_all(VARY).iter().map(HeaderValue::as_bytes)) {
        headers.append(VARY, HeaderValue::from_static("cookie"));
    }
    if set_cookies.is_empty() {
        return;
    }
    // What the codec prints always makes a header value.
    for value in set_cookies.values().filter_map(|value| HeaderValue::from_str(value).ok()) {
        headers.append(SET_COOKIE, value);
    }
    let found = headers.get_all(CACHE_CONTROL).iter().map(HeaderValue::as_bytes);
    if let Some(value) = caching::cache_control(found) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(value));
    }
    let overruling = headers.keys().filter(|name| caching::overrules_cache_control(name.as_str()));
    for name in overruling.cloned().collect::<Vec<_>>() {
        headers.remove(name);
    }
}
