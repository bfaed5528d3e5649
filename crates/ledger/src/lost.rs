//! Jobs that are given up: the producer has to decide on their assets again.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::Ledger;
use super::known::lane_of;
use crate::state::DatabaseError;
use crate::state::record::{Form, Packed, asset, unpacked};
use common::asset::AssetId;
use common::job::{Job, JobId, Lane, RunId};
use common::outcome::{Outcome, OutcomeEvent};

/// The name of the fact: since when the queues are known to be empty.
const EMPTY_SINCE: &str = "queues_empty_since";

/// The longest life of a job: a day of waits and an hour of work. A job that is open for longer counts as lost. If it
/// is not lost, there are two jobs, and the later one finds the work done.
const LONGEST_JOB: SignedDuration = SignedDuration::from_hours(25);

/// A job that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostJob {
    /// The job.
    pub job_id: JobId,
    /// The run that published it.
    pub run_id: RunId,
    /// Its asset.
    pub asset_id: AssetId,
    /// The version that it was to protect.
    pub base: u32,
    /// The lane that it was published to.
    pub lane: Lane,
}

impl LostJob {
    /// Reads `job_id`, `run_id`, `asset_id` and `base`. The lane is that of jobs that a person waits for.
    pub(super) fn read(row: &Row<'_>) -> Result<Self, DatabaseError> {
        Ok(Self {
            job_id: JobId(unpacked(row, 0, Form::Job)?),
            run_id: RunId(row.get(1)?),
            asset_id: asset(row, 2)?,
            base: row.get(3)?,
            lane: Lane::Fresh,
        })
    }
}

/// One check of all queues, including wait queues and the hands of workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueCheck {
    /// There is no job anywhere.
    Empty,
    /// There are jobs, or it is unknown whether there are.
    Busy,
}

/// What a check of the queues means for the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Verdict {
    /// Jobs published before this time are lost.
    lost_before: Timestamp,
    /// Stored for the next check.
    empty_since: Option<Timestamp>,
}

/// Decides which jobs are lost: those published before the first of two checks, at least `apart` from each other, if
/// neither these nor any check in between saw a job; and those older than any job lives, since the queues of a busy
/// fleet are never empty.
fn judge(queues: QueueCheck, empty_since: Option<Timestamp>, now: Timestamp, apart: Duration) -> Verdict {
    let too_old = now.checked_sub(LONGEST_JOB).unwrap_or(Timestamp::MIN);
    match (queues, empty_since.filter(|since| *since <= now)) {
        (QueueCheck::Busy, _) => Verdict { lost_before: too_old, empty_since: None },
        (QueueCheck::Empty, Some(since)) if now.duration_since(since).unsigned_abs() < apart => {
            Verdict { lost_before: too_old, empty_since: Some(since) }
        }
        (QueueCheck::Empty, Some(since)) => {
            Verdict { lost_before: since.max(too_old), empty_since: Some(now) }
        }
        (QueueCheck::Empty, None) => Verdict { lost_before: too_old, empty_since: Some(now) },
    }
}

impl Ledger {
    /// Gives up the jobs that a check of the queues, at least `apart` from an earlier one, shows to be lost; returns
    /// how many. A late outcome still counts. Every outcome from before the check must be recorded first.
    pub async fn give_up_lost(
        &self,
        queues: QueueCheck,
        now: Timestamp,
        apart: Duration,
    ) -> Result<usize, DatabaseError> {
        self.state
            .write(move |transaction| {
                let sql = "SELECT value FROM facts WHERE name = ?1";
                let since: Option<String> =
                    transaction.query_row(sql, [EMPTY_SINCE], |row| row.get(0)).optional()?;
                let since = since.and_then(|since| since.parse().ok());
                let verdict = judge(queues, since, now, apart);
                match verdict.empty_since {
                    Some(since) => transaction.execute(
                        "INSERT OR REPLACE INTO facts (name, value) VALUES (?1, ?2)",
                        [EMPTY_SINCE, since.to_string().as_str()],
                    )?,
                    None => transaction.execute("DELETE FROM facts WHERE name = ?1", [EMPTY_SINCE])?,
                };
                give_up_before(transaction, verdict.lost_before)
            })
            .await
    }

    /// Gives up the open jobs of a run.
    pub async fn give_up_run(&self, run: &RunId) -> Result<(), DatabaseError> {
        let run = run.to_string();
        let sql = "UPDATE published SET open = 0, lost = 1
                   WHERE run = (SELECT run FROM run_jobs WHERE run_id = ?1) AND open = 1";
        self.state
            .write(move |transaction| {
                transaction.execute(sql, [run])?;
                Ok(())
            })
            .await
    }

    /// Given-up jobs of the assets after `after`, in the order in which the assets were first recorded: one job for each.
    pub async fn lost_jobs(
        &self,
        after: Option<&AssetId>,
        count: usize,
    ) -> Result<Vec<LostJob>, DatabaseError> {
        let sql = "SELECT job_id, run_id, asset_id, base, max(lane)
                   FROM published CROSS JOIN run_jobs USING (run) CROSS JOIN assets USING (asset)
                   WHERE lost = 1 AND published.asset > coalesce((SELECT asset FROM assets WHERE asset_id = ?1), 0)
                   GROUP BY published.asset ORDER BY published.asset LIMIT ?2";
        let after = after.cloned();
        self.state
            .read(move |connection| {
                let mut statement = connection.prepare_cached(sql)?;
                let after = after.as_ref().map(|after| Packed(Form::Asset, after.as_str()));
                let mut rows = statement.query(params![after, count])?;
                let mut jobs = Vec::new();
                while let Some(row) = rows.next()? {
                    let lane = lane_of(row.get(4)?)?;
                    jobs.push(LostJob { lane, ..LostJob::read(row)? });
                }
                Ok(jobs)
            })
            .await
    }

