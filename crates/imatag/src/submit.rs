//! Submits a file: each submit makes a new watermark, so it is never repeated blindly.

use std::collections::BTreeMap;
use std::io;

use futures::StreamExt;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::multipart::Form;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;

use super::answer::{Shown, shown};
use super::call::{attempted, sign};
use super::download::is_json;
use super::error::Attempted;
use super::find::ORIGINAL_KEY;
use super::profile::{FileTransport, Mode};
use super::{Body, Directory, Imatag, ImatagError, MediumId, MediumState, ResultLocation, UploadSlot};
use common::asset::AssetId;
use common::file_name::FileName;
use common::hash::ContentHash;
use common::permission::Permission;
use files::spool::SpooledFile;
use http_client::{BodyProgress, Operation, Redactor};

/// A file's metadata.
#[derive(Debug, Clone, Copy)]
pub struct Submit<'a> {
    pub file_name: &'a FileName,
    /// The media type of the file's first bytes.
    pub media_type: &'a str,
    pub asset: &'a AssetId,
    /// The hash of the file.
    pub original: ContentHash,
    /// Where the medium is saved.
    pub directory: &'a Directory,
}

/// The result of a submit.
#[derive(Debug)]
pub enum Submitted {
    /// Imatag works on the file.
    Pending(MediumId),
    /// The watermarked file can be downloaded.
    Ready {
        /// Its medium, if Imatag names it.
        medium: Option<MediumId>,
        result: ResultLocation,
    },
    /// The response is the watermarked file.
    Bytes {
        /// Its medium, if Imatag names it.
        medium: Option<MediumId>,
        body: Body,
    },
    /// The file carries a watermark already.
    AlreadyProtected {
        /// Its medium, if Imatag names it.
        medium: Option<MediumId>,
    },
    /// The profile's limits do not allow it; nothing was sent.
    Unlisted { reason: String },
    /// It cannot be watermarked.
    Refused {
        reason: String,
        /// Whether the wire profile may be the cause: a form with a wrong field name is refused like a bad file.
        may_be_profile: bool,
    },
}

/// The response to a submit.
#[derive(Debug)]
pub struct SubmitAnswer {
    pub submitted: Submitted,
    /// The id by which Imatag's support finds the request; `None` if nothing was sent or the response has none.
    pub request_id: Option<String>,
}

impl From<Submitted> for SubmitAnswer {
    fn from(submitted: Submitted) -> Self {
        Self { submitted, request_id: None }
    }
}

impl Imatag {
    /// Sends a file, for which the caller has an upload slot. Its metadata lets [`Imatag::find`] recognise it after
    /// a crash.
    pub async fn submit(
        &self,
        file: &SpooledFile,
        submit: Submit<'_>,
        _slot: UploadSlot,
    ) -> Result<SubmitAnswer, ImatagError> {
        let limits = &self.inner.profile.limits;
        if file.bytes() > limits.largest_file.as_u64() {
            let reason = format!(
                "the connector's profile takes no file of {} bytes (limits.largest_file)",
                file.bytes()
            );
            return Ok(Submitted::Unlisted { reason }.into());
        }
        if !limits.lists(submit.media_type) {
            let reason =
                format!("the connector's profile does not list {} (limits.content_types)", submit.media_type);
            return Ok(Submitted::Unlisted { reason }.into());
        }
        let operation = format!("submitting asset {}", submit.asset);
        self.ready(&operation)?;
        let (operation, patience) = (operation.as_str(), self.inner.profile.polling.deadline.0);
        // A token is refused before the file is read, so sending the file again makes no second watermark.
        self.signed(|token| async move {
            let progress = BodyProgress::start();
            let request = sign(self.request(file, submit, &progress)?, &token)?;
            self.permitted(operation)?;
            let answer =
                self.inner.transport.send_file(Operation::Submit, request, &progress, patience).await;
            let may_be_profile =
                answer.as_ref().is_ok_and(|answer| matches!(answer.status().as_u16(), 400 | 415 | 422));
            match self.conflict_or(operation, answer).await {
                Err(ImatagError::Refused { at, reason }) => {
                    let submitted = Submitted::Refused { reason, may_be_profile };
                    Ok(SubmitAnswer { submitted, request_id: at.request_id })
                }
                answer => {
                    let answer = answer?;
                    let request_id = attempted(operation, &answer).request_id;
                    let submitted = self.submitted(operation, answer).await?;
                    Ok(SubmitAnswer { submitted, request_id })
                }
            }
        })
        .await
    }

    fn permitted(&self, operation: &str) -> Result<(), ImatagError> {
        let checked = self.permission.as_ref().map_or(Ok(()), Permission::check);
        let at = || Attempted { operation: operation.to_owned(), request_id: None };
        checked.map_err(|reason| ImatagError::Withheld { at: at(), reason })
    }

    /// A 409 with a medium in it is a result: some services respond so to a file that carries a watermark already.
    async fn conflict_or(
        &self,
        operation: &str,
        answer: Result<Response, http_client::TransportError>,
    ) -> Result<Response, ImatagError> {
        match answer {
            Ok(response) if response.status() == reqwest::StatusCode::CONFLICT && is_json(&response) => {
                Ok(response)
            }
            answer => self.dispatch(Operation::Submit, operation, answer).await,
        }
    }

