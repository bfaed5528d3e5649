//! Finds the version that holds a file, by its hash: only a download shows that.

use common::asset::{AssetId, MOST_CANDIDATES};
use common::hash::ContentHash;
use common::job::Job;
use common::outcome::FailureClass;

use super::StepEnd;
use crate::context::StepContext;
use crate::error::StepError;

/// Where a file was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// In this version.
    In(u32),
    /// In none of the candidates.
    Nowhere,
    /// In none of the candidates that were looked into, and there are more.
    Unknown,
}

/// Which of these versions holds the file. Each is downloaded, so only a bounded number is looked into, the earliest first: a save
/// makes the next version.
pub(super) async fn find(
    context: &StepContext,
    job: &mut Job,
    asset: &AssetId,
    candidates: &[u32],
    file: ContentHash,
) -> Result<Found, StepError> {
    for version in candidates.iter().take(MOST_CANDIDATES) {
        if context.hash(job, asset, *version).await? == file {
            return Ok(Found::In(*version));
        }
    }
    Ok(if candidates.len() > MOST_CANDIDATES { Found::Unknown } else { Found::Nowhere })
}

/// The failure of a job whose file may be in more versions than are looked into. `on` names the asset.
pub(super) fn too_many(on: &str, candidates: &[u32]) -> StepEnd {
    let reason = format!(
        "{} new versions of {on} are as long as the watermarked file or of unknown length, and no more than {MOST_CANDIDATES} \
         are downloaded to find out whether it was saved before; nothing was saved. Delete surplus versions in Bynder, then \
         replay, or drop the job",
        candidates.len()
    );
    StepEnd::failed(FailureClass::Refused, reason)
}
