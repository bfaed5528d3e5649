//! Jobs that failed and are kept.

use serde::Serialize;

use common::asset::AssetId;
use common::job::{Job, JobId};
use common::outcome::{FailureClass, OutcomeEvent};

/// Selects failed jobs; all given conditions must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailedFilter {
    pub job: Option<JobId>,
    pub asset: Option<AssetId>,
    pub class: Option<FailureClass>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FailedJob {
    /// The job as it failed, with its history of attempts; `None` if its message cannot be decoded.
    pub job: Option<Job>,
    pub event: OutcomeEvent,
    /// The beginning of a message that cannot be decoded, if the queue has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
}
