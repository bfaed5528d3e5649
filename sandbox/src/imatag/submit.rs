//! Submitting a file; every submit gets another watermark.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use axum::extract::{FromRequest, Multipart};
use axum::http::HeaderMap;
use axum::response::Response;
use futures::TryStreamExt;
use rand::RngExt;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio_util::io::StreamReader;

use super::answer::{shown, status_word};
use crate::audit::{judge_medium, judge_part};
use crate::call::{Call, answer, decode, file};
use crate::endpoint::Wire;
use crate::violation::ViolationKind;
use crate::world::{Medium, MediumState, Output, SandboxState, StoredFile, hash_file};
use sample_files::{Defect, Unsupported, watermark};

/// What the request contained.
#[derive(Default)]
struct Arrived {
    file: Option<PathBuf>,
    name: Option<String>,
    directory: Option<String>,
    metadata: BTreeMap<String, String>,
    product: Option<String>,
}

pub(super) async fn submit(shared: &SandboxState, wire: Wire, call: Call) -> Response {
    let host = call.header("host").unwrap_or_default().to_owned();
    let defect = call.defect;
    let arrived = match wire {
        Wire::Bytes => raw(shared, call).await,
        Wire::Assumed | Wire::Link => form(shared, wire, call).await,
    };
    let Some(arrived) = arrived else { return refuse(wire, 400, "the upload broke off") };
    let (Some(path), Some(directory), Some(_)) = (arrived.file, arrived.directory, arrived.name) else {
        return refuse(wire, 400, "file, name and directory are required");
    };
    if wire == Wire::Link && arrived.product.as_deref() != Some("invisible") {
        return refuse(wire, 400, "product is required");
    }
    let asset = arrived.metadata.get("bynder_media_id");
    if asset.is_some_and(|id| shared.world().breaks_imatag.contains(id)) {
        return refuse(wire, 500, "internal server error");
    }
    let homedir = &shared.credentials.homedir;
    if directory != *homedir && !directory.starts_with(&format!("{homedir}/")) {
        let asset = arrived.metadata.get("bynder_media_id").cloned().unwrap_or_default();
        shared.world().violate(ViolationKind::OutsideDirectory, &asset, format!("directory {directory:?}"));
        return refuse(wire, 403, "this directory is not below your homedir");
    }
    let marked = tokio::task::spawn_blocking({
        let shared = shared.clone();
        move || mark(&shared, &path, defect)
    });
    let (original, result) = match marked.await {
        Ok(Ok(found)) => found,
        Ok(Err(reason)) => return refuse(wire, 415, &reason),
        Err(error) => return refuse(wire, 500, &error.to_string()),
    };
    keep(shared, wire, &host, directory, arrived.metadata, original, result).await
}

/// Watermarks the file, unless it is watermarked already.
fn mark(
    shared: &SandboxState,
    path: &std::path::Path,
    defect: Option<Defect>,
) -> Result<(StoredFile, Option<StoredFile>), String> {
    let original = hash_file(path).map_err(|error| error.to_string())?;
    if original.bytes == 0 {
        return Err("the file is empty".to_owned());
    }
    let mark = {
        let mut world = shared.world();
        if world.outputs.contains_key(&original.sha256) {
            return Ok((original, None));
        }
        world.random.random()
    };
    let target = shared.new_path();
    watermark(path, &target, mark).map_err(|error| match error {
        Unsupported::Kind => "this kind of file cannot be watermarked".to_owned(),
        Unsupported::Damaged => "the file is damaged".to_owned(),
        Unsupported::Io(error) => error.to_string(),
    })?;
    if let Some(defect) = defect {
        let flawed = std::fs::read(&target).map(|file| defect.applied_to(file));
        flawed.and_then(|file| std::fs::write(&target, file)).map_err(|error| error.to_string())?;
    }
    let result = hash_file(&target).map_err(|error| error.to_string())?;
    Ok((original, Some(result)))
}

