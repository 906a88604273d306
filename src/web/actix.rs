//! Sessions for actix-web: [`SessionMiddleware`], and [`Session`] as an extractor.
//!
//! Needs the feature `actix-web`, and fits actix-web 4. Sessions need not be `Send`.
//!
//! - `Session<T>` works for every request: handlers run with or without a session, and can begin one.
//! - In middlewares and guards, [`SessionExt::session`] gives the same.
//! - `Option<Session<T>>` is `None` only where the middleware is absent: that is actix-web's own rule.
//!   [`Session::get`] tells whether there is a session.
//!
//! A middleware within may answer by an error in place of a response. It stays as it is where no cookie is set,
//! so that a middleware around this one can tell what it was (`Error::as_error`); else, and where a cache may
//! store what it becomes, it comes as an `InternalError` with the whole response.
//!
//! Make the codec once, outside the closure given to `HttpServer::new`, and clone it into each worker.
//!
//! The last `wrap` is the outermost. So middlewares that use the session are wrapped before this one.
//!
//! Tests call a handler with [`Session::new_for_test`]. A shop with login, cart and logout is in [`examples/actix.rs`].
//!
//! [`examples/actix.rs`]: https://github.com/sealed-session/sealed-session/blob/main/examples/actix.rs
//!
//! # Example
//!
//! ```
//! use actix_web::{App, HttpResponse, web};
//! use sealed_session::web::ChangeError;
//! use sealed_session::web::actix::{Session, SessionMiddleware};
//! use sealed_session::{Codec, Key};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Clone, Default, Serialize, Deserialize)]
//! struct Shop { user: Option<u64>, cart: Vec<String> }
//!
//! async fn cart(session: Session<Shop>) -> String {
//!     match session.get() {
//!         Some(shop) => shop.cart.join(", "),
//!         None => "empty".into(),
//!     }
//! }
//!
//! async fn buy(session: Session<Shop>) -> Result<HttpResponse, ChangeError> {
//!     session.change(|shop| shop.cart.push("SKU-1".into()))?;
//!     Ok(HttpResponse::Ok().body("bought"))
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let codec = Codec::<Shop>::new(Key::generate()?);
//! let app = App::new()
//!     .wrap(SessionMiddleware::new(codec))
//!     .route("/cart", web::get().to(cart))
//!     .route("/cart", web::post().to(buy));
//! # Ok(()) }
//! ```

use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{self, Extensions, Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::error::InternalError;
use actix_web::guard::GuardContext;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, COOKIE, EXPIRES, HeaderMap, HeaderValue, RETRY_AFTER, SET_COOKIE, VARY,
};
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, ResponseError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::before::Outcome;
use super::caching;
pub use super::change_error::ChangeError;
use super::installed::{Installed, LayerError};
pub use super::session::Session;
use super::settings::{Settings, Unreadable};
use super::settle::{Refusal, Settled, Slot};
use crate::{Codec, Opened, SetCookies};

/// A middleware that provides the sessions of a codec to the services within, and writes them into their responses.
#[derive(Debug)]
#[must_use = "a middleware does nothing until an application is wrapped in it"]
pub struct SessionMiddleware<T> {
    settings: Arc<Settings<T>>,
}

impl<T> SessionMiddleware<T> {
    /// Creates the middleware.
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
    /// use sealed_session::web::actix::SessionMiddleware;
    /// # let codec = sealed_session::Codec::<u64>::new(sealed_session::Key::generate()?);
    ///
    /// let locked_out = Arc::new(RwLock::new(HashSet::<u64>::new()));
    /// let middleware = SessionMiddleware::new(codec)
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

impl<T> Clone for SessionMiddleware<T> {
    fn clone(&self) -> Self {
        Self { settings: Arc::clone(&self.settings) }
    }
}

impl<S, T, B> Transform<S, ServiceRequest> for SessionMiddleware<T>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error>,
    S::Future: 'static,
    T: Serialize + DeserializeOwned + 'static,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = actix_web::Error;
    type Transform = SessionService<S, T>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(SessionService { inner, settings: Arc::clone(&self.settings) }))
    }
}

/// The service that [`SessionMiddleware`] makes.
#[derive(Debug)]
pub struct SessionService<S, T> {
    inner: S,
    settings: Arc<Settings<T>>,
}

