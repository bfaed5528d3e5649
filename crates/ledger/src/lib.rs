//! The history of every run, in SQLite: append-only, in the state directory, which the embedded queue shares.
//!
//! [`Ledger`], the main type, records what was published and is open, what failed and why, the outcomes for an asset or
//! a file, and where an interrupted run resumes. [`state::State`] is the directory, in which one process works at a
//! time.
//!
//! ```
//! use ledger::{Ledger, state::State};
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let folder = tempfile::tempdir().unwrap();
//! let ledger = Ledger::new(State::open(folder.path()).unwrap());
//! assert_eq!(ledger.cursor().await.unwrap(), None, "no run has finished yet");
//! # });
//! ```

mod acts;
mod archive;
mod asked;
pub mod backup;
mod counted;
mod evidence;
mod exposure;
mod failures;
mod jobs;
mod known;
mod library;
mod lost;
mod record_counts;
mod report;
mod restoration;
mod run;
mod standstill;
pub mod state;
mod unchecked;
mod verification;
mod wire;

#[cfg(test)]
mod budget_tests;
#[cfg(test)]
mod counts_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

pub use acts::{Act, ActKind, NewAct};
pub use archive::{Moved, YOUNGEST};
pub use asked::Beginning;
pub use counted::Counted;
pub use evidence::{Counts, Extent, Line};
pub use exposure::Exposure;
pub use failures::{FailedFilter, FailedFrom, FailedPage, FailedPlace, note_dropped};
pub use jobs::{Intent, last_outcome, note_outcome, note_published, note_replayed};
pub use known::{Awaiting, Known, SavedVersion};
pub use library::{Library, LibraryCounts};
pub use lost::{LostJob, QueueCheck};
pub use record_counts::RecordCounts;
pub use restoration::{Restoration, RestorationProgress};
pub use run::{Run, RunMode, RunState, RunStatus};
pub use verification::Verification;

use crate::state::record::{Form, Kind, Packed, outcome};
use crate::state::{DatabaseError, State};
use common::asset::AssetId;
use common::job::{JobId, RunId};
use common::outcome::{Outcome, OutcomeEvent};

const CURSOR: &str = "cursor";
const PORTAL: &str = "portal";

/// The ledger; clones share the state.
#[derive(Debug, Clone)]
pub struct Ledger {
    state: State,
}

/// Counts of outcomes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Jobs by outcome name.
    pub outcomes: BTreeMap<String, u64>,
    /// Bytes downloaded for these jobs.
    pub bytes_downloaded: u64,
    /// Bytes uploaded for these jobs.
    pub bytes_uploaded: u64,
}

impl Tally {
    /// How many ended with this outcome.
    pub fn count(&self, outcome: &str) -> u64 {
        self.outcomes.get(outcome).copied().unwrap_or_default()
    }

    /// What was counted since an earlier tally of the same jobs.
    fn without(self, earlier: &Self) -> Self {
        let outcomes = self.outcomes.into_iter().filter_map(|(name, count)| {
            let more = count.saturating_sub(earlier.count(&name));
            (more > 0).then_some((name, more))
        });
        Self {
            outcomes: outcomes.collect(),
            bytes_downloaded: self.bytes_downloaded.saturating_sub(earlier.bytes_downloaded),
            bytes_uploaded: self.bytes_uploaded.saturating_sub(earlier.bytes_uploaded),
        }
    }
}

/// A position in the ledger.
#[derive(Debug, Clone, Default)]
pub struct Mark {
    last_event: i64,
    last_archive: i64,
    totals: Tally,
}

impl Ledger {
    /// The ledger of a state directory.
    pub fn new(state: State) -> Self {
        Self { state }
    }

    /// The folder of the record.
    pub fn folder(&self) -> &Path {
        self.state.path().parent().unwrap_or(Path::new(""))
    }

    /// The portal that this record belongs to. A record without one belongs to `portal` from now on.
    pub async fn portal_or(&self, portal: &str) -> Result<String, DatabaseError> {
        let portal = portal.to_owned();
        self.state
            .write(move |transaction| {
                let sql = "INSERT OR IGNORE INTO facts (name, value) VALUES (?1, ?2)";
                transaction.execute(sql, [PORTAL, &portal])?;
                let sql = "SELECT value FROM facts WHERE name = ?1";
                Ok(transaction.query_row(sql, [PORTAL], |row| row.get(0))?)
            })
            .await
    }

