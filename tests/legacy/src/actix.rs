//! actix-session, in both releases that applications have.

use actix_web::cookie::Key as ActixKey;
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App, HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::{Format, Key, Made, cut, session};

/// One module for each release: their types have the same names.
macro_rules! release {
    ($module:ident, $release:ident) => {
        mod $module {
            use $release::config::CookieContentSecurity;
            use $release::storage::CookieSessionStore;
            use $release::{Session, SessionMiddleware};

            use super::*;

            async fn login(at: Session) -> HttpResponse {
                at.insert("user", session().user).unwrap();
                at.insert("name", session().name).unwrap();
                HttpResponse::Ok().finish()
            }

            pub(super) fn cookie(secret: &[u8], private: bool) -> (String, String) {
                let security = if private {
                    CookieContentSecurity::Private
                } else {
                    CookieContentSecurity::Signed
                };
                let key = ActixKey::from(secret);
                actix_web::rt::System::new().block_on(async {
                    let middleware = SessionMiddleware::builder(CookieSessionStore::default(), key)
                        .cookie_content_security(security)
                        .build();
                    let app =
                        init_service(App::new().wrap(middleware).route("/", web::get().to(login)))
                            .await;
                    let response = call_service(&app, TestRequest::get().to_request()).await;
                    cut(response.headers().get("set-cookie").unwrap().to_str().unwrap())
                })
            }
        }
    };
}

release!(eleven, actix_session);
release!(ten, actix_session_0_10);

pub fn all(secret: [u8; 64]) -> Vec<Made> {
    use Format::{PrivateActix, SignedActix};
    let key = || Key::Bytes(STANDARD.encode(secret));
    let made = |by, format, cookie| Made::new(by, format, key(), cookie);
    vec![
        made("actix-session 0.11, private", PrivateActix, eleven::cookie(&secret, true)),
        made("actix-session 0.11, signed", SignedActix, eleven::cookie(&secret, false)),
        made("actix-session 0.10, private", PrivateActix, ten::cookie(&secret, true)),
        made("actix-session 0.10, signed", SignedActix, ten::cookie(&secret, false)),
    ]
}