impl<S, T, B> Service<ServiceRequest> for SessionService<S, T>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error>,
    S::Future: 'static,
    T: Serialize + DeserializeOwned + 'static,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>>>>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        // The same middleware twice is one: that around this one settles the session.
        let installed = Installed::with(request.extensions().get(), &self.settings);
        let pending = installed.map(|installed| {
            let cookies = request.headers().get_all(COOKIE).map(HeaderValue::as_bytes);
            let (slot, pending) = Slot::new(&self.settings, cookies);
            request.extensions_mut().insert(installed);
            request.extensions_mut().insert(slot);
            pending
        });
        let response = self.inner.call(request);
        Box::pin(async move {
            let result = response.await;
            let Some(pending) = pending else { return result.map(|r| r.map_into_left_body()) };
            let status = match &result {
                Ok(response) => response.status(),
                Err(error) => error.as_response_error().status_code(),
            };
            let settled = pending.settle(status.as_u16());
            let settled = match settled {
                Ok(settled) => wait(settled).await,
                Err(reason) => Err((StatusCode::INTERNAL_SERVER_ERROR, reason)),
            };
            match (settled, result) {
                (Ok(settled), Ok(mut response)) => {
                    write_head(settled, response.headers_mut());
                    Ok(response.map_into_left_body())
                }
                (Ok(settled), Err(error)) => Err(with_head(settled, error)),
                (Err((status, _)), Ok(response)) => {
                    Ok(response.into_response(refusal(status)).map_into_right_body())
                }
                (Err((status, reason)), Err(_)) => {
                    Err(InternalError::from_response(reason, refusal(status)).into())
                }
            }
        })
    }
}

/// The session of a request that came through [`SessionMiddleware`].
pub trait SessionExt {
    /// Returns the session of the type `T`.
    ///
    /// # Errors
    ///
    /// [`LayerError`] if the request did not come through a [`SessionMiddleware`] for this type, or came
    /// through two that clash.
    fn session<T: Serialize + DeserializeOwned + 'static>(&self) -> Result<Session<T>, LayerError>;
}

impl SessionExt for HttpRequest {
    fn session<T: Serialize + DeserializeOwned + 'static>(&self) -> Result<Session<T>, LayerError> {
        find(&self.extensions())
    }
}

impl SessionExt for ServiceRequest {
    fn session<T: Serialize + DeserializeOwned + 'static>(&self) -> Result<Session<T>, LayerError> {
        find(&self.extensions())
    }
}

impl<T: Serialize + DeserializeOwned + 'static> FromRequest for Session<T> {
    type Error = LayerError;
    #[cfg(not(feature = "store"))]
    type Future = Ready<Result<Self, LayerError>>;
    #[cfg(feature = "store")]
    type Future = SessionFuture<T>;

    fn from_request(request: &HttpRequest, _: &mut dev::Payload) -> Self::Future {
        #[cfg(not(feature = "store"))]
        return ready(request.session());
        #[cfg(feature = "store")]
        SessionFuture::new(request.session())
    }
}

/// The future of the extractor, which fetches a session that lies in a store.
#[cfg(feature = "store")]
pub struct SessionFuture<T>(Extracting<T>);

#[cfg(feature = "store")]
enum Extracting<T> {
    /// The codec has no store, or there is no session.
    Ready(Ready<Result<Session<T>, LayerError>>),
    Fetching(Pin<Box<dyn Future<Output = Result<Session<T>, LayerError>>>>),
}

#[cfg(feature = "store")]
impl<T: Serialize + DeserializeOwned + 'static> SessionFuture<T> {
    fn new(session: Result<Session<T>, LayerError>) -> Self {
        match session {
            Ok(session) if session.codec().has_store() => {
                Self(Extracting::Fetching(Box::pin(async move {
                    session.fetch().await?;
                    Ok(session)
                })))
            }
            session => Self(Extracting::Ready(ready(session))),
        }
    }
}

#[cfg(feature = "store")]
impl<T> Future for SessionFuture<T> {
    type Output = Result<Session<T>, LayerError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Extracting::Ready(ready) => Pin::new(ready).poll(context),
            Extracting::Fetching(fetching) => fetching.as_mut().poll(context),
        }
    }
}

