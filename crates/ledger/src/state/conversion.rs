//! Converts the rows of earlier formats, which held ids, names and events as text.

use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::DatabaseError;
use super::record::{Flags, append, append_unreadable, find_or_insert, insert, of_lane};
use common::asset::AssetId;
use common::fault;
use common::job::{JobId, Lane, RunId};
use common::outcome::OutcomeEvent;

/// Rows of one transaction.
const BATCH: u32 = 5_000;
/// How often to log how many rows are left.
const PACE: Duration = Duration::from_secs(5);

/// Converts all rows. What was converted before the process died is not converted again: a row is deleted from the old table with
/// the transaction that adds it to the new one.
pub(super) fn convert(connection: &mut Connection) -> Result<(), DatabaseError> {
    let rows = left(connection)?;
    if rows >= u64::from(BATCH) {
        tracing::info!(
            rows,
            "converting the record to the format of this release; it continues if it is interrupted"
        );
    }
    let mut logged = Instant::now();
    while batch(connection)? {
        fault::crash_point("conversion.batch");
        if logged.elapsed() >= PACE {
            logged = Instant::now();
            tracing::info!(left = left(connection)?, of = rows, "converting the record");
        }
    }
    Ok(())
}

/// How many rows there are to convert, without counting them.
fn left(connection: &Connection) -> Result<u64, DatabaseError> {
    // Each end by a query of its own: with both in one, SQLite reads the whole table.
    let end = |sql| connection.query_row(sql, [], |row| row.get::<_, Option<u64>>(0));
    let mut rows = 0;
    for [first, last] in [
        ["SELECT min(rowid) FROM published_before", "SELECT max(rowid) FROM published_before"],
        ["SELECT min(sequence) FROM outcomes_before", "SELECT max(sequence) FROM outcomes_before"],
    ] {
        rows += end(last)?.zip(end(first)?).map_or(0, |(last, first)| last - first + 1);
    }
    Ok(rows)
}

/// Converts some rows, jobs first; returns whether there were any.
pub(super) fn batch(connection: &mut Connection) -> Result<bool, DatabaseError> {
    // Immediate: another process that writes in between makes this one wait, not fail.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let any = match jobs(&transaction)? {
        0 => outcomes(&transaction)? > 0,
        _ => true,
    };
    transaction.commit()?;
    Ok(any)
}

fn jobs(transaction: &Transaction<'_>) -> Result<usize, DatabaseError> {
    let mut statement = transaction.prepare_cached(
        "SELECT rowid, job_id, run_id, asset_id, base, at_ms, lane, open, confirmed, lost FROM published_before
         ORDER BY rowid LIMIT ?1",
    )?;
    let mut rows = statement.query([BATCH])?;
    let mut last: Option<i64> = None;
    while let Some(row) = rows.next()? {
        last = Some(row.get(0)?);
        let (job, run) = (JobId(row.get(1)?), RunId(row.get(2)?));
        let lane: String = row.get(6)?;
        let lane = Lane::named(&lane).ok_or_else(|| DatabaseError::Damaged(format!("lane {lane:?}")))?;
        let flags =
            Flags { lane: of_lane(lane), open: row.get(7)?, confirmed: row.get(8)?, lost: row.get(9)? };
        let asset: String = row.get(3)?;
        insert(transaction, &job, &run, &asset, row.get(4)?, row.get(5)?, flags)?;
    }
    delete(transaction, "DELETE FROM published_before WHERE rowid <= ?1", last)
}

fn outcomes(transaction: &Transaction<'_>) -> Result<usize, DatabaseError> {
    let mut statement = transaction.prepare_cached(
        "SELECT sequence, job_id, run_id, asset_id, base, at_ms, event FROM outcomes_before ORDER BY sequence LIMIT ?1",
    )?;
    let mut rows = statement.query([BATCH])?;
    let mut last: Option<i64> = None;
    while let Some(row) = rows.next()? {
        last = Some(row.get(0)?);
        let text: String = row.get(6)?;
        let (job, run, base) = (JobId(row.get(1)?), RunId(row.get(2)?), row.get(4)?);
        let asset: String = row.get(3)?;
        let asset = asset.parse().unwrap_or_else(|_| AssetId::unknown());
        let job = find_or_insert(transaction, &job, &run, &asset, base)?;
        match serde_json::from_str::<OutcomeEvent>(&text) {
            Ok(event) => append(transaction, &job, &event)?,
            Err(_) => append_unreadable(transaction, &job, (base, row.get(5)?), text)?,
        }
    }
    delete(transaction, "DELETE FROM outcomes_before WHERE sequence <= ?1", last)
}

/// Deletes what is converted; returns how many rows that were.
fn delete(transaction: &Transaction<'_>, sql: &str, last: Option<i64>) -> Result<usize, DatabaseError> {
    let Some(last) = last else { return Ok(0) };
    Ok(transaction.prepare_cached(sql)?.execute(params![last])?)
}
