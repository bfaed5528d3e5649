//! The tables, as a list of migrations from each format to the next. A released migration never changes.

use std::collections::BTreeSet;

use rusqlite::{Connection, TransactionBehavior};

use super::{DatabaseError, conversion, settle, sort_on_disk};

/// The format of a file whose rows are being converted. The next format has all of them converted.
pub(super) const CONVERTING: u32 = 9;

const STEPS: [&str; 12] = [
    "
    -- One row a job that is not done: waiting, in flight, or failed and replayable.
    CREATE TABLE jobs (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        job_id TEXT NOT NULL UNIQUE,
        run_id TEXT NOT NULL,
        asset_id TEXT NOT NULL,
        step TEXT NOT NULL,
        lane TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('ready', 'in_flight', 'failed')),
        due_ms INTEGER NOT NULL,
        deliveries INTEGER NOT NULL DEFAULT 0,
        redelivered INTEGER NOT NULL DEFAULT 0,
        body BLOB NOT NULL
    );
    CREATE INDEX jobs_by_turn ON jobs (state, step, lane, due_ms);

    -- One row a job ever published; open until it has an outcome.
    CREATE TABLE published (
        job_id TEXT PRIMARY KEY,
        run_id TEXT NOT NULL,
        asset_id TEXT NOT NULL,
        base INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        open INTEGER NOT NULL DEFAULT 1
    );
    CREATE INDEX published_open ON published (asset_id) WHERE open = 1;
    CREATE INDEX published_by_time ON published (at_ms);

    -- Append-only: one row an outcome event.
    CREATE TABLE outcomes (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        job_id TEXT NOT NULL,
        run_id TEXT NOT NULL,
        asset_id TEXT NOT NULL,
        outcome TEXT NOT NULL,
        base INTEGER NOT NULL,
        original TEXT,
        watermarked TEXT,
        bytes_downloaded INTEGER NOT NULL,
        bytes_uploaded INTEGER NOT NULL,
        event TEXT NOT NULL
    );
    CREATE INDEX outcomes_by_asset ON outcomes (asset_id, sequence);
    CREATE INDEX outcomes_by_run ON outcomes (run_id);
    CREATE INDEX outcomes_by_original ON outcomes (original);
    CREATE INDEX outcomes_by_watermarked ON outcomes (watermarked);

    CREATE TABLE runs (
        run_id TEXT PRIMARY KEY,
        mode TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        started TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('enumerating', 'enumerated', 'stopped')),
        checkpoint TEXT
    );

    -- Single values, such as the delta cursor.
    CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);

    -- Active versions that the listing did not tell.
    CREATE TABLE versions (asset_id TEXT PRIMARY KEY, modified TEXT NOT NULL, version INTEGER NOT NULL);
",
    "
    -- Whether the queue has taken the job; one that it may not have taken is published again.
    ALTER TABLE published ADD COLUMN confirmed INTEGER NOT NULL DEFAULT 1;
    -- A job that waits in the backlog does not keep its asset from being protected sooner.
    ALTER TABLE published ADD COLUMN lane TEXT NOT NULL DEFAULT 'backlog';
",
    "
    -- Reports go by the time a job ended.
    ALTER TABLE outcomes ADD COLUMN at_ms INTEGER NOT NULL DEFAULT 0;
    UPDATE outcomes SET at_ms = CAST(round(unixepoch(json_extract(event, '$.at'), 'subsec') * 1000) AS INTEGER);
    CREATE INDEX outcomes_by_time ON outcomes (at_ms);
    CREATE INDEX outcomes_by_job ON outcomes (job_id, sequence);

    -- Rows of the ledger never change.
    CREATE TRIGGER outcomes_stay BEFORE UPDATE ON outcomes
        BEGIN SELECT raise(ABORT, 'the ledger is append-only'); END;
    CREATE TRIGGER outcomes_are_kept BEFORE DELETE ON outcomes
        BEGIN SELECT raise(ABORT, 'the ledger is append-only'); END;
",
    "
    -- Append-only: one row each time the library was held against its markers.
    CREATE TABLE verifications (sequence INTEGER PRIMARY KEY AUTOINCREMENT, result TEXT NOT NULL);
    CREATE TRIGGER verifications_stay BEFORE UPDATE ON verifications
        BEGIN SELECT raise(ABORT, 'the ledger is append-only'); END;
    CREATE TRIGGER verifications_are_kept BEFORE DELETE ON verifications
        BEGIN SELECT raise(ABORT, 'the ledger is append-only'); END;
