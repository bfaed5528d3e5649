//! Submit: downloads the original, decides by its hash, and finds or submits it at Imatag.

use bynder::BynderError;
use common::fault::{Guard, guard_is_on};
use common::file_name::FileName;
use common::hash::FileFacts;
use common::job::{Job, Step};
use common::marker::{LegacyHash, Marker};
use common::outcome::{FailureClass, Outcome};
use config::OutputMode;
use files::spool::{ExtraHash, Length, SpooledFile};
use imatag::{Body, MediumId, MediumState, Submit, SubmitAnswer, Submitted};

use super::save::start_over;
use super::{StepEnd, Stop, Wait, complete, copy, or_gone, transfer};
use crate::context::StepContext;
use crate::error::StepError;
use decide::{ExpectedAtSubmit, FileDecision, SubmitDecision, decide_file, decide_submit, matches_row};

pub(super) async fn submit(context: &StepContext, job: &mut Job) -> Result<StepEnd, Stop> {
    let marker = Marker::parse(job.marker_text.as_deref());
    if let Marker::Foreign(_) = &marker {
        return complete::confirm_foreign(context, job).await;
    }
    let begins = job.effects.original.is_none() && job.effects.media_id.is_none();
    if begins && context.mode(job) == OutputMode::Copy {
        copy::can_be_made(context, job).await?;
    }
    ask_ahead(context, job).await?;
    let file = download(context, job, &marker).await?;
    let facts = context.readers.facts(&file, &context.settings.checks).await?;
    job.effects.original = Some(facts.clone());
    let Some(name) = job.upload_name(facts.media_type.as_deref()) else {
        return Ok(transfer::unnamed(job));
    };
    // Taken only after the download: other jobs wait for the lease, and a film takes an hour to download.
    let mut held = super::lease(context, job).await?;
    let found = Found { file, facts, name, marker };
    let result = under_lease(&context.under(&held), job, found).await;
    // If Imatag cannot be searched, only the lease keeps another job of the asset from submitting the file again.
    if !context.imatag.can_find() && (job.effects.media_id.is_some() || job.step > Step::Submit) {
        held.reserve(super::reservation(&context.settings));
    }
    held.end(&result);
    result
}

/// After a crash, Imatag usually has the medium already, and another job may have protected the asset: both can be
/// checked without downloading the file.
async fn ask_ahead(context: &StepContext, job: &mut Job) -> Result<(), Stop> {
    let known = job.effects.original.clone();
    if known.is_none() && !job.suspect {
        return Ok(());
    }
    let held = super::lease(context, job).await?;
    let found = match known {
        Some(original) => find(&context.under(&held), job, &original).await,
        None => Ok(()),
    };
    match found {
        Ok(()) => {
            held.end_unused();
            Ok(())
        }
        Err(stop) => {
            let result = Err(stop);
            held.end(&result);
            result.map(drop)
        }
    }
}

/// The downloaded original.
struct Found {
    file: SpooledFile,
    facts: FileFacts,
    name: FileName,
    /// The marker in the listing.
    marker: Marker,
}

async fn under_lease(context: &StepContext, job: &mut Job, found: Found) -> Result<StepEnd, Stop> {
    let Found { file, facts, name, marker } = found;
    if guard_is_on(Guard::HashRule) {
        let legacy = context.settings.legacy;
        match decide_file(&marker, facts.sha256, file.extra_hash(), legacy) {
            FileDecision::AlreadyProtected { record } => {
                return complete::already_protected(context, job, &facts, record).await;
            }
            FileDecision::Protect => {}
        }
    }
    find(context, job, &facts).await?;
    // A change after this point, while the file waits for its upload slot and is uploaded, wastes one watermark at
    // most: the checks before the marker and before the save detect it.
    is_unchanged(context, job, &marker).await?;
    if job.suspect && !context.imatag.can_find() && !context.settings.resubmit_unknown {
        let reason = format!(
            "Imatag may have received {} before a crash or a lost answer, and its wire profile has no `find` to ask: \
             look there for Bynder id {}, then replay the job, or set imatag.resubmit_unknown = true",
            job.display_name(),
            job.asset_id,
        );
        return Ok(StepEnd::failed(FailureClass::Ambiguous, reason));
    }
    send(context, job, file, &facts, &name).await
}

