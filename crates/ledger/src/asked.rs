//! What a person asked for in the library, and what is held until it is asked for: texts that the producer writes and
//! reads.

use jiff::Timestamp;
use rusqlite::OptionalExtension;

use super::{Ledger, RunMode, read_cursor};
use crate::state::DatabaseError;

pub(super) const ASKED: &str = "asked";
pub(super) const HELD: &str = "held";

/// How work on a library began, derived from the runs of a release that did not record it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// With a walk over the whole library.
    Whole,
    /// With changes since a time.
    Since(Timestamp),
}

impl Ledger {
    /// What was asked for.
    pub async fn asked(&self) -> Result<Option<String>, DatabaseError> {
        self.fact(ASKED).await
    }

    /// Records what was asked for.
    pub async fn set_asked(&self, text: String) -> Result<(), DatabaseError> {
        self.set_fact(ASKED, Some(text)).await
    }

    /// What is held until it is asked for.
    pub async fn held(&self) -> Result<Option<String>, DatabaseError> {
        self.fact(HELD).await
    }

    /// Records or deletes what is held.
    pub async fn set_held(&self, text: Option<String>) -> Result<(), DatabaseError> {
        self.set_fact(HELD, text).await
    }

    /// How work on the library began; `None` if it has not.
    pub async fn beginning(&self) -> Result<Option<Beginning>, DatabaseError> {
        self.state
            .read(|connection| {
                let Some(cursor) = read_cursor(connection)? else { return Ok(None) };
                // An interrupted walk counts, since it was requested and will resume.
                let sql = "SELECT 1 FROM runs WHERE mode = ?1 AND state IN ('enumerated', 'enumerating')";
                if connection.prepare_cached(sql)?.exists([RunMode::Full.name()])? {
                    return Ok(Some(Beginning::Whole));
                }
                let sql = "SELECT fingerprint FROM runs WHERE mode = ?1 ORDER BY rowid LIMIT 1";
                let first: Option<String> =
                    connection.query_row(sql, [RunMode::Delta.name()], |row| row.get(0)).optional()?;
                let since = first.as_deref().and_then(since).unwrap_or(cursor);
                Ok(Some(Beginning::Since(since)))
            })
            .await
    }

    /// Whether the latest run over everything that the configuration selects had the filters with this fingerprint.
    pub async fn last_ran_with(&self, filters: &str) -> Result<bool, DatabaseError> {
        let ending = format!(" {filters}");
        let sql = "SELECT fingerprint FROM runs WHERE mode IN (?1, ?2) ORDER BY rowid DESC LIMIT 1";
        let modes = [RunMode::Full.name(), RunMode::Delta.name()];
        let last: Option<String> = self
            .state
            .read(move |connection| Ok(connection.query_row(sql, modes, |row| row.get(0)).optional()?))
            .await?;
        Ok(last.is_some_and(|last| last.ends_with(&ending)))
    }

    /// The number of jobs published by walks over the whole library.
    pub async fn published_by_walks(&self) -> Result<u64, DatabaseError> {
        let sql = "SELECT coalesce(sum(published), 0) FROM run_jobs JOIN runs USING (run_id) WHERE mode = ?1";
        self.state
            .read(|connection| Ok(connection.query_row(sql, [RunMode::Full.name()], |row| row.get(0))?))
            .await
    }

    pub(super) async fn fact(&self, name: &'static str) -> Result<Option<String>, DatabaseError> {
        let sql = "SELECT value FROM facts WHERE name = ?1";
        self.state
            .read(move |connection| Ok(connection.query_row(sql, [name], |row| row.get(0)).optional()?))
            .await
    }

    pub(super) async fn set_fact(
        &self,
        name: &'static str,
        value: Option<String>,
    ) -> Result<(), DatabaseError> {
        self.state
            .write(move |transaction| {
                match value {
                    Some(value) => transaction.execute(
                        "INSERT OR REPLACE INTO facts (name, value) VALUES (?1, ?2)",
                        [name, value.as_str()],
                    )?,
                    None => transaction.execute("DELETE FROM facts WHERE name = ?1", [name])?,
                };
                Ok(())
            })
            .await
    }
}

/// The time since which the run covers changes, from its fingerprint.
fn since(fingerprint: &str) -> Option<Timestamp> {
    fingerprint.strip_prefix("Since(")?.split_once(')')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RunState;
    use crate::state::State;
    use common::job::RunId;

    #[tokio::test]
    async fn a_library_that_was_begun_before_it_was_noted_how_is_known_by_its_runs() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Ledger::new(State::open(directory.path()).unwrap());
        let at = |day: i64| Timestamp::from_second(day * 86_400).unwrap();
        let run = async |name: &str, mode: RunMode, fingerprint: &str, ended: RunState| {
            let id = RunId(name.to_owned());
            ledger.begin_run_if_new(&id, mode, false, fingerprint, at(9)).await.unwrap();
            ledger.end_walk(&id, ended, Some(at(9)), 0).await.unwrap();
        };
        run("capped", RunMode::Full, "Full filters", RunState::Stopped).await;
        assert_eq!(ledger.beginning().await.unwrap(), None, "a run that a cap ended begins nothing");
        ledger.set_cursor(Some(at(8))).await.unwrap();
        assert_eq!(ledger.beginning().await.unwrap(), Some(Beginning::Since(at(8))), "by hand");
        run("since", RunMode::Delta, &format!("Since({}) filters", at(7)), RunState::Enumerated).await;
        run("delta", RunMode::Delta, &format!("Since({}) filters", at(9)), RunState::Enumerated).await;
        assert_eq!(ledger.beginning().await.unwrap(), Some(Beginning::Since(at(7))));
        assert!(ledger.last_ran_with("filters").await.unwrap());
        assert!(!ledger.last_ran_with("other filters").await.unwrap());
        run("full", RunMode::Full, "Full filters", RunState::Enumerated).await;
        assert_eq!(ledger.beginning().await.unwrap(), Some(Beginning::Whole));
    }
}
