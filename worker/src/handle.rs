//! One delivery from the queue to its settlement.

use std::time::{Duration, Instant};

use common::fault::{Guard, guard_stands};
use common::job::{Job, Step, in_lane};
use common::queue::{Delivery, Settlement};
use common::telemetry::StepResult;
use jiff::Timestamp;
use tokio::sync::RwLock;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::environment::Environment;
use crate::settle::{conclude, lost, outwait};
use crate::step;

/// Lost deliveries after which a job runs alone, so that one that kills its process takes no other along.
const LOST_TO_RUN_ALONE: u32 = 3;
/// How long a job waits to be alone, its delivery in hand.
const ALONE_PATIENCE: Duration = Duration::from_mins(1);

/// What became of the work on a delivery.
enum Work {
    /// The step ended, or could not begin.
    Settle(Settlement),
    /// The delivery is somebody else's by now.
    Void,
}

/// Does one step of one job and settles it. When `cut`, the job goes back to its step as suspect.
pub(crate) async fn handle(
    environment: &Environment,
    delivery: Delivery,
    cut: &CancellationToken,
    alone: &RwLock<()>,
) {
    let job = &delivery.job;
    // As grave as the gravest line: whatever is logged says which job it belongs to.
    let surroundings = tracing::error_span!(
        "step", run_id = %job.run_id, job_id = %job.job_id, asset_id = %job.asset_id, step = job.step.name(),
        trace_id = job.trace_id()
    );
    attend(environment, delivery, cut, alone).instrument(surroundings).await;
}

async fn attend(environment: &Environment, delivery: Delivery, cut: &CancellationToken, alone: &RwLock<()>) {
    let (job_id, asset_id, step) =
        (delivery.job.job_id.clone(), delivery.job.asset_id.clone(), delivery.job.step);
    let (attempt, published) = (delivery.job.attempt, delivery.job.created_at);
    let started = Instant::now();
    let metrics = &environment.metrics;
    metrics.step_started(&delivery.job);
    let (delivery, work) = work(environment, delivery, cut, alone).await;
    let mut result = StepResult::Abandoned;
    if let (Some(delivery), Work::Settle(settlement)) = (delivery, work) {
        let (settled, outcome) = described(step, &settlement);
        let attempts = attempts_after(&settlement).unwrap_or(attempt);
        match environment.queue.settle(delivery, settlement).await {
            Ok(()) => {
                result = settled;
                if attempts > attempt {
                    metrics.attempt_used(step);
                }
                if let Some(outcome) = outcome {
                    metrics.job_ended(&outcome, published);
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
    metrics.step_ended(step, result, started.elapsed());
}

fn described(step: Step, settlement: &Settlement) -> (StepResult, Option<common::outcome::Outcome>) {
    match settlement {
        Settlement::Wait { job, .. } if job.step > step => (StepResult::Forward, None),
        Settlement::Forward(_) => (StepResult::Forward, None),
        Settlement::Wait { .. } => (StepResult::Wait, None),
        Settlement::Finish(event) => (StepResult::Finish, Some(event.outcome.clone())),
        Settlement::Fail { event, .. } => (StepResult::Fail, Some(event.outcome.clone())),
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

/// Works on the delivery until its step ends, keeping the delivery from being taken away meanwhile.
async fn work(
    environment: &Environment,
    mut delivery: Delivery,
    cut: &CancellationToken,
    alone: &RwLock<()>,
) -> (Option<Delivery>, Work) {
    let settings = &environment.settings;
    let job = delivery.job.clone();
    let back = job.clone();
    let mut settling = Box::pin(settlement(environment, job, delivery.redelivered, alone));
    loop {
        tokio::select! {
            settlement = &mut settling => return (Some(delivery), Work::Settle(settlement)),
            () = delivery.voided() => return (None, Work::Void),
            () = cut.cancelled() => {
                // Its requests may still land: whoever takes it next has to outwait them.
                return (Some(delivery), Work::Settle(outwait(settings, back, Timestamp::now())));
            }
            () = tokio::time::sleep(settings.longest_hold) => {}
        }
        // The step stands still meanwhile, as nobody watches whether it still may go on.
        delivery = match environment.queue.renew(delivery).await {
            Ok(renewed) => renewed,
            Err(error) => {
                tracing::warn!(job_id = %back.job_id, %error, "cannot keep the delivery");
                return (None, Work::Void);
            }
        };
    }
}

async fn settlement(
    environment: &Environment,
    mut job: Job,
    redelivered: bool,
    alone: &RwLock<()>,
) -> Settlement {
    let settings = &environment.settings;
    job.held = false;
    if redelivered {
        job.suspect_now();
        if guard_stands(Guard::SuspectWait) {
            return lost(settings, job, Timestamp::now());
        }
    }
    let (mut together, mut by_itself) = (None, None);
    if job.lost_deliveries >= LOST_TO_RUN_ALONE {
        match tokio::time::timeout(ALONE_PATIENCE, alone.write()).await {
            Ok(guard) => by_itself = Some(guard),
            Err(_) => return Settlement::Wait { rung: settings.rungs[0], job: Box::new(job) },
        }
    } else {
        together = Some(alone.read().await);
    }
    let lane = job.lane;
    let result = in_lane(lane, step::run(environment, &mut job)).await;
    let mut settlement = conclude(settings, &environment.breakers, job, result, Timestamp::now());
    if let Settlement::Fail { job, event } = &mut settlement {
        step::withdraw_marker(environment, job, &event.outcome).await;
    }
    drop((together, by_itself));
    settlement
}
