//! Sessions for axum: [`Session`] as an extractor, behind [`SessionLayer`].
//!
//! Needs the feature `axum`, and fits axum 0.8.
//!
//! - `Session<T>` works for every request: handlers run with or without a session, and can begin one.
//! - `Option<Session<T>>` is `None` where the request has no session that opens.
//! - What your application answers to a visitor without a login, 401 or a redirect, is its own: see below.
//! - Among the arguments of a handler it stands before what takes the body, which axum wants last.
//! - A layer wraps the routes and layers that were added before it. So what uses the session, such as a
//!   `middleware::from_fn` with a `Session<T>` among its arguments, comes before it, and what catches panics after.
//!
//! - `ServiceBuilder::layer` puts the first one outermost, `Router::layer` the last.
//!
//! Where the compiler says that "the trait `Handler` is not satisfied", `#[axum::debug_handler]` on the handler (feature
//! `macros` of axum) makes it say why. Mostly it is one of these: the session's type lacks `Serialize`, `Deserialize`, `Send` or
//! `Sync`; the session stands behind the body among the arguments; or a lock or an `Rc` is held over an `.await`.
//!
//! Tests call a handler with [`Session::new_for_test`]. A shop with login, cart and logout is in [`examples/axum.rs`].
//!
//! [`examples/axum.rs`]: https://github.com/sealed-session/sealed-session/blob/main/examples/axum.rs
//!
//! # Example
//!
//! ```
//! use axum::{Router, routing::{get, post}};
//! use sealed_session::web::ChangeError;
//! use sealed_session::web::axum::{Session, SessionLayer};
//! use sealed_session::{Codec, Key};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Clone, Default, Serialize, Deserialize)]
//! struct Shop { user: Option<u64>, cart: Vec<String> }
//!
//! async fn cart(session: Option<Session<Shop>>) -> String {
//!     match session.and_then(|session| session.get()) {
//!         Some(shop) => shop.cart.join(", "),
//!         None => "empty".into(),
//!     }
//! }
//!
//! async fn buy(session: Session<Shop>) -> Result<&'static str, ChangeError> {
//!     session.change(|shop| shop.cart.push("SKU-1".into()))?;
//!     Ok("bought")
//! }
//!
//! async fn logout(session: Session<Shop>) -> Result<(), ChangeError> {
//!     session.clear()
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let codec = Codec::<Shop>::new(Key::generate()?);
//! let app: Router = Router::new()
//!     .route("/cart", get(cart).post(buy))
//!     .route("/logout", post(logout))
//!     .layer(SessionLayer::new(codec));
//! # Ok(()) }
//! ```
//!
//! # Who is logged in
//!
//! An extractor of your own says it once for all handlers:
//!
//! ```
//! use axum::extract::FromRequestParts;
//! use axum::http::{StatusCode, request::Parts};
//! use axum::response::{IntoResponse, Response};
//! use sealed_session::web::Session;
//! # #[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
//! # struct Shop { user: Option<u64> }
//!
//! struct User(u64);
//!
//! impl<S: Send + Sync> FromRequestParts<S> for User {
//!     type Rejection = Response;
//!
//!     async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
//!         let session = Session::<Shop>::from_request_parts(parts, state).await;
//!         let session = session.map_err(IntoResponse::into_response)?;
//!         let user = session.get().and_then(|shop| shop.user);
//!         user.map(User).ok_or_else(|| StatusCode::UNAUTHORIZED.into_response())
//!     }
//! }
//!
//! async fn account(User(id): User) -> String { format!("user {id}") }
//! # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(account));
//! ```

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::RETRY_AFTER;
use http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use super::change_error::ChangeError;
use super::installed::LayerError;
#[cfg(feature = "store")]
use super::overflow::LoadError;
pub use super::session::Session;
pub use super::tower::SessionLayer;
use super::tower::find;

impl<S, T> FromRequestParts<S> for Session<T>
where
    S: Send + Sync,
    T: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    type Rejection = LayerError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, LayerError> {
        let session = find(&parts.extensions)?;
        #[cfg(feature = "store")]
        session.fetch().await?;
        Ok(session)
    }
}

impl<S, T> OptionalFromRequestParts<S> for Session<T>
where
    S: Send + Sync,
    T: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    type Rejection = LayerError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, LayerError> {
        let session = find::<T>(&parts.extensions)?;
        #[cfg(feature = "store")]
        session.fetch().await?;
        Ok(session.get().is_some().then_some(session))
    }
}

impl IntoResponse for ChangeError {
    fn into_response(self) -> Response {
        match self {
            Self::WouldReplace(_) => unavailable(),
            #[cfg(feature = "revocation")]
            Self::NotRevoked(_) => unavailable(),
            _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

impl IntoResponse for LayerError {
    fn into_response(self) -> Response {
        if self.is_temporary() {
            return unavailable();
        }
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

#[cfg(feature = "store")]
impl IntoResponse for LoadError {
    fn into_response(self) -> Response {
        if self.is_lost() {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        unavailable()
    }
}

fn unavailable() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")]).into_response()
}
