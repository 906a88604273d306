//! A login by OpenID Connect, with the authorization code flow: state, nonce and PKCE, in several tabs at once.
//!
//! The state of a login that is under way has a short cookie of its own, with `SameSite=None`: providers that answer by
//! `form_post` come back with a POST from their site, where a Lax cookie does not come. The session itself stays Lax. So the
//! callback does not see the session of before; take along what it holds after the redirect.
//!
//! What the provider's answer means is the affair of `openidconnect`: it makes and checks nonce, PKCE and tokens. Its
//! `PkceCodeVerifier` is neither `Clone` nor `Default`, and `update` needs none of the two.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata};
use openidconnect::{
    AccessTokenHash, AsyncHttpClient, AuthorizationCode, ClientId, ClientSecret, CsrfToken,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, IssuerUrl, Nonce,
    OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, TokenResponse as _,
};
use sealed_session::web::ChangeError;
use sealed_session::web::axum::{Session, SessionLayer};
use sealed_session::{Codec, ConfigError, KeyRing, SameSite};
use serde::{Deserialize, Serialize};

/// The logins that are under way, the oldest first: one for each tab.
#[derive(Default, Serialize, Deserialize)]
pub struct Logins(Vec<Login>);

/// What the provider's answer is held against.
#[derive(Serialize, Deserialize)]
struct Login {
    state: CsrfToken,
    nonce: Nonce,
    verifier: PkceCodeVerifier,
    return_to: String,
}

/// Who is logged in.
#[derive(Clone, Serialize, Deserialize)]
pub struct User {
    pub subject: String,
}

/// What speaks HTTP with the provider. In your application that is a `reqwest::Client`, which is told to follow no redirects.
pub struct Http(pub Box<dyn Fn(HttpRequest) -> Exchange + Send + Sync>);
pub type Exchange = Pin<Box<dyn Future<Output = io::Result<HttpResponse>> + Send>>;

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = io::Error;
    type Future = Exchange;

    fn call(&'c self, request: HttpRequest) -> Exchange {
        (self.0)(request)
    }
}

/// The provider, as this application knows it.
pub struct Provider {
    client: Client,
    http: Http,
}

type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

impl Provider {
    /// Asks the provider for its endpoints and keys: at start, and again every few hours, since keys rotate.
    ///
    /// # Errors
    ///
    /// If it does not answer, or not by its own name.
    pub async fn discover(
        issuer: IssuerUrl,
        (id, secret): (ClientId, ClientSecret),
        callback: RedirectUrl,
        http: Http,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let metadata = CoreProviderMetadata::discover_async(issuer, &http).await;
        let metadata = metadata.map_err(|error| error.to_string())?;
        let client = CoreClient::from_provider_metadata(metadata, id, Some(secret));
        Ok(Self { client: client.set_redirect_uri(callback), http })
    }

    /// Exchanges the code for an id token, checks that, and returns whom it is of.
    async fn subject(
        &self,
        code: String,
        login: Login,
    ) -> Result<String, Box<dyn Error + Send + Sync>> {
        let request = self.client.exchange_code(AuthorizationCode::new(code))?;
        let tokens = request.set_pkce_verifier(login.verifier).request_async(&self.http).await;
        let tokens = tokens.map_err(|error| error.to_string())?;
        let id_token = tokens.id_token().ok_or("the provider sent no id token")?;
        let verifier = self.client.id_token_verifier();
        let claims = id_token.claims(&verifier, &login.nonce)?;
        if let Some(wanted) = claims.access_token_hash() {
            let (alg, key) = (id_token.signing_alg()?, id_token.signing_key(&verifier)?);
            if AccessTokenHash::from_token(tokens.access_token(), alg, key)? != *wanted {
                return Err("the access token is not the one of the id token".into());
            }
        }
        Ok(claims.subject().to_string())
    }
}

/// # Errors
///
/// None, with these settings.
pub fn app(ring: &KeyRing, provider: Provider) -> Result<Router, ConfigError> {
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
        .with_state(Arc::new(provider)))
}

async fn page(user: Session<User>) -> String {
    user.get().map_or("nobody".into(), |user| user.subject.clone())
}

#[derive(Deserialize)]
struct Begin {
    return_to: Option<String>,
}

async fn begin(
    State(provider): State<Arc<Provider>>,
    logins: Session<Logins>,
    Query(query): Query<Begin>,
) -> Result<Redirect, ChangeError> {
    // A path of this site, and not that of another.
    let local =
        |path: &String| path.starts_with('/') && !path.starts_with("//") && !path.contains('\\');
    let return_to = query.return_to.filter(local).unwrap_or_else(|| "/".into());
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let request = provider.client.authorize_url(
        CoreAuthenticationFlow::AuthorizationCode,
        CsrfToken::new_random,
        Nonce::new_random,
    );
    let request =
        request.set_pkce_challenge(challenge).add_extra_param("response_mode", "form_post");
    let (url, state, nonce) = request.url();
    logins.update(|logins| {
        let Logins(logins) = logins.get_or_insert_default();
        // Tabs that were given up do not fill the cookie.
        if logins.len() >= TABS {
            logins.remove(0);
        }
        logins.push(Login { state, nonce, verifier, return_to });
    })?;
    Ok(Redirect::to(url.as_str()))
}

#[derive(Deserialize)]
struct Answer {
    state: CsrfToken,
    /// Absent where the user or the provider said no.
    code: Option<String>,
}

async fn callback(
    State(provider): State<Arc<Provider>>,
    logins: Session<Logins>,
    user: Session<User>,
    Form(answer): Form<Answer>,
) -> Result<Response, ChangeError> {
    // Taken out, so that an answer counts once in this browser; the last one takes the cookie along.
    let login = logins.update(|logins| {
        let under_way = &mut logins.as_mut()?.0;
        let at = under_way.iter().position(|l| l.state.secret() == answer.state.secret())?;
        let login = under_way.remove(at);
        if under_way.is_empty() {
            *logins = None;
        }
        Some(login)
    })?;
    // Who began no login here is brought to the login of somebody else.
    let Some(mut login) = login else { return Ok(StatusCode::BAD_REQUEST.into_response()) };
    let return_to = std::mem::take(&mut login.return_to);
    let Some(code) = answer.code else { return Ok(StatusCode::FORBIDDEN.into_response()) };
    match provider.subject(code, login).await {
        Ok(subject) => user.renew(User { subject })?,
        Err(error) => {
            eprintln!("no login: {error}"); // for the log; the visitor is told nothing of it
            return Ok(StatusCode::FORBIDDEN.into_response());
        }
    }
    Ok(Redirect::to(&return_to).into_response())
}

/// How many logins may be under way in one browser.
const TABS: usize = 4;
