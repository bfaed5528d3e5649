//! The listing: a search index that lags, and ignores unknown parameters.

use std::time::Instant;

use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::call::{Call, answer};
use super::super::world::{COLLECTIONS, SandboxState, World};
use super::{archive, bound};

pub(super) fn list(shared: &SandboxState, call: &Call) -> Response {
    let mut world = shared.world();
    let mut rows = indexed(&mut world, shared);
    rows.retain(|row| matches(row, call));
    sort(&mut rows, call.query.get("orderBy").map_or("dateCreated desc", String::as_str));
    let number = |name: &str, default: usize| {
        call.query.get(name).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let limit = number("limit", 50).clamp(1, 1000);
    let archive = archive::asked_for(shared.options.archive, call);
    let archived = usize::try_from(archive.end - archive.start).unwrap_or(usize::MAX);
    let total = archived + rows.len();
    let skip = (number("page", 1).max(1) - 1) * limit;
    let old = archive.skip(skip).take(limit).map(archive::row);
    let rows = rows.into_iter().skip(skip.saturating_sub(archived));
    let mut page: Vec<Value> = old.chain(rows).take(limit).collect();
    for row in &mut page {
        super::media::hide_file_names(shared, row);
        super::media::add_thumbnails(call, row);
    }
    for fields in page.iter_mut().filter_map(Value::as_object_mut) {
        // Indexed but not shown.
        fields.remove(COLLECTIONS);
        if !call.flag("includeVersionNumber") {
            fields.remove("activeVersion");
        }
    }
    let body = if call.flag("count") {
        json!({"count": {"total": total, "type": {}, "tags": []}, "media": page})
    } else if call.flag("total") {
        json!({"total": {"count": total}, "media": page})
    } else {
        json!(page)
    };
    answer(200, &body)
}

/// The listing shows the changes up to this time.
fn horizon(shared: &SandboxState) -> Instant {
    Instant::now().checked_sub(shared.options.index_lag).unwrap_or_else(Instant::now)
}

pub(crate) fn is_listed(world: &mut World, shared: &SandboxState) -> bool {
    let horizon = horizon(shared);
    world.assets.values_mut().all(|asset| {
        asset.settle();
        asset.pending.is_empty() && asset.indexed.last().is_none_or(|(at, _)| *at <= horizon)
    })
}

/// The rows as of the horizon.
fn indexed(world: &mut World, shared: &SandboxState) -> Vec<Value> {
    let horizon = horizon(shared);
    for asset in world.assets.values_mut() {
        asset.settle();
    }
    let rows = world.assets.values().filter_map(|asset| {
        let known = asset.indexed.iter().rev().find(|(at, _)| *at <= horizon)?;
        known.1.clone()
    });
    rows.collect()
}

fn matches(row: &Value, call: &Call) -> bool {
    let text = |name: &str| row[name].as_str().unwrap_or_default();
    call.query.iter().all(|(name, wanted)| match name.as_str() {
        "id" | "ids" => wanted.split(',').any(|id| id == text("id")),
        "type" => wanted.split(',').any(|kind| kind == text("type")),
        "tags" => wanted.split(',').all(|tag| contains(&row["tags"], tag)),
        "brandId" => text("brandId") == wanted,
        "orientation" => text("orientation") == wanted,
        "isPublic" | "archive" | "limited" => flag(wanted).is_none_or(|wanted| row[name] == u8::from(wanted)),
        "propertyOptionId" => wanted.split(',').all(|id| contains(&row["propertyOptions"], id)),
        // The seeded collection contains every asset with the tag.
        "collectionId" => wanted.split(',').any(|id| {
            contains(&row[COLLECTIONS], id) || id == "COLLECTION-SPRING" && contains(&row["tags"], "spring")
        }),
        "keyword" => text("name").to_lowercase().contains(&wanted.to_lowercase()),
        "dateCreated" | "dateModified" => bound(wanted).is_none_or(|bound| date(row, name) > bound),
        "dateCreatedTo" => bound(wanted).is_none_or(|bound| date(row, "dateCreated") <= bound),
        "dateModifiedTo" => bound(wanted).is_none_or(|bound| date(row, "dateModified") <= bound),
        // Unknown parameters and malformed values are ignored: everything matches.
        _ => true,
    })
}

/// Parses a boolean; other forms are ignored.
fn flag(text: &str) -> Option<bool> {
    match text {
        "1" | "true" | "True" => Some(true),
        "0" | "false" | "False" => Some(false),
        _ => None,
    }
}

fn contains(list: &Value, wanted: &str) -> bool {
    list.as_array().is_some_and(|list| list.iter().any(|value| value == wanted))
}

fn date(row: &Value, name: &str) -> Timestamp {
    row[name].as_str().and_then(|text| text.parse().ok()).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn sort(rows: &mut [Value], order: &str) {
    let (field, direction) = order.split_once(' ').unwrap_or((order, "asc"));
    rows.sort_by(|left, right| {
        let order = left[field].as_str().cmp(&right[field].as_str());
        if direction == "desc" { order.reverse() } else { order }
    });
}
