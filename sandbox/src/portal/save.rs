//! Saving an import, which has no idempotency key.

use std::collections::BTreeMap;
use std::time::Instant;

use axum::response::Response;
use jiff::Timestamp;
use serde_json::json;

use crate::audit;
use crate::call::{Call, answer, refuse};
use crate::options::Forgets;
use crate::violation::ViolationKind;
use crate::world::{
    Additional, Asset, Attached, Baseline, LINK_ID, MARKER_ID, Made, Maker, Planted, Restricted, STATUS_ID,
    SandboxState, StoredFile, Version, World, whole_second,
};

fn import_file(world: &mut World, import: &str) -> Result<(StoredFile, String), Response> {
    let Some(import) = world.imports.get_mut(import) else { return Err(refuse(404, "Import ID not found")) };
    if import.failed {
        return Err(answer(500, &json!({"message": "Upload failed or not ready", "statuscode": "500"})));
    }
    match &import.file {
        Some(file) if import.ready_at <= Instant::now() => {
            import.saves += 1;
            Ok((file.clone(), import.name.clone()))
        }
        _ => Err(refuse(303, "Import not converted yet, please poll")),
    }
}

fn saved(id: &str) -> Response {
    let items =
        [json!({"original": "final/x/photo.jpg", "destination": "https://storage.invalid/photo.jpg"})];
    answer(201, &json!({"success": true, "mediaid": id, "batchId": id, "mediaitems": items}))
}

/// Saving an import twice makes two versions, which is the harsher reading.
pub(super) async fn new_version(shared: &SandboxState, call: Call) -> Response {
    let (id, in_path) = (call.path[3].clone(), call.path.get(5).cloned());
    let form = call.form().await;
    save_version(shared, &id, in_path, &form)
}

fn save_version(
    shared: &SandboxState,
    id: &str,
    in_path: Option<String>,
    form: &BTreeMap<String, String>,
) -> Response {
    let Some(import) = in_path.or_else(|| form.get("importid").cloned()) else {
        return refuse(400, "No importid provided");
    };
    let mut world = shared.world();
    if world.asset(id).is_none() {
        return refuse(404, "Media not found");
    }
    let (file, name) = match import_file(&mut world, &import) {
        Ok(found) => found,
        Err(refusal) => return refusal,
    };
    audit::judge_save(&mut world, id, &file);
    audit::judge_name(&mut world, id, &file, &name, shared.options.file_names);
    let Some(asset) = world.asset(id) else { return refuse(404, "Media not found") };
    asset.touched += 1;
    if shared.options.for_approval {
        let again = asset.waiting.iter().any(|(waiting, _)| waiting.sha256 == file.sha256);
        asset.waiting.push((file, name));
        if again {
            world.violate(ViolationKind::DoneTwice, id, "approval was asked for twice");
        }
        // The response does not show that approval is pending.
        return saved(id);
    }
    add_version(asset, file, name);
    saved(id)
}

/// Makes the file the asset's new active version.
pub(crate) fn add_version(asset: &mut Asset, file: StoredFile, name: String) {
    let number = asset.top() + 1;
    let made = whole_second(Timestamp::now());
    asset.versions.push(Version { number, file: Some(file), file_name: name, maker: Maker::Client, made });
    asset.active = number;
    asset.active_change = Made { by: Maker::Client, at: Instant::now() };
    asset.changed();
}

pub(super) async fn new_asset(shared: &SandboxState, call: Call) -> Response {
    let in_path = call.path.get(4).cloned();
    let form = call.form().await;
    let Some(import) = in_path.or_else(|| form.get("importid").cloned()) else {
        return refuse(400, "No importid provided");
    };
    // One SDK saves a new version in this form, with the asset's id in the body.
    if let Some(id) = form.get("id") {
        return save_version(shared, id, Some(import), &form);
    }
    if !form.contains_key("brandid") {
        return refuse(400, "No brandid provided");
    }
    let mut world = shared.world();
    let (file, name) = match import_file(&mut world, &import) {
        Ok(found) => found,
        Err(refusal) => return refusal,
    };
    let id = world.new_id();
    audit::judge_name(&mut world, &id, &file, &name, shared.options.file_names);
    let mut asset = match new(id.clone(), file, &name, &form) {
        Ok(asset) => asset,
        Err(refusal) => return refusal,
    };
    audit::judge_copy(&mut world, &mut asset);
    for forgotten in &shared.options.forgets {
        match forgotten {
            Forgets::Copyright => {
                asset.words.copyright.clear();
                asset.baseline.copyright.clear();
            }
            Forgets::Marker => asset.marker = None,
        }
    }
    if shared.options.for_approval {
        // The asset is hidden until it is approved.
        let made = std::mem::take(&mut asset.versions);
        asset.waiting =
            made.into_iter().filter_map(|version| Some((version.file?, version.file_name))).collect();
        asset.indexed.clear();
    }
    world.assets.insert(id.clone(), asset);
    saved(&id)
}

