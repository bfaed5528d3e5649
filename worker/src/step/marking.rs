//! Writing the marker, and taking back a record that turned out to be premature.

use common::asset::{AssetDetail, AssetId, FileVersion};
use common::job::Job;
use common::marker::{Kin, Marker, Record, Records, Status};
use jiff::Timestamp;

use crate::context::StepContext;
use crate::error::StepError;
use crate::settings::Settings;

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
    let texts = texts(&context.settings, records, status);
    let texts: Vec<_> = texts.iter().map(|(id, text)| (*id, text.as_str())).collect();
    context.bynder.set_texts(asset, &texts).await?;
    Ok(())
}

/// The texts that the connector writes for an asset, by the metaproperty's id.
pub(super) fn texts<'a>(
    settings: &'a Settings,
    records: &Records,
    status: Status<'_>,
) -> Vec<(&'a str, String)> {
    let status = settings.status_id.as_deref().map(|id| (id, status.text(Timestamp::now())));
    let link = settings.link_id.as_deref().zip(records.kin()).map(|(id, kin)| match kin {
        Kin::CopyOf(other) | Kin::CopiedTo(other) => (id, other.to_string()),
    });
    [(settings.metaproperty.id.as_str(), records.to_string())].into_iter().chain(status).chain(link).collect()
}

/// Takes back the record of a version that will not be saved.
///
/// The record would name the version number of a person's next upload; a file of the same length would then pass
/// for protected.
pub(super) async fn retract(
    context: &StepContext,
    job: &mut Job,
    marker: Marker,
    status: Status<'_>,
) -> Result<(), StepError> {
    let Some(watermarked) = job.effects.watermarked.as_ref().map(|facts| facts.sha256) else {
        return Ok(());
    };
    let before = Marker::parse(job.marker_text.as_deref());
    let pending = |record: &Record| record.watermarked == watermarked && record.version > job.base;
    if let Some(records) = taken_back(marker, before, pending) {
        write_with(context, &job.asset_id, &records, status).await?;
        job.effects.marked = None;
    }
    Ok(())
}

/// Takes back a record that a failed job wrote ahead of a save. The record stays if a version of the asset holds
/// its file: the save happened. Returns whether there was anything to take back.
pub(super) async fn withdraw(
    context: &StepContext,
    job: &mut Job,
    asset: &AssetId,
    ahead: Record,
    before: Marker,
    status: Status<'_>,
) -> Result<bool, StepError> {
    let detail = context.bynder.asset(asset).await?;
    for version in may_hold(&detail, &ahead) {
        if context.hash(job, asset, version).await? == ahead.watermarked {
            return Ok(false);
        }
    }
    let marker = detail.asset.marker(&context.settings.metaproperty.name);
    let Some(records) = taken_back(marker, before, |record| *record == ahead) else { return Ok(false) };
    write_with(context, asset, &records, status).await?;
    Ok(true)
}

/// The versions that may hold the file of a record written ahead, judging by number and length.
fn may_hold(detail: &AssetDetail, ahead: &Record) -> Vec<u32> {
    let holds = |version: &&FileVersion| {
        version.number >= ahead.version && version.bytes.is_none_or(|bytes| bytes == ahead.bytes)
    };
    detail.versions.iter().filter(holds).map(|version| version.number).collect()
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
    use common::asset::samples::detail;
    use common::hash::ContentHash;

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

    #[test]
    fn a_save_may_have_made_any_version_as_long_as_its_file_from_the_foretold_number_on() {
        assert_eq!(may_hold(&detail(&[500, 500, 500, 400, 500], 1), &record(1, 3)), [3, 5]);
        let mut unknown = detail(&[500, 500, 500], 1);
        unknown.versions[2].bytes = None;
        assert_eq!(may_hold(&unknown, &record(1, 3)), [3]);
    }
}