    /// Whether any job has no outcome and was not given up.
    pub async fn has_open(&self) -> Result<bool, DatabaseError> {
        let sql = "SELECT 1 FROM published WHERE open = 1";
        self.state.read(|connection| Ok(connection.prepare_cached(sql)?.exists([])?)).await
    }

    /// Ends a lost job whose asset was deleted.
    pub async fn lost_asset_is_gone(&self, job: &LostJob, at: Timestamp) -> Result<(), DatabaseError> {
        let (run, asset) = (job.run_id.clone(), job.asset_id.clone());
        let ended = Job::new(run, asset, "", job.lane, job.base, None, at).ended(Outcome::Gone, at);
        self.fold(vec![OutcomeEvent { job_id: job.job_id.clone(), ..ended }]).await?;
        self.settle_lost(&job.asset_id).await
    }

    /// Records that an asset's lost jobs are settled: the asset was decided on again.
    pub async fn settle_lost(&self, asset: &AssetId) -> Result<(), DatabaseError> {
        let asset = asset.clone();
        let sql = "UPDATE published SET lost = 0
                   WHERE asset = (SELECT asset FROM assets WHERE asset_id = ?1) AND lost = 1";
        self.state
            .write(move |transaction| {
                transaction.prepare_cached(sql)?.execute([Packed(Form::Asset, asset.as_str())])?;
                Ok(())
            })
            .await
    }
}

/// Gives up older jobs. A job in the embedded queue is not lost, however old it is.
fn give_up_before(transaction: &Transaction<'_>, time: Timestamp) -> Result<usize, DatabaseError> {
    let sql = "UPDATE published SET open = 0, lost = 1 WHERE open = 1 AND at_ms < ?1
               AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.job_id =
                   iif(typeof(published.job_id) = 'blob', lower(hex(published.job_id)), published.job_id))";
    Ok(transaction.execute(sql, [time.as_millisecond()])?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note_published;
    use crate::state::State;

    const APART: Duration = Duration::from_mins(15);

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
    }

    #[test]
    fn a_job_is_lost_that_neither_of_two_looks_saw_or_that_is_older_than_any_lives() {
        let verdict = |lost_before, empty_since| Verdict { lost_before, empty_since };
        let old = |minute: i64| at(minute - 25 * 60);
        let table = [
            (QueueCheck::Busy, None, 0, verdict(old(0), None)),
            (QueueCheck::Busy, Some(at(0)), 60, verdict(old(60), None)),
            (QueueCheck::Empty, None, 0, verdict(old(0), Some(at(0)))),
            (QueueCheck::Empty, Some(at(0)), 14, verdict(old(14), Some(at(0)))),
            (QueueCheck::Empty, Some(at(0)), 15, verdict(at(0), Some(at(15)))),
            // Checks that are days apart, and a clock that was set back.
            (QueueCheck::Empty, Some(at(0)), 3000, verdict(old(3000), Some(at(3000)))),
            (QueueCheck::Empty, Some(at(9)), 0, verdict(old(0), Some(at(0)))),
        ];
        for (queues, since, now, expected) in table {
            assert_eq!(judge(queues, since, at(now), APART), expected, "{queues:?} at {now}, {since:?}");
        }
    }

    fn published(asset: &str, lane: Lane, at: Timestamp) -> Job {
        let run = RunId(format!("run of {at}"));
        Job::new(run, asset.parse().unwrap(), "", lane, 3, None, at)
    }

    async fn note(ledger: &Ledger, job: &Job) {
        let job = job.clone();
        ledger.state.write(move |transaction| note_published(transaction, &job)).await.unwrap();
    }

    #[tokio::test]
    async fn a_lost_job_is_owned_until_its_outcome_comes_or_its_asset_has_another_job_or_was_decided_on() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Ledger::new(State::open(directory.path()).unwrap());
        let jobs = ["A", "B", "C", "D"].map(|asset| published(asset, Lane::Backlog, at(0)));
        for job in &jobs {
            note(&ledger, job).await;
        }
        let late = published("D", Lane::Fresh, at(9));
        note(&ledger, &late).await;
        for (minute, lost) in [(1, 0), (15, 0), (16, 4)] {
            let found = ledger.give_up_lost(QueueCheck::Empty, at(minute), APART).await.unwrap();
            assert_eq!(found, lost, "after {minute} minutes");
        }
        let assets = async |after: Option<&AssetId>| {
            let lost = ledger.lost_jobs(after, 9).await.unwrap();
            lost.into_iter().map(|job| (job.asset_id.to_string(), job.lane)).collect::<Vec<_>>()
        };
        let lost = |asset: &str| (asset.to_owned(), Lane::Backlog);
        assert_eq!(assets(None).await, [lost("A"), lost("B"), lost("C"), lost("D")]);
        assert_eq!(assets(Some(&jobs[1].asset_id)).await, [lost("C"), lost("D")]);
        assert_eq!(ledger.known(&jobs[0].asset_id).await.unwrap().lost, Some(Lane::Backlog));

        let event = jobs[0].ended(Outcome::Gone, at(20));
        ledger.fold(vec![event]).await.unwrap();
        note(&ledger, &published("B", Lane::Fresh, at(21))).await;
        ledger.settle_lost(&jobs[2].asset_id).await.unwrap();
        assert_eq!(assets(None).await, [lost("D")]);
    }
}
