//! Transfer: fetches the watermarked file, checks it, uploads it, and writes the marker.

use common::fault::{Guard, guard_is_on};
use common::hash::FileFacts;
use common::job::{Job, Step};
use common::marker::{Marker, Record, Records};
use common::outcome::FailureClass;
use config::OutputMode;
use files::spool::{Arrival, Length, SpooledFile, arrival};
use imatag::{Body, MediumId, MediumState};
use media::{Unchecked, check_result};
use queue::Attempt;

use super::needs::{Files, TransferJob};
use super::save::{Readiness, readiness};
use super::{StepEnd, Stop, Wait, ahead, complete, marking, or_gone, rejected};
use crate::context::StepContext;
use crate::error::StepError;
use crate::service_times::Work;
use decide::{ExpectedAtSave, record_from_listing_row};

pub(super) async fn transfer(context: &StepContext, job: &mut Job) -> Result<StepEnd, Stop> {
    // An asset that was reserved by the submit stays reserved, however long Imatag takes and whichever worker asks.
    if !context.imatag.can_find()
        && let Attempt::Taken(mut held) = super::try_lease(context, job).await?
    {
        held.reserve(super::reservation(&context.settings));
        held.end(&Ok(StepEnd::NotYet(Wait::Service)));
    }
    fetch(context, job).await
}

async fn fetch(context: &StepContext, job: &mut Job) -> Result<StepEnd, Stop> {
    let (original, medium) = match TransferJob::of(job)? {
        TransferJob::Submitted { original, medium } => (original, medium),
        TransferJob::Uploaded(files) => return uploaded_to(context, job, &files).await,
    };
    let Some(state) = context.imatag.status_of(&medium, &job.asset_id, original.sha256).await? else {
        let reason = format!(
            "Imatag's medium {medium} is of another asset or another file than {}, so nothing was uploaded; discard this job, \
             and a run makes a new one",
            job.display_name()
        );
        return Ok(StepEnd::failed(FailureClass::BadResult, reason));
    };
    if state != MediumState::Pending {
        context.service_times.finished(Work::Watermark, job, &context.settings.rungs);
    }
    match state {
        MediumState::Pending => Ok(StepEnd::NotYet(Wait::Service)),
        MediumState::Ready(location) => {
            let body = context.imatag.download(location).await?;
            transfer_body(context, job, &original, body).await
        }
        MediumState::AlreadyProtected => complete::already_protected(context, job, &original, None).await,
        MediumState::Failed { reason } => {
            let reason =
                format!("Imatag could not watermark {} (medium {medium}): {reason}", job.display_name());
            Ok(StepEnd::failed(FailureClass::Refused, reason))
        }
    }
}

/// Takes the watermarked file on to a marked asset with an import to save. Nothing is made of its parts before the whole file
/// has arrived and passed its checks.
pub(super) async fn transfer_body(
    context: &StepContext,
    job: &mut Job,
    original: &FileFacts,
    body: Body,
) -> Result<StepEnd, Stop> {
    let (mode, asset) = (context.mode(job), job.asset_id.clone());
    let name = job.upload_name(original.media_type.as_deref());
    let (arrival, arriving) = arrival(body.bytes.unwrap_or_default());
    let ahead = async { Ok(ahead::upload(context, &asset, name.as_ref(), mode, &arriving).await) };
    let received = receive(context, job, original, body, arrival);
    // A result that breaks off or is rejected ends the upload of its parts.
    let ((file, result), ahead) = tokio::try_join!(received, ahead)?;
    // The submit made sure that there is a name; only a job of an earlier release can lack one here.
    let Some(name) = name else { return Ok(unnamed(job)) };
    context.locks.contact()?;
    let name = match mode {
        OutputMode::Version | OutputMode::Copy => name,
        OutputMode::Additional => name.with_suffix(&result.sha256.short()),
    };
    let parcel = match ahead {
        Some(parcel) => parcel,
        None => context.bynder.upload_parcel(&asset, &file.arriving(), &name).await?,
    };
    match mode {
        OutputMode::Version | OutputMode::Copy => {
            context.locks.contact()?;
            job.effects.import_id = Some(context.bynder.finalise(&asset, &parcel, &name).await?);
            job.effects.imported = Some(job.wait_mark());
        }
        OutputMode::Additional => job.effects.parcel = Some(parcel),
    }
    job.bytes_uploaded += file.bytes();
    job.effects.watermarked = Some(result.clone());
    uploaded_to(context, job, &Files::new(job.base, original.clone(), result)).await
}

