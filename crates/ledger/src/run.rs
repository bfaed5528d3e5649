//! Runs of the producer: begun, interrupted, resumed, finished.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use super::{Ledger, read_cursor, write_cursor};
use crate::state::DatabaseError;
use crate::state::record::{Kind, nanoseconds};
use common::job::RunId;

/// The name of the fact: how many delta runs published nothing.
const EMPTY_RUNS: &str = "empty_runs";

/// What a run covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum RunMode {
    /// The whole library.
    Full,
    /// Assets modified since the last finished run.
    Delta,
}

impl RunMode {
    /// The mode's name in the ledger, the summary and metrics.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// The mode's stored name. A run narrowed on the command line has a name of its own: it does not count as a run over
/// everything, and neither ends nor resumes one.
fn recorded(mode: RunMode, is_part: bool) -> &'static str {
    match (mode, is_part) {
        (_, false) => mode.name(),
        (RunMode::Full, true) => "full_part",
        (RunMode::Delta, true) => "delta_part",
    }
}

/// How a run's walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// The walk reached the end of the library.
    Enumerated,
    /// The walk was stopped earlier: by a limit, or in favour of another run.
    Stopped,
}

/// A run that was interrupted during its walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its id; the same run id gives the same job ids.
    pub run_id: RunId,
    /// When it started, by the portal's clock.
    pub started: Timestamp,
    /// The producer's position; absent before the first page.
    pub checkpoint: Option<String>,
}

/// The status of a run, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunStatus {
    /// The run's id.
    pub run_id: String,
    /// `full` or `delta`; `full_part` or `delta_part` if the command line narrowed it.
    pub mode: String,
    /// When it started, by the portal's clock.
    pub started: String,
    /// `enumerating`, `enumerated` or `stopped`.
    pub state: String,
    /// Jobs published.
    pub published: u64,
    /// Jobs without an outcome.
    pub open: u64,
    /// Jobs that failed.
    pub failed: u64,
    /// Assets without a job because the wire profile does not list the file type of their extension.
    pub unsupported: u64,
}

impl Ledger {
    /// Records the start of a run, unless it is recorded already. An interrupted run of the same mode that is not
    /// resumed counts as stopped.
    pub async fn begin_run_if_new(
        &self,
        run: &RunId,
        mode: RunMode,
        is_part: bool,
        fingerprint: &str,
        started: Timestamp,
    ) -> Result<(), DatabaseError> {
        let (run, fingerprint) = (run.to_string(), fingerprint.to_owned());
        let mode = recorded(mode, is_part);
        self.state
            .write(move |transaction| {
                transaction.execute(
                    "UPDATE runs SET state = 'stopped' WHERE state = 'enumerating' AND mode = ?2 AND run_id <> ?1",
                    [run.as_str(), mode],
                )?;
                transaction.execute(
                    "INSERT OR IGNORE INTO runs (run_id, mode, fingerprint, started, state) VALUES (?1, ?2, ?3, ?4, 'enumerating')",
                    params![run, mode, fingerprint, started.to_string()],
                )?;
                Ok(())
            })
            .await
    }

