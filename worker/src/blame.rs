//! What the end of a step shows about the services, and who is at fault for a failure.

use bynder::BynderError;
use common::job::{Job, Step};
use common::service::Service;

use crate::end::{StepEnd, Wait};
use crate::error::{Against, StepError, Verdict};
use crate::probe::{Probed, ServiceHealth};
use breakers::{Blame, Breakers, Pace, Trouble};

/// Reports the end of the step to the breakers. For a failed step, returns whether the job or the service is at
/// fault.
pub(crate) async fn attribute(
    breakers: &Breakers,
    health: &impl ServiceHealth,
    pace: Pace,
    job: &Job,
    result: &Result<StepEnd, StepError>,
) -> Blame {
    let error = match result {
        Ok(end) => {
            note_success(breakers, job, end);
            return Blame::Job;
        }
        Err(error) => error,
    };
    let Verdict::Retry { against: Some(against), .. } = error.verdict() else { return Blame::Job };
    let reason = error.to_string();
    match against {
        Against::Answers(service) => {
            if breakers.is_out(service) {
                return breakers.trip(service, Trouble::Outage, &reason);
            }
            match health.of(service).await {
                Probed::Down(why) => breakers.trip(service, Trouble::Outage, &why),
                Probed::Up => breakers.failed_alone(service, job.step, &job.job_id, pace),
            }
        }
        Against::Credential(service) => breakers.trip(service, Trouble::Credential, &reason),
        Against::Configuration(service) => breakers.trip(service, Trouble::Configuration, &reason),
        Against::WireProfile => breakers.wire_doubted(&reason),
        Against::RightToWrite => breakers.write_refused(&job.job_id, &reason),
        Against::RightToSubmit => breakers.submit_refused(&job.job_id, &reason),
        Against::RightToRead => match breakers.read_refused(&job.job_id) {
            Some(blame) => blame,
            None => try_other_assets(breakers, health, &reason).await,
        },
    }
}

async fn try_other_assets(breakers: &Breakers, health: &impl ServiceHealth, reason: &str) -> Blame {
    match health.may_read_any().await {
        Ok(true) => {
            breakers.may_read();
            Blame::Job
        }
        Ok(false) => breakers.trip(Service::Bynder, Trouble::ReadRefused, reason),
        // The next refusal asks again.
        Err(BynderError::Paused { .. } | BynderError::BatchFailed { .. }) => Blame::Service,
        Err(error) => {
            tracing::warn!(%error, "cannot find out whether other assets may be read");
            Blame::Service
        }
    }
}

fn note_success(breakers: &Breakers, job: &Job, end: &StepEnd) {
    for service in answered(job.step, end) {
        breakers.succeeded(*service, job.step);
    }
    // The marker was written or the version saved: no further right can be refused.
    let marked_ahead = job.effects.marked.is_some();
    if matches!(
        (job.step, end, marked_ahead),
        (Step::Transfer, StepEnd::Next(Step::Save) | StepEnd::Later(Step::Save), true)
            | (Step::Save, StepEnd::Ended(_), _)
    ) {
        breakers.permitted(Service::Bynder);
        breakers.permitted(Service::Imatag);
    }
}

/// The services that must have answered successfully for the step to end like this.
fn answered(step: Step, end: &StepEnd) -> &'static [Service] {
    match (step, end) {
        (_, StepEnd::NotYet(Wait::Moment) | StepEnd::Redo { .. })
        | (Step::Submit, StepEnd::NotYet(Wait::Service)) => &[],
        (Step::Submit, StepEnd::Next(Step::Transfer | Step::Save) | StepEnd::Later(Step::Transfer))
        | (Step::Transfer, StepEnd::Next(Step::Save) | StepEnd::Later(_)) => &Service::ALL,
        (Step::Transfer, StepEnd::NotYet(Wait::Service)) => &[Service::Imatag],
        (Step::Save, StepEnd::NotYet(Wait::Service))
        | (_, StepEnd::Next(_) | StepEnd::Later(_) | StepEnd::Ended(_)) => &[Service::Bynder],
    }
}
