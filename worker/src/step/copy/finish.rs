//! The copy is there: it is looked at, and the original's marker says so.

use std::time::Duration;

use common::asset::AssetId;
use common::bynder::{BynderError, Template};
use common::job::Job;
use common::marker::{Kin, Marker, Record, Records, Status};
use common::outcome::{FailureClass, Outcome, Placed};
use common::queue::Lease;
use jiff::Timestamp;

use super::super::save::{LOOKS_BEFORE_GIVING_UP, LOOKS_BEFORE_WRITING_AGAIN, start_over};
use super::super::submit::shown_name;
use super::{Environment, Files, StepEnd, StepError, Wait, complete, marking, own_names};
use crate::decide::{OriginalLook, differences, look_at_original, records_of_original};

/// Verifies the copy that this job made, and marks the original. `original` is what the copy was made from, if that is
/// known still.
pub(super) async fn finish(
    environment: &Environment,
    job: &mut Job,
    files: &Files,
    copy: &AssetId,
    original: Option<Template>,
    lease: &Lease,
) -> Result<StepEnd, StepError> {
    let made = match environment.bynder.template(copy).await {
        Err(BynderError::NotFound { .. }) => {
            let saved_at = *job.effects.saved_at.get_or_insert(Timestamp::now());
            let waited = Duration::try_from(Timestamp::now().duration_since(saved_at)).unwrap_or_default();
            if waited < environment.settings.longest_unseen {
                return Ok(StepEnd::NotYet(Wait::Moment));
            }
            return awaiting(environment, job, copy, lease).await;
        }
        answer => answer?,
    };
    let name = &environment.settings.metaproperty.name;
    let (record, kin) = (files.on_copy(1), Kin::CopyOf(job.asset_id.clone()));
    let marker = made.detail.asset.marker(name);
    if !says(&marker, &record, &kin) {
        return unmarked(environment, job, copy, marker, record, kin).await;
    }
    if let Some(original) = &original {
        let missing = differences(original, &made, &own_names(environment));
        if !missing.is_empty() {
            let missing = missing.join(", ");
            let reason = format!(
                "the copy {copy} of {} (asset {}) was made, but has other {missing}; put that right or delete the copy, \
                 then replay",
                shown_name(job),
                job.asset_id
            );
            return Ok(StepEnd::failed(FailureClass::BadResult, reason));
        }
    }
    let original = match original {
        Some(original) => original,
        None => match environment.bynder.template(&job.asset_id).await {
            Err(BynderError::NotFound { .. }) => return Ok(StepEnd::Ended(Outcome::Gone)),
            answer => answer?,
        },
    };
    mark_original(environment, job, files, copy, 1, &original, None, lease).await
}

/// The copy does not show: it waits for a person's approval. The original is tied to it, so that no run makes another.
async fn awaiting(
    environment: &Environment,
    job: &mut Job,
    copy: &AssetId,
    lease: &Lease,
) -> Result<StepEnd, StepError> {
    let detail = match environment.bynder.asset(&job.asset_id).await {
        Err(BynderError::NotFound { .. }) => return Ok(StepEnd::Ended(Outcome::Gone)),
        answer => answer?,
    };
    let marker = detail.asset.marker(&environment.settings.metaproperty.name);
    let records = match marker.into_records() {
        Ok(records) => records.with_kin(Kin::CopiedTo(copy.clone())),
        Err(foreign) => return Ok(complete::foreign_text(environment, job, &foreign.0)),
    };
    lease.check()?;
    marking::write_with(environment, &job.asset_id, &records, Status::Unprotected).await?;
    tracing::warn!(
        job_id = %job.job_id, asset_id = %job.asset_id,
        "what was saved does not show: it waits for approval in Bynder. Give the token's user the role MEDIAUPLOAD to do without"
    );
    Ok(StepEnd::Ended(Outcome::AwaitingApproval))
}

fn says(marker: &Marker, record: &Record, kin: &Kin) -> bool {
    marker.kin() == Some(kin)
        && matches!(marker, Marker::Ours(records) if records.iter().any(|found| found.watermarked == record.watermarked))
}

/// The marker went along with the save, and is not there: it is written again, unless Bynder keeps none.
async fn unmarked(
    environment: &Environment,
    job: &mut Job,
    copy: &AssetId,
    marker: Marker,
    record: Record,
    kin: Kin,
) -> Result<StepEnd, StepError> {
    let looks = job.unseen_marker_looks;
    job.unseen_marker_looks += 1;
    let records = match marker.into_records() {
        Ok(records) if looks < LOOKS_BEFORE_GIVING_UP => records,
        Ok(_) | Err(_) => {
            let reason = format!(
                "the copy {copy} of {} (asset {}) was made, but Bynder does not keep the connector's text in its \
                 metaproperty {}; make the field editable and an API field, then replay",
                shown_name(job),
                job.asset_id,
                environment.settings.metaproperty.name
            );
            return Ok(StepEnd::failed(FailureClass::Marker, reason));
        }
    };
    if looks.is_multiple_of(LOOKS_BEFORE_WRITING_AGAIN) {
        marking::write_with(environment, copy, &records.with(record).with_kin(kin), Status::Protected)
            .await?;
    }
    Ok(StepEnd::NotYet(Wait::Moment))
}

/// Writes on the original that this version of it is protected by the copy; the end of the job.
#[expect(clippy::too_many_arguments, reason = "each is a fact that only the caller has")]
pub(super) async fn mark_original(
    environment: &Environment,
    job: &mut Job,
    files: &Files,
    copy: &AssetId,
    version: u32,
    original: &Template,
    before: Option<&Records>,
    lease: &Lease,
) -> Result<StepEnd, StepError> {
    let detail = &original.detail;
    let marker = detail.asset.marker(&environment.settings.metaproperty.name);
    let tie = Kin::CopiedTo(copy.clone());
    job.effects.placed = Some(Placed::Copy { asset_id: copy.clone(), version });
    let ended = |version| Ok(StepEnd::Ended(Outcome::Watermarked { version }));
    match look_at_original(&files.on_original(), detail, &marker) {
        OriginalLook::Done if marker.kin() == Some(&tie) => ended(job.base),
        OriginalLook::Done | OriginalLook::Untouched(_) | OriginalLook::OptedOut => {
            let records = marker.into_records().unwrap_or_default();
            let records = records_of_original(records, files.on_original(), tie, before);
            lease.check()?;
            marking::write(environment, job, &records).await?;
            ended(job.base)
        }
        // The copy has to be found again when the newer version goes into it.
        OriginalLook::Restart { base, top, records } => {
            let tied = records.with_kin(tie);
            marking::write_with(environment, &job.asset_id, &tied, Status::Unprotected).await?;
            let end = start_over(environment, job, base, top, detail);
            job.marker_text = Some(tied.to_string());
            Ok(end)
        }
        OriginalLook::Foreign(text) => Ok(complete::foreign_text(environment, job, &text)),
        OriginalLook::VersionsUnknown => ended(job.base),
    }
}
