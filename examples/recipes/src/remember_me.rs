//! "Remember me": the codec allows what a remembered user gets, and all others get less.

use std::time::Duration;

use axum::Router;
use axum::extract::Form;
use axum::routing::post;
use sealed_session::web::ChangeError;
use sealed_session::web::axum::{Session, SessionLayer};
use sealed_session::{Codec, ConfigError, KeyRing, Lifetime};
use serde::Deserialize;

const DAY: Duration = Duration::from_secs(86_400);

#[derive(Deserialize)]
struct Login {
    remember_me: Option<String>,
}

/// # Errors
///
/// None, with these settings.
pub fn app(ring: impl Into<KeyRing>) -> Result<Router, ConfigError> {
    let codec = Codec::builder(ring).absolute_timeout(90 * DAY).idle_timeout(30 * DAY).build()?;
    Ok(Router::new().route("/login", post(login)).layer(SessionLayer::<u64>::new(codec)))
}

async fn login(session: Session<u64>, Form(login): Form<Login>) -> Result<(), ChangeError> {
    session.renew(7)?;
    if login.remember_me.is_none() {
        let short = Lifetime::new().absolute_timeout(DAY).idle_timeout(DAY / 24);
        session.set_lifetime(short.browser_session())?;
    }
    Ok(())
}
