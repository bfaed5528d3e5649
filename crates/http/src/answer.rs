//! Reading answers that nobody vouches for: bounded, typed, and shown only in excerpts.

use std::time::Duration;

use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::redact::Redactor;
use super::{Operation, Sent, TransportError};
use common::parse_error::from_json;

/// Larger answers are read one at a time, since what they become takes several times their size.
const LARGE_BYTES: usize = 1 << 20;
static LARGE_ANSWER: Semaphore = Semaphore::const_new(1);

/// How much of an error's body is kept.
const MOST_TEXT_BYTES: usize = 4096;
/// How long nothing of a body may come.
const LONGEST_SILENCE: Duration = Duration::from_mins(1);
/// How long a body may take, however it comes.
const LONGEST_BODY: Duration = Duration::from_mins(10);
/// Characters of a request id that is shown as it is; a UUID has 36.
const LONGEST_ID: usize = 64;

/// An answer that arrived but is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The body was cut off.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// Not JSON by its content type.
    #[error("expected JSON, got {content_type:?}: {excerpt}")]
    NotJson {
        /// The content type it came with.
        content_type: String,
        /// The start of the body.
        excerpt: String,
    },
    /// JSON, but not of the expected shape.
    #[error("unexpected JSON: {0}")]
    Shape(String),
    /// Larger than any honest answer.
    #[error("an answer of more than {0} bytes")]
    TooLarge(usize),
}

/// Reads a JSON answer, checking its content type first: a 2xx with an error page has been seen.
pub async fn read_json<T: DeserializeOwned>(kind: Operation, response: Response) -> Result<T, AnswerError> {
    let (content_type, redactor) = (content_type(&response), Redactor::in_answer(&response));
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !(media_type.eq_ignore_ascii_case("application/json") || media_type.ends_with("+json")) {
        let content_type = redactor.excerpt(&content_type);
        // What is no web page may be the answer all the same, and hold a secret; where tokens come from, any may be.
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
    // It would go wherever the value goes that holds it: an id into messages, a name into reports.
    if redactor.repeats_credential(&body) {
        return Err(AnswerError::Shape("it repeats the credential".to_owned()));
    }
    from_json(&mut serde_json::Deserializer::from_slice(&body))
        .map_err(|said| AnswerError::Shape(redactor.excerpt(&said)))
}

/// Other XML may be the answer in another form.
fn is_page(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["<!doctype html", "<html"].iter().any(|start| text.starts_with(start))
}

/// Values in a JSON text, or more of them where its strings hold such characters.
fn values(json: &[u8]) -> usize {
    json.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count()
}

/// Reads the start of an answer for an error's text; what cannot be read is left out.
pub async fn read_text(response: Response) -> String {
    read_said(response, [], |_| None).await
}

/// The same, where the service's own sentence may be found in it.
pub async fn read_sentence(response: Response, sentence: impl FnOnce(&str) -> Option<String>) -> String {
    read_said(response, [], sentence).await
}

/// The same without the signatures among these values, which the request held in its body.
pub async fn read_text_without(response: Response, values: impl IntoIterator<Item = String>) -> String {
    read_said(response, values, |_| None).await
}

async fn read_said(
    response: Response,
    values: impl IntoIterator<Item = String>,
    sentence: impl FnOnce(&str) -> Option<String>,
) -> String {
    let redactor = Redactor::in_answer(&response).and_signatures(values);
    match read_bounded(response, MOST_TEXT_BYTES).await {
        Ok(Bounded { body, .. }) => said_in(&body, sentence, &redactor),
        Err(error) => format!("(body unreadable: {error})"),
    }
}

/// What is shown of the start of an answer: of a sentence in it, or else of the whole.
pub fn said_in(body: &[u8], sentence: impl FnOnce(&str) -> Option<String>, redactor: &Redactor) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(MOST_TEXT_BYTES)]);
    redactor.excerpt(&sentence(&text).unwrap_or_else(|| text.into_owned()))
}

/// An excerpt of what the head of an answer holds.
pub fn quoted(response: &Response, text: &str) -> String {
    Redactor::in_answer(response).excerpt(text)
}

/// The id under which a service's support finds a request.
pub fn request_id(response: &Response) -> Option<String> {
    let id = response.headers().get("x-request-id")?.to_str().ok()?;
    let is_id = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    let is_shown =
        id.len() <= LONGEST_ID && id.chars().all(is_id) && !Redactor::in_answer(response).is_in_id(id);
    Some(if is_shown { id.to_owned() } else { quoted(response, id) })
}

fn content_type(response: &Response) -> String {
    let header = response.headers().get(CONTENT_TYPE);
    String::from_utf8_lossy(header.map(reqwest::header::HeaderValue::as_bytes).unwrap_or_default())
        .into_owned()
}

/// The beginning of a body.
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
            // Never closed. The holder of the turn reads within the deadline of its request.
            turn = LARGE_ANSWER.acquire().await.ok();
        }
        let room = most - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Ok(Bounded { body, is_whole: false, _turn: turn });
        }
    }
}
