//! Sessions for web frameworks: a middleware that reads the request and writes the response.
//!
//! | framework | feature | middleware |
//! |---|---|---|
//! | tower, hyper with tower | `tower` | `tower::SessionLayer` |
//! | axum | `axum` | the same layer, and [`Session`] as an extractor |
//! | actix-web | `actix-web` | `actix::SessionMiddleware`, and [`Session`] as an extractor |
//!
//! A handler takes a [`Session`], reads it and changes it; the middleware does the rest when the head of
//! the response is ready. The rules are the same in every framework:
//!
//! | what happened | what the response gets |
//! |---|---|
//! | the handlers never looked at the session | nothing; the cookie was not even opened |
//! | read, unchanged and fresh | no `Set-Cookie` |
//! | changed, or due to be sealed again ([`Reseal`](crate::Reseal)) | the new cookies |
//! | [`renew`](Session::renew), [`clear`](Session::clear) | the new cookies, or their removal |
//! | the cookie does not open | what [`DecodeError::advice`](crate::DecodeError::advice) says: a removal or nothing |
//! | the cookie does not open *here*, another node may read it, and the handler wants to write | [`ChangeError::WouldReplace`] for the handler, and no cookie |
//! | the new session cannot be sealed: it is too large, say | status 500 without a body in place of the response, the reason in the log, no cookie |
//! | an unchanged session was due, and cannot be sealed | the response as it is, the reason in the log, no cookie |
//! | a handler panicked | no cookie; what catches panics belongs around this middleware |
//!
//! The handler always runs. Where the cookie does not open, it finds no session, and
//! [`Session::opened`] says why. Cookies are set on error responses too.
//!
//! A response with cookies gets `Cache-Control: no-store`, and headers for shared caches that would
//! overrule it (RFC 9213) are removed. Every response of a handler that looked at the session gets
//! `Vary: Cookie`. The application's own `Set-Cookie` and `Vary` headers stay.
//!
//! # Idle time
//!
//! A session is used when a handler looks at it. Requests for images or metrics do not keep a session
//! alive, even behind the middleware.
//!
//! # Several sessions
//!
//! Install one middleware for each codec. The type of the session tells them apart: give each a type of
//! its own, and each codec a name of its own.
//!
//! # Streams
//!
//! Cookies travel in the head of the response. Once the middleware has written it, a change is refused
//! with [`ChangeError::Late`]; reading goes on.
//!
//! # Logging
//!
//! These features bring the feature `tracing`: the codec tells what it opens and refuses. The middlewares
//! add an error, with the target `sealed_session::web`, for each response that was refused or whose
//! session was not set, and why. No line holds a byte of a session or of a request.

#[cfg(feature = "actix-web")]
pub mod actix;
#[cfg(feature = "axum")]
pub mod axum;
mod hygiene;
mod provided;
mod session;
#[cfg(feature = "tower")]
pub mod tower;

pub use provided::LayerError;
pub use session::{ChangeError, Session};
