//! The servers of axum. Each handler is what the documentation of its crate shows.

use std::net::TcpListener;

use axum::Router;
use axum::extract::FromRef;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum_extra::extract::PrivateCookieJar;
use axum_extra::extract::cookie::{Cookie, Key};
use sealed_session::web::tower::SessionLayer;
use sealed_session::web::{ChangeError, Session};
use sealed_session::{Attached, Codec, Limits};
use serde::{Deserialize, Serialize};
use tower_sessions::{MemoryStore, SessionManagerLayer, SessionStore};
use tower_sessions_redis_store::RedisStore;
use tower_sessions_redis_store::fred::prelude::{ClientLike as _, Config, Pool};

use super::Served;

fn serve(listener: TcpListener, app: impl Future<Output = Router>) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        axum::serve(listener, app.await).await.expect("it serves");
    });
}

pub(super) fn bare(listener: TcpListener, _: u16) {
    let answer = || async { "0" };
    let app = Router::new()
        .route("/login", post(answer))
        .route("/read", get(answer))
        .route("/change", post(answer));
    serve(listener, async { app });
}

pub(super) fn ours<T: Served>(listener: TcpListener, _: u16) {
    sealed_session(listener, Codec::<T>::new(key()));
}

pub(super) fn in_two_cookies<T: Served>(listener: TcpListener, _: u16) {
    let codec = Codec::<T>::builder(key()).limits(Limits::NGINX_PROXY_BUFFER_8K).build();
    sealed_session(listener, codec.expect("settings"));
}

pub(super) fn in_four_cookies<T: Served>(listener: TcpListener, _: u16) {
    let codec = Codec::<T>::builder(key()).limits(Limits::NGINX_PROXY_BUFFER_16K).build();
    sealed_session(listener, codec.expect("settings"));
}

pub(super) fn overflow<T: Served>(listener: TcpListener, redis: u16) {
    let codec = Codec::<T>::builder(key()).overflow(store(redis)).build();
    sealed_session(listener, codec.expect("settings"));
}

/// The session is in the cookie, and what is large beside it; no handler asks for that.
pub(super) fn attached<T: Served>(listener: TcpListener, redis: u16) {
    #[derive(Clone, Default, Serialize, Deserialize)]
    #[serde(bound = "T: Served")]
    struct Beside<T> {
        count: u64,
        large: Attached<T>,
    }
    async fn login<T: Served>(session: Session<Beside<T>>) -> Result<String, ChangeError> {
        let sample = T::sample();
        let count = sample.count();
        session.renew(Beside { count, large: Attached::new(sample) })?;
        Ok(count.to_string())
    }
    async fn read<T: Served>(session: Session<Beside<T>>) -> Result<String, StatusCode> {
        Ok(session.get().ok_or(StatusCode::UNAUTHORIZED)?.count.to_string())
    }
    async fn change<T: Served>(session: Session<Beside<T>>) -> Result<String, ChangeError> {
        let change = |beside: &mut Beside<T>| {
            beside.count += 1;
            beside.count
        };
        Ok(session.change(change)?.to_string())
    }
    let codec = Codec::<Beside<T>>::builder(key()).overflow(store(redis)).build();
    let app = Router::new()
        .route("/login", post(login::<T>))
        .route("/read", get(read::<T>))
        .route("/change", post(change::<T>))
        .layer(SessionLayer::new(codec.expect("settings")));
    serve(listener, async { app });
}

fn key() -> sealed_session::Key {
    sealed_session::Key::generate().expect("random bytes")
}

fn store(redis: u16) -> sealed_session::store::RedisStore {
    let url = format!("redis://127.0.0.1:{redis}");
    sealed_session::store::RedisStore::new(&url).expect("an address")
}

fn sealed_session<T: Served>(listener: TcpListener, codec: Codec<T>) {
    async fn login<T: Served>(session: Session<T>) -> Result<String, ChangeError> {
        session.renew(T::sample())?;
        Ok(T::sample().count().to_string())
    }
    async fn read<T: Served>(session: Session<T>) -> Result<String, StatusCode> {
        let session = session.get().ok_or(StatusCode::UNAUTHORIZED)?;
        Ok(session.count().to_string())
    }
    async fn change<T: Served>(session: Session<T>) -> Result<String, ChangeError> {
        Ok(session.change(T::change)?.to_string())
    }
    let app = Router::new()
        .route("/login", post(login::<T>))
        .route("/read", get(read::<T>))
        .route("/change", post(change::<T>))
        .layer(SessionLayer::new(codec));
    serve(listener, async { app });
}

