//! The application, as a program of its own: log in, read the cart, put something into it, log out.
//!
//! It is the same whatever carries the sessions; that is behind [`Carrier`].

mod both;
mod sealed;
mod stored;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::Result;

/// The session of this release.
pub(crate) trait Shop:
    Clone + Default + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static
{
    fn new(user: String, notes: String) -> Self;
    fn user(&self) -> &str;
    fn count(&mut self) -> &mut u64;
}

/// What carries the session of a request.
trait Carrier: FromRequestParts<Arc<str>> + Send + 'static {
    type Shop: Shop;

    /// Returns the session, if there is one.
    fn load(&self) -> impl Future<Output = Answer<Option<Self::Shop>>> + Send;
    /// Begins anew with this session.
    fn begin(&self, shop: Self::Shop) -> impl Future<Output = Answer<()>> + Send;
    fn store(&self, shop: Self::Shop) -> impl Future<Output = Answer<()>> + Send;
    fn end(&self) -> impl Future<Output = Answer<()>> + Send;
}

/// What was asked for, or the response that says why not.
type Answer<T> = std::result::Result<T, Response>;

fn unavailable(error: impl std::fmt::Display) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response()
}

macro_rules! release {
    ($name:ident { $($field:ident: $type:ty),* }) => {
        #[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
        pub(crate) struct $name {
            user: String,
            notes: String,
            count: u64,
            $(#[serde(default)] $field: $type,)*
        }

        impl Shop for $name {
            fn new(user: String, notes: String) -> Self {
                Self { user, notes, ..Self::default() }
            }

            fn user(&self) -> &str {
                &self.user
            }

            fn count(&mut self) -> &mut u64 {
                &mut self.count
            }
        }
    };
}

release!(Release1 {});
release!(Release2 { coupon: Option<String> });

/// Runs a node: `node NAME PORT RELEASE CARRIER…`.
pub(crate) async fn run(arguments: &[String]) -> Result<()> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [name, port, release, carrier, more @ ..] = &arguments[..] else {
        return Err("usage: lab node NAME PORT RELEASE CARRIER…".into());
    };
    let name: Arc<str> = (*name).into();
    let routes = match (*release, *carrier) {
        ("1", "sealed") => sealed::routes::<Release1>(&name, more)?,
        ("2", "sealed") => sealed::routes::<Release2>(&name, more)?,
        ("1", "revocable") => sealed::revocable::<Release1>(&name, more)?,
        ("2", "revocable") => sealed::revocable::<Release2>(&name, more)?,
        ("1", "overflow") => sealed::overflow::<Release1>(&name, more)?,
        ("2", "overflow") => sealed::overflow::<Release2>(&name, more)?,
        ("1", "memory") => stored::in_memory::<Release1>(&name),
        ("2", "memory") => stored::in_memory::<Release2>(&name),
        ("1", "redis") => stored::in_redis::<Release1>(&name, more).await?,
        ("2", "redis") => stored::in_redis::<Release2>(&name, more).await?,
        ("1", "both") => both::routes::<Release1>(&name, more).await?,
        _ => return Err(format!("no carrier {carrier} in release {release}").into()),
    };
    let routes = routes.route("/ready", get(async || "ready"));
    let listener = TcpListener::bind(("127.0.0.1", port.parse()?)).await?;
    let mut end = signal(SignalKind::terminate())?;
    axum::serve(listener, routes)
        .with_graceful_shutdown(async move {
            end.recv().await;
        })
        .await
        .map_err(io::Error::into)
}

fn shop<C: Carrier>(name: &Arc<str>) -> Router {
    Router::new()
        .route("/login", post(login::<C>))
        .route("/cart", get(read::<C>).post(write::<C>))
        .route("/logout", post(logout::<C>))
        .with_state(Arc::clone(name))
}

#[derive(Deserialize)]
struct Login {
    user: String,
    notes: String,
}

async fn login<C: Carrier>(
    State(node): State<Arc<str>>,
    carrier: C,
    Form(Login { user, notes }): Form<Login>,
) -> Answer<Response> {
    let shop = C::Shop::new(user, notes);
    carrier.begin(shop.clone()).await?;
    Ok(show(&node, Some(shop)))
}

async fn read<C: Carrier>(State(node): State<Arc<str>>, carrier: C) -> Answer<Response> {
    Ok(show(&node, carrier.load().await?))
}

#[derive(Deserialize)]
struct Item {
    /// Milliseconds that the handler waits for something else, between the session's reading and its change.
    work: Option<u64>,
}

async fn write<C: Carrier>(
    State(node): State<Arc<str>>,
    carrier: C,
    Form(Item { work }): Form<Item>,
) -> Answer<Response> {
    let Some(mut shop) = carrier.load().await? else { return Ok(show::<C::Shop>(&node, None)) };
    if let Some(work) = work {
        tokio::time::sleep(Duration::from_millis(work)).await;
    }
    *shop.count() += 1;
    carrier.store(shop.clone()).await?;
    Ok(show(&node, Some(shop)))
}

async fn logout<C: Carrier>(State(node): State<Arc<str>>, carrier: C) -> Answer<String> {
    carrier.end().await?;
    Ok(format!("bye {node}"))
}

fn show<S: Shop>(node: &str, shop: Option<S>) -> Response {
    match shop {
        Some(mut shop) => {
            format!("{node} {} {}", shop.user().to_owned(), shop.count()).into_response()
        }
        None => (StatusCode::UNAUTHORIZED, node.to_owned()).into_response(),
    }
}
