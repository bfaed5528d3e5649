//! Results that could not be checked in full, by reason.

use std::collections::{BTreeMap, BTreeSet};

use super::{Ledger, Mark, archive};
use crate::state::DatabaseError;
use crate::state::record::Recorded;
use common::check::Obstacle;
use common::job::{JobId, RunId};

/// Archived jobs whose results could not be checked in full.
type Archived = BTreeMap<JobId, BTreeSet<Obstacle>>;

impl Ledger {
    /// The number of results after a mark that could not be checked in full, by reason. Reads all outcomes since the
    /// mark.
    pub async fn unchecked_since(&self, mark: &Mark) -> Result<BTreeMap<String, u64>, DatabaseError> {
        let (last, files) = (mark.last_event, (mark.last_archive, None));
        let gather = move |jobs: &mut Archived, Recorded { sequence, event, .. }: Recorded| {
            if sequence > last && !event.unchecked.is_empty() {
                jobs.entry(event.job_id).or_default().extend(event.unchecked.obstacles());
            }
        };
        self.unchecked("outcomes WHERE sequence > ?1", last, files, gather).await
    }

    /// Like [`Ledger::unchecked_since`], for a run.
    pub async fn unchecked_of(&self, run: &RunId) -> Result<BTreeMap<String, u64>, DatabaseError> {
        let latest = "run_jobs CROSS JOIN published ON published.job BETWEEN first_job AND last_job AND published.run = run_jobs.run
             CROSS JOIN outcomes ON sequence = last WHERE run_id = ?1";
        let (id, run) = (run.to_string(), run.clone());
        // A file has all outcomes of its jobs, the latest last.
        let gather = move |jobs: &mut Archived, Recorded { event, .. }: Recorded| {
            if event.run_id == run {
                jobs.remove(&event.job_id);
                if !event.unchecked.is_empty() {
                    jobs.insert(event.job_id, event.unchecked.obstacles());
                }
            }
        };
        self.unchecked(latest, id.clone(), (0, Some(id)), gather).await
    }

    /// Counts the jobs of these outcomes, and those that `gather` finds in the archive: in the files after one of them, with a text.
    async fn unchecked(
        &self,
        outcomes: &str,
        of: impl rusqlite::ToSql + Send + 'static,
        (after, text): (i64, Option<String>),
        gather: impl Fn(&mut Archived, Recorded) + Send + 'static,
    ) -> Result<BTreeMap<String, u64>, DatabaseError> {
        let sql = format!(
            "WITH noted AS (SELECT outcomes.job, rest FROM {outcomes} AND rest IS NOT NULL)
             SELECT unmade.value, count(DISTINCT job) FROM noted, json_each(rest, '$.unchecked') AS unmade
             GROUP BY unmade.value"
        );
        let count = move |connection: &rusqlite::Connection| {
            let mut statement = connection.prepare(&sql)?;
            let counted = statement.query_map([of], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok((counted.collect::<Result<BTreeMap<String, u64>, _>>()?, archive::after(connection, after)?))
        };
        let (mut counts, archives) = self.state.read(count).await?;
        let jobs = self.archived(archives, text, gather).await?;
        for obstacle in jobs.into_values().flatten() {
            *counts.entry(obstacle.name().to_owned()).or_default() += 1;
        }
        Ok(counts)
    }
}
