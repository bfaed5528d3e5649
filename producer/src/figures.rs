//! What the metrics show of the record and its disk, whoever wrote it: this process, or a command beside it.

use std::time::Duration;

use common::failure::Failure;
use files::disk;
use jiff::Timestamp;

use crate::run::Environment;

impl Environment {
    /// Reports to the metrics what the ledger knows, what the day has left, and how much space there is.
    pub async fn measure_record(&self) -> Result<(), Failure> {
        let now = Timestamp::now();
        let Self { ledger, metrics, .. } = self;
        if let Some(found) = ledger.last_verification().await? {
            metrics.verified(&found);
        }
        if let Some(library) = ledger.library().await? {
            metrics.library_counted(&library);
        }
        let oldest = ledger.oldest_open().await?.map(|at| now.duration_since(at));
        metrics.oldest_job_is(oldest.and_then(|age| Duration::try_from(age).ok()).unwrap_or_default());
        if let Some(left) = self.day.left(now).await? {
            metrics.limit_leaves("assets_per_day", left);
        }
        let folder = ledger.folder();
        if let (Ok(used), Ok(free)) = (disk::used(folder), disk::free(folder)) {
            metrics.state_measured(used, free);
        }
        Ok(())
    }
}
