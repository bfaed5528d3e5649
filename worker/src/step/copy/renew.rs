//! A new version of the copy that an earlier job made, because its original has changed.

use bynder::BynderError;
use common::asset::{AssetDetail, AssetId};
use common::job::{Job, Renewal};
use common::marker::{Kin, Marker, Record, Status};
use common::outcome::{FailureClass, Outcome};

use super::super::confirm::{log_awaiting, unseen_for};
use super::super::save::done;
use super::super::versions::{Found, find, too_many};
use super::{StepContext, StepEnd, StepError, Stop, Wait, Work, converted, finish, marking};
use decide::{ExpectedAtSave, SaveDecision, decide_from_asset};

impl Work<'_> {
    /// Saves the watermarked file as a new version of this copy, or makes another copy if this is not one of the
    /// asset's.
    pub(super) async fn renew(
        self,
        context: &StepContext,
        job: &mut Job,
        copy: &AssetId,
    ) -> Result<StepEnd, Stop> {
        let detail = match self.bynder.asset(copy).await {
            // A person deleted it.
            Err(BynderError::NotFound { .. }) => return self.create(context, job).await,
            answer => answer?,
        };
        let marker = context.marker(&detail.asset);
        // The marker may come from another asset, along with other values that a person copied.
        if marker.kin() != Some(&Kin::CopyOf(job.asset_id.clone())) {
            return self.create(context, job).await;
        }
        if let Some(record) =
            holds(&detail, &marker).filter(|record| record.watermarked == self.files.watermarked.sha256)
            && job.effects.renewal.as_ref().is_none_or(|renewal| renewal.marked.is_none())
        {
            return self.renewed(context, job, copy, record.version, marker).await;
        }
        let renewal = renewal(job, copy, &detail, &marker, context)?;
        let coming = renewal.top.saturating_add(1);
        if job.effects.saved.is_some() && detail.top() <= Some(coming) {
            let Some(shown) = detail.version(coming) else {
                return Ok(unseen(context, job));
            };
            if shown.bytes.is_none_or(|bytes| bytes == self.files.watermarked.bytes) {
                context.approval.shows();
                return self.renewed(context, job, copy, coming, marker).await;
            }
        }
        let marker_before = Marker::parse(renewal.marker_text.as_deref());
        let expected = ExpectedAtSave {
            base: renewal.base,
            top: renewal.top,
            original: self.files.original.sha256,
            watermarked: &self.files.watermarked,
            marker_before: &marker_before,
        };
        match decide_from_asset(expected, &detail, &marker) {
            SaveDecision::Clear => {}
            SaveDecision::Mark(record) => return mark(context, job, copy, record, marker).await,
            SaveDecision::MaybeOurs { candidates } => {
                return match find(context, job, copy, &candidates, self.files.watermarked.sha256).await? {
                    Found::In(version) => self.renewed(context, job, copy, version, marker).await,
                    Found::Unknown => Ok(too_many(&format!("the copy {copy}"), &candidates)),
                    Found::Nowhere => Ok(copy_was_edited(job, copy)),
                };
            }
            SaveDecision::Restart { .. }
            | SaveDecision::ProtectedElsewhere(_)
            | SaveDecision::OptedOut
            | SaveDecision::Foreign(_) => {
                return Ok(copy_was_edited(job, copy));
            }
            SaveDecision::VersionsUnknown => {
                let reason = format!(
                    "Bynder does not say which version of the copy {copy} is the active one; nothing was saved"
                );
                return Ok(StepEnd::failed(FailureClass::Refused, reason));
            }
        }
        if job.suspect {
            converted(context, job, self.import).await?;
        }
        context.may_change()?;
        let answer = self.bynder.save_version(copy, self.import).await;
        done(job, answer)?;
        if !context.approval.is_known_to_show() {
            job.effects.saved = Some(job.wait_mark());
            return Ok(StepEnd::NotYet(Wait::Moment));
        }
        let version = detail.top().unwrap_or_default().saturating_add(1);
        self.renewed(context, job, copy, version, marker).await
    }

    /// The copy holds the file as this version: writes that into the original's marker.
    async fn renewed(
        self,
        context: &StepContext,
        job: &mut Job,
        copy: &AssetId,
        version: u32,
        marker: Marker,
    ) -> Result<StepEnd, Stop> {
        let before = marker.into_records().unwrap_or_default();
        let (files, original) = (self.files, &self.original);
        let proof = finish::Proof { files, copy, version, original, before: Some(&before) };
        proof.write(context, job).await
    }
}

