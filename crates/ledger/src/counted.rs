//! Failed jobs as they were counted for a person, for an act on exactly these.

use std::collections::HashSet;

use rusqlite::{Row, params};

use super::Ledger;
use super::failures::{BY_CLASS, FailedFilter, KEPT, parts};
use crate::state::DatabaseError;
use crate::state::record::{Form, unpacked};
use common::job::JobId;

/// How many failed jobs there were when a person was shown their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    pub matching: u64,
    /// The last outcome at that time. What failed, or failed again, after it was not counted.
    pub until: u64,
}

impl Ledger {
    /// Counts the matching failed jobs that are not dropped.
    pub async fn count_failed(&self, filter: &FailedFilter) -> Result<Counted, DatabaseError> {
        let filter = filter.clone();
        let sql = format!(
            "SELECT count(*), (SELECT coalesce(max(sequence), 0) FROM outcomes) {BY_CLASS} WHERE {KEPT}"
        );
        self.state
            .read(move |connection| {
                let mut statement = connection.prepare_cached(&sql)?;
                let read = |row: &Row<'_>| Ok(Counted { matching: row.get(0)?, until: row.get(1)? });
                Ok(statement.query_row(parts(&filter), read)?)
            })
            .await
    }

    /// The sequence number of the newest outcome, or 0: `until` of a count that is made now.
    pub async fn newest_outcome(&self) -> Result<u64, DatabaseError> {
        let sql = "SELECT coalesce(max(sequence), 0) FROM outcomes";
        self.state.read(move |connection| Ok(connection.query_row(sql, [], |row| row.get(0))?)).await
    }

    /// Those of the counted failed jobs that are still failed, and were not dropped.
    pub async fn counted_failed(
        &self,
        filter: &FailedFilter,
        until: u64,
    ) -> Result<HashSet<JobId>, DatabaseError> {
        let filter = filter.clone();
        let sql = format!(
            "SELECT job_id FROM (SELECT assets.last_outcome AS sequence {BY_CLASS} WHERE {KEPT} AND assets.last_outcome <= ?5) AS counted
             CROSS JOIN outcomes USING (sequence) CROSS JOIN published USING (job)"
        );
        self.state
            .read(move |connection| {
                let mut statement = connection.prepare_cached(&sql)?;
                let (class, asset, job, name) = parts(&filter);
                let mut rows = statement.query(params![class, asset, job, name, until])?;
                let mut jobs = HashSet::new();
                while let Some(row) = rows.next()? {
                    jobs.insert(JobId(unpacked(row, 0, Form::Job)?));
                }
                Ok(jobs)
            })
            .await
    }
}
