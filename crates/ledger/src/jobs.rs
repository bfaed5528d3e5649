//! Jobs as they are published, and the outcomes that end them.

use jiff::Timestamp;
use rusqlite::{Connection, Transaction};

use super::Ledger;
use crate::state::DatabaseError;
use crate::state::record::{
    COLUMNS, Flags, Form, JOINED, JobRow, Packed, Recorded, append, find, find_or_insert, insert, of_lane,
    outcome,
};
use common::job::{Job, JobId, Lane, RunId};
use common::outcome::{FailureClass, Outcome, OutcomeEvent};

/// Records a job as published and open; returns false if its id was published before.
pub fn note_published(transaction: &Transaction<'_>, job: &Job) -> Result<bool, DatabaseError> {
    if find(transaction, &job.job_id)?.is_some() {
        return Ok(false);
    }
    let flags = Flags { lane: of_lane(job.lane), open: true, confirmed: true, lost: false };
    let at = Some(job.created_at.as_millisecond());
    let (_, asset) =
        insert(transaction, &job.job_id, &job.run_id, job.asset_id.as_str(), job.base, at, flags)?;
    // The asset's lost jobs are settled: this job replaces them.
    transaction
        .prepare_cached("UPDATE published SET lost = 0 WHERE asset = ?1 AND lost = 1")?
        .execute([asset])?;
    Ok(true)
}

/// Appends an outcome; its job is no longer open.
pub fn note_outcome(transaction: &Transaction<'_>, event: &OutcomeEvent) -> Result<(), DatabaseError> {
    let job = find_or_insert(transaction, &event.job_id, &event.run_id, &event.asset_id, event.base)?;
    end(transaction, &job, event)
}

fn end(transaction: &Transaction<'_>, job: &JobRow, event: &OutcomeEvent) -> Result<(), DatabaseError> {
    append(transaction, job, event)?;
    transaction
        .prepare_cached("UPDATE published SET open = 0, lost = 0 WHERE job = ?1")?
        .execute([job.job])?;
    Ok(())
}

/// Records that a failed job is open again.
pub fn note_replayed(transaction: &Transaction<'_>, job_id: &JobId) -> Result<(), DatabaseError> {
    let sql = "UPDATE published SET open = 1 WHERE job_id = ?1";
    transaction.prepare_cached(sql)?.execute([Packed(Form::Job, &job_id.0)])?;
    Ok(())
}

/// The latest outcome of a job.
pub fn last_outcome(connection: &Connection, job_id: &JobId) -> Result<Option<OutcomeEvent>, DatabaseError> {
    let Some(last) = find(connection, job_id)?.and_then(|job| job.last) else { return Ok(None) };
    outcome(connection, last).map(Some)
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
    /// When the oldest of the jobs without an outcome was published.
    pub async fn oldest_open(&self) -> Result<Option<Timestamp>, DatabaseError> {
        let sql = "SELECT min(at_ms) FROM published WHERE open = 1";
        let at: Option<i64> = self
            .state
            .read(move |connection| Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?))
            .await?;
        Ok(at.and_then(|at| Timestamp::from_millisecond(at).ok()))
    }

    /// Records that a job is about to be published to a queue outside the state directory.
    pub async fn intend(&self, job: &Job) -> Result<Intent, DatabaseError> {
        let job = job.clone();
        self.state
            .write(move |transaction| {
                let id = Packed(Form::Job, &job.job_id.0);
                if note_published(transaction, &job)? {
                    let sql = "UPDATE published SET confirmed = 0 WHERE job_id = ?1";
                    transaction.prepare_cached(sql)?.execute([id])?;
                    return Ok(Intent::New);
                }
                let sql = "SELECT confirmed FROM published WHERE job_id = ?1";
                let confirmed: bool = transaction.prepare_cached(sql)?.query_row([id], |row| row.get(0))?;
                Ok(if confirmed { Intent::Confirmed } else { Intent::Unconfirmed })
            })
            .await
    }

    /// Records that the queue accepted the job.
    pub async fn confirm(&self, job: &JobId) -> Result<(), DatabaseError> {
        let job = job.clone();
        self.state
            .write(move |transaction| {
                let sql = "UPDATE published SET confirmed = 1 WHERE job_id = ?1";
                transaction.prepare_cached(sql)?.execute([Packed(Form::Job, &job.0)])?;
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
                    match find(transaction, &event.job_id)?.filter(|job| is_of(job, &event)) {
                        None => strangers.push(event),
                        Some(job) if is_news(transaction, &job, &event)? => end(transaction, &job, &event)?,
                        Some(_) => {}
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
        self.count("SELECT open FROM lane_jobs WHERE lane = ?1", of_lane(lane)).await
    }
}

/// Whether the job was published with the event's run and asset. For an unreadable message, only the id has to match.
fn is_of(job: &JobRow, event: &OutcomeEvent) -> bool {
    let is_unreadable =
        matches!(&event.outcome, Outcome::Failed(failure) if failure.class == FailureClass::Malformed);
    is_unreadable || (job.run_id == event.run_id && job.asset_id == event.asset_id)
}

/// Whether an outcome is new. Copies of a message are equal in every field. Times are not compared to order outcomes:
/// the clocks of two workers differ.
fn is_news(transaction: &Transaction<'_>, job: &JobRow, event: &OutcomeEvent) -> Result<bool, DatabaseError> {
    let sql = format!(
        "WITH RECURSIVE chain(sequence, previous) AS (
             SELECT sequence, previous FROM outcomes WHERE sequence = ?1
             UNION ALL SELECT outcomes.sequence, outcomes.previous FROM chain CROSS JOIN outcomes
                       ON outcomes.sequence = chain.previous)
         SELECT {COLUMNS} FROM chain CROSS JOIN {JOINED} WHERE outcomes.sequence = chain.sequence
         ORDER BY outcomes.sequence"
    );
    let Some(last) = job.last else { return Ok(true) };
    let mut statement = transaction.prepare_cached(&sql)?;
    let mut rows = statement.query([last])?;
    let mut ended = false;
    while let Some(row) = rows.next()? {
        let Ok(Recorded { event: known, .. }) = Recorded::read(row) else { continue };
        if known == *event {
            return Ok(false);
        }
        ended = !matches!(known.outcome, Outcome::Failed(_));
    }
    Ok(!ended)
}
