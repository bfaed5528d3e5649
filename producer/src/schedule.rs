//! Repeats runs: at a fixed interval, or by a cron expression.

use std::time::Duration;

use common::failure::Failure;
use common::parse_error::harmless;
use config::ProducerSection;
use croner::Cron;
use tokio_util::sync::CancellationToken;

use crate::allowance::Limit;
use crate::arguments::{Asker, Scope};
use crate::fleet::{self, Fleet};
use cli::options::GlobalOptions;

/// When to run.
#[derive(Debug, Clone)]
pub(crate) enum Schedule {
    /// This long after the last start.
    Every(Duration),
    /// By a cron expression, in UTC.
    Cron(Box<Cron>),
}

/// Checks the configured schedule.
///
/// # Errors
/// [`Failure::Configuration`]: an invalid cron expression, or both kinds of schedule at once.
pub fn check(section: &ProducerSection) -> Result<(), Failure> {
    Schedule::of(section).map(|_| ())
}

impl Schedule {
    /// The configured schedule; `None` for one run.
    pub(crate) fn of(section: &ProducerSection) -> Result<Option<Self>, Failure> {
        match (&section.every, &section.cron) {
            (None, None) => Ok(None),
            (Some(every), None) => Ok(Some(Self::Every(every.0))),
            (None, Some(text)) => {
                text.parse().map(|cron| Some(Self::Cron(Box::new(cron)))).map_err(
                    |error: croner::errors::CronError| {
                        // The error may quote parts of it.
                        let quoted = harmless(text);
                        let why = if quoted == text { format!(" ({error})") } else { String::new() };
                        Failure::Configuration(format!(
                            "producer.cron: {quoted:?} cannot be read{why}; write for example \"0 */6 * * *\""
                        ))
                    },
                )
            }
            (Some(_), Some(_)) => Err(Failure::Configuration(
                "producer.cron and producer.every are both set; keep one of them".to_owned(),
            )),
        }
    }

    /// How long until the next run; the last one started at `since`.
    fn until_next(&self, since: tokio::time::Instant) -> Duration {
        match self {
            Self::Every(every) => every.saturating_sub(since.elapsed()),
            Self::Cron(cron) => {
                let now = chrono::Utc::now();
                let next = cron.find_next_occurrence(&now, false).ok();
                next.and_then(|next| (next - now).to_std().ok()).unwrap_or(Duration::from_hours(1))
            }
        }
    }

    /// Follows the schedule until it is stopped.
    ///
    /// A walk over the whole library can take days, since it waits for the queue. Changes by people must not wait
    /// for it, so it runs concurrently with the delta runs.
    pub(crate) async fn keep(
        &self,
        fleet: &Fleet,
        global: &GlobalOptions,
        first: &Scope,
        stop: &CancellationToken,
    ) -> Result<(), Failure> {
        let walks = first.full || fleet.ledger().full_run_interrupted().await?;
        let whole = async {
            let mut asker = if first.full { Asker::Person } else { Asker::Schedule };
            let mut is_due = walks;
            loop {
                let started = tokio::time::Instant::now();
                let scope = Scope { full: true, delta: false, since: None, asker, ..first.clone() };
                if is_due && self.tolerantly(fleet, global, &scope, stop).await?.is_some() {
                    // A limit ended the walk early: it is due again, for the assets that it did not reach.
                    if !self.wait(started, stop).await {
                        break;
                    }
                    continue;
                }
                asker = Asker::Schedule;
                // No walk is due for a library that was not begun; it may be begun meanwhile.
                let until = fleet.until_full_run().await?;
                let wait = until.unwrap_or_else(|| self.until_next(started).max(fleet::TRY_AGAIN));
                if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                    break;
                }
                is_due = until.is_some();
            }
            Ok::<_, Failure>(())
        };
        let changes = async {
            let scope = Scope { full: false, ..first.clone() };
            loop {
                let started = tokio::time::Instant::now();
                // A walk that a limit ended does not count, and it may be long until the next is due.
                if walks && !fleet.has_walked().await? {
                    if stop.run_until_cancelled(tokio::time::sleep(fleet::OUTCOME_POLL)).await.is_none() {
                        return Ok(());
                    }
                    continue;
                }
                // Without a cursor, but with a walk running, the delta runs start at the beginning of that walk.
                self.tolerantly(fleet, global, &fleet.changes(&scope).await?, stop).await?;
                if !self.wait(started, stop).await {
                    return Ok::<_, Failure>(());
                }
            }
        };
        tokio::try_join!(whole, changes).map(|_| ())
    }

    /// Waits for the next run; false if stopped instead.
    pub(crate) async fn wait(&self, since: tokio::time::Instant, stop: &CancellationToken) -> bool {
        stop.run_until_cancelled(tokio::time::sleep(self.until_next(since))).await.is_some()
    }

    /// One run; returns the limit that ended it early, if any. A temporary failure is logged and left to the next
    /// run.
    async fn tolerantly(
        &self,
        fleet: &Fleet,
        global: &GlobalOptions,
        scope: &Scope,
        stop: &CancellationToken,
    ) -> Result<Option<Limit>, Failure> {
        loop {
            match fleet.once(scope, false, true, stop).await {
                Ok(ended) => {
                    ended.summary.print(global);
                    if let Some(limit) = ended.limit {
                        tracing::warn!("{limit}");
                    }
                    return Ok(ended.limit);
                }
                Err(Failure::Temporary(reason)) if stop.is_cancelled() => {
                    tracing::info!(reason, "stopped");
                    return Ok(None);
                }
                Err(Failure::Temporary(reason)) => {
                    tracing::warn!(reason, "the run could not be finished; trying again");
                    let pause = tokio::time::sleep(fleet::TRY_AGAIN);
                    if stop.run_until_cancelled(pause).await.is_none() {
                        return Ok(None);
                    }
                }
                Err(failure) => return Err(failure),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use config::Span;

    use super::*;

    fn schedule(every: Option<u64>, cron: Option<&str>) -> Result<Option<Schedule>, Failure> {
        let every = every.map(|seconds| Span(Duration::from_secs(seconds)));
        Schedule::of(&ProducerSection { every, cron: cron.map(str::to_owned), ..ProducerSection::default() })
    }

    #[test]
    fn nothing_given_is_one_run_and_both_is_an_error() {
        assert!(matches!(schedule(None, None), Ok(None)));
        assert!(
            schedule(Some(5), Some("* * * * *"))
                .is_err_and(|error| error.to_string().contains("keep one of them"))
        );
        let wrong = schedule(None, Some("whenever"));
        assert!(wrong.is_err_and(|error| error.to_string().contains("producer.cron: \"whenever\"")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_starts_so_long_after_the_last_start_or_when_the_expression_says() {
        let started = tokio::time::Instant::now();
        tokio::time::advance(Duration::from_secs(40)).await;
        let every = schedule(Some(60), None).unwrap().unwrap();
        assert_eq!(every.until_next(started), Duration::from_secs(20));
        let hourly = schedule(None, Some("0 * * * *")).unwrap().unwrap();
        assert!(hourly.until_next(started) <= Duration::from_hours(1));
    }
}
