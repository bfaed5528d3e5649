//! How jobs are processed.

use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Span;

/// `[worker]`
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WorkerSection {
    /// The most jobs that are processed at once. Absent: from 4 to 64, by how fast the services answer.
    pub concurrency: Option<usize>,
    /// The folder for files in transit.
    pub spool_dir: PathBuf,
    /// The most bytes in this folder.
    #[schemars(with = "String")]
    pub spool_max: ByteSize,
    /// The limit of a request, and of the time that a transfer may stall.
    pub request_timeout: Span,
    /// Attempts after which a job fails.
    pub max_attempts: u32,
    /// The limit of a step as a whole, including a transfer of the largest file.
    pub step_deadline: Span,
    /// How long a job may wait in all before it fails; pauses do not count.
    pub longest_wait: Span,
    /// How long running steps may continue after a request to stop.
    pub grace: Span,
}

impl WorkerSection {
    /// How many assets a command works on at once: only the processing of jobs adapts to the services.
    pub fn fixed_concurrency(&self) -> usize {
        self.concurrency.unwrap_or(16)
    }
}

impl Default for WorkerSection {
    fn default() -> Self {
        Self {
            concurrency: None,
            spool_dir: PathBuf::from("/var/tmp/connector"),
            spool_max: ByteSize::gib(20),
            request_timeout: Span(Duration::from_mins(1)),
            max_attempts: 12,
            step_deadline: Span(Duration::from_hours(6)),
            longest_wait: Span(Duration::from_hours(24)),
            grace: Span(Duration::from_secs(25)),
        }
    }
}
