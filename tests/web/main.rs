//! The middlewares: one table of rules, held against every framework.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::as_conversions,
    reason = "a test may panic"
)]

mod actix;
mod axum;
mod log;
mod old_cookie;
mod rules;
mod shop;
mod streams;
mod tower;
mod two_applications;
