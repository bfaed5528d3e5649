//! Shows a person each request and its response without secrets: of the headers only the request id and the rate
//! limits, no body, no value in a query, and of a link, which carries its own signature, not even the path.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use reqwest::{Request, Response};
use serde::Serialize;
use url::Url;

use super::links::shown_host;
use super::redact::Redactor;
use super::{TransportError, excerpt, quoted, request_id};
use common::prose::prose;

/// The most rate-limit headers that are shown of a response.
const MOST_LIMITS: usize = 10;

/// One request and its response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exchange {
    /// GET, POST, …
    pub method: String,
    /// The path and the names in the query; only the host if the request went elsewhere than below the service's
    /// address.
    pub target: String,
    /// The response's status; `None` without a response.
    pub status: Option<u16>,
    /// The response's content type.
    pub content_type: Option<String>,
    /// The id by which the service's support finds the request.
    pub request_id: Option<String>,
    /// The service's rate-limit headers, as `name: value`.
    pub rate_limit: Vec<String>,
    /// Milliseconds until the head of the response arrived.
    pub took_ms: u128,
}

/// Receives each exchange after it ended; clones share the receiver.
#[derive(Clone)]
pub struct ExchangeLog {
    origin: Url,
    on_exchange: Arc<dyn Fn(&Exchange) + Send + Sync>,
}

impl fmt::Debug for ExchangeLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ExchangeLog")
    }
}

/// A request that was sent and has no response yet.
pub(super) struct Started {
    method: String,
    target: String,
    at: Instant,
}

impl ExchangeLog {
    /// Observes the calls to this service.
    pub fn new(origin: Url, on_exchange: impl Fn(&Exchange) + Send + Sync + 'static) -> Self {
        Self { origin, on_exchange: Arc::new(on_exchange) }
    }

    pub(super) fn start(&self, request: &Request) -> Started {
        Started {
            method: request.method().to_string(),
            target: target(request, &self.origin),
            at: Instant::now(),
        }
    }

    pub(super) fn finish(&self, started: Started, answer: &Result<Response, TransportError>) {
        let header = |name: &str| {
            let answer = answer.as_ref().ok()?;
            Some(quoted(answer, answer.headers().get(name)?.to_str().ok()?))
        };
        (self.on_exchange)(&Exchange {
            method: started.method,
            target: started.target,
            status: answer.as_ref().ok().map(|response| response.status().as_u16()),
            content_type: header(CONTENT_TYPE.as_str()),
            request_id: answer.as_ref().ok().and_then(request_id),
            rate_limit: answer.as_ref().map_or_else(
                |_| Vec::new(),
                |answer| rate_limit(answer.headers(), &Redactor::in_answer(answer)),
            ),
            took_ms: started.at.elapsed().as_millis(),
        });
    }
}

/// The names and values of rate-limit headers. Services do not document the names, so they are matched loosely.
fn rate_limit(headers: &HeaderMap, redactor: &Redactor) -> Vec<String> {
    let is_one =
        |name: &str| name.contains("ratelimit") || name.contains("rate-limit") || name == "retry-after";
    let limits = headers.iter().filter(|(name, _)| is_one(name.as_str())).take(MOST_LIMITS);
    limits
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            format!("{}: {}", redactor.excerpt(name.as_str()), redactor.excerpt(&value))
        })
        .collect()
}

/// An address that is not below the service's, or that is requested without a credential, is a link, and its path
/// alone may grant access.
fn target(request: &Request, service: &Url) -> String {
    let (url, signed) = (request.url(), request.headers().contains_key(AUTHORIZATION));
    if !signed || url.origin() != service.origin() || !url.path().starts_with(service.path()) {
        return format!("{}://{}/…", url.scheme(), shown_host(url));
    }
    // The service itself wrote the address of a next page.
    let parts: Vec<String> = url.path().split('/').map(prose).collect();
    let names: Vec<String> = url.query_pairs().map(|(name, _)| format!("{}=…", prose(&name))).collect();
    let mark = if names.is_empty() { "" } else { "?" };
    excerpt(&format!("{}{mark}{}", parts.join("/"), names.join("&")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_about_a_rate_limit_are_told_and_no_other() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-ratelimit-remaining", "99"),
            ("x-ratelimit-user", "s3cr3t-s1gnature"),
            ("ratelimit", "limit=100"),
            ("retry-after", "3"),
            ("set-cookie", "s=1"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        let redactor = Redactor::default().and_signatures(["s3cr3t-s1gnature".to_owned()]);
        let mut limits = rate_limit(&headers, &redactor);
        limits.sort();
        assert_eq!(
            limits,
            ["ratelimit: limit=100", "retry-after: 3", "x-ratelimit-remaining: 99", "x-ratelimit-user: …"]
        );
    }

    #[test]
    fn neither_values_nor_the_paths_of_links_are_told() {
        let origin: Url = "https://imatag.example/api/v3/".parse().unwrap();
        let table = [
            ("https://imatag.example/api/v3/media/7/", "/api/v3/media/7/"),
            (
                "https://imatag.example/api/v3/media/?directory=secret&page=2",
                "/api/v3/media/?directory=…&page=…",
            ),
            ("https://storage.example/a/key/file?X-Signature=abc", "https://storage.example/…"),
            ("https://user:word@storage.example/a", "https://storage.example/…"),
            ("https://af25c0ffee1234567890.example/a", "https://….example/…"),
            ("https://imatag.example/storage/key/file", "https://imatag.example/…"),
            (
                "https://imatag.example/api/v3/media/447ae05f-7b85-4341-94fb-926de18f81d5/",
                "/api/v3/media/447ae05f-7b85-4341-94fb-926de18f81d5/",
            ),
            (
                "https://imatag.example/api/v3/media/af25c0ffee1234567890abcdef123456/?af25c0ffee1234567890abcdef123456=1",
                "/api/v3/media/…/?…=…",
            ),
        ];
        for (url, shown) in table {
            let request = crate::plain_client().get(url).bearer_auth("t").build().unwrap();
            assert_eq!(target(&request, &origin), shown);
        }
        let long = format!("https://imatag.example/api/v3/{}", "next/".repeat(10_000));
        let request = crate::plain_client().get(long).bearer_auth("t").build().unwrap();
        assert_eq!(target(&request, &origin).len(), 200);
        let link =
            crate::plain_client().get("https://imatag.example/api/v3/results/key/file").build().unwrap();
        assert_eq!(target(&link, &origin), "https://imatag.example/…");
    }
}