async fn keep(
    shared: &SandboxState,
    wire: Wire,
    host: &str,
    directory: String,
    metadata: BTreeMap<String, String>,
    original: StoredFile,
    result: Option<StoredFile>,
) -> Response {
    let (id, response, bytes) = {
        let mut world = shared.world();
        let id = uuid::Uuid::new_v4().to_string();
        let asset = metadata.get("bynder_media_id").cloned().unwrap_or_default();
        // The wire that responds with the bytes has to have them now.
        let has_them = wire == Wire::Bytes && !shared.options.shown_when_done;
        let time = if has_them { std::time::Duration::ZERO } else { shared.options.watermark_time };
        let state = match &result {
            Some(result) => {
                let output =
                    Output { original: original.sha256.clone(), asset, result: Some(result.path.clone()) };
                world.outputs.insert(result.sha256.clone(), output);
                MediumState::Working { ready_at: Instant::now() + time, result: result.clone() }
            }
            None => MediumState::AlreadyProtected,
        };
        let number = world.media.len();
        let medium = Medium { id: id.clone(), number, directory, metadata, original, state };
        judge_medium(&mut world, &medium);
        let response = match (wire, &medium.state) {
            (Wire::Assumed, _) => answer(201, &json!({"id": id, "status": status_word(wire, &medium)})),
            (Wire::Bytes, MediumState::AlreadyProtected) => {
                answer(409, &json!({"state": "OWN_MARK", "ref": id}))
            }
            (Wire::Link, _) if !medium.is_ready() => answer(200, &shown(wire, &medium)),
            // The bytes, or the link to them, are added below.
            (Wire::Bytes, MediumState::Working { .. }) | (Wire::Link, _) => answer(200, &json!(null)),
        };
        let has_link = wire == Wire::Link && medium.is_ready();
        let bytes = result.filter(|_| wire == Wire::Bytes);
        world.media.insert(id.clone(), medium);
        if has_link {
            let link = super::store_link(&mut world, shared, host, &id);
            return answer(200, &json!({"data": {"uuid": id, "state": "ok", "links": {"result": link}}}));
        }
        (id, response, bytes)
    };
    let Some(result) = bytes else { return response };
    tokio::time::sleep(shared.options.watermark_time).await;
    let mut response = file(shared, &HeaderMap::new(), &result.path, result.media_type()).await;
    if let Ok(value) = id.parse() {
        response.headers_mut().insert("X-Medium-Ref", value);
    }
    response
}

fn refuse(wire: Wire, status: u16, reason: &str) -> Response {
    let body = match wire {
        Wire::Assumed => json!({"detail": reason}),
        Wire::Bytes => json!({"problem": {"text": reason}}),
        Wire::Link => json!({"data": {"reason": reason}}),
    };
    let status = if wire == Wire::Bytes && status == 415 { 422 } else { status };
    answer(status, &body)
}

async fn raw(shared: &SandboxState, call: Call) -> Option<Arrived> {
    let headers = call.headers;
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(decode);
    let mut arrived =
        Arrived { name: header("x-file-name"), directory: header("x-folder"), ..Arrived::default() };
    for key in ["bynder_media_id", "original_sha256"] {
        if let Some(value) = header(&format!("x-meta-{key}")) {
            arrived.metadata.insert(key.to_owned(), value);
        }
    }
    let body = call.request.into_body().into_data_stream().map_err(std::io::Error::other);
    arrived.file = Some(store(shared, body).await?);
    Some(arrived)
}

async fn form(shared: &SandboxState, wire: Wire, call: Call) -> Option<Arrived> {
    let (file_field, name_field, directory_field) = match wire {
        Wire::Link => ("upload", "title", "folder"),
        Wire::Assumed | Wire::Bytes => ("file", "filename", "directory"),
    };
    let mut form = Multipart::from_request(call.request, &()).await.ok()?;
    let mut arrived = Arrived::default();
    while let Some(field) = form.next_field().await.ok()? {
        let name = field.name().unwrap_or_default().to_owned();
        if name == file_field {
            judge_part(shared, &field);
            arrived.file = Some(store(shared, field.map_err(std::io::Error::other)).await?);
            continue;
        }
        let value = field.text().await.ok()?;
        if name == name_field {
            arrived.name = Some(value);
        } else if name == directory_field {
            arrived.directory = Some(value);
        } else if name == "metadata" {
            arrived.metadata = serde_json::from_str(&value).unwrap_or_default();
        } else if name == "product" {
            arrived.product = Some(value);
        } else if let Some(key) = name.strip_prefix("meta.") {
            arrived.metadata.insert(key.to_owned(), value);
        }
    }
    Some(arrived)
}

async fn store<S>(shared: &SandboxState, body: S) -> Option<PathBuf>
where
    S: futures::Stream<Item = std::io::Result<bytes::Bytes>> + Unpin,
{
    let path = shared.new_path();
    let mut file = tokio::fs::File::create(&path).await.ok()?;
    let body = body.and_then(|piece| async {
        shared.line.carry_up(piece.len()).await;
        Ok(piece)
    });
    let body = std::pin::pin!(body);
    tokio::io::copy(&mut StreamReader::new(body), &mut file).await.ok()?;
    file.flush().await.ok()?;
    Some(path)
}
