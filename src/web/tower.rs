//! Sessions for tower services: hyper with tower, tonic, and axum, which has a [page](super::axum) of its
//! own.
//!
//! Needs the feature `tower`. The layer takes any body, and gives that of a response as a [`ResponseBody`], which is empty
//! where the layer answers by itself.
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
//! assert!(response.headers()["set-cookie"].to_str()?.starts_with("__Host-session="));
//! assert_eq!(response.into_body().into_inner().as_deref(), Some("visit 1"));
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
use super::session::Session;
use super::settings::{Settings, Unreadable};
use super::settle::{Pending, Settled, Slot};
pub use crate::web::body::ResponseBody;
use crate::{Codec, Opened, SetCookies};

/// A middleware that provides the sessions of a codec to the services within, and writes them into their responses.
#[derive(Debug)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct SessionLayer<T> {
    settings: Arc<Settings<T>>,
}

impl<T> SessionLayer<T> {
    /// Creates the layer.
    pub fn new(codec: Codec<T>) -> Self {
        Self { settings: Arc::new(Settings::new(codec)) }
    }

    /// Sets what decides, before any handler looks at it, whether a session that opened counts: for a deny list, for the
    /// user's last change of the password, for a tenant. Default: each does.
    ///
    /// One that it refuses is as one that does not open: handlers find none, and [`Session::opened`] says
    /// [`NotAccepted`](crate::DecodeError::NotAccepted). `accept` runs once for each request that looks at its session, on
    /// the thread at hand, so it must not wait: let it look into memory.
    ///
    /// # Example
    ///
    /// ```
    /// use std::collections::HashSet;
    /// use std::sync::{Arc, RwLock};
    /// use sealed_session::web::tower::SessionLayer;
    /// # let codec = sealed_session::Codec::<u64>::new(sealed_session::Key::generate()?);
    ///
    /// let locked_out = Arc::new(RwLock::new(HashSet::<u64>::new()));
    /// let layer = SessionLayer::new(codec)
    ///     .accept(move |opened| !locked_out.read().is_ok_and(|users| users.contains(&opened.session)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn accept(mut self, accept: impl Fn(&Opened<T>) -> bool + Send + Sync + 'static) -> Self {
        let settings = Settings { accept: Some(Arc::new(accept)), ..(*self.settings).clone() };
        self.settings = Arc::new(settings);
        self
    }

    /// Sets what becomes of a session that this node cannot read, where a handler wants to write. Default:
    /// [`Unreadable::Keep`].
    pub fn on_unreadable(mut self, unreadable: Unreadable) -> Self {
        self.settings = Arc::new(Settings { unreadable, ..(*self.settings).clone() });
        self
    }
}

impl<T> Clone for SessionLayer<T> {
    fn clone(&self) -> Self {
        Self { settings: Arc::clone(&self.settings) }
    }
}

impl<S, T> Layer<S> for SessionLayer<T> {
    type Service = SessionService<S, T>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService { inner, settings: Arc::clone(&self.settings) }
    }
}

/// The service that [`SessionLayer`] makes.
#[derive(Debug)]
pub struct SessionService<S, T> {
    inner: S,
    settings: Arc<Settings<T>>,
}

impl<S: Clone, T> Clone for SessionService<S, T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), settings: Arc::clone(&self.settings) }
    }
}

impl<S, T, ReqBody, ResBody> Service<Request<ReqBody>> for SessionService<S, T>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    T: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, T>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        // The same layer twice is one: that around this one settles the session.
        let installed = Installed::with(request.extensions().get(), &self.settings);
        let pending = installed.map(|installed| {
            let (slot, pending) = Slot::new(&self.settings, request.headers().get_all(COOKIE));
            let extensions = request.extensions_mut();
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
{
    type Output = Result<Response<ResponseBody<ResBody>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.waiting.is_none() {
            let response = ready!(this.inner.poll(context))?;
            let Some(pending) = this.pending.take() else {
                return Poll::Ready(Ok(response.map(ResponseBody::new)));
            };
            match pending.settle(response.status().as_u16()) {
                Ok(Settled { before: Some(before), set_cookies, looked }) => {
                    let settled = Settled { set_cookies, looked, before: None };
                    *this.waiting = Some((before, settled, Ok(response)));
                }
                Ok(settled) => return Poll::Ready(Ok(with_head(settled, response))),
                Err(_) => return Poll::Ready(Ok(refusal(StatusCode::INTERNAL_SERVER_ERROR))),
            }
        }
        let Some((before, ..)) = this.waiting else { return Poll::Pending };
        let outcome = ready!(before.as_mut().poll(context));
        let Some((_, mut settled, response)) = this.waiting.take() else { return Poll::Pending };
        match outcome {
            Outcome::Send => {}
            Outcome::WithoutCookies => settled.set_cookies = SetCookies::default(),
            Outcome::Refuse => {
                let mut response = refusal(StatusCode::SERVICE_UNAVAILABLE);
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
                return Poll::Ready(Ok(response));
            }
        }
        Poll::Ready(Ok(with_head(settled, response?)))
    }
}

fn refusal<B>(status: StatusCode) -> Response<ResponseBody<B>> {
    let mut response = Response::new(ResponseBody::default());
    *response.status_mut() = status;
    response
}

fn with_head<B>(settled: Settled, mut response: Response<B>) -> Response<ResponseBody<B>> {
    write_head(settled, response.headers_mut());
    response.map(ResponseBody::new)
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
    find(request.extensions())
}

pub(super) fn find<T>(extensions: &Extensions) -> Result<Session<T>, LayerError>
where
    T: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    Installed::check(extensions.get())?;
    let slot = extensions.get::<Slot<T>>();
    let slot = slot.ok_or_else(|| LayerError::absent::<T>("SessionLayer"))?;
    let session = slot.session();
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
