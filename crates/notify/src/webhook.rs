//! A webhook: takes JSON with a `text`, as Slack and most chats do.

use std::time::Duration;

use http_client::{TransportError, service_client};
use jiff::Timestamp;
use reqwest::Client;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use url::Url;

use super::chat::quoted;
use super::notice::Notice;
use super::refusal::{Refusal, Remedy};

/// How long a webhook may take to answer.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// Where messages are posted to. The address is a secret: with it, anyone can post.
#[derive(Debug, Clone)]
pub struct Webhook {
    url: SecretString,
    client: Client,
}

impl Webhook {
    /// # Errors
    /// The trusted certificates cannot be read.
    pub fn new(url: &Url) -> Result<Self, TransportError> {
        Ok(Self { url: url.as_str().into(), client: service_client(url, false, TIMEOUT)? })
    }

    pub(crate) async fn post(&self, notice: &Notice, portal: &str, details: bool) -> Result<(), Refusal> {
        let text = format!("{}\n{}", notice.subject(portal), notice.body(details, quoted));
        let content = json!({
            "text": text,
            "kind": notice.kind.name(),
            "portal": portal,
            "at": Timestamp::now(),
        });
        let sent = self.client.post(self.url.expose_secret()).timeout(TIMEOUT).json(&content).send().await;
        let answer = sent.map_err(|error| {
            let error = TransportError::from_reqwest(&error);
            Refusal::new(Remedy::TryAgain, format!("it cannot be reached: {error}"))
        })?;
        let status = answer.status();
        let remedy = match status.as_u16() {
            200..300 => return Ok(()),
            // The last two are Slack's and others' for an address that was revoked.
            401 | 403 | 404 | 410 => Remedy::Credential,
            408 | 429 | 500.. => Remedy::TryAgain,
            _ => Remedy::Settings,
        };
        Err(Refusal::new(remedy, format!("it answered with the status {}", status.as_u16())))
    }
}
