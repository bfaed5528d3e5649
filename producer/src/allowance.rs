//! How many jobs may still be published: by one run, and by all runs of a day together.
//!
//! Published jobs count, not paid watermarks: a job is paid for once at most unless its file is replaced, so the
//! number of published jobs bounds what has to be paid, whatever their outcomes and whenever they run.

use std::fmt;
use std::sync::Arc;

use common::job::RunId;
use config::Limits;
use jiff::Timestamp;
use ledger::Ledger;
use ledger::state::DatabaseError;
use tokio::sync::{Mutex, MutexGuard};

const SECONDS_A_DAY: i64 = 86_400;

/// What ended a run before the end of the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// `--max-assets`
    MaxAssets(u64),
    /// `limits.assets_per_run`
    AssetsPerRun(u64),
    /// `limits.assets_per_day`
    AssetsPerDay(u64),
    /// The number that was requested when the library was begun.
    AskedFor(u64),
}

impl fmt::Display for Limit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, most, next) = match self {
            Self::MaxAssets(most) => ("--max-assets", most, "the next run continues"),
            Self::AssetsPerRun(most) => ("limits.assets_per_run", most, "the next run continues"),
            Self::AssetsPerDay(most) => ("limits.assets_per_day", most, "runs continue after midnight, UTC"),
            Self::AskedFor(most) => {
                ("--max-assets", most, "no more were asked for; run again with --full, or with another cap")
            }
        };
        write!(formatter, "a limit was reached before the library's end: {name} = {most}; {next}")
    }
}

/// The jobs of a day (UTC), whichever run publishes them.
///
/// Runs are concurrent and continue past midnight, so each job counts at its own time. The one producer continues
/// counting from the ledger, which is complete even after a crash.
#[derive(Debug)]
pub(crate) struct DayAllowance {
    most: Option<u64>,
    ledger: Ledger,
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    /// Days since 1970; `None` before the first check.
    day: Option<i64>,
    jobs: u64,
}

impl DayAllowance {
    pub(crate) fn new(limits: &Limits, ledger: Ledger) -> Self {
        Self { most: limits.assets_per_day, ledger, counted: Mutex::default() }
    }

    /// How many more jobs may be published on the day of `now`, if that is limited.
    pub(crate) async fn left(&self, now: Timestamp) -> Result<Option<u64>, DatabaseError> {
        let Some(most) = self.most else { return Ok(None) };
        Ok(Some(most.saturating_sub(self.counted(now).await?.jobs)))
    }

    async fn take(&self, now: Timestamp) -> Result<bool, DatabaseError> {
        let Some(most) = self.most else { return Ok(true) };
        let mut counted = self.counted(now).await?;
        let has_room = counted.jobs < most;
        counted.jobs += u64::from(has_room);
        Ok(has_room)
    }

    async fn counted(&self, now: Timestamp) -> Result<MutexGuard<'_, Counted>, DatabaseError> {
        let day = now.as_second().div_euclid(SECONDS_A_DAY);
        let mut counted = self.counted.lock().await;
        // A job from just before midnight may be counted after one from past midnight; switching back for it would
        // lose the count of jobs that are not in the ledger yet.
        if counted.day.is_none_or(|known| day != known && day != known - 1) {
            let midnight = Timestamp::from_second(day * SECONDS_A_DAY).unwrap_or(now);
            *counted = Counted { day: Some(day), jobs: self.ledger.published_since(midnight).await? };
        }
        Ok(counted)
    }
}

/// What one run may still publish.
#[derive(Debug)]
pub(crate) struct Allowance {
    of_run: Vec<(Limit, u64)>,
    day: Arc<DayAllowance>,
}

impl Allowance {
    /// The allowance of a run that may be resumed after an interruption.
    pub(crate) async fn of(
        run: &RunId,
        limits: &Limits,
        max_assets: Option<u64>,
        asked_for: Option<(u64, u64)>,
        ledger: &Ledger,
        day: Arc<DayAllowance>,
    ) -> Result<Self, DatabaseError> {
        let mut of_run: Vec<_> = max_assets.map(|most| (Limit::MaxAssets(most), most)).into_iter().collect();
        of_run.extend(asked_for.map(|(most, left)| (Limit::AskedFor(most), left)));
        if let Some(most) = limits.assets_per_run {
            of_run.push((Limit::AssetsPerRun(most), most.saturating_sub(ledger.published_in(run).await?)));
        }
        Ok(Self { of_run, day })
    }

    /// The limit that leaves no room for another job, if there is one.
    pub(crate) async fn spent(&self, now: Timestamp) -> Result<Option<Limit>, DatabaseError> {
        Ok(if self.day.left(now).await? == Some(0) { self.spent_by_day() } else { self.spent_by_run() })
    }

    /// Counts a job that is published `now`, or returns the limit that forbids it.
    pub(crate) async fn take(&mut self, now: Timestamp) -> Result<Option<Limit>, DatabaseError> {
        if let Some(limit) = self.spent_by_run() {
            return Ok(Some(limit));
        }
        if !self.day.take(now).await? {
            return Ok(self.spent_by_day());
        }
        for (_, left) in &mut self.of_run {
            *left -= 1;
        }
        Ok(None)
    }

    /// How many more jobs `limits.assets_per_run` allows this run.
    pub(crate) fn left_of_run(&self) -> Option<u64> {
        self.of_run.iter().find_map(|(limit, left)| matches!(limit, Limit::AssetsPerRun(_)).then_some(*left))
    }

    fn spent_by_run(&self) -> Option<Limit> {
        self.of_run.iter().find(|(_, left)| *left == 0).map(|(limit, _)| *limit)
    }

