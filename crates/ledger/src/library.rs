//! How much of the library is protected, as the last walk over all of it counted.

use jiff::Timestamp;
use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::Ledger;
use crate::state::DatabaseError;
use crate::state::record::{Form, Packed};
use common::asset::AssetId;
use common::job::RunId;
use common::parse_error::of_json;

pub(super) const LIBRARY: &str = "library";

/// Assets of the library, by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LibraryCounts {
    /// The active version is protected.
    pub protected: u64,
    /// Not protected, or not known to be.
    pub unprotected: u64,
    /// A person opted it out.
    pub opted_out: u64,
    /// Its job failed for good at the active version.
    pub failed: u64,
    /// Of a type that is not sent.
    pub unsupported: u64,
    /// The filters leave it out.
    pub filtered_out: u64,
}

/// The count of a walk over the whole library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Library {
    /// The run that counted.
    pub run: RunId,
    /// When its walk ended.
    pub at: Timestamp,
    #[serde(flatten)]
    pub counts: LibraryCounts,
}

impl LibraryCounts {
    /// All assets of the library.
    pub fn total(&self) -> u64 {
        let Self { protected, unprotected, opted_out, failed, unsupported, filtered_out } = self;
        protected + unprotected + opted_out + failed + unsupported + filtered_out
    }
}

impl Ledger {
    /// Records what a walk over the whole library counted.
    pub async fn note_library(&self, library: &Library) -> Result<(), DatabaseError> {
        let text =
            serde_json::to_string(library).map_err(|error| DatabaseError::Damaged(error.to_string()))?;
        self.set_fact(LIBRARY, Some(text)).await
    }

    /// Whether the asset's latest job is of this run: then its outcome is added to the run's count.
    pub async fn is_last_job_of(&self, run: &RunId, asset: &AssetId) -> Result<bool, DatabaseError> {
        let (run, asset) = (run.to_string(), asset.clone());
        let sql =
            "SELECT 1 FROM assets JOIN published ON published.job = assets.last_job JOIN run_jobs USING (run)
                   WHERE assets.asset_id = ?1 AND run_jobs.run_id = ?2";
        self.state
            .read(move |connection| {
                let key = Packed(Form::Asset, asset.as_str());
                Ok(connection.prepare_cached(sql)?.exists(params![key, run])?)
            })
            .await
    }

    /// The count of the last finished walk over the whole library, with what became of that run's jobs since; `None` before the
    /// first. What people change after the walk is counted by the next one.
    pub async fn library(&self) -> Result<Option<Library>, DatabaseError> {
        let Some(text) = self.fact(LIBRARY).await? else { return Ok(None) };
        let mut library: Library =
            serde_json::from_str(&text).map_err(|error| DatabaseError::Damaged(of_json(&error)))?;
        let ended = self.tally_of(&library.run).await?;
        let protected = ended.count("watermarked") + ended.count("already_protected");
        let failed = ended.count("failed");
        let counts = &mut library.counts;
        counts.protected += protected;
        counts.failed += failed;
        // The walk counted the assets of all its jobs as unprotected.
        counts.unprotected = counts.unprotected.saturating_sub(protected + failed + ended.count("gone"));
        Ok(Some(library))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::State;
    use common::job::{Job, Lane};
    use common::outcome::{Failure, FailureClass, Outcome};

    #[tokio::test]
    async fn a_count_outlives_the_process_and_follows_the_jobs_of_its_run() {
        let directory = tempfile::tempdir().unwrap();
        let (at, run) = (Timestamp::UNIX_EPOCH, RunId("full".to_owned()));
        let counts = LibraryCounts { protected: 10, unprotected: 5, filtered_out: 4, ..Default::default() };
        {
            let ledger = Ledger::new(State::open(directory.path()).unwrap());
            assert_eq!(ledger.library().await.unwrap(), None, "no walk has ended");
            ledger.note_library(&Library { run: run.clone(), at, counts }).await.unwrap();
        }
        let ledger = Ledger::new(State::open(directory.path()).unwrap());
        assert_eq!(ledger.library().await.unwrap(), Some(Library { run: run.clone(), at, counts }));
        let failure = Failure { class: FailureClass::Refused, reason: "no".into(), request_id: None };
        for (asset, of, outcome) in [
            ("A1", &run, Outcome::Watermarked { version: 2 }),
            ("A2", &run, Outcome::AlreadyProtected),
            ("A3", &run, Outcome::Failed(failure)),
            ("A4", &run, Outcome::Gone),
            // Still as the walk found it.
            ("A5", &run, Outcome::AwaitingApproval),
            // An asset that the walk did not count as unprotected.
            ("A6", &RunId("delta".to_owned()), Outcome::Watermarked { version: 2 }),
        ] {
            let job = Job::new(of.clone(), asset.parse().unwrap(), "", Lane::Fresh, 1, None, at);
            ledger.intend(&job).await.unwrap();
            ledger.fold(vec![job.ended(outcome, at)]).await.unwrap();
            let is_of_run = ledger.is_last_job_of(&run, &job.asset_id).await.unwrap();
            assert_eq!(is_of_run, *of == run, "{asset}");
        }
        let now = LibraryCounts { protected: 12, unprotected: 1, failed: 1, ..counts };
        assert_eq!(ledger.library().await.unwrap().unwrap().counts, now);
        assert_eq!(now.total(), counts.total() - 1);
        ledger.start_over().await.unwrap();
        assert_eq!(ledger.library().await.unwrap(), None, "it was of another portal");
    }
}
