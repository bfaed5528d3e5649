//! Decodes Bynder's values: it sends booleans, numbers and lists in several forms.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use common::asset::{Asset, AssetDetail, AssetType, FileVersion};
use common::bounded::MOST_COUNT;

/// A number, possibly as a string, or absent.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Number<T>(pub(super) Option<T>);

impl<'de, T: std::str::FromStr> Deserialize<'de> for Number<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Value::deserialize(deserializer)? {
            Value::Number(number) => number.to_string().parse().ok(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        }))
    }
}

/// A boolean: true, 1, "1" and "true" are true, everything else is false.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Flag(pub(super) bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(is_true(&Value::deserialize(deserializer)?)))
    }
}

fn is_true(value: &Value) -> bool {
    known_flag(value) == Some(true)
}

fn known_flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => number.as_f64().map(|number| number != 0.0),
        Value::String(text) => match text.as_str() {
            "1" | "true" | "True" => Some(true),
            "0" | "false" | "False" => Some(false),
            _ => None,
        },
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A boolean that decides something: absent, null and any unknown word are unknown.
fn flag_if_known<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    Ok(known_flag(&Value::deserialize(deserializer)?))
}

/// One text, several, or none.
#[derive(Debug, Clone, Default)]
pub(super) struct Texts(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(texts(Value::deserialize(deserializer)?)))
    }
}

fn texts(value: Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text],
        Value::Number(number) => vec![number.to_string()],
        Value::Bool(flag) => vec![flag.to_string()],
        Value::Array(values) => values.into_iter().flat_map(texts).collect(),
        Value::Null | Value::Object(_) => Vec::new(),
    }
}

/// A text that may be null.
pub(super) fn text_or_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.unwrap_or_default())
}

/// One asset as the portal sends it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    id: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    name: String,
    #[serde(default)]
    file_name: Option<String>,
    #[serde(rename = "type", default)]
    kind: Option<AssetType>,
    #[serde(default)]
    extension: Texts,
    #[serde(default)]
    file_size: Number<u64>,
    /// In no published sample; other integrations read it under this name.
    #[serde(default)]
    active_version: Number<u32>,
    date_created: Timestamp,
    date_modified: Timestamp,
    #[serde(default)]
    archive: Flag,
    #[serde(default)]
    is_public: Flag,
    #[serde(default)]
    limited: Flag,
    #[serde(default)]
    brand_id: Option<String>,
    #[serde(default)]
    orientation: Value,
    #[serde(default)]
    tags: Texts,
    #[serde(default)]
    property_options: Texts,
    #[serde(default)]
    media_items: Option<Vec<Item>>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

/// One file of an asset: originals, additional files and derivatives are in one list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    #[serde(rename = "type", default, deserialize_with = "text_or_empty")]
    kind: String,
    #[serde(default)]
    version: Number<u32>,
    #[serde(default, deserialize_with = "flag_if_known")]
    active: Option<bool>,
    #[serde(default)]
    size: Number<u64>,
    #[serde(default)]
    file_name: Option<String>,
    /// Only for a figure: one that cannot be read is as good as none.
    #[serde(default)]
    date_created: Value,
}

/// A version's number, if a job can hold it.
fn version(number: Number<u32>) -> Option<u32> {
    number.0.filter(|number| u64::from(*number) <= MOST_COUNT)
}

/// A time in whole seconds, as the portal states it and the ledger keeps it.
fn whole_seconds(value: Value) -> Option<Timestamp> {
    let at: Timestamp = serde_json::from_value(value).ok()?;
    Timestamp::from_second(at.as_second()).ok()
}

impl Row {
    /// The asset and its versions.
    pub(super) fn into_detail(self) -> Result<AssetDetail, common::asset::InvalidAssetId> {
        let items = self.media_items.unwrap_or_default();
        let originals = items.into_iter().filter(|item| item.kind == "original");
        let versions: Option<Vec<_>> = originals
            .map(|item| {
                Some(FileVersion {
                    number: version(item.version)?,
                    active: item.active,
                    bytes: item.size.0,
                    file_name: item.file_name,
                    added: whole_seconds(item.date_created),
                })
            })
            .collect();
        // A file without a number may be the newest. A list without it would make an older one look like the
        // newest.
        let mut versions = versions.unwrap_or_default();
        versions.sort_by_key(|version| version.number);
        let properties = self.rest.into_iter().filter_map(|(key, value)| {
            let name = key.strip_prefix("property_")?.to_owned();
            Some((name, texts(value))).filter(|(_, values)| !values.is_empty())
        });
        let asset = Asset {
            id: self.id.parse()?,
            name: self.name,
            file_name: self.file_name,
            kind: self.kind.unwrap_or(AssetType::Other),
            extensions: self.extension.0,
            bytes: self.file_size.0.unwrap_or_default(),
            active_version: version(self.active_version),
            created: self.date_created,
            modified: self.date_modified,
            archived: self.archive.0,
            public: self.is_public.0,
            limited: self.limited.0,
            brand_id: self.brand_id,
            orientation: serde_json::from_value(self.orientation).ok(),
            tags: self.tags.0,
            properties: properties.collect(),
            option_ids: self.property_options.0,
        };
        Ok(AssetDetail { asset, versions })
    }
}
