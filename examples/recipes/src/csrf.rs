//! A token against cross-site request forgery: in the session, and in each form.
//!
//! `SameSite=Lax` keeps the session from requests that other *sites* make by POST. A sibling domain is of the same site,
//! and old browsers know no `SameSite`; the token stops those too.

use axum::Router;
use axum::extract::Form;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use sealed_session::Codec;
use sealed_session::web::ChangeError;
use sealed_session::web::axum::{Session, SessionLayer};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::token;

#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Visitor {
    csrf: String,
    #[serde(default)]
    notes: Vec<String>,
}

#[derive(Deserialize)]
struct Note {
    csrf: String,
    text: String,
}

pub fn app(codec: Codec<Visitor>) -> Router {
    Router::new().route("/", get(form).post(note)).layer(SessionLayer::new(codec))
}

async fn form(session: Session<Visitor>) -> Result<Html<String>, ChangeError> {
    let csrf = session.change(|visitor| {
        if visitor.csrf.is_empty() {
            visitor.csrf = token();
        }
        visitor.csrf.clone()
    })?;
    Ok(Html(format!(
        "<form method=post><input name=csrf type=hidden value={csrf}><input name=text></form>"
    )))
}

async fn note(session: Session<Visitor>, Form(note): Form<Note>) -> Response {
    let genuine = session.get().is_some_and(|visitor| {
        !visitor.csrf.is_empty() && bool::from(visitor.csrf.as_bytes().ct_eq(note.csrf.as_bytes()))
    });
    if !genuine {
        return StatusCode::FORBIDDEN.into_response();
    }
    let notes = session.change(|visitor| {
        visitor.notes.push(note.text);
        visitor.notes.len()
    });
    notes.map(|notes| format!("{notes} notes")).into_response()
}
