//! What a person or a program is told that may not do what it asked for.

use axum::extract::Request;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::{Html, IntoResponse, Redirect, Response};
use url::form_urlencoded;

use super::decide::Refusal;
use super::{FETCH_SITE, SIGN_IN, one};
use crate::problem::Problem;

/// The path below which programs ask.
const API: &str = "/api/";

#[derive(Debug, Clone, Copy)]
pub(super) struct Wording {
    status: StatusCode,
    title: &'static str,
    text: &'static str,
}

const HOST: Wording = Wording {
    status: StatusCode::MISDIRECTED_REQUEST,
    title: "Not the name of this page",
    text: "This page answers by the name localhost, by an IP address, and by the host of page.public_url. Set page.public_url to \
           the address that you opened.",
};
const ORIGIN: Wording = Wording {
    status: StatusCode::FORBIDDEN,
    title: "Not sent by this page",
    text: "Nothing was done: the browser says that another page sent this request. If a proxy is in between, it has to pass the \
           Host header on, or page.public_url has to be set to the address that you opened.",
};
const OFF: Wording = Wording {
    status: StatusCode::FORBIDDEN,
    title: "Acting is off",
    text: "Nothing was done: no token is configured. Write [[page.tokens]] with a name and a token for each person who may act, \
           and restart the connector.",
};
const SIGN_IN_FIRST: Wording = Wording {
    status: StatusCode::FORBIDDEN,
    title: "Sign in first",
    text: "Nothing was done: you are not signed in, or no longer. Sign in and try again.",
};
const TOKEN_FIRST: Wording = Wording {
    status: StatusCode::UNAUTHORIZED,
    title: "A token is needed",
    text: "Send one of page.tokens in the header Authorization: Bearer.",
};
const WRONG_TOKEN: Wording = Wording {
    status: StatusCode::UNAUTHORIZED,
    title: "Not a token of this page",
    text: "page.tokens does not contain the token in the header Authorization.",
};
const TOO_MANY: Wording = Wording {
    status: StatusCode::TOO_MANY_REQUESTS,
    title: "Too many wrong tokens",
    text: "Too many wrong tokens came from your address. Try again in a minute.",
};
pub(super) const FORGED: Wording = Wording {
    status: StatusCode::FORBIDDEN,
    title: "Not a form of your session",
    text: "Nothing was done: the form belongs to an earlier session, or to none. Go back, reload the page and try again.",
};
pub(super) const TOKEN_ONLY: Wording = Wording {
    status: StatusCode::UNAUTHORIZED,
    title: "A token is needed",
    text: "Nothing was done: programs act by a token in the header Authorization: Bearer, not by a cookie.",
};

impl Wording {
    pub(super) fn answer(self, uri: &Uri) -> Response {
        let mut response = Problem::new(self.status, self.title, self.text).at(uri).into_response();
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("60"));
        }
        response
    }
}

pub(super) fn refuse(refusal: Refusal, request: &Request) -> Response {
    let path = request.uri().path();
    let (is_api, reads) = (path.starts_with(API), *request.method() == Method::GET);
    let wording = match refusal {
        Refusal::Host => HOST,
        Refusal::Origin => ORIGIN,
        Refusal::Off => OFF,
        Refusal::WrongToken => WRONG_TOKEN,
        Refusal::TooMany => TOO_MANY,
        Refusal::SignIn if is_api => TOKEN_FIRST,
        Refusal::SignIn if !reads => SIGN_IN_FIRST,
        // A browser keeps the cookie back from what a link elsewhere opens. Opened once more from here, it sends the cookie.
        Refusal::SignIn if one(request.headers(), &FETCH_SITE) == Some("cross-site") => {
            return Html(AGAIN).into_response();
        }
        Refusal::SignIn => return to_sign_in(request.uri()).into_response(),
    };
    wording.answer(request.uri())
}

/// The way to the page to sign in, and from there back to this one.
pub(crate) fn to_sign_in(uri: &Uri) -> Redirect {
    let next = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
    Redirect::to(&format!("{SIGN_IN}?next={next}"))
}

const AGAIN: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"0\">\
    <title>Opening the page</title><p>Opening the page…</p>";
