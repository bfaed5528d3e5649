//! Writing the marker, and taking back what it says too early.

use common::job::Job;
use common::marker::{Marker, Records, Status};
use jiff::Timestamp;

use crate::environment::Environment;
use crate::error::StepError;

/// Writes the records of a protected file; repeating it is harmless.
pub(super) async fn write(environment: &Environment, job: &Job, records: &Records) -> Result<(), StepError> {
    write_with(environment, job, records, Status::Protected).await
}

/// Writes the records and, in the same call, how the asset stands where people want to be told.
async fn write_with(
    environment: &Environment,
    job: &Job,
    records: &Records,
    status: Status<'_>,
) -> Result<(), StepError> {
    environment.queue.contact()?;
    let settings = &environment.settings;
    let (marker, status) = (records.to_string(), status.text(Timestamp::now()));
    let told = settings.status_id.as_deref().map(|id| (id, status.as_str()));
    let texts: Vec<_> =
        [(settings.metaproperty.id.as_str(), marker.as_str())].into_iter().chain(told).collect();
    environment.bynder.set_texts(&job.asset_id, &texts).await?;
    Ok(())
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
    let Marker::Ours(records) = marker else {
        return Ok(());
    };
    let pending =
        |record: &&common::marker::Record| record.watermarked == watermarked && record.version > job.base;
    let Some(record) = records.iter().find(pending).copied() else {
        return Ok(());
    };
    write_with(environment, job, &records.without(&record), status).await?;
    job.effects.marked = None;
    Ok(())
}
