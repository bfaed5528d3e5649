//! A job in hand, and what becomes of it.

use std::fmt;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::QueueError;
use common::job::Job;
use common::outcome::OutcomeEvent;

/// A job handed out. Dropped without being settled, it comes back as redelivered.
#[derive(Debug)]
pub struct Delivery {
    /// The job.
    pub job: Job,
    /// Whether it was handed out before and never settled.
    pub redelivered: bool,
    pub receipt: Receipt,
}

impl Delivery {
    /// Whether another worker gets the job by now, as far as can be known.
    pub fn is_void(&self) -> bool {
        self.receipt.voided.is_cancelled()
    }

    /// Resolves when the delivery is void: another worker gets the job, and this one has to stop.
    pub fn voided(&self) -> impl Future<Output = ()> + Send + 'static {
        self.receipt.voided.clone().cancelled_owned()
    }
}

/// What a queue knows its delivery by.
#[derive(Debug)]
pub struct Receipt {
    /// The number that the queue gave it.
    pub number: u64,
    /// Cancelled once the job is another worker's.
    pub voided: CancellationToken,
    /// Gives the job back where the delivery is dropped unsettled.
    pub back: Guard,
}

/// A delivery that could not be renewed, and is as valid as before.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Unrenewed {
    /// The delivery.
    pub delivery: Box<Delivery>,
    /// Why.
    #[source]
    pub error: QueueError,
}

/// No delivery is held longer: a broker takes one back after 30 minutes by default, with all others of its channel.
pub const LONGEST_HELD: Duration = Duration::from_mins(28);

/// Runs something when dropped, unless disarmed.
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

/// What becomes of a delivered job.
#[derive(Debug, Clone, PartialEq)]
pub enum Settlement {
    /// It goes on at once, at the step it names.
    Forward(Box<Job>),
    /// It comes back to the step it names after this time.
    Wait {
        /// The job.
        job: Box<Job>,
        /// How long it waits.
        rung: Duration,
    },
    /// It is over.
    Finish(Box<OutcomeEvent>),
    /// It failed; it is kept and can be replayed.
    Fail {
        /// The job as it failed.
        job: Box<Job>,
        /// The outcome.
        event: Box<OutcomeEvent>,
    },
}
