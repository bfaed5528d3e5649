//! Writing the marker, and taking back what it says too early.

use common::job::Job;
use common::marker::{Marker, Records};

use crate::environment::Environment;
use crate::error::StepError;

/// Writes the records; repeating it is harmless.
pub(super) async fn write(environment: &Environment, job: &Job, records: &Records) -> Result<(), StepError> {
    environment.queue.contact()?;
    let metaproperty = &environment.settings.metaproperty;
    environment.bynder.set_text(&job.asset_id, &metaproperty.id, &records.to_string()).await?;
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
    write(environment, job, &records.without(&record)).await?;
    job.effects.marked = None;
    Ok(())
}
