//! Downloads one version's file: a portal call for its address, then storage without any credential.

use std::fmt;
use std::ops::ControlFlow::{Break, Continue};
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use reqwest::header::CONTENT_DISPOSITION;
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use super::call::unavailable;
use super::{Bynder, BynderError, Right};
use common::asset::AssetId;
use common::hash::ContentHash;
use http_client::{Link, Operation, Redactor, Rest, Sent};

const KIND: Operation = Operation::FetchOriginal;

/// Longer than any file: a body that exceeds it would never end.
const LONGEST_FILE: u64 = 1 << 40;

/// A download in progress.
pub struct Download {
    /// The announced length.
    pub bytes: Option<u64>,
    /// The file's own name, if storage sends it.
    pub file_name: Option<String>,
    /// The file; fails when nothing arrives for the request timeout.
    pub body: BoxStream<'static, Result<Bytes, BynderError>>,
}

impl fmt::Debug for Download {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Download").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct DownloadLink {
    s3_file: Link,
}

impl Bynder {
    /// Starts the download of one version by its number. If the link has expired meanwhile, a new one is requested
    /// once.
    ///
    /// Error pages may come with a status of success, so a web page counts as the file only if it has the file's
    /// expected length: some portals hold web pages.
    /// file should be, as the page of a portal that keeps web pages is.
    pub async fn download(
        &self,
        id: &AssetId,
        version: u32,
        length: Option<u64>,
    ) -> Result<Download, BynderError> {
        let operation = description(id, version);
        let mut expired = false;
        loop {
            let link = self.download_link(&operation, id, version).await?;
            match self.fetch(KIND, &operation, link.clone(), None).await {
                Ok((response, _))
                    if http_client::is_web_page(&response) && !is_as_long(&response, length) =>
                {
                    return Err(BynderError::Unexpected {
                        operation,
                        reason: "a web page came instead of the file".to_owned(),
                    });
                }
                Ok((response, way)) => return Ok(self.body(id, version, link, response, &way)),
                Err(BynderError::Forbidden { .. }) if !expired => expired = true,
                // Storage has no roles: its 403 means an expired or broken link, not a missing right.
                Err(BynderError::Forbidden { message, .. }) => {
                    let reason = format!("storage refuses the link twice: {message}");
                    return Err(BynderError::Unavailable { operation, reason, sent: Sent::Maybe });
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Requests a version's address without the file, which shows whether the token may read it.
    pub async fn may_download(&self, id: &AssetId, version: u32) -> Result<(), BynderError> {
        self.download_link(&description(id, version), id, version).await.map(|_| ())
    }

    /// Downloads one version and returns its hash and length; the file is not stored.
    pub async fn hash_version(&self, id: &AssetId, version: u32) -> Result<(ContentHash, u64), BynderError> {
        let mut body = self.download(id, version, None).await?.body;
        let (mut hasher, mut bytes) = (Sha256::new(), 0);
        while let Some(chunk) = body.try_next().await? {
            bytes += chunk.len() as u64;
            if bytes > LONGEST_FILE {
                let reason = format!("the file has no end after {LONGEST_FILE} bytes");
                return Err(BynderError::Unexpected { operation: description(id, version), reason });
            }
            hasher.update(&chunk);
        }
        Ok((ContentHash::from_bytes(hasher.finalize().into()), bytes))
    }

    /// Storage's response, and the links that led to it.
    pub(super) async fn fetch(
        &self,
        kind: Operation,
        operation: &str,
        link: Link,
        rest: Option<&Rest>,
    ) -> Result<(Response, Vec<Link>), BynderError> {
        let transport = &self.inner.transport;
        let unexpected = |reason: &str| BynderError::Unexpected {
            operation: operation.to_owned(),
            reason: reason.to_owned(),
        };
        let ask = |link: Link| async move {
            let request = transport.client().get(link.url().clone());
            let request = match rest {
                Some(rest) => rest.ask(request),
                None => request,
            };
            let answer = transport.send_for_file(kind, request).await;
            let response = answer.map_err(|error| unavailable(operation, error))?;
            match response.status() {
                StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(Break(response)),
                status if status.is_redirection() => {
                    let next = link.redirect(&response).map(Continue);
                    next.ok_or_else(|| unexpected("the redirect of storage has no usable target"))
                }
                status => {
                    let message = http_client::read_text(response).await;
                    Err(storage_refusal(operation, status, message))
                }
            }
        };
        http_client::follow(link, ask, || unexpected("storage redirects without end")).await
    }

    /// The file; resumes where it breaks off, from the same link or, once that has expired, from a new one.
    fn body(&self, id: &AssetId, version: u32, link: Link, response: Response, way: &[Link]) -> Download {
        let (bytes, file_name) = (response.content_length(), file_name(&response, way));
        let operation = description(id, version);
        let (bynder, id, link) = (self.clone(), id.clone(), Arc::new(Mutex::new(link)));
        let again = move |rest: Rest| {
            let (bynder, id, link) = (bynder.clone(), id.clone(), Arc::clone(&link));
            async move {
                let operation = description(&id, version);
                let mut link = link.lock().await;
                match bynder.fetch(KIND, &operation, link.clone(), Some(&rest)).await {
                    Err(BynderError::Forbidden { .. }) => {
                        *link = bynder.download_link(&operation, &id, version).await.ok()?;
                        bynder.fetch(KIND, &operation, link.clone(), Some(&rest)).await.ok()
                    }
                    answer => answer.ok(),
                }
                .map(|(response, _)| response)
            }
        };
        let body = self.inner.transport.resuming_body(KIND, response, again);
        Download { bytes, file_name, body: body.map_err(move |error| unavailable(&operation, error)).boxed() }
    }

    async fn download_link(&self, operation: &str, id: &AssetId, version: u32) -> Result<Link, BynderError> {
        let path = ["api", "v4", "media", id.as_str(), &version.to_string(), "download", ""];
        let url = self.url(operation, &path)?;
        let build = |client: &reqwest::Client| client.get(url.clone());
        let answer: DownloadLink = self.call(Operation::DownloadPlace, operation, build).await?;
        Ok(answer.s3_file)
    }
}

/// The file's name from `Content-Disposition`, in either form; `None` if it would contain the signature of a link,
/// or a secret that storage must not know: the name goes to both services, and into logs and records.
fn file_name(response: &Response, way: &[Link]) -> Option<String> {
    let header = response.headers().get(CONTENT_DISPOSITION)?;
    // Storage sends other alphabets unencoded as well.
    let header = String::from_utf8_lossy(header.as_bytes());
    let name = mailparse::parse_content_disposition(&header).params.remove("filename")?;
    let is_signature = |link: &Link| Redactor::signature_of(link.url(), &name).is_in(&name);
    let is_secret = way.iter().any(is_signature) || http_client::known_secrets().is_in(&name);
    (!name.is_empty() && !is_secret).then_some(name)
}

fn description(id: &AssetId, version: u32) -> String {
    format!("downloading version {version} of asset {id}")
}

/// The error for a response of storage that is not a file.
pub(super) fn storage_refusal(operation: &str, status: StatusCode, message: String) -> BynderError {
    let operation = operation.to_owned();
    match status.as_u16() {
        403 => BynderError::Forbidden { operation, message, right: Right::ReadAsset },
        404 => BynderError::NotFound { operation, message },
        400..=499 => BynderError::Refused { operation, status: status.as_u16(), message },
        _ => {
            let reason = format!("storage answers {status}: {message}");
            BynderError::Unavailable { operation, reason, sent: Sent::Maybe }
        }
    }
}

/// Whether the announced length is the known one.
fn is_as_long(response: &Response, length: Option<u64>) -> bool {
    length.is_some() && response.content_length() == length
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use crate::Credential;
    use crate::tests::{Script, client, id, json, response, scripted};

    #[tokio::test]
    async fn storage_gives_no_file_a_name_that_repeats_a_secret() {
        let secret = "n4me-T0ken-0f-the-P0rtal-4711";
        let (storage, storage_url) = Script::serve(vec![]).await;
        for (name, wanted) in
            [(format!("lake {secret}.png"), None), ("lake.png".to_owned(), Some("lake.png"))]
        {
            let link = json(200, &format!(r#"{{"s3_file":"{storage_url}file"}}"#));
            let (_, url) = Script::serve(vec![link]).await;
            let bynder = client(url, Credential::Token(SecretString::from(secret)));
            let mut file = response(200, "image/png", "file");
            let header = format!("attachment; filename=\"{name}\"");
            file.headers_mut().insert("content-disposition", header.parse().unwrap());
            storage.then(vec![file]);
            assert_eq!(bynder.download(&id(), 1, None).await.unwrap().file_name.as_deref(), wanted);
        }
    }

    #[tokio::test]
    async fn a_redirect_of_storage_has_an_end() {
        let moved = || {
            let mut moved = response(302, "text/plain", "");
            moved.headers_mut().insert("location", "/again".parse().unwrap());
            moved
        };
        let (storage, storage_url) =
            Script::serve(vec![moved(), moved(), moved(), moved(), moved(), moved()]).await;
        let (_portal, bynder) =
            scripted(vec![json(200, &format!(r#"{{"s3_file":"{storage_url}file"}}"#))]).await;
        let endless = bynder.download(&id(), 1, None).await.unwrap_err();
        assert!(endless.to_string().contains("storage redirects without end"), "{endless}");
        assert_eq!(storage.seen().len(), 5);
    }
}
