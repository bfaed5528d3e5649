//! The job queue: a trait for each role, and the queue of one machine.
//!
//! A queue promises at-least-once: a job may be delivered again after a crash, and then says so. [`JobPublisher`],
//! [`JobConsumer`], [`FailedJobs`], [`Locks`] and [`Election`] are the roles. [`EmbeddedQueue`] has them in SQLite; the crate
//! `rabbitmq` has them for a fleet. The same tests run against both.
//!
//! ```
//! use common::job::{Job, Lane, RunId};
//! use jiff::Timestamp;
//! use ledger::state::State;
//! use queue::{EmbeddedQueue, JobConsumer, JobPublisher, StepSet};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let folder = tempfile::tempdir().unwrap();
//! let queue = EmbeddedQueue::open(State::open(folder.path()).unwrap()).await.unwrap();
//! let (run, asset) = (RunId("run-1".to_owned()), "A1".parse().unwrap());
//! queue.publish(&Job::new(run, asset, "Alpine lake", Lane::Fresh, 1, None, Timestamp::now())).await.unwrap();
//! let delivery = queue.next(StepSet::ALL).await.unwrap();
//! assert_eq!((delivery.job.asset_name.as_str(), delivery.redelivered), ("Alpine lake", false));
//! # });
//! ```

pub mod delivery;
mod depth;
mod embedded;
mod failed;
mod lease;
mod step_set;

use common::failure::Failure;
use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

pub use delivery::{Guard, Receipt};

pub use delivery::{Delivery, LONGEST_HELD, Settlement, Unrenewed};
pub use depth::Depth;
pub use embedded::EmbeddedQueue;
pub use failed::{FailedFilter, FailedJob};
pub use lease::{Attempt, Kept, Lease, Left, lease_patiently};
pub use step_set::StepSet;

use common::asset::AssetId;
use common::job::{Job, JobId};
use ledger::state::DatabaseError;

/// Takes new jobs in.
#[async_trait]
pub trait JobPublisher: Send + Sync {
    /// Takes a job in; durable when this returns. A job whose id is known already is left as it is.
    async fn publish(&self, job: &Job) -> Result<(), QueueError>;
    /// How many jobs are where.
    async fn depth(&self) -> Result<Depth, QueueError>;
}

/// Hands jobs out, and takes back what became of them.
#[async_trait]
pub trait JobConsumer: Send + Sync {
    /// The next job that is due: later steps first, the fresh lane before the backlog. Waits; cancel-safe.
    async fn next(&self, steps: StepSet) -> Result<Delivery, QueueError>;
    /// Ends a delivery. What becomes of the job is durable before the delivery is gone.
    async fn settle(&self, delivery: Delivery, settlement: Settlement) -> Result<(), QueueError>;
    /// Keeps a delivery whose step takes long from being taken away; where that needs another delivery, returns it. Must be
    /// awaited to its end: the delivery that went in may be void before.
    async fn renew(&self, delivery: Delivery) -> Result<Delivery, Unrenewed>;
}

/// The jobs that failed and are kept for a person.
#[async_trait]
pub trait FailedJobs: Send + Sync {
    /// Failed jobs, oldest first, at most a thousand.
    async fn list(&self, filter: &FailedFilter) -> Result<Vec<FailedJob>, QueueError>;
    /// Sends failed jobs back to their step with their attempts forgotten and their effects kept; returns how many
    /// there were.
    async fn replay(&self, jobs: &HashSet<JobId>) -> Result<u64, QueueError>;
    /// Forgets failed jobs; returns how many there were.
    async fn discard(&self, jobs: &HashSet<JobId>) -> Result<u64, QueueError>;
}

/// The sole right to touch an asset.
#[async_trait]
pub trait Locks: Send + Sync {
    /// The right for this job, until it is ended. Where it is dropped, or its process dies, `doubt` keeps the asset.
    async fn lease(&self, asset: &AssetId, job: &JobId, doubt: Vec<Kept>) -> Result<Attempt, QueueError>;
    /// Fails unless the keeper of the locks answered lately: nothing may be changed otherwise.
    fn contact(&self) -> Result<(), QueueError>;
}

/// A place that one process of a fleet may have.
#[async_trait]
pub trait Election: Send + Sync {
    /// Takes the place, which lasts as long as what it returns says.
    ///
    /// # Errors
    /// [`QueueError::Taken`], naming the other, after trying for `patience`, half a minute by default.
    async fn win(&self, patience: Option<Duration>) -> Result<Place, QueueError>;
}

/// A place that was won. It ends with the connection that won it.
#[derive(Debug, Clone)]
pub struct Place {
    pub lost: CancellationToken,
}

impl Place {
    /// Resolves once the place is lost; also where another connection has replaced the lost one meanwhile.
    pub async fn lost(&self) {
        self.lost.cancelled().await;
    }
}

/// The queue could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// May pass by itself.
    #[error("{0}")]
    Unavailable(String),
    /// What it needs is on a node of the broker that is away, perhaps for long; what is elsewhere works.
    #[error("{0}")]
    NodeAway(String),
    /// Will not pass by itself.
    #[error("{0}")]
    Broken(String),
    /// The job cannot be written as a message.
    #[error(transparent)]
    Message(#[from] common::job::MessageError),
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
            Self::Unavailable(_) | Self::NodeAway(_) | Self::UnknownOutcome(_) => true,
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

impl From<QueueError> for Failure {
    fn from(error: QueueError) -> Self {
        let message = error.to_string();
        match error {
            QueueError::Refused(_) => Self::Credential(message),
            QueueError::Misconfigured(_) => Self::Configuration(message),
            QueueError::Taken(_)
            | QueueError::Unavailable(_)
            | QueueError::NodeAway(_)
            | QueueError::UnknownOutcome(_) => Self::Temporary(message),
            QueueError::Broken(_) | QueueError::Message(_) | QueueError::Closed => Self::Unexpected(message),
        }
    }
}
