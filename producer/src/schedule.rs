//! Repeats runs: at a fixed interval, or by a cron expression.

use std::path::Path;
use std::time::Duration;

use common::failure::Failure;
use common::parse_error::harmless;
use config::ProducerSection;
use croner::Cron;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use ledger::Ledger;
use ledger::state::State;
use notify::{Kind, Notice};
use telemetry::Readiness;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::allowance::Limit;
use crate::arguments::{Asker, Hold, RunArguments};
use crate::full_run;
use crate::runner::{Runner, changes, has_walked};
use cli::options::GlobalOptions;

/// The delay before a retry after a temporary failure.
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// How long runs fail in a row before people are notified: most causes end by themselves.
const NOTIFY_AFTER: Duration = Duration::from_mins(15);
/// How often to check whether the first walk has begun.
const WALK_POLL: Duration = Duration::from_millis(300);

/// How many times as long as it took a walk rests after a limit, so that listing what is protected takes a small part of the budget.
const REST_FACTOR: u32 = 10;
/// How long until the library is listed again for a first run that was not requested, and after a limit at most.
const COUNT_AGAIN: Duration = Duration::from_mins(15);

/// How long after a run that postponed changes the next one takes up more of them, at most.
const REST_AFTER: Duration = Duration::from_secs(30);

/// What a run left to the next one.
#[derive(Debug, Default)]
struct Left {
    limit: Option<Limit>,
    is_postponed: bool,
}

/// How many runs of a cron expression are looked at for the longest time between two: hourly ones of a week.
const INTERVALS: u32 = 7 * 24;

/// The readiness entry that is not ready until a person requests the first run.
const FIRST_RUN: &str = "first run";

/// When to run.
#[derive(Debug, Clone)]
pub enum Schedule {
    /// This long after the last start.
    Every(Duration),
    /// By a cron expression, in the time zone.
    Cron(Box<Cron>, TimeZone),
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
    pub fn of(section: &ProducerSection) -> Result<Option<Self>, Failure> {
        match (&section.every, &section.cron) {
            (None, None) => Ok(None),
            (Some(every), None) => Ok(Some(Self::Every(every.0))),
            (None, Some(text)) => {
                let cron: Cron = text.parse().map_err(|error: croner::errors::CronError| {
                    // The error may quote parts of it.
                    let quoted = harmless(text);
                    let why = if quoted == text { format!(" ({error})") } else { String::new() };
                    Failure::Configuration(format!(
                        "producer.cron: {quoted:?} cannot be read{why}; write for example \"0 */6 * * *\""
                    ))
                })?;
                let zone = section.time_zone.0.clone();
                if next_occurrence(&cron, &zone, Timestamp::now()).is_none() {
                    let reason = "names a time that never comes, such as 31 February; nothing would be run";
                    return Err(Failure::Configuration(format!("producer.cron: {reason}")));
                }
                Ok(Some(Self::Cron(Box::new(cron), zone)))
            }
            (Some(_), Some(_)) => Err(Failure::Configuration(
                "producer.cron and producer.every are both set; keep one of them".to_owned(),
            )),
        }
    }

    /// How long until the next run; the last one started at `since`.
    fn until_next(&self, since: Instant) -> Duration {
        match self {
            Self::Every(every) => every.saturating_sub(since.elapsed()),
            Self::Cron(cron, zone) => {
                let now = Timestamp::now();
                let next = next_occurrence(cron, zone, now);
                let wait = next.and_then(|next| Duration::try_from(next.duration_since(now)).ok());
                wait.unwrap_or(Duration::from_hours(1))
            }
        }
    }

    /// The longest time between two runs, as far as the next of them show.
    pub fn longest_interval(&self) -> Duration {
        match self {
            Self::Every(every) => *every,
            Self::Cron(cron, zone) => {
                let mut longest = Duration::ZERO;
                let mut before = next_occurrence(cron, zone, Timestamp::now());
                for _ in 0..INTERVALS {
                    let next = before.and_then(|before| next_occurrence(cron, zone, before));
                    let Some((from, to)) = before.zip(next) else { break };
                    longest = longest.max(Duration::try_from(to.duration_since(from)).unwrap_or_default());
                    before = next;
                }
                longest
            }
        }
    }

