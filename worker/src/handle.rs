//! One delivery from the queue to its settlement.

use common::fault::{Guard, guard_stands};
use common::job::{Job, Step};
use common::outcome::OutcomeEvent;
use jiff::Timestamp;
use queue::{Delivery, Settlement};
use telemetry::StepResult;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::blame::attribute;
use crate::breaker::Pace;
use crate::decide::suspect_rung;
use crate::environment::{Environment, Settings};
use crate::error::{StepError, Verdict};
use crate::hold::hold;
use crate::leases::Try;
use crate::lost::{lost, outwait, outwaited};
use crate::settle::{conclude, park};
use crate::solitude::Solitude;
use crate::step;

/// Lost deliveries after which a job runs alone, so that one that kills its process takes no other along.
const LOST_TO_RUN_ALONE: u32 = 3;

/// Waits beyond the last attempt for the asset's lease and for Bynder, before a job ends without having taken its marker back.
const MOST_CLOSING_WAITS: u32 = 5;

/// Does one step of one job and settles it. When `cut`, the job goes back to its step as suspect.
pub(crate) async fn handle(
    environment: &Environment,
    delivery: Delivery,
    cut: &CancellationToken,
    solitude: &Solitude,
) {
    let job = &delivery.job;
    // As grave as the gravest line: whatever is logged says which job it belongs to.
    let surroundings = tracing::error_span!(
        "step", run_id = %job.run_id, job_id = %job.job_id, asset_id = %job.asset_id, step = job.step.name(),
        trace_id = job.trace_id()
    );
    attend(environment, delivery, cut, solitude).instrument(surroundings).await;
}

async fn attend(environment: &Environment, delivery: Delivery, cut: &CancellationToken, solitude: &Solitude) {
    let (job_id, asset_id, step) =
        (delivery.job.job_id.clone(), delivery.job.asset_id.clone(), delivery.job.step);
    let (attempt, published) = (delivery.job.attempt, delivery.job.created_at);
    let metrics = &environment.metrics;
    let running = metrics.step_started(&delivery.job);
    let work = Box::pin(work(environment, delivery.job.clone(), delivery.redelivered, cut, solitude));
    let held = hold(environment.queue.as_ref(), delivery, work, environment.settings.longest_hold).await;
    let mut result = StepResult::Abandoned;
    if let Some((delivery, settlement)) = held {
        let (settled, event) = described(step, &settlement);
        let attempts = attempts_after(&settlement).unwrap_or(attempt);
        match environment.queue.settle(delivery, settlement).await {
            Ok(()) => {
                result = settled;
                if attempts > attempt {
                    metrics.attempt_used(step);
                }
                if let Some(event) = event {
                    metrics.job_ended(&event, published);
                }
            }
            // The delivery comes back as suspect, so nothing is lost and nothing done twice.
            Err(error) => {
                tracing::warn!(%job_id, %asset_id, step = step.name(), %error, "cannot settle the step; it comes back");
            }
        }
    } else {
        tracing::warn!(%job_id, %asset_id, step = step.name(), "the delivery is lost; its step is abandoned");
    }
    running.ended(result);
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

/// What the job has used up by now, where it goes on or failed.
fn attempts_after(settlement: &Settlement) -> Option<u32> {
    match settlement {
        Settlement::Forward(job) | Settlement::Wait { job, .. } | Settlement::Fail { job, .. } => {
            Some(job.attempt)
        }
        Settlement::Finish(_) => None,
    }
}

/// What becomes of the job: its step runs to its end, or is cut.
async fn work(
    environment: &Environment,
    job: Job,
    redelivered: bool,
    cut: &CancellationToken,
    solitude: &Solitude,
) -> Settlement {
    let back = job.clone();
    tokio::select! {
        settlement = settlement(environment, job, redelivered, solitude) => settlement,
        // Its requests may still land: the next worker has to outwait them.
        () = cut.cancelled() => outwait(&environment.settings, back),
    }
}

async fn settlement(
    environment: &Environment,
    mut job: Job,
    redelivered: bool,
    solitude: &Solitude,
) -> Settlement {
    let settings = &environment.settings;
    job.held = false;
    if redelivered {
        job.suspect_now();
        if guard_stands(Guard::SuspectWait) {
            step::keep(environment, &job).await;
            return lost(settings, job);
        }
    }
    let mut job = match outwaited(settings, job, Timestamp::now()) {
        Ok(job) => job,
        Err(settlement) => return closing(environment, *settlement).await,
    };
    let _place = if job.lost_deliveries >= LOST_TO_RUN_ALONE {
        let Some(place) = solitude.alone().await else { return wait_to_be_alone(settings, job) };
        place
    } else {
        let Some(place) = solitude.among_others().await else { return wait_to_be_alone(settings, job) };
        place
    };
    let deadline = settings.step_deadline;
    let in_lane = Environment { bynder: environment.bynder.in_lane(job.lane), ..environment.clone() };
    let result =
        timeout(deadline, step::run(&in_lane, &mut job)).await.unwrap_or(Err(StepError::Overran(deadline)));
    let pace = Pace::of_rungs(&settings.rungs);
    let blame = attribute(&environment.breakers, environment, pace, &job, &result).await;
    closing(environment, conclude(settings, job, result, blame, Timestamp::now())).await
}

/// The end of a job frees its asset. That of a failed one takes its marker back first, under the asset's lease: while a
/// request of the job may still land the asset is kept, and the job waits and looks once more instead of ending.
pub(crate) async fn closing(environment: &Environment, settlement: Settlement) -> Settlement {
    let (mut job, event) = match settlement {
        Settlement::Forward(_) | Settlement::Wait { .. } => return settlement,
        Settlement::Finish(event) => {
            step::free(environment, &event.asset_id, &event.job_id).await;
            return Settlement::Finish(event);
        }
        Settlement::Fail { job, event } => (job, event),
    };
    if !step::wrote_ahead(&job) {
        step::free(environment, &job.asset_id, &job.job_id).await;
        return Settlement::Fail { job, event };
    }
    let settings = &environment.settings;
    let withdrawn = match step::try_lease(environment, &job).await {
        Ok(Try::Held(held)) => {
            let under = environment.under(held.permission());
            let withdrawn = step::withdraw_marker(&under, &mut job, &event.outcome).await;
            match &withdrawn {
                Ok(()) => held.end_with_job(),
                Err(StepError::UnknownOutcome(_)) => drop(held),
                Err(_) => held.end_unused(),
            }
            withdrawn
        }
        Ok(Try::Refused | Try::Busy) => Err(StepError::Local("another job has the asset".to_owned())),
        Err(error) => Err(error.into()),
    };
    let Err(error) = withdrawn else { return Settlement::Fail { job, event } };
    let may_pass = !matches!(error.verdict(), Verdict::Fail(_));
    if may_pass && job.attempt < settings.max_attempts.saturating_add(MOST_CLOSING_WAITS) {
        job.attempt = job.attempt.saturating_add(1);
        job.suspect_now();
        let rung = suspect_rung(&settings.rungs, settings.request_timeout);
        return Settlement::Wait { job, rung };
    }
    // The record names a version that does not exist, and is replaced when the asset is protected.
    tracing::warn!(asset_id = %job.asset_id, %error, "the marker could not be taken back");
    Settlement::Fail { job, event }
}

/// The settlement of a job that has to run alone and cannot yet: it comes back, and the wait counts towards its day.
fn wait_to_be_alone(settings: &Settings, job: Job) -> Settlement {
    let rung = Pace::of_rungs(&settings.rungs).longest;
    park(settings, job, rung, true, Timestamp::now())
}
