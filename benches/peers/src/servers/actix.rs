//! The servers of actix-web. Each handler is what the documentation of its crate shows.

use std::net::TcpListener;

use actix_session::storage::{CookieSessionStore, RedisSessionStore, SessionStore};
use actix_session::{SessionGetError, SessionInsertError, SessionMiddleware};
use actix_web::cookie::Key;
use actix_web::error::ErrorUnauthorized;
use actix_web::web::{ServiceConfig, get, post};
use actix_web::{App, HttpServer, rt};
use sealed_session::Codec;
use sealed_session::web::{ChangeError, Session};

use super::Served;

/// Runs an `HttpServer` with one worker.
macro_rules! serve {
    ($listener:expr, $app:expr) => {{
        let server = HttpServer::new($app).workers(1).listen($listener).expect("a listener").run();
        server.await.expect("it serves");
    }};
}

pub(super) fn bare(listener: TcpListener, _: u16) {
    async fn answer() -> &'static str {
        "0"
    }
    rt::System::new().block_on(async {
        serve!(listener, || App::new()
            .route("/login", post().to(answer))
            .route("/read", get().to(answer))
            .route("/change", post().to(answer)));
    });
}

pub(super) fn ours<T: Served>(listener: TcpListener, _: u16) {
    async fn login<T: Served>(session: Session<T>) -> Result<String, ChangeError> {
        session.renew(T::sample())?;
        Ok(T::sample().count().to_string())
    }
    async fn read<T: Served>(session: Session<T>) -> actix_web::Result<String> {
        let session = session.get().ok_or_else(|| ErrorUnauthorized("log in"))?;
        Ok(session.count().to_string())
    }
    async fn change<T: Served>(session: Session<T>) -> Result<String, ChangeError> {
        Ok(session.change(T::change)?.to_string())
    }
    let codec = Codec::<T>::new(sealed_session::Key::generate().expect("random bytes"));
    rt::System::new().block_on(async {
        serve!(listener, move || App::new()
            .wrap(sealed_session::web::actix::SessionMiddleware::new(codec.clone()))
            .route("/login", post().to(login::<T>))
            .route("/read", get().to(read::<T>))
            .route("/change", post().to(change::<T>)));
    });
}

pub(super) fn cookie<T: Served>(listener: TcpListener, _: u16) {
    let key = Key::generate();
    rt::System::new().block_on(async {
        serve!(listener, move || App::new()
            .wrap(middleware(CookieSessionStore::default(), key.clone()))
            .configure(routes::<T>));
    });
}

pub(super) fn redis<T: Served>(listener: TcpListener, redis: u16) {
    let key = Key::generate();
    rt::System::new().block_on(async {
        let store = RedisSessionStore::new(format!("redis://127.0.0.1:{redis}"))
            .await
            .expect("Redis answers");
        serve!(listener, move || App::new()
            .wrap(middleware(store.clone(), key.clone()))
            .configure(routes::<T>));
    });
}

fn middleware<S: SessionStore>(store: S, key: Key) -> SessionMiddleware<S> {
    SessionMiddleware::builder(store, key).cookie_name("__Host-session".into()).build()
}

fn routes<T: Served>(app: &mut ServiceConfig) {
    const KEY: &str = "session";
    async fn login<T: Served>(
        session: actix_session::Session,
    ) -> Result<String, SessionInsertError> {
        session.insert(KEY, T::sample())?;
        Ok(T::sample().count().to_string())
    }
    async fn read<T: Served>(session: actix_session::Session) -> actix_web::Result<String> {
        Ok(value::<T>(&session)?.count().to_string())
    }
    async fn change<T: Served>(session: actix_session::Session) -> actix_web::Result<String> {
        let mut value: T = value(&session)?;
        let count = value.change();
        session.insert(KEY, value)?;
        Ok(count.to_string())
    }
    fn value<T: Served>(session: &actix_session::Session) -> actix_web::Result<T> {
        let value = session.get(KEY).map_err(|error: SessionGetError| error)?;
        value.ok_or_else(|| ErrorUnauthorized("log in"))
    }
    app.route("/login", post().to(login::<T>))
        .route("/read", get().to(read::<T>))
        .route("/change", post().to(change::<T>));
}