pub(super) fn jar<T: Served>(listener: TcpListener, _: u16) {
    const NAME: &str = "__Host-session";
    #[derive(Clone)]
    struct Keys(Key);
    impl FromRef<Keys> for Key {
        fn from_ref(keys: &Keys) -> Self {
            keys.0.clone()
        }
    }
    type Jar = PrivateCookieJar<Key>;
    fn write(jar: Jar, session: &impl Served) -> Result<(Jar, String), StatusCode> {
        let json = serde_json::to_string(session).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
        let cookie = Cookie::build((NAME, json)).path("/").secure(true).http_only(true);
        let cookie = cookie.max_age(cookie::time::Duration::days(1));
        Ok((jar.add(cookie.same_site(cookie::SameSite::Lax)), session.count().to_string()))
    }
    fn load<T: Served>(jar: &Jar) -> Result<T, StatusCode> {
        let cookie = jar.get(NAME).ok_or(StatusCode::UNAUTHORIZED)?;
        serde_json::from_str(cookie.value()).map_err(|_| StatusCode::UNAUTHORIZED)
    }
    async fn login<T: Served>(jar: Jar) -> Result<(Jar, String), StatusCode> {
        write(jar, &T::sample())
    }
    async fn read<T: Served>(jar: Jar) -> Result<String, StatusCode> {
        Ok(load::<T>(&jar)?.count().to_string())
    }
    async fn change<T: Served>(jar: Jar) -> Result<(Jar, String), StatusCode> {
        let mut session: T = load(&jar)?;
        session.change();
        write(jar, &session)
    }
    let app = Router::new()
        .route("/login", post(login::<T>))
        .route("/read", get(read::<T>))
        .route("/change", post(change::<T>))
        .with_state(Keys(Key::generate()));
    serve(listener, async { app });
}

pub(super) fn tower_sessions_memory<T: Served>(listener: TcpListener, _: u16) {
    serve(listener, async { tower_sessions::<T>(MemoryStore::default()) });
}

pub(super) fn tower_sessions_redis<T: Served>(listener: TcpListener, redis: u16) {
    serve(listener, async move {
        let config = Config::from_url(&format!("redis://127.0.0.1:{redis}")).expect("an address");
        let pool = Pool::new(config, None, None, None, 6).expect("a pool");
        let _ = pool.connect();
        pool.wait_for_connect().await.expect("Redis answers");
        tower_sessions::<T>(RedisStore::new(pool))
    });
}

fn tower_sessions<T: Served>(store: impl SessionStore + Clone) -> Router {
    const KEY: &str = "session";
    type Error = tower_sessions::session::Error;
    async fn login<T: Served>(session: tower_sessions::Session) -> Result<String, StatusCode> {
        session.insert(KEY, T::sample()).await.map_err(failed)?;
        Ok(T::sample().count().to_string())
    }
    async fn read<T: Served>(session: tower_sessions::Session) -> Result<String, StatusCode> {
        let session: T = session.get(KEY).await.map_err(failed)?.ok_or(StatusCode::UNAUTHORIZED)?;
        Ok(session.count().to_string())
    }
    async fn change<T: Served>(session: tower_sessions::Session) -> Result<String, StatusCode> {
        let mut value: T =
            session.get(KEY).await.map_err(failed)?.ok_or(StatusCode::UNAUTHORIZED)?;
        let count = value.change();
        session.insert(KEY, value).await.map_err(failed)?;
        Ok(count.to_string())
    }
    fn failed(_: Error) -> StatusCode {
        StatusCode::INTERNAL_SERVER_ERROR
    }
    Router::new()
        .route("/login", post(login::<T>))
        .route("/read", get(read::<T>))
        .route("/change", post(change::<T>))
        .layer(SessionManagerLayer::new(store))
}
