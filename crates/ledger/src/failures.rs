//! Assets whose last job failed for good.

use rusqlite::params;

use super::{Ledger, LostJob};
use crate::state::DatabaseError;
use crate::state::record::{Form, Kind, Packed};
use common::asset::AssetId;
use common::outcome::FailureClass;

/// The last outcome of each asset, where it is a failure and no job of the asset is open.
const LAST_FAILURES: &str = "FROM assets
    CROSS JOIN outcomes ON outcomes.sequence = assets.last_outcome
    CROSS JOIN published USING (job) CROSS JOIN run_jobs USING (run)
    WHERE assets.outcome >= 16 AND outcomes.base > 0
    AND NOT EXISTS (SELECT 1 FROM published AS other WHERE other.asset = assets.asset AND other.open = 1)";

impl Ledger {
    /// The failed jobs of the assets after `after`, in the order in which the assets were first recorded; with `class`,
    /// only those of that failure class.
    pub async fn failed_jobs(
        &self,
        class: Option<FailureClass>,
        after: Option<&AssetId>,
        count: usize,
    ) -> Result<Vec<LostJob>, DatabaseError> {
        let class = class.map(|class| Kind::Failed(class).code());
        let sql = format!(
            "SELECT job_id, run_id, asset_id, outcomes.base {LAST_FAILURES}
             AND assets.asset > coalesce((SELECT asset FROM assets WHERE asset_id = ?1), 0)
             AND (?2 IS NULL OR assets.outcome = ?2) ORDER BY assets.asset LIMIT ?3"
        );
        let after = after.cloned();
        self.state
            .read(move |connection| {
                let mut statement = connection.prepare_cached(&sql)?;
                let after = after.as_ref().map(|after| Packed(Form::Asset, after.as_str()));
                let mut rows = statement.query(params![after, class, count])?;
                let mut jobs = Vec::new();
                while let Some(row) = rows.next()? {
                    jobs.push(LostJob::read(row)?);
                }
                Ok(jobs)
            })
            .await
    }

    /// How many assets failed for good and have no open job.
    pub async fn failed_count(&self) -> Result<u64, DatabaseError> {
        let sql = format!("SELECT count(*) {LAST_FAILURES}");
        self.state
            .read(move |connection| Ok(connection.prepare_cached(&sql)?.query_row([], |row| row.get(0))?))
            .await
    }
}
