//! Reads responses as untrusted input: bounded, typed, and shown only in excerpts.

use std::time::Duration;

use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::redact::Redactor;
use super::{Operation, Sent, TransportError};
use common::parse_error::from_json;

/// Larger responses are decoded one at a time, since the result takes several times their size.
const LARGE_BYTES: usize = 1 << 20;
static LARGE_ANSWER: Semaphore = Semaphore::const_new(1);

/// How much of an error's body is read.
const MOST_TEXT_BYTES: usize = 4096;
/// How long a body may stall.
const LONGEST_SILENCE: Duration = Duration::from_mins(1);
/// How long a body may take in all.
const LONGEST_BODY: Duration = Duration::from_mins(10);
/// The longest request id that is shown unchanged; a UUID has 36 characters.
const LONGEST_ID: usize = 64;

/// A response that arrived but is not what was requested.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The body broke off.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The content type is not JSON.
    #[error("expected JSON, got {content_type:?}: {excerpt}")]
    NotJson {
        /// The response's content type.
        content_type: String,
        /// The start of the body.
        excerpt: String,
    },
    /// JSON of another shape than expected.
    #[error("unexpected JSON: {0}")]
    Shape(String),
    /// Larger than any correct response.
    #[error("an answer of more than {0} bytes")]
    TooLarge(usize),
}

/// Reads a JSON response. Checks the content type first, since error pages have come with a status of 2xx.
pub async fn read_json<T: DeserializeOwned>(kind: Operation, response: Response) -> Result<T, AnswerError> {
    let (content_type, redactor) = (content_type(&response), Redactor::in_answer(&response));
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !(media_type.eq_ignore_ascii_case("application/json") || media_type.ends_with("+json")) {
        let content_type = redactor.excerpt(&content_type);
        // A response that is not a web page may still be the real one, and hold a secret; where tokens are issued,
        // any response may.
        let is_token = matches!(kind, Operation::SignIn | Operation::ImatagSignIn);
        let text = if is_token { String::new() } else { read_text(response).await };
        let excerpt = if is_page(&text) { text } else { "no web page".to_owned() };
        return Err(AnswerError::NotJson { content_type, excerpt });
    }
    let most = kind.most_answer_bytes();
    let Bounded { body, is_whole, _turn } = read_bounded(response, most).await?;
    if values(&body) > kind.most_answer_values() {
        return Err(AnswerError::Shape(format!("it has more than {} values", kind.most_answer_values())));
    }
    if !is_whole {
        return Err(AnswerError::TooLarge(most));
    }
    // The secret would follow the value that contains it: an id into messages, a name into reports.
    if redactor.repeats_credential(&body) {
        return Err(AnswerError::Shape("it repeats the credential".to_owned()));
    }
    from_json(&mut serde_json::Deserializer::from_slice(&body))
        .map_err(|said| AnswerError::Shape(redactor.excerpt(&said)))
}

/// Other XML may be the response in another form.
fn is_page(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["<!doctype html", "<html"].iter().any(|start| text.starts_with(start))
}

/// The number of values in a JSON text; strings with the same characters only raise it.
fn values(json: &[u8]) -> usize {
    json.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count()
}

/// Reads the start of a response for an error's text; returns an empty text if it cannot be read.
pub async fn read_text(response: Response) -> String {
    read_said(response, [], |_| None).await
}

/// The same, for a response that may contain the service's own sentence.
pub async fn read_sentence(response: Response, sentence: impl FnOnce(&str) -> Option<String>) -> String {
    read_said(response, [], sentence).await
}

/// The same without the signatures among these values, which the request carried in its body.
pub async fn read_text_without(response: Response, values: impl IntoIterator<Item = String>) -> String {
    read_said(response, values, |_| None).await
}

async fn read_said(
    response: Response,
    values: impl IntoIterator<Item = String>,
    sentence: impl FnOnce(&str) -> Option<String>,
) -> String {
    let redactor = Redactor::in_answer(&response);
    match read_bounded(response, MOST_TEXT_BYTES).await {
        // The values are copied only now: many responses may be awaited at once.
        Ok(Bounded { body, .. }) => said_in(&body, sentence, &redactor.and_signatures(values)),
        Err(error) => format!("(body unreadable: {error})"),
    }
}

/// What to show of the start of a response: a sentence in it, or else the whole.
pub fn said_in(body: &[u8], sentence: impl FnOnce(&str) -> Option<String>, redactor: &Redactor) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(MOST_TEXT_BYTES)]);
    redactor.excerpt(&sentence(&text).unwrap_or_else(|| text.into_owned()))
}

/// An excerpt of a header's value.
pub fn quoted(response: &Response, text: &str) -> String {
    Redactor::in_answer(response).excerpt(text)
}

/// The id by which a service's support finds a request.
pub fn request_id(response: &Response) -> Option<String> {
    let id = response.headers().get("x-request-id")?.to_str().ok()?;
    let is_id = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    let redactor = Redactor::in_answer(response);
    let is_secret = redactor.is_in_id(id) || redactor.has_piece_in(id);
    let is_shown = id.len() <= LONGEST_ID && id.chars().all(is_id) && !is_secret;
    Some(if is_shown { id.to_owned() } else { quoted(response, id) })
}

fn content_type(response: &Response) -> String {
    let header = response.headers().get(CONTENT_TYPE);
    String::from_utf8_lossy(header.map(reqwest::header::HeaderValue::as_bytes).unwrap_or_default())
        .into_owned()
}

/// The start of a body.
struct Bounded {
    body: Vec<u8>,
    is_whole: bool,
    /// Held until a large body is decoded.
    _turn: Option<SemaphorePermit<'static>>,
}

async fn read_bounded(mut response: Response, most: usize) -> Result<Bounded, TransportError> {
    let mut body = Vec::new();
    let mut turn = None;
    // The request's own timeout covers this, except after a file was sent, where only the head had a deadline.
    let last = Instant::now() + LONGEST_BODY;
    let silence = |_| TransportError { sent: Sent::Maybe, reason: "the answer broke off".to_owned() };
    loop {
        let until = last.min(Instant::now() + LONGEST_SILENCE);
        let chunk = tokio::time::timeout_at(until, response.chunk()).await.map_err(silence)?;
        let Some(chunk) = chunk.map_err(|error| TransportError::from_reqwest(&error))? else {
            return Ok(Bounded { body, is_whole: true, _turn: turn });
        };
        if body.len() + chunk.len() > LARGE_BYTES && turn.is_none() {
            // The semaphore is never closed. Its holder reads within the deadline of its request.
            turn = LARGE_ANSWER.acquire().await.ok();
        }
        let room = most - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Ok(Bounded { body, is_whole: false, _turn: turn });
        }
    }
}