    /// Deletes the cursor, what was asked for and what is held, the count of the library, and the portal of this record.
    pub async fn start_over(&self) -> Result<(), DatabaseError> {
        self.state
            .write(|transaction| {
                let sql = "DELETE FROM facts WHERE name IN (?1, ?2, ?3, ?4, ?5)";
                transaction.execute(sql, [CURSOR, PORTAL, asked::ASKED, asked::HELD, library::LIBRARY])?;
                Ok(())
            })
            .await
    }

    /// The delta cursor: when the last finished run started, by the portal's clock.
    pub async fn cursor(&self) -> Result<Option<Timestamp>, DatabaseError> {
        self.state.read(read_cursor).await
    }

    /// Sets or deletes the delta cursor.
    pub async fn set_cursor(&self, cursor: Option<Timestamp>) -> Result<(), DatabaseError> {
        self.state.write(move |transaction| write_cursor(transaction, cursor)).await
    }

    /// Records that the version which an asset's last job left for approval was approved: that is its outcome from now
    /// on.
    pub async fn note_approved(
        &self,
        asset: &AssetId,
        version: u32,
        at: Timestamp,
    ) -> Result<(), DatabaseError> {
        let asset = asset.clone();
        self.state
            .write(move |transaction| {
                let last = last_of_asset(transaction, &asset)?.and_then(Result::ok);
                let Some(awaiting) = last.filter(|event| event.outcome == Outcome::AwaitingApproval) else {
                    return Ok(());
                };
                note_outcome(
                    transaction,
                    &OutcomeEvent { outcome: Outcome::Watermarked { version }, at, ..awaiting },
                )
            })
            .await
    }

    /// Records an asset's active version, which the listing did not contain.
    pub async fn remember_version(
        &self,
        asset: &AssetId,
        modified: Timestamp,
        version: u32,
    ) -> Result<(), DatabaseError> {
        let (asset, modified) = (asset.to_string(), modified.to_string());
        self.state
            .write(move |transaction| {
                transaction.execute(
                    "INSERT OR REPLACE INTO versions (asset_id, modified, version) VALUES (?1, ?2, ?3)",
                    params![asset, modified, version],
                )?;
                Ok(())
            })
            .await
    }

    /// The recorded active version, if the asset was not modified since.
    pub async fn remembered_version(
        &self,
        asset: &AssetId,
        modified: Timestamp,
    ) -> Result<Option<u32>, DatabaseError> {
        let (asset, modified) = (asset.to_string(), modified.to_string());
        self.state
            .read(move |connection| {
                let mut statement = connection
                    .prepare_cached("SELECT version FROM versions WHERE asset_id = ?1 AND modified = ?2")?;
                Ok(statement.query_row([asset, modified], |row| row.get(0)).optional()?)
            })
            .await
    }

    /// The number of jobs published since a time.
    pub async fn published_since(&self, since: Timestamp) -> Result<u64, DatabaseError> {
        let since = since.as_millisecond();
        let sql = "SELECT count(*) FROM published WHERE at_ms >= ?1
                   AND job >= (SELECT min(first) FROM published_hours WHERE hour BETWEEN ?1 / 3600000 AND max(?1 / 3600000, unixepoch() / 3600) + 24)";
        self.state.read(move |connection| Ok(connection.query_row(sql, [since], |row| row.get(0))?)).await
    }

    /// Whether this job was published, or was about to be.
    pub async fn was_published(&self, job: &JobId) -> Result<bool, DatabaseError> {
        let job = job.clone();
        let sql = "SELECT 1 FROM published WHERE job_id = ?1";
        let exists = move |connection: &Connection| {
            Ok(connection.prepare_cached(sql)?.exists([Packed(Form::Job, &job.0)])?)
        };
        self.state.read(exists).await
    }

    /// The number of jobs that a run has published.
    pub async fn published_in(&self, run: &RunId) -> Result<u64, DatabaseError> {
        self.count("SELECT published FROM run_jobs WHERE run_id = ?1", run.to_string()).await
    }

