//! Whether nothing is protected although there is something to protect.

use jiff::Timestamp;

use super::Ledger;
use crate::state::DatabaseError;
use crate::state::record::{Kind, nanoseconds};

/// No more of the latest outcomes are read.
const MOST_READ: i64 = 10_000;

/// Since ?2 (nanoseconds) and ?3 (milliseconds): no asset was found or made protected, there was a job before, and a job is open that
/// was published before, or one has failed.
const STANDS_STILL: &str = "WITH latest AS (
        SELECT outcome FROM outcomes WHERE sequence > (SELECT max(sequence) FROM outcomes) - ?1 AND at >= ?2)
    SELECT NOT EXISTS (SELECT 1 FROM latest WHERE outcome IN (?4, ?5))
        AND EXISTS (SELECT 1 FROM published WHERE at_ms < ?3)
        AND (EXISTS (SELECT 1 FROM published WHERE open = 1 AND at_ms < ?3) OR EXISTS (SELECT 1 FROM latest WHERE outcome >= 16))";

impl Ledger {
    /// Whether nothing was protected since this time, as far as the latest 10,000 outcomes show, although there was something to
    /// protect all the while.
    pub async fn stands_still_since(&self, since: Timestamp) -> Result<bool, DatabaseError> {
        let protected = [Kind::Watermarked, Kind::AlreadyProtected].map(Kind::code);
        let values = (MOST_READ, nanoseconds(since), since.as_millisecond(), protected[0], protected[1]);
        self.state
            .read(move |connection| {
                Ok(connection.prepare_cached(STANDS_STILL)?.query_row(values, |row| row.get(0))?)
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use common::job::{Job, Lane, RunId};
    use common::outcome::{Failure, FailureClass, Outcome};

    use super::*;
    use crate::state::State;
    use crate::{note_outcome, note_published};

    /// How many hours ago it was published, and how many hours ago it ended.
    type Jobs = Vec<(i64, Option<(i64, Outcome)>)>;

    #[tokio::test]
    async fn a_day_without_a_protected_asset_counts_if_there_was_something_to_protect() {
        let now: Timestamp = "2026-11-28T12:00:00Z".parse().unwrap();
        let hours_ago = move |hours: i64| now - jiff::SignedDuration::from_hours(hours);
        let failed = || {
            let (class, reason) = (FailureClass::BadResult, "another picture".into());
            Outcome::Failed(Failure { class, reason, request_id: None })
        };
        let watermarked = || Outcome::Watermarked { version: 2 };
        let cases: [(&str, Jobs, bool); 7] = [
            ("nothing was ever found", vec![], false),
            ("an open job of today", vec![(2, None)], false),
            ("an open job of yesterday", vec![(30, None)], true),
            ("all are done", vec![(30, Some((29, watermarked())))], false),
            ("one was protected meanwhile", vec![(30, None), (29, Some((1, watermarked())))], false),
            ("each of today fails", vec![(40, Some((39, watermarked()))), (3, Some((2, failed())))], true),
            ("the first ones fail", vec![(3, Some((2, failed())))], false),
        ];
        for (what, jobs, expected) in cases {
            let ledger = Ledger::new(State::in_memory().unwrap());
            for (number, (published, ended)) in jobs.into_iter().enumerate() {
                let asset = format!("asset-{number}").parse().unwrap();
                let run = RunId("r".to_owned());
                let job = Job::new(run, asset, "", Lane::Fresh, 1, None, hours_ago(published));
                ledger
                    .state
                    .write(move |transaction| {
                        note_published(transaction, &job)?;
                        if let Some((hours, outcome)) = ended {
                            note_outcome(transaction, &job.ended(outcome, hours_ago(hours)))?;
                        }
                        Ok(())
                    })
                    .await
                    .unwrap();
            }
            assert_eq!(ledger.stands_still_since(hours_ago(24)).await.unwrap(), expected, "{what}");
        }
    }
}
