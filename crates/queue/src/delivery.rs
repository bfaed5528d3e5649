//! A delivery of a job, and its settlement.

use std::fmt;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::QueueError;
use common::job::Job;
use common::outcome::OutcomeEvent;

/// A job delivered to a worker. If it is dropped unsettled, it is delivered again, as redelivered.
#[derive(Debug)]
pub struct Delivery {
    pub job: Job,
    /// Whether an earlier delivery was never settled, so that its effects are unknown.
    pub redelivered: bool,
    pub receipt: Receipt,
}

impl Delivery {
    /// Whether the job is known to be another worker's by now.
    pub fn is_void(&self) -> bool {
        self.receipt.voided.is_cancelled()
    }

    /// Resolves when the delivery is void: another worker gets the job, so this one has to stop.
    pub fn voided(&self) -> impl Future<Output = ()> + Send + 'static {
        self.receipt.voided.clone().cancelled_owned()
    }
}

/// The queue's own handle of a delivery.
#[derive(Debug)]
pub struct Receipt {
    /// Number assigned by the queue; zero in the embedded queue.
    pub number: u64,
    /// Cancelled once the job may be delivered to another worker.
    pub voided: CancellationToken,
    /// Returns the job to the queue if the delivery is dropped unsettled.
    pub back: Guard,
}

/// A delivery that could not be renewed; it is as valid as before.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Unrenewed {
    pub delivery: Box<Delivery>,
    #[source]
    pub error: QueueError,
}

/// The longest that a delivery is held. After 30 minutes RabbitMQ closes the channel by default (`consumer_timeout`), which
/// takes back all its deliveries.
pub const LONGEST_HELD: Duration = Duration::from_mins(28);

/// Runs a closure when dropped, unless disarmed.
pub struct Guard(Option<Box<dyn FnOnce() + Send + Sync>>);

impl Guard {
    pub fn new(on_drop: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(on_drop)))
    }

    pub fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(on_drop) = self.0.take() {
            on_drop();
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Guard")
    }
}

/// What happens to a delivered job.
#[derive(Debug, Clone, PartialEq)]
pub enum Settlement {
    /// It is due at once, at the step it names.
    Forward(Box<Job>),
    /// It is due after a delay, at the step it names.
    Wait {
        job: Box<Job>,
        /// The delay, one of `queue.rungs`.
        rung: Duration,
    },
    /// It ended.
    Finish(Box<OutcomeEvent>),
    /// It failed. It is kept as it was and can be replayed.
    Fail { job: Box<Job>, event: Box<OutcomeEvent> },
}
