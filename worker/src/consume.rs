//! Taking deliveries: only with a free permit, later steps first, and nothing while a service is out.

use std::sync::Arc;
use std::time::Duration;

use common::queue::{QueueError, StepSet};
use tokio::sync::{OwnedSemaphorePermit, RwLock, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::breaker::Leave;
use crate::environment::Environment;
use crate::handle::handle;

/// How long to wait after the queue failed.
const QUEUE_PAUSE: Duration = Duration::from_secs(1);
/// The last part of the grace: what is not finished by then is sent back to its step.
const SEND_BACK: Duration = Duration::from_secs(3);

/// Does jobs until `stop`, then gives those in flight the most of `grace` to reach the end of their step, and the
/// rest of it to send back what has not.
pub async fn consume(environment: Environment, stop: CancellationToken, grace: Duration) {
    let tasks = TaskTracker::new();
    let cut = CancellationToken::new();
    let concurrency = environment.settings.concurrency;
    // One permit serves submits alone, so that a flood of later steps cannot keep Imatag idle.
    let kept = usize::from(concurrency > 1);
    let alone = Arc::new(RwLock::new(()));
    let lane = |permits: usize, steps: StepSet| Lane {
        environment: environment.clone(),
        permits: Arc::new(Semaphore::new(permits)),
        steps,
        stop: stop.clone(),
        cut: cut.clone(),
        alone: Arc::clone(&alone),
        tasks: tasks.clone(),
    };
    tokio::join!(lane(concurrency - kept, StepSet::ALL).run(), async {
        if kept > 0 {
            lane(kept, StepSet::SUBMIT).run().await;
        }
    });
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

struct Lane {
    environment: Environment,
    permits: Arc<Semaphore>,
    steps: StepSet,
    stop: CancellationToken,
    cut: CancellationToken,
    /// Held alone by a job that may be what kills the process.
    alone: Arc<RwLock<()>>,
    tasks: TaskTracker,
}

impl Lane {
    async fn run(self) {
        while let Some((delivery, leave, permit)) = self.stop.run_until_cancelled(self.take()).await.flatten()
        {
            let environment = self.environment.clone();
            let (cut, alone) = (self.cut.clone(), Arc::clone(&self.alone));
            self.tasks.spawn(async move {
                handle(&environment, delivery, &cut, &alone).await;
                drop((leave, permit));
            });
        }
    }

    /// The next delivery with everything needed to work on it; `None` when the queue is closed.
    async fn take(&self) -> Option<(common::queue::Delivery, Leave, OwnedSemaphorePermit)> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
        loop {
            let leave = self.environment.breakers.leave().await;
            self.environment.budget.resumed().await;
            match self.environment.queue.next(self.steps).await {
                Ok(delivery) => return Some((delivery, leave, permit)),
                Err(QueueError::Closed) => return None,
                Err(error) => {
                    tracing::warn!(%error, "cannot take jobs; trying again");
                    tokio::time::sleep(QUEUE_PAUSE).await;
                }
            }
        }
    }
}
