//! Reading answers that nobody vouches for: bounded, typed, and shown only in excerpts.

use std::time::Duration;

use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::runs::plain;
use super::unsaid::{SHORTEST_SIGNATURE, Unsaid, names_signature};
use super::{Operation, Sent, TransportError};
use crate::parse_error::from_json;

/// Larger answers are read one at a time, since what they become takes several times their size.
const LARGE_BYTES: usize = 1 << 20;
static LARGE_ANSWER: Semaphore = Semaphore::const_new(1);

/// How much of an error's body is kept.
const MOST_TEXT_BYTES: usize = 4096;
const LONGEST_SILENCE: Duration = Duration::from_mins(1);
/// How long a body may take, however it comes.
const LONGEST_BODY: Duration = Duration::from_mins(10);
const EXCERPT_CHARACTERS: usize = 200;

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
    let (content_type, unsaid) = (content_type(&response), Unsaid::in_answer(&response));
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !(media_type.eq_ignore_ascii_case("application/json") || media_type.ends_with("+json")) {
        let content_type = unsaid.excerpt(&content_type);
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
    if unsaid.repeats_credential(&body) {
        return Err(AnswerError::Shape("it repeats the credential".to_owned()));
    }
    from_json(&mut serde_json::Deserializer::from_slice(&body))
        .map_err(|said| AnswerError::Shape(unsaid.excerpt(&said)))
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
    read_text_without(response, []).await
}

/// The same without the signatures among these values, which the request held in its body.
pub async fn read_text_without(response: Response, values: impl IntoIterator<Item = String>) -> String {
    let unsaid = Unsaid::in_answer(&response).and_signatures(values);
    match read_bounded(response, MOST_TEXT_BYTES).await {
        Ok(Bounded { body, .. }) => unsaid.excerpt(&String::from_utf8_lossy(&body)),
        Err(error) => format!("(body unreadable: {error})"),
    }
}

/// What is shown of the start of an answer.
pub(crate) fn text_of(body: &[u8]) -> String {
    excerpt(&String::from_utf8_lossy(&body[..body.len().min(MOST_TEXT_BYTES)]))
}

/// One line of at most 200 characters, free of control characters.
pub fn excerpt(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    without_links(&line).chars().take(EXCERPT_CHARACTERS).collect()
}

/// The text without what follows the scheme of a link, whose path and query may let anybody in, and without any word that
/// holds a link, or a part of one, in another spelling.
fn without_links(text: &str) -> String {
    text.split_inclusive([' ', '"', '<', '>'])
        .flat_map(|word| {
            let (word, end) = word.split_at(word.trim_end_matches([' ', '"', '<', '>']).len());
            // In JSON, slashes may be escaped.
            let starts = ["://", r":\/\/"].iter();
            let start = starts.filter_map(|start| Some(word.find(start)? + start.len())).min();
            let (before, link) = word.split_at(start.unwrap_or(word.len()));
            match (holds_link(before), start.is_some()) {
                (true, _) => ["…", "", end],
                (false, true) => [before, "…", end],
                (false, false) => [before, link, end],
            }
        })
        .collect()
}

/// Whether the word holds the host of a link, or a value of a query as long as a signature, after all layers of escapes.
fn holds_link(word: &str) -> bool {
    let plain = String::from_utf8_lossy(&plain(word.as_bytes())).to_ascii_lowercase();
    let is_long = |value: &str| value.len() >= SHORTEST_SIGNATURE;
    let names = |pair: &str, named: fn(&str) -> bool| {
        pair.split_once('=').is_some_and(|(name, value)| named(name) && is_long(value))
    };
    plain.split("//").skip(1).any(|host| host.starts_with(|c: char| c.is_alphanumeric() || c == '['))
        || plain.split('?').skip(1).any(is_long)
        || plain.split('&').skip(1).any(|pair| names(pair, |_| true))
        || plain.split(|c: char| "?&;,{(' \"".contains(c)).any(|pair| names(pair, names_signature))
}

/// An excerpt of what the head of an answer holds.
pub fn quoted(response: &Response, text: &str) -> String {
    Unsaid::in_answer(response).excerpt(text)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_one_short_line_without_links() {
        for (text, shown) in [
            ("no  such\tasset\n", "no such asset"),
            ("moved to https://u:w@bucket.example/f?X-Amz-Signature=abc here", "moved to https://… here"),
            (r#"<a href="https://a.example/f?a=b&amp;c=d">x</a>"#, r#"<a href="https://…">x</a>"#),
            (r#"{"a":"https:\/\/a.example\/f","b":"s3://c/d"}"#, r#"{"a":"https:\/\/…","b":"s3://…"}"#),
            ("https://", "https://…"),
            ("see https:&#x2F;&#x2F;a.example&#x2F;f?x=1 here", "see … here"),
            ("see https:&sol;&sol;a.example&sol;f here", "see … here"),
            ("see https%3A%2F%2Fa.example%2Ff here", "see … here"),
            (r"see https:\u002f\u002fa.example\u002ff here", "see … here"),
            (r#"{\"a\":\"https:\\/\\/a.example\\/f\"}"#, r#"{\"a\":\"…"}"#),
            ("see //a.example/f?x=1 here", "see … here"),
            ("see https://a.example/it's%27f?x=1 here", "see https://… here"),
            ("see f?Signature=0123456789abcdef here", "see … here"),
            ("see f%3Fa=b%26sig%3D0123456789abcdef here", "see … here"),
            ("see f?a=b&amp;x=0123456789abcdef here", "see … here"),
            ("see sig=0123456789abcdef&u=https://a.example/ here", "see … here"),
            ("Signature=0123456789abcdef, Signature='x'", "… Signature='x'"),
            ("is it? yes & no // 1=1, id=0123456789abcdef", "is it? yes & no // 1=1, id=0123456789abcdef"),
        ] {
            assert_eq!(excerpt(text), shown);
        }
        assert_eq!(excerpt(&"x".repeat(1000)).len(), EXCERPT_CHARACTERS);
    }
}
