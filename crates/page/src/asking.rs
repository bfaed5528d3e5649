//! Asks a page as browsers and programs do, for tests.

use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_TYPE, COOKIE, HOST, HeaderMap, HeaderName, ORIGIN, SET_COOKIE};
use axum::http::{Request, StatusCode};
use tower::ServiceExt;

pub(crate) const ANN: &str = "the-token-of-ann-0123456789";
pub(crate) const BEN: &str = "the-token-of-ben-0123456789";
const HERE: &str = "localhost:8088";

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

/// A request from here, with these headers instead of the usual ones; an empty one is left out.
pub(crate) async fn ask(
    page: &Router,
    method: &str,
    path: &str,
    headers: &[(HeaderName, &str)],
    body: &str,
) -> Answer {
    let peer = SocketAddr::from(([127, 0, 0, 1], 50_000));
    let mut request = Request::builder().method(method).uri(path).extension(peer);
    let usual = [
        (HOST, HERE),
        (ORIGIN, "http://localhost:8088"),
        (CONTENT_TYPE, "application/x-www-form-urlencoded"),
    ];
    let usual = usual.iter().filter(|(name, _)| headers.iter().all(|(other, _)| other != name));
    for (name, value) in usual.chain(headers).filter(|(_, value)| !value.is_empty()) {
        request = request.header(name, *value);
    }
    let response = page.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    Answer { status, headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
}

/// The cookie and the text for forms of a new session.
pub(crate) async fn session(page: &Router, token: &str) -> (String, String) {
    let entered = ask(page, "POST", "/login", &[], &format!("token={token}")).await;
    let cookie = entered.headers[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    let read = ask(page, "GET", "/pause", &[(COOKIE, &cookie)], "").await;
    let csrf = read.text.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    (cookie, csrf.unwrap_or_default().to_owned())
}