pub(super) async fn download(
    context: &StepContext,
    job: &mut Job,
    marker: &Marker,
) -> Result<SpooledFile, Stop> {
    let download = match context.bynder.download(&job.asset_id, job.base, job.bytes).await {
        Err(BynderError::NotFound { message, .. }) => {
            return Err(missing(context, job, &message).await?.into());
        }
        answer => answer?,
    };
    let extra = match marker {
        Marker::Legacy(LegacyHash::Md5(_)) => Some(ExtraHash::Md5),
        Marker::Legacy(LegacyHash::Sha1(_)) => Some(ExtraHash::Sha1),
        Marker::Legacy(LegacyHash::Sha256(_)) | Marker::Absent | Marker::Ours(_) | Marker::Foreign(_) => None,
    };
    job.name_file(download.file_name);
    let length = Length::announced(download.bytes).or_expected(job.bytes);
    let received = context.spool.receive(download.body, length, extra).await;
    let file = received.map_err(StepError::receiving)?;
    job.bytes_downloaded += file.bytes();
    if let Some(expected) = job.bytes.filter(|expected| *expected != file.bytes()) {
        let (name, got) = (job.display_name(), file.bytes());
        let reason = format!(
            "storage sent {got} bytes for version {} of {name}, which has {expected}. The transfer itself ended whole: the \
             portal may embed metadata into downloads; switch that off for the connector's user (docs/bynder-setup.md)",
            job.base
        );
        return Err(StepError::Incomplete(reason).into());
    }
    if file.bytes() == 0 {
        let reason =
            format!("version {} of {} is an empty file; upload a whole one", job.base, job.display_name());
        return Err(StepEnd::failed(FailureClass::NoOriginal, reason).into());
    }
    Ok(file)
}

/// A 404 on the download means that either the file or the asset is gone; only a single GET shows which.
async fn missing(context: &StepContext, job: &Job, message: &str) -> Result<StepEnd, Stop> {
    or_gone(context.bynder.asset(&job.asset_id).await)?;
    let (base, name) = (job.base, job.display_name());
    let reason = format!("Bynder has no file for version {base} of {name} ({message}); upload it again");
    Ok(StepEnd::failed(FailureClass::NoOriginal, reason))
}

/// Asks Imatag whether it has this asset's original, before every submit, since a submit is not repeatable. Stops
/// the step if it has.
async fn find(context: &StepContext, job: &mut Job, facts: &FileFacts) -> Result<(), Stop> {
    if !context.imatag.can_find() || !guard_is_on(Guard::FindBeforeSubmit) {
        return Ok(());
    }
    let found = context.imatag.find(&job.asset_id, facts.sha256, context.directory(job)).await?;
    let Some((medium, state)) = found else { return Ok(()) };
    tracing::info!(job_id = %job.job_id, asset_id = %job.asset_id, medium = %medium, "Imatag has this file already");
    job.effects.media_id = Some(medium);
    let end = match state {
        MediumState::AlreadyProtected => complete::already_protected(context, job, facts, None).await?,
        MediumState::Pending | MediumState::Ready(_) | MediumState::Failed { .. } => {
            StepEnd::Next(Step::Transfer)
        }
    };
    Err(end.into())
}

/// Checks the asset before its watermark is paid for: the job may have waited for days, and another job may have
/// protected the asset. The row is shared with other jobs and lags; if Imatag cannot be searched for the file, or
/// the portal does not show which version is active, only a single GET is good enough. Stops the step if anything
/// has changed.
async fn is_unchanged(context: &StepContext, job: &mut Job, marker_before: &Marker) -> Result<(), Stop> {
    if !guard_is_on(Guard::LookBeforeSubmit) {
        return Ok(());
    }
    let name = &context.settings.fields.hash.name;
    let known = ExpectedAtSubmit { base: job.base, marker: marker_before, written: job.effects.marked };
    if context.imatag.can_find()
        && context.bynder.says_active(&job.asset_id).await?
        && let Some(row) = context.bynder.row(&job.asset_id).await?
        && matches_row(known, &row, &row.marker(name))
    {
        return Ok(());
    }
    let detail = or_gone(context.bynder.asset(&job.asset_id).await)?;
    let end = match decide_submit(known, &detail, &detail.asset.marker(name)) {
        SubmitDecision::AsKnown => return Ok(()),
        SubmitDecision::Protected => StepEnd::Ended(Outcome::AlreadyProtected),
        SubmitDecision::Superseded { base, top } => start_over(context, job, base, top, &detail),
        SubmitDecision::Remarked => {
            job.marker_text = detail.asset.marker_text(name);
            StepEnd::Next(Step::Submit)
        }
        SubmitDecision::OptedOut(theirs) => StepEnd::Ended(Outcome::Superseded { ours: None, theirs }),
        SubmitDecision::VersionsUnknown => StepEnd::failed(
            FailureClass::Refused,
            format!(
                "Bynder does not say which version of asset {} is the active one, so it is not known which file to protect; \
                 nothing was submitted. `connector doctor` checks the portal for it",
                job.asset_id
            ),
        ),
    };
    Err(end.into())
}

