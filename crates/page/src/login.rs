//! The pages to sign in and out.

use std::net::SocketAddr;

use askama::Template;
use axum::extract::{Form, Query, State};
use axum::http::header::{HeaderMap, RETRY_AFTER, SET_COOKIE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Extension, Router};
use serde::Deserialize;

use crate::access::{Access, NotSignedIn, SIGN_IN, SIGN_OUT};
use crate::frame::{Frame, Viewer};
use crate::state::PageState;

#[derive(Clone)]
struct LoginState {
    page: PageState,
    access: Access,
}

#[derive(Template)]
#[template(path = "access/login.html")]
struct Login {
    frame: Frame,
    /// Whether a token may be typed in here.
    is_private: bool,
    public_url: Option<String>,
    next: String,
    wrong: Option<String>,
}

#[derive(Template)]
#[template(path = "access/logout.html")]
struct Logout {
    frame: Frame,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Next {
    next: String,
}

#[derive(Deserialize)]
struct Token {
    token: String,
    #[serde(default)]
    next: String,
}

pub(crate) fn routes(page: PageState, access: Access) -> Router {
    Router::new()
        .route(SIGN_IN, get(ask).post(sign_in))
        .route(SIGN_OUT, get(ask_to_leave).post(sign_out))
        .with_state(LoginState { page, access })
}

async fn ask(
    State(state): State<LoginState>,
    viewer: Viewer,
    headers: HeaderMap,
    Query(next): Query<Next>,
) -> Html<String> {
    state.form(viewer, &headers, &next.next, None)
}

async fn sign_in(
    State(state): State<LoginState>,
    viewer: Viewer,
    Extension(peer): Extension<SocketAddr>,
    headers: HeaderMap,
    Form(Token { token, next }): Form<Token>,
) -> Response {
    let not = match state.access.sign_in(token.trim(), &headers, peer.ip()) {
        Ok(cookie) => return ([(SET_COOKIE, cookie)], Redirect::to(within(&next))).into_response(),
        Err(not) => not,
    };
    let (status, wrong) = match not {
        NotSignedIn::WrongToken => (StatusCode::FORBIDDEN, "This is not a token of this page.".to_owned()),
        NotSignedIn::Wait(wait) => (
            StatusCode::TOO_MANY_REQUESTS,
            format!(
                "Too many wrong tokens came from your address, and this is no correct one. A wrong one counts again in {} seconds.",
                wait.as_secs() + 1
            ),
        ),
        NotSignedIn::NotPrivate => (StatusCode::FORBIDDEN, "You cannot sign in at this address.".to_owned()),
    };
    let mut response = (status, state.form(viewer, &headers, &next, Some(wrong))).into_response();
    if let NotSignedIn::Wait(wait) = not {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
    }
    response
}

async fn ask_to_leave(State(state): State<LoginState>, viewer: Viewer) -> Html<String> {
    let page = Logout { frame: Frame::new(&state.page, viewer, "") };
    Html(page.render().unwrap_or_default())
}

async fn sign_out(State(state): State<LoginState>, headers: HeaderMap) -> impl IntoResponse {
    ([(SET_COOKIE, state.access.sign_out(&headers))], Redirect::to("/"))
}

impl LoginState {
    fn form(&self, viewer: Viewer, headers: &HeaderMap, next: &str, wrong: Option<String>) -> Html<String> {
        let page = Login {
            frame: Frame::new(&self.page, viewer, ""),
            is_private: self.access.is_private(headers),
            public_url: self.page.config().page.public_url.as_ref().map(ToString::to_string),
            next: within(next).to_owned(),
            wrong,
        };
        Html(page.render().unwrap_or_default())
    }
}

/// A path of this page: a link from elsewhere must not lead through the form to another one. The form repeats it as it is, so it
/// consists of what an address can have.
fn within(next: &str) -> &str {
    let is_within = next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains(|c: char| c == '\\' || !c.is_ascii_graphic());
    if is_within { next } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_signing_in_a_person_stays_on_this_page() {
        for (next, expected) in [
            ("/failed?class=permission", "/failed?class=permission"),
            ("/", "/"),
            ("", "/"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("/\t/evil.example", "/"),
            ("https://evil.example", "/"),
            ("failed", "/"),
            ("/failed?name=\u{202e}", "/"),
        ] {
            assert_eq!(within(next), expected, "{next:?}");
        }
    }
}