/// Makes a new asset from the fields that the call accepts; others are ignored.
fn new(id: String, file: StoredFile, name: &str, form: &BTreeMap<String, String>) -> Result<Asset, Response> {
    let field = |name: &str| form.get(name).cloned().unwrap_or_default();
    let own = |id: &str| form.get(&format!("metaproperty.{id}").to_lowercase()).cloned();
    let now = whole_second(Timestamp::now());
    let tags = field("tags").split(',').filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
    let mut words = Baseline {
        name: form.get("name").cloned().unwrap_or_else(|| name.to_owned()),
        description: field("description"),
        copyright: field("copyright"),
        tags,
        brand: field("brandid"),
        properties: BTreeMap::new(),
        orientation: "landscape".to_owned(),
        is_public: matches!(field("ispublic").as_str(), "1" | "true"),
        restricted: Restricted { dates: dates(form)?, ..Restricted::default() },
        attached: Attached::default(),
    };
    super::media::apply_properties(form, &mut words);
    let mut asset = Asset {
        id,
        baseline: words.clone(),
        words,
        created: now,
        modified: now,
        versions: vec![Version {
            number: 1,
            file: Some(file),
            file_name: name.to_owned(),
            maker: Maker::Client,
            made: now,
        }],
        active: 1,
        active_change: Made { by: Maker::Client, at: Instant::now() },
        additional: Vec::new(),
        copy_of: None,
        waiting: Vec::new(),
        waiting_additional: Vec::new(),
        marker: own(MARKER_ID),
        status: own(STATUS_ID),
        link: own(LINK_ID),
        opted_out_by: None,
        pending: Vec::new(),
        deleted: false,
        refuses_download: false,
        planted: Planted::outcome("none"),
        touched: 0,
        last_look: None,
        seen: None,
        crossed: false,
        indexed: Vec::new(),
    };
    asset.changed();
    Ok(asset)
}

/// Dates, by the names in which a GET returns them.
fn dates(form: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Response> {
    let fields = [
        ("archivedate", "archiveDate"),
        ("watermarkdate", "watermarkDate"),
        ("isopublicationdate", "datePublished"),
    ];
    let mut dates = BTreeMap::new();
    for (field, name) in fields {
        let Some(time) = form.get(field) else { continue };
        if time.parse::<Timestamp>().is_err() {
            return Err(refuse(400, "Date format not ISO8601-compliant"));
        }
        dates.insert(name.to_owned(), time.clone());
    }
    Ok(dates)
}

/// Saving an upload twice makes two files, which is the harsher reading.
pub(super) async fn additional(shared: &SandboxState, call: Call) -> Response {
    let (id, in_path) = (call.path[3].clone(), call.path.get(6).cloned());
    let form = call.form().await;
    let Some(upload) = in_path.or_else(|| form.get("uploadid").cloned()) else {
        return refuse(404, "Upload doesn't exist");
    };
    let mut world = shared.world();
    if world.asset(&id).is_none() {
        return refuse(404, "Media not found");
    }
    let (parts, name) = match super::upload::whole(&world, &upload, &form) {
        Ok(found) => found,
        Err(refusal) => return refusal,
    };
    let target = shared.new_path();
    let Ok(file) = super::upload::join(&parts, &target) else {
        return refuse(500, "Upload failed or not ready");
    };
    audit::judge_additional(&mut world, &id, &file);
    audit::judge_finalised(&mut world, &file, Instant::now());
    audit::judge_name(&mut world, &id, &file, &name, shared.options.file_names);
    let item = world.new_id();
    let Some(asset) = world.asset(&id) else { return refuse(404, "Media not found") };
    asset.touched += 1;
    if shared.options.for_approval {
        let again = asset.waiting_additional.iter().any(|waiting| waiting.file.sha256 == file.sha256);
        asset.waiting_additional.push(Additional { name, file });
        if again {
            world.violate(ViolationKind::DoneTwice, &id, "approval was asked for twice");
        }
        return answer(201, &json!({"itemId": item}));
    }
    asset.additional.push(Additional { name, file });
    asset.changed();
    answer(201, &json!({"itemId": item}))
}