async fn send(
    context: &StepContext,
    job: &mut Job,
    file: SpooledFile,
    facts: &FileFacts,
    name: &FileName,
) -> Result<StepEnd, Stop> {
    let submit = Submit {
        file_name: name,
        media_type: facts.media_type.as_deref().unwrap_or("application/octet-stream"),
        asset: &job.asset_id,
        original: facts.sha256,
        directory: context.directory(job),
    };
    let slot = context.imatag.upload_slot().await;
    // A lease that expired during the download, or while waiting for the upload slot, gives no right to submit the
    // file.
    context.may_change()?;
    // A watermark is paid for, and the job may have waited long for its upload slot.
    if context.budget.operator_pause().is_some() {
        return Ok(StepEnd::NotYet(Wait::Moment));
    }
    let answer = context.imatag.submit(&file, submit, slot).await;
    let SubmitAnswer { submitted, request_id } =
        answer.map_err(|error| StepError::from(error).of_effect())?;
    job.effects.note_request(request_id);
    job.bytes_uploaded += file.bytes();
    // The original's space in the spool is free for the result from here on.
    drop(file);
    if !matches!(submitted, Submitted::Refused { .. } | Submitted::Unlisted { .. }) {
        context.breakers.wire_proved();
    }
    if matches!(submitted, Submitted::Pending(_) | Submitted::Ready { .. } | Submitted::Bytes { .. }) {
        context.metrics.watermark_paid();
    }
    match submitted {
        Submitted::Pending(medium) => {
            job.effects.media_id = Some(medium);
            // A watermark always takes a while: asking now would only cost a pass through the queue.
            Ok(StepEnd::Later(Step::Transfer))
        }
        Submitted::Ready { medium, result } => {
            let body = context.imatag.download(result).await.map_err(StepError::from);
            carry_on(context, job, facts, medium, body).await
        }
        Submitted::Bytes { medium, body } => carry_on(context, job, facts, medium, Ok(body)).await,
        Submitted::AlreadyProtected { medium } => {
            let is_known = keep(job, medium);
            let ended = complete::already_protected(context, job, facts, None).await;
            if is_known { ended } else { ended.map_err(Stop::after_effect) }
        }
        Submitted::Unlisted { reason } => {
            let reason = format!("{} was not sent: {reason}", job.display_name());
            Ok(StepEnd::failed(FailureClass::Unsupported, reason))
        }
        Submitted::Refused { reason, may_be_profile } => {
            let reason = format!("Imatag refused {}: {reason}", job.display_name());
            if may_be_profile && !context.breakers.refusal_is_assets_own(&job.asset_id) {
                return Err(StepError::Unproven(reason).into());
            }
            Ok(StepEnd::failed(FailureClass::Unsupported, reason))
        }
    }
}

/// Continues with a result that came with the response.
async fn carry_on(
    context: &StepContext,
    job: &mut Job,
    original: &FileFacts,
    medium: Option<MediumId>,
    body: Result<Body, StepError>,
) -> Result<StepEnd, Stop> {
    let is_known = keep(job, medium);
    let ended = match body {
        Ok(body) => transfer::transfer_body(context, job, original, body).await,
        Err(error) => Err(error.into()),
    };
    if is_known { ended } else { ended.map_err(Stop::after_effect) }
}

/// Records the result of the submit, so that no later failure submits the file again. A repetition asks by the
/// medium's id; if Imatag returned none (`false`), it has to search first.
fn keep(job: &mut Job, medium: Option<MediumId>) -> bool {
    let is_known = medium.is_some();
    job.effects.media_id = medium;
    if is_known {
        job.step = Step::Transfer;
    }
    is_known
}
