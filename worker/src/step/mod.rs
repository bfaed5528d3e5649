//! The three steps of a job. A step does its work and returns how it ended; it settles nothing itself.

mod additional;
mod ahead;
mod complete;
mod confirm;
mod copy;
mod marking;
mod needs;
mod rejected;
mod save;
mod submit;
#[cfg(test)]
mod tests;
mod transfer;
mod unrecorded;
mod versions;

use std::time::Duration;

use bynder::BynderError;
use common::asset::AssetId;
use common::fault;
use common::job::{Job, JobId, Step};
use common::marker::{Marker, Status};
use common::outcome::Outcome;
use config::OutputMode;
use queue::{Attempt, Left, QueueError, lease_patiently};

use crate::context::StepContext;
use crate::end::{StepEnd, Stop, Wait};
use crate::error::StepError;
use crate::in_flight;
use crate::leases::{self, StepLease};
use crate::settings::Settings;
use decide::LONGEST_POLL;
use needs::SaveJob;

/// Takes the asset's lease for the effects of this step, waiting for a while; ends the step if it does not get it.
/// If another job holds the lease or may have a request under way, this job does not know those effects and
/// continues as suspect.
async fn lease(context: &StepContext, job: &mut Job) -> Result<StepLease, Stop> {
    match try_lease(context, job).await? {
        Attempt::Taken(held) => return Ok(held),
        Attempt::Refused => job.suspect_now(),
        Attempt::Busy => {}
    }
    Err(StepEnd::NotYet(Wait::Moment).into())
}

/// Unwraps Bynder's answer about an asset of the job; if the asset no longer exists, the job ends.
fn or_gone<T>(answer: Result<T, BynderError>) -> Result<T, Stop> {
    match answer {
        Err(BynderError::NotFound { .. }) => Err(StepEnd::Ended(Outcome::Gone).into()),
        answer => Ok(answer?),
    }
}

/// Tries to take the asset's lease, as a step of this job needs it.
pub(crate) async fn try_lease(context: &StepContext, job: &Job) -> Result<Attempt<StepLease>, QueueError> {
    let settings = &context.settings;
    let doubt = in_flight::lockout(settings, job.step);
    let own = own_time(settings, job, context.mode(job), context.imatag.can_find());
    leases::take(context.locks.as_ref(), job, doubt, own).await
}

/// How long the asset belongs to this job alone after an aborted step, beyond the time in which a request may still
/// take effect: only if no other job can find this job's effects.
fn own_time(settings: &Settings, job: &Job, mode: OutputMode, can_find: bool) -> Option<Duration> {
    if !can_find && job.effects.media_id.is_some() {
        return Some(reservation(settings));
    }
    // The job can find its copy only through the listing, and until then the original does not show the copy to
    // other jobs.
    let is_copied = job.step == Step::Save && mode == OutputMode::Copy;
    is_copied.then(|| settings.index_lag + in_flight::lockout(settings, job.step))
}

/// Keeps the asset for a job whose worker died, for as long as after a request without a response.
pub(crate) async fn keep(context: &StepContext, job: &Job) {
    // Dropped before anything is known about the job's requests, the lease leaves the asset in doubt.
    drop(try_lease(context, job).await);
}

/// Frees the asset after a job that had reserved it; if that fails, it becomes free a while later.
pub(crate) async fn free(context: &StepContext, asset: &AssetId, job: &JobId) {
    if context.imatag.can_find() {
        return;
    }
    match lease_patiently(context.locks.as_ref(), asset, job, &[]).await {
        Ok(Attempt::Taken(lease)) => lease.end(Left::Nothing),
        Ok(Attempt::Refused | Attempt::Busy) => {
            tracing::warn!(asset_id = %asset, "the asset stays reserved for a while: another job has its lease");
        }
        Err(error) => tracing::warn!(asset_id = %asset, %error, "the asset stays reserved for a while"),
    }
}

/// How long an asset is reserved at a time: longer than a step and the wait before it can take.
fn reservation(settings: &Settings) -> Duration {
    settings.step_deadline + LONGEST_POLL + in_flight::lockout(settings, Step::Save)
}

/// Runs the job's next step. Changes the job in place: even on an error, the job carries what was done.
pub(crate) async fn run(context: &StepContext, job: &mut Job) -> Result<StepEnd, StepError> {
    match next(context, job).await {
        Ok(end) | Err(Stop::End(end)) => Ok(end),
        Err(Stop::Error(error)) => Err(error),
    }
}

async fn next(context: &StepContext, job: &mut Job) -> Result<StepEnd, Stop> {
    fault::poison(&job.asset_id);
    if job.mode.is_none() {
        // A job from a release that had only this mode, and that has already started, finishes in it.
        let begun = job.effects.import_id.is_some();
        job.mode = Some(if begun { OutputMode::Version } else { context.settings.mode });
    }
    unrecorded::make_good(context, job).await?;
    match job.step {
        Step::Submit => submit::submit(context, job).await,
        Step::Transfer => transfer::transfer(context, job).await,
        Step::Save => match SaveJob::of(job, context.mode(job))? {
            SaveJob::Version { import, files } => save::save(context, job, &import, &files).await,
            SaveJob::Saved { bytes } => confirm::confirm(context, job, bytes).await,
            // Boxed: their futures are large, and most jobs need neither.
            SaveJob::Copy { import, files } => Box::pin(copy::save(context, job, &import, &files)).await,
            SaveJob::Additional { parcel, files } => {
                Box::pin(additional::save(context, job, &parcel, &files)).await
            }
        },
    }
}

/// Whether the job wrote a record ahead of a save that may not happen. A save that Bynder confirmed did happen: if
/// its version does not show, it waits for approval.
pub(crate) fn wrote_ahead(job: &Job) -> bool {
    let effects = &job.effects;
    let renewal = effects.renewal.as_ref();
    effects.saved.is_none()
        && (effects.marked.is_some() || renewal.is_some_and(|renewal| renewal.marked.is_some()))
}

/// Takes back what a failed job wrote ahead of a save that will not happen.
pub(crate) async fn withdraw_marker(
    context: &StepContext,
    job: &mut Job,
    outcome: &Outcome,
) -> Result<(), StepError> {
    copy::withdraw(context, job).await?;
    let Some(ahead) = job.effects.marked else { return Ok(()) };
    let status = match outcome {
        Outcome::Failed(failure) => Status::Failed(failure),
        Outcome::Watermarked { .. }
        | Outcome::AlreadyProtected
        | Outcome::Superseded { .. }
        | Outcome::AwaitingApproval
        | Outcome::Gone => Status::Unprotected,
    };
    let (asset, before) = (job.asset_id.clone(), Marker::parse(job.marker_text.as_deref()));
    if marking::withdraw(context, job, &asset, ahead, before, status).await? {
        job.effects.marked = None;
    }
    Ok(())
}
