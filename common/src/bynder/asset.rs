//! One asset by its id: by itself, which is fresher than the listing, or by its row in the listing, which many share.

use std::collections::HashMap;
use std::sync::Arc;

use super::decode::Row;
use super::list::ListQuery;
use super::together::{Batch, MOST_IDS};
use super::{Bynder, BynderError};
use crate::asset::{Asset, AssetDetail, AssetId};
use crate::http::Operation;

impl Bynder {
    /// Fetches an asset with its version history. Only this call's 404 means that an asset is gone.
    pub async fn asset(&self, id: &AssetId) -> Result<AssetDetail, BynderError> {
        let operation = format!("looking at asset {id}");
        let mut url = self.url(&operation, &["api", "v4", "media", id.as_str(), ""])?;
        url.set_query(Some("versions=1"));
        let row: Row = self.call(Operation::Asset, &operation, |client| client.get(url.clone())).await?;
        row.into_detail().map_err(|error| BynderError::Unexpected { operation, reason: error.to_string() })
    }

    /// An asset's row in the listing, fetched together with whatever others ask for at the same time; `None` if the
    /// listing does not have it. The listing lags: what is seen here may have changed meanwhile.
    pub async fn row(&self, id: &AssetId) -> Result<Option<Asset>, BynderError> {
        let bynder = self.clone();
        let list = move |batch: Arc<Batch<AssetId, Asset>>| {
            let bynder = bynder.clone();
            async move { bynder.rows(&batch).await }
        };
        self.inner.rows.ask(id.clone(), list).await
    }

    async fn rows(&self, batch: &Batch<AssetId, Asset>) -> Result<HashMap<AssetId, Asset>, BynderError> {
        let limit = u32::try_from(MOST_IDS).unwrap_or(u32::MAX);
        let query = || ListQuery { limit, ids: batch.keys(), include_versions: true, ..ListQuery::default() };
        let page = self.list_as_of_now(query).await?;
        Ok(page.assets.into_iter().map(|asset| (asset.id.clone(), asset)).collect())
    }
}
