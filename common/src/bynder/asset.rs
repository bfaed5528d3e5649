//! One asset by its id: fresher than the listing.

use super::decode::Row;
use super::{Bynder, BynderError};
use crate::asset::{AssetDetail, AssetId};

impl Bynder {
    /// Fetches an asset with its version history. Only this call's 404 means that an asset is gone.
    pub async fn asset(&self, id: &AssetId) -> Result<AssetDetail, BynderError> {
        let operation = format!("looking at asset {id}");
        let mut url = self.url(&operation, &["api", "v4", "media", id.as_str(), ""])?;
        url.set_query(Some("versions=1"));
        let row: Row = self.call(&operation, |client| client.get(url.clone())).await?;
        row.into_detail().map_err(|error| BynderError::Unexpected { operation, reason: error.to_string() })
    }
}