    fn spent_by_day(&self) -> Option<Limit> {
        self.day.most.map(Limit::AssetsPerDay)
    }
}

#[cfg(test)]
mod tests {
    use common::job::{Job, Lane};
    use ledger::state::State;
    use queue::{EmbeddedQueue, JobPublisher};

    use super::*;

    const LIMITS: Limits = Limits { assets_per_run: Some(2), assets_per_day: Some(3) };

    /// A producer at its start, with the state that an earlier one left.
    struct Producer {
        ledger: Ledger,
        queue: EmbeddedQueue,
        day: Arc<DayAllowance>,
    }

    impl Producer {
        async fn start(directory: &std::path::Path) -> Self {
            let state = State::open(directory).unwrap();
            let ledger = Ledger::new(state.clone());
            let day = Arc::new(DayAllowance::new(&LIMITS, ledger.clone()));
            Self { ledger, queue: EmbeddedQueue::open(state).await.unwrap(), day }
        }

        async fn allowance(&self, run: &str) -> Allowance {
            let run = RunId(run.to_owned());
            Allowance::of(&run, &LIMITS, None, None, &self.ledger, Arc::clone(&self.day)).await.unwrap()
        }

        /// Publishes one asset's job at this time, unless a limit forbids it.
        async fn publish(
            &self,
            allowance: &mut Allowance,
            run: &str,
            asset: &str,
            at: &str,
        ) -> Option<Limit> {
            let at = at.parse().unwrap();
            let limit = allowance.take(at).await.unwrap();
            if limit.is_none() {
                let asset = asset.parse().unwrap();
                let job = Job::new(RunId(run.to_owned()), asset, "", Lane::Fresh, 1, None, at);
                self.queue.publish(&job).await.unwrap();
            }
            limit
        }
    }

    const MORNING: &str = "2026-01-14T08:00:00Z";
    const LATE: &str = "2026-01-14T23:59:59Z";
    const MIDNIGHT: &str = "2026-01-15T00:00:00Z";

    #[tokio::test]
    async fn runs_side_by_side_share_the_day() {
        let directory = tempfile::tempdir().unwrap();
        let producer = Producer::start(directory.path()).await;
        let (mut one, mut other) = (producer.allowance("one").await, producer.allowance("other").await);
        assert_eq!(producer.publish(&mut one, "one", "A1", MORNING).await, None);
        assert_eq!(producer.publish(&mut other, "other", "A2", MORNING).await, None);
        assert_eq!(producer.publish(&mut one, "one", "A3", MORNING).await, None);
        assert_eq!(producer.publish(&mut other, "other", "A4", LATE).await, Some(Limit::AssetsPerDay(3)));
        assert_eq!(other.spent(LATE.parse().unwrap()).await.unwrap(), Some(Limit::AssetsPerDay(3)));
    }

    #[tokio::test]
    async fn a_run_that_goes_on_past_midnight_has_the_new_day_and_not_more() {
        let directory = tempfile::tempdir().unwrap();
        let producer = Producer::start(directory.path()).await;
        for number in 0..3 {
            let run = format!("run{number}");
            let mut allowance = producer.allowance(&run).await;
            let asset = format!("A{number}");
            assert_eq!(producer.publish(&mut allowance, &run, &asset, LATE).await, None);
        }
        let mut run = producer.allowance("run").await;
        assert_eq!(producer.publish(&mut run, "run", "A9", LATE).await, Some(Limit::AssetsPerDay(3)));
        assert_eq!(producer.publish(&mut run, "run", "B1", MIDNIGHT).await, None);
        assert_eq!(producer.publish(&mut run, "run", "B2", MIDNIGHT).await, None);
        assert_eq!(producer.publish(&mut run, "run", "B3", MIDNIGHT).await, Some(Limit::AssetsPerRun(2)));
        let mut next = producer.allowance("next").await;
        assert_eq!(producer.publish(&mut next, "next", "B3", MIDNIGHT).await, None);
        assert_eq!(producer.publish(&mut next, "next", "B4", MIDNIGHT).await, Some(Limit::AssetsPerDay(3)));
    }

    #[tokio::test]
    async fn a_job_of_yesterdays_last_moment_does_not_make_the_new_day_forget() {
        let directory = tempfile::tempdir().unwrap();
        let day = Producer::start(directory.path()).await.day;
        let at = |time: &str| time.parse().unwrap();
        // Counted, but not published yet.
        assert!(day.take(at(MIDNIGHT)).await.unwrap());
        assert!(day.take(at(LATE)).await.unwrap());
        assert_eq!(day.left(at(MIDNIGHT)).await.unwrap(), Some(1));
        assert!(day.take(at(MIDNIGHT)).await.unwrap());
        assert!(!day.take(at(MIDNIGHT)).await.unwrap());
    }

    #[tokio::test]
    async fn a_producer_that_starts_again_counts_on() {
        let directory = tempfile::tempdir().unwrap();
        {
            let producer = Producer::start(directory.path()).await;
            let mut run = producer.allowance("run").await;
            assert_eq!(producer.publish(&mut run, "run", "A1", MORNING).await, None);
        }
        let producer = Producer::start(directory.path()).await;
        let mut resumed = producer.allowance("run").await;
        assert_eq!(producer.publish(&mut resumed, "run", "A2", LATE).await, None);
        assert_eq!(producer.publish(&mut resumed, "run", "A3", LATE).await, Some(Limit::AssetsPerRun(2)));
        let mut next = producer.allowance("next").await;
        assert_eq!(producer.publish(&mut next, "next", "A3", LATE).await, None);
        assert_eq!(producer.publish(&mut next, "next", "A4", LATE).await, Some(Limit::AssetsPerDay(3)));
    }
}
