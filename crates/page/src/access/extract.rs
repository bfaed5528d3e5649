//! What an act takes: the name of the person, who is known when the act begins.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Form, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use super::Visitor;
use super::refusal::{FORGED, TOKEN_ONLY};
use crate::problem::Problem;

/// A form that was filled in on a page of this session.
#[derive(Debug)]
pub(crate) struct Signed<T> {
    pub(crate) by: Arc<str>,
    pub(crate) form: T,
}

/// The field of each form that belongs to its session.
const CSRF: &str = "csrf";

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Signed<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let uri = request.uri().clone();
        let Some(Visitor::Session(session)) = request.extensions().get().cloned() else {
            return Err(FORGED.answer(&uri));
        };
        let (parts, body) = request.into_parts();
        let again = |body| Request::from_parts(parts.clone(), body);
        let bytes = Bytes::from_request(again(body), state).await.map_err(IntoResponse::into_response)?;
        let mut fields = url::form_urlencoded::parse(&bytes);
        let csrf = fields.find(|(name, _)| name == CSRF).map(|(_, value)| value.into_owned());
        if !csrf.is_some_and(|csrf| session.is_form(&csrf)) {
            return Err(FORGED.answer(&uri));
        }
        let form = Form::from_request(again(Body::from(bytes)), state).await;
        // Not what the library says of it, which may quote a field.
        let Form(form) = form.map_err(|_| Problem::bad_query("The form cannot be read.").into_response())?;
        Ok(Self { by: session.name, form })
    }
}

/// A program that sends a token with its request.
#[derive(Debug)]
pub(crate) struct Holder(pub(crate) Arc<str>);

impl<S: Send + Sync> FromRequestParts<S> for Holder {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        match parts.extensions.get() {
            Some(Visitor::Token(name)) => Ok(Self(Arc::clone(name))),
            _ => Err(TOKEN_ONLY.answer(&parts.uri)),
        }
    }
}
