//! The three steps of a job. A step does its work and says how it ended; it settles nothing itself.

mod additional;
mod complete;
mod confirm;
mod copy;
mod marking;
mod rejected;
mod save;
mod submit;
mod transfer;
mod unrecorded;

use std::time::Duration;

use common::config::OutputMode;
use common::fault;
use common::job::{Job, Step};
use common::marker::{Marker, Status};
use common::outcome::{Failure, FailureClass, Outcome, Reason};
use common::queue::QueueError;

use crate::doubt;
use crate::environment::Environment;
use crate::error::StepError;
use crate::leases::Held;

/// How often, and how long apart, the lease of a dead worker is tried for.
const KEEP_TRIES: u32 = 5;
const KEEP_PAUSE: Duration = Duration::from_millis(200);

/// How a step ended, short of an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepEnd {
    /// On to this step, at once.
    Next(Step),
    /// On to this step after the shortest wait.
    Later(Step),
    /// Not yet: back to the same step after a wait that uses up no attempt.
    NotYet(Wait),
    /// What was done before came to nothing: back to this step, using up an attempt.
    Redo {
        /// The step to go back to.
        step: Step,
        /// What came to nothing, and why.
        reason: String,
    },
    /// The job is over.
    Ended(Outcome),
}

/// What a job waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Imatag to watermark the file, or Bynder to convert the import: longer and longer.
    Service,
    /// Another job's lease, or a write to become visible: the shortest wait.
    Moment,
}

impl StepEnd {
    pub(crate) fn failed(class: FailureClass, reason: impl Into<Reason>) -> Self {
        Self::Ended(Outcome::Failed(Failure { class, reason: reason.into(), request_id: None }))
    }
}

/// The asset's lease for the effects of this step; the end of the step where another job has it. What that job does, or
/// did without an answer, this one does not know: it goes on as suspect.
async fn lease(environment: &Environment, job: &mut Job) -> Result<Result<Held, StepEnd>, StepError> {
    let Some(held) = take(environment, job).await? else {
        job.suspect_now();
        return Ok(Err(StepEnd::NotYet(Wait::Moment)));
    };
    Ok(Ok(held))
}

async fn take(environment: &Environment, job: &Job) -> Result<Option<Held>, QueueError> {
    let settings = &environment.settings;
    let kept = doubt::kept(settings, job.step);
    let mut held = environment.leases.take(environment.locks.as_ref(), job, kept).await?;
    if let Some(held) = &mut held
        && job.step == Step::Save
        && environment.mode(job) == OutputMode::Copy
    {
        // Nothing but the listing shows the job its copy, and the original shows nothing to others before that.
        held.keep_own(settings.index_lag + kept);
    }
    Ok(held)
}

/// Keeps the asset for a job whose worker died and lost the lease: for as long as after a request without an answer.
pub(crate) async fn keep(environment: &Environment, job: &Job) {
    for _ in 0..KEEP_TRIES {
        match take(environment, job).await {
            // The broker may deliver the job before it has noticed that the lease is free.
            Ok(None) => tokio::time::sleep(KEEP_PAUSE).await,
            // Dropped before anything is known of the job's requests, the lease is kept.
            Ok(Some(_)) | Err(_) => return,
        }
    }
}

/// Runs the job's next step. The job is changed in place; what it carries is what was done, even on an error.
pub async fn run(environment: &Environment, job: &mut Job) -> Result<StepEnd, StepError> {
    fault::poison(&job.asset_id);
    if job.mode.is_none() {
        // A job of a release that knew one mode only, and has begun, ends in that one.
        let begun = job.effects.import_id.is_some();
        job.mode = Some(if begun { OutputMode::Version } else { environment.settings.mode });
    }
    if let Some(end) = unrecorded::made_good(environment, job).await? {
        return Ok(end);
    }
    match job.step {
        Step::Submit => submit::submit(environment, job).await,
        Step::Transfer => transfer::transfer(environment, job).await,
        Step::Save => match environment.mode(job) {
            OutputMode::Version => save::save(environment, job).await,
            // Boxed: what they hold is large, and most jobs need neither.
            OutputMode::Copy => Box::pin(copy::save(environment, job)).await,
            OutputMode::Additional => Box::pin(additional::save(environment, job)).await,
        },
    }
}

/// Whether the job wrote a record for a save that may not come. One that Bynder answered came: what does not show of it
/// waits for approval.
pub(crate) fn wrote_ahead(job: &Job) -> bool {
    let effects = &job.effects;
    let renewal = effects.renewal.as_ref();
    effects.saved.is_none()
        && (effects.marked.is_some() || renewal.is_some_and(|renewal| renewal.marked.is_some()))
}

/// Takes back what a failed job wrote ahead of a save that will not come.
pub(crate) async fn withdraw_marker(
    environment: &Environment,
    job: &mut Job,
    outcome: &Outcome,
) -> Result<(), StepError> {
    copy::withdraw(environment, job).await?;
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
    if marking::withdraw(environment, job, &asset, ahead, before, status).await? {
        job.effects.marked = None;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use common::hash::ContentHash;
    use common::job::{Lane, RunId};
    use common::marker::Record;
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_record_of_a_save_that_was_answered_is_not_taken_back() {
        let (run, asset) = (RunId("r".to_owned()), "A".parse().unwrap());
        let mut job = Job::new(run, asset, "", Lane::Fresh, 1, None, Timestamp::UNIX_EPOCH);
        assert!(!wrote_ahead(&job));
        let file = ContentHash::from_bytes([1; 32]);
        job.effects.marked = Some(Record { original: file, watermarked: file, version: 2, bytes: 1 });
        assert!(wrote_ahead(&job));
        job.effects.saved = Some(job.wait_mark());
        assert!(!wrote_ahead(&job));
    }
}
