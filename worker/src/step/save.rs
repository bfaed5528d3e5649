//! Save: waits for the import, checks the asset once more, and makes the one irreversible call.

use bynder::{BynderError, ImportId, ImportState, Saved};
use common::asset::AssetDetail;
use common::fault::{Guard, guard_is_on};
use common::job::{Job, Step};
use common::marker::{Marker, Record, Records};
use common::outcome::{FailureClass, Outcome};

use super::needs::Files;
use super::versions::{Found, find, too_many};
use super::{StepEnd, Stop, Wait, complete, confirm, marking, or_gone};
use crate::context::StepContext;
use crate::error::StepError;
use crate::service_times::Work;
use crate::services::Portal;
use decide::{ExpectedAtSave, LONGEST_CONVERSION, SaveDecision, decide_from_asset, is_crossed, not_ours};

/// How often changes by people may restart one job.
const MOST_RESTARTS: u32 = 5;

pub(super) async fn save(
    context: &StepContext,
    job: &mut Job,
    import: &ImportId,
    files: &Files,
) -> Result<StepEnd, Stop> {
    // A suspect job may have saved already: the import is then used up, and polling it would be misleading.
    if !job.suspect {
        converted(context, job, import).await?;
    }
    let held = super::lease(context, job).await?;
    let result = under_lease(&context.under(&held), job, import, files).await;
    held.end(&result);
    result
}

async fn under_lease(
    context: &StepContext,
    job: &mut Job,
    import: &ImportId,
    files: &Files,
) -> Result<StepEnd, Stop> {
    if job.suspect {
        check_before_save(context, &*context.bynder, job, files).await?;
        converted(context, job, import).await?;
    }
    // Neither the result of the check nor the lease may grow old while the save waits for its tokens.
    let bynder = context.bynder.reserve_calls(2).await?;
    check_before_save(context, &*bynder, job, files).await?;
    context.may_change()?;
    // A person's version may still come between the check and the save: Bynder has no conditional save. Ours is
    // then on top of it; nothing is lost, since Bynder keeps both. Its number differs from the foretold one, which
    // shows `confirm`, if it checks, or the next run that the two crossed.
    let answer = bynder.save_version(&job.asset_id, import).await;
    done(job, answer)?;
    Ok(confirm::saved(context, job))
}

/// Stops the step unless the import was saved.
pub(super) fn done<T>(job: &mut Job, answer: Result<Saved<T>, BynderError>) -> Result<T, Stop> {
    match answer {
        Ok(Saved::Done(made)) => Ok(made),
        Ok(Saved::NotConverted) => Err(StepEnd::NotYet(Wait::Service).into()),
        Err(BynderError::NotFound { message, .. }) => Err(lost_import(job, &message).into()),
        Err(error) => Err(StepError::from(error).of_effect().into()),
    }
}

/// Stops the step unless the import can be saved.
pub(super) async fn converted(context: &StepContext, job: &mut Job, import: &ImportId) -> Result<(), Stop> {
    match context.bynder.poll_import(import).await? {
        ImportState::Done => {
            context.service_times.finished(Work::Import, job, &context.settings.rungs);
            Ok(())
        }
        ImportState::Pending => {
            let mut since = job.effects.imported.unwrap_or_else(|| job.wait_mark());
            let pending = job.waited_since(&mut since);
            job.effects.imported = Some(since);
            if pending > LONGEST_CONVERSION {
                return Err(lost_import(job, "it was not converted within 30 minutes").into());
            }
            Err(StepEnd::NotYet(Wait::Service).into())
        }
        ImportState::Failed => Err(lost_import(job, "Bynder could not convert it").into()),
        ImportState::Rejected => Err(lost_import(job, "Bynder rejected it").into()),
    }
}

/// The import is unusable: the watermarked file has to be uploaded again.
fn lost_import(job: &mut Job, why: &str) -> StepEnd {
    let import = job.effects.import_id.take().map(String::from).unwrap_or_default();
    job.effects.imported = None;
    StepEnd::Redo { step: Step::Transfer, reason: format!("the import {import} is lost: {why}") }
}

/// The single GET right before the save. Stops the step unless everything is as expected.
async fn check_before_save(
    context: &StepContext,
    bynder: &dyn Portal,
    job: &mut Job,
    files: &Files,
) -> Result<(), Stop> {
    if !guard_is_on(Guard::LookBeforeSave) {
        return Ok(());
    }
    let detail = or_gone(bynder.asset(&job.asset_id).await)?;
    note_added(job, &detail);
    match readiness(context, job, files, &detail).await? {
        Readiness::Ready => Ok(()),
        Readiness::Unmarked { .. } if !guard_is_on(Guard::MarkerBeforeSave) => Ok(()),
        Readiness::Unmarked { record, records } => {
            let (written_before, on) =
                (job.effects.marked == Some(record), format!("asset {}", job.asset_id));
            if marking::is_due(context, job, written_before, &on)? {
                marking::write(context, job, &records.with(record)).await?;
                job.effects.marked = Some(record);
            }
            Err(StepEnd::NotYet(Wait::Moment).into())
        }
    }
}