/// Receives the watermarked file and checks it. Stops the step if it must not replace its original.
async fn receive(
    context: &StepContext,
    job: &mut Job,
    original: &FileFacts,
    body: Body,
    arrival: Arrival,
) -> Result<(SpooledFile, FileFacts), Stop> {
    let length = Length::announced(body.bytes).or_expected(Some(original.bytes));
    let received = context.spool.receive_shown(body.stream, length, None, arrival).await;
    let file = received.map_err(StepError::receiving)?;
    job.bytes_downloaded += file.bytes();
    let checks = &context.settings.checks;
    let result = context.readers.facts(&file, &checks.of_result(original)).await?;
    let checked = check_result(original, &result, checks);
    let unmade = checked.iter().flatten().map(|unmade| (unmade.check, unmade.obstacle));
    job.effects.unchecked = unmade.collect();
    match checked {
        Ok(unchecked) if unchecked.is_empty() => {}
        Ok(unchecked) => {
            let unchecked = unchecked.iter().map(Unchecked::to_string).collect::<Vec<_>>().join("; ");
            tracing::warn!(job_id = %job.job_id, asset_id = %job.asset_id, unchecked, "not checked");
        }
        Err(problem) => {
            let medium = job.effects.media_id.as_ref().map_or("without an id", MediumId::as_str);
            let folder = &context.settings.keep_rejected_in;
            let kept = rejected::keep(folder.as_deref(), job, &file, &result).await;
            let name = job.display_name();
            let reason =
                format!("{problem}; {name} in Bynder was not touched (Imatag medium {medium}{kept})");
            return Err(StepEnd::failed(FailureClass::BadResult, reason).into());
        }
    }
    Ok((file, result))
}

/// Continues after the upload, depending on where the file goes.
async fn uploaded_to(context: &StepContext, job: &mut Job, files: &Files) -> Result<StepEnd, Stop> {
    match context.mode(job) {
        OutputMode::Version => mark(context, job, files).await,
        // Polling the import at once would only cost calls.
        OutputMode::Copy => Ok(StepEnd::Later(Step::Save)),
        OutputMode::Additional => Ok(StepEnd::Next(Step::Save)),
    }
}

/// Writes the marker for the version that the save will make: if the marker is refused, the job stops before the
/// asset has changed.
async fn mark(context: &StepContext, job: &mut Job, files: &Files) -> Result<StepEnd, Stop> {
    if !guard_is_on(Guard::MarkerBeforeSave) {
        return Ok(StepEnd::Next(Step::Save));
    }
    let (record, records) = if let Some(known) = record_from_row(context, job, files).await? {
        known
    } else {
        let detail = or_gone(context.bynder.asset(&job.asset_id).await)?;
        match readiness(context, job, files, &detail).await? {
            Readiness::Ready => return Ok(StepEnd::Next(Step::Save)),
            Readiness::Unmarked { record, records } => (record, records),
        }
    };
    // No lease is held here, and Bynder has no conditional write: this overwrites what a person or another job
    // wrote since the check, or since the listing was last fetched. The other job's check before its save writes
    // its record again; a person has to write a change made in that moment again.
    marking::write(context, job, &records.with(record)).await?;
    job.effects.marked = Some(record);
    // The marker is not visible at once, nor is the import converted: asking now would only cost calls.
    Ok(StepEnd::Later(Step::Save))
}

/// What to write, judging by the asset's row in the listing, whose call many jobs share. `None` if only a single
/// GET can decide.
async fn record_from_row(
    context: &StepContext,
    job: &Job,
    files: &Files,
) -> Result<Option<(Record, Records)>, StepError> {
    // What this job may have done already does not show in the listing yet.
    if job.suspect || job.effects.marked.is_some() {
        return Ok(None);
    }
    let Some(row) = context.bynder.row(&job.asset_id).await? else {
        return Ok(None);
    };
    let marker = context.marker(&row);
    let marker_before = &Marker::parse(job.marker_text.as_deref());
    let (base, top) = (job.base, job.top);
    let (original, watermarked) = (files.original.sha256, &files.watermarked);
    let record = record_from_listing_row(
        ExpectedAtSave { base, top, original, watermarked, marker_before },
        &row,
        &marker,
    );
    Ok(record.map(|record| (record, marker.into_records().unwrap_or_default())))
}

/// The name under which the job's parts were uploaded.
pub(super) fn additional_name_of(job: &Job, files: &Files) -> String {
    let name = job.upload_name(files.original.media_type.as_deref());
    name.map(|name| name.with_suffix(&files.watermarked.sha256.short()).to_string()).unwrap_or_default()
}

/// Fails a job whose result could only be uploaded under a guessed extension, which would change the asset's type.
pub(super) fn unnamed(job: &Job) -> StepEnd {
    let (name, id) = (job.display_name(), &job.asset_id);
    let reason = format!(
        "Bynder shows neither a file name nor an extension for version {} of {name} (asset {id}), and its first bytes \
         are of no type that the connector knows: what it would be uploaded as cannot be known; upload it again under a \
         name with its extension",
        job.base,
    );
    StepEnd::failed(FailureClass::Unsupported, reason)
}
