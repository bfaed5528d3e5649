//! What putting originals back works with, and the few things that are done with it.

use std::sync::Arc;
use std::time::Duration;

use bynder::patience::{Patience, patiently};
use bynder::{Bynder, BynderError, Metaproperty};
use common::asset::{AssetDetail, AssetId};
use common::hash::ContentHash;
use common::job::{JobId, RunId};
use common::marker::{Marker, Record, Records, Status};
use files::spool::Spool;
use jiff::Timestamp;
use ledger::{Ledger, Progress, Restoration};
use queue::{Attempt, Kept, Lease, Locks, lease_patiently};

use super::decide::{AssetResult, Skip};
use super::error::RestoreError;

/// The services, the record and the settings.
pub(crate) struct Environment {
    pub(crate) bynder: Bynder,
    pub(crate) ledger: Ledger,
    /// Where the leases are: no worker touches an asset meanwhile.
    pub(crate) locks: Arc<dyn Locks>,
    pub(crate) spool: Spool,
    pub(crate) metaproperty: Metaproperty,
    /// Id of the metaproperty that tells people how an asset stands.
    pub(crate) status_id: Option<String>,
    /// This call, on record.
    pub(crate) run_id: RunId,
    pub(crate) patience: Patience,
    /// Between two looks at something that takes its time.
    pub(crate) pause: Duration,
    /// Longer than a request that nobody waits for any more may take to land.
    pub(crate) suspect_wait: Duration,
    /// Assets worked on at once.
    pub(crate) concurrency: usize,
}

impl Environment {
    /// The asset's lease; `None` while another has the asset.
    pub(super) async fn lease(&self, asset: &AssetId) -> Result<Option<Lease>, RestoreError> {
        let doubt = [Kept::from_all(self.suspect_wait)];
        match lease_patiently(self.locks.as_ref(), asset, &holder(), &doubt).await? {
            Attempt::Taken(lease) => Ok(Some(lease)),
            Attempt::Refused | Attempt::Busy => Ok(None),
        }
    }

    /// One fresh look; `None` if the asset is gone.
    pub(super) async fn look(&self, asset: &AssetId) -> Result<Option<AssetDetail>, RestoreError> {
        self.look_by(&self.bynder, asset).await
    }

    /// The same, by a client that has places for it.
    pub(super) async fn look_by(
        &self,
        bynder: &Bynder,
        asset: &AssetId,
    ) -> Result<Option<AssetDetail>, RestoreError> {
        match patiently(&self.patience, || bynder.asset(asset)).await {
            Err(BynderError::NotFound { .. }) => Ok(None),
            answer => Ok(Some(answer?)),
        }
    }

    /// The hash of one version's file.
    pub(super) async fn hash(&self, asset: &AssetId, version: u32) -> Result<ContentHash, RestoreError> {
        let (hash, _) = patiently(&self.patience, || self.bynder.hash_version(asset, version)).await?;
        Ok(hash)
    }

    /// What the asset's marker says.
    pub(super) fn marker(&self, detail: &AssetDetail) -> Marker {
        detail.asset.marker(&self.metaproperty.name)
    }

    /// Writes the marker and, in the same call, what people are told; repeating it is harmless.
    pub(super) async fn mark(
        &self,
        asset: &AssetId,
        records: &Records,
        status: Status<'_>,
    ) -> Result<(), RestoreError> {
        self.locks.contact()?;
        let (marker, status) = (records.to_string(), status.text(Timestamp::now()));
        let told = self.status_id.as_deref().map(|id| (id, status.as_str()));
        let texts: Vec<_> =
            [(self.metaproperty.id.as_str(), marker.as_str())].into_iter().chain(told).collect();
        Ok(patiently(&self.patience, || self.bynder.set_texts(asset, &texts)).await?)
    }

    /// Puts on record how it ended.
    pub(super) async fn note(&self, begun: Restoration, progress: Progress) -> Result<(), RestoreError> {
        if let Progress::Crossed { ours, theirs } = &progress {
            tracing::warn!(
                asset_id = %begun.asset_id, ours, theirs,
                "the original came on top of a version that a person made in the last moment"
            );
        }
        let row = Restoration { run_id: self.run_id.clone(), progress, at: Timestamp::now(), ..begun };
        Ok(self.ledger.note_restoration(&row).await?)
    }

    /// Leaves the asset to a person: takes the opt-out back, unless it was there before.
    pub(super) async fn withdraw(&self, begun: Restoration, reason: &str) -> Result<(), RestoreError> {
        if !begun.opted_out_before
            && let Some(detail) = self.look(&begun.asset_id).await?
            && let Marker::Ours(records) = self.marker(&detail)
        {
            let is_protected = detail.active() == Some(begun.record.version);
            let status = if is_protected { Status::Protected } else { Status::Unprotected };
            self.mark(&begun.asset_id, &records.with_opt_out(false), status).await?;
        }
        self.note(begun, Progress::Withdrawn { reason: reason.to_owned() }).await
    }

    /// An asset that is left to a person, with an opt-out taken back that an interrupted call wrote.
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

    /// A start as it goes on record; what is not known is told apart by the caller.
    pub(super) fn begin(&self, detail: &AssetDetail, record: Record, top: u32) -> Restoration {
        Restoration {
            run_id: self.run_id.clone(),
            asset_id: detail.asset.id.clone(),
            asset_name: detail.asset.name.clone(),
            progress: Progress::Begun,
            record,
            original_version: None,
            original_bytes: 0,
            top,
            opted_out_before: self.marker(detail).opted_out(),
            at: Timestamp::now(),
        }
    }
}

/// In whose name an asset is kept from the workers: the same for each call, so that one can take over what another left.
pub(super) fn holder() -> JobId {
    JobId("restore".to_owned())
}
