//! Admits, signs and sends all portal calls, and classifies their responses.

use reqwest::{RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::{Bynder, BynderError, Right};
use http_client::{AnswerError, Operation, Sent, Token, TransportError};

/// The body of most errors; `statuscode` is sometimes a string and adds nothing.
#[derive(Deserialize)]
struct ErrorBody {
    message: Option<String>,
    error_description: Option<String>,
}

impl Bynder {
    /// A URL below the portal's origin with percent-encoded segments.
    pub(super) fn url(&self, operation: &str, segments: &[&str]) -> Result<Url, BynderError> {
        let mut url = self.inner.portal.clone();
        let Ok(mut path) = url.path_segments_mut() else {
            let reason = "the address cannot have a path".to_owned();
            return Err(BynderError::Misconfigured { operation: operation.to_owned(), reason });
        };
        path.pop_if_empty().extend(segments);
        drop(path);
        Ok(url)
    }

    /// Sends a signed call and decodes its JSON response.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        kind: Operation,
        operation: &str,
        build: impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<T, BynderError> {
        let response = self.send(kind, operation, build).await?;
        self.read(kind, operation, response).await
    }

    /// Sends a signed call; replaces a refused token once if OAuth2 can.
    pub(super) async fn send(
        &self,
        kind: Operation,
        operation: &str,
        build: impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<Response, BynderError> {
        let call = |token: Token| {
            let build = &build;
            async move {
                self.admit().await?;
                self.permitted(kind, operation)?;
                // Built only now: a call for many callers includes those who joined until the budget let it go.
                let request = token.sign(build(self.inner.transport.client()));
                let request = request.ok_or_else(|| BynderError::Unauthorized {
                    operation: operation.to_owned(),
                    message: "the token holds characters that no header can carry".to_owned(),
                })?;
                self.dispatch(kind, operation, request).await
            }
        };
        let is_refusal = |error: &BynderError| matches!(error, BynderError::Unauthorized { .. });
        self.inner.tokens.signed(|| self.sign_in(), is_refusal, call).await
    }

    /// Whether the call may still change the asset now that the budget lets it go. If not, another call gets its
    /// place.
    fn permitted(&self, kind: Operation, operation: &str) -> Result<(), BynderError> {
        let Some(permission) = self.permission.as_ref().filter(|_| kind.changes_an_asset()) else {
            return Ok(());
        };
        permission.check().map_err(|reason| {
            self.inner.gate.refund(1);
            BynderError::Withheld { operation: operation.to_owned(), reason }
        })
    }

    /// Sends an admitted portal request; every status except success and 303 becomes an error.
    pub(super) async fn dispatch(
        &self,
        kind: Operation,
        operation: &str,
        request: RequestBuilder,
    ) -> Result<Response, BynderError> {
        let answer = self.inner.transport.send(kind, request).await;
        let response = answer.map_err(|error| unavailable(operation, error))?;
        self.inner.clock.note(response.headers());
        let status = response.status();
        if status == StatusCode::TOO_MANY_REQUESTS {
            self.inner.gate.refused();
            // The gate knows how long the pause lasts.
            self.inner.gate.check()?;
            let reason = "429".to_owned();
            return Err(BynderError::Unavailable { operation: operation.to_owned(), reason, sent: Sent::No });
        }
        self.inner.gate.answered();
        if status.is_success() || status == StatusCode::SEE_OTHER {
            return Ok(response);
        }
        let message = http_client::read_sentence(response, sentence).await;
        let right = match kind {
            Operation::Asset | Operation::DownloadPlace => Right::ReadAsset,
            _ => Right::Other,
        };
        Err(refusal(operation, status, message, right))
    }

    /// Decodes a response of success.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        kind: Operation,
        operation: &str,
        response: Response,
    ) -> Result<T, BynderError> {
        http_client::read_json(kind, response).await.map_err(|error| match error {
            AnswerError::Transport(error) => unavailable(operation, error),
            AnswerError::NotJson { .. } | AnswerError::Shape(_) | AnswerError::TooLarge(_) => {
                BynderError::Unexpected { operation: operation.to_owned(), reason: error.to_string() }
            }
        })
    }
}

/// The error for a request without a response.
pub(super) fn unavailable(operation: &str, error: TransportError) -> BynderError {
    BynderError::Unavailable { operation: operation.to_owned(), reason: error.reason, sent: error.sent }
}

/// The sentence in the body of a refusal.
pub(super) fn sentence(text: &str) -> Option<String> {
    let body: ErrorBody = serde_json::from_str(text).ok()?;
    body.message.or(body.error_description)
}

/// The error for a response without success, by its status alone: bodies are text, JSON or web pages.
pub(super) fn refusal(operation: &str, status: StatusCode, message: String, right: Right) -> BynderError {
    let operation = operation.to_owned();
    match status.as_u16() {
        401 => BynderError::Unauthorized { operation, message },
        403 => BynderError::Forbidden { operation, message, right },
        404 => BynderError::NotFound { operation, message },
        408 => BynderError::Unavailable { operation, reason: message, sent: Sent::Maybe },
        300..=399 => BynderError::Misconfigured { operation, reason: format!("it redirects with {status}") },
        500.. => {
            let reason = format!("{status}: {message}");
            BynderError::Unavailable { operation, reason, sent: Sent::Maybe }
        }
        status => BynderError::Refused { operation, status, message },
    }
}
