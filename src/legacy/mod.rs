//! Session cookies of other libraries, read so that a switch to this crate logs nobody out.
//!
//! A [`Reader`] makes a session of the value that another library left in the browser.
//! [`Builder::also_reads`](crate::Builder::also_reads) gives it to a codec, which tries it only where its own cookie is
//! absent, and only until the end date given there. Nothing is ever written in an old format.
//!
//! [`guide::coming_from`](crate::guide::coming_from) is the guide, with a section for each library.
//!
//! # In the box
//!
//! With the feature `legacy`:
//!
//! | cookies of | reader |
//! |---|---|
//! | `cookie`'s private and signed jars, as axum-extra, tower-cookies, Rocket, actix-web and poem write them | `Jar::text`, `Jar::json` |
//! | actix-session's `CookieSessionStore` | `Jar::actix_session` |
//! | tower-sessions-cookie-store | `Jar::tower_session` |
//! | poem's `CookieSession` | `Jar::json` |
//! | iron-session 8 | `IronSession` |
//! | Rails 5.2 to 8, encrypted cookies with the JSON serializer | `RailsSession` |
//!
//! Anything else is a closure: [`Reader::new`].

#[cfg(feature = "legacy")]
mod iron;
#[cfg(feature = "legacy")]
mod jar;
#[cfg(feature = "legacy")]
mod key;
#[cfg(feature = "legacy")]
mod percent;
#[cfg(feature = "legacy")]
mod rails;
pub(crate) mod reader;
#[cfg(feature = "legacy")]
mod state;

#[cfg(feature = "legacy")]
pub use iron::IronSession;
#[cfg(feature = "legacy")]
pub use jar::Jar;
#[cfg(feature = "legacy")]
pub use key::{JarKey, LegacyKeyError};
#[cfg(feature = "legacy")]
pub use rails::RailsSession;
pub use reader::Reader;
