//! A small OpenID provider: discovery, keys, authorization and tokens.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt;
use openidconnect::core::{
    CoreEdDsaPrivateSigningKey, CoreIdToken, CoreIdTokenClaims, CoreJsonWebKeySet,
    CoreJwsSigningAlgorithm,
};
use openidconnect::{
    AccessToken, HttpRequest, JsonWebKeyId, PkceCodeChallenge, PkceCodeVerifier, PrivateSigningKey,
};
use recipes::oidc::Http;
use recipes::token;
use serde::Deserialize;
use serde_json::{Value, json};
use tower::ServiceExt;

pub(crate) const ISSUER: &str = "https://provider.example";

/// What is wrong with the id tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    Nonce,
    Audience,
    Issuer,
    Expired,
    /// Signed by a key that is not the provider's.
    Key,
    /// Beside an access token that is not its own.
    AccessToken,
}

pub(crate) struct Provider {
    key: CoreEdDsaPrivateSigningKey,
    stranger: CoreEdDsaPrivateSigningKey,
    /// The codes that were given out: whom they are for, and what they were asked with.
    codes: Mutex<HashMap<String, Asked>>,
    fault: Mutex<Fault>,
}

#[derive(Clone, Deserialize)]
struct Asked {
    client_id: String,
    redirect_uri: String,
    response_type: String,
    response_mode: String,
    scope: String,
    state: String,
    nonce: String,
    code_challenge: String,
    code_challenge_method: String,
}

#[derive(Deserialize)]
struct Exchange {
    grant_type: String,
    code: String,
    code_verifier: String,
    redirect_uri: String,
}

impl Provider {
    pub(crate) fn new() -> Arc<Self> {
        let (codes, fault) = (Mutex::default(), Mutex::new(Fault::None));
        Arc::new(Self { key: signing_key(), stranger: signing_key(), codes, fault })
    }

    pub(crate) fn set_fault(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    /// Speaks HTTP with it, without a network.
    pub(crate) fn http(self: &Arc<Self>) -> Http {
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .route("/token", post(tokens))
            .with_state(Arc::clone(self));
        Http(Box::new(move |request: HttpRequest| {
            let app = app.clone();
            Box::pin(async move {
                assert!(request.uri().to_string().starts_with(ISSUER), "{}", request.uri());
                let response = app.oneshot(request.map(Body::from)).await;
                let (head, body) = response.map_err(io::Error::other)?.into_parts();
                let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
                Ok(axum::http::Response::from_parts(head, body.into()))
            })
        }))
    }

    /// Lets the user agree to what the application asks for by this address, and returns the form that the browser posts
    /// to the application then.
    pub(crate) fn authorize(&self, url: &str) -> String {
        assert!(url.starts_with("https://provider.example/auth?"), "{url}");
        let Query(asked): Query<Asked> = Query::try_from_uri(&url.parse().unwrap()).unwrap();
        assert_eq!(
            [&*asked.client_id, &asked.redirect_uri, &asked.response_type, &asked.response_mode],
            ["shop", "https://example.com/callback", "code", "form_post"]
        );
        assert_eq!((&*asked.scope, &*asked.code_challenge_method), ("openid", "S256"));
        let (code, state) = (token(), asked.state.clone());
        self.codes.lock().unwrap().insert(code.clone(), asked);
        format!("state={state}&code={code}")
    }
}

async fn discovery() -> Json<Value> {
    Json(json!({
        "issuer": ISSUER,
        "authorization_endpoint": format!("{ISSUER}/auth"),
        "token_endpoint": format!("{ISSUER}/token"),
        "jwks_uri": format!("{ISSUER}/keys"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["form_post"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
    }))
}

async fn keys(State(provider): State<Arc<Provider>>) -> Json<CoreJsonWebKeySet> {
    Json(CoreJsonWebKeySet::new(vec![provider.key.as_verification_key()]))
}

async fn tokens(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    Form(exchange): Form<Exchange>,
) -> Response {
    let basic = format!("Basic {}", STANDARD.encode("shop:of-the-shop"));
    let is_client = headers.get(header::AUTHORIZATION).is_some_and(|found| *found == *basic);
    // A code counts once, as it must.
    let asked = provider.codes.lock().unwrap().remove(&exchange.code);
    let verifier = PkceCodeVerifier::new(exchange.code_verifier);
    let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier);
    let good = asked.filter(|asked| {
        is_client
            && exchange.grant_type == "authorization_code"
            && exchange.redirect_uri == asked.redirect_uri
            && challenge.as_str() == asked.code_challenge
    });
    let Some(asked) = good else {
        return (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant"}))).into_response();
    };
    let fault = *provider.fault.lock().unwrap();
    let or = |is: Fault, other: &str, own: String| if fault == is { other.into() } else { own };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims: CoreIdTokenClaims = serde_json::from_value(json!({
        "iss": or(Fault::Issuer, "https://other.example", ISSUER.into()),
        "aud": [or(Fault::Audience, "another shop", asked.client_id)],
        "nonce": or(Fault::Nonce, "of another login", asked.nonce),
        "exp": if fault == Fault::Expired { now - 3600 } else { now + 60 },
        "iat": now,
        "sub": "jane",
    }))
    .unwrap();
    let key = if fault == Fault::Key { &provider.stranger } else { &provider.key };
    let access_token = AccessToken::new(token());
    let alg = CoreJwsSigningAlgorithm::EdDsa;
    let id_token = CoreIdToken::new(claims, key, alg, Some(&access_token), None).unwrap();
    let access_token = or(Fault::AccessToken, "another", access_token.into_secret());
    Json(json!({
        "access_token": access_token,
        "token_type": "Bearer",
        "id_token": id_token.to_string(),
    }))
    .into_response()
}

/// An Ed25519 key, as PKCS #8 (RFC 8410, 7).
fn signing_key() -> CoreEdDsaPrivateSigningKey {
    let mut key = *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20________________________________";
    getrandom::fill(&mut key[16..]).unwrap();
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        STANDARD.encode(key)
    );
    let id = JsonWebKeyId::new("of today".into());
    CoreEdDsaPrivateSigningKey::from_ed25519_pem(&pem, Some(id)).unwrap()
}