    /// Does `work`, which keeps to the schedule, until it is stopped. Where a person has to request the first run, it
    /// ends, so that another process can do that run, and is done again when the next run is due.
    pub async fn follow(
        &self,
        state_directory: &Path,
        readiness: &Readiness,
        stop: &CancellationToken,
        mut work: impl AsyncFnMut() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        loop {
            let ended = work().await;
            let Err(Failure::Limit(reason)) = ended else { return ended };
            tracing::error!(reason, "the first run has to be requested; waiting for it");
            readiness.set(FIRST_RUN, Err(reason));
            let requested = tokio::time::timeout(
                self.until_next(Instant::now()).max(COUNT_AGAIN),
                first_run(state_directory),
            );
            match stop.run_until_cancelled(requested).await {
                None => return Ok(()),
                Some(Ok(failed)) => failed?,
                Some(Err(_)) => {}
            }
        }
    }

    /// Follows the schedule until it is stopped.
    ///
    /// A walk over the whole library can take days, since it waits for the queue. Changes by people must not wait
    /// for it, so it runs concurrently with the delta runs.
    pub async fn keep(
        &self,
        runner: &impl Runner,
        global: &GlobalOptions,
        first: &RunArguments,
        readiness: &Readiness,
        stop: &CancellationToken,
    ) -> Result<(), Failure> {
        if has_walked(runner.ledger()).await? {
            readiness.set(FIRST_RUN, Ok(()));
        }
        let walks = first.full || runner.ledger().full_run_interrupted().await?;
        let whole = async {
            let mut asker = if first.full { Asker::Person } else { Asker::Schedule };
            let mut is_due = walks;
            loop {
                let started = Instant::now();
                let scope = RunArguments { full: true, delta: false, since: None, asker, ..first.clone() };
                if is_due && self.tolerantly(runner, global, &scope, stop).await?.limit.is_some() {
                    // A limit ended the walk early: it is due again, for the assets that it did not reach, and lists those before them
                    // anew.
                    let rest = started.elapsed().saturating_mul(REST_FACTOR).min(COUNT_AGAIN);
                    let wait = self.until_next(started).max(rest);
                    if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                        break;
                    }
                    continue;
                }
                asker = Asker::Schedule;
                // No walk is due for a library that was not begun; it may be begun meanwhile.
                let until = full_run::until_due(runner.config(), runner.ledger(), Timestamp::now()).await?;
                let wait = until.unwrap_or_else(|| self.until_next(started).max(TRY_AGAIN));
                if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                    break;
                }
                is_due = until.is_some();
            }
            Ok::<_, Failure>(())
        };
        let changes = async {
            let scope = RunArguments { full: false, ..first.clone() };
            loop {
                let started = Instant::now();
                // A walk that a limit ended does not count, and it may be long until the next is due.
                if walks && !has_walked(runner.ledger()).await? {
                    if stop.run_until_cancelled(tokio::time::sleep(WALK_POLL)).await.is_none() {
                        return Ok(());
                    }
                    continue;
                }
                // Without a cursor, but with a walk running, the delta runs start at the beginning of that walk.
                let scope = changes(runner.ledger(), &scope).await?;
                let ended = self.tolerantly(runner, global, &scope, stop).await?;
                // What is postponed has room soon, however seldom the runs are.
                let most = if ended.is_postponed { REST_AFTER } else { Duration::MAX };
                let wait = self.until_next(started).min(most);
                if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                    return Ok::<_, Failure>(());
                }
            }
        };
        tokio::try_join!(whole, changes).map(|_| ())
    }

    /// One run; returns what it left. A temporary failure is logged and left to the next run.
    async fn tolerantly(
        &self,
        runner: &impl Runner,
        global: &GlobalOptions,
        scope: &RunArguments,
        stop: &CancellationToken,
    ) -> Result<Left, Failure> {
        let begun = Instant::now();
        loop {
            match runner.run(scope, stop).await {
                Ok(ended) => {
                    if !ended.found_nothing() {
                        ended.summary.print(global);
                    }
                    if let Some(limit) = ended.limit {
                        tracing::warn!("{limit}");
                        runner.notices().send(Notice::new(Kind::LimitReached).because(&limit));
                    }
                    return Ok(Left { limit: ended.limit, is_postponed: ended.is_postponed() });
                }
                Err(Failure::Temporary(reason)) if stop.is_cancelled() => {
                    tracing::info!(reason, "stopped");
                    return Ok(Left::default());
                }
                Err(Failure::Temporary(reason)) => {
                    tracing::warn!(reason, "the run could not be finished; trying again");
                    if begun.elapsed() >= NOTIFY_AFTER {
                        runner.notices().send(Notice::new(Kind::RunFailed).because(&reason));
                    }
                    let pause = tokio::time::sleep(TRY_AGAIN);
                    if stop.run_until_cancelled(pause).await.is_none() {
                        return Ok(Left::default());
                    }
                }
                Err(failure) => return Err(failure),
            }
        }
    }
}

