//! Endpoints besides those for assets: metaproperties, brands, the account and others.

use std::collections::BTreeSet;

use axum::response::Response;
use serde_json::{Map, Value, json};

use crate::call::{Call, answer};
use crate::world::{
    LINK_ID, LINK_NAME, MARKER_ID, MARKER_NAME, STATUS_ID, STATUS_NAME, SandboxState, option_id,
};

/// The brand of most assets.
pub(crate) const BRAND: &str = "2B7D41AA-0C3E-4F19-8A6601FF9D3C7E10";

pub(crate) const SECOND_BRAND: &str = "2B7D41AA-0C3E-4F19-8A6601FF9D3C7E11";

/// Select metaproperties and their options.
pub(crate) const SELECTS: [(&str, &[&str]); 2] =
    [("Asset_Type", &["Photo", "Film", "Datasheet"]), ("Country", &["France", "Belgium", "Côte d'Ivoire"])];

/// The id of a text metaproperty.
pub(crate) fn text_id(name: &str) -> &'static str {
    match name {
        "Shoot_Date" => "7C0D5A1E-0004-4B2C-9D8E7F6A5B4C3D2E",
        _ => "7C0D5A1E-0005-4B2C-9D8E7F6A5B4C3D2E",
    }
}

pub(super) fn metaproperties(_shared: &SandboxState) -> Response {
    let mut all = Map::new();
    let mut add = |key: &str, name: &str, id: &str, kind: &str, editable: u8, api: u8, options: Value| {
        let definition = json!({
            "id": id, "name": name, "label": name, "type": kind, "isRequired": 0, "isEditable": editable,
            "isApiField": api, "isFilterable": 1, "isMultiselect": 0, "zindex": 3, "options": options,
        });
        all.insert(key.to_owned(), definition);
    };
    // The key differs from the name in case, as in real responses.
    add("Imatag_Hash", MARKER_NAME, MARKER_ID, "text", 1, 1, json!([]));
    add("Imatag_Status", STATUS_NAME, STATUS_ID, "text", 1, 1, json!([]));
    add("Hidden_Text", "Hidden_Text", "7C0D5A1E-0002-4B2C-9D8E7F6A5B4C3D2E", "text", 1, 0, json!([]));
    add("Fixed_Text", "Fixed_Text", "7C0D5A1E-0003-4B2C-9D8E7F6A5B4C3D2E", "text", 0, 1, json!([]));
    add("Imatag_Link", LINK_NAME, LINK_ID, "text", 1, 1, json!([]));
    add("Shoot_Date", "Shoot_Date", text_id("Shoot_Date"), "date", 1, 1, json!([]));
    add("Source_ID", "Source_ID", text_id("Source_ID"), "text", 1, 1, json!([]));
    for (name, options) in SELECTS {
        let options: Vec<_> = options
            .iter()
            .map(|option| json!({"id": option_id(option), "name": option, "label": option}))
            .collect();
        add(name, name, &format!("SELECT-{name}"), "select2", 1, 1, json!(options));
    }
    answer(200, &Value::Object(all))
}

pub(super) fn brands() -> Response {
    let brand = |id: &str, name: &str| json!({"id": id, "name": name, "description": "", "image": "", "subBrands": []});
    answer(200, &json!([brand(BRAND, "Acme"), brand(SECOND_BRAND, "Nordlicht")]))
}

pub(super) fn account() -> Response {
    answer(
        200,
        &json!({"name": "Sandbox", "timeZone": "UTC", "defaultLanguage": "en_US", "availableLanguages": ["en_US"]}),
    )
}

pub(super) fn user() -> Response {
    answer(200, &json!({"id": "USER", "username": "connector", "profileId": "PROFILE"}))
}

pub(super) fn profile(shared: &SandboxState) -> Response {
    let upload = if shared.options.for_approval { "MEDIAUPLOADFORAPPROVAL" } else { "MEDIAUPLOAD" };
    answer(
        200,
        &json!({"id": "PROFILE", "name": "Connector", "roles": ["MEDIAHIGHRES", "MEDIAEDIT", upload]}),
    )
}

pub(super) fn collections() -> Response {
    answer(
        200,
        &json!([{"id": "COLLECTION-SPRING", "name": "Spring", "description": "", "collectionCount": 1}]),
    )
}

pub(super) fn tags(shared: &SandboxState, call: &Call) -> Response {
    let world = shared.world();
    let tags: BTreeSet<&String> = world.assets.values().flat_map(|asset| &asset.words.tags).collect();
    let keyword = call.query.get("keyword").map(|word| word.to_lowercase()).unwrap_or_default();
    let found = tags.into_iter().filter(|tag| tag.to_lowercase().contains(&keyword));
    let found: Vec<_> =
        found.map(|tag| json!({"id": format!("TAG-{tag}"), "tag": tag, "mediaCount": "1"})).collect();
    answer(200, &json!(found))
}
