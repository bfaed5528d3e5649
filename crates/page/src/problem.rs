//! Answers other than the page that was asked for.

use askama::Template;
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use axum::response::{Html, IntoResponse, Response};
use common::failure::Failure;
use common::visible::shown_in_json;
use serde_json::json;

use crate::frame::Frame;
use crate::text::shown;

/// Below this path, answers are JSON.
const API: &str = "/api/";

/// Why a page cannot be shown, or something not done.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    title: String,
    text: String,
    is_json: bool,
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    frame: Frame,
    title: &'a str,
    text: &'a str,
}

impl Problem {
    pub fn new(status: StatusCode, title: impl Into<String>, text: impl Into<String>) -> Self {
        Self { status, title: title.into(), text: text.into(), is_json: false }
    }

    /// As JSON, for a program.
    #[must_use]
    pub fn as_json(self) -> Self {
        Self { is_json: true, ..self }
    }

    /// In the form that this path answers in.
    #[must_use]
    pub fn at(self, uri: &Uri) -> Self {
        Self { is_json: uri.path().starts_with(API), ..self }
    }

    pub(crate) fn nothing_here() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not found", "There is no such page.")
    }

    pub(crate) fn bad_query(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Not understood", text)
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let text = failure.to_string();
        tracing::warn!(reason = text, "cannot answer a request to the operator's page");
        match failure {
            Failure::Temporary(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, "Not available now", text),
            _ => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "The record cannot be read", text),
        }
    }
}

impl From<ledger::state::DatabaseError> for Problem {
    fn from(error: ledger::state::DatabaseError) -> Self {
        Failure::from(error).into()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (title, text) = (shown(&self.title), shown(&self.text));
        if self.is_json {
            let body = json!({"error": title, "reason": text}).to_string();
            return (self.status, [(CONTENT_TYPE, "application/json")], shown_in_json(&body).into_owned())
                .into_response();
        }
        let page = ProblemPage { frame: Frame::default(), title: &title, text: &text };
        // A template writes into memory, which does not fail.
        (self.status, Html(page.render().unwrap_or_default())).into_response()
    }
}
