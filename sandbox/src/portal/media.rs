//! Endpoints for a single asset: get, modify, delete, download.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::lookups::{SELECTS, text_id};
use crate::audit::{Marker, judge_marker};
use crate::call::{Call, answer, refuse};
use crate::options::{FileNames, VersionFlags};
use crate::violation::ViolationKind;
use crate::world::{
    COLLECTIONS, Change, LINK_ID, Link, MARKER_ID, Maker, SECRET_MARK, STATUS_ID, SandboxState, TEXTS,
    option_id,
};

/// Removes file names that this portal does not show.
pub(super) fn hide_file_names(shared: &SandboxState, row: &mut Value) {
    if shared.options.file_names == FileNames::Listed {
        return;
    }
    row.as_object_mut().map(|fields| fields.remove("fileName"));
    let items = row.get_mut("mediaItems").and_then(Value::as_array_mut);
    for item in items.into_iter().flatten().filter(|item| item["type"] == "original") {
        item["fileName"] = Value::Null;
    }
}

/// Adds the addresses of the thumbnails that the portal makes of a picture.
pub(super) fn add_thumbnails(call: &Call, row: &mut Value) {
    let host = call.header("host").unwrap_or_default();
    if row["type"] == "image" {
        for name in ["mini", "thul", "webimage"] {
            let place =
                format!("http://{host}/storage/thumbnail/{}/{name}", row["id"].as_str().unwrap_or_default());
            row["thumbnails"][name] = json!(place);
        }
    }
}

/// Maximum length of a text metaproperty, in characters.
const LONGEST_TEXT: usize = 2500;

pub(super) fn get(shared: &SandboxState, call: &Call) -> Response {
    let mut world = shared.world();
    let Some(asset) = world.asset(&call.path[3]) else { return refuse(404, "File not found") };
    asset.touched += 1;
    asset.last_look = Some(Instant::now());
    asset.seen = Some(asset.words.clone());
    let mut row = asset.row(call.flag("versions"));
    if let Some(fields) = row.as_object_mut() {
        fields.remove(COLLECTIONS);
        if !call.flag("includeVersionNumber") || !shared.options.names_active_version {
            fields.remove("activeVersion");
        }
        flag_versions(fields, shared.options.version_flags);
    }
    hide_file_names(shared, &mut row);
    add_thumbnails(call, &mut row);
    answer(200, &row)
}

fn flag_versions(asset: &mut Map<String, Value>, flags: VersionFlags) {
    let items = asset.get_mut("mediaItems").and_then(Value::as_array_mut);
    for item in items.into_iter().flatten().filter_map(Value::as_object_mut) {
        match flags {
            VersionFlags::Active => {}
            VersionFlags::Missing => drop(item.remove("active")),
            VersionFlags::All => drop(item.insert("active".to_owned(), json!(1))),
        }
    }
}

pub(super) fn delete(shared: &SandboxState, call: &Call) -> Response {
    let mut world = shared.world();
    let Some(asset) = world.asset(&call.path[3]) else { return refuse(404, "Media not found") };
    asset.deleted = true;
    asset.changed();
    let mut gone = answer(204, &json!(null));
    *gone.body_mut() = axum::body::Body::empty();
    gone.headers_mut().clear();
    gone
}

pub(super) fn download(shared: &SandboxState, call: &Call) -> Response {
    let segments: Vec<&str> = call.segments().into_iter().skip(3).collect();
    let (id, version) = match segments.as_slice() {
        [id, "download"] => (*id, None),
        [id, version, "download"] => match version.parse::<u32>() {
            Ok(version) => (*id, Some(version)),
            Err(_) => return refuse(400, "Invalid version"),
        },
        [id, "download", item] => (*id, item.rsplit('-').next().and_then(|number| number.parse().ok())),
        _ => return refuse(404, "Not found"),
    };
    if call.query.get("type").is_some_and(|kind| !matches!(kind.as_str(), "original" | "additional")) {
        return refuse(400, "Invalid type");
    }
    let mut world = shared.world();
    let secret = world.secret();
    let lifetime = shared.options.link_lifetime;
    let Some(asset) = world.asset(id) else { return refuse(404, "Media not found") };
    asset.touched += 1;
    if asset.refuses_download {
        return refuse(403, "Access denied");
    }
    let wanted = version.unwrap_or(asset.active);
    let found = asset.versions.iter().find(|version| version.number == wanted);
    let found = found.and_then(|version| Some((version.file.clone()?, version.file_name.clone())));
    let Some((file, file_name)) = found else { return refuse(404, "Original file not available") };
    let media_type = file.media_type();
    let path = if shared.options.embeds_metadata {
        match with_metadata(shared, &file.path, asset.marker.as_deref()) {
            Ok(path) => path,
            Err(error) => return refuse(500, &error.to_string()),
        }
    } else {
        file.path
    };
    let file_name = (shared.options.file_names != FileNames::Hidden).then_some(file_name);
    let link = Link { media_type, file: path, file_name, expires: Instant::now() + lifetime };
    world.links.insert(secret.clone(), link);
    let host = call.header("host").unwrap_or_default();
    answer(
        200,
        &json!({"s3_file": format!("http://{host}/storage/file/{secret}?X-Amz-Signature={SECRET_MARK}-signature")}),
    )
}

