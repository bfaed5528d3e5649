//! Saves uploads as a version, an asset or an additional file: the calls that must not happen twice.

use reqwest::StatusCode;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Bynder, BynderError, ImportId, Parcel};
use common::asset::AssetId;
use http_client::Operation;

/// The result of saving an import, as a new version or as a new asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved<T = ()> {
    /// It is saved; a new asset has this id.
    Done(T),
    /// Not converted yet: poll, then save again.
    NotConverted,
}

#[derive(Deserialize)]
struct SavedAsset {
    /// Spelled like this here, unlike in other responses.
    mediaid: AssetId,
}

impl Bynder {
    /// Saves the import as the asset's new active version. There is no idempotency key: check before a repetition.
    pub async fn save_version(&self, asset: &AssetId, import: &ImportId) -> Result<Saved, BynderError> {
        let operation = format!("saving the new version of asset {asset}");
        let url =
            self.url(&operation, &["api", "v4", "media", asset.as_str(), "save", import.as_str(), ""])?;
        let response = self.send(Operation::Save, &operation, |client| client.post(url.clone())).await?;
        if response.status() == StatusCode::SEE_OTHER {
            return Ok(Saved::NotConverted);
        }
        // Only JSON proves success: error pages have come with a status of success.
        self.read::<IgnoredAny>(Operation::Save, &operation, response).await?;
        Ok(Saved::Done(()))
    }

    /// Saves the import as a new asset with these fields. There is no idempotency key: check before a repetition.
    pub async fn save_asset(
        &self,
        import: &ImportId,
        fields: &[(String, String)],
    ) -> Result<Saved<AssetId>, BynderError> {
        let operation = format!("saving import {import} as a new asset");
        let url = self.url(&operation, &["api", "v4", "media", "save", import.as_str(), ""])?;
        let build = |client: &reqwest::Client| client.post(url.clone()).form(fields);
        let response = self.send(Operation::SaveAsset, &operation, build).await?;
        if response.status() == StatusCode::SEE_OTHER {
            return Ok(Saved::NotConverted);
        }
        let saved: SavedAsset = self.read(Operation::SaveAsset, &operation, response).await?;
        Ok(Saved::Done(saved.mediaid))
    }

    /// Saves uploaded parts as an additional file of an asset, under the name they were uploaded with. There is no
    /// idempotency key: check before a repetition.
    pub async fn save_additional(&self, asset: &AssetId, parcel: &Parcel) -> Result<(), BynderError> {
        let operation = format!("saving an additional file of asset {asset}");
        let url = self.url(&operation, &["api", "v4", "media", asset.as_str(), "save", "additional", ""])?;
        // The id is in the body, as when a part is registered.
        let form = [
            ("uploadId", parcel.upload_id.to_string()),
            ("targetid", parcel.target_id.to_string()),
            ("s3_filename", parcel.s3_file_name.to_string()),
            ("chunks", parcel.parts.to_string()),
        ];
        let build = |client: &reqwest::Client| client.post(url.clone()).form(&form);
        let response = self.send(Operation::SaveAdditional, &operation, build).await?;
        self.read::<IgnoredAny>(Operation::SaveAdditional, &operation, response).await?;
        Ok(())
    }
}
