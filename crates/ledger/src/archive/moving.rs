//! Moves outcomes of ended jobs into files.

use std::cmp::Reverse;
use std::io;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::file;
use crate::Ledger;
use crate::state::DatabaseError;
use crate::state::record::{COLUMNS, JOINED, Recorded, nanoseconds};
use common::fault;

/// The name of the fact: the file that is being written. Rows can be deleted only while it is there.
const ARCHIVING: &str = "archiving";
/// Jobs of one file.
const BATCH: u32 = 10_000;
/// How often to log progress.
const PACE: Duration = Duration::from_secs(5);

/// What ended later stays: a copy of an outcome may still be on its way, which is recognised by the record of its job. A job lives
/// at most 25 hours.
pub const YOUNGEST: SignedDuration = SignedDuration::from_hours(48);

/// What was moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moved {
    pub jobs: u64,
    pub outcomes: u64,
    pub files: u64,
}

/// A job to move.
struct Candidate {
    job: i64,
    asset: i64,
    last: i64,
}

/// Jobs to move, and their outcomes.
struct Batch {
    candidates: Vec<Candidate>,
    rows: Vec<Recorded>,
    /// The last job that was considered.
    until: i64,
}

impl Ledger {
    /// Moves the outcomes of jobs that ended before a time into compressed files. These stay: the latest outcome of each asset, jobs
    /// that failed and may be replayed, jobs without an outcome, and those of a run that may resume.
    pub async fn archive(&self, before: Timestamp) -> Result<Moved, DatabaseError> {
        self.clean_up().await?;
        let (mut moved, mut after, mut logged) = (Moved::default(), 0, Instant::now());
        loop {
            let batch = self.state.read(move |connection| select(connection, before, after)).await?;
            let Some(batch) = batch else { return Ok(moved) };
            after = batch.until;
            if batch.rows.is_empty() {
                continue;
            }
            moved.jobs += batch.candidates.len() as u64;
            moved.outcomes += batch.rows.len() as u64;
            moved.files += 1;
            self.move_out(batch).await?;
            if logged.elapsed() >= PACE {
                logged = Instant::now();
                tracing::info!(outcomes = moved.outcomes, files = moved.files, "archiving");
            }
        }
    }

    /// Deletes what a process left behind that died before its file was registered.
    async fn clean_up(&self) -> Result<(), DatabaseError> {
        let Some(name) = self.fact(ARCHIVING).await? else { return Ok(()) };
        let folder = self.archive_folder();
        let wanted = name.clone();
        let sql = "SELECT 1 FROM archives WHERE file = ?1";
        let is_registered =
            self.state.read(move |connection| Ok(connection.prepare(sql)?.exists([wanted])?)).await?;
        // One transaction registers a file and removes the fact, so only a forged state has both.
        if !is_registered {
            file::delete(&folder, &name).map_err(|error| match error.kind() {
                io::ErrorKind::InvalidInput => DatabaseError::Damaged(error.to_string()),
                _ => DatabaseError::unavailable(error),
            })?;
        }
        self.set_fact(ARCHIVING, None).await
    }

    async fn move_out(&self, batch: Batch) -> Result<(), DatabaseError> {
        let folder = self.archive_folder();
        let last = "SELECT coalesce(max(archive), 0) FROM archives";
        let last: i64 =
            self.state.read(move |connection| Ok(connection.query_row(last, [], |row| row.get(0))?)).await?;
        // A folder may hold files of a state that was lost; they must not be overwritten.
        let mut number = last + 1;
        while folder.join(file::name(number)).exists() {
            number += 1;
        }
        let name = file::name(number);
        self.set_fact(ARCHIVING, Some(name.clone())).await?;
        let writing = {
            let name = name.clone();
            move || file::write(&folder, &name, &batch.rows).map(|keys| (keys, batch))
        };
        let written = tokio::task::spawn_blocking(writing)
            .await
            .map_err(|error| DatabaseError::Damaged(error.to_string()))?;
        let (keys, batch) = match written {
            Ok(written) => written,
            Err(error) => {
                // Where the folder cannot be written, nothing may be there to delete, or nothing can be.
                let _ = self.clean_up().await;
                return Err(DatabaseError::unavailable(error));
            }
        };
        fault::crash_point("archive.written");
        self.state
            .write(move |transaction| {
                let deleted = delete_all(transaction, batch.candidates)?;
                if deleted != batch.rows.len() {
                    let reason = "the ledger changed while it was archived; archive again";
                    return Err(DatabaseError::unavailable(reason));
                }
                let times = batch.rows.iter().map(|row| nanoseconds(row.event.at));
                let sql = "INSERT INTO archives (archive, file, outcomes, keys, last_at) VALUES (?1, ?2, ?3, ?4, ?5)";
                transaction.execute(sql, params![number, name, deleted, keys, times.max()])?;
                transaction.execute("DELETE FROM facts WHERE name = ?1", [ARCHIVING])?;
                Ok(())
            })
            .await
    }
}

