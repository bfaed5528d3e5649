//! Reads the definitions of metaproperties, and writes their texts.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::decode::Flag;
use super::{Bynder, BynderError};
use common::asset::AssetId;
use http_client::Operation;

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metaproperty {
    /// The id that a write needs.
    pub id: String,
    /// The database name, which listings show; the case of their key can differ.
    pub name: String,
    /// Its kind, such as `text` or `select2`; other values are possible.
    #[serde(rename = "type", default)]
    pub kind: String,
    #[serde(default = "yes")]
    is_editable: Flag,
    #[serde(default = "yes")]
    is_api_field: Flag,
    #[serde(default)]
    pub options: Vec<PropertyOption>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct PropertyOption {
    pub id: String,
    #[serde(default)]
    pub name: String,
}

fn yes() -> Flag {
    Flag(true)
}

impl Metaproperty {
    /// Whether it holds free text, of up to 2500 characters.
    pub fn is_text(&self) -> bool {
        matches!(self.kind.as_str(), "text" | "longtext")
    }

    pub fn has_options(&self) -> bool {
        matches!(self.kind.as_str(), "select" | "select2" | "autocomplete")
    }

    /// Whether people and programs may change it.
    pub fn is_editable(&self) -> bool {
        self.is_editable.0
    }

    /// Whether the API shows it on assets; if not, a written text can never be read back.
    pub fn is_api_field(&self) -> bool {
        self.is_api_field.0
    }
}

impl Bynder {
    pub async fn metaproperties(&self) -> Result<Vec<Metaproperty>, BynderError> {
        let operation = "listing metaproperties";
        let mut url = self.url(operation, &["api", "v4", "metaproperties", ""])?;
        url.set_query(Some("options=1"));
        let by_key: BTreeMap<String, Metaproperty> =
            self.call(Operation::LookUp, operation, |client| client.get(url.clone())).await?;
        Ok(by_key.into_values().collect())
    }

    /// Writes texts of metaproperties, by their ids, in one call. Sends no other field of the asset, so no other
    /// changes.
    ///
    /// The response 202 means queued: neither it nor a read soon after proves that the text is stored.
    pub async fn set_texts(&self, asset: &AssetId, texts: &[(&str, &str)]) -> Result<(), BynderError> {
        let operation = format!("writing the metaproperty of asset {asset}");
        let url = self.url(&operation, &["api", "v4", "media", asset.as_str(), ""])?;
        let form: Vec<_> = texts.iter().map(|(id, text)| (format!("metaproperty.{id}"), *text)).collect();
        self.send(Operation::Mark, &operation, |client| client.post(url.clone()).form(&form)).await?;
        Ok(())
    }
}
