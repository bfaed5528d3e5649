//! Assets whose last job failed for good.

use rusqlite::params;

use super::{Ledger, LostJob};
use crate::state::DatabaseError;
use common::asset::AssetId;
use common::job::{JobId, Lane, RunId};
use common::outcome::FailureClass;

/// The last outcome of each asset, where it is a failure and no job of the asset is open.
const LAST_FAILURES: &str = "FROM assets JOIN outcomes AS failed USING (sequence)
    WHERE assets.outcome = 'failed' AND base > 0
    AND NOT EXISTS (SELECT 1 FROM published WHERE published.asset_id = assets.asset_id AND open = 1)";

impl Ledger {
    /// The failed jobs of the assets after `after`, ordered by asset id; with `class`, only those of that failure
    /// class.
    pub async fn failed_jobs(
        &self,
        class: Option<FailureClass>,
        after: Option<&AssetId>,
        count: usize,
    ) -> Result<Vec<LostJob>, DatabaseError> {
        let after = after.map(ToString::to_string).unwrap_or_default();
        let class = class.map(FailureClass::name);
        let sql = format!(
            "SELECT job_id, run_id, assets.asset_id, base {LAST_FAILURES} AND assets.asset_id > ?1
             AND (?2 IS NULL OR class = ?2) ORDER BY assets.asset_id LIMIT ?3"
        );
        self.state
            .read(move |connection| {
                let mut statement = connection.prepare_cached(&sql)?;
                let mut rows = statement.query(params![after, class, count])?;
                let mut jobs = Vec::new();
                while let Some(row) = rows.next()? {
                    let asset: String = row.get(2)?;
                    let asset_id =
                        asset.parse().map_err(|_| DatabaseError::Damaged(format!("asset {asset:?}")))?;
                    let (job_id, run_id) = (JobId(row.get(0)?), RunId(row.get(1)?));
                    // A person is waiting for it.
                    jobs.push(LostJob { job_id, run_id, asset_id, base: row.get(3)?, lane: Lane::Fresh });
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
