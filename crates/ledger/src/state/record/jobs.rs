//! Jobs as rows.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::codes::of_lane;
use super::packed::{Form, Packed, unpacked};
use super::row::{COLUMNS, JOINED, JobRow, Recorded};
use crate::state::DatabaseError;
use common::asset::AssetId;
use common::job::{JobId, Lane, RunId};
use common::outcome::OutcomeEvent;

/// The state of a published job.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flags {
    pub(crate) lane: i64,
    pub(crate) open: bool,
    pub(crate) confirmed: bool,
    pub(crate) lost: bool,
}

/// Adds a job that is not recorded; returns its number and its asset's.
pub(crate) fn insert(
    transaction: &Transaction<'_>,
    job_id: &JobId,
    run_id: &RunId,
    asset_id: &str,
    base: u32,
    at_ms: Option<i64>,
    flags: Flags,
) -> Result<(i64, i64), DatabaseError> {
    let run =
        "INSERT INTO run_jobs (run_id) VALUES (?1) ON CONFLICT DO UPDATE SET run_id = run_id RETURNING run";
    let run: i64 = transaction.prepare_cached(run)?.query_row([&run_id.0], |row| row.get(0))?;
    let known = "SELECT asset, last_job FROM assets WHERE asset_id = ?1";
    let key = Packed(Form::Asset, asset_id);
    let known: Option<(i64, i64)> = transaction
        .prepare_cached(known)?
        .query_row([&key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (asset, before) = match known {
        Some(known) => known,
        None => transaction
            .prepare_cached("INSERT INTO assets (asset_id) VALUES (?1) RETURNING asset, last_job")?
            .query_row([&key], |row| Ok((row.get(0)?, row.get(1)?)))?,
    };
    let sql = "INSERT INTO published (job_id, run, asset, before, base, at_ms, lane, open, confirmed, lost)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let job = transaction.prepare_cached(sql)?.insert(params![
        Packed(Form::Job, &job_id.0),
        run,
        asset,
        before,
        base,
        at_ms,
        flags.lane,
        flags.open,
        flags.confirmed,
        flags.lost,
    ])?;
    Ok((job, asset))
}

/// The job with this id.
pub(crate) fn find(connection: &Connection, job_id: &JobId) -> Result<Option<JobRow>, DatabaseError> {
    let sql = "SELECT job, run_id, asset_id, last
               FROM published CROSS JOIN run_jobs USING (run) CROSS JOIN assets USING (asset) WHERE job_id = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([Packed(Form::Job, &job_id.0)])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let last: i64 = row.get(3)?;
    Ok(Some(JobRow {
        job: row.get(0)?,
        run_id: RunId(row.get(1)?),
        asset_id: asset(row, 2)?,
        last: (last >= 0).then_some(last),
    }))
}

/// The asset id in this column.
pub(crate) fn asset(row: &Row<'_>, column: usize) -> Result<AssetId, DatabaseError> {
    let text = unpacked(row, column, Form::Asset)?;
    text.parse().map_err(|_| DatabaseError::Damaged(format!("asset {text:?}")))
}

/// The job of an outcome. One that was never published is added, without a time of its publishing.
pub(crate) fn find_or_insert(
    transaction: &Transaction<'_>,
    job_id: &JobId,
    run_id: &RunId,
    asset_id: &AssetId,
    base: u32,
) -> Result<JobRow, DatabaseError> {
    if let Some(job) = find(transaction, job_id)? {
        return Ok(job);
    }
    let flags = Flags { lane: of_lane(Lane::Backlog), open: false, confirmed: true, lost: false };
    let (job, _) = insert(transaction, job_id, run_id, asset_id.as_str(), base, None, flags)?;
    Ok(JobRow { job, run_id: run_id.clone(), asset_id: asset_id.clone(), last: None })
}

/// The outcome with this number.
pub(crate) fn outcome(connection: &Connection, sequence: i64) -> Result<OutcomeEvent, DatabaseError> {
    let sql = format!("SELECT {COLUMNS} FROM {JOINED} WHERE sequence = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([sequence])?;
    let row = rows.next()?.ok_or_else(|| DatabaseError::Damaged(format!("no outcome {sequence}")))?;
    Ok(Recorded::read(row)?.event)
}
