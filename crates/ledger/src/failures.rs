//! Assets whose last job failed for good.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use rusqlite::{Connection, Transaction, params};

use super::{Ledger, LostJob, last_outcome};
use crate::state::DatabaseError;
use crate::state::record::{COLUMNS, DROPPED, FAILED, Form, JOINED, Kind, Packed, Recorded, find};
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

pub(super) const BY_CLASS: &str = "FROM assets INDEXED BY assets_failed_by_class";

/// Whether a failed job is not dropped; ?1 to ?4 are the filter.
pub(super) const KEPT: &str = "assets.outcome >= 16 AND +assets.outcome < 128
    AND (?1 IS NULL OR assets.outcome = ?1)
    AND (?2 IS NULL OR assets.asset = (SELECT asset FROM assets AS named WHERE asset_id = ?2))
    AND (?3 IS NULL OR assets.last_outcome = (SELECT last FROM published AS named WHERE job_id = ?3))
    AND (?4 IS NULL OR EXISTS (SELECT 1 FROM outcomes AS named
                               WHERE sequence = last_outcome AND instr(lower(asset_name), lower(?4)) > 0))
    AND NOT EXISTS (SELECT 1 FROM published AS other WHERE other.asset = assets.asset AND other.open = 1)";

/// The place of a failed job in the order of a page: the code of its class, and its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FailedPlace(i64, i64);

impl fmt::Display for FailedPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.0, self.1)
    }
}

impl FromStr for FailedPlace {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (code, sequence) = text.split_once('.').ok_or(())?;
        Ok(Self(code.parse().map_err(drop)?, sequence.parse().map_err(drop)?))
    }
}

/// Where a page of failed jobs begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailedFrom {
    /// After this many jobs, each of which costs a step.
    Skip(u64),
    /// With the first job after this place.
    After(FailedPlace),
    /// So that it ends with the last job before this place.
    Before(FailedPlace),
}

/// A page of failed jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailedPage {
    pub events: Vec<OutcomeEvent>,
    /// The place of the first job, if there are jobs before it.
    pub before: Option<FailedPlace>,
    /// The place of the last job, if there are jobs after it.
    pub after: Option<FailedPlace>,
}

/// The range of the index in which the page is; a class is a range as well, so that nothing else is read.
fn range(filter: &FailedFilter, from: FailedFrom) -> (FailedPlace, FailedPlace) {
    let class = filter.class.map(|class| Kind::Failed(class).code());
    let (first, last) = class.map_or((FAILED, DROPPED - 1), |code| (code, code));
    let (low, high) = (FailedPlace(first, i64::MIN), FailedPlace(last, i64::MAX));
    match from {
        FailedFrom::Skip(_) => (low, high),
        FailedFrom::After(place) => (place.max(low), high),
        FailedFrom::Before(place) => (low, place.min(high)),
    }
}

fn page(
    connection: &Connection,
    filter: &FailedFilter,
    from: FailedFrom,
    count: usize,
) -> Result<FailedPage, DatabaseError> {
    let (low, high) = range(filter, from);
    let order = if matches!(from, FailedFrom::Before(_)) { "DESC" } else { "ASC" };
    let sql = format!(
        "SELECT {COLUMNS}, page.class FROM (SELECT assets.outcome AS class, assets.last_outcome AS sequence {BY_CLASS}
                WHERE (assets.outcome, assets.last_outcome) > (?5, ?6) AND (assets.outcome, assets.last_outcome) < (?7, ?8)
                AND {KEPT}
                ORDER BY assets.outcome {order}, assets.last_outcome {order} LIMIT ?9 OFFSET ?10) AS page
         CROSS JOIN {JOINED} WHERE outcomes.sequence = page.sequence
         ORDER BY page.class {order}, page.sequence {order}"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let (class, asset, job, name) = parts(filter);
    // One more shows whether there are any.
    let more = count.saturating_add(1);
    let skip = if let FailedFrom::Skip(skip) = from { skip } else { 0 };
    let mut rows =
        statement.query(params![class, asset, job, name, low.0, low.1, high.0, high.1, more, skip])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let Recorded { sequence, event, .. } = Recorded::read(row)?;
        found.push((FailedPlace(row.get(18)?, sequence), event));
    }
    let has_more = found.len() > count;
    found.truncate(count);
    if matches!(from, FailedFrom::Before(_)) {
        found.reverse();
    }
    let (first, last) = (found.first().map(|(place, _)| *place), found.last().map(|(place, _)| *place));
    let (before, after) = match from {
        FailedFrom::Skip(0) => (None, last.filter(|_| has_more)),
        FailedFrom::Skip(_) | FailedFrom::After(_) => (first, last.filter(|_| has_more)),
        FailedFrom::Before(_) => (first.filter(|_| has_more), last),
    };
    Ok(FailedPage { events: found.into_iter().map(|(_, event)| event).collect(), before, after })
}

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

    /// A page of the failed jobs that are not dropped, by class, the oldest of each class first. After or before a place it costs
    /// the same wherever it is.
    pub async fn failed_page(
        &self,
        filter: &FailedFilter,
        from: FailedFrom,
        count: usize,
    ) -> Result<FailedPage, DatabaseError> {
        let filter = filter.clone();
        self.state.read(move |connection| page(connection, &filter, from, count)).await
    }

    /// The number of matching failed jobs that are not dropped, by class.
    pub async fn failed_by_class(
        &self,
        filter: &FailedFilter,
    ) -> Result<BTreeMap<&'static str, u64>, DatabaseError> {
        let filter = filter.clone();
        let sql = format!("SELECT assets.outcome, count(*) {BY_CLASS} WHERE {KEPT} GROUP BY assets.outcome");
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

pub(super) type Parts<'a> = (Option<i64>, Option<Packed<'a>>, Option<Packed<'a>>, Option<&'a str>);

/// The parameters of [`KEPT`].
pub(super) fn parts(filter: &FailedFilter) -> Parts<'_> {
    let class = filter.class.map(|class| Kind::Failed(class).code());
    let asset = filter.asset.as_ref().map(|asset| Packed(Form::Asset, asset.as_str()));
    let job = filter.job.as_ref().map(|job| Packed(Form::Job, &job.0));
    (class, asset, job, filter.name.as_deref())
}
