//! Requests as the handlers see them, and responses.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use crate::delivery;
use crate::world::SandboxState;
use sample_files::Defect;

/// A request with its path and query parsed.
pub(crate) struct Call {
    pub(crate) path: Vec<String>,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: HeaderMap,
    pub(crate) request: Request,
    /// The defect of a watermark made for this request.
    pub(crate) defect: Option<Defect>,
}

impl Call {
    pub(crate) fn new(request: Request) -> Self {
        let path = request.uri().path().split('/').filter(|part| !part.is_empty()).map(decode).collect();
        let query = pairs(request.uri().query().unwrap_or_default());
        Self { path, query, headers: request.headers().clone(), request, defect: None }
    }

    pub(crate) fn segments(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A flag in the query, as 1 or true.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.query.get(name).is_some_and(|value| matches!(value.as_str(), "1" | "true" | "True"))
    }

    /// The fields of a form, urlencoded or multipart, by lower-case name.
    pub(crate) async fn form(self) -> BTreeMap<String, String> {
        let is_multipart = self.header("content-type").is_some_and(|kind| kind.starts_with("multipart/"));
        let mut fields = BTreeMap::new();
        if is_multipart {
            let Ok(mut form) = Multipart::from_request(self.request, &()).await else { return fields };
            while let Ok(Some(field)) = form.next_field().await {
                let name = field.name().unwrap_or_default().to_lowercase();
                fields.insert(name, field.text().await.unwrap_or_default());
            }
        } else {
            let body = axum::body::to_bytes(self.request.into_body(), 4 << 20).await.unwrap_or_default();
            for (name, value) in pairs(&String::from_utf8_lossy(&body)) {
                fields.insert(name.to_lowercase(), value);
            }
        }
        fields
    }
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(&name.replace('+', " ")), decode(&value.replace('+', " ")))
        })
        .collect()
}

pub(crate) fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

pub(crate) fn answer(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// An error response of the portal, which repeats the status as a string.
pub(crate) fn refuse(status: u16, message: &str) -> Response {
    answer(status, &json!({"message": message, "statuscode": status.to_string()}))
}

pub(crate) fn text(status: u16, body: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "text/plain")], body.to_owned()).into_response()
}

/// Streams a file: all of it, or the requested range if the `ETag` still matches.
pub(crate) async fn file(
    shared: &SandboxState,
    headers: &HeaderMap,
    path: &std::path::Path,
    media_type: &str,
) -> Response {
    let Ok(mut file) = tokio::fs::File::open(path).await else { return text(404, "no such file") };
    let length = file.metadata().await.map(|metadata| metadata.len()).unwrap_or_default();
    // Files have unique names and never change, so the name is the `ETag`.
    let etag = format!("\"{}\"", path.file_name().unwrap_or_default().to_string_lossy());
    let header = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let range = header(header::RANGE)
        .filter(|_| header(header::IF_RANGE).is_none_or(|wanted| wanted == etag))
        .and_then(|range| range.strip_prefix("bytes=")?.split_once('-'))
        .and_then(|(start, last)| Some((start.parse::<u64>().ok()?, last.parse::<u64>().ok())))
        .filter(|(start, _)| *start < length);
    let begin = range.map(|(start, _)| start).unwrap_or_default();
    let end = range.and_then(|(_, last)| last).map_or(length, |last| length.min(last + 1)).max(begin);
    if file.seek(std::io::SeekFrom::Start(begin)).await.is_err() {
        return text(500, "the file cannot be read");
    }
    let stream = tokio_util::io::ReaderStream::with_capacity(file.take(end - begin), 256 << 10);
    let stream = delivery::sent(shared, path.to_owned(), begin, length, stream);
    let headers = [
        (header::CONTENT_TYPE, media_type.to_owned()),
        (header::CONTENT_LENGTH, (end - begin).to_string()),
        (header::ETAG, etag),
    ];
    let mut answer = (headers, Body::from_stream(stream)).into_response();
    if range.is_some() {
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        if let Ok(range) = format!("bytes {begin}-{}/{length}", end - 1).parse() {
            answer.headers_mut().insert(header::CONTENT_RANGE, range);
        }
    }
    if shared.options.announces_no_length {
        answer.headers_mut().remove(header::CONTENT_LENGTH);
    }
    answer
}
