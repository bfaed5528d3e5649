//! Converts the rows of earlier formats, which held ids, names and events as text.

use std::time::{Duration, Instant};

use rusqlite::types::FromSql;
use rusqlite::{Connection, Row, Transaction, TransactionBehavior, params};

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

/// Converts all rows; returns false if the process was asked to stop, which it does after a batch. What was converted before the
/// process died is not converted again: a row is deleted from the old table with the transaction that adds it to the new one.
pub(super) fn convert(connection: &mut Connection) -> Result<bool, DatabaseError> {
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
        if tasks::is_stopping() {
            return Ok(false);
        }
        if logged.elapsed() >= PACE {
            logged = Instant::now();
            tracing::info!(left = left(connection)?, of = rows, "converting the record");
        }
    }
    Ok(true)
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

/// A job or an outcome of an earlier format. Its columns 1 to 5 are these.
struct Before<T> {
    id: JobId,
    run: RunId,
    asset: AssetId,
    base: u32,
    at_ms: i64,
    more: T,
}

impl<T> Before<T> {
    fn read(row: &Row<'_>, more: T, other: Option<AssetId>) -> Result<Self, String> {
        let asset =
            column(row, 3).and_then(|id: String| id.parse().map_err(|_| "no asset has this id".to_owned()));
        let asset = asset.or_else(|reason| other.ok_or(reason))?;
        let (id, run) = (JobId(column(row, 1)?), RunId(column(row, 2)?));
        Ok(Self { id, run, asset, base: column(row, 4)?, at_ms: column(row, 5)?, more })
    }
}

fn jobs(transaction: &Transaction<'_>) -> Result<usize, DatabaseError> {
    let mut statement = transaction.prepare_cached(
        "SELECT rowid, job_id, run_id, asset_id, base, at_ms, lane, open, confirmed, lost FROM published_before
         ORDER BY rowid LIMIT ?1",
    )?;
    let read = |row: &Row<'_>| {
        let lane = Lane::named(&column::<String>(row, 6)?).ok_or("there is no such lane")?;
        let [open, confirmed, lost] = [column(row, 7)?, column(row, 8)?, column(row, 9)?];
        Before::read(row, Flags { lane: of_lane(lane), open, confirmed, lost }, None)
    };
    let mut rows = statement.query([BATCH])?;
    let mut last: Option<i64> = None;
    while let Some(row) = rows.next()? {
        last = Some(row.get(0)?);
        match read(row) {
            Ok(Before { id, run, asset, base, at_ms, more }) => {
                insert(transaction, &id, &run, asset.as_str(), base, Some(at_ms), more)?;
            }
            Err(reason) => set_aside(transaction, "published", row, &reason)?,
        }
    }
    delete(transaction, "DELETE FROM published_before WHERE rowid <= ?1", last)
}

fn outcomes(transaction: &Transaction<'_>) -> Result<usize, DatabaseError> {
    let mut statement = transaction.prepare_cached(
        "SELECT sequence, job_id, run_id, asset_id, base, at_ms, event FROM outcomes_before ORDER BY sequence LIMIT ?1",
    )?;
    let read = |row: &Row<'_>| {
        let text: String = column(row, 6)?;
        let event = serde_json::from_str::<OutcomeEvent>(&text).map_err(|_| text);
        let asset = event.as_ref().ok().map(|event| event.asset_id.clone());
        Before::read(row, event, asset)
    };
    let mut rows = statement.query([BATCH])?;
    let mut last: Option<i64> = None;
    while let Some(row) = rows.next()? {
        last = Some(row.get(0)?);
        match read(row) {
            Ok(Before { id, run, asset, base, at_ms, more }) => {
                let job = find_or_insert(transaction, &id, &run, &asset, base)?;
                match more {
                    Ok(event) => append(transaction, &job, &event)?,
                    Err(text) => append_unreadable(transaction, &job, (base, at_ms), text)?,
                }
            }
            Err(reason) => set_aside(transaction, "outcomes", row, &reason)?,
        }
    }
    delete(transaction, "DELETE FROM outcomes_before WHERE sequence <= ?1", last)
}

/// The value of a column, or why it cannot be read.
fn column<T: FromSql>(row: &Row<'_>, number: usize) -> Result<T, String> {
    row.get(number).map_err(|error| error.to_string())
}

/// Keeps a row that cannot be read, as it is, in a table of its own.
fn set_aside(
    transaction: &Transaction<'_>,
    table: &str,
    row: &Row<'_>,
    reason: &str,
) -> Result<(), DatabaseError> {
    let sql = format!("INSERT INTO {table}_unreadable SELECT * FROM {table}_before WHERE rowid = ?1");
    transaction.prepare_cached(&sql)?.execute([row.get::<_, i64>(0)?])?;
    let (key, job) = (transaction.last_insert_rowid(), row.get::<_, String>(1).unwrap_or_default());
    tracing::warn!(
        table = format!("{table}_unreadable"), key, job_id = %JobId::shortened(&job), reason,
        "a row of the record cannot be read by this release, and is kept as it is"
    );
    Ok(())
}

/// Deletes what is converted; returns how many rows that were.
fn delete(transaction: &Transaction<'_>, sql: &str, last: Option<i64>) -> Result<usize, DatabaseError> {
    let Some(last) = last else { return Ok(0) };
    Ok(transaction.prepare_cached(sql)?.execute(params![last])?)
}