/// The next jobs to move after this one, with their outcomes in the order of the record; `None` at the end.
fn select(connection: &Connection, before: Timestamp, after: i64) -> Result<Option<Batch>, DatabaseError> {
    // Both times, since the clock of a worker may be wrong.
    // A person may replay a failed job, and the outcomes of its replay are recognised by its row. A job that was never published
    // here has no time.
    let mut jobs = connection.prepare_cached(
        "SELECT published.job, asset, last FROM published CROSS JOIN outcomes ON sequence = last CROSS JOIN assets USING (asset)
         WHERE published.job > ?1 AND open = 0 AND lost = 0 AND outcomes.outcome BETWEEN 1 AND 15 AND at < ?2
         AND (at_ms IS NULL OR at_ms < ?2 / 1000000)
         AND last_outcome <> last
         AND run NOT IN (SELECT run FROM run_jobs JOIN runs USING (run_id) WHERE state = 'enumerating')
         ORDER BY published.job LIMIT ?3",
    )?;
    let read =
        |row: &rusqlite::Row<'_>| Ok(Candidate { job: row.get(0)?, asset: row.get(1)?, last: row.get(2)? });
    let found = jobs.query_map(params![after, nanoseconds(before), BATCH], read)?;
    let candidates = found.collect::<Result<Vec<_>, _>>()?;
    let Some(until) = candidates.last().map(|candidate| candidate.job) else { return Ok(None) };
    let mut batch = Batch { candidates: Vec::new(), rows: Vec::new(), until };
    for candidate in candidates {
        if let Some(rows) = outcomes(connection, &candidate)? {
            batch.rows.extend(rows);
            batch.candidates.push(candidate);
        }
    }
    batch.rows.sort_by_key(|row| row.sequence);
    Ok(Some(batch))
}

/// All outcomes of a job; `None` if one of them cannot be read, or names another run or asset than the job.
fn outcomes(connection: &Connection, job: &Candidate) -> Result<Option<Vec<Recorded>>, DatabaseError> {
    let sql = format!(
        "{CHAIN} SELECT {COLUMNS}, rest ->> '$.run_id', rest ->> '$.asset_id' FROM {JOINED}
                       WHERE sequence IN (SELECT sequence FROM chain)"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([job.last])?;
    let mut outcomes = Vec::new();
    while let Some(row) = rows.next()? {
        let other: (Option<String>, Option<String>) = (row.get(18)?, row.get(19)?);
        match Recorded::read(row) {
            Ok(outcome) if other == (None, None) => outcomes.push(outcome),
            _ => return Ok(None),
        }
    }
    Ok(Some(outcomes))
}

/// The outcomes of a job, from the latest one, `?1`, back.
const CHAIN: &str = "WITH RECURSIVE chain(sequence, previous) AS (
    SELECT sequence, previous FROM outcomes WHERE sequence = ?1
    UNION ALL
    SELECT outcomes.sequence, outcomes.previous FROM chain CROSS JOIN outcomes ON outcomes.sequence = chain.previous)";

/// Deletes jobs and their outcomes; returns how many those were.
fn delete_all(transaction: &Transaction<'_>, mut candidates: Vec<Candidate>) -> Result<usize, DatabaseError> {
    // In the order of the links, so that those of an asset are passed once, not once for each of its jobs.
    candidates.sort_by_key(|candidate| (candidate.asset, Reverse(candidate.job)));
    let mut deleted = 0;
    for of_asset in candidates.chunk_by(|one, other| one.asset == other.asset) {
        let mut later = None;
        for candidate in of_asset {
            deleted += delete(transaction, candidate, &mut later)?;
        }
    }
    Ok(deleted)
}

/// Deletes a job and its outcomes; returns how many those were. The asset's other jobs are linked past it. The search for the job
/// that is linked to it begins at `later`, which is the one found before, or at the asset's latest.
fn delete(
    transaction: &Transaction<'_>,
    candidate: &Candidate,
    later: &mut Option<i64>,
) -> Result<usize, DatabaseError> {
    let Candidate { job, asset, last } = *candidate;
    let before = "SELECT before FROM published WHERE job = ?1 AND last = ?2";
    let before: Option<i64> =
        transaction.prepare_cached(before)?.query_row([job, last], |row| row.get(0)).optional()?;
    let Some(before) = before else { return Ok(0) };
    let relinked = transaction
        .prepare_cached("UPDATE assets SET last_job = ?1 WHERE asset = ?2 AND last_job = ?3")?
        .execute([before, asset, job])?;
    if relinked == 0 {
        let sql = "WITH RECURSIVE later(job, before) AS (
                SELECT job, before FROM published WHERE job = coalesce(?4, (SELECT last_job FROM assets WHERE asset = ?2))
                UNION ALL
                SELECT published.job, published.before FROM later CROSS JOIN published ON published.job = later.before
                WHERE later.before <> ?3)
            UPDATE published SET before = ?1 WHERE job = (SELECT job FROM later WHERE before = ?3) RETURNING job";
        let mut relink = transaction.prepare_cached(sql)?;
        *later = relink.query_row(params![before, asset, job, *later], |row| row.get(0)).optional()?;
    }
    let outcomes = format!("{CHAIN} DELETE FROM outcomes WHERE sequence IN (SELECT sequence FROM chain)");
    let deleted = transaction.prepare_cached(&outcomes)?.execute([last])?;
    transaction.prepare_cached("DELETE FROM published WHERE job = ?1")?.execute([job])?;
    Ok(deleted)
}
