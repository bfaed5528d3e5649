//! Jobs that failed and are kept.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize;

use common::job::{Job, JobId};
use common::outcome::OutcomeEvent;

/// Failed jobs, each with the time of its latest failure. A queue may have an earlier record of the same job, whose replay
/// would repeat what was done since.
pub type Selection = HashMap<JobId, Timestamp>;

/// Called with the number of jobs that a change or a selection has passed so far.
pub type Progress<'a> = &'a (dyn Fn(u64) + Send + Sync);

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FailedJob {
    /// The job as it failed, with its history of attempts; `None` if its message cannot be decoded.
    pub job: Option<Job>,
    pub event: OutcomeEvent,
    /// The beginning of a message that cannot be decoded, if the queue has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
}