    async fn submitted(&self, operation: &str, response: Response) -> Result<Submitted, ImatagError> {
        let at = attempted(operation, &response);
        if response.status().is_redirection() {
            return Err(ImatagError::Misconfigured { at, reason: "the submit path redirects".to_owned() });
        }
        let profile = &self.inner.profile;
        if !is_json(&response) {
            let header = response
                .headers()
                .get(CONTENT_TYPE)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default();
            let is_media = ["image/", "video/", "audio/", "application/pdf", "application/octet-stream"]
                .iter()
                .any(|prefix| header.starts_with(prefix));
            if profile.mode == Mode::Async || !is_media {
                let reason = format!("expected JSON, got {:?}", http_client::quoted(&response, header));
                return Err(ImatagError::Unexpected { at, reason });
            }
            let id = profile.submit.id_header.as_deref().and_then(|name| response.headers().get(name));
            let id = id.and_then(|id| id.to_str().ok());
            if id.is_some_and(|id| Redactor::in_answer(&response).is_in_id(id)) {
                let reason = "its id repeats the credential".to_owned();
                return Err(ImatagError::Unexpected { at, reason });
            }
            let medium = id.and_then(|id| MediumId::try_from(id.to_owned()).ok());
            return Ok(Submitted::Bytes { medium, body: self.body(Operation::Submit, operation, response) });
        }
        let redactor = Redactor::in_answer(&response);
        let json: Value = self.read(Operation::Submit, operation, response).await?;
        match shown(&profile.response, &json, &redactor) {
            Ok(shown) => submitted(shown).ok_or_else(|| ImatagError::Unexpected {
                at,
                reason: format!("neither an id at {} nor a result", profile.response.id),
            }),
            Err(reason) => Err(ImatagError::Unexpected { at, reason }),
        }
    }

    fn request(
        &self,
        file: &SpooledFile,
        submit: Submit<'_>,
        progress: &BodyProgress,
    ) -> Result<RequestBuilder, ImatagError> {
        let wire = &self.inner.profile.submit;
        let misconfigured = |reason: String| ImatagError::Misconfigured {
            at: Attempted { operation: "submitting".to_owned(), request_id: None },
            reason,
        };
        let method = Method::from_bytes(wire.method.as_bytes())
            .map_err(|_| misconfigured(format!("submit.method {:?} is not an HTTP method", wire.method)))?;
        let request = self.inner.transport.client().request(method, self.url(&wire.path, None)?);
        let permission = self.permission.clone();
        let check = move || permission.as_ref().map_or(Ok(()), Permission::check).map_err(io::Error::other);
        let check_at_end = check.clone();
        // A process that is stopped in the middle of a request would send the rest when it resumes, though another
        // process has the lease by then and submits the file as well. What follows the file completes the request,
        // so it needs the permission, too.
        let end = futures::stream::once(async move { check_at_end() });
        let end = end.filter_map(|checked| std::future::ready(checked.err().map(Err)));
        let pieces = file.stream(0..file.bytes()).map(move |piece| check().and(piece)).chain(end);
        let body = reqwest::Body::wrap_stream(progress.watch(pieces).boxed());
        let fields = self.fields(submit);
        match wire.transport {
            FileTransport::Multipart => {
                let form = fields.into_iter().fold(Form::new(), |form, (name, value)| form.text(name, value));
                let part = http_client::part(body, file.bytes(), &submit.file_name.for_upload());
                let part =
                    part.mime_str(submit.media_type).map_err(|error| misconfigured(error.to_string()))?;
                Ok(request.multipart(form.part(wire.file_field.clone(), part)))
            }
            FileTransport::Raw => {
                let mut request = request
                    .header(CONTENT_TYPE, submit.media_type)
                    .header(reqwest::header::CONTENT_LENGTH, file.bytes());
                for (name, value) in fields {
                    let name = HeaderName::try_from(&name)
                        .map_err(|_| misconfigured(format!("{name:?} cannot be a header's name")))?;
                    request = request.header(name, header_value(&value));
                }
                Ok(request.body(body))
            }
        }
    }

    /// All values except the file, by the names that the profile gives them.
    fn fields(&self, submit: Submit<'_>) -> Vec<(String, String)> {
        let wire = &self.inner.profile.submit;
        let metadata = BTreeMap::from([
            (self.inner.media_id_metadata.clone(), submit.asset.to_string()),
            (ORIGINAL_KEY.to_owned(), submit.original.to_string()),
        ]);
        let mut fields: Vec<_> = wire.extra.clone().into_iter().collect();
        fields.push((wire.file_name_field.clone(), submit.file_name.to_string()));
        fields.push((wire.directory_field.clone(), submit.directory.to_string()));
        if wire.metadata_field.contains('*') {
            fields.extend(
                metadata.into_iter().map(|(key, value)| (wire.metadata_field.replace('*', &key), value)),
            );
        } else {
            fields.push((wire.metadata_field.clone(), serde_json::json!(metadata).to_string()));
        }
        fields
    }
}

fn submitted(shown: Shown) -> Option<Submitted> {
    let medium = shown.medium;
    match shown.state {
        Some(MediumState::Ready(result)) => Some(Submitted::Ready { medium, result }),
        Some(MediumState::AlreadyProtected) => Some(Submitted::AlreadyProtected { medium }),
        Some(MediumState::Failed { reason }) => Some(Submitted::Refused { reason, may_be_profile: false }),
        Some(MediumState::Pending) | None => medium.map(Submitted::Pending),
    }
}

/// The characters that a header cannot carry, and the percent sign itself.
const UNSAFE_IN_HEADER: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// Any text as a header, with percent-encoding for what a header cannot carry.
fn header_value(text: &str) -> HeaderValue {
    let encoded = utf8_percent_encode(text, UNSAFE_IN_HEADER).to_string();
    HeaderValue::try_from(encoded).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::header_value;

    #[test]
    fn no_name_can_end_a_header() {
        let value = header_value("a\r\nX-Evil: é\"");
        assert_eq!(value.to_str().unwrap(), "a%0D%0AX-Evil:%20%C3%A9\"");
    }
}
