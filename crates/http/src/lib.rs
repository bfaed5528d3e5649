//! Sends HTTP requests for the clients of both services.
//!
//! The main type is [`Transport`]. It adds two things to `reqwest`: an error says whether the server may have received
//! the request, and a transfer has no deadline while it moves. Redirects are not followed, since a redirect would carry
//! a credential to another origin. [`read_json`] and its like read responses as untrusted input; [`Redactor`] keeps a
//! request's secrets out of what is shown of its response.
//!
//! ```no_run
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use http_client::{LinkHosts, Operation, Services, Transport, read_json};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let portal: url::Url = "https://acme.bynder.com/api/v4/account/".parse()?;
//! let (link_hosts, token_url) = (LinkHosts::Any, None);
//! let services = Services { urls: vec![portal.clone()], token_url, allow_http: false, link_hosts };
//! let transport = Transport::new(&services, Duration::from_secs(30), Arc::new(()))?;
//! let request = transport.client().get(portal).bearer_auth("token");
//! let response = transport.send(Operation::LookUp, request).await?;
//! let account: serde_json::Value = read_json(Operation::LookUp, response).await?;
//! println!("{account}");
//! # Ok(())
//! # }
//! ```

mod answer;
mod authorities;
mod certificate;
mod client;
mod exchange;
mod known;
mod link;
mod links;
mod observer;
mod operation;
mod part;
mod progress;
mod redact;
mod resume;
mod runs;
mod token;
mod zone;

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        Self::Configuration(format!("cannot set up the network client: {error}"))
    }
}

#[cfg(test)]
mod tests;

/// A client whose requests are looked at and not sent, or sent to a server of the test.
#[cfg(test)]
fn plain_client() -> reqwest::Client {
    local_client(Duration::from_secs(30)).unwrap()
}

use common::failure::Failure;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use client::Clients;
use futures::Stream;
use reqwest::header::AUTHORIZATION;
use reqwest::{Client, Request, RequestBuilder, Response};
use tracing::Instrument;
use tracing::field::Empty;
use url::Url;

pub use authorities::{authorities, named_files};
pub use client::{local_client, service_client};

pub use answer::{AnswerError, quoted, read_json, read_text, read_text_without};
pub use answer::{read_sentence, request_id, said_in};
pub use common::excerpt::excerpt;
pub use exchange::{Exchange, ExchangeLog};
pub use known::{known_secrets, remember};
pub use link::{Link, follow};
pub use links::{LinkHosts, Services};
pub use observer::RequestObserver;
pub use operation::{Direction, Operation, Peer, StatusClass};
pub use part::part;
pub use progress::BodyProgress;
pub use resume::Rest;
pub use token::{BEARER, Issued, Token, Tokens, issued_token};
pub use zone::{LOCALHOST, is_loopback};

pub use common::prose::prose;
pub use redact::Redactor;

use common::fault;

/// Whether a failed request may have taken effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// The server cannot have received it.
    No,
    /// It may have arrived and taken effect.
    Maybe,
}

/// A request without a response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct TransportError {
    /// Whether it may have taken effect.
    pub sent: Sent,
    /// What happened, without the URL: links carry signatures.
    pub reason: String,
}

/// Whether a response says that it is a web page: error pages have come with a status of success.
pub fn is_web_page(response: &Response) -> bool {
    let kind = response.headers().get(reqwest::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("text/html"))
}

/// Sends requests with deadlines; clones share the connections.
#[derive(Debug, Clone)]
pub struct Transport {
    clients: Clients,
    timeout: Duration,
    observer: Arc<dyn RequestObserver>,
    exchanges: Option<ExchangeLog>,
}

impl Transport {
    /// Builds the clients. `timeout` limits a plain request as a whole, and the time that a transfer may stall.
    ///
    /// # Errors
    /// The trusted certificates cannot be read.
    pub fn new(
        services: &Services,
        timeout: Duration,
        observer: Arc<dyn RequestObserver>,
    ) -> Result<Self, TransportError> {
        let clients = Clients::new(services, timeout)?;
        Ok(Self { clients, timeout, observer, exchanges: None })
    }

    /// Logs each exchange here.
    #[must_use]
    pub fn with_exchange_log(self, exchanges: Option<ExchangeLog>) -> Self {
        Self { exchanges, ..self }
    }

    /// The underlying client, to build requests with.
    pub fn client(&self) -> &Client {
        self.clients.any()
    }

    /// Fails for a link that would not be followed.
    pub fn check_link(&self, link: &Url) -> Result<(), TransportError> {
        self.clients.for_address(link, false).map(|_| ())
    }

    /// The longest a plain request may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sends a request with a small body; the timeout covers the whole exchange, including the response's body.
    pub async fn send(
        &self,
        operation: Operation,
        request: RequestBuilder,
    ) -> Result<Response, TransportError> {
        let request = built(request.timeout(self.timeout))?;
        self.counted(operation, &request.url().clone(), self.execute(request)).await
    }

    /// Sends a request whose response is a file: the timeout covers only the head; [`Transport::body`] reads the
    /// rest.
    pub async fn send_for_file(
        &self,
        operation: Operation,
        request: RequestBuilder,
    ) -> Result<Response, TransportError> {
        let request = built(request)?;
        let url = request.url().clone();
        let exchange = async {
            match tokio::time::timeout(self.timeout, self.execute(request)).await {
                Ok(answer) => answer,
                Err(_) => Err(self.silence()),
            }
        };
        self.counted(operation, &url, exchange).await
    }

