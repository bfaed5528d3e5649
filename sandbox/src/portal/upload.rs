//! The states of an upload: init, parts in storage, register, finalise, poll.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use axum::response::Response;
use serde_json::json;

use crate::audit::judge_finalised;
use crate::call::{Call, answer, refuse, text};
use crate::world::{Import, SECRET_MARK, SandboxState, StoredFile, Upload, World, hash_file};

/// Minimum length of every part but the last, in bytes.
const SMALLEST_PART: u64 = 5 << 20;

pub(super) fn endpoint(call: &Call) -> Response {
    let host = call.header("host").unwrap_or_default();
    answer(200, &json!(format!("http://{host}/storage/upload")))
}

pub(super) async fn init(shared: &SandboxState, call: Call) -> Response {
    let form = call.form().await;
    let name = form.get("filename").cloned().unwrap_or_default();
    let has_extension =
        name.rsplit_once('.').is_some_and(|(stem, extension)| !stem.is_empty() && !extension.is_empty());
    if !has_extension || name.starts_with('.') || name.contains(['/', '\\']) {
        return text(400, &json!({"filename": format!("'{name}' is not a valid filename")}).to_string());
    }
    let mut world = shared.world();
    let id = format!("T3.{}_{}", world.unguessable(), world.unguessable());
    let folder = uuid::Uuid::new_v4();
    let (target, key) = (format!("final/{folder}/{name}"), format!("pluploads/api/{folder}/{name}"));
    let body = json!({
        "s3file": {"uploadid": id, "targetid": target},
        "s3_filename": key,
        "target_key": key,
        "multipart_params": {
            "acl": "private", "success_action_status": "201", "Content-Type": "image/*", "key": key,
            "Policy": format!("{SECRET_MARK}-policy"), "X-Amz-Signature": format!("{SECRET_MARK}-signature"), "x-amz-credential": "cred",
            "x-amz-algorithm": "AWS4-HMAC-SHA256", "x-amz-date": "20260101T100755Z",
        },
    });
    let upload = Upload { target, key, parts: BTreeMap::new(), registered: HashSet::new(), refusals: 0 };
    world.uploads.insert(id, upload);
    answer(200, &body)
}

/// Registers a part if there is a part number; otherwise finalises.
pub(super) async fn step(shared: &SandboxState, call: Call) -> Response {
    let in_path = call.path.get(3).cloned();
    let form = call.form().await;
    let Some(id) = in_path.or_else(|| form.get("id").cloned()) else {
        return refuse(404, "Upload doesn't exist");
    };
    match form.get("chunknumber") {
        Some(number) => register(shared, &id, &form, number),
        None => finalise(shared, &id, &form),
    }
}

fn not_ready() -> Response {
    answer(500, &json!({"message": "Upload not ready", "retry": 1, "success": false}))
}

fn register(shared: &SandboxState, id: &str, form: &BTreeMap<String, String>, number: &str) -> Response {
    let most = shared.options.unready_registrations;
    let mut world = shared.world();
    let Some(upload) = world.uploads.get_mut(id) else { return refuse(404, "Upload doesn't exist") };
    let Ok(number) = number.parse::<u32>() else { return refuse(400, "Invalid chunk number") };
    let wanted = format!("{}/p{number}", upload.key);
    if form.get("targetid") != Some(&upload.target) || form.get("filename") != Some(&wanted) {
        return refuse(400, "Unknown file");
    }
    if !upload.parts.contains_key(&number) {
        return not_ready();
    }
    if upload.refusals < most {
        upload.refusals += 1;
        return not_ready();
    }
    upload.registered.insert(number);
    answer(202, &json!({"status": "ok"}))
}

fn finalise(shared: &SandboxState, id: &str, form: &BTreeMap<String, String>) -> Response {
    let mut world = shared.world();
    let Some(upload) = world.uploads.get(id) else { return refuse(404, "Upload doesn't exist") };
    let key = upload.key.clone();
    let (parts, _) = match whole(&world, id, form) {
        Ok(found) => found,
        Err(refusal) => return refusal,
    };
    let name = form.get("original_filename").cloned().unwrap_or_else(|| format!("-tmp-{key}"));
    let import = world.new_id();
    let ready_at = Instant::now() + shared.options.conversion_time;
    let pending = Import { ready_at, file: None, name, failed: false, saves: 0 };
    world.imports.insert(import.clone(), pending);
    drop(world);
    convert(shared.clone(), import.clone(), parts);
    let path = format!("final/{import}/");
    let body = json!({
        "output": path, "batchId": import, "importId": import, "file": {"bucket": "B", "path": path, "type": "s3"},
        "filename": path, "locationType": "s3", "success": 1,
    });
    answer(202, &body)
}

/// The parts of a complete upload, and its file name.
pub(super) fn whole(
    world: &World,
    id: &str,
    form: &BTreeMap<String, String>,
) -> Result<(Vec<PathBuf>, String), Response> {
    let Some(upload) = world.uploads.get(id) else { return Err(refuse(404, "Upload doesn't exist")) };
    let Some(chunks) = form.get("chunks").and_then(|chunks| chunks.parse::<u32>().ok()) else {
        return Err(refuse(400, "No chunks provided"));
    };
    let base_or_last = [upload.key.clone(), format!("{}/p{chunks}", upload.key)];
    let named = form.get("s3_filename").is_some_and(|name| base_or_last.contains(name));
    if form.get("targetid") != Some(&upload.target) || !named {
        return Err(refuse(400, "Unknown file"));
    }
    if (1..=chunks).any(|number| !upload.registered.contains(&number)) {
        return Err(not_ready());
    }
    let name = upload.target.rsplit('/').next().unwrap_or_default().to_owned();
    Ok((upload.parts.values().cloned().collect(), name))
}

/// Joins the parts; as in S3, only the last may be small.
pub(super) fn join(parts: &[PathBuf], target: &Path) -> io::Result<StoredFile> {
    let mut file = std::fs::File::create(target)?;
    for (index, part) in parts.iter().enumerate() {
        let bytes = std::fs::metadata(part)?.len();
        if bytes < SMALLEST_PART && index + 1 < parts.len() {
            return Err(io::Error::other("a part is too small"));
        }
        io::copy(&mut std::fs::File::open(part)?, &mut file)?;
    }
    hash_file(target)
}

fn convert(shared: SandboxState, import: String, parts: Vec<PathBuf>) {
    let finalised = Instant::now();
    tokio::task::spawn_blocking(move || {
        let target = shared.new_path();
        let joined = join(&parts, &target);
        for part in &parts {
            let _ = std::fs::remove_file(part);
        }
        let mut world = shared.world();
        if let Ok(file) = &joined {
            judge_finalised(&mut world, file, finalised);
        }
        if let Some(import) = world.imports.get_mut(&import) {
            import.failed = joined.as_ref().map_or(true, |file| file.bytes == 0);
            import.file = joined.ok();
        }
    });
}

pub(super) fn poll(shared: &SandboxState, call: &Call) -> Response {
    let world = shared.world();
    let items: Vec<&str> =
        call.query.get("items").map(|items| items.split(',').collect()).unwrap_or_default();
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for item in items {
        match world.imports.get(item) {
            Some(import) if import.failed => failed.push(item),
            Some(import) if import.file.is_some() && import.ready_at <= Instant::now() => done.push(item),
            _ => {}
        }
    }
    if done.is_empty() && failed.is_empty() {
        return answer(200, &json!(null));
    }
    answer(200, &json!({"itemsDone": done, "itemsFailed": failed, "itemsRejected": []}))
}
