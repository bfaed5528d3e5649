//! The job queue: one trait, an embedded implementation on SQLite.
//!
//! The queue promises at-least-once: a job may be delivered again after a crash, and then says so.

pub mod conformance;
mod embedded;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;

pub use embedded::EmbeddedQueue;

use crate::asset::AssetId;
use crate::job::{Job, JobId, Lane, Step};
use crate::outcome::{FailureClass, OutcomeEvent};
use crate::state::DatabaseError;

/// Where jobs wait for their next step.
#[async_trait]
pub trait JobQueue: Send + Sync {
    /// Takes a job in; durable when this returns. A job whose id is known already is left as it is.
    async fn publish(&self, job: &Job) -> Result<(), QueueError>;
    /// The next job that is due: later steps first, the fresh lane before the backlog. Waits; cancel-safe.
    async fn next(&self, steps: StepSet) -> Result<Delivery, QueueError>;
    /// Ends a delivery. What becomes of the job is durable before the delivery is gone.
    async fn settle(&self, delivery: Delivery, settlement: Settlement) -> Result<(), QueueError>;
    /// The sole right to touch an asset, until it is dropped; `None` while somebody else has it.
    async fn lease(&self, asset: &AssetId) -> Result<Option<Lease>, QueueError>;
    /// How many jobs are where.
    async fn depth(&self) -> Result<Depth, QueueError>;
    /// Failed jobs, oldest first, at most a thousand.
    async fn failed(&self, filter: &FailedFilter) -> Result<Vec<FailedJob>, QueueError>;
    /// Sends a failed job back to its step with its attempts forgotten and its effects kept; false if there is none.
    async fn replay(&self, job: &JobId) -> Result<bool, QueueError>;
    /// Forgets a failed job; false if there is none.
    async fn discard(&self, job: &JobId) -> Result<bool, QueueError>;
}

/// The queue could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// May pass by itself.
    #[error("{0}")]
    Unavailable(String),
    /// Will not pass by itself.
    #[error("{0}")]
    Broken(String),
    /// The job cannot be written as a message.
    #[error(transparent)]
    Message(#[from] crate::job::MessageError),
    /// Nothing comes any more.
    #[error("the queue is closed")]
    Closed,
}

impl QueueError {
    /// Whether the same call may work later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable(_) => true,
            Self::Broken(_) | Self::Message(_) | Self::Closed => false,
        }
    }
}

impl From<DatabaseError> for QueueError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Unavailable(_) => Self::Unavailable(error.to_string()),
            DatabaseError::Damaged(_) => Self::Broken(error.to_string()),
        }
    }
}

/// Which steps a consumer takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepSet {
    only_submit: bool,
}

impl StepSet {
    /// Every step.
    pub const ALL: Self = Self { only_submit: false };
    /// Only the first one.
    pub const SUBMIT: Self = Self { only_submit: true };

    /// The steps, the one to prefer first.
    pub fn steps(self) -> &'static [Step] {
        if self.only_submit { &[Step::Submit] } else { &Step::LATEST_FIRST }
    }
}

/// A job handed out. Dropped without being settled, it comes back as redelivered.
#[derive(Debug)]
pub struct Delivery {
    /// The job.
    pub job: Job,
    /// Whether it was handed out before and never settled.
    pub redelivered: bool,
    /// How often it was handed out without being settled, this time included.
    pub deliveries: u32,
    receipt: Guard,
}

/// The sole right to touch an asset; dropping it gives the right back.
#[derive(Debug)]
pub struct Lease {
    _guard: Guard,
}

/// Runs something when dropped, unless disarmed.
struct Guard(Option<Box<dyn FnOnce() + Send + Sync>>);

impl Guard {
    fn new(on_drop: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(on_drop)))
    }

    fn disarm(mut self) {
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

/// How many jobs are where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Depth {
    /// Ready to submit, fresh lane.
    pub submit_fresh: u64,
    /// Ready to submit, backlog.
    pub submit_backlog: u64,
    /// Ready to transfer.
    pub transfer: u64,
    /// Ready to save.
    pub save: u64,
    /// Waiting for a time to come, whatever the step.
    pub waiting: u64,
    /// Handed out.
    pub in_flight: u64,
    /// Failed and kept.
    pub failed: u64,
}

impl Depth {
    /// Jobs that have no outcome yet.
    pub fn open(&self) -> u64 {
        self.submit_fresh + self.submit_backlog + self.transfer + self.save + self.waiting + self.in_flight
    }

    fn add_ready(&mut self, step: Step, lane: Lane, count: u64) {
        match (step, lane) {
            (Step::Submit, Lane::Fresh) => self.submit_fresh += count,
            (Step::Submit, Lane::Backlog) => self.submit_backlog += count,
            (Step::Transfer, _) => self.transfer += count,
            (Step::Save, _) => self.save += count,
        }
    }
}

/// Which failed jobs are meant; all given conditions must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailedFilter {
    /// One job.
    pub job: Option<JobId>,
    /// Jobs of one asset.
    pub asset: Option<AssetId>,
    /// Jobs that failed in one way.
    pub class: Option<FailureClass>,
}

/// A failed job.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FailedJob {
    /// The job as it failed, its history of attempts included; absent if its message cannot be read.
    pub job: Option<Job>,
    /// How it ended.
    pub event: OutcomeEvent,
}