/// Notes since when the version that the job protects has been in the portal.
pub(super) fn note_added(job: &mut Job, detail: &AssetDetail) {
    job.added = detail.version(job.base).and_then(|version| version.added);
}

/// What a check found if it does not stop the step.
pub(super) enum Readiness {
    /// Save.
    Ready,
    /// The marker has to be written.
    Unmarked { record: Record, records: Records },
}

/// Evaluates a check and does whatever follows from it without changing the file: verifies a version that may be
/// the job's own, and starts the job over if a person made a newer version.
pub(super) async fn readiness(
    context: &StepContext,
    job: &mut Job,
    files: &Files,
    detail: &AssetDetail,
) -> Result<Readiness, Stop> {
    let marker = context.marker(&detail.asset);
    let marker_before = &Marker::parse(job.marker_text.as_deref());
    let expected = ExpectedAtSave {
        base: job.base,
        top: job.top,
        original: files.original.sha256,
        watermarked: &files.watermarked,
        marker_before,
    };
    let mut decision = decide_from_asset(expected, detail, &marker);
    if let SaveDecision::MaybeOurs { candidates } = &decision {
        match find(context, job, &job.asset_id.clone(), candidates, files.watermarked.sha256).await? {
            Found::In(version) => {
                return Err(saved_before(context, job, files.saved_as(version), detail, marker)
                    .await?
                    .into());
            }
            Found::Unknown => return Err(too_many(&format!("asset {}", job.asset_id), candidates).into()),
            Found::Nowhere => decision = not_ours(expected, detail, &marker),
        }
    }
    match decision {
        SaveDecision::Clear => {
            job.top = detail.top().unwrap_or(job.top);
            Ok(Readiness::Ready)
        }
        SaveDecision::Mark(record) => {
            job.top = record.version.saturating_sub(1);
            let records = marker.into_records().unwrap_or_default();
            Ok(Readiness::Unmarked { record, records })
        }
        SaveDecision::Restart { base, top } => {
            marking::retract(context, job, files.watermarked.sha256, marker).await?;
            Err(start_over(context, job, base, top, detail).into())
        }
        SaveDecision::ProtectedElsewhere(record) => {
            if context.hash(job, &job.asset_id.clone(), record.version).await? == record.watermarked {
                return Err(StepEnd::Ended(Outcome::AlreadyProtected).into());
            }
            marking::retract(context, job, files.watermarked.sha256, marker).await?;
            let top = detail.top().unwrap_or(record.version);
            Err(start_over(context, job, record.version, top, detail).into())
        }
        SaveDecision::OptedOut => {
            let theirs = detail.active().unwrap_or(job.base);
            Err(StepEnd::Ended(Outcome::Superseded { ours: None, theirs }).into())
        }
        SaveDecision::Foreign(text) => Err(complete::foreign_text(context, job, &text).into()),
        SaveDecision::MaybeOurs { .. } | SaveDecision::VersionsUnknown => {
            let reason = format!(
                "Bynder does not say which version of asset {} is the active one, so a person's work could be overwritten; \
                 nothing was saved. `connector doctor` checks the portal for it",
                job.asset_id
            );
            Err(StepEnd::failed(FailureClass::Refused, reason).into())
        }
    }
}

/// Ends the job of a save that did happen, with this record, although its response was lost.
async fn saved_before(
    context: &StepContext,
    job: &Job,
    record: Record,
    detail: &AssetDetail,
    marker: Marker,
) -> Result<StepEnd, Stop> {
    let (version, watermarked) = (record.version, record.watermarked);
    let crossed = is_crossed(job.top, &record, &marker);
    match marker.into_records() {
        // A record that foretold another number stays: it shows the next run, too, that another version came in
        // between.
        Ok(records) if crossed && records.iter().any(|foretold| foretold.watermarked == watermarked) => {}
        // Written although this job wrote none: without it, each later `restore` would report that it restored
        // the original.
        Ok(records) if !records.contains(&record) => {
            marking::write(context, job, &records.with(record)).await?;
        }
        Ok(_) | Err(_) => {}
    }
    let active = detail.active().unwrap_or(version);
    Ok(StepEnd::Ended(if crossed {
        Outcome::Superseded { ours: Some(version), theirs: version.saturating_sub(1) }
    } else if active == version {
        Outcome::Watermarked { version }
    } else {
        Outcome::Superseded { ours: Some(version), theirs: active }
    }))
}

/// A person made another version: protects that one instead, unless this has happened too often.
pub(super) fn start_over(
    context: &StepContext,
    job: &mut Job,
    base: u32,
    top: u32,
    detail: &AssetDetail,
) -> StepEnd {
    if job.restarts >= MOST_RESTARTS {
        return StepEnd::Ended(Outcome::Superseded { ours: None, theirs: base });
    }
    tracing::info!(
        job_id = %job.job_id, asset_id = %job.asset_id, old = job.base, new = base,
        "a person made another version meanwhile; protecting that one instead"
    );
    let marker_text = detail.asset.marker_text(&context.settings.fields.hash.name);
    job.restart(base, top, detail.shown_file(base), marker_text);
    StepEnd::Next(Step::Submit)
}