    /// A stored count; without a row it is 0.
    async fn count(
        &self,
        sql: &'static str,
        of: impl rusqlite::ToSql + Send + 'static,
    ) -> Result<u64, DatabaseError> {
        let count = self.state.read(move |connection| {
            Ok(connection.prepare_cached(sql)?.query_row([of], |row| row.get(0)).optional()?)
        });
        Ok(count.await?.unwrap_or_default())
    }

    /// The position from which [`Ledger::tally_since`] counts.
    pub async fn mark(&self) -> Result<Mark, DatabaseError> {
        self.state
            .read(move |connection| {
                let last = "SELECT coalesce(max(sequence), 0) FROM outcomes";
                let last_event = connection.query_row(last, [], |row| row.get(0))?;
                let last = "SELECT coalesce(max(archive), 0) FROM archives";
                let last_archive = connection.query_row(last, [], |row| row.get(0))?;
                Ok(Mark { last_event, last_archive, totals: tally(connection, TOTALS, [])? })
            })
            .await
    }

    /// Counts the outcomes after a mark.
    pub async fn tally_since(&self, mark: &Mark) -> Result<Tally, DatabaseError> {
        Ok(self.state.read(|connection| tally(connection, TOTALS, [])).await?.without(&mark.totals))
    }

    /// Counts the jobs of a run by outcome, each job by its latest one.
    pub async fn tally_of(&self, run: &RunId) -> Result<Tally, DatabaseError> {
        let run = run.to_string();
        let sql = "SELECT outcome, jobs, bytes_downloaded, bytes_uploaded FROM run_outcomes
                   WHERE run = (SELECT run FROM run_jobs WHERE run_id = ?1) AND jobs > 0";
        self.state.read(move |connection| tally(connection, sql, [run])).await
    }
}

const TOTALS: &str = "SELECT outcome, outcomes, bytes_downloaded, bytes_uploaded FROM outcome_totals";

fn tally(connection: &Connection, sql: &str, of: impl rusqlite::Params) -> Result<Tally, DatabaseError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut tally = Tally::default();
    let mut rows = statement.query(of)?;
    while let Some(row) = rows.next()? {
        let code = row.get(0)?;
        let kind = Kind::of(code).ok_or_else(|| DatabaseError::Damaged(format!("outcome {code}")))?;
        *tally.outcomes.entry(kind.name().to_owned()).or_default() += row.get::<_, u64>(1)?;
        tally.bytes_downloaded += row.get::<_, u64>(2)?;
        tally.bytes_uploaded += row.get::<_, u64>(3)?;
    }
    Ok(tally)
}

/// The latest outcome of an asset, and why it cannot be read if an earlier release wrote it.
fn last_of_asset(
    connection: &Connection,
    asset: &AssetId,
) -> Result<Option<Result<OutcomeEvent, DatabaseError>>, DatabaseError> {
    let sql = "SELECT last_outcome FROM assets WHERE asset_id = ?1 AND last_outcome >= 0";
    let key = [Packed(Form::Asset, asset.as_str())];
    let last = connection.prepare_cached(sql)?.query_row(key, |row| row.get(0)).optional()?;
    Ok(last.map(|last| outcome(connection, last)))
}

fn read_cursor(connection: &Connection) -> Result<Option<Timestamp>, DatabaseError> {
    let sql = "SELECT value FROM facts WHERE name = ?1";
    let text: Option<String> = connection.query_row(sql, [CURSOR], |row| row.get(0)).optional()?;
    text.map(|text| text.parse().map_err(|_| DatabaseError::Damaged(format!("cursor {text:?}")))).transpose()
}

fn write_cursor(transaction: &Transaction<'_>, cursor: Option<Timestamp>) -> Result<(), DatabaseError> {
    match cursor {
        Some(cursor) => transaction.execute(
            "INSERT OR REPLACE INTO facts (name, value) VALUES (?1, ?2)",
            [CURSOR, cursor.to_string().as_str()],
        )?,
        None => transaction.execute("DELETE FROM facts WHERE name = ?1", [CURSOR])?,
    };
    Ok(())
}
