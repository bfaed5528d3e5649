//! Saving an import as a new version: the one call that must not happen twice.

use reqwest::StatusCode;

use super::{Bynder, BynderError, ImportId};
use crate::asset::AssetId;
use crate::http::Operation;

/// The answer to a save.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// The file is a new version of the asset.
    Done,
    /// Not converted yet: poll, then save again.
    NotConverted,
}

impl Bynder {
    /// Makes the import the asset's new active version. There is no idempotency key: look before repeating it.
    pub async fn save_version(&self, asset: &AssetId, import: &ImportId) -> Result<Saved, BynderError> {
        let operation = format!("saving the new version of asset {asset}");
        let url =
            self.url(&operation, &["api", "v4", "media", asset.as_str(), "save", import.as_str(), ""])?;
        let response = self.send(Operation::Save, &operation, |client| client.post(url.clone())).await?;
        if response.status() == StatusCode::SEE_OTHER {
            return Ok(Saved::NotConverted);
        }
        // Only JSON proves it: error pages have come with a status of success.
        self.read::<serde_json::Value>(&operation, response).await?;
        Ok(Saved::Done)
    }
}