/// Resolves once another process has begun the first run.
async fn first_run(state_directory: &Path) -> Result<(), Failure> {
    loop {
        if let Some(state) = State::open_to_read(state_directory)?
            && has_walked(&Ledger::new(state)).await?
        {
            return Ok(());
        }
        tokio::time::sleep(TRY_AGAIN).await;
    }
}

/// The scope of scheduled runs.
///
/// # Errors
/// An option is for one run: repeated, a number of assets would be requested again each time.
pub fn scope_of_runs(given: &RunArguments, one_run: &str) -> Result<RunArguments, Failure> {
    let options = [
        ("--dry-run", given.dry_run),
        ("--retry-failed", given.retry_failed.is_some()),
        ("--max-assets", given.max_assets.is_some()),
    ];
    match options.into_iter().find(|(_, is_given)| *is_given) {
        Some((option, _)) => Err(Failure::Usage(format!("{option} is for one run; {one_run}"))),
        None => Ok(RunArguments { hold: Hold::Always, ..given.clone() }),
    }
}

/// What `open` opens, as soon as it can be; `None` if stopped before. `condition` is not ready meanwhile.
///
/// # Errors
/// Those of `open` that are not temporary.
pub async fn once_possible<T>(
    condition: &'static str,
    readiness: &Readiness,
    stop: &CancellationToken,
    open: impl AsyncFn() -> Result<T, Failure>,
) -> Result<Option<T>, Failure> {
    loop {
        let Some(opened) = stop.run_until_cancelled(open()).await else { return Ok(None) };
        match opened {
            Err(Failure::Temporary(reason)) => {
                tracing::warn!(reason, "cannot start yet; trying again");
                readiness.set(condition, Err("cannot start yet; the log shows why".to_owned()));
                if stop.run_until_cancelled(tokio::time::sleep(TRY_AGAIN)).await.is_none() {
                    return Ok(None);
                }
            }
            opened => return opened.map(Some),
        }
    }
}

/// The next time at which clocks in this zone show what the expression says. Where clocks skip that time, it is as much
/// later; where they show it twice, the first counts.
fn next_occurrence(cron: &Cron, zone: &TimeZone, now: Timestamp) -> Option<Timestamp> {
    // The expression is about what clocks show: they are calculated with as if there were no time zones.
    let shown = zone.to_datetime(now);
    let mut after = chrono::DateTime::from_timestamp(TimeZone::UTC.to_timestamp(shown).ok()?.as_second(), 0)?;
    loop {
        after = cron.find_next_occurrence(&after, false).ok()?;
        let shown = TimeZone::UTC.to_datetime(Timestamp::from_second(after.timestamp()).ok()?);
        let next = zone.to_timestamp(shown).ok()?;
        // Clocks that show an hour twice are behind what they showed before.
        if next > now {
            return Some(next);
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
        let never = schedule(None, Some("0 0 31 2 *"));
        assert!(never.is_err_and(|error| error.to_string().contains("never comes")));
        assert!(matches!(schedule(None, Some("0 0 29 2 *")), Ok(Some(Schedule::Cron(..)))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_starts_so_long_after_the_last_start_or_when_the_expression_says() {
        let started = Instant::now();
        tokio::time::advance(Duration::from_secs(40)).await;
        let every = schedule(Some(60), None).unwrap().unwrap();
        assert_eq!(every.until_next(started), Duration::from_secs(20));
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let (cron, at): (Cron, _) =
            ("30 2 * * *".parse().unwrap(), |text: &str| text.parse::<Timestamp>().unwrap());
        for (now, next) in [
            ("2026-01-10T00:00:00Z", "2026-01-10T01:30:00Z"),
            ("2026-07-10T00:00:00Z", "2026-07-10T00:30:00Z"),
            // Clocks skip half past two, and show it twice.
            ("2026-03-29T00:00:00Z", "2026-03-29T01:30:00Z"),
            ("2026-10-24T23:00:00Z", "2026-10-25T00:30:00Z"),
            ("2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"),
            ("2026-10-25T01:10:00Z", "2026-10-26T01:30:00Z"),
        ] {
            assert_eq!(next_occurrence(&cron, &berlin, at(now)), Some(at(next)), "after {now}");
        }
        assert_eq!(every.longest_interval(), Duration::from_mins(1));
        let workdays = schedule(None, Some("0 2 * * 1-5")).unwrap().unwrap();
        assert_eq!(workdays.longest_interval(), Duration::from_hours(3 * 24));
        let hourly = schedule(None, Some("0 * * * *")).unwrap().unwrap();
        assert!(hourly.until_next(started) <= Duration::from_hours(1));
    }
}
