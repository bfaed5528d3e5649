//! Sends batches of spans, over the same kind of client as all requests. A collector that fails is logged seldom.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use common::failure::Failure;
use config::TraceExport;
use http_client::{TransportError, service_client};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use tokio::runtime::Handle;
use url::Url;

/// How long a batch may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How often a collector that fails is logged.
const PACE: Duration = Duration::from_mins(10);
/// The most bytes of an answer that are read.
const MOST_BYTES: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Sender {
    client: reqwest::Client,
    endpoint: Url,
    headers: HeaderMap,
    /// Where requests run: the exporter's thread has no runtime.
    runtime: Handle,
    logged: Mutex<Option<Instant>>,
}

impl Sender {
    pub(super) fn new(export: &TraceExport) -> Result<Self, Failure> {
        let client = service_client(&export.endpoint, export.allow_http, TIMEOUT)?;
        let mut headers = HeaderMap::new();
        for (name, value) in &export.headers {
            let name = HeaderName::from_bytes(name.as_bytes());
            let value = HeaderValue::from_str(value.expose_secret());
            let (Ok(name), Ok(mut value)) = (name, value) else {
                return Err(Failure::Configuration(
                    "the headers for traces cannot be sent by HTTP".to_owned(),
                ));
            };
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let (endpoint, runtime) = (export.endpoint.clone(), Handle::current());
        Ok(Self { client, endpoint, headers, runtime, logged: Mutex::default() })
    }

    fn log(&self, reason: &str) {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.is_none_or(|at| at.elapsed() >= PACE) {
            *logged = Some(Instant::now());
            tracing::warn!(reason, "traces cannot be sent, and are dropped; the work is not affected");
        }
    }
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        // Those of the environment go before those of the configuration.
        let mut headers = self.headers.clone();
        headers.extend(parts.headers);
        let request = self.client.post(self.endpoint.clone()).headers(headers).timeout(TIMEOUT).body(body);
        let exchange = {
            let _runtime = self.runtime.enter();
            tasks::brief(async move {
                let mut answer = request.send().await?;
                let (status, mut body) = (answer.status(), Vec::new());
                while let Some(chunk) = answer.chunk().await? {
                    body.extend_from_slice(&chunk[..chunk.len().min(MOST_BYTES - body.len())]);
                }
                Ok::<_, reqwest::Error>((status, body))
            })
        };
        match exchange.await? {
            Ok((status, body)) => {
                if !status.is_success() {
                    self.log(&format!("the collector answers {status}"));
                }
                let mut answer = Response::new(Bytes::from(body));
                *answer.status_mut() = status;
                Ok(answer)
            }
            Err(error) => {
                // Without the address, and without what is in it.
                let error = TransportError::from_reqwest(&error);
                self.log(&error.reason);
                Err(error.into())
            }
        }
    }
}
