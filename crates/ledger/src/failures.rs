//! Assets whose last job failed for good.

use std::collections::BTreeMap;

use rusqlite::{Transaction, params};

use super::{Ledger, LostJob, last_outcome};
use crate::state::DatabaseError;
use crate::state::record::{COLUMNS, DROPPED, Form, JOINED, Kind, Packed, Recorded, find};
use common::asset::AssetId;
use common::job::JobId;
use common::outcome::{FailureClass, Outcome, OutcomeEvent};

/// The last outcome of each asset, where it is a failure and no job of the asset is open.
const LAST_FAILURES: &str = "FROM assets
    CROSS JOIN outcomes ON outcomes.sequence = assets.last_outcome
    CROSS JOIN published USING (job) CROSS JOIN run_jobs USING (run)
    WHERE assets.outcome >= 16 AND outcomes.base > 0
    AND NOT EXISTS (SELECT 1 FROM published AS other WHERE other.asset = assets.asset AND other.open = 1)";

/// Selects failed jobs; all given conditions must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailedFilter {
    pub job: Option<JobId>,
    pub asset: Option<AssetId>,
    pub class: Option<FailureClass>,
    /// A part of the asset's name; upper and lower case of ASCII letters are the same.
    pub name: Option<String>,
}

impl FailedFilter {
    /// Whether a failed job matches, by its outcome.
    pub fn matches(&self, event: &OutcomeEvent) -> bool {
        let class = match &event.outcome {
            Outcome::Failed(failure) => Some(failure.class),
            _ => None,
        };
        self.job.as_ref().is_none_or(|job| *job == event.job_id)
            && self.asset.as_ref().is_none_or(|asset| *asset == event.asset_id)
            && self.class.is_none_or(|wanted| Some(wanted) == class)
            && self
                .name
                .as_ref()
                .is_none_or(|name| event.asset_name.to_ascii_lowercase().contains(&name.to_ascii_lowercase()))
    }
}

/// Failed jobs that are not dropped, by class, the oldest of each class first; ?1 to ?4 are the filter. The index contains
/// all that a page skips.
const KEPT: &str = "FROM assets INDEXED BY assets_failed_by_class
    WHERE assets.outcome >= 16 AND assets.outcome < 128
    AND (?1 IS NULL OR assets.outcome = ?1)
    AND (?2 IS NULL OR assets.asset = (SELECT asset FROM assets AS named WHERE asset_id = ?2))
    AND (?3 IS NULL OR assets.last_outcome = (SELECT last FROM published AS named WHERE job_id = ?3))
    AND (?4 IS NULL OR EXISTS (SELECT 1 FROM outcomes AS named
                               WHERE sequence = last_outcome AND instr(lower(asset_name), lower(?4)) > 0))
    AND NOT EXISTS (SELECT 1 FROM published AS other WHERE other.asset = assets.asset AND other.open = 1)";

/// Records that a person dropped a failed job. Its asset stays failed, but the job is listed no longer.
pub fn note_dropped(transaction: &Transaction<'_>, job: &JobId) -> Result<(), DatabaseError> {
    let Some(job) = find(transaction, job)? else { return Ok(()) };
    let sql =
        "UPDATE assets SET outcome = outcome + ?1 WHERE last_outcome = ?2 AND outcome >= 16 AND outcome < 128
               AND asset = (SELECT asset FROM published WHERE job = ?3)";
    transaction.prepare_cached(sql)?.execute(params![DROPPED, job.last, job.job])?;
    Ok(())
}

impl Ledger {
    /// Records that a person dropped the failed jobs with these outcomes. A job that failed again since stays.
    pub async fn drop_failed(&self, events: Vec<OutcomeEvent>) -> Result<(), DatabaseError> {
        self.state
            .write(move |transaction| {
                for event in events {
                    if last_outcome(transaction, &event.job_id)?.as_ref() == Some(&event) {
                        note_dropped(transaction, &event.job_id)?;
                    }
                }
                Ok(())
            })
            .await
    }

    /// A page of the failed jobs that are not dropped, by class, the oldest of each class first.
    pub async fn failed_page(
        &self,
        filter: &FailedFilter,
        skip: u64,
        count: u64,
    ) -> Result<Vec<OutcomeEvent>, DatabaseError> {
        let filter = filter.clone();
        let sql = format!(
            "SELECT {COLUMNS} FROM (SELECT assets.outcome AS class, assets.last_outcome AS sequence {KEPT}
                                    ORDER BY assets.outcome, assets.last_outcome LIMIT ?5 OFFSET ?6) AS page
             CROSS JOIN {JOINED} WHERE outcomes.sequence = page.sequence ORDER BY page.class, page.sequence"
        );
        self.state
            .read(move |connection| {
                let mut statement = connection.prepare_cached(&sql)?;
                let (class, asset, job, name) = parts(&filter);
                let mut rows = statement.query(params![class, asset, job, name, count, skip])?;
                let mut page = Vec::new();
                while let Some(row) = rows.next()? {
                    page.push(Recorded::read(row)?.event);
                }
                Ok(page)
            })
            .await
    }

    /// The number of matching failed jobs that are not dropped, by class.
    pub async fn failed_by_class(
        &self,
        filter: &FailedFilter,
    ) -> Result<BTreeMap<&'static str, u64>, DatabaseError> {
        let filter = filter.clone();
        let sql = format!("SELECT assets.outcome, count(*) {KEPT} GROUP BY assets.outcome");
        self.state
            .read(move |connection| {
                let mut statement = connection.prepare_cached(&sql)?;
                let (class, asset, job, name) = parts(&filter);
                let mut rows = statement.query(params![class, asset, job, name])?;
                let mut counts = BTreeMap::new();
                while let Some(row) = rows.next()? {
                    let code = row.get(0)?;
                    let Some(Kind::Failed(class)) = Kind::of(code) else {
                        return Err(DatabaseError::Damaged(format!("failure {code}")));
                    };
                    counts.insert(class.name(), row.get(1)?);
                }
                Ok(counts)
            })
            .await
    }

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
             AND (?2 IS NULL OR assets.outcome IN (?2, ?2 + {DROPPED})) ORDER BY assets.asset LIMIT ?3"
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

type Parts<'a> = (Option<i64>, Option<Packed<'a>>, Option<Packed<'a>>, Option<&'a str>);

/// The parameters of [`KEPT`].
fn parts(filter: &FailedFilter) -> Parts<'_> {
    let class = filter.class.map(|class| Kind::Failed(class).code());
    let asset = filter.asset.as_ref().map(|asset| Packed(Form::Asset, asset.as_str()));
    let job = filter.job.as_ref().map(|job| Packed(Form::Job, &job.0));
    (class, asset, job, filter.name.as_deref())
}
