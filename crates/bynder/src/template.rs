//! Reads an asset with everything that its copy must have, and the names of its additional files.

use serde::Deserialize;
use serde_json::Value;

use super::asset::reading;
use super::decode::{Flag, Row, text_or_empty};
use super::{Bynder, BynderError};
use common::asset::{AssetDetail, AssetId};
use common::hash::ContentHash;
use common::parse_error::from_json;

/// An asset from a single GET, with all its fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    pub detail: AssetDetail,
    /// The texts that people wrote.
    pub words: Words,
    /// The restrictions of its use, in force or planned.
    pub restrictions: Vec<Restriction>,
    pub additional: Vec<String>,
}

impl Template {
    /// Whether an additional file is this watermarked file: its name contains digits of the hash.
    pub fn has_additional(&self, watermarked: ContentHash) -> bool {
        let digits = watermarked.short();
        self.additional.iter().any(|name| name.contains(&digits))
    }
}

/// What people wrote about an asset, other than its name, tags and metaproperties.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    pub description: String,
    pub copyright: String,
    /// The brand's id; empty without a brand.
    pub brand: String,
}

/// A restriction of an asset's use; times are in the portal's format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restriction {
    /// It may be downloaded only on request.
    Limited,
    /// It will be limited.
    LimitedFrom(String),
    Archived,
    ArchivedFrom(String),
    /// Downloads carry the portal's own visible watermark.
    Watermarked,
    /// Downloads will carry that watermark.
    WatermarkedFrom(String),
    /// It is published, and so visible, from this time.
    PublishedFrom(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rest {
    #[serde(default, deserialize_with = "text_or_empty")]
    description: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    copyright: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    brand_id: String,
    #[serde(default)]
    limited: Flag,
    #[serde(default)]
    archive: Flag,
    #[serde(default)]
    watermarked: Flag,
    #[serde(default, deserialize_with = "text_or_empty")]
    limited_date: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    archive_date: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    watermark_date: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    date_published: String,
    #[serde(default)]
    media_items: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    #[serde(rename = "type", default, deserialize_with = "text_or_empty")]
    kind: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    file_name: String,
    /// The other name under which integrations read it.
    #[serde(default, deserialize_with = "text_or_empty")]
    name: String,
}

impl Bynder {
    /// Fetches an asset with all its fields: one call, as [`Bynder::asset`].
    pub async fn template(&self, id: &AssetId) -> Result<Template, BynderError> {
        let operation = reading(id);
        let value: Value = self.get_asset(&operation, id).await?;
        let template = read(value).map_err(|reason| BynderError::Unexpected { operation, reason })?;
        Ok(Template { detail: self.with_active_version(template.detail).await?, ..template })
    }
}

pub(super) fn read(value: Value) -> Result<Template, String> {
    let row: Row = from_json(value.clone())?;
    let rest: Rest = from_json(value)?;
    let detail = row.into_detail().map_err(|error| error.to_string())?;
    let additional = rest.media_items.iter().filter(|item| item.kind == "additional");
    let additional =
        additional.flat_map(|item| [&item.file_name, &item.name]).filter(|name| !name.is_empty());
    let additional = additional.cloned().collect();
    let in_force = [
        (rest.limited.0, Restriction::Limited),
        (rest.archive.0, Restriction::Archived),
        (rest.watermarked.0, Restriction::Watermarked),
    ];
    let to_come = [
        (rest.limited_date, Restriction::LimitedFrom as fn(String) -> Restriction),
        (rest.archive_date, Restriction::ArchivedFrom),
        (rest.watermark_date, Restriction::WatermarkedFrom),
        (rest.date_published, Restriction::PublishedFrom),
    ];
    let in_force = in_force.into_iter().filter(|(holds, _)| *holds).map(|(_, restriction)| restriction);
    let to_come = to_come.into_iter().filter(|(time, _)| !time.is_empty()).map(|(time, of)| of(time));
    let words = Words { description: rest.description, copyright: rest.copyright, brand: rest.brand_id };
    Ok(Template { detail, words, restrictions: in_force.chain(to_come).collect(), additional })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn everything_that_a_copy_must_have_is_read_and_nothing_is_made_up() {
        let bare =
            json!({"id": "A", "dateCreated": "2026-01-01T00:00:00Z", "dateModified": "2026-01-01T00:00:00Z"});
        let template = read(bare.clone()).unwrap();
        assert_eq!((template.words, template.restrictions), (Words::default(), Vec::new()));
        let mut full = bare;
        let more = json!({
            "description": "d", "copyright": "c", "brandId": "B", "limited": 1, "archive": "1", "watermarked": true,
            "limitedDate": "2027-01-01T00:00:00Z", "archiveDate": "2028-01-01T00:00:00Z", "watermarkDate": null,
            "datePublished": "2025-01-01T00:00:00Z",
            "mediaItems": [
                {"type": "original", "version": 1, "fileName": "a.jpg"},
                {"type": "additional", "name": "a-0123456789ab.jpg"},
                {"type": "additional", "fileName": null},
            ],
        });
        full.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let template = read(full).unwrap();
        assert_eq!(template.words.brand, "B");
        assert_eq!(template.additional, ["a-0123456789ab.jpg"]);
        let restrictions = [
            Restriction::Limited,
            Restriction::Archived,
            Restriction::Watermarked,
            Restriction::LimitedFrom("2027-01-01T00:00:00Z".to_owned()),
            Restriction::ArchivedFrom("2028-01-01T00:00:00Z".to_owned()),
            Restriction::PublishedFrom("2025-01-01T00:00:00Z".to_owned()),
        ];
        assert_eq!(template.restrictions, restrictions);
    }
}