",
    "
    -- Append-only: one row each time putting an original back is begun or comes to an end.
    CREATE TABLE restorations (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        run_id TEXT NOT NULL,
        asset_id TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        event TEXT NOT NULL
    );
    CREATE INDEX restorations_by_asset ON restorations (asset_id, sequence);
    CREATE TRIGGER restorations_stay BEFORE UPDATE ON restorations
        BEGIN SELECT raise(ABORT, 'the ledger is append-only'); END;
    CREATE TRIGGER restorations_are_kept BEFORE DELETE ON restorations
        BEGIN SELECT raise(ABORT, 'the ledger is append-only'); END;
",
    "
    -- A job that was given up without an outcome belongs to the producer until its asset was decided on again. Those that
    -- an earlier release gave up count as well, unless something was noted of the asset since.
    ALTER TABLE published ADD COLUMN lost INTEGER NOT NULL DEFAULT 0;
    UPDATE published SET lost = 1 WHERE open = 0
        AND NOT EXISTS (SELECT 1 FROM outcomes
            WHERE outcomes.asset_id = published.asset_id
            AND (outcomes.job_id = published.job_id OR outcomes.at_ms >= published.at_ms))
        AND NOT EXISTS (SELECT 1 FROM published AS later WHERE later.asset_id = published.asset_id AND later.open = 1);
    CREATE INDEX published_lost ON published (asset_id) WHERE lost = 1;
    CREATE INDEX published_open_by_time ON published (at_ms) WHERE open = 1;
    -- Failures are few, and are looked for among all outcomes.
    CREATE INDEX outcomes_failed ON outcomes (asset_id, sequence) WHERE outcome = 'failed';
",
    "
    -- Assets that got no job, since the wire profile does not list the type that their extension names.
    ALTER TABLE runs ADD COLUMN unsupported INTEGER NOT NULL DEFAULT 0;
",
    include_str!("counts.sql"),
    include_str!("compact.sql"),
    include_str!("converted.sql"),
    include_str!("acts.sql"),
    include_str!("asset_counts.sql"),
];

/// The format that this release writes.
pub(crate) fn newest() -> u32 {
    u32::try_from(STEPS.len()).unwrap_or(u32::MAX)
}

/// Makes the tables of format 8, as the release before this one did.
#[cfg(test)]
pub(super) fn make_before(connection: &mut Connection) {
    (1..CONVERTING).try_for_each(|format| step(connection, format)).unwrap();
}

/// Compares the tables, indexes, views and triggers of a file with those of its format: the first that differs, by kind and name.
/// Another release of SQLite may add statistics of its own.
pub(crate) fn foreign(connection: &Connection, format: u32) -> Result<Option<String>, DatabaseError> {
    let mut own = Connection::open_in_memory()?;
    (1..=format).try_for_each(|format| step(&mut own, format))?;
    let [found, known] = [objects(connection)?, objects(&own)?];
    Ok(found.symmetric_difference(&known).next().map(|(kind, name, _)| format!("{kind} {name:?}")))
}

/// Kind, name and statement of each object but SQLite's own statistics. A trigger can have a reserved name, if the table of
/// objects was written by hand.
fn objects(connection: &Connection) -> rusqlite::Result<BTreeSet<(String, String, String)>> {
    let sql = "SELECT type, name, coalesce(sql, '') FROM sqlite_schema
        WHERE (type, name, coalesce(sql, '')) NOT IN (VALUES
            ('table', 'sqlite_stat1', 'CREATE TABLE sqlite_stat1(tbl,idx,stat)'),
            ('table', 'sqlite_stat4', 'CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)'))";
    let mut statement = connection.prepare(sql)?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
}

/// Migrates the file from format `from` to the newest; each migration is applied completely or not at all, and rows are converted
/// in batches, each of which stays converted if the process dies. Returns false if the process was asked to stop before the end.
pub(super) fn migrate(connection: &mut Connection, from: u32) -> Result<bool, DatabaseError> {
    for format in from + 1..=newest() {
        if format == CONVERTING + 1 && !conversion::convert(connection)? {
            return Ok(false);
        }
        // Only while indexes are made: each converted row would open a file of its own.
        sort_on_disk(connection)?;
        let stepped = step(connection, format);
        settle(connection)?;
        stepped?;
    }
    Ok(true)
}

/// Brings a file of the format before to this one.
pub(super) fn step(connection: &mut Connection, format: u32) -> Result<(), DatabaseError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(STEPS[format as usize - 1])?;
    transaction.pragma_update(None, "user_version", format)?;
    Ok(transaction.commit()?)
}
