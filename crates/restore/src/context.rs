//! What restoring originals needs, and the basic operations.

use std::sync::Arc;
use std::time::Duration;

use bynder::patience::{Patience, patiently};
use bynder::{Bynder, BynderError};
use common::asset::{AssetDetail, AssetId};
use common::hash::ContentHash;
use common::job::{JobId, RunId};
use common::marker::{Marker, Record, Records, Status};
use files::spool::Spool;
use jiff::Timestamp;
use ledger::{Ledger, Restoration, RestorationProgress};
use queue::{Attempt, Lease, Lockout, Locks, lease_patiently};
use wiring::WrittenFields;

use super::decision::{AssetResult, Skip};
use super::error::RestoreError;

/// The services, the record and the settings.
pub struct RestoreContext {
    pub bynder: Bynder,
    pub ledger: Ledger,
    /// The leases, which keep workers away from an asset.
    pub locks: Arc<dyn Locks>,
    pub spool: Spool,
    pub fields: WrittenFields,
    /// The id of this call in the record.
    pub run_id: RunId,
    pub patience: Patience,
    /// The pause between two checks of something that takes time.
    pub pause: Duration,
    /// How long a saved version may stay invisible before it counts as waiting for approval.
    pub longest_unseen: Duration,
    /// Longer than an abandoned request may take to take effect.
    pub suspect_wait: Duration,
    /// How many assets to work on at once.
    pub concurrency: usize,
}

impl RestoreContext {
    /// Acquires the asset's lease; `None` while another process or job has it.
    pub(super) async fn lease(&self, asset: &AssetId) -> Result<Option<Lease>, RestoreError> {
        let doubt = [Lockout::from_all(self.suspect_wait)];
        match lease_patiently(self.locks.as_ref(), asset, &holder(), &doubt).await? {
            Attempt::Taken(lease) => Ok(Some(lease)),
            Attempt::Refused | Attempt::Busy => Ok(None),
        }
    }

    /// Fetches the asset with this client, which may have reserved calls; `None` if it is gone.
    pub(super) async fn read(
        &self,
        bynder: &Bynder,
        asset: &AssetId,
    ) -> Result<Option<AssetDetail>, RestoreError> {
        match patiently(&self.patience, || bynder.asset(asset)).await {
            Err(BynderError::NotFound { .. }) => Ok(None),
            answer => Ok(Some(answer?)),
        }
    }

    pub(super) async fn hash(&self, asset: &AssetId, version: u32) -> Result<ContentHash, RestoreError> {
        let (hash, _) = patiently(&self.patience, || self.bynder.hash_version(asset, version)).await?;
        Ok(hash)
    }

    pub(super) fn marker(&self, detail: &AssetDetail) -> Marker {
        self.fields.marker(&detail.asset)
    }

    /// Writes the marker and, in the same call, the status for people; repeating it is harmless.
    pub(super) async fn mark(
        &self,
        asset: &AssetId,
        records: &Records,
        status: Status<'_>,
    ) -> Result<(), RestoreError> {
        self.locks.contact()?;
        let texts = self.fields.texts(records, status);
        let texts: Vec<_> = texts.iter().map(|(id, text)| (*id, text.as_str())).collect();
        Ok(patiently(&self.patience, || self.bynder.set_texts(asset, &texts)).await?)
    }

    /// Records how the restoration ended.
    pub(super) async fn note(
        &self,
        begun: Restoration,
        progress: RestorationProgress,
    ) -> Result<(), RestoreError> {
        if let RestorationProgress::Crossed { ours, theirs } = &progress {
            tracing::warn!(
                asset_id = %begun.asset_id, ours, theirs,
                "the original came on top of a version that a person made in the last moment"
            );
        }
        let row = Restoration { run_id: self.run_id.clone(), progress, at: Timestamp::now(), ..begun };
        Ok(self.ledger.note_restoration(&row).await?)
    }

    /// Leaves the asset to a person: removes the opt-out, unless it was there before.
    pub(super) async fn withdraw(&self, begun: Restoration, reason: &str) -> Result<(), RestoreError> {
        if !begun.opted_out_before
            && let Some(detail) = self.read(&self.bynder, &begun.asset_id).await?
            && let Marker::Ours(records) = self.marker(&detail)
        {
            let is_protected = detail.active() == Some(begun.record.version);
            let status = if is_protected { Status::Protected } else { Status::Unprotected };
            self.mark(&begun.asset_id, &records.with_opt_out(false), status).await?;
        }
        self.note(begun, RestorationProgress::Withdrawn { reason: reason.to_owned() }).await
    }

    /// Leaves an asset to a person, and removes the opt-out that an interrupted call wrote.
    pub(super) async fn left(
        &self,
        begun: Option<Restoration>,
        skip: Skip,
    ) -> Result<AssetResult, RestoreError> {
        if let Some(begun) = begun.filter(|_| skip == Skip::NewerVersion) {
            self.withdraw(begun, "a person made another version").await?;
        }
        Ok(AssetResult::Skipped(skip))
    }

    /// The record of a restoration's beginning; the caller fills in what is not known here.
    pub(super) fn begin(&self, detail: &AssetDetail, record: Record, top: u32) -> Restoration {
        Restoration {
            run_id: self.run_id.clone(),
            asset_id: detail.asset.id.clone(),
            asset_name: detail.asset.shown_name(),
            progress: RestorationProgress::Begun,
            record,
            original_version: None,
            original_bytes: 0,
            top,
            opted_out_before: self.marker(detail).opted_out(),
            at: Timestamp::now(),
        }
    }
}

/// The holder that keeps an asset from workers: the same for each call, so that one call can take over from another.
pub(super) fn holder() -> JobId {
    JobId("restore".to_owned())
}
