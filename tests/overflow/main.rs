//! Sessions that lie in a store, through the middlewares: one table of outcomes, held against each framework, with a
//! store in memory that fails as it is told, and with a real Redis that is stopped, killed and flushed.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::as_conversions,
    reason = "a test may panic"
)]

mod actix;
mod app;
mod axum;
#[cfg(feature = "store-redis")]
mod failover;
mod outcomes;
#[cfg(feature = "store-redis")]
mod redis;
#[path = "../stores/mod.rs"]
mod stores;