    /// The interrupted run over the same assets, if there is one.
    pub async fn interrupted_run(
        &self,
        mode: RunMode,
        is_part: bool,
        fingerprint: &str,
    ) -> Result<Option<Run>, DatabaseError> {
        let (mode, fingerprint) = (recorded(mode, is_part), fingerprint.to_owned());
        self.state
            .read(move |connection| {
                let mut statement = connection.prepare_cached(
                    "SELECT run_id, started, checkpoint FROM runs
                     WHERE state = 'enumerating' AND mode = ?1 AND fingerprint = ?2",
                )?;
                let row = statement
                    .query_row(params![mode, fingerprint], |row| {
                        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get(2)?))
                    })
                    .optional()?;
                let Some((run_id, started, checkpoint)) = row else { return Ok(None) };
                let started =
                    started.parse().map_err(|_| DatabaseError::Damaged(format!("start of run {run_id}")))?;
                Ok(Some(Run { run_id: RunId(run_id), started, checkpoint }))
            })
            .await
    }

    /// The latest runs, newest first.
    pub async fn latest_runs(&self, count: u32) -> Result<Vec<RunStatus>, DatabaseError> {
        self.state
            .read(move |connection| {
                let mut statement = connection.prepare_cached(
                    "SELECT run_id, mode, started, state, coalesce(published, 0), coalesce(open, 0),
                            (SELECT coalesce(sum(jobs), 0) FROM run_outcomes
                             WHERE run_outcomes.run = run_jobs.run AND outcome >= 16),
                            unsupported
                     FROM runs LEFT JOIN run_jobs USING (run_id) ORDER BY runs.rowid DESC LIMIT ?1",
                )?;
                let runs = statement.query_map([count], |row| {
                    Ok(RunStatus {
                        run_id: row.get(0)?,
                        mode: row.get(1)?,
                        started: row.get(2)?,
                        state: row.get(3)?,
                        published: row.get(4)?,
                        open: row.get(5)?,
                        failed: row.get(6)?,
                        unsupported: row.get(7)?,
                    })
                })?;
                Ok(runs.collect::<Result<_, _>>()?)
            })
            .await
    }

    /// How many delta runs published nothing.
    pub async fn empty_runs(&self) -> Result<u64, DatabaseError> {
        self.count("SELECT CAST(value AS INTEGER) FROM facts WHERE name = ?1", EMPTY_RUNS.to_owned()).await
    }

    /// A run's failed jobs, by failure class.
    pub async fn failures_of(&self, run: &str) -> Result<BTreeMap<String, u64>, DatabaseError> {
        let run = run.to_owned();
        self.state
            .read(move |connection| {
                let mut statement = connection.prepare_cached(
                    "SELECT outcome, jobs FROM run_outcomes JOIN run_jobs USING (run)
                     WHERE run_id = ?1 AND outcome >= 16 AND jobs > 0",
                )?;
                let mut rows = statement.query([run])?;
                let mut classes = BTreeMap::new();
                while let Some(row) = rows.next()? {
                    if let Some(Kind::Failed(class)) = Kind::of(row.get(0)?) {
                        classes.insert(class.name().to_owned(), row.get(1)?);
                    }
                }
                Ok(classes)
            })
            .await
    }

    /// The number of jobs that ended since a time, and when the first of them did.
    pub async fn ended_since(&self, since: Timestamp) -> Result<(u64, Option<Timestamp>), DatabaseError> {
        let sql = "SELECT count(DISTINCT job), min(at) FROM outcomes WHERE at >= ?1
                   AND sequence >= (SELECT min(first) FROM outcome_hours WHERE hour BETWEEN ?1 / 3600000000000 AND max(?1 / 3600000000000, unixepoch() / 3600) + 24)";
        self.state
            .read(move |connection| {
                let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?));
                let (count, first) = connection.prepare_cached(sql)?.query_row([nanoseconds(since)], row)?;
                Ok((count, first.and_then(|at| Timestamp::from_nanosecond(at.into()).ok())))
            })
            .await
    }

    /// When the last finished walk over the whole library started, or the very first run if no walk is finished; `None`
    /// without any run.
    pub async fn last_full_run(&self) -> Result<Option<Timestamp>, DatabaseError> {
        let sql = "SELECT coalesce(
                (SELECT started FROM runs WHERE mode = ?1 AND state = 'enumerated' ORDER BY rowid DESC LIMIT 1),
                (SELECT started FROM runs ORDER BY rowid LIMIT 1))";
        let started = self
            .state
            .read(move |connection| {
                let found =
                    connection.prepare_cached(sql)?.query_row([RunMode::Full.name()], |row| row.get(0))?;
                Ok::<Option<String>, _>(found)
            })
            .await?;
        started
            .map(|text| text.parse().map_err(|_| DatabaseError::Damaged(format!("run {text:?}"))))
            .transpose()
    }

    /// Whether a walk over the whole library is unfinished.
    pub async fn full_run_interrupted(&self) -> Result<bool, DatabaseError> {
        let sql = "SELECT 1 FROM runs WHERE state = 'enumerating' AND mode = ?1";
        self.state
            .read(move |connection| Ok(connection.prepare_cached(sql)?.exists([RunMode::Full.name()])?))
            .await
    }

    /// When the current walk over the whole library started.
    pub async fn full_run_started(&self) -> Result<Option<Timestamp>, DatabaseError> {
        let sql = "SELECT started FROM runs WHERE state = 'enumerating' AND mode = ?1";
        self.state
            .read(move |connection| {
                let started: Option<String> =
                    connection.query_row(sql, [RunMode::Full.name()], |row| row.get(0)).optional()?;
                Ok(started.and_then(|started| started.parse().ok()))
            })
            .await
    }

    /// Records a run's position: everything before it is published. Adds `unsupported` to the run's count.
    pub async fn checkpoint(
        &self,
        run: &RunId,
        checkpoint: String,
        unsupported: u64,
    ) -> Result<(), DatabaseError> {
        let run = run.to_string();
        self.state
            .write(move |transaction| {
                let sql = "UPDATE runs SET checkpoint = ?2, unsupported = unsupported + ?3 WHERE run_id = ?1";
                transaction.execute(sql, params![run, checkpoint, unsupported])?;
                Ok(())
            })
            .await
    }

    /// Ends a run's walk, and adds `unsupported` to its count. Only a complete walk over everything moves the cursor,
    /// since the next run must find what another one left out.
    pub async fn end_walk(
        &self,
        run: &RunId,
        state: RunState,
        cursor: Option<Timestamp>,
        unsupported: u64,
    ) -> Result<(), DatabaseError> {
        let run = run.to_string();
        self.state
            .write(move |transaction| {
                let name = match state {
                    RunState::Enumerated => "enumerated",
                    RunState::Stopped => "stopped",
                };
                let sql = "UPDATE runs SET state = ?2, unsupported = unsupported + ?3 WHERE run_id = ?1";
                transaction.execute(sql, params![run, name, unsupported])?;
                forget_empty_before(transaction, &run)?;
                if let (RunState::Enumerated, Some(cursor)) = (state, cursor) {
                    // A delta run may have ended during this walk.
                    let known = read_cursor(transaction)?;
                    write_cursor(transaction, known.max(Some(cursor)))?;
                }
                Ok(())
            })
            .await
    }
}

