//! Cookies: what browsers and proxies see.
//!
//! In: the `Cookie` headers of a request, or a sealed value as text. Out: the values of our own cookies among all others,
//! joined to one text; or that text laid out over `Set-Cookie` lines within the limits of browsers and proxies.
//! Nothing here opens a seal; only its header, which stands in clear, is read. Uses `seal`, `message` and `bytes`.

pub(crate) mod attributes;
pub(crate) mod chunk;
pub(crate) mod error;
pub(crate) mod found;
pub(crate) mod layout;
pub(crate) mod limits;
pub(crate) mod old;
pub(crate) mod padding;
pub(crate) mod set_cookies;
