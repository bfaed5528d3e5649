//! The SQL statements of the embedded queue.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::super::{Depth, FailedFilter, FailedJob, Records, Selection, StepSet};
use super::dropped::Dropped;
use common::asset::AssetId;
use common::job::{Job, JobId, Lane, RunId, Step};
use common::outcome::OutcomeEvent;
use ledger::state::DatabaseError;

/// Maximum failed jobs in one list.
const MOST_FAILED: u32 = 1000;

pub(super) struct Taken {
    pub(super) job: Job,
    pub(super) redelivered: bool,
}

pub(super) fn recover(transaction: &Transaction<'_>) -> Result<(), DatabaseError> {
    transaction.execute("UPDATE jobs SET state = 'ready', redelivered = 1 WHERE state = 'in_flight'", [])?;
    Ok(())
}

/// Makes dropped deliveries ready again. Only those that a caller received count as redelivered.
pub(super) fn make_ready(transaction: &Transaction<'_>, deliveries: &[Dropped]) -> Result<(), DatabaseError> {
    let sql = "UPDATE jobs SET state = 'ready', redelivered = max(redelivered, ?2)
         WHERE job_id = ?1 AND state = 'in_flight'";
    for Dropped { job, received } in deliveries {
        transaction.prepare_cached(sql)?.execute(params![job.0, received])?;
    }
    Ok(())
}

pub(super) fn insert(transaction: &Transaction<'_>, job: &Job, body: &[u8]) -> Result<(), DatabaseError> {
    let sql = "INSERT OR IGNORE INTO jobs (job_id, run_id, asset_id, step, lane, state, due_ms, body)
         VALUES (?1, ?2, ?3, ?4, ?5, 'ready', 0, ?6)";
    let asset = job.asset_id.as_str();
    let values = params![job.job_id.0, job.run_id.0, asset, job.step.name(), job.lane.name(), body];
    transaction.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// Takes the next job of these kinds that is due, the first kind first; rows before it that cannot be decoded become
/// failed jobs.
pub(super) fn take(
    transaction: &Transaction<'_>,
    kinds: &[(Step, Lane)],
    now: i64,
) -> Result<Option<Taken>, DatabaseError> {
    for (step, lane) in kinds.iter().copied() {
        while let Some((job_id, redelivered, body)) = first_due(transaction, step, lane, now)? {
            match Job::decode(&body) {
                Ok(job) => {
                    let sql = "UPDATE jobs SET state = 'in_flight' WHERE job_id = ?1";
                    transaction.prepare_cached(sql)?.execute([&job_id])?;
                    return Ok(Some(Taken { job, redelivered }));
                }
                Err(error) => fail_unreadable(transaction, &job_id, &error.to_string())?,
            }
        }
    }
    Ok(None)
}

type Due = (String, bool, Vec<u8>);

fn first_due(
    connection: &Connection,
    step: Step,
    lane: Lane,
    now: i64,
) -> Result<Option<Due>, DatabaseError> {
    let mut statement = connection.prepare_cached(
        "SELECT job_id, redelivered, body FROM jobs
         WHERE state = 'ready' AND step = ?1 AND lane = ?2 AND due_ms <= ?3 ORDER BY due_ms, sequence LIMIT 1",
    )?;
    let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, body(row, 2)?));
    Ok(statement.query_row(params![step.name(), lane.name(), now], row).optional()?)
}

