//! A node: a small shop whose sessions live in sealed cookies.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Form;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use rand::TryRng as _;
use rand::rngs::SysRng;
use sealed_session::{
    Codec, DecodeError, EncodeError, KeyRing, Limits, Opened, Reseal, RingKey, SetCookies,
};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::Result;
use crate::page::{self, View};

/// What the shop remembers of a user between requests.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) user: String,
    pub(crate) cart: Vec<Line>,
}

/// A line of the cart. The reservation is a random number that nothing makes smaller.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) article: String,
    pub(crate) reservation: u128,
}

/// A running server.
pub(crate) struct Node {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    ring: KeyRing,
    stop: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
}

struct App {
    name: &'static str,
    codec: Codec<Session>,
}

impl Node {
    /// Starts a server on a port of its own. The keys are all that it gets from the world.
    pub(crate) async fn start(name: &'static str, keys: Vec<RingKey>) -> Result<Self> {
        let ring = KeyRing::new(keys)?;
        let codec = Codec::builder(ring.clone())
            // A cart may need two cookies; this profile says what the proxy in front needs for that.
            .limits(Limits::NGINX_PROXY_BUFFER_8K)
            .build()?;
        let app = Router::new()
            .route("/", get(show))
            .route("/login", post(login))
            .route("/cart", post(add_to_cart))
            .route("/cart/empty", post(empty_cart))
            .route("/logout", post(logout))
            .with_state(Arc::new(App { name, codec }));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let server = axum::serve(listener, app).with_graceful_shutdown(async {
            let _ = stopped.await;
        });
        let server = tokio::spawn(server.into_future());
        Ok(Self { name, address, ring, stop, server })
    }

    /// Puts other keys in the place of the present ones, while requests run.
    pub(crate) fn replace_keys(&self, keys: Vec<RingKey>) -> Result<()> {
        Ok(self.ring.replace(keys)?)
    }

    pub(crate) async fn stop(self) -> Result<()> {
        let _ = self.stop.send(());
        Ok(self.server.await??)
    }
}

/// What a request brought: at most one of the two.
struct Visit {
    opened: Option<Opened<Session>>,
    refused: Option<DecodeError>,
}

impl App {
    fn request<'a>(&self, headers: &'a HeaderMap) -> sealed_session::RequestCookies<'a> {
        // All of them: over HTTP/2, each cookie comes in a header of its own.
        self.codec.request(headers.get_all(header::COOKIE))
    }

    fn visit(&self, request: &sealed_session::RequestCookies<'_>) -> Visit {
        match self.codec.decode(request) {
            Ok(opened) => Visit { opened, refused: None },
            Err(refused) => {
                // The reason is for the log. What the user sees is a page without a session.
                eprintln!("(log) node {}: {refused}", self.name);
                Visit { opened: None, refused: Some(refused) }
            }
        }
    }
}

async fn show(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let request = app.request(&headers);
    let visit = app.visit(&request);
    let set_cookies = match &visit.opened {
        // Unchanged; but it may be due to be resealed, by a newer key or for the idle time.
        Some(opened) => match app.codec.encode(&opened.session, &request) {
            Ok(set_cookies) => set_cookies,
            Err(error) => return failure(&app, &headers, &error),
        },
        // No session, or one that does not open. A mere read leaves it alone: a login may have set another meanwhile.
        None => SetCookies::default(),
    };
    let page = page::page(StatusCode::OK, &headers, &view(&app, &headers, &visit));
    with_cookies(page, &set_cookies)
}

#[derive(Deserialize)]
struct Login {
    user: String,
}

async fn login(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Form(Login { user }): Form<Login>,
) -> Response {
    let session = Session { user: user.chars().take(40).collect(), cart: Vec::new() };
    // A login begins anew, whatever came before: nothing that was planted lives on.
    finish(&app, &headers, app.codec.renew(&session, &app.request(&headers)))
}

#[derive(Deserialize)]
struct Articles {
    article: String,
    count: usize,
}

async fn add_to_cart(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Form(Articles { article, count }): Form<Articles>,
) -> Response {
    change(&app, &headers, |session| {
        let article: String = article.chars().take(40).collect();
        session.cart.extend((0..count.min(100)).map(|_| {
            let mut reservation = [0; 16];
            SysRng.try_fill_bytes(&mut reservation).expect("the operating system has random bytes");
            Line { article: article.clone(), reservation: u128::from_be_bytes(reservation) }
        }));
    })
}

async fn empty_cart(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    change(&app, &headers, |session| session.cart.clear())
}

async fn logout(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    with_cookies(back_to_the_page(), &app.codec.clear(&app.request(&headers)))
}

/// Opens the session, changes it, and reseals it.
fn change(app: &App, headers: &HeaderMap, change: impl FnOnce(&mut Session)) -> Response {
    let request = app.request(headers);
    match app.visit(&request).opened {
        Some(mut opened) => {
            change(&mut opened.session);
            finish(app, headers, app.codec.encode(&opened.session, &request))
        }
        None => again(StatusCode::UNAUTHORIZED, app, headers, "Log in first."),
    }
}

fn finish(
    app: &App,
    headers: &HeaderMap,
    sealed: std::result::Result<SetCookies, EncodeError>,
) -> Response {
    match sealed {
        Ok(set_cookies) => with_cookies(back_to_the_page(), &set_cookies),
        Err(error) => failure(app, headers, &error),
    }
}

/// The old cookie stays; the reason, with the heaviest fields if it was the size, is for the log.
fn failure(app: &App, headers: &HeaderMap, error: &EncodeError) -> Response {
    eprintln!("(log) node {}: {error}", app.name);
    let notice = match error {
        EncodeError::TooLarge(_) => "Your cart no longer fits the cookie; it was left as it was.",
        _ => "Your session could not be sealed; it was left as it was.",
    };
    again(StatusCode::INTERNAL_SERVER_ERROR, app, headers, notice)
}

/// The page once more, from what the request brought, with a notice and without a cookie.
fn again(status: StatusCode, app: &App, headers: &HeaderMap, notice: &str) -> Response {
    let visit = app.visit(&app.request(headers));
    let view = View { notice: Some(notice), ..view(app, headers, &visit) };
    page::page(status, headers, &view)
}

fn back_to_the_page() -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, "/")]).into_response()
}

/// Appends each header: several `Set-Cookie`s must not replace one another.
fn with_cookies(mut response: Response, set_cookies: &SetCookies) -> Response {
    for (name, value) in set_cookies.headers() {
        let value = HeaderValue::from_str(value).expect("sealed cookies are of ASCII");
        response.headers_mut().append(name, value);
    }
    response
}

fn view<'a>(app: &'a App, headers: &HeaderMap, visit: &'a Visit) -> View<'a> {
    let ours = |pair: &&str| pair.trim().starts_with(app.codec.name());
    let cookies: Vec<usize> = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter(|pair| ours(pair))
        .map(|pair| pair.trim().len())
        .collect();
    View {
        node: app.name,
        cookies,
        primary: app.codec.ring().primary().map(|id| id.to_string()).unwrap_or_default(),
        opened: visit.opened.as_ref(),
        refused: visit.refused.as_ref().map(ToString::to_string),
        reseal: visit.opened.as_ref().and_then(|opened| opened.reseal).map(|reason| match reason {
            Reseal::Key => "a newer key is primary",
            Reseal::Schema => "it had an older schema",
            Reseal::Format => "it had another format",
            _ => "it was due",
        }),
        notice: None,
    }
}
