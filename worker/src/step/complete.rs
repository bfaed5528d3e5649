//! Ends a job whose file needs no watermark, or whose metaproperty must be left alone.

use common::asset::AssetDetail;
use common::hash::FileFacts;
use common::job::Job;
use common::marker::{Marker, Record};
use common::outcome::{FailureClass, Outcome};

use super::{StepEnd, Stop, marking, or_gone};
use crate::context::StepContext;
use http_client::prose;

/// The file is protected: completes the marker so that the next run needs no download.
///
/// `known` is the record that names the file; without one, the file counts as its own original.
pub(super) async fn already_protected(
    context: &StepContext,
    job: &mut Job,
    file: &FileFacts,
    known: Option<Record>,
) -> Result<StepEnd, Stop> {
    let detail = or_gone(context.bynder.asset(&job.asset_id).await)?;
    let marker = context.marker(&detail.asset);
    let original = known.map_or(file.sha256, |record| record.original);
    let record = Record { original, watermarked: file.sha256, version: job.base, bytes: file.bytes };
    let records = match marker.into_records() {
        Ok(records) => records,
        Err(foreign) => return Ok(foreign_text(context, job, &foreign.0)),
    };
    if !records.contains(&record) {
        marking::write(context, job, &records.with(record)).await?;
    }
    Ok(StepEnd::Ended(crossed(job, known, &detail).unwrap_or(Outcome::AlreadyProtected)))
}

/// Whether the record names a lower version than the one that holds the file, while that version holds another
/// file: a person uploaded between the last check and the save, and the save came on top.
fn crossed(job: &Job, known: Option<Record>, detail: &AssetDetail) -> Option<Outcome> {
    let record = known.filter(|record| record.version < job.base)?;
    let theirs = detail.version(record.version)?;
    let differs = theirs.bytes.is_some_and(|bytes| bytes != record.bytes);
    differs.then_some(Outcome::Superseded { ours: Some(job.base), theirs: record.version })
}

/// The listing showed text that the connector did not write. Since the listing lags, a single GET confirms that
/// before the job fails.
pub(super) async fn confirm_foreign(context: &StepContext, job: &mut Job) -> Result<StepEnd, Stop> {
    let detail = or_gone(context.bynder.asset(&job.asset_id).await)?;
    let name = &context.settings.fields.hash.name;
    match detail.asset.marker(name) {
        Marker::Foreign(text) => Ok(foreign_text(context, job, &text)),
        Marker::Absent | Marker::Ours(_) | Marker::Legacy(_) => {
            job.marker_text = detail.asset.marker_text(name);
            Ok(StepEnd::Next(job.step))
        }
    }
}

/// The failure of a job that found text in the hash metaproperty that the connector did not write.
pub(super) fn foreign_text(context: &StepContext, job: &Job, text: &str) -> StepEnd {
    // Anyone may have written it, and it may be a link with a signature.
    let shown: String = prose(text).chars().take(60).collect();
    StepEnd::failed(
        FailureClass::Marker,
        format!(
            "the metaproperty {} of asset {} holds text that the connector did not write ({shown:?}); \
             empty it, or name another metaproperty in bynder.hash_metaproperty",
            context.settings.fields.hash.name, job.asset_id,
        ),
    )
}
