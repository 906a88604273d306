//! A message that is shown once, after a redirect.
//!
//! `update` begins no session and sets no cookie where there is nothing to show.

use axum::Router;
use axum::response::Redirect;
use axum::routing::{get, post};
use sealed_session::Codec;
use sealed_session::web::ChangeError;
use sealed_session::web::axum::{Session, SessionLayer};
use serde::{Deserialize, Serialize};

/// Neither `Clone` nor `Default`: `update` needs none of the two.
#[derive(Serialize, Deserialize)]
pub struct Visitor {
    message: Option<String>,
}

pub fn app(codec: Codec<Visitor>) -> Router {
    let routes = Router::new().route("/save", post(save)).route("/", get(page));
    routes.layer(SessionLayer::new(codec))
}

async fn save(session: Session<Visitor>) -> Result<Redirect, ChangeError> {
    session.update(|visitor| {
        visitor.get_or_insert(Visitor { message: None }).message = Some("saved".into());
    })?;
    Ok(Redirect::to("/"))
}

async fn page(session: Session<Visitor>) -> Result<String, ChangeError> {
    let message = session.update(|visitor| visitor.as_mut()?.message.take())?;
    Ok(message.unwrap_or_else(|| "nothing new".into()))
}
