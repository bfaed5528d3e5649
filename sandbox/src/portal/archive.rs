//! Rows of protected assets that never change. They are generated on request, so that a library of millions takes no memory,
//! and are older than all other assets.

use std::ops::Range;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::lookups::BRAND;
use crate::call::Call;
use crate::world::MARKER_NAME;

/// Assets created per second, from the year 2001 on.
const A_SECOND: u64 = 4;
const FIRST: i64 = 978_307_200;

/// Query parameters that keep the archive in the response; any other filter excludes all of it.
const KNOWN: [&str; 12] = [
    "page",
    "limit",
    "orderBy",
    "count",
    "total",
    "includeVersionNumber",
    "type",
    "dateCreated",
    "dateCreatedTo",
    "dateModified",
    "dateModifiedTo",
    "versions",
];

/// The numbers of the archived assets, out of `count`, that match the query, in ascending order.
pub(super) fn asked_for(count: u64, call: &Call) -> Range<u64> {
    let ascending = call.query.get("orderBy").is_some_and(|order| order.ends_with(" asc"));
    let images = call.query.get("type").is_none_or(|types| types.split(',').any(|kind| kind == "image"));
    let others = call.query.keys().any(|name| !KNOWN.contains(&name.as_str()));
    if !ascending || !images || others {
        return 0..0;
    }
    let bound = |names: [&str; 2]| names.iter().find_map(|name| super::bound(call.query.get(*name)?));
    // The lower bound is exclusive, the upper one inclusive.
    let after = bound(["dateCreated", "dateModified"]).map_or(0, |bound| first_after(bound).min(count));
    let until =
        bound(["dateCreatedTo", "dateModifiedTo"]).map_or(count, |bound| first_after(bound).min(count));
    after..until.max(after)
}

/// The number of the first asset created after `bound`.
fn first_after(bound: Timestamp) -> u64 {
    let seconds = u64::try_from(bound.as_second() - FIRST + 1).unwrap_or_default();
    seconds * A_SECOND
}

/// The id of an archived asset. As on a real portal, ids that follow each other in a listing are far apart.
#[must_use]
pub fn archived_id(number: u64) -> String {
    // An odd factor, so that no two numbers have the same product: 2^64 by the golden ratio.
    let scattered = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let (first, second, third) = (scattered >> 32, scattered >> 16 & 0xFFFF, scattered & 0xFFFF);
    format!("{first:08X}-{second:04X}-{third:04X}-{number:016X}")
}

pub(super) fn row(number: u64) -> Value {
    let second = i64::try_from(number / A_SECOND).unwrap_or_default();
    let created = (Timestamp::UNIX_EPOCH + SignedDuration::from_secs(FIRST + second)).to_string();
    let bytes = 400_000;
    let mut row = json!({
        "id": archived_id(number),
        "idHash": "00000000",
        "name": format!("Archive {number}"),
        "fileName": format!("archive-{number}.jpg"),
        "description": format!("The picture with the number {number}, from the years before"),
        "copyright": "Example Studio",
        "type": "image",
        "extension": ["jpg"],
        "fileSize": bytes,
        "activeVersion": 2,
        "brandId": BRAND,
        "userCreated": "Jo Example",
        "dateCreated": created,
        "dateModified": created,
        "datePublished": created,
        "orientation": "landscape",
        "archive": 0, "limited": 0, "watermarked": 0, "isPublic": 0,
        "tags": ["archive", "studio"],
        "propertyOptions": [],
        "thumbnails": {
            "mini": format!("https://thumbnails.invalid/{number}/mini"),
            "webimage": format!("https://thumbnails.invalid/{number}/webimage"),
        },
    });
    let marker = format!("{:064x} {:064x} v2 {bytes}", number, number + 1);
    if let Some(fields) = row.as_object_mut() {
        fields.insert(format!("property_{MARKER_NAME}"), json!(marker));
    }
    row
}
