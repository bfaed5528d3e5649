//! How many steps run at once: as many as the services answer as fast as before.
//!
//! The main type is [`Concurrency`]. It observes the requests of both clients, decides once a second, and changes the
//! number of [`Permits`] and the metric of it.

mod bounds;
mod controller;
mod latency;
mod permits;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_client::{Direction, Operation, Peer, RequestObserver, StatusClass};
use telemetry::Metrics;
use tokio::time::Instant;

use bounds::Bounds;
use controller::{Controller, Demand, Reason};
pub(crate) use permits::{Permit, Permits};

/// How often the number of permits is decided.
const DECIDE_EVERY: Duration = Duration::from_secs(1);
/// A change is logged if it is by this factor since the last one that was, and at most once in this time.
const MUCH: f64 = 1.5;
const LOG_EVERY: Duration = Duration::from_mins(1);

/// The number of steps that may run at once; clones share it.
#[derive(Debug, Clone)]
pub struct Concurrency {
    controller: Arc<Mutex<Controller>>,
    metrics: Metrics,
}

/// Counts requests in the metrics, and shows them to the number of permits.
impl RequestObserver for Concurrency {
    fn request_ended(&self, operation: Operation, class: StatusClass, took: Duration) {
        self.metrics.request_ended(operation, class, took);
        self.lock().ended(operation, class, took, Instant::now());
    }

    fn bytes_moved(&self, peer: Peer, direction: Direction, bytes: u64) {
        self.metrics.bytes_moved(peer, direction, bytes);
    }
}

impl Concurrency {
    /// `configured` is `worker.concurrency`.
    pub fn new(configured: Option<usize>, metrics: &Metrics) -> Self {
        let controller = Controller::new(Bounds::new(configured), Instant::now());
        metrics.set_slots(controller.limit());
        Self { controller: Arc::new(Mutex::new(controller)), metrics: metrics.clone() }
    }

    /// The number of steps that may run now.
    pub(crate) fn limit(&self) -> usize {
        self.lock().limit()
    }

    /// Sets these permits, of which `kept` are elsewhere, to the number that the services allow. Never ends.
    pub(crate) async fn follow(&self, permits: &Permits, kept: usize, is_out_of_budget: impl Fn() -> bool) {
        let (mut logged, mut logged_at) = (self.limit(), None::<Instant>);
        let mut reason = Reason::JobsWait;
        loop {
            tokio::time::sleep(DECIDE_EVERY).await;
            let demand = match (permits.was_short(), is_out_of_budget()) {
                (_, true) => Demand::OutOfBudget,
                (true, false) => Demand::Unmet,
                (false, false) => Demand::Met,
            };
            let changed = self.lock().tick(demand, Instant::now());
            let limit = self.limit();
            if let Some(changed) = changed {
                reason = changed;
                permits.set_limit(limit - kept);
                self.metrics.set_slots(limit);
            }
            let factor = limit as f64 / logged as f64;
            let is_due = logged_at.is_none_or(|at| at.elapsed() >= LOG_EVERY);
            if is_due && factor.max(1.0 / factor) >= MUCH && reason != Reason::Measurement {
                (logged, logged_at) = (limit, Some(Instant::now()));
                tracing::info!(concurrency = limit, reason = %reason, "the number of steps at once has changed");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Controller> {
        self.controller.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
