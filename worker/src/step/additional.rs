//! Save, if the watermarked file becomes an additional file of the asset.

use bynder::{BynderError, Parcel, Template};
use common::job::{Job, Step};
use common::marker::Status;
use common::outcome::{FailureClass, Outcome, Placed};

use super::confirm::{log_awaiting, unseen_for};
use super::needs::Files;
use super::save::{note_added, start_over};
use super::transfer::additional_name_of;
use super::{StepEnd, Stop, Wait, complete, marking, or_gone};
use crate::context::StepContext;
use crate::error::StepError;
use decide::{OriginalCheck, check_original};

/// The check, and the save.
const CALLS: u32 = 2;

pub(super) async fn save(
    context: &StepContext,
    job: &mut Job,
    parcel: &Parcel,
    files: &Files,
) -> Result<StepEnd, Stop> {
    let held = super::lease(context, job).await?;
    let result = under_lease(&context.under(&held), job, parcel, files).await;
    held.end(&result);
    result
}

async fn under_lease(
    context: &StepContext,
    job: &mut Job,
    parcel: &Parcel,
    files: &Files,
) -> Result<StepEnd, Stop> {
    let record = files.on_original();
    // Neither the result of the check nor the lease may grow old while the save waits for its tokens.
    let bynder = context.bynder.reserve_calls(CALLS).await?;
    let asset = or_gone(bynder.template(&job.asset_id).await)?;
    note_added(job, &asset.detail);
    let marker = context.marker(&asset.detail.asset);
    let there = asset.has_additional(record.watermarked);
    match check_original(&record, &asset.detail, &marker) {
        OriginalCheck::Restart { base, top, .. } => {
            return Ok(start_over(context, job, base, top, &asset.detail));
        }
        OriginalCheck::Foreign(text) => return Ok(complete::foreign_text(context, job, &text)),
        OriginalCheck::VersionsUnknown => {
            let reason = format!(
                "Bynder does not say which version of asset {} is the active one; nothing was saved",
                job.asset_id
            );
            return Ok(StepEnd::failed(FailureClass::Refused, reason));
        }
        OriginalCheck::OptedOut if !there => {
            let theirs = asset.detail.active().unwrap_or(job.base);
            return Ok(StepEnd::Ended(Outcome::Superseded { ours: None, theirs }));
        }
        OriginalCheck::Done | OriginalCheck::OptedOut | OriginalCheck::Untouched(_) => {}
    }
    if there {
        // A file that the job did not save recently may have been waiting for a person's approval.
        if job.effects.saved.is_some() {
            context.approval.shows();
        }
    } else if job.effects.saved.is_some() {
        return unseen(context, job, files, &asset).await;
    } else {
        context.may_change()?;
        match bynder.save_additional(&job.asset_id, parcel).await {
            Ok(()) if context.approval.is_known_to_show() => {}
            Ok(()) => {
                job.effects.saved = Some(job.wait_mark());
                return Ok(StepEnd::NotYet(Wait::Moment));
            }
            Err(BynderError::NotFound { message, .. }) => {
                job.effects.parcel = None;
                let reason = format!("the upload is lost: {message}");
                return Ok(StepEnd::Redo { step: Step::Transfer, reason });
            }
            Err(error) => return Err(StepError::from(error).of_effect().into()),
        }
    }
    finish(context, job, files, &asset).await
}

/// A file that Bynder says it saved but that does not show waits for a person's approval and is not saved again.
async fn unseen(
    context: &StepContext,
    job: &mut Job,
    files: &Files,
    asset: &Template,
) -> Result<StepEnd, Stop> {
    if unseen_for(job) < context.settings.longest_unseen {
        return Ok(StepEnd::NotYet(Wait::Moment));
    }
    // As for a version that waits: a record above the active version makes every run leave the asset alone, until
    // the file shows or a person removes the record.
    let ahead = files.saved_as(job.base.saturating_add(1));
    let marker = context.marker(&asset.detail.asset);
    let records = marker.into_records().unwrap_or_default();
    context.may_change()?;
    marking::write_with(context, &job.asset_id, &records.with(ahead), Status::Unprotected).await?;
    job.effects.placed = Some(placed(job, files));
    log_awaiting(job);
    Ok(StepEnd::Ended(Outcome::AwaitingApproval))
}

/// Where the file is, under the connector's own name: the portal may show any text that contains the file's digits.
fn placed(job: &Job, files: &Files) -> Placed {
    Placed::Additional { file_name: additional_name_of(job, files).into() }
}

async fn finish(
    context: &StepContext,
    job: &mut Job,
    files: &Files,
    asset: &Template,
) -> Result<StepEnd, Stop> {
    job.effects.placed = Some(placed(job, files));
    let record = files.on_original();
    let marker = context.marker(&asset.detail.asset);
    let records = marker.into_records().unwrap_or_default();
    if !records.contains(&record) {
        context.may_change()?;
        marking::write(context, job, &records.with(record)).await?;
    }
    Ok(StepEnd::Ended(Outcome::Watermarked { version: job.base }))
}