/// What to do about a version that Bynder says it saved but that does not show: it may wait for a person's
/// approval.
fn unseen(context: &StepContext, job: &mut Job) -> StepEnd {
    if unseen_for(job) < context.settings.longest_unseen {
        return StepEnd::NotYet(Wait::Moment);
    }
    log_awaiting(job);
    StepEnd::Ended(Outcome::AwaitingApproval)
}

/// The record of the active version, if there is one.
fn holds(detail: &AssetDetail, marker: &Marker) -> Option<Record> {
    let active = detail.active()?;
    marker.record_of(active, detail.version(active)?.bytes?)
}

/// What the job knows about the copy, as of its first check: a copy that a person changed is left alone.
fn renewal(
    job: &mut Job,
    copy: &AssetId,
    detail: &AssetDetail,
    marker: &Marker,
    context: &StepContext,
) -> Result<Renewal, StepEnd> {
    if let Some(known) = job.effects.renewal.clone().filter(|known| known.copy == *copy) {
        return Ok(known);
    }
    let (Some(_), Some(base), Some(top)) = (holds(detail, marker), detail.active(), detail.top()) else {
        return Err(copy_was_edited(job, copy));
    };
    let marker_text = detail.asset.marker_text(&context.settings.fields.hash.name);
    let renewal = Renewal { copy: copy.clone(), base, top, marker_text, marked: None };
    job.effects.renewal = Some(renewal.clone());
    Ok(renewal)
}

async fn mark(
    context: &StepContext,
    job: &mut Job,
    copy: &AssetId,
    record: Record,
    marker: Marker,
) -> Result<StepEnd, Stop> {
    let written_before = job.effects.renewal.as_ref().is_some_and(|renewal| renewal.marked == Some(record));
    if marking::is_due(context, job, written_before, &format!("the copy {copy}"))? {
        let records = marker.into_records().unwrap_or_default().with(record);
        marking::write_with(context, copy, &records, Status::Protected).await?;
        if let Some(renewal) = &mut job.effects.renewal {
            renewal.marked = Some(record);
        }
    }
    Ok(StepEnd::NotYet(Wait::Moment))
}

/// The copy holds something that the connector did not put there, or a person opted it out.
fn copy_was_edited(job: &Job, copy: &AssetId) -> StepEnd {
    let name = job.display_name();
    StepEnd::failed(
        FailureClass::Refused,
        format!(
            "{name} (asset {}) has changed, but a person worked on its copy {copy}, which is left alone; restore the \
             copy's protected version, or delete the copy, then replay",
            job.asset_id
        ),
    )
}

/// Takes back what a job wrote on a copy ahead of a save that will not happen. A save that Bynder confirmed did
/// happen.
pub(in super::super) async fn withdraw(context: &StepContext, job: &mut Job) -> Result<(), StepError> {
    let Some(renewal) = job.effects.renewal.clone().filter(|_| job.effects.saved.is_none()) else {
        return Ok(());
    };
    let Some(ahead) = renewal.marked else { return Ok(()) };
    let before = Marker::parse(renewal.marker_text.as_deref());
    marking::withdraw(context, job, &renewal.copy, ahead, before, Status::Unprotected).await?;
    job.effects.renewal = None;
    Ok(())
}
