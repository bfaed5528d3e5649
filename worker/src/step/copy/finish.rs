//! The copy exists: it is checked, and the original's marker is updated.

use bynder::{BynderError, Template};
use common::asset::AssetId;
use common::job::Job;
use common::marker::{Kin, Marker, Record, Records, Status};
use common::outcome::{FailureClass, Outcome, Placed};

use super::super::confirm::{log_awaiting, unseen_for};
use super::super::save::start_over;
use super::{Files, StepContext, StepEnd, Stop, Wait, complete, marking, or_gone, own_names};
use decide::{
    OriginalCheck, UnshownMarker, check_original, differences, is_copy, records_of_original, unshown_marker,
};

/// Verifies the copy that this job made, and marks the original. `original` is what the copy was made from, if
/// still known.
pub(super) async fn finish(
    context: &StepContext,
    job: &mut Job,
    files: &Files,
    copy: &AssetId,
    original: Option<Template>,
) -> Result<StepEnd, Stop> {
    let made = match context.bynder.template(copy).await {
        Err(BynderError::NotFound { .. }) => {
            if unseen_for(job) < context.settings.longest_unseen {
                return Ok(StepEnd::NotYet(Wait::Moment));
            }
            return awaiting(context, job, copy).await;
        }
        answer => answer?,
    };
    let name = &context.settings.fields.hash.name;
    let (record, kin) = (files.saved_as(1), Kin::CopyOf(job.asset_id.clone()));
    let marker = made.detail.asset.marker(name);
    if !is_copy(&marker, &job.asset_id, record.watermarked) {
        return unmarked(context, job, copy, marker, record, kin).await;
    }
    if let Some(original) = &original {
        let missing = differences(original, &made, &own_names(context));
        if !missing.is_empty() {
            let missing = missing.join(", ");
            let reason = format!(
                "the copy {copy} of {} (asset {}) was made, but has other {missing}; put that right or delete the copy, \
                 then replay",
                job.display_name(),
                job.asset_id
            );
            return Ok(StepEnd::failed(FailureClass::BadResult, reason));
        }
    }
    let original = match original {
        Some(original) => original,
        None => or_gone(context.bynder.template(&job.asset_id).await)?,
    };
    Proof { files, copy, version: 1, original: &original, before: None }.write(context, job).await
}

/// The copy does not show: it waits for a person's approval. The original is tied to it, so that no run makes
/// another.
async fn awaiting(context: &StepContext, job: &mut Job, copy: &AssetId) -> Result<StepEnd, Stop> {
    let detail = or_gone(context.bynder.asset(&job.asset_id).await)?;
    let marker = context.marker(&detail.asset);
    let records = match marker.into_records() {
        Ok(records) => records.with_kin(Kin::CopiedTo(copy.clone())),
        Err(foreign) => return Ok(complete::foreign_text(context, job, &foreign.0)),
    };
    context.may_change()?;
    marking::write_with(context, &job.asset_id, &records, Status::Unprotected).await?;
    log_awaiting(job);
    Ok(StepEnd::Ended(Outcome::AwaitingApproval))
}

/// The marker was sent with the save but is missing: writes it again, unless Bynder stores none.
async fn unmarked(
    context: &StepContext,
    job: &mut Job,
    copy: &AssetId,
    marker: Marker,
    record: Record,
    kin: Kin,
) -> Result<StepEnd, Stop> {
    let unshown = unshown_marker(job.unseen_marker_looks);
    job.unseen_marker_looks = job.unseen_marker_looks.saturating_add(1);
    let records = match marker.into_records() {
        Ok(records) if unshown != UnshownMarker::GiveUp => records,
        Ok(_) | Err(_) => {
            let reason = format!(
                "the copy {copy} of {} (asset {}) was made, but Bynder does not keep the connector's text in its \
                 metaproperty {}; make the field editable and an API field, then replay",
                job.display_name(),
                job.asset_id,
                context.settings.fields.hash.name
            );
            return Ok(StepEnd::failed(FailureClass::Marker, reason));
        }
    };
    if unshown == UnshownMarker::WriteAgain {
        marking::write_with(context, copy, &records.with(record).with_kin(kin), Status::Protected).await?;
    }
    Ok(StepEnd::NotYet(Wait::Moment))
}

/// What the original's marker has to say: which version of which copy holds its watermarked file.
pub(super) struct Proof<'a> {
    pub(super) files: &'a Files,
    pub(super) copy: &'a AssetId,
    pub(super) version: u32,
    pub(super) original: &'a Template,
    /// The records in the copy's marker before.
    pub(super) before: Option<&'a Records>,
}

impl Proof<'_> {
    /// Writes it on the original; this ends the job.
    pub(super) async fn write(self, context: &StepContext, job: &mut Job) -> Result<StepEnd, Stop> {
        let detail = &self.original.detail;
        let marker = context.marker(&detail.asset);
        let tie = Kin::CopiedTo(self.copy.clone());
        job.effects.placed = Some(Placed::Copy { asset_id: self.copy.clone(), version: self.version });
        let ended = |version| Ok(StepEnd::Ended(Outcome::Watermarked { version }));
        let record = self.files.on_original();
        match check_original(&record, detail, &marker) {
            OriginalCheck::Done if marker.kin() == Some(&tie) => ended(job.base),
            OriginalCheck::Done | OriginalCheck::Untouched(_) | OriginalCheck::OptedOut => {
                let records = marker.into_records().unwrap_or_default();
                let records = records_of_original(records, record, tie, self.before);
                context.may_change()?;
                marking::write(context, job, &records).await?;
                ended(job.base)
            }
            // The copy has to be found again when the newer version goes into it.
            OriginalCheck::Restart { base, top, records } => {
                let tied = records.with_kin(tie);
                marking::write_with(context, &job.asset_id, &tied, Status::Unprotected).await?;
                let end = start_over(context, job, base, top, detail);
                job.marker_text = Some(tied.to_string());
                Ok(end)
            }
            OriginalCheck::Foreign(text) => Ok(complete::foreign_text(context, job, &text)),
            OriginalCheck::VersionsUnknown => ended(job.base),
        }
    }
}
