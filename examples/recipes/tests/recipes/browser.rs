//! A browser that keeps cookies and nothing else.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, header};
use http_body_util::BodyExt;
use tower::ServiceExt;

#[derive(Clone)]
pub(crate) struct Browser {
    pub(crate) app: Router,
    pub(crate) cookies: BTreeMap<String, String>,
}

pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) head: axum::http::HeaderMap,
    pub(crate) body: String,
}

impl Browser {
    pub(crate) fn new(app: Router) -> Self {
        Self { app, cookies: BTreeMap::new() }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Page {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&mut self, path: &str, form: &str) -> Page {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form.to_owned()));
        self.send(request.unwrap()).await
    }

    pub(crate) async fn send(&mut self, mut request: Request<Body>) -> Page {
        let pairs: Vec<_> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        request.headers_mut().insert(header::COOKIE, pairs.join("; ").parse().unwrap());
        let response: Response<Body> = self.app.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        for line in head.headers.get_all(header::SET_COOKIE) {
            let line = line.to_str().unwrap();
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if line.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let body = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.into()).unwrap();
        Page { status: head.status.as_u16(), head: head.headers, body }
    }
}

impl Page {
    pub(crate) fn set_cookies(&self) -> Vec<&str> {
        self.head.get_all(header::SET_COOKIE).iter().map(|line| line.to_str().unwrap()).collect()
    }
}
