//! The job queue: a trait for each role, and the queue of one machine.
//!
//! Delivery is at least once: after a crash a job may be delivered again, marked as redelivered. The roles are
//! [`JobPublisher`], [`JobConsumer`], [`FailedJobs`], [`Locks`] and [`Election`]. [`EmbeddedQueue`] implements all but the
//! last in SQLite; the crate `rabbitmq` implements them for a fleet. The same tests run against both.
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
pub use failed::{FailedJob, OnProgress, Records, Selection};
pub use lease::{Attempt, Lease, Left, Lockout, lease_patiently};
pub use ledger::FailedFilter;
pub use step_set::StepSet;

use common::asset::AssetId;
use common::job::{Job, JobId};
use ledger::state::DatabaseError;

/// Publishes new jobs.
#[async_trait]
pub trait JobPublisher: Send + Sync {
    /// Publishes a job, which is durable when this returns. Publishing a known id again changes nothing.
    async fn publish(&self, job: &Job) -> Result<(), QueueError>;
    /// Counts the jobs by where they are.
    async fn depth(&self) -> Result<Depth, QueueError>;
}

/// Delivers jobs and settles them.
#[async_trait]
pub trait JobConsumer: Send + Sync {
    /// Waits for the next job that is due: later steps first, the fresh lane before the backlog. Cancel-safe.
    async fn next(&self, steps: StepSet) -> Result<Delivery, QueueError>;
    /// Settles a delivery. The settlement is durable before the delivery is acknowledged.
    async fn settle(&self, delivery: Delivery, settlement: Settlement) -> Result<(), QueueError>;
    /// Renews a delivery whose step takes long, so that the broker does not take it back; returns the delivery that replaces
    /// it. Not cancel-safe: the old delivery may already be void.
    async fn renew(&self, delivery: Delivery) -> Result<Delivery, Unrenewed>;
}

/// The failed jobs, which are kept until a person replays or discards them.
#[async_trait]
pub trait FailedJobs: Send + Sync {
    /// Failed jobs, oldest first, at most a thousand.
    async fn list(&self, filter: &FailedFilter) -> Result<Vec<FailedJob>, QueueError>;
    /// Selects failed jobs, for a change of exactly these.
    async fn select(&self, filter: &FailedFilter, progress: OnProgress<'_>) -> Result<Selection, QueueError>;
    /// Returns failed jobs to the step that failed, with their attempts reset and their effects kept; returns how many it
    /// found. Each is changed on its own: after an error or a death, the rest is as it was, and a repetition continues.
    async fn replay(&self, jobs: &Selection, progress: OnProgress<'_>) -> Result<u64, QueueError>;
    /// Deletes failed jobs at a person's request; returns how many it found. As with a replay, a repetition continues.
    async fn forget(&self, jobs: &Selection, progress: OnProgress<'_>) -> Result<u64, QueueError>;
    /// Deletes failed jobs whose assets have a newer job; returns how many it found.
    async fn discard(&self, jobs: &HashSet<JobId>) -> Result<u64, QueueError>;
}

/// Leases of assets: a job changes an asset only under its lease.
#[async_trait]
pub trait Locks: Send + Sync {
    /// Tries to take the asset's lease for this job. If the lease is dropped instead of ended, or its process dies, `doubt`
    /// protects the asset from then on.
    async fn lease(&self, asset: &AssetId, job: &JobId, doubt: Vec<Lockout>) -> Result<Attempt, QueueError>;
    /// Fails unless the lock service answered recently; without that, no lease counts as held.
    fn contact(&self) -> Result<(), QueueError>;
}

/// A role that one process of a fleet has at a time, such as the producer's.
#[async_trait]
pub trait Election: Send + Sync {
    /// Takes the role, until [`Leadership::lost`] resolves.
    ///
    /// # Errors
    /// [`QueueError::Taken`], with the name of the other process, after trying for `patience` (default: half a minute).
    async fn win(&self, patience: Option<Duration>) -> Result<Leadership, QueueError>;
}

/// An elected process's role. It ends with the connection that won it.
#[derive(Debug, Clone)]
pub struct Leadership {
    pub lost: CancellationToken,
}

impl Leadership {
    /// Resolves once the role is lost, even if the process has reconnected meanwhile.
    pub async fn lost(&self) {
        self.lost.cancelled().await;
    }
}

/// Why a queue operation failed.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Temporary: a retry may succeed.
    #[error("{0}")]
    Unavailable(String),
    /// The queue lives on a node of the broker that is down, perhaps for long; queues on other nodes work.
    #[error("{0}")]
    NodeAway(String),
    /// Permanent: a retry will not succeed.
    #[error("{0}")]
    Broken(String),
    /// The job cannot be encoded as a message.
    #[error(transparent)]
    Message(#[from] common::job::MessageError),
    /// The operation may have taken effect; a retry may apply it twice.
    #[error("{0}")]
    UnknownOutcome(String),
    /// The broker refuses the credential or a permission: a person has to act.
    #[error("{0}")]
    Refused(String),
    /// The configuration does not match what is declared on the broker.
    #[error("{0}")]
    Misconfigured(String),
    /// Another process has the role that only one may have.
    #[error("{0}")]
    Taken(String),
    /// The queue is closed and delivers nothing more.
    #[error("the queue is closed")]
    Closed,
}

impl QueueError {
    /// Whether a retry may succeed.
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
