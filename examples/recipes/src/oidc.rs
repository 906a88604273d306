//! A login by OpenID Connect, with the authorization code flow: state, nonce and PKCE, in several tabs at once.
//!
//! The state of a login that is under way has a short cookie of its own, with `SameSite=None`: providers that answer by
//! `form_post` come back with a POST from their site, where a Lax cookie does not come. The session itself stays Lax.
//!
//! What the provider's answer means is the provider crate's affair: `openidconnect` makes and checks nonce, PKCE and tokens.
//! Its types are neither `Clone` nor `Default`, and `update` needs none of the two.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use sealed_session::web::ChangeError;
use sealed_session::web::axum::{Session, SessionLayer};
use sealed_session::{Codec, ConfigError, KeyRing, SameSite};
use serde::{Deserialize, Serialize};

use crate::token;

/// The logins that are under way, by their state: one for each tab.
#[derive(Default, Serialize, Deserialize)]
pub struct Logins(BTreeMap<String, Login>);

/// What the provider's answer is held against.
#[derive(Serialize, Deserialize)]
pub struct Login {
    pub nonce: String,
    pub verifier: String,
    return_to: String,
}

/// Who is logged in.
#[derive(Clone, Serialize, Deserialize)]
pub struct User {
    pub subject: String,
}

/// Exchanges the code for an id token, by PKCE's verifier, and checks the nonce in it. Returns the subject.
pub type Exchange = Arc<dyn Fn(&str, &Login) -> Option<String> + Send + Sync>;

/// # Errors
///
/// None, with these settings.
pub fn app(ring: &KeyRing, exchange: Exchange) -> Result<Router, ConfigError> {
    let user = Codec::<User>::new(ring.clone());
    let logins = Codec::<Logins>::builder(ring.clone())
        .name("__Host-login")
        .same_site(SameSite::None)
        .absolute_timeout(Duration::from_secs(600))
        .build()?;
    Ok(Router::new()
        .route("/", get(page))
        .route("/login", get(begin))
        .route("/callback", post(callback))
        .layer(SessionLayer::new(user))
        .layer(SessionLayer::new(logins))
        .with_state(exchange))
}

async fn page(user: Session<User>) -> String {
    user.get().map_or("nobody".into(), |user| user.subject.clone())
}

#[derive(Deserialize)]
struct Begin {
    return_to: Option<String>,
}

async fn begin(
    logins: Session<Logins>,
    Query(query): Query<Begin>,
) -> Result<Redirect, ChangeError> {
    let (state, nonce, verifier) = (token(), token(), token() + &token());
    // A path of this site, and not that of another.
    let local =
        |path: &String| path.starts_with('/') && !path.starts_with("//") && !path.contains('\\');
    let return_to = query.return_to.filter(local).unwrap_or_else(|| "/".into());
    let url = format!(
        "https://provider.example/auth?response_mode=form_post&state={state}&nonce={nonce}"
    );
    logins.update(|logins| {
        let Logins(logins) = logins.get_or_insert_default();
        // Tabs that were given up do not fill the cookie.
        while logins.len() >= 4 {
            logins.pop_first();
        }
        logins.insert(state, Login { nonce, verifier, return_to });
    })?;
    Ok(Redirect::to(&url))
}

#[derive(Deserialize)]
struct Answer {
    state: String,
    code: String,
}

async fn callback(
    State(exchange): State<Exchange>,
    logins: Session<Logins>,
    user: Session<User>,
    Form(answer): Form<Answer>,
) -> Result<Response, ChangeError> {
    // Taken out, so that an answer counts once in this browser; the last one takes the cookie along.
    let login = logins.update(|logins| {
        let login = logins.as_mut()?.0.remove(&answer.state);
        if logins.as_ref().is_some_and(|logins| logins.0.is_empty()) {
            *logins = None;
        }
        login
    })?;
    // Who began no login here is brought to the login of somebody else.
    let Some(login) = login else { return Ok(StatusCode::BAD_REQUEST.into_response()) };
    let Some(subject) = exchange(&answer.code, &login) else {
        return Ok(StatusCode::FORBIDDEN.into_response());
    };
    user.renew(User { subject })?;
    Ok(Redirect::to(&login.return_to).into_response())
}
