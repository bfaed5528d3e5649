//! The fake Imatag: one store with three wire formats.

mod answer;
mod find;
mod submit;

use std::time::Instant;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use serde_json::json;

use crate::call::{Call, answer, file, text};
use crate::endpoint::{Endpoint, Wire};
use crate::violation::ViolationKind;
use crate::world::{Link, Medium, MediumState, SECRET_MARK, SandboxState};

use answer::shown;

pub(crate) async fn handle(shared: &SandboxState, endpoint: Endpoint, call: Call) -> Response {
    let wire = Endpoint::wire(&call.segments());
    let mut response = match endpoint {
        Endpoint::ImatagToken => token(shared, call).await,
        Endpoint::ImatagLink => link(shared, &call.path, &call.headers).await,
        _ if !is_signed(shared, wire, &call) => {
            let status = if shared.options.refuses_credentials_with_403 { 403 } else { 401 };
            answer(status, &json!({"detail": "Invalid token.", "problem": {"text": "Invalid token."}}))
        }
        Endpoint::Submit => submit::submit(shared, wire, call).await,
        Endpoint::MediumStatus => status(shared, wire, &call),
        Endpoint::MediumResult => {
            let host = call.header("host").unwrap_or_default().to_owned();
            result(shared, wire, call.path, &call.headers, &host).await
        }
        Endpoint::MediumFind if wire != Wire::Link => find::find(shared, wire, &call),
        _ => answer(404, &json!({"detail": "Not found."})),
    };
    let request_id = uuid::Uuid::new_v4().to_string();
    if let Ok(value) = request_id.parse() {
        response.headers_mut().insert("X-Request-Id", value);
    }
    response.headers_mut().insert("X-RateLimit-Limit", header::HeaderValue::from_static("1000"));
    response
}

fn is_signed(shared: &SandboxState, wire: Wire, call: &Call) -> bool {
    let header = call.header("authorization").unwrap_or_default();
    let key = &shared.credentials.api_key;
    let is_token =
        || header.strip_prefix("Bearer ").is_some_and(|token| shared.world().issued_tokens.contains(token));
    match wire {
        Wire::Assumed => header == format!("Token {key}") || is_token(),
        Wire::Bytes => header == format!("Bearer {key}"),
        Wire::Link => is_token(),
    }
}

async fn token(shared: &SandboxState, call: Call) -> Response {
    let header = call.header("authorization").unwrap_or_default().to_owned();
    let credentials = format!("{}:{}", shared.credentials.client_id, shared.credentials.client_secret);
    let wanted = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(credentials));
    let form = call.form().await;
    if header != wanted || form.get("grant_type").is_none_or(|grant| grant != "client_credentials") {
        return answer(401, &json!({"error": "invalid_client"}));
    }
    let mut world = shared.world();
    let token = world.secret();
    world.issued_tokens.insert(token.clone());
    answer(200, &json!({"access_token": token, "expires_in": 3600, "token_type": "Bearer"}))
}

fn status(shared: &SandboxState, wire: Wire, call: &Call) -> Response {
    let mut world = shared.world();
    let id = call.path.last().cloned().unwrap_or_default();
    let host = call.header("host").unwrap_or_default();
    match world.media.get(&id) {
        None => answer(404, &json!({"detail": "Not found."})),
        Some(medium) if wire == Wire::Link && medium.is_ready() => {
            let link = store_link(&mut world, shared, host, &id);
            answer(200, &json!({"data": {"uuid": id, "state": "ok", "links": {"result": link}}}))
        }
        Some(medium) => answer(200, &shown(wire, medium)),
    }
}

/// Makes a signed, short-lived link to a finished medium's file.
fn store_link(world: &mut crate::world::World, shared: &SandboxState, host: &str, id: &str) -> String {
    let secret = world.secret();
    let expires = Instant::now() + shared.options.link_lifetime;
    if let Some(MediumState::Working { result, .. }) = world.media.get(id).map(|medium| &medium.state) {
        let link =
            Link { file: result.path.clone(), media_type: result.media_type(), file_name: None, expires };
        world.links.insert(secret.clone(), link);
    }
    format!("http://{host}/imatag-storage/{secret}?signature={SECRET_MARK}-signature")
}

async fn result(
    shared: &SandboxState,
    wire: Wire,
    path: Vec<String>,
    headers: &HeaderMap,
    host: &str,
) -> Response {
    let id = path.iter().rev().find(|part| *part != "watermarked").cloned().unwrap_or_default();
    let (path, media_type, link) = {
        let mut world = shared.world();
        let Some(medium) = world.media.get(&id).filter(|medium| medium.is_ready()) else {
            return answer(404, &json!({"detail": "Not found."}));
        };
        let MediumState::Working { result, .. } = &medium.state else {
            return answer(404, &json!({"detail": "Not found."}));
        };
        let found = (result.path.clone(), result.media_type());
        (found.0, found.1, store_link(&mut world, shared, host, &id))
    };
    match wire {
        Wire::Assumed => (StatusCode::FOUND, [(header::LOCATION, link)], Body::empty()).into_response(),
        Wire::Bytes | Wire::Link => file(shared, headers, &path, media_type).await,
    }
}

async fn link(shared: &SandboxState, path: &[String], headers: &HeaderMap) -> Response {
    if headers.contains_key("authorization") {
        shared.world().violate(ViolationKind::CredentialLeaked, "", "a credential came to Imatag's storage");
        return text(400, "no credential belongs here");
    }
    let secret = path.get(1).cloned().unwrap_or_default();
    let found =
        shared.world().links.get(&secret).map(|link| (link.file.clone(), link.media_type, link.expires));
    match found {
        Some((path, media_type, expires)) if expires > Instant::now() => {
            file(shared, headers, &path, media_type).await
        }
        _ => text(403, "expired"),
    }
}

impl Medium {
    pub(crate) fn is_ready(&self) -> bool {
        matches!(&self.state, MediumState::Working { ready_at, .. } if *ready_at <= Instant::now())
    }
}
