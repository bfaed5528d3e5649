//! Handles one asset: checks it, then restores it, recognises an earlier restoration, or leaves it.

use std::time::Duration;

use common::asset::AssetDetail;
use common::marker::{Marker, Record};
use ledger::{Progress, Restoration};
use queue::{Left, Lockout};

use super::decide::{AssetResult, Decision, Skip, decide, landed};
use super::environment::holder;
use super::error::RestoreError;
use super::work::Restorer;
use super::{Environment, Target};

/// How long workers keep away from an asset whose restoration does not end.
const MOST_TIME: Duration = Duration::from_hours(6);

/// An asset, and what to do with it.
pub(super) struct AssetView {
    pub(super) decision: Decision,
    detail: Option<AssetDetail>,
    /// The latest record about restoring its original.
    last: Option<Restoration>,
}

/// Checks an asset; changes nothing.
pub(super) async fn see(environment: &Environment, target: &Target) -> Result<AssetView, RestoreError> {
    let last = environment.ledger.last_restoration(&target.id).await?;
    let detail = environment.read(&environment.bynder, &target.id).await?;
    let decision = match &detail {
        None => Decision::Skip(Skip::Gone),
        Some(_) if target.elsewhere => Decision::Skip(Skip::OriginalInPlace),
        Some(_) if environment.ledger.known(&target.id).await?.open.is_some() => {
            Decision::Skip(Skip::JobOpen)
        }
        Some(detail) => decide(detail, &environment.marker(detail), target.watermarked, last.as_ref()),
    };
    Ok(AssetView { decision, detail, last })
}

/// Restores one asset's original.
pub(super) async fn restore(environment: &Environment, target: &Target) -> Result<AssetResult, RestoreError> {
    let Some(lease) = environment.lease(&target.id).await? else {
        return Ok(AssetResult::Skipped(Skip::Busy));
    };
    // Marked as kept instead of leased: others wait for a lease, and a film takes an hour in each direction.
    lease.end(Left::Lockout(Lockout::for_job(MOST_TIME, &holder())));
    let ended = decided(environment, target).await;
    if let Some(lease) = environment.lease(&target.id).await? {
        lease.end(Left::Nothing);
    }
    ended
}

async fn decided(environment: &Environment, target: &Target) -> Result<AssetResult, RestoreError> {
    let AssetView { decision, detail, last } = see(environment, target).await?;
    let Some(detail) = detail else { return Ok(AssetResult::Skipped(Skip::Gone)) };
    let begun = last.filter(|last| last.progress == Progress::Begun);
    match decision {
        Decision::Restore(record) => Restorer { environment, target, begun }.restore(&detail, record).await,
        Decision::MaybeRestored(versions) => {
            let marker = environment.marker(&detail);
            let Some((version, record)) = recognised(environment, target, &versions, &marker).await? else {
                return environment.left(begun, Skip::NewerVersion).await;
            };
            let begun =
                begun.unwrap_or_else(|| environment.begin(&detail, record, version.saturating_sub(1)));
            let progress = landed(&begun, version);
            environment.note(begun, progress).await?;
            Ok(AssetResult::Restored)
        }
        Decision::Skip(skip) => environment.left(begun, skip).await,
    }
}

/// Which of these versions holds an original that the marker records, with that record.
async fn recognised(
    environment: &Environment,
    target: &Target,
    versions: &[u32],
    marker: &Marker,
) -> Result<Option<(u32, Record)>, RestoreError> {
    let Marker::Ours(records) = marker else { return Ok(None) };
    for version in versions {
        let hash = environment.hash(&target.id, *version).await?;
        let fitting = |record: &&Record| {
            record.original == hash && target.watermarked.is_none_or(|wanted| wanted == record.watermarked)
        };
        if let Some(record) = records.iter().find(fitting) {
            return Ok(Some((*version, *record)));
        }
    }
    Ok(None)
}