/// The message's bytes, even if the value was edited and has another type. A value without bytes decodes to no job.
fn body(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<u8>> {
    Ok(row.get_ref(column)?.as_bytes().map(<[u8]>::to_vec).unwrap_or_default())
}

fn fail_unreadable(transaction: &Transaction<'_>, job_id: &str, reason: &str) -> Result<(), DatabaseError> {
    let (run_id, asset_id): (String, String) =
        transaction.query_row("SELECT run_id, asset_id FROM jobs WHERE job_id = ?1", [job_id], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let asset_id: AssetId = asset_id.parse().map_err(|_| DatabaseError::Damaged(format!("job {job_id}")))?;
    let event =
        OutcomeEvent::of_unreadable(JobId(job_id.to_owned()), RunId(run_id), asset_id, reason.to_owned());
    ledger::note_outcome(transaction, &event)?;
    transaction.execute("UPDATE jobs SET state = 'failed' WHERE job_id = ?1", [job_id])?;
    Ok(())
}

/// Makes those jobs due whose due time lies further ahead than any wait takes.
pub(super) fn end_waits_beyond(transaction: &Transaction<'_>, now: i64) -> Result<(), DatabaseError> {
    let longest = now + super::LONGEST_WAIT_MS;
    transaction
        .execute("UPDATE jobs SET due_ms = ?1 WHERE state = 'ready' AND due_ms > ?2", [now, longest])?;
    Ok(())
}

pub(super) fn next_due(connection: &Connection, steps: StepSet) -> Result<Option<i64>, DatabaseError> {
    let mut earliest: Option<i64> = None;
    let sql = "SELECT min(due_ms) FROM jobs WHERE state = 'ready' AND step = ?1 AND lane = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    for (step, lane) in steps.fresh_first() {
        let due: Option<i64> = statement.query_row([step.name(), lane.name()], |row| row.get(0))?;
        earliest = [earliest, due].into_iter().flatten().min();
    }
    Ok(earliest)
}

/// Writes the job back as ready, due at `due` (Unix time in milliseconds).
pub(super) fn update(
    transaction: &Transaction<'_>,
    job: &Job,
    body: &[u8],
    due: i64,
) -> Result<(), DatabaseError> {
    let sql = "UPDATE jobs SET state = 'ready', step = ?2, due_ms = ?3, redelivered = 0, body = ?4
         WHERE job_id = ?1";
    transaction.prepare_cached(sql)?.execute(params![job.job_id.0, job.step.name(), due, body])?;
    Ok(())
}

pub(super) fn delete(transaction: &Transaction<'_>, job: &JobId) -> Result<(), DatabaseError> {
    transaction.prepare_cached("DELETE FROM jobs WHERE job_id = ?1")?.execute([&job.0])?;
    Ok(())
}

pub(super) fn fail(transaction: &Transaction<'_>, job: &Job, body: &[u8]) -> Result<(), DatabaseError> {
    let sql = "UPDATE jobs SET state = 'failed', step = ?2, body = ?3 WHERE job_id = ?1";
    transaction.prepare_cached(sql)?.execute(params![job.job_id.0, job.step.name(), body])?;
    Ok(())
}

pub(super) fn depth(connection: &Connection, now: i64) -> Result<Depth, DatabaseError> {
    let mut depth = Depth::default();
    let mut statement = connection.prepare_cached(
        "SELECT state, step, lane, due_ms > ?1, count(*) FROM jobs GROUP BY state, step, lane, due_ms > ?1",
    )?;
    let mut rows = statement.query([now])?;
    while let Some(row) = rows.next()? {
        let count: u64 = row.get(4)?;
        match row.get::<_, String>(0)?.as_str() {
            "failed" => depth.failed += count,
            "in_flight" => depth.in_flight += count,
            "ready" if row.get::<_, bool>(3)? => depth.waiting += count,
            "ready" => {
                let (step, lane): (String, String) = (row.get(1)?, row.get(2)?);
                let (Some(known_step), Some(known_lane)) = (Step::named(&step), Lane::named(&lane)) else {
                    return Err(unknown(&format!("in the step {step:?} and the lane {lane:?}"), count));
                };
                depth.add_ready(known_step, known_lane, count);
            }
            state => return Err(unknown(&format!("in the state {state:?}"), count)),
        }
    }
    Ok(depth)
}

/// An error, because such a job is never delivered: if it were counted, a run would wait for it for ever.
fn unknown(place: &str, count: u64) -> DatabaseError {
    DatabaseError::Damaged(format!("{count} jobs are {place}, which this release does not know"))
}

pub(super) fn failed(
    connection: &Connection,
    filter: &FailedFilter,
) -> Result<Vec<FailedJob>, DatabaseError> {
    let mut found = Vec::new();
    each_failed(connection, filter, |row, event| {
        found.push(FailedJob { job: Job::decode(&body(row, 0)?).ok(), event, unreadable: None });
        Ok(found.len() < MOST_FAILED as usize)
    })?;
    Ok(found)
}

pub(super) fn select(connection: &Connection, filter: &FailedFilter) -> Result<Selection, DatabaseError> {
    let mut selected = Selection::new();
    each_failed(connection, filter, |_, event| {
        selected.insert(event.job_id, Records { seen: [event.at].into(), latest: Some(event.at) });
        Ok(true)
    })?;
    Ok(selected)
}

/// Calls `found` with each matching failed job, oldest first, until it returns false.
fn each_failed(
    connection: &Connection,
    filter: &FailedFilter,
    mut found: impl FnMut(&Row<'_>, OutcomeEvent) -> Result<bool, DatabaseError>,
) -> Result<(), DatabaseError> {
    let mut statement = connection.prepare_cached(
        "SELECT body, job_id FROM jobs WHERE state = 'failed' AND (?1 IS NULL OR job_id = ?1) AND (?2 IS NULL OR asset_id = ?2)
         ORDER BY sequence",
    )?;
    let job = filter.job.as_ref().map(|job| job.0.as_str());
    let asset = filter.asset.as_ref().map(AssetId::as_str);
    let mut rows = statement.query(params![job, asset])?;
    while let Some(row) = rows.next()? {
        let job_id = JobId(row.get(1)?);
        let event = ledger::last_outcome(connection, &job_id)?
            .ok_or_else(|| DatabaseError::Damaged(format!("the failed job {job_id} has no outcome")))?;
        if filter.matches(&event) && !found(row, event)? {
            break;
        }
    }
    Ok(())
}

pub(super) fn replay(transaction: &Transaction<'_>, job_id: &JobId, now: i64) -> Result<bool, DatabaseError> {
    let body = transaction
        .query_row("SELECT body FROM jobs WHERE job_id = ?1 AND state = 'failed'", [&job_id.0], |row| {
            body(row, 0)
        })
        .optional()?;
    let Some(mut job) = body.and_then(|body| Job::decode(&body).ok()) else { return Ok(false) };
    job.forget_attempts();
    let body = job.encode().map_err(|error| DatabaseError::Damaged(error.to_string()))?;
    update(transaction, &job, &body, now)?;
    ledger::note_replayed(transaction, job_id)?;
    Ok(true)
}

pub(super) fn forget(transaction: &Transaction<'_>, job_id: &JobId) -> Result<bool, DatabaseError> {
    ledger::note_dropped(transaction, job_id)?;
    discard(transaction, job_id)
}

pub(super) fn discard(transaction: &Transaction<'_>, job_id: &JobId) -> Result<bool, DatabaseError> {
    let deleted =
        transaction.execute("DELETE FROM jobs WHERE job_id = ?1 AND state = 'failed'", [&job_id.0])?;
    Ok(deleted > 0)
}
