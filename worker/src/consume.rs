//! Taking deliveries: only with a free permit, later steps first, and nothing while a service is out.

use std::sync::Arc;
use std::time::Duration;

use common::fault::{Guard, guard_stands};
use common::outcome::{Failure, FailureClass, Outcome};
use common::queue::{Delivery, QueueError, Settlement, StepSet};
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::breaker::Leave;
use crate::environment::Environment;
use crate::settle::{conclude, outwait};
use crate::step;

/// A job whose deliveries were lost this often is taken to kill its process.
const MOST_DELIVERIES: u32 = 20;

/// How long to wait after the queue failed.
const QUEUE_PAUSE: Duration = Duration::from_secs(1);

/// Does jobs until `stop`, then gives those in flight `grace` to reach the end of their step.
///
/// What is not finished by then is abandoned where it is; its delivery comes back as suspect.
pub async fn consume(environment: Environment, stop: CancellationToken, grace: Duration) {
    let tasks = TaskTracker::new();
    let abandon = CancellationToken::new();
    let concurrency = environment.settings.concurrency;
    // One permit serves submits alone, so that a flood of later steps cannot keep Imatag idle.
    let kept = usize::from(concurrency > 1);
    let lane = |permits: usize, steps: StepSet| Lane {
        environment: environment.clone(),
        permits: Arc::new(Semaphore::new(permits)),
        steps,
        stop: stop.clone(),
        abandon: abandon.clone(),
        tasks: tasks.clone(),
    };
    tokio::join!(lane(concurrency - kept, StepSet::ALL).run(), async {
        if kept > 0 {
            lane(kept, StepSet::SUBMIT).run().await;
        }
    });
    tasks.close();
    if tokio::time::timeout(grace, tasks.wait()).await.is_err() {
        tracing::warn!(jobs = tasks.len(), "the grace is over; the remaining jobs go on at the next start");
        abandon.cancel();
        tasks.wait().await;
    }
}

struct Lane {
    environment: Environment,
    permits: Arc<Semaphore>,
    steps: StepSet,
    stop: CancellationToken,
    abandon: CancellationToken,
    tasks: TaskTracker,
}

impl Lane {
    async fn run(self) {
        while let Some((delivery, leave, permit)) = self.stop.run_until_cancelled(self.take()).await.flatten()
        {
            let environment = self.environment.clone();
            let abandon = self.abandon.clone();
            self.tasks.spawn(async move {
                abandon.run_until_cancelled(handle(&environment, delivery)).await;
                drop((leave, permit));
            });
        }
    }

    /// The next delivery with everything needed to work on it; `None` when the queue is closed.
    async fn take(&self) -> Option<(Delivery, Leave, OwnedSemaphorePermit)> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
        loop {
            let leave = self.environment.breakers.leave().await;
            self.environment.budget.resumed().await;
            match self.environment.queue.next(self.steps).await {
                Ok(delivery) => return Some((delivery, leave, permit)),
                Err(QueueError::Closed) => return None,
                Err(error) => {
                    tracing::error!(%error, "cannot take jobs; trying again");
                    tokio::time::sleep(QUEUE_PAUSE).await;
                }
            }
        }
    }
}

/// Does one step of one job and settles it.
async fn handle(environment: &Environment, delivery: Delivery) {
    let settlement = settlement(environment, &delivery).await;
    let job_id = delivery.job.job_id.clone();
    if let Err(error) = environment.queue.settle(delivery, settlement).await {
        // The delivery comes back as suspect, so nothing is lost and nothing done twice.
        tracing::error!(%job_id, %error, "cannot settle the step; it comes back");
    }
}

async fn settlement(environment: &Environment, delivery: &Delivery) -> Settlement {
    let settings = &environment.settings;
    let mut job = delivery.job.clone();
    if delivery.deliveries > MOST_DELIVERIES {
        let reason =
            format!("its delivery was lost {MOST_DELIVERIES} times; it may be what kills the process");
        let failure = Failure { class: FailureClass::Exhausted, reason, request_id: None };
        let ended = step::StepEnd::Ended(Outcome::Failed(failure));
        return conclude(settings, &environment.breakers, job, Ok(ended), Timestamp::now());
    }
    if delivery.redelivered {
        job.suspect = true;
        if guard_stands(Guard::SuspectWait) {
            return outwait(settings, job, Timestamp::now());
        }
    }
    let result = step::run(environment, &mut job).await;
    let mut settlement = conclude(settings, &environment.breakers, job, result, Timestamp::now());
    if let Settlement::Fail { job, .. } = &mut settlement {
        step::withdraw_marker(environment, job).await;
    }
    settlement
}
