//! Taking deliveries: only with a free permit, later steps first, only what can be worked on, and nothing while a
//! service is out.

use std::sync::Arc;
use std::time::Duration;

use common::job::Step;
use jiff::Timestamp;
use queue::{Delivery, QueueError, StepSet};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wiring::quiet_hours;

use crate::breaker::{Leave, Trouble, Turn};
use crate::decide::{Obstacles, open_steps};
use crate::environment::Environment;
use crate::handle::handle;
use crate::lost::put_off;
use crate::probe::{Evidence, Probed};
use crate::solitude::Solitude;
use crate::step;

/// How long to wait after the queue failed.
const QUEUE_PAUSE: Duration = Duration::from_secs(1);
/// How often a closed step is looked at again.
const LOOK: Duration = Duration::from_millis(500);
/// How long a lane waits for a job to try a service out with, before the other lane may: its steps may have one.
const PROBE_TURN: Duration = Duration::from_secs(1);
/// Submits in hand for each file that may be on its way: one that is, and one that fetches its file meanwhile. More
/// would wait for a place with the permits that later steps need.
const SUBMITS_FOR_A_PLACE: usize = 2;
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
    let solitude = Arc::new(Solitude::default());
    let submits = environment.settings.uploads_in_flight * SUBMITS_FOR_A_PLACE;
    let lane = |permits: usize, submits: usize, steps: StepSet| Lane {
        environment: environment.clone(),
        permits: Arc::new(Semaphore::new(permits)),
        submitting: Arc::new(Semaphore::new(submits)),
        steps,
        stop: stop.clone(),
        cut: cut.clone(),
        solitude: Arc::clone(&solitude),
        tasks: tasks.clone(),
    };
    let taking = async {
        // What the kept permit may submit is taken from the other lane: shared, its submits could take all permits that later
        // steps may have, while the kept one found no place.
        tokio::join!(lane(concurrency - kept, submits - kept, StepSet::ALL).run(), async {
            if kept > 0 {
                lane(kept, kept, StepSet::SUBMIT).run().await;
            }
        });
    };
    tokio::select! {
        () = taking => {}
        () = watch_outages(&environment) => {}
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

struct Lane {
    environment: Environment,
    permits: Arc<Semaphore>,
    /// A place for each submit in hand.
    submitting: Arc<Semaphore>,
    steps: StepSet,
    stop: CancellationToken,
    cut: CancellationToken,
    /// For a job that may be what kills the process.
    solitude: Arc<Solitude>,
    tasks: TaskTracker,
}

/// A delivery with everything needed to work on it.
struct Taken {
    delivery: Delivery,
    leave: Leave,
    turn: Turn,
    permit: OwnedSemaphorePermit,
    submit_place: Option<OwnedSemaphorePermit>,
}

impl Lane {
    async fn run(self) {
        while let Some(taken) = self.stop.run_until_cancelled(self.take()).await.flatten() {
            let environment = self.environment.clone();
            let (cut, solitude) = (self.cut.clone(), Arc::clone(&self.solitude));
            self.tasks.spawn(async move {
                let Taken { delivery, leave, turn, permit, submit_place } = taken;
                handle(&environment, delivery, &cut, &solitude).await;
                drop((leave, turn, permit, submit_place));
            });
        }
    }

    /// The next delivery; `None` when the queue is closed.
    async fn take(&self) -> Option<Taken> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
        // Kept once it is there: two lanes that gave it to each other in turn would never come to use it.
        let mut submit_place = None;
        loop {
            let leave = self.environment.breakers.leave().await;
            self.environment.budget.resumed().await;
            self.solitude.open().await;
            submit_place = submit_place.or_else(|| Arc::clone(&self.submitting).try_acquire_owned().ok());
            let steps = self.open(submit_place.is_some());
            let taken = tokio::select! {
                taken = self.environment.queue.next(steps), if !steps.is_empty() => taken,
                place = Arc::clone(&self.submitting).acquire_owned(), if submit_place.is_none() => {
                    submit_place = place.ok();
                    continue;
                }
                () = self.more_than(steps, submit_place.is_some()) => continue,
                () = self.halted(&leave) => continue,
                () = tokio::time::sleep(PROBE_TURN), if leave.is_probe() => {
                    drop(leave);
                    tokio::time::sleep(LOOK).await;
                    continue;
                }
            };
            match taken {
                Ok(delivery) if self.closed_meanwhile(&delivery, &leave) => self.put_off(delivery).await,
                Ok(delivery) => {
                    let Some(turn) = self.environment.breakers.turn(delivery.job.step) else {
                        self.put_off(delivery).await;
                        continue;
                    };
                    let submit_place = submit_place.filter(|_| delivery.job.step == Step::Submit);
                    return Some(Taken { delivery, leave, turn, permit, submit_place });
                }
                Err(QueueError::Closed) => return None,
                Err(error) => {
                    tracing::warn!(%error, "cannot take jobs; trying again");
                    tokio::time::sleep(QUEUE_PAUSE).await;
                }
            }
        }
    }

    /// What this lane may take right now.
    fn open(&self, has_submit_place: bool) -> StepSet {
        let effect = quiet_hours::active(&self.environment.settings.quiet_hours, Timestamp::now());
        let obstacles = Obstacles {
            no_submit_place: !has_submit_place,
            imatag_paused: self.environment.imatag.paused().is_some(),
            backlog_paused: effect.is_some_and(|effect| effect.backlog_paused),
        };
        open_steps(self.steps.and(self.environment.breakers.steps()), obstacles)
    }

    /// Resolves when this lane may take more than these steps, a place aside.
    async fn more_than(&self, steps: StepSet, has_submit_place: bool) {
        while self.open(has_submit_place).without(steps).is_empty() {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Resolves when nothing may be begun any more: a person paused the work, Bynder's block silences it, a service went
    /// out since the leave, or a job has to run alone.
    async fn halted(&self, leave: &Leave) {
        tokio::select! {
            () = self.environment.budget.halted() => {}
            () = self.environment.breakers.opened(), if !leave.is_probe() => {}
            () = self.solitude.wanted() => {}
        }
    }

    /// Whether the job came after its step was closed, or all of them. Asking the queue is not broken off for the
    /// first, and may have been answered before the second. A suspect one is not begun in any case.
    fn closed_meanwhile(&self, delivery: &Delivery, leave: &Leave) -> bool {
        let environment = &self.environment;
        let halted =
            environment.budget.is_halted() || (environment.breakers.halt().is_some() && !leave.is_probe());
        let is_open = || self.open(true).holds(delivery.job.step, delivery.job.lane);
        !delivery.redelivered && (halted || !is_open())
    }

    async fn put_off(&self, delivery: Delivery) {
        if delivery.redelivered {
            step::keep(&self.environment, &delivery.job).await;
        }
        let settlement = put_off(&self.environment.settings, delivery.job.clone(), delivery.redelivered);
        if let Err(error) = self.environment.queue.settle(delivery, settlement).await {
            tracing::warn!(%error, "cannot put a job off; it comes back");
        }
    }
}

/// Asks each service that is out whether it works again. Never ends.
async fn watch_outages(environment: &Environment) {
    let breakers = &environment.breakers;
    loop {
        let service = breakers.probe_due().await;
        match environment.of(service).await {
            Probed::Up => breakers.answers_again(service),
            Probed::Down(reason) => {
                breakers.halt_for(service, Trouble::Outage, &reason);
            }
        }
    }
}
