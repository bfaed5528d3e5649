//! Settles a delivery with the queue, and then counts and logs. Only what the queue accepted is counted or logged.

use std::time::Duration;

use common::job::{Job, Step};
use common::outcome::{Outcome, OutcomeEvent};
use queue::{Delivery, QueueError, Settlement};
use telemetry::StepResult;

use crate::environment::Environment;

/// Settles the delivery; returns how its step ended. On an error the delivery comes back.
pub(crate) async fn settle(
    environment: &Environment,
    delivery: Delivery,
    settlement: Settlement,
) -> Result<StepResult, QueueError> {
    let before = Box::new(delivery.job.clone());
    let (result, event) = described(before.step, &settlement);
    let after = job_of(&settlement).filter(|job| job.attempt > before.attempt).cloned().map(Box::new);
    environment.queue.settle(delivery, settlement).await?;
    // A process that dies here has not counted what it settled: metrics may show less than was done, but never
    // more.
    if let Some(after) = after {
        environment.metrics.attempt_used(before.step);
        if event.is_none() {
            log_failed_attempt(&before, &after);
        }
    }
    if let Some(event) = event {
        log_end(&event);
        environment.metrics.job_ended(&event, before.created_at);
        if let (Outcome::Watermarked { .. }, Some(added)) = (&event.outcome, event.added) {
            let exposed = environment.bynder.portal_now().duration_since(added);
            // The portal states whole seconds.
            environment
                .metrics
                .version_protected(before.lane, Duration::try_from(exposed).unwrap_or_default());
        }
    }
    Ok(result)
}

fn described(step: Step, settlement: &Settlement) -> (StepResult, Option<Box<OutcomeEvent>>) {
    match settlement {
        Settlement::Wait { job, .. } if job.step > step => (StepResult::Forward, None),
        Settlement::Forward(_) => (StepResult::Forward, None),
        Settlement::Wait { .. } => (StepResult::Wait, None),
        Settlement::Finish(event) => (StepResult::Finish, Some(event.clone())),
        Settlement::Fail { event, .. } => (StepResult::Fail, Some(event.clone())),
    }
}

/// The job, if it continues or failed.
fn job_of(settlement: &Settlement) -> Option<&Job> {
    match settlement {
        Settlement::Forward(job) | Settlement::Wait { job, .. } | Settlement::Fail { job, .. } => Some(job),
        Settlement::Finish(_) => None,
    }
}

fn log_failed_attempt(before: &Job, after: &Job) {
    // A job that waits to take its marker back uses up an attempt without a failed one.
    let Some(failed) = after.history.last().filter(|last| Some(*last) != before.history.last()) else {
        return;
    };
    tracing::warn!(
        job_id = %after.job_id, asset_id = %after.asset_id, step = failed.step.name(), attempt = after.attempt,
        class = failed.class.name(), reason = failed.reason, request_id = failed.request_id, "the step failed"
    );
}

/// Logs how a job ended in one line; its span adds the rest.
pub(crate) fn log_end(event: &OutcomeEvent) {
    let OutcomeEvent { job_id, asset_id, asset_name: name, .. } = event;
    match &event.outcome {
        Outcome::Failed(failure) => tracing::error!(
            %job_id, %asset_id, name, class = failure.class.name(), reason = &*failure.reason,
            request_id = failure.request_id, "failed"
        ),
        Outcome::Watermarked { .. }
        | Outcome::AlreadyProtected
        | Outcome::Superseded { .. }
        | Outcome::AwaitingApproval
        | Outcome::Gone => {
            tracing::info!(%job_id, %asset_id, name, outcome = event.outcome.name(), "done");
        }
    }
}