    /// The body of a response as a stream, which fails when nothing arrives for the timeout.
    pub fn body(
        &self,
        operation: Operation,
        response: Response,
    ) -> impl Stream<Item = Result<Bytes, TransportError>> + Send + use<> {
        let transport = self.clone();
        futures::stream::try_unfold(response, move |mut response| {
            let transport = transport.clone();
            async move {
                let chunk = match tokio::time::timeout(transport.timeout, response.chunk()).await {
                    Ok(chunk) => chunk.map_err(|error| TransportError::from_reqwest(&error)),
                    Err(_) => Err(transport.silence()),
                };
                let chunk =
                    chunk.map_err(|error| error.through(transport.clients.proxy_of(response.url())))?;
                let bytes = chunk.as_ref().map_or(0, Bytes::len) as u64;
                transport.observer.bytes_moved(operation.peer(), Direction::Received, bytes);
                Ok(chunk.map(|chunk| (chunk, response)))
            }
        })
    }

    /// Sends a request that streams a file; fails when nothing moves for the timeout.
    ///
    /// After the whole body was sent, the response may take `patience`: a service that watermarks before it
    /// responds has not stalled.
    pub async fn send_file(
        &self,
        operation: Operation,
        request: RequestBuilder,
        progress: &BodyProgress,
        patience: Duration,
    ) -> Result<Response, TransportError> {
        let request = built(request)?;
        let url = request.url().clone();
        let exchange = async {
            tokio::select! {
                answer = self.execute(request) => answer,
                () = progress.stalled(self.timeout, patience) => Err(TransportError {
                    sent: Sent::Maybe,
                    reason: "the transfer stalled".to_owned(),
                }),
            }
        };
        let answer = self.counted(operation, &url, exchange).await;
        self.observer.bytes_moved(operation.peer(), Direction::Sent, progress.bytes());
        answer
    }

    /// Sends every request: counts it, and measures the time until the head of its response.
    async fn counted(
        &self,
        operation: Operation,
        url: &Url,
        exchange: impl Future<Output = Result<Response, TransportError>>,
    ) -> Result<Response, TransportError> {
        fault::crash_point("http.before");
        let started = Instant::now();
        // In the trace of the job that it is for.
        let span = tracing::info_span!(
            target: "otel", "request", otel.name = operation.name(), otel.kind = "client",
            service = operation.peer().name(), operation = operation.name(), status = Empty, otel.status_code = Empty
        );
        let answer = exchange.instrument(span.clone()).await;
        let answer = answer.map_err(|error| error.through(self.clients.proxy_of(url)));
        let status = answer.as_ref().ok().map(Response::status);
        span.record("status", status.map(|status| status.as_u16()));
        if status.is_none_or(|status| status.is_client_error() || status.is_server_error()) {
            span.record("otel.status_code", "ERROR");
        }
        let class = match &answer {
            Ok(response) => StatusClass::of(response.status().as_u16()),
            Err(_) => StatusClass::Unanswered,
        };
        self.observer.request_ended(operation, class, started.elapsed());
        answer
    }

    fn silence(&self) -> TransportError {
        TransportError {
            sent: Sent::Maybe,
            reason: format!("nothing came for {} s", self.timeout.as_secs_f32()),
        }
    }

    async fn execute(&self, request: Request) -> Result<Response, TransportError> {
        let signed = request.headers().contains_key(AUTHORIZATION);
        let client = self.clients.for_address(request.url(), signed)?;
        let seen = self.exchanges.as_ref().map(|exchanges| (exchanges, exchanges.start(&request)));
        let proxy = self.clients.proxy_authorization(request.url());
        let redactor = Redactor::of(&request).and_proxy(proxy.as_deref());
        let answer = client.execute(request).await;
        fault::crash_point("http.after");
        let mut answer = answer.map_err(|error| TransportError::from_reqwest(&error));
        if let Ok(response) = &mut answer {
            redactor.keep_with(response);
        }
        if let Some((exchanges, seen)) = seen {
            exchanges.finish(seen, &answer);
        }
        answer
    }
}

impl TransportError {
    /// Judges by the kind of error whether the server may have received the request.
    pub fn from_reqwest(error: &reqwest::Error) -> Self {
        let sent = if error.is_connect() || error.is_builder() { Sent::No } else { Sent::Maybe };
        let reason = excerpt(&prose(without_parting_words(&innermost(error))));
        let reason = match certificate::advice(error) {
            Some(advice) => format!("{reason}: {advice}"),
            None => reason,
        };
        Self { sent, reason }
    }

    /// Names the proxy of the request, which is the most frequent cause.
    fn through(self, proxy: Option<String>) -> Self {
        match proxy {
            Some(proxy) => Self { reason: format!("{}; through the proxy {proxy}", self.reason), ..self },
            None => self,
        }
    }
}

fn built(request: RequestBuilder) -> Result<Request, TransportError> {
    request.build().map_err(|error| TransportError::from_reqwest(&error))
}

/// Removes the text of an HTTP/2 peer's GOAWAY that the error quotes: it may be of any length, and repeat what was
/// sent.
fn without_parting_words(text: &str) -> &str {
    text.split(" (b\"").next().unwrap_or_default()
}

/// The text of the innermost error, which alone says what happened ("connection refused", "unexpected EOF").
fn innermost(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}
