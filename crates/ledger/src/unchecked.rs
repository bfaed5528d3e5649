//! Results that could not be checked in full, by reason.

use std::collections::BTreeMap;

use super::{Ledger, Mark};
use crate::state::DatabaseError;
use common::job::RunId;

impl Ledger {
    /// The number of results after a mark that could not be checked in full, by reason. Reads all outcomes since the
    /// mark.
    pub async fn unchecked_since(&self, mark: &Mark) -> Result<BTreeMap<String, u64>, DatabaseError> {
        self.unchecked("outcomes.sequence > ?1", mark.last_event).await
    }

    /// Like [`Ledger::unchecked_since`], for a run.
    pub async fn unchecked_of(&self, run: &RunId) -> Result<BTreeMap<String, u64>, DatabaseError> {
        let latest =
            "outcomes.sequence IN (SELECT max(sequence) FROM outcomes WHERE run_id = ?1 GROUP BY job_id)";
        self.unchecked(latest, run.to_string()).await
    }

    async fn unchecked(
        &self,
        condition: &str,
        of: impl rusqlite::ToSql + Send + 'static,
    ) -> Result<BTreeMap<String, u64>, DatabaseError> {
        let sql = format!(
            "SELECT unmade.value, count(DISTINCT job_id) FROM outcomes, json_each(event, '$.unchecked') AS unmade
             WHERE {condition} GROUP BY unmade.value"
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
