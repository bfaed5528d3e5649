//! The fake S3: takes parts, sends files, and reports credentials that do not belong there.

use axum::extract::{FromRequest, Multipart};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::TryStreamExt;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::io::AsyncWriteExt;
use tokio_util::io::StreamReader;

use crate::audit::judge_part;
use crate::call::{Call, file};
use crate::endpoint::Endpoint;
use crate::page;
use crate::violation::ViolationKind;
use crate::world::SandboxState;

/// The fields that the upload's policy requires.
const POLICY_FIELDS: [&str; 9] = [
    "acl",
    "success_action_status",
    "content-type",
    "policy",
    "x-amz-signature",
    "x-amz-credential",
    "x-amz-algorithm",
    "name",
    "filename",
];

fn xml(status: u16, code: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code></Error>");
    (status, [(header::CONTENT_TYPE, "application/xml")], body).into_response()
}

pub(crate) async fn handle(shared: &SandboxState, endpoint: Endpoint, call: Call) -> Response {
    if call.headers.contains_key("authorization") {
        let detail = format!("a credential came to storage: {}", call.path.join("/"));
        shared.world().violate(ViolationKind::CredentialLeaked, "", detail);
        return xml(400, "InvalidArgument");
    }
    if endpoint == Endpoint::StoragePart {
        return part(shared, call).await;
    }
    if endpoint == Endpoint::StorageThumbnail {
        let id = call.path.get(2).map_or("", String::as_str);
        let active = shared.world().asset(id).map(|asset| asset.active);
        return page::thumbnail(shared, id, active.unwrap_or_default()).await;
    }
    let secret = call.path.get(2).cloned().unwrap_or_default();
    let found = shared.world().links.get(&secret).cloned();
    match found {
        Some(link) if link.expires > std::time::Instant::now() => {
            let mut answer = file(shared, &call.headers, &link.file, link.media_type).await;
            if let Some(name) = link.file_name
                && let Ok(disposition) = disposition(&name).parse()
            {
                answer.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
            }
            answer
        }
        _ => xml(403, "AccessDenied"),
    }
}

/// `Content-Disposition` with the name in both forms: in ASCII for old clients, and complete.
fn disposition(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_graphic() && !matches!(c, '"' | '\\') { c } else { '_' })
        .collect();
    format!(
        "attachment; filename=\"{plain}\"; filename*=UTF-8''{}",
        utf8_percent_encode(name, NON_ALPHANUMERIC)
    )
}

async fn part(shared: &SandboxState, call: Call) -> Response {
    let Ok(mut form) = Multipart::from_request(call.request, &()).await else {
        return xml(400, "MalformedPOSTRequest");
    };
    let (mut names, mut key) = (Vec::new(), String::new());
    while let Ok(Some(field)) = form.next_field().await {
        let name = field.name().unwrap_or_default().to_lowercase();
        if name == "file" {
            judge_part(shared, &field);
            if POLICY_FIELDS.iter().any(|wanted| !names.iter().any(|name| name == wanted)) {
                return xml(403, "AccessDenied");
            }
            let path = shared.new_path();
            let stored = async {
                let body = field.map_err(std::io::Error::other);
                let body = body.and_then(|piece| async {
                    shared.line.carry_up(piece.len()).await;
                    Ok(piece)
                });
                let body = std::pin::pin!(body);
                let mut file = tokio::fs::File::create(&path).await?;
                tokio::io::copy(&mut StreamReader::new(body), &mut file).await?;
                file.flush().await
            };
            if stored.await.is_err() {
                return xml(400, "IncompleteBody");
            }
            return keep(shared, &key, path);
        }
        let value = field.text().await.unwrap_or_default();
        if name == "key" {
            key = value;
        }
        names.push(name);
    }
    xml(400, "InvalidArgument")
}

fn keep(shared: &SandboxState, key: &str, path: std::path::PathBuf) -> Response {
    let mut world = shared.world();
    let Some((base, number)) =
        key.rsplit_once("/p").and_then(|(base, number)| Some((base, number.parse().ok()?)))
    else {
        return xml(403, "AccessDenied");
    };
    let Some(upload) = world.uploads.values_mut().find(|upload| upload.key == base) else {
        return xml(403, "AccessDenied");
    };
    upload.parts.insert(number, path);
    world.parts.send_modify(|parts| *parts += 1);
    (StatusCode::CREATED, [(header::CONTENT_TYPE, "application/xml")], "<PostResponse/>").into_response()
}
