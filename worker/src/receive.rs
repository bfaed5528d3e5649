//! Receives deliveries: only with a free permit, later steps first, only jobs that can be worked on, and none while
//! a service is out.

use std::sync::Arc;
use std::time::Duration;

use budget::Budget;
use common::job::Step;
use jiff::Timestamp;
use queue::{Delivery, QueueError, StepSet};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wiring::quiet_hours;

use crate::conclude::put_off;
use crate::concurrency::{Permit, Permits};
use crate::context::StepContext;
use crate::environment::Environment;
use crate::isolation::Isolation;
use crate::settle::settle;
use crate::step;
use breakers::{BreakerPermit, Turn};
use decide::{Obstacles, open_steps};

/// The pause after the queue failed.
const QUEUE_PAUSE: Duration = Duration::from_secs(1);
/// How often a closed step is checked again.
const POLL_EVERY: Duration = Duration::from_millis(200);
/// No further job of the backlog begins while this many calls of the backlog wait for the budget. They use up what there is of
/// it; more jobs would only hold the permits that new pictures need.
const MOST_WAITING_CALLS: u32 = 8;
/// How long one receiver holds a probe while it waits for a job, before another may have it: the other's steps may
/// have a job.
const PROBE_TURN: Duration = Duration::from_secs(1);
/// How long it then leaves the probe to another.
const PROBE_PAUSE: Duration = Duration::from_millis(500);

/// Whether the calls of the backlog that wait for the budget will use up what there is of it.
pub(crate) fn is_used_up(budget: &Budget) -> bool {
    budget.backlog_waiting() >= MOST_WAITING_CALLS
}

/// Takes deliveries for one set of steps.
pub(crate) struct Receiver {
    pub(crate) environment: Environment,
    pub(crate) permits: Permits,
    /// A permit for each submit that this receiver may hold at once.
    pub(crate) submitting: Arc<Semaphore>,
    pub(crate) steps: StepSet,
    /// For a job that may be what kills the process.
    pub(crate) isolation: Arc<Isolation>,
}

/// A delivery with everything needed to work on it.
pub(crate) struct Received {
    pub(crate) delivery: Delivery,
    pub(crate) permits: Held,
}

/// What a job holds until its delivery is settled.
pub(crate) struct Held {
    _breaker_permit: BreakerPermit,
    _turn: Turn,
    _permit: Permit,
    _submit_slot: Option<OwnedSemaphorePermit>,
}

impl Receiver {
    /// The next delivery; `None` when the queue is closed.
    pub(crate) async fn receive(&self) -> Option<Received> {
        let permit = self.permits.acquire().await;
        // Kept once acquired: two receivers that kept passing it to each other would never use it.
        let mut submit_slot = None;
        loop {
            let breaker_permit = self.environment.breakers.acquire().await;
            self.environment.budget.resumed().await;
            self.isolation.open().await;
            submit_slot = submit_slot.or_else(|| Arc::clone(&self.submitting).try_acquire_owned().ok());
            let steps = self.open(submit_slot.is_some());
            // If several are ready, any of them may win. A delivery that is no longer awaited stays in the queue,
            // since `next` is cancel-safe.
            let taken = tokio::select! {
                taken = self.environment.queue.next(steps), if !steps.is_empty() => taken,
                slot = Arc::clone(&self.submitting).acquire_owned(), if submit_slot.is_none() => {
                    submit_slot = slot.ok();
                    continue;
                }
                () = self.more_than(steps, submit_slot.is_some()) => continue,
                () = self.halted(&breaker_permit) => continue,
                () = tokio::time::sleep(PROBE_TURN), if breaker_permit.is_probe() => {
                    drop(breaker_permit);
                    tokio::time::sleep(PROBE_PAUSE).await;
                    continue;
                }
            };
            match taken {
                Ok(delivery) if self.closed_meanwhile(&delivery, &breaker_permit) => {
                    Box::pin(self.put_off(delivery)).await;
                }
                // From here on, a service may go out, or a person may pause the work: the step starts all the same.
                // Its failure is then the service's and costs the job nothing, and a submit checks for the pause
                // once more before it is paid for.
                Ok(delivery) => {
                    let Some(turn) = self.environment.breakers.turn(delivery.job.step) else {
                        Box::pin(self.put_off(delivery)).await;
                        continue;
                    };
                    let submit_slot = submit_slot.filter(|_| delivery.job.step == Step::Submit);
                    let permits = Held {
                        _breaker_permit: breaker_permit,
                        _turn: turn,
                        _permit: permit,
                        _submit_slot: submit_slot,
                    };
                    return Some(Received { delivery, permits });
                }
                Err(QueueError::Closed) => return None,
                Err(error) => {
                    tracing::warn!(%error, "cannot take jobs; trying again");
                    tokio::time::sleep(QUEUE_PAUSE).await;
                }
            }
        }
    }

    /// The steps whose jobs may be taken right now.
    fn open(&self, has_submit_slot: bool) -> StepSet {
        let obstacles = self.obstacles(has_submit_slot);
        let is_used_up = is_used_up(&self.environment.budget);
        self.open_but_for(Obstacles { backlog_paused: obstacles.backlog_paused || is_used_up, ..obstacles })
    }

    fn open_but_for(&self, obstacles: Obstacles) -> StepSet {
        open_steps(self.steps.and(self.environment.breakers.steps()), obstacles)
    }

    fn obstacles(&self, has_submit_slot: bool) -> Obstacles {
        let effect = quiet_hours::active(&self.environment.settings.quiet_hours, Timestamp::now());
        Obstacles {
            no_submit_slot: !has_submit_slot,
            imatag_paused: self.environment.imatag.paused().is_some(),
            backlog_paused: effect.is_some_and(|effect| effect.backlog_paused),
        }
    }

    /// Resolves when more than these steps may be taken, other than by a free submit permit.
    async fn more_than(&self, steps: StepSet, has_submit_slot: bool) {
        while self.open(has_submit_slot).without(steps).is_empty() {
            tokio::time::sleep(POLL_EVERY).await;
        }
    }

    /// Resolves when no job may be started any more: a person paused the work, Bynder is in a silence, a service
    /// went out since `breaker_permit` was acquired, or a job has to run alone.
    async fn halted(&self, breaker_permit: &BreakerPermit) {
        tokio::select! {
            () = self.environment.budget.halted() => {}
            () = self.environment.breakers.opened(), if !breaker_permit.is_probe() => {}
            () = self.isolation.wanted() => {}
        }
    }

    /// Whether the delivery arrived after its step, or the whole intake, was closed. Closing a step does not cancel
    /// the request to the queue, and the queue may have answered before the intake closed. A redelivered job is
    /// exempt: it does not run its step right away in any case.
    fn closed_meanwhile(&self, delivery: &Delivery, breaker_permit: &BreakerPermit) -> bool {
        let environment = &self.environment;
        let halted = environment.budget.is_halted()
            || (environment.breakers.worst().is_some() && !breaker_permit.is_probe());
        // One more job may wait for the budget; to put it off would cost the broker more.
        let is_open = || self.open_but_for(self.obstacles(true)).holds(delivery.job.step, delivery.job.lane);
        !delivery.redelivered && (halted || !is_open())
    }

    async fn put_off(&self, delivery: Delivery) {
        if delivery.redelivered {
            step::keep(&StepContext::of(&self.environment), &delivery.job).await;
        }
        let settlement = put_off(&self.environment.settings, delivery.job.clone(), delivery.redelivered);
        if let Err(error) = settle(&self.environment, delivery, settlement).await {
            tracing::warn!(%error, "cannot put a job off; it comes back");
        }
    }
}
