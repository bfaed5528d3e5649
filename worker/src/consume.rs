//! The worker's loop: each received delivery becomes a task; at the end it drains.

use std::sync::Arc;
use std::time::Duration;

use queue::StepSet;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::concurrency::Permits;
use crate::environment::Environment;
use crate::handle::handle;
use crate::isolation::Isolation;
use crate::probe::{Probed, ServiceHealth};
use crate::receive::{Receiver, is_used_up};
use breakers::Trouble;

/// Submits held per upload slot: one that uploads, and one that downloads its file meanwhile. More would wait for a
/// slot while holding the permits that later steps need.
const SUBMITS_PER_UPLOAD_SLOT: usize = 2;
/// The last part of the grace: what is not finished by then is sent back to its step.
const SEND_BACK: Duration = Duration::from_secs(3);

/// Runs jobs until `stop`. Steps in flight then have most of `grace` to end; the rest of it is for sending back the
/// others.
pub async fn consume(environment: Environment, stop: CancellationToken, grace: Duration) {
    let tasks = TaskTracker::new();
    let cut = CancellationToken::new();
    let limit = environment.concurrency.limit();
    // One permit serves submits only, so that a flood of later steps cannot leave Imatag idle.
    let kept = usize::from(limit > 1);
    let permits = Permits::new(limit - kept);
    let isolation = Arc::new(Isolation::default());
    let submits = environment.settings.uploads_in_flight * SUBMITS_PER_UPLOAD_SLOT;
    let serve = async |permits: Permits, submits: usize, steps: StepSet| {
        let receiver = Receiver {
            environment: environment.clone(),
            permits,
            submitting: Arc::new(Semaphore::new(submits)),
            steps,
            isolation: Arc::clone(&isolation),
        };
        while let Some(received) = stop.run_until_cancelled(receiver.receive()).await.flatten() {
            let (environment, cut) = (environment.clone(), cut.clone());
            let isolation = Arc::clone(&isolation);
            tasks.spawn(async move {
                handle(&environment, received.delivery, &cut, &isolation).await;
                drop(received.permits);
            });
        }
    };
    let taking = async {
        // The submits of the reserved permit are deducted from the other receiver's: if they were shared, the
        // other's submits could take all permits for later steps, while the reserved permit found no free submit
        // permit.
        tokio::join!(serve(permits.clone(), submits - kept, StepSet::ALL), async {
            if kept > 0 {
                serve(Permits::new(kept), kept, StepSet::SUBMIT).await;
            }
        });
    };
    tokio::select! {
        () = taking => {}
        () = watch_outages(&environment) => {}
        () = environment.concurrency.follow(&permits, kept, || is_used_up(&environment.budget)) => {}
    }
    tasks.close();
    if tokio::time::timeout(grace.saturating_sub(SEND_BACK), tasks.wait()).await.is_err() {
        tracing::warn!(jobs = tasks.len(), "the grace is nearly over; the remaining jobs are sent back");
        cut.cancel();
        if tokio::time::timeout(SEND_BACK.min(grace), tasks.wait()).await.is_err() {
            tracing::warn!(
                jobs = tasks.len(),
                "not every job could be sent back; they come again by themselves"
            );
        }
    }
}

/// Probes each service that is out. Never ends.
async fn watch_outages(environment: &Environment) {
    let breakers = &environment.breakers;
    loop {
        let service = breakers.probe_due().await;
        match environment.of(service).await {
            Probed::Up => breakers.answers_again(service),
            Probed::Down(reason) => {
                breakers.trip(service, Trouble::Outage, &reason);
            }
        }
    }
}
