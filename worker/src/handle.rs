//! Takes one delivery from receipt to settlement: run step → conclude → close → settle.

use std::panic::AssertUnwindSafe;

use common::fault::{Guard, guard_is_on};
use common::job::Job;
use futures::FutureExt;
use jiff::Timestamp;
use queue::{Delivery, Settlement};
use telemetry::StepResult;
use tokio::sync::SemaphorePermit;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::blame::attribute;
use crate::close::close;
use crate::conclude::{conclude, cut_short, lost, may_resume, panicked, wait_to_be_alone};
use crate::context::StepContext;
use crate::environment::Environment;
use crate::isolation::Isolation;
use crate::renew::run_while_renewing;
use crate::run_step::run_step;
use crate::settle::settle;
use crate::step;
use breakers::Pace;

/// Lost deliveries after which a job runs alone: if it kills its process, no other job is lost with it.
const LOST_TO_RUN_ALONE: u32 = 3;

/// Runs one step of one job and settles its delivery. On `cut`, the job goes back to its step as suspect.
pub(crate) async fn handle(
    environment: &Environment,
    delivery: Delivery,
    cut: &CancellationToken,
    isolation: &Isolation,
) {
    let job = delivery.job.clone();
    // An error span, so that every log line, whatever its level, names its job.
    let span = tracing::error_span!(
        "step", run_id = %job.run_id, job_id = %job.job_id, asset_id = %job.asset_id, step = job.step.name(),
        trace_id = job.trace_id()
    );
    let traced = span.in_scope(|| traces::of_step(&job));
    let end = traced.clone();
    let handled = async {
        let running = environment.metrics.step_started(&job);
        let work = Box::pin(run_unless_cut(environment, job.clone(), delivery.redelivered, cut, isolation));
        let held =
            run_while_renewing(environment.queue.as_ref(), delivery, work, environment.settings.longest_hold)
                .await;
        let (job_id, asset_id, step) = (&job.job_id, &job.asset_id, job.step.name());
        let result = if let Some((delivery, settlement)) = held {
            settle(environment, delivery, settlement).await.unwrap_or_else(|error| {
                // The delivery comes back as suspect, so nothing is lost and nothing is done twice.
                tracing::warn!(%job_id, %asset_id, step, %error, "cannot settle the delivery; it will be delivered again");
                StepResult::Abandoned
            })
        } else {
            tracing::warn!(%job_id, %asset_id, step, "the delivery is lost; its step is abandoned");
            StepResult::Abandoned
        };
        end.record("result", result.name());
        if matches!(result, StepResult::Fail) {
            end.record("otel.status_code", "ERROR");
        }
        running.ended(result);
    };
    handled.instrument(traced).instrument(span).await;
}

/// The settlement of the job: its step runs to its end, or is cut.
async fn run_unless_cut(
    environment: &Environment,
    job: Job,
    redelivered: bool,
    cut: &CancellationToken,
    isolation: &Isolation,
) -> Settlement {
    let back = job.clone();
    let work = AssertUnwindSafe(run_and_conclude(environment, job, redelivered, isolation)).catch_unwind();
    tokio::select! {
        settled = work => settled.unwrap_or_else(|panic| {
            tracing::error!(panic = cli::panics::message(&*panic), "panicked outside the step; the job comes back");
            panicked(&environment.settings, back, Timestamp::now())
        }),
        // Its requests may still take effect: the next worker has to wait until they no longer can. A step that
        // ends at the same moment may still be cut: its job comes back as it was before, and as a suspect job finds
        // what was done.
        () = cut.cancelled() => cut_short(&environment.settings, back),
    }
}

async fn run_and_conclude(
    environment: &Environment,
    job: Job,
    redelivered: bool,
    isolation: &Isolation,
) -> Settlement {
    let settings = &environment.settings;
    let (mut job, _permit) = match may_begin(environment, job, redelivered, isolation).await {
        Ok(begins) => begins,
        Err(settlement) => return close(environment, *settlement).await,
    };
    let result = run_step(environment, &mut job).await;
    let pace = Pace::of_rungs(&settings.rungs);
    let blame = attribute(&environment.breakers, environment, pace, &job, &result).await;
    let expected = environment.service_times.expected();
    let settlement = conclude(settings, &expected, job, result, blame, Timestamp::now(), &mut rand::rng());
    close(environment, settlement).await
}

/// The job with its permit to run, if its step may start now; otherwise its settlement.
async fn may_begin<'a>(
    environment: &Environment,
    mut job: Job,
    redelivered: bool,
    isolation: &'a Isolation,
) -> Result<(Job, SemaphorePermit<'a>), Box<Settlement>> {
    let settings = &environment.settings;
    job.held = false;
    if redelivered {
        job.suspect_now();
        if guard_is_on(Guard::SuspectWait) {
            step::keep(&StepContext::of(environment), &job).await;
            return Err(Box::new(lost(settings, job)));
        }
    }
    let job = may_resume(settings, job, Timestamp::now())?;
    let is_alone = job.lost_deliveries >= LOST_TO_RUN_ALONE;
    let permit = if is_alone { isolation.alone().await } else { isolation.among_others().await };
    match permit {
        Some(permit) => Ok((job, permit)),
        None => Err(Box::new(wait_to_be_alone(settings, job, Timestamp::now()))),
    }
}
