//! Handles one asset: checks it, then restores it, recognises an earlier restoration, or leaves it.

use std::time::Duration;

use common::asset::{AssetDetail, MOST_CANDIDATES};
use common::marker::{Marker, Record};
use ledger::Restoration;
use queue::{Left, Lockout};

use super::context::holder;
use super::decision::{AssetResult, Decision, Skip, decide, landed};
use super::error::RestoreError;
use super::work::Restorer;
use super::{RestoreContext, Target};

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
pub(super) async fn check(context: &RestoreContext, target: &Target) -> Result<AssetView, RestoreError> {
    let last = context.ledger.last_restoration(&target.id).await?;
    let detail = context.read(&context.bynder, &target.id).await?;
    let decision = match &detail {
        None => Decision::Skip(Skip::Gone),
        Some(_) if target.elsewhere => Decision::Skip(Skip::OriginalInPlace),
        Some(_) if context.ledger.known(&target.id).await?.open.is_some() => Decision::Skip(Skip::JobOpen),
        Some(detail) => decide(detail, &context.marker(detail), target.watermarked, last.as_ref()),
    };
    Ok(AssetView { decision, detail, last })
}

/// Restores one asset's original.
pub(super) async fn restore(context: &RestoreContext, target: &Target) -> Result<AssetResult, RestoreError> {
    let Some(lease) = context.lease(&target.id).await? else {
        return Ok(AssetResult::Skipped(Skip::Busy));
    };
    // Marked as kept instead of leased: others wait for a lease, and a film takes an hour in each direction.
    lease.end(Left::Lockout(Lockout::for_job(MOST_TIME, &holder())));
    let ended = decided(context, target).await;
    if let Some(lease) = context.lease(&target.id).await? {
        lease.end(Left::Nothing);
    }
    ended
}

async fn decided(context: &RestoreContext, target: &Target) -> Result<AssetResult, RestoreError> {
    let AssetView { decision, detail, last } = check(context, target).await?;
    let Some(detail) = detail else { return Ok(AssetResult::Skipped(Skip::Gone)) };
    let begun = last.filter(|last| last.progress.is_open());
    match decision {
        Decision::Restore(record) => Restorer { context, target, begun }.restore(&detail, record).await,
        Decision::Waiting => Err(RestoreError::waiting(&target.id)),
        Decision::MaybeRestored(versions) => {
            let marker = context.marker(&detail);
            let Some((version, record)) = recognised(context, target, &versions, &marker).await? else {
                return context.left(begun, Skip::NewerVersion).await;
            };
            let begun = begun.unwrap_or_else(|| context.begin(&detail, record, version.saturating_sub(1)));
            let progress = landed(&begun, version);
            context.note(begun, progress).await?;
            Ok(AssetResult::Restored)
        }
        Decision::Skip(skip) => context.left(begun, skip).await,
    }
}

/// Which of these versions holds an original that the marker records, with that record.
async fn recognised(
    context: &RestoreContext,
    target: &Target,
    versions: &[u32],
    marker: &Marker,
) -> Result<Option<(u32, Record)>, RestoreError> {
    let Marker::Ours(records) = marker else { return Ok(None) };
    for version in versions.iter().take(MOST_CANDIDATES) {
        let hash = context.hash(&target.id, *version).await?;
        let fitting = |record: &&Record| {
            record.original == hash && target.watermarked.is_none_or(|wanted| wanted == record.watermarked)
        };
        if let Some(record) = records.iter().find(fitting) {
            return Ok(Some((*version, *record)));
        }
    }
    if versions.len() > MOST_CANDIDATES {
        return Err(RestoreError::too_many_versions(&target.id, versions.len()));
    }
    Ok(None)
}
