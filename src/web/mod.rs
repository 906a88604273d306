//! Sessions for web frameworks: a middleware that reads the request and writes the response.
//!
#![cfg_attr(feature = "axum", doc = "```")]
#![cfg_attr(not(feature = "axum"), doc = "```ignore")]
//! use axum::{Router, routing::{get, post}};
//! use sealed_session::web::{ChangeError, Session, tower::SessionLayer};
//! use sealed_session::{Codec, KeyRing};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Clone, Default, Serialize, Deserialize)]
//! struct Shop { user: Option<String>, cart: Vec<String> }
//!
//! async fn cart(session: Session<Shop>) -> String {
//!     session.get().map_or("empty".into(), |shop| shop.cart.join(", "))
//! }
//!
//! async fn buy(session: Session<Shop>, item: String) -> Result<(), ChangeError> {
//!     session.change(|shop| shop.cart.push(item))
//! }
//!
//! async fn logout(session: Session<Shop>) -> Result<(), ChangeError> {
//!     session.clear()
//! }
//!
//! fn app(ring: KeyRing) -> Router {
//!     Router::new()
//!         .route("/cart", get(cart).post(buy))
//!         .route("/logout", post(logout))
//!         .layer(SessionLayer::new(Codec::<Shop>::new(ring)))
//! }
//! ```
//!
//! | framework | feature | middleware | a whole program |
//! |---|---|---|---|
//! | axum | `axum` | `tower::SessionLayer`, and [`Session`] as an extractor | [`axum.rs`] |
//! | tower, hyper with tower | `tower` | the same layer, and `tower::session` | in the module |
//! | actix-web | `actix-web` | `actix::SessionMiddleware`, and [`Session`] as an extractor | [`actix.rs`] |
//!
//! [`guide::frameworks`](crate::guide::frameworks) tells how it is done in others. An nginx before the nodes needs
//! no setting; [`nginx.conf`] is one that was tried.
//!
//! A handler takes a [`Session`], reads it and changes it; the middleware does the rest when the head of
//! the response is ready. The rules are the same in every framework:
//!
//! | what happened | what the response gets |
//! |---|---|
//! | the handlers never looked at the session | nothing; the cookie was not even opened |
//! | read, unchanged and fresh | no `Set-Cookie` |
//! | changed, or due to be resealed ([`Reseal`](crate::Reseal)) | the new cookies |
//! | [`renew`](Session::renew), [`clear`](Session::clear) | the new cookies, or their removal |
//! | the cookie does not open | what [`DecodeError::advice`](crate::DecodeError::advice) says: a removal or nothing |
//! | the cookie does not open *here*, another node may read it, and the handler wants to write | [`ChangeError::WouldReplace`] for the handler, which as a response is 503 with `Retry-After`; no cookie |
//! | the changed session cannot be sealed: it is too large, say, or its time ran out meanwhile | status 500 without a body in place of the response, the reason in the log, no cookie |
//! | an unchanged session was due, and cannot be sealed | the response as it is, the reason in the log, no cookie |
//! | a [`Session`] was dropped by a panic, in the handler or in a task beside it | no cookie; 500 in place of a response that tells of no failure, if there was a change |
//! | there is no response: the service of tower failed, or the client hung up | a warning in the log, if there was a change |
//!
//! The handler always runs. Where the cookie does not open, it finds no session, and
//! [`Session::opened`] says why. Cookies are set on error responses too.
//!
//! Of a panic the middleware knows by the [`Session`] that it drops. So what catches panics belongs around the
//! middleware: caught within, a panic after the last [`Session`] was dropped passes for an answer, and the change
//! is kept.
//!
//! A response with cookies gets `Cache-Control: no-store`, and headers for shared caches that would
//! overrule it (RFC 9213) are removed. Every response of a handler that looked at the session gets
//! `Vary: Cookie`. The application's own `Set-Cookie` and `Vary` headers stay.
//!
//! A request whose handlers do not ask for the session costs three small allocations, and its cookies are not
//! even searched.
//!
//! # Idle time
//!
//! A session is used when a handler looks at it. Requests for images or metrics do not keep a session
//! alive, even behind the middleware.
//!
//! # Parallel requests
//!
//! Of two requests at the same time that change the session, the last response wins. A request that only reads
//! can write too, when the session is due to be resealed: if its response comes after that of a logout, the
//! session is back in the browser. Where a logout must be final, keep on the server the
//! [ids](crate::Builder::session_ids) of ended sessions or the time of the user's last logout.
//!
//! # Several sessions
//!
//! Install one middleware for each codec. The type of the session tells them apart: give each a type of
//! its own, and each codec a name of its own. Two that cannot be told apart are a [`LayerError`] at the first
//! request that asks for a session. One codec installed twice is no harm.
//!
//! The limits are those of one codec, and a proxy counts all cookies of a response. So divide among the codecs of
//! an application what the proxy takes:
//!
//! ```
//! use sealed_session::{Codec, KeyRing, Limits};
//! # #[derive(serde::Serialize, serde::Deserialize)] struct Shop;
//! # #[derive(serde::Serialize, serde::Deserialize)] struct Theme;
//!
//! # fn codecs(ring: KeyRing) -> Result<(), sealed_session::ConfigError> {
//! let shop = Codec::<Shop>::builder(ring.clone())
//!     .limits(Limits::UNMODIFIED_NGINX.response_bytes(2500))
//!     .build()?;
//! let theme = Codec::<Theme>::builder(ring)
//!     .name("__Host-theme")
//!     .limits(Limits::UNMODIFIED_NGINX.response_bytes(500)) // 3000 together
//!     .build()?;
//! # Ok(()) }
//! # codecs(sealed_session::Key::generate()?.into())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Keys that another node has
//!
//! Where a key seals on one node before the others have it, these meet sessions that they cannot read. A look
//! finds no session; a change is refused with 503 and `Retry-After: 1`. Better roll keys out with a time of
//! activation. Else the proxy can ask the next node: `proxy_next_upstream error timeout http_503;` in nginx, with
//! `max_fails=0` for each server, as anybody can forge a cookie of a key that no node has, and nginx would take
//! all nodes for down. It hands on all but `POST`, `PATCH` and `LOCK`, whose senders see the 503.
//!
//! When moving here from another library, give the cookie another name than it had, and
//! [read the old one](crate::guide::coming_from) for a while. Under the same name, its values may look like sessions of an
//! unknown key, which are kept, and every change would be refused until the old cookie is gone.
//!
//! # Streams
//!
//! Cookies travel in the head of the response. Once the middleware has written it, a change is refused
//! with [`ChangeError::HeadersSent`]; reading still works.
//!
//! # Logging
//!
//! These features bring the feature `tracing`: the codec tells what it opens and refuses. The middlewares
//! add, with the target `sealed_session::web`, an error for each response that was refused or whose
//! session was not set, and a warning for each change that met the session of another node or got no response,
//! and why. No line holds a byte of a session or of a request.
//!
//! [`axum.rs`]: https://github.com/sealed-session/sealed-session/blob/main/examples/axum.rs
//! [`actix.rs`]: https://github.com/sealed-session/sealed-session/blob/main/examples/actix.rs
//! [`nginx.conf`]: https://github.com/sealed-session/sealed-session/blob/main/examples/nginx.conf

#[cfg(feature = "actix-web")]
pub mod actix;
#[cfg(feature = "axum")]
pub mod axum;
mod before;
mod caching;
mod installed;
#[cfg(feature = "store")]
mod overflow;
#[cfg(feature = "revocation")]
mod revocation;
mod session;
#[cfg(feature = "tower")]
pub mod tower;

pub use installed::LayerError;
#[cfg(feature = "store")]
pub use overflow::LoadError;
pub use session::{ChangeError, Session};
