//! Results that could not be checked in full, by reason.

use std::collections::BTreeMap;

use super::{Ledger, Mark};
use crate::state::DatabaseError;
use common::job::RunId;

impl Ledger {
    /// The number of results after a mark that could not be checked in full, by reason. Reads all outcomes since the
    /// mark.
    pub async fn unchecked_since(&self, mark: &Mark) -> Result<BTreeMap<String, u64>, DatabaseError> {
        self.unchecked("outcomes WHERE sequence > ?1", mark.last_event).await
    }

    /// Like [`Ledger::unchecked_since`], for a run.
    pub async fn unchecked_of(&self, run: &RunId) -> Result<BTreeMap<String, u64>, DatabaseError> {
        let latest = "run_jobs CROSS JOIN published ON published.job BETWEEN first_job AND last_job AND published.run = run_jobs.run
             CROSS JOIN outcomes ON sequence = last WHERE run_id = ?1";
        self.unchecked(latest, run.to_string()).await
    }

    async fn unchecked(
        &self,
        outcomes: &str,
        of: impl rusqlite::ToSql + Send + 'static,
    ) -> Result<BTreeMap<String, u64>, DatabaseError> {
        let sql = format!(
            "WITH told AS (SELECT outcomes.job, rest FROM {outcomes} AND rest IS NOT NULL)
             SELECT unmade.value, count(DISTINCT job) FROM told, json_each(rest, '$.unchecked') AS unmade
             GROUP BY unmade.value"
        );
        self.state
            .read(move |connection| {
                let mut statement = connection.prepare(&sql)?;
                let counted = statement.query_map([of], |row| Ok((row.get(0)?, row.get(1)?)))?;
                Ok(counted.collect::<Result<_, _>>()?)
            })
            .await
    }
}
