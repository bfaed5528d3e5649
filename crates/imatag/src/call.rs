//! Signs and sends all requests to Imatag, and classifies their responses.

use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{RequestBuilder, Response};
use serde::de::DeserializeOwned;
use url::Url;

use super::error::Attempted;
use super::pause::retry_after;
use super::words;
use super::{Imatag, ImatagError, MediumId};
use http_client::{AnswerError, Operation, Sent, Token, TransportError};

impl Imatag {
    /// A URL below the base; replaces `{id}` in the path by the percent-encoded id.
    pub(super) fn url(&self, path: &str, medium: Option<&MediumId>) -> Result<Url, ImatagError> {
        let base = &self.inner.base_url;
        let id = medium.map_or("", MediumId::as_str);
        let encoded = utf8_percent_encode(id, NON_ALPHANUMERIC).to_string();
        let joined = base.join(&path.trim_start_matches('/').replace("{id}", &encoded));
        joined.ok().filter(|url| url.origin() == base.origin()).ok_or_else(|| ImatagError::Misconfigured {
            at: Attempted { operation: "building a request".to_owned(), request_id: None },
            reason: format!("the path {path:?} does not stay below the base URL"),
        })
    }

    /// Fails while Imatag asks to wait: one such response stops every call of the process.
    pub(super) fn ready(&self, operation: &str) -> Result<(), ImatagError> {
        let at = || Attempted { operation: operation.to_owned(), request_id: None };
        self.paused().map_or(Ok(()), |remaining| Err(ImatagError::Paused { at: at(), remaining }))
    }

    /// Sends a plain signed request; replaces a refused token once if OAuth2 can.
    pub(super) async fn send(
        &self,
        kind: Operation,
        operation: &str,
        build: impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<Response, ImatagError> {
        self.ready(operation)?;
        let transport = &self.inner.transport;
        self.signed(|token| {
            let request = sign(build(transport.client()), &token);
            async move {
                let answer = transport.send_for_file(kind, request?).await;
                self.dispatch(kind, operation, answer).await
            }
        })
        .await
    }

    /// Makes a signed call.
    pub(super) async fn signed<T, C>(&self, call: impl Fn(Token) -> C) -> Result<T, ImatagError>
    where
        C: Future<Output = Result<T, ImatagError>>,
    {
        let is_refusal = |error: &ImatagError| matches!(error, ImatagError::Unauthorized { .. });
        self.inner.tokens.signed(|| self.sign_in(), is_refusal, call).await
    }

    /// Turns every status except success and redirects into an error.
    pub(super) async fn dispatch(
        &self,
        kind: Operation,
        operation: &str,
        answer: Result<Response, TransportError>,
    ) -> Result<Response, ImatagError> {
        let response = answer.map_err(|error| unavailable(operation, error))?;
        let status = response.status();
        if status.is_success() || status.is_redirection() {
            return Ok(response);
        }
        let at = attempted(operation, &response);
        let retry_after = retry_after(response.headers(), Timestamp::now());
        let configured = self.inner.profile.response.error.as_deref();
        let reason = http_client::read_sentence(response, |text| words::sentence(configured, text)).await;
        Err(match status.as_u16() {
            401 => ImatagError::Unauthorized { at, reason },
            // How a framework that names no challenge refuses a credential.
            403 if words::is_about_credential(&reason) => ImatagError::Unauthorized { at, reason },
            403 => ImatagError::Forbidden { at, reason },
            // The medium was known before, so the path is right.
            404 if matches!(kind, Operation::Status | Operation::FetchResult) => {
                ImatagError::UnknownMedium { at }
            }
            404 | 405 => ImatagError::Misconfigured { at, reason: format!("{status}: {reason}") },
            408 => ImatagError::Unavailable { at, reason, sent: Sent::Maybe },
            429 => ImatagError::Busy { at, wait: self.inner.pause.begin(retry_after), sent: Sent::No },
            // A service that says when to retry is not out of order. But a gateway may say so for a service behind
            // it, which may have carried out the request.
            503 if retry_after.is_some() => {
                ImatagError::Busy { at, wait: self.inner.pause.begin(retry_after), sent: Sent::Maybe }
            }
            400..=499 => ImatagError::Refused { at, reason: format!("{status}: {reason}") },
            _ => ImatagError::Unavailable { at, reason: format!("{status}: {reason}"), sent: Sent::Maybe },
        })
    }

    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        kind: Operation,
        operation: &str,
        response: Response,
    ) -> Result<T, ImatagError> {
        let at = attempted(operation, &response);
        http_client::read_json(kind, response).await.map_err(|error| match error {
            AnswerError::Transport(error) => unavailable(operation, error),
            AnswerError::NotJson { .. } | AnswerError::Shape(_) | AnswerError::TooLarge(_) => {
                ImatagError::Unexpected { at, reason: error.to_string() }
            }
        })
    }
}

pub(super) fn sign(request: RequestBuilder, token: &Token) -> Result<RequestBuilder, ImatagError> {
    token.sign(request).ok_or_else(|| ImatagError::Unauthorized {
        at: Attempted { operation: "signing in".to_owned(), request_id: None },
        reason: "the key holds characters that no header can carry".to_owned(),
    })
}

pub(super) fn attempted(operation: &str, response: &Response) -> Attempted {
    Attempted { operation: operation.to_owned(), request_id: http_client::request_id(response) }
}

pub(super) fn unavailable(operation: &str, error: TransportError) -> ImatagError {
    let at = Attempted { operation: operation.to_owned(), request_id: None };
    ImatagError::Unavailable { at, reason: error.reason, sent: error.sent }
}
