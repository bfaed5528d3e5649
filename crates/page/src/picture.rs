//! Where thumbnails come from.

use std::collections::HashMap;

use async_trait::async_trait;
use bynder::{Bynder, BynderError, Picture};
use common::asset::AssetId;
use http_client::Link;

/// Looks up thumbnails and downloads them.
#[async_trait]
pub trait Pictures: Send + Sync {
    /// The thumbnails' addresses of these assets, at most [`bynder::MOST_IDS`], by one call of the request budget.
    async fn links(&self, assets: &[AssetId]) -> Result<HashMap<AssetId, Link>, BynderError>;
    /// Costs no call of the budget.
    async fn picture(&self, link: &Link) -> Result<Picture, BynderError>;
}

#[async_trait]
impl Pictures for Bynder {
    async fn links(&self, assets: &[AssetId]) -> Result<HashMap<AssetId, Link>, BynderError> {
        self.thumbnails(assets).await
    }

    async fn picture(&self, link: &Link) -> Result<Picture, BynderError> {
        Self::picture(self, link).await
    }
}
