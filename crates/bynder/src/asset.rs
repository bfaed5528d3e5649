//! Reads one asset by its id: by a single GET, which is fresher than the listing, or by its row in the listing,
//! whose call many jobs share.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::batching::{Batch, MOST_IDS, gathering};
use super::decode::Row;
use super::list::ListQuery;
use super::{Bynder, BynderError};
use common::asset::{Asset, AssetDetail, AssetId};
use http_client::Operation;

impl Bynder {
    /// Fetches an asset with its version history. Only a 404 of this call means that an asset is gone.
    pub async fn asset(&self, id: &AssetId) -> Result<AssetDetail, BynderError> {
        let operation = reading(id);
        let row: Row = self.get_asset(&operation, id).await?;
        let detail = row.into_detail();
        let detail =
            detail.map_err(|error| BynderError::Unexpected { operation, reason: error.to_string() })?;
        self.with_active_version(detail).await
    }

    /// The response to a single GET that requests every field which may show the active version.
    pub(super) async fn get_asset<T: DeserializeOwned>(
        &self,
        operation: &str,
        id: &AssetId,
    ) -> Result<T, BynderError> {
        let mut url = self.url(operation, &["api", "v4", "media", id.as_str(), ""])?;
        url.set_query(Some("versions=1&includeVersionNumber=1"));
        self.call(Operation::Asset, operation, |client| client.get(url.clone())).await
    }

    /// Reads the listing's row if the response leaves the active version open. The row lags, so it counts only if
    /// it names the highest version in the history: then no version was made since.
    pub(super) async fn with_active_version(
        &self,
        mut detail: AssetDetail,
    ) -> Result<AssetDetail, BynderError> {
        self.inner.says_active.store(detail.says_active(), Ordering::Relaxed);
        let _ = self.inner.has_read_one.set(());
        let (None, Some(top)) = (detail.active(), detail.top()) else { return Ok(detail) };
        // A reserved call is for the next call, not for this one.
        let bynder = Self { reserved: None, ..self.clone() };
        let row = bynder.row(&detail.asset.id).await?;
        detail.asset.active_version = row.and_then(|row| row.active_version).filter(|active| *active == top);
        Ok(detail)
    }

    /// Whether single GETs show the active version, as the latest one did; the first call of a process makes one to
    /// find out. If they do not, a row cannot replace them: it does not show the versions that leave the active one
    /// open.
    pub async fn says_active(&self, id: &AssetId) -> Result<bool, BynderError> {
        let read = async || self.asset(id).await.map(|_| ());
        match self.inner.has_read_one.get_or_try_init(read).await {
            Ok(()) => Ok(self.inner.says_active.load(Ordering::Relaxed)),
            Err(BynderError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// An asset's row in the listing, fetched in one call with the rows that others of the lane want at the same
    /// time; `None` if the listing does not have it. The listing lags: the row may be out of date.
    pub async fn row(&self, id: &AssetId) -> Result<Option<Asset>, BynderError> {
        let bynder = self.clone();
        let list = move |batch: Arc<Batch<AssetId, Asset>>| {
            let bynder = bynder.clone();
            async move { bynder.rows(&batch).await }
        };
        self.inner.rows[self.lane as usize].ask(id.clone(), self.gathering(), list).await
    }

    /// How long a shared call of this lane waits for others to join.
    pub(super) fn gathering(&self) -> Duration {
        gathering(self.lane, self.inner.gate.interval())
    }

    async fn rows(&self, batch: &Batch<AssetId, Asset>) -> Result<HashMap<AssetId, Asset>, BynderError> {
        let limit = u32::try_from(MOST_IDS).unwrap_or(u32::MAX);
        let query = || ListQuery { limit, ids: batch.keys(), include_versions: true, ..ListQuery::default() };
        let page = self.list_as_of_now(query).await?;
        Ok(page.assets.into_iter().map(|asset| (asset.id.clone(), asset)).collect())
    }
}

pub(super) fn reading(id: &AssetId) -> String {
    format!("reading asset {id}")
}
