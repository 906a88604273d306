//! Sessions for web frameworks: a middleware that reads the request and writes the response.
//!
#![cfg_attr(feature = "axum", doc = "```")]
#![cfg_attr(not(feature = "axum"), doc = "```ignore")]
//! use axum::{Router, routing::{get, post}};
//! use sealed_session::web::axum::{Session, SessionLayer};
//! use sealed_session::web::ChangeError;
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
//! | axum | `axum` | `axum::SessionLayer`, and [`Session`] as an extractor | [`axum.rs`] |
//! | tower, hyper with tower | `tower` | `tower::SessionLayer`, and `tower::session` | in the module |
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
//! | changed, or read and due to be resealed ([`Reseal`](crate::Reseal)) | the new cookies |
//! | due, and looked at by [`peek`](Session::peek) or [`opened`](Session::opened) alone | no `Set-Cookie` |
//! | [`renew`](Session::renew), [`renew_with`](Session::renew_with), [`clear`](Session::clear) | the new cookies, or their removal |
//! | [`update`](Session::update): none before and none after | no `Set-Cookie` |
//! | the cookie does not open, whatever the reason, and is only read | no `Set-Cookie`: [a read removes nothing](crate::Advice::Clear) |
//! | the cookie does not open, no other node may read it, and a handler writes | the new cookies |
//! | the cookie does not open *here*, another node may read it, and a handler writes | [`ChangeError::WouldReplace`] for the handler, which as a response is 503 with `Retry-After`; no cookie. With [`Unreadable::Replace`], the new cookies and a warning in the log |
//! | the session opens, and `accept` refuses it | as one that does not open, and no other node may read |
//! | the changed session cannot be sealed: it is too large, say, or its time ran out meanwhile | status 500 without a body in place of the response, the reason in the log, no cookie |
//! | an unchanged session was due, and cannot be sealed | the response as it is, the reason in the log, no cookie |
//! | a [`Session`] was dropped by a panic, in the handler or in a task beside it | no cookie; 500 in place of a response that tells of no failure, if there was a change. A `clear` is kept |
//! | the response tells of a failure of the server, or of a time that ran out: 5xx and 408 | no change is kept, with a warning in the log. A `clear` is kept, and what was only read may be resealed |
//! | there is no response: the service of tower failed, or the client hung up | a warning in the log, if there was a change |
//!
//! The handler runs whatever the cookie is. Where it does not open, the handler finds no session, and
//! [`Session::opened`] says why. Only where the session lies in a store that is down, or where what is revoked is not known and
//! that is to refuse, the answer is 503 before it. Cookies are set on responses of the statuses 4xx too, but for 408.
//!
//! Nothing half done is kept. Of a panic the middleware knows by the [`Session`] that it drops. Of a handler that was
//! dropped in the middle, as a layer does whose time runs out, it cannot know but by the status of the response. So let such
//! layers answer 408 or 5xx, or put them around the middleware: then there is no response, and nothing is written.
//!
//! The cookies are those of the request as it came to the middleware, whatever layers within do to its headers.
//!
//! A response with cookies gets `Cache-Control: no-store`, and headers for shared caches that would
//! overrule it are removed: those of RFC 9213, `Surrogate-Control`, `Edge-Control`, and nginx's `X-Accel-Expires`.
//! Every response of a handler that looked at the session gets `Vary: Cookie`. The application's own `Set-Cookie` and
//! `Vary` headers stay. A cache that is set to ignore what responses say can still mix up users: do not tell nginx to
//! `proxy_ignore_headers Cache-Control`.
//!
//! A request whose handlers do not ask for the session costs three small allocations, and one for a copy of the
//! session's cookie if it has one. Nothing is opened.
//!
//! # Idle time
//!
//! A session is used when a handler looks at it. Requests for images or metrics do not keep a session
//! alive, even behind the middleware; nor does a page that asks for news every minute, if its handler looks by
//! [`peek`](Session::peek).
//!
//! # Parallel requests
//!
//! Of two requests at the same time that change the session, the last response wins. A request that only reads
//! can write too, when the session is due to be resealed: if its response comes after that of a logout, the
//! session is back in the browser. It never removes one, so a slow read does no harm to a login. Where a logout must be final, keep on the server the
//! [ids](crate::Builder::session_ids) of ended sessions or the time of the user's last logout.
//!
//! # Several sessions
//!
//! Install one middleware for each codec. The type of the session tells them apart: give each a type of
//! its own, and each codec a name of its own. Two that cannot be told apart are a [`LayerError`] at the first
//! request that asks for a session. One codec installed twice is no harm.
//!
//! The limits are those of one codec, and a proxy counts all cookies of a response. So divide among the codecs of
//! an application what the proxy takes, and let [`Limits::holds`](crate::Limits::holds) check it at start:
//!
//! ```
//! use sealed_session::{Codec, KeyRing, Limits};
//! # #[derive(serde::Serialize, serde::Deserialize)] struct Shop;
//! # #[derive(serde::Serialize, serde::Deserialize)] struct Theme;
//!
//! # fn codecs(ring: KeyRing) -> Result<(), sealed_session::ConfigError> {
//! const PROXY: Limits = Limits::UNMODIFIED_NGINX;
//! let shop = Codec::<Shop>::builder(ring.clone())
//!     .limits(PROXY.response_bytes(2500).request_bytes(2500))
//!     .build()?;
//! let theme = Codec::<Theme>::builder(ring)
//!     .name("__Host-theme")
//!     .limits(PROXY.response_bytes(500).request_bytes(500))
//!     .build()?;
//! PROXY.holds([shop.limits(), theme.limits()])?; // 3000 together
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
//! Where no node will read these sessions again, after a bad release or on a node without the right key, the middleware can
//! be told to [replace](Unreadable::Replace) them.
//!
//! # Other applications on this host
//!
//! Cookies know no ports, and with `Path=/` no paths: an application on `localhost:3000` gets the cookies of that on
//! `localhost:8080`. Give the cookie of each another [name](crate::Builder::name). Else each finds the session of the other
//! in the place of its own: as one of an unknown key, which may as well be a key that has not arrived yet, so that every
//! change is refused; or, with the same keys and another context, as one that does not open, which a change replaces. A read
//! leaves it alone in any case; where a change is refused, the log says what to do.
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
#[cfg(feature = "tower")]
mod body;
mod caching;
mod change_error;
mod installed;
mod opening;
#[cfg(feature = "store")]
mod overflow;
#[cfg(feature = "revocation")]
mod revocation;
mod session;
mod settings;
mod settle;
mod state;
#[cfg(feature = "tower")]
pub mod tower;
mod turn;

pub use change_error::ChangeError;
pub use installed::LayerError;
#[cfg(feature = "store")]
pub use overflow::LoadError;
pub use session::Session;
pub use settings::Unreadable;

/// As what happens in the middlewares is named in the log.
const TARGET: &str = "sealed_session::web";
