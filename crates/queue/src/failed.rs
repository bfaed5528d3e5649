//! Jobs that failed and are kept.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use serde::Serialize;

use common::job::{Job, JobId};
use common::outcome::OutcomeEvent;
use common::prose::prose;

/// Failed jobs that a person selected.
pub type Selection = HashMap<JobId, Records>;

/// The records of one failed job, by the times of its failures. A queue may have several, of which the latest has got furthest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records {
    /// All that there were. A record that came later is not selected.
    pub seen: BTreeSet<Timestamp>,
    /// The one to replay; `None` if no record contains a job.
    pub latest: Option<Timestamp>,
}

/// Called with the number of jobs that a change or a selection has passed so far.
pub type OnProgress<'a> = &'a (dyn Fn(u64) + Send + Sync);

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FailedJob {
    /// The job as it failed, with its history of attempts; `None` if its message cannot be decoded.
    pub job: Option<Job>,
    pub event: OutcomeEvent,
    /// The beginning of a message that cannot be decoded, if the queue has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
}

impl FailedJob {
    /// As people may see it: a text of a file, a service or a stranger may be a link with a signature.
    #[must_use]
    pub fn shown(self) -> Self {
        Self {
            job: self.job.map(Job::shown),
            event: self.event,
            unreadable: self.unreadable.map(|text| prose(&text)),
        }
    }
}