/// Of consecutive delta runs that published nothing, only the latest keeps its row; all are counted. Otherwise a run
/// every half minute would leave a million rows a year. The first delta run keeps its row: it shows since when the
/// library is protected.
fn forget_empty_before(transaction: &Transaction<'_>, run: &str) -> Result<(), DatabaseError> {
    let is_empty =
        "SELECT 1 FROM runs WHERE run_id = ?1 AND mode = 'delta' AND state = 'enumerated' AND unsupported = 0
                    AND NOT EXISTS (SELECT 1 FROM run_jobs WHERE run_jobs.run_id = runs.run_id)";
    let mut is_empty = transaction.prepare_cached(is_empty)?;
    if !is_empty.exists([run])? {
        return Ok(());
    }
    let sql = "INSERT INTO facts (name, value) VALUES (?1, '1') ON CONFLICT DO UPDATE SET value = value + 1";
    transaction.prepare_cached(sql)?.execute([EMPTY_RUNS])?;
    let sql = "SELECT run_id FROM runs AS earlier WHERE rowid < (SELECT rowid FROM runs WHERE run_id = ?1)
               AND rowid > (SELECT min(rowid) FROM runs WHERE mode = 'delta') ORDER BY rowid DESC LIMIT 1";
    let before: Option<String> =
        transaction.prepare_cached(sql)?.query_row([run], |row| row.get(0)).optional()?;
    if let Some(before) = before
        && is_empty.exists([&before])?
    {
        transaction.execute("DELETE FROM runs WHERE run_id = ?1", [before])?;
    }
    Ok(())
}
