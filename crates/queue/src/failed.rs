//! Jobs that failed and are kept.

use serde::Serialize;

use common::asset::AssetId;
use common::job::{Job, JobId};
use common::outcome::{FailureClass, OutcomeEvent};

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
