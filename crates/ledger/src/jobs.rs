//! Jobs as they are published, and the outcomes that end them.

use rusqlite::{OptionalExtension, Transaction, params};

use super::Ledger;
use crate::state::DatabaseError;
use common::job::{Job, JobId, Lane, RunId};
use common::outcome::{FailureClass, Outcome, OutcomeEvent};

/// Records a job as published and open; returns false if its id was published before.
pub fn note_published(transaction: &Transaction<'_>, job: &Job) -> Result<bool, DatabaseError> {
    let inserted = transaction.execute(
        "INSERT OR IGNORE INTO published (job_id, run_id, asset_id, base, at_ms, lane) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![job.job_id.0, job.run_id.0, job.asset_id.as_str(), job.base, job.created_at.as_millisecond(), job.lane.name()],
    )?;
    if inserted > 0 {
        // The asset's lost jobs are settled: this job replaces them.
        transaction
            .prepare_cached("UPDATE published SET lost = 0 WHERE asset_id = ?1 AND lost = 1")?
            .execute([job.asset_id.as_str()])?;
    }
    Ok(inserted > 0)
}

/// Appends an outcome; its job is no longer open.
pub fn note_outcome(transaction: &Transaction<'_>, event: &OutcomeEvent) -> Result<(), DatabaseError> {
    let text = serde_json::to_string(event).map_err(|error| DatabaseError::Damaged(error.to_string()))?;
    transaction.execute(
        "INSERT INTO outcomes (job_id, run_id, asset_id, outcome, base, original, watermarked, bytes_downloaded,
                               bytes_uploaded, event, at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        params![
            event.job_id.0,
            event.run_id.0,
            event.asset_id.as_str(),
            event.outcome.name(),
            event.base,
            event.original.map(|hash| hash.to_string()),
            event.watermarked.map(|hash| hash.to_string()),
            event.bytes_downloaded,
            event.bytes_uploaded,
            text,
            event.at.as_millisecond(),
        ],
    )?;
    transaction
        .execute("UPDATE published SET open = 0, lost = 0, ended = 1 WHERE job_id = ?1", [&event.job_id.0])?;
    Ok(())
}

/// Whether a job still has to be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// It was never published.
    New,
    /// It may have been published: the queue's confirm is not recorded.
    Unconfirmed,
    /// It was published.
    Confirmed,
}

impl Ledger {
    /// Records that a job is about to be published to a queue outside the state directory.
    pub async fn intend(&self, job: &Job) -> Result<Intent, DatabaseError> {
        let job = job.clone();
        self.state
            .write(move |transaction| {
                if note_published(transaction, &job)? {
                    transaction
                        .execute("UPDATE published SET confirmed = 0 WHERE job_id = ?1", [&job.job_id.0])?;
                    return Ok(Intent::New);
                }
                let sql = "SELECT confirmed FROM published WHERE job_id = ?1";
                let confirmed: bool = transaction.query_row(sql, [&job.job_id.0], |row| row.get(0))?;
                Ok(if confirmed { Intent::Confirmed } else { Intent::Unconfirmed })
            })
            .await
    }

    /// Records that the queue accepted the job.
    pub async fn confirm(&self, job: &JobId) -> Result<(), DatabaseError> {
        let job = job.clone();
        self.state
            .write(move |transaction| {
                transaction.execute("UPDATE published SET confirmed = 1 WHERE job_id = ?1", [&job.0])?;
                Ok(())
            })
            .await
    }

    /// Records outcomes from elsewhere, in one transaction. A job has one outcome: a further one counts only after a
    /// failure, since a failed job can be replayed, and only if it is not a copy of a known one.
    ///
    /// Returns the outcomes of jobs that this record never published; they are not recorded.
    pub async fn fold(&self, events: Vec<OutcomeEvent>) -> Result<Vec<OutcomeEvent>, DatabaseError> {
        self.state
            .write(move |transaction| {
                let mut strangers = Vec::new();
                for event in events {
                    if !is_of_published(transaction, &event)? {
                        strangers.push(event);
                    } else if is_news(transaction, &event)? {
                        note_outcome(transaction, &event)?;
                    }
                }
                Ok(strangers)
            })
            .await
    }

    /// The number of a run's jobs without an outcome.
    pub async fn open_in(&self, run: &RunId) -> Result<u64, DatabaseError> {
        self.count("SELECT open FROM run_jobs WHERE run_id = ?1", run.to_string()).await
    }

    /// The number of a lane's jobs without an outcome.
    pub async fn open_in_lane(&self, lane: Lane) -> Result<u64, DatabaseError> {
        self.count("SELECT open FROM lane_jobs WHERE lane = ?1", lane.name().to_owned()).await
    }
}

/// Whether the job was published with the event's run and asset. For an unreadable message, only the id has to match.
fn is_of_published(transaction: &Transaction<'_>, event: &OutcomeEvent) -> Result<bool, DatabaseError> {
    let sql = "SELECT run_id = ?2 AND asset_id = ?3 FROM published WHERE job_id = ?1";
    let job = params![event.job_id.0, event.run_id.0, event.asset_id.as_str()];
    let is_same = transaction.prepare_cached(sql)?.query_row(job, |row| row.get(0)).optional()?;
    let is_unreadable =
        matches!(&event.outcome, Outcome::Failed(failure) if failure.class == FailureClass::Malformed);
    Ok(is_same.is_some_and(|is_same: bool| is_same || is_unreadable))
}

/// Whether an outcome is new. Copies of a message are equal in every field. Times are not compared to order outcomes:
/// the clocks of two workers differ.
fn is_news(transaction: &Transaction<'_>, event: &OutcomeEvent) -> Result<bool, DatabaseError> {
    let sql = "SELECT event FROM outcomes WHERE job_id = ?1 ORDER BY sequence";
    let mut statement = transaction.prepare_cached(sql)?;
    let known = statement.query_map([&event.job_id.0], |row| row.get::<_, String>(0))?;
    let mut ended = false;
    for known in known {
        let Ok(known) = serde_json::from_str::<OutcomeEvent>(&known?) else { continue };
        if known == *event {
            return Ok(false);
        }
        ended = !matches!(known.outcome, Outcome::Failed(_));
    }
    Ok(!ended)
}
