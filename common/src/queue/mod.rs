//! The job queue: one trait, with an implementation on RabbitMQ for a fleet and an embedded one on SQLite.
//!
//! The queue promises at-least-once: a job may be delivered again after a crash, and then says so.

pub mod conformance;
mod embedded;
pub mod rabbitmq;
mod step_set;

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;

pub use embedded::EmbeddedQueue;
pub use rabbitmq::{Dead, RabbitQueue};
pub use step_set::StepSet;

use crate::asset::AssetId;
use crate::job::{Job, JobId, Lane, Step};
use crate::outcome::{FailureClass, OutcomeEvent};
use crate::permission::Permission;
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
    /// Sends failed jobs back to their step with their attempts forgotten and their effects kept; returns how many
    /// there were.
    async fn replay(&self, jobs: &HashSet<JobId>) -> Result<u64, QueueError>;
    /// Forgets failed jobs; returns how many there were.
    async fn discard(&self, jobs: &HashSet<JobId>) -> Result<u64, QueueError>;
    /// Fails unless whoever keeps the leases was heard of lately: nothing may be changed otherwise.
    fn contact(&self) -> Result<(), QueueError>;
    /// Keeps a delivery whose step takes long from being taken away; where that needs another delivery, returns it. Must be
    /// awaited to its end: the delivery that went in may be void before.
    async fn renew(&self, delivery: Delivery) -> Result<Delivery, Unrenewed>;
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
    /// Whether it was done is not known; doing it again may do it twice.
    #[error("{0}")]
    UnknownOutcome(String),
    /// The broker refuses the credential or a right: a person has to act.
    #[error("{0}")]
    Refused(String),
    /// What is configured does not fit what is on the broker.
    #[error("{0}")]
    Misconfigured(String),
    /// Somebody else has the place that only one may have.
    #[error("{0}")]
    Taken(String),
    /// Nothing comes any more.
    #[error("the queue is closed")]
    Closed,
}

impl QueueError {
    /// Whether the same call may work later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::UnknownOutcome(_) => true,
            Self::Broken(_)
            | Self::Message(_)
            | Self::Refused(_)
            | Self::Misconfigured(_)
            | Self::Taken(_)
            | Self::Closed => false,
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
    ticket: Option<rabbitmq::Ticket>,
}

impl Delivery {
    /// Whether another worker gets the job by now, as far as can be known.
    pub fn is_void(&self) -> bool {
        self.ticket.as_ref().is_some_and(|ticket| !ticket.is_valid())
    }

    /// Resolves when the delivery is void: somebody else will get the job, and whoever works on it has to stop.
    pub fn voided(&self) -> impl Future<Output = ()> + Send + 'static {
        let lost = self.ticket.as_ref().map(rabbitmq::Ticket::lost);
        async move {
            match lost {
                Some(lost) => lost.cancelled().await,
                None => std::future::pending().await,
            }
        }
    }
}

/// The sole right to touch an asset; dropping it gives the right back.
pub struct Lease {
    _guard: Option<Guard>,
    permission: Permission,
}

impl Lease {
    fn held(guard: Guard, check: impl Fn() -> Result<(), QueueError> + Send + Sync + 'static) -> Self {
        Self { _guard: Some(guard), permission: Permission::new(check) }
    }

    /// A lease of nothing, for tests that show what leases are for.
    fn free() -> Self {
        Self { _guard: None, permission: Permission::new(|| Ok(())) }
    }

    /// Fails unless the lease is still held, as far as can be known.
    pub fn check(&self) -> Result<(), QueueError> {
        self.permission.check()
    }

    /// The right that comes with the lease, for the clients that change the asset under it.
    pub fn permission(&self) -> Permission {
        self.permission.clone()
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Lease")
    }
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

    pub(crate) fn add_ready(&mut self, step: Step, lane: Lane, count: u64) {
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
    /// The beginning of a message that could not be read, where the queue kept it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
}
