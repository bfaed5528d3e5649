//! Reads a medium's state, and downloads its result.

use std::fmt;
use std::ops::ControlFlow::{Break, Continue};
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Response, StatusCode};
use serde_json::Value;
use url::Url;

use super::answer::shown;
use super::call::{attempted, unavailable};
use super::error::Attempted;
use super::find::ORIGINAL_KEY;
use super::{Imatag, ImatagError, MediumId, MediumState, ResultLocation};
use common::asset::AssetId;
use common::hash::ContentHash;
use http_client::{Link, Operation, Redactor, Rest};

/// A watermarked file during its download.
pub struct Body {
    /// The announced length.
    pub bytes: Option<u64>,
    /// The file; fails when nothing arrives for the request timeout.
    pub stream: BoxStream<'static, Result<Bytes, ImatagError>>,
}

impl fmt::Debug for Body {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Body").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Imatag {
    /// Reads the state of a medium.
    pub async fn status(&self, medium: &MediumId) -> Result<MediumState, ImatagError> {
        self.asked_for(medium).await.map(|(state, _)| state)
    }

    /// The same for a medium that should be of this asset and this file; `None` if Imatag shows that it is not.
    pub async fn status_of(
        &self,
        medium: &MediumId,
        asset: &AssetId,
        original: ContentHash,
    ) -> Result<Option<MediumState>, ImatagError> {
        let (state, json) = self.asked_for(medium).await?;
        let is_other = self.shows_other(&json, &self.inner.media_id_metadata, asset.as_str())
            || self.shows_other(&json, ORIGINAL_KEY, &original.to_string());
        Ok((!is_other).then_some(state))
    }

    async fn asked_for(&self, medium: &MediumId) -> Result<(MediumState, Value), ImatagError> {
        let operation = format!("asking for medium {medium}");
        let url = self.url(&self.inner.profile.status.path, Some(medium))?;
        let response = self.send(Operation::Status, &operation, |client| client.get(url.clone())).await?;
        let (at, redactor) = (attempted(&operation, &response), Redactor::in_answer(&response));
        let json: Value = self.read(Operation::Status, &operation, response).await?;
        let shown = shown(&self.inner.profile.response, &json, &redactor);
        let state = shown.and_then(|shown| shown.state.ok_or_else(|| "it contains no state".to_owned()));
        let state = state.map_err(|reason| ImatagError::Unexpected { at, reason })?;
        Ok((state, json))
    }

    /// Downloads a result; resumes where the transfer breaks off.
    pub async fn download(&self, location: ResultLocation) -> Result<Body, ImatagError> {
        let operation = match &location {
            ResultLocation::Medium(medium) => format!("downloading medium {medium}"),
            ResultLocation::Link(_) => "downloading a result".to_owned(),
        };
        let response = self.open(&operation, &location, None).await?;
        let bytes = response.content_length();
        let asked = Arc::new((self.clone(), operation.clone(), location));
        let again = move |rest: Rest| {
            let asked = Arc::clone(&asked);
            async move {
                let (imatag, operation, location) = &*asked;
                imatag.open(operation, location, Some(&rest)).await.ok()
            }
        };
        let stream = self.inner.transport.resuming_body(Operation::FetchResult, response, again);
        Ok(Body { bytes, stream: stream.map_err(move |error| unavailable(&operation, error)).boxed() })
    }

    /// The response with the file, or with the rest of it. Links and redirects to other origins are followed
    /// without the credential.
    async fn open(
        &self,
        operation: &str,
        location: &ResultLocation,
        rest: Option<&Rest>,
    ) -> Result<Response, ImatagError> {
        let first = match location {
            ResultLocation::Medium(medium) => {
                self.url(&self.inner.profile.download.path, Some(medium))?.into()
            }
            ResultLocation::Link(link) => link.clone(),
        };
        let ask = |link: Link| async move {
            let response = self.get(operation, link.url(), location, rest).await?;
            let at = attempted(operation, &response);
            if response.status().is_redirection() {
                link.redirect(&response).map(Continue).ok_or_else(|| no_location(at))
            } else if let Some(pointer) =
                self.inner.profile.download.link.as_deref().filter(|_| is_json(&response))
            {
                let json: Value = self.read(Operation::FetchResult, operation, response).await?;
                let target = json.pointer(pointer).and_then(Value::as_str);
                target.and_then(|target| link.follow(target)).map(Continue).ok_or_else(|| no_location(at))
            } else if http_client::is_web_page(&response) {
                let reason = "a web page came instead of the result".to_owned();
                Err(ImatagError::Unexpected { at, reason })
            } else {
                Ok(Break(response))
            }
        };
        let endless = || ImatagError::Unexpected {
            at: Attempted { operation: operation.to_owned(), request_id: None },
            reason: "the result is redirected without end".to_owned(),
        };
        http_client::follow(first, ask, endless).await.map(|(response, _)| response)
    }

    /// Signs only requests to the profile's own path: storage links carry their own signature.
    async fn get(
        &self,
        operation: &str,
        url: &Url,
        location: &ResultLocation,
        rest: Option<&Rest>,
    ) -> Result<Response, ImatagError> {
        let own_path = match location {
            ResultLocation::Medium(medium) => {
                self.url(&self.inner.profile.download.path, Some(medium))? == *url
            }
            ResultLocation::Link(_) => false,
        };
        // A response that only links to the file has to be read whole.
        let rest = rest.filter(|_| !own_path || self.inner.profile.download.link.is_none());
        let request = |client: &reqwest::Client| match rest {
            Some(rest) => rest.ask(client.get(url.clone())),
            None => client.get(url.clone()),
        };
        if own_path {
            return self.send(Operation::FetchResult, operation, request).await;
        }
        self.ready(operation)?;
        let transport = &self.inner.transport;
        let response = transport.send_for_file(Operation::FetchResult, request(transport.client())).await;
        let response = response.map_err(|error| unavailable(operation, error))?;
        if matches!(response.status(), StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) {
            // The link has expired: the next attempt requests a new one.
            let at = attempted(operation, &response);
            let reason = format!("storage answers {}", response.status());
            return Err(ImatagError::Unavailable { at, reason, sent: http_client::Sent::Maybe });
        }
        self.dispatch(Operation::FetchResult, operation, Ok(response)).await
    }

    /// The rest of a response as a file.
    pub(super) fn body(&self, kind: Operation, operation: &str, response: Response) -> Body {
        let bytes = response.content_length();
        let operation = operation.to_owned();
        let stream = self.inner.transport.body(kind, response);
        Body { bytes, stream: stream.map_err(move |error| unavailable(&operation, error)).boxed() }
    }
}

fn no_location(at: Attempted) -> ImatagError {
    ImatagError::Unexpected { at, reason: "it does not name the location of the result".to_owned() }
}

pub(super) fn is_json(response: &Response) -> bool {
    let header =
        response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    header.split(';').next().is_some_and(|media_type| media_type.trim().ends_with("json"))
}
