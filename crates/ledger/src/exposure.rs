//! How long new versions were unprotected, as the record has it.

use jiff::Timestamp;
use serde::Serialize;

use super::Ledger;
use crate::state::DatabaseError;
use crate::state::record::{Kind, nanoseconds};

/// No more of the latest outcomes are read: they take some ten milliseconds.
const MOST_READ: i64 = 10_000;

/// For how long new versions were unprotected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Exposure {
    /// The number of versions that were protected.
    pub versions: u64,
    pub median_seconds: u64,
    pub p95_seconds: u64,
}

impl Ledger {
    /// The exposure of the versions that were protected since a time, among the latest 10,000 outcomes; `None` without
    /// such versions.
    pub async fn exposure_since(&self, since: Timestamp) -> Result<Option<Exposure>, DatabaseError> {
        let sql = "SELECT max(at / 1000000000 - (rest ->> '$.added'), 0) AS exposed FROM outcomes
                   WHERE sequence > (SELECT max(sequence) FROM outcomes) - ?1 AND at >= ?2 AND outcome = ?3
                   AND rest ->> '$.added' IS NOT NULL ORDER BY exposed";
        let values = (MOST_READ, nanoseconds(since), Kind::Watermarked.code());
        let exposed: Vec<u64> = self
            .state
            .read(move |connection| {
                let mut statement = connection.prepare_cached(sql)?;
                Ok(statement.query_map(values, |row| row.get(0))?.collect::<Result<_, _>>()?)
            })
            .await?;
        let at = |hundredths: usize| exposed.get(exposed.len().saturating_sub(1) * hundredths / 100).copied();
        Ok(at(50).zip(at(95)).map(|(median_seconds, p95_seconds)| Exposure {
            versions: exposed.len() as u64,
            median_seconds,
            p95_seconds,
        }))
    }
}

#[cfg(test)]
mod tests {
    use common::job::{Job, Lane, RunId};
    use common::outcome::{Outcome, OutcomeEvent};

    use super::*;
    use crate::note_outcome;
    use crate::state::State;

    #[tokio::test]
    async fn the_exposure_is_that_of_new_versions_which_were_protected_lately() {
        let ledger = Ledger::new(State::in_memory().unwrap());
        let now: Timestamp = "2026-11-28T12:00:00Z".parse().unwrap();
        let seconds = jiff::SignedDuration::from_secs;
        let ended = |asset: i64, hours_ago: i64, exposed: Option<i64>, outcome: Outcome| {
            let at = now - seconds(hours_ago * 3600);
            let asset = format!("asset-{asset}").parse().unwrap();
            let job = Job::new(RunId("r".to_owned()), asset, "", Lane::Fresh, 1, None, at);
            OutcomeEvent { added: exposed.map(|exposed| at - seconds(exposed)), ..job.ended(outcome, at) }
        };
        let watermarked = Outcome::Watermarked { version: 2 };
        let since = async || ledger.exposure_since(now - seconds(24 * 3600)).await.unwrap();
        let mut events: Vec<_> =
            (1..=100).map(|number| ended(number, 1, Some(number), watermarked.clone())).collect();
        // Too long ago, of the backlog, and never protected.
        events.push(ended(200, 25, Some(9000), watermarked.clone()));
        events.push(ended(201, 1, None, watermarked));
        events.push(ended(202, 1, Some(9000), Outcome::Gone));
        assert_eq!(since().await, None);
        for event in events {
            ledger.state.write(move |transaction| note_outcome(transaction, &event)).await.unwrap();
        }
        assert_eq!(since().await, Some(Exposure { versions: 100, median_seconds: 50, p95_seconds: 95 }));
    }
}
