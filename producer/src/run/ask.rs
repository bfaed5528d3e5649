//! Requests what a row of the listing leaves open, by one GET each.

use bynder::BynderError;
use bynder::patience::patiently;
use common::asset::{Asset, AssetDetail, AssetId};
use common::hash::ContentHash;
use common::marker::Kin;

use super::{Run, RunError};

impl Run<'_> {
    /// Whether `original` names `copy` as its copy. One that is gone does not: the marker may have been copied to
    /// another asset, and a copy that holds its watermarked file is recognised by that.
    pub(super) async fn is_copied_to(&self, original: &AssetId, copy: &AssetId) -> Result<bool, RunError> {
        let Some(detail) = self.read_asset(original).await? else { return Ok(false) };
        let marker = detail.asset.marker(&self.environment.metaproperty);
        Ok(marker.kin() == Some(&Kin::CopiedTo(copy.clone())))
    }

    /// Whether the copy shows what was last saved: it exists, and its marker has no record above the active
    /// version.
    pub(super) async fn shows(&self, copy: &AssetId) -> Result<bool, RunError> {
        let Some(detail) = self.read_asset(copy).await? else { return Ok(false) };
        let marker = detail.asset.marker(&self.environment.metaproperty);
        Ok(detail.active().is_some_and(|active| !marker.is_ahead_of(active)))
    }

    pub(super) async fn read_asset(&self, asset: &AssetId) -> Result<Option<AssetDetail>, RunError> {
        let reading = patiently(self.patience, || self.environment.bynder.asset(asset));
        match self.patience.unless_over(reading).await? {
            Err(BynderError::NotFound { .. }) => Ok(None),
            answer => Ok(Some(answer?)),
        }
    }

    /// Whether the asset has this additional file, by its name.
    pub(super) async fn has_additional(&self, asset: &AssetId, file: ContentHash) -> Result<bool, RunError> {
        let reading = patiently(self.patience, || self.environment.bynder.template(asset));
        match self.patience.unless_over(reading).await? {
            Err(BynderError::NotFound { .. }) => Ok(false),
            answer => Ok(answer?.has_additional(file)),
        }
    }

    /// The asset with its active version, from the ledger or by one GET; `None` if it is gone by now.
    pub(super) async fn with_version(&self, asset: &Asset) -> Result<Option<Asset>, RunError> {
        let ledger = &self.environment.ledger;
        let mut version = ledger.remembered_version(&asset.id, asset.modified).await?;
        if version.is_none() {
            let Some(asked) = self.read_asset(&asset.id).await? else { return Ok(None) };
            version = asked.active();
            if let Some(version) = version.filter(|_| !self.options.dry_run) {
                ledger.remember_version(&asset.id, asset.modified, version).await?;
            }
        }
        Ok(Some(Asset { active_version: version, ..asset.clone() }))
    }
}
