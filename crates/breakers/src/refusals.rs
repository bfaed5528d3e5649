//! Refused rights: whether the asset or the role is at fault.

use std::collections::HashSet;

use common::job::JobId;

/// The different jobs that were refused since the last one that was not.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    jobs: HashSet<JobId>,
}

impl Refusals {
    /// Records a refusal. Returns whether it still counts as the job's own: the first `most` in a row do.
    pub(super) fn refused(&mut self, job: &JobId, most: usize) -> bool {
        if self.jobs.len() < most {
            self.jobs.insert(job.clone());
        }
        self.jobs.contains(job)
    }
}

/// Refusals to write since the last permitted write.
#[derive(Debug, Default)]
pub(super) struct WriteRefusals {
    was_permitted: bool,
    job: Option<JobId>,
}

impl WriteRefusals {
    pub(super) fn permitted(&mut self) {
        *self = Self { was_permitted: true, job: None };
    }

    /// Whether others were permitted, and only this job was refused since then.
    pub(super) fn is_jobs_own(&mut self, job: &JobId) -> bool {
        let first = self.job.get_or_insert_with(|| job.clone());
        let own = first == job;
        // A second job makes it the role's fault until a write is permitted.
        self.was_permitted &= own;
        self.was_permitted
    }
}