#[cfg(feature = "store")]
impl<T> std::fmt::Debug for SessionFuture<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionFuture").finish_non_exhaustive()
    }
}

/// For guards: a session can be read there, and changed.
impl SessionExt for GuardContext<'_> {
    fn session<T: Serialize + DeserializeOwned + 'static>(&self) -> Result<Session<T>, LayerError> {
        find(&self.req_data())
    }
}

fn find<T>(extensions: &Extensions) -> Result<Session<T>, LayerError>
where
    T: Serialize + DeserializeOwned + 'static,
{
    Installed::check(extensions.get())?;
    let slot = extensions.get::<Slot<T>>();
    let slot = slot.ok_or_else(|| LayerError::absent::<T>("SessionMiddleware"))?;
    let session = slot.session();
    #[cfg(feature = "revocation")]
    session.check_known()?;
    Ok(session)
}

impl ResponseError for ChangeError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::WouldReplace(_) => StatusCode::SERVICE_UNAVAILABLE,
            #[cfg(feature = "revocation")]
            Self::NotRevoked(_) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut response = HttpResponse::build(self.status_code());
        if self.status_code() == StatusCode::SERVICE_UNAVAILABLE {
            response.insert_header((RETRY_AFTER, "1"));
        }
        response.finish()
    }
}

impl ResponseError for LayerError {
    fn status_code(&self) -> StatusCode {
        if self.is_temporary() {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        StatusCode::INTERNAL_SERVER_ERROR
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        if self.is_temporary() {
            return refusal(self.status_code());
        }
        HttpResponse::InternalServerError().finish()
    }
}

#[cfg(feature = "store")]
impl ResponseError for super::LoadError {
    fn status_code(&self) -> StatusCode {
        if self.is_lost() {
            return StatusCode::INTERNAL_SERVER_ERROR;
        }
        StatusCode::SERVICE_UNAVAILABLE
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        refusal(self.status_code())
    }
}

/// Waits for what has to happen before the head is written.
async fn wait(mut settled: Settled) -> Result<Settled, (StatusCode, Refusal)> {
    if let Some(before) = settled.before.take() {
        match before.await {
            Outcome::Send => {}
            Outcome::WithoutCookies => settled.set_cookies = SetCookies::default(),
            Outcome::Refuse => return Err((StatusCode::SERVICE_UNAVAILABLE, Refusal::Before)),
        }
    }
    Ok(settled)
}

fn refusal(status: StatusCode) -> HttpResponse<BoxBody> {
    let mut response = HttpResponse::build(status);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.insert_header((RETRY_AFTER, "1"));
    }
    response.finish()
}

/// Writes the session into the response that an error becomes.
///
/// The error stays as it is where there is no cookie to set, so that other middlewares know it, unless a
/// cache may store its response, which must vary then.
fn with_head(settled: Settled, error: actix_web::Error) -> actix_web::Error {
    if !settled.looked {
        return error;
    }
    let mut response = error.error_response();
    let headers = response.headers();
    let explicit = headers.contains_key(CACHE_CONTROL) || headers.contains_key(EXPIRES);
    let stored = explicit || caching::is_stored_unasked(response.status().as_u16());
    if settled.set_cookies.is_empty() && !stored {
        return error;
    }
    write_head(settled, response.headers_mut());
    InternalError::from_response(error, response).into()
}

fn write_head(Settled { set_cookies, looked, .. }: Settled, headers: &mut HeaderMap) {
    if looked && !caching::varies(headers.get_all(VARY).map(HeaderValue::as_bytes)) {
        headers.append(VARY, HeaderValue::from_static("cookie"));
    }
    if set_cookies.is_empty() {
        return;
    }
    // What the codec prints always makes a header value.
    for value in set_cookies.values().filter_map(|value| HeaderValue::from_str(value).ok()) {
        headers.append(SET_COOKIE, value);
    }
    let found = headers.get_all(CACHE_CONTROL).map(HeaderValue::as_bytes);
    if let Some(value) = caching::cache_control(found) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(value));
    }
    let overruling = headers.keys().filter(|name| caching::overrules_cache_control(name.as_str()));
    for name in overruling.cloned().collect::<Vec<_>>() {
        headers.remove(name);
    }
}
