//! Writing the marker, and taking back a record that turned out to be premature.

use common::asset::AssetId;
use common::hash::ContentHash;
use common::job::Job;
use common::marker::{Marker, Record, Records, Status};
use common::outcome::FailureClass;

use super::StepEnd;
use super::versions::{Found, find};
use crate::context::StepContext;
use crate::error::StepError;
use decide::{UnshownMarker, unshown_marker};

/// Writes the records of a protected file; repeating it is harmless.
pub(super) async fn write(context: &StepContext, job: &Job, records: &Records) -> Result<(), StepError> {
    write_with(context, &job.asset_id, records, Status::Protected).await
}

/// Writes the records and, in the same call, the asset's status (if a metaproperty for it is configured) and its
/// link.
pub(super) async fn write_with(
    context: &StepContext,
    asset: &AssetId,
    records: &Records,
    status: Status<'_>,
) -> Result<(), StepError> {
    context.locks.contact()?;
    let texts = context.settings.fields.texts(records, status);
    let texts: Vec<_> = texts.iter().map(|(id, text)| (*id, text.as_str())).collect();
    context.bynder.set_texts(asset, &texts).await?;
    Ok(())
}

/// Whether the record of a coming save has to be written now: at first, and again if checks do not show it. Ends the
/// job if Bynder does not keep it. `on` names the asset in the failure.
pub(super) fn is_due(
    context: &StepContext,
    job: &mut Job,
    written_before: bool,
    on: &str,
) -> Result<bool, StepEnd> {
    if written_before {
        job.unseen_marker_looks = job.unseen_marker_looks.saturating_add(1);
    }
    match unshown_marker(job.unseen_marker_looks) {
        UnshownMarker::GiveUp => {
            let reason = format!(
                "Bynder accepts text for the metaproperty {} of {on} but does not keep it; nothing was saved. Make \
                 the field editable and an API field, or name another one, then replay",
                context.settings.fields.hash.name
            );
            Err(StepEnd::failed(FailureClass::Marker, reason))
        }
        UnshownMarker::Wait => Ok(!written_before),
        UnshownMarker::WriteAgain => Ok(true),
    }
}

/// Takes back the record of a version that will not be saved.
///
/// The record would name the version number of a person's next upload; a file of the same length would then pass
/// for protected.
pub(super) async fn retract(
    context: &StepContext,
    job: &mut Job,
    watermarked: ContentHash,
    marker: Marker,
) -> Result<(), StepError> {
    let before = Marker::parse(job.marker_text.as_deref());
    let pending = |record: &Record| record.watermarked == watermarked && record.version > job.base;
    if let Some(records) = taken_back(marker, before, pending) {
        write_with(context, &job.asset_id, &records, Status::Unprotected).await?;
        job.effects.marked = None;
    }
    Ok(())
}

/// Takes back a record that a failed job wrote ahead of a save. The record stays if a version of the asset holds
/// its file: the save happened; or if more versions may hold it than are looked into. Returns whether there was anything to take
/// back.
pub(super) async fn withdraw(
    context: &StepContext,
    job: &mut Job,
    asset: &AssetId,
    ahead: Record,
    before: Marker,
    status: Status<'_>,
) -> Result<bool, StepError> {
    let detail = context.bynder.asset(asset).await?;
    // The save may have made any version from the foretold number on.
    let candidates: Vec<_> =
        detail.may_hold(ahead.version.saturating_sub(1), ahead.bytes).map(|found| found.number).collect();
    match find(context, job, asset, &candidates, ahead.watermarked).await? {
        Found::Nowhere => {}
        Found::In(_) | Found::Unknown => return Ok(false),
    }
    let marker = context.marker(&detail.asset);
    let Some(records) = taken_back(marker, before, |record| *record == ahead) else { return Ok(false) };
    write_with(context, asset, &records, status).await?;
    Ok(true)
}

/// The marker without the pending record, unless that was there before. A record that it replaced is restored,
/// unless someone else has written into the marker since then. `None`: there is no such record.
fn taken_back(marker: Marker, before: Marker, pending: impl Fn(&Record) -> bool) -> Option<Records> {
    let Marker::Ours(records) = marker else { return None };
    let before = before.into_records().unwrap_or_default();
    let pending = records.iter().find(|record| pending(record) && !before.contains(record)).copied()?;
    let undone = before.clone().with(pending) == records;
    Some(if undone { before } else { records.without(&pending) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(file: u8, version: u32) -> Record {
        let [original, watermarked] = [file, file + 100].map(|byte| ContentHash::from_bytes([byte; 32]));
        Record { original, watermarked, version, bytes: 500 }
    }

    fn marker(records: &[Record]) -> Marker {
        let records = records.iter().rev().fold(Records::default(), |records, record| records.with(*record));
        Marker::parse(Some(&records.to_string()))
    }

    fn left(now: &[Record], before: &[Record]) -> Option<String> {
        let ahead = record(1, 3);
        taken_back(marker(now), marker(before), |record| *record == ahead).map(|records| records.to_string())
    }

    #[test]
    fn what_was_in_the_marker_before_a_record_was_written_ahead_is_in_it_again_once_that_is_taken_back() {
        let (ahead, old, others) = (record(1, 3), record(1, 2), record(2, 1));
        let text =
            |records: &[Record]| marker(records).into_records().ok().map(|records| records.to_string());
        assert_eq!(left(&[ahead], &[]).as_deref(), Some(""));
        // A marker never holds two records of one file, so the old one had been replaced.
        assert_eq!(left(&[ahead, others], &[old, others]), text(&[old, others]));
        assert_eq!(left(&[record(4, 4), ahead], &[old]), text(&[record(4, 4)]));
        assert_eq!(left(&[old], &[old]), None);
        assert_eq!(left(&[ahead], &[ahead]), None);
    }
}