/// Makes a copy of the file with the asset's current metadata appended.
fn with_metadata(shared: &SandboxState, file: &Path, marker: Option<&str>) -> io::Result<PathBuf> {
    let path = shared.new_path();
    std::fs::copy(file, &path)?;
    let mut copy = OpenOptions::new().append(true).open(&path)?;
    write!(copy, "<x:xmpmeta>{} {}</x:xmpmeta>", Timestamp::now(), marker.unwrap_or_default())?;
    Ok(path)
}

pub(super) async fn modify(shared: &SandboxState, call: Call) -> Response {
    let id = call.path.get(3).cloned();
    let form = call.form().await;
    let Some(id) = id.or_else(|| form.get("id").cloned()) else { return refuse(404, "Media not found") };
    let mut world = shared.world();
    if world.asset(&id).is_none() {
        return refuse(404, "Media not found");
    }
    let due = Instant::now() + shared.options.modify_lag;
    if let Some(text) = form.get(&format!("metaproperty.{MARKER_ID}").to_lowercase()) {
        note_marker(&mut world, &id, text);
        judge_marker(&mut world, &id, text);
        if text.chars().count() <= LONGEST_TEXT
            && let Some(asset) = world.asset(&id)
        {
            asset.pending.push((due, Change::Marker(text.clone())));
        }
    }
    if let Some(asset) = world.asset(&id) {
        asset.touched += 1;
        if let Some(text) = form.get(&format!("metaproperty.{STATUS_ID}").to_lowercase()) {
            asset.pending.push((due, Change::Status(text.clone())));
        }
        if let Some(text) = form.get(&format!("metaproperty.{LINK_ID}").to_lowercase()) {
            asset.pending.push((due, Change::Link(text.clone())));
        }
        asset.pending.push((due, Change::Words(Box::new(move |words| apply(&form, words)))));
    }
    answer(202, &json!({"message": "Accepted", "statuscode": 202}))
}

/// Reports a client that overwrites a text that is not its own, whatever the new text is, or that removes an opt-out that it
/// did not set.
fn note_marker(world: &mut crate::world::World, id: &str, text: &str) {
    let Some(asset) = world.asset(id) else { return };
    let before = asset.marker.clone();
    let opted_out = Marker::parse(before.as_deref()).opted_out();
    let opts_out = Marker::parse(Some(text)).opted_out();
    let own_wish = asset.opted_out_by == Some(Maker::Client);
    if opts_out && !opted_out {
        asset.opted_out_by = Some(Maker::Client);
    }
    let is_changed = before.as_deref() != Some(text);
    if is_changed && Marker::parse(before.as_deref()) == Marker::Foreign {
        world.violate(ViolationKind::ForeignTextOverwritten, id, before.unwrap_or_default());
    }
    if is_changed && Marker::parse(Some(text)) == Marker::Foreign {
        world.violate(ViolationKind::MarkerWrong, id, format!("the client wrote {text:?}"));
    }
    if opted_out && !opts_out && !own_wish {
        world.violate(ViolationKind::OptOutIgnored, id, "the marker lost the opt-out");
    }
}

/// Applies the form with Bynder's pitfalls: an empty name clears the name, tags replace all tags, unknown keys are ignored.
fn apply(form: &BTreeMap<String, String>, words: &mut crate::world::Baseline) {
    let set = |field: &mut String, name: &str| {
        if let Some(value) = form.get(name) {
            value.clone_into(field);
        }
    };
    set(&mut words.name, "name");
    set(&mut words.description, "description");
    set(&mut words.copyright, "copyright");
    set(&mut words.brand, "brandid");
    if let Some(tags) = form.get("tags") {
        words.tags = tags.split(',').filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
    }
    if form.get("ispublic").is_some_and(|value| matches!(value.as_str(), "1" | "true")) {
        words.is_public = true;
    }
    if let Some(value) = form.get("archive") {
        words.restricted.archived = matches!(value.as_str(), "1" | "true");
    }
    apply_properties(form, words);
}

/// Applies metaproperties: options by id or name, texts as they are.
pub(super) fn apply_properties(form: &BTreeMap<String, String>, words: &mut crate::world::Baseline) {
    for (name, options) in SELECTS {
        if let Some(value) = form.get(&format!("metaproperty.select-{name}").to_lowercase()) {
            let chosen = options
                .iter()
                .filter(|option| value.split(',').any(|id| id == option_id(option) || id == **option));
            words.properties.insert(name.to_owned(), chosen.map(|option| (*option).to_owned()).collect());
        }
    }
    for name in TEXTS {
        if let Some(value) = form.get(&format!("metaproperty.{}", text_id(name)).to_lowercase()) {
            words.properties.insert(name.to_owned(), vec![value.clone()]);
        }
    }
}
