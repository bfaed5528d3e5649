//! Writing the marker, and taking back what it says too early.

use common::asset::AssetId;
use common::hash::ContentHash;
use common::job::Job;
use common::marker::{Kin, Marker, Records, Status};
use jiff::Timestamp;

use crate::environment::{Environment, Settings};
use crate::error::StepError;

/// Writes the records of a protected file; repeating it is harmless.
pub(super) async fn write(environment: &Environment, job: &Job, records: &Records) -> Result<(), StepError> {
    write_with(environment, &job.asset_id, records, Status::Protected).await
}

/// Writes the records and, in the same call, how the asset stands where people want to be told, and its link.
pub(super) async fn write_with(
    environment: &Environment,
    asset: &AssetId,
    records: &Records,
    status: Status<'_>,
) -> Result<(), StepError> {
    environment.queue.contact()?;
    let texts = texts(&environment.settings, records, status);
    let texts: Vec<_> = texts.iter().map(|(id, text)| (*id, text.as_str())).collect();
    environment.bynder.set_texts(asset, &texts).await?;
    Ok(())
}

/// What the connector writes about an asset: texts by the metaproperty's id.
pub(super) fn texts<'a>(
    settings: &'a Settings,
    records: &Records,
    status: Status<'_>,
) -> Vec<(&'a str, String)> {
    let told = settings.status_id.as_deref().map(|id| (id, status.text(Timestamp::now())));
    let link = settings.link_id.as_deref().zip(records.kin()).map(|(id, kin)| match kin {
        Kin::CopyOf(other) | Kin::CopiedTo(other) => (id, other.to_string()),
    });
    [(settings.metaproperty.id.as_str(), records.to_string())].into_iter().chain(told).chain(link).collect()
}

/// Takes back the record of a version that will not be saved.
///
/// It would name the version number that a person's next upload gets; a file of the same length there would pass
/// for protected.
pub(super) async fn retract(
    environment: &Environment,
    job: &mut Job,
    marker: Marker,
    status: Status<'_>,
) -> Result<(), StepError> {
    let Some(watermarked) = job.effects.watermarked.as_ref().map(|facts| facts.sha256) else {
        return Ok(());
    };
    if retract_from(environment, &job.asset_id, job.base, watermarked, marker, status).await? {
        job.effects.marked = None;
    }
    Ok(())
}

/// Takes back the record of this file above version `base`; whether there was one.
pub(super) async fn retract_from(
    environment: &Environment,
    asset: &AssetId,
    base: u32,
    watermarked: ContentHash,
    marker: Marker,
    status: Status<'_>,
) -> Result<bool, StepError> {
    let Marker::Ours(records) = marker else {
        return Ok(false);
    };
    let pending =
        |record: &&common::marker::Record| record.watermarked == watermarked && record.version > base;
    let Some(record) = records.iter().find(pending).copied() else {
        return Ok(false);
    };
    write_with(environment, asset, &records.without(&record), status).await?;
    Ok(true)
}
