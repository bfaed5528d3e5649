//! `connector sync`: everything on one machine, without a broker.

use std::time::Duration;

use breakers::{Breakers, Trouble};
use cli::options::GlobalOptions;
use cli::output;
use cli::signals::stop_on_signals;
use common::failure::Failure;
use config::Config;
use jiff::Timestamp;
use ledger::{Mark, QueueCheck};
use notify::Notices;
use producer::arguments::{self, RunArguments};
use producer::run::Report;
use producer::{Delays, Progress, RunEnd, RunSession};
use queue::JobPublisher;
use telemetry::Metrics;
use tokio_util::sync::CancellationToken;
use wiring::quiet_hours;

use crate::parts::{self, Parts};

/// How often progress and breakers are checked.
const PROGRESS_POLL: Duration = Duration::from_millis(200);
/// An outage this long ends the run; its jobs stay in the queue.
const LONGEST_OUTAGE: Duration = Duration::from_mins(10);
/// A refused permission may concern a few assets only; after this long without any success it concerns all.
const LONGEST_REFUSAL: Duration = Duration::from_secs(30);

pub(crate) async fn run(global: &GlobalOptions, run: &RunArguments) -> Result<(), Failure> {
    let loaded = arguments::load(global, run)?;
    let stop = stop_on_signals()?;
    traces::start(&loaded.config, "connector")?;
    let notices = Notices::start(wiring::notifier(&loaded.config)?);
    let ended = sync(&loaded.config, run, global.quiet, &stop).await.and_then(|ended| ended.print(global));
    traces::flush().await;
    notices.conclude(&ended, stop.is_cancelled()).await;
    ended
}

/// Runs once, until every job has an outcome.
pub(crate) async fn sync(
    config: &Config,
    run: &RunArguments,
    quiet: bool,
    stop: &CancellationToken,
) -> Result<RunEnd, Failure> {
    let opening = Box::pin(parts::parts(config, Metrics::new()));
    let parts = stop.run_until_cancelled(opening).await.ok_or_else(stopped)??;
    // A job in the queue of the state directory is not lost, however old. A job that is not in it may be a fleet's.
    parts.ledger.give_up_lost(QueueCheck::Busy, Timestamp::now(), config.producer.lost_after.0).await?;
    let before = parts.ledger.mark().await?;
    let mut session = RunSession::begin(config, &parts.producer, run, stop).await?;
    let _attending = parts.attend(config);
    let working = CancellationToken::new();
    let consumer = parts.consume(config, working.clone());
    let mut progress = Progress::new(quiet);
    let ended = tokio::select! {
        ended = produce_and_wait(&parts, &session, &before, &mut progress, stop) => ended,
        failure = unusable(&parts.worker.breakers) => Err(failure),
    };
    progress.end();
    working.cancel();
    if let Err(error) = consumer.await {
        return Err(Failure::Unexpected(format!("the worker broke down: {error}")));
    }
    if parts.worker.breakers.is_wire_proven() {
        parts.ledger.note_wire_proven(config.imatag.wire()?.hash).await?;
    }
    let report = match ended {
        Ok(report) => report,
        Err(failure) => {
            let open = parts.queue.depth().await.map(|depth| depth.open()).unwrap_or_default();
            output::talk(&format!("{open} jobs are kept; the next `connector sync` resumes them"));
            return Err(failure);
        }
    };
    let tally = parts.ledger.tally_since(&before).await?;
    let unchecked = parts.ledger.unchecked_since(&before).await?;
    session.conclude(&report).await?;
    Ok(session.sum_up(&report, &tally, unchecked, 0, parts.budget.used()))
}

async fn produce_and_wait(
    parts: &Parts,
    session: &RunSession<'_>,
    before: &Mark,
    progress: &mut Progress,
    stop: &CancellationToken,
) -> Result<Report, Failure> {
    let mut producing = Box::pin(session.walk(|_| {}));
    let mut report = None;
    loop {
        tokio::select! {
            ended = &mut producing, if report.is_none() => report = Some(ended?),
            () = tokio::time::sleep(PROGRESS_POLL) => {}
        }
        let depth = parts.queue.depth().await?;
        let others = Delays {
            imatag_pause: parts.worker.imatag.paused(),
            quiet_hours: quiet_hours::active(&parts.worker.settings.quiet_hours, Timestamp::now()),
        };
        progress.show(&parts.ledger.tally_since(before).await?, &depth, &parts.budget.figures(), &others);
        if stop.is_cancelled() {
            return Err(stopped());
        }
        if let Some(report) = report.take_if(|_| depth.open() == 0) {
            return Ok(report);
        }
    }
}

fn stopped() -> Failure {
    Failure::Temporary("stopped before every job was done".to_owned())
}

/// Resolves when a service cannot be used and waiting will not help, or has not helped.
async fn unusable(breakers: &Breakers) -> Failure {
    loop {
        tokio::time::sleep(PROGRESS_POLL).await;
        let Some(breaker) = breakers.worst() else { continue };
        let (service, reason, lasted) = (breaker.service.name(), breaker.reason, breaker.since.elapsed());
        match breaker.trouble {
            Trouble::Credential => return Failure::Credential(reason),
            Trouble::Configuration => return Failure::Configuration(reason),
            Trouble::ReadRefused | Trouble::WriteRefused if lasted > LONGEST_REFUSAL => {
                return Failure::Credential(reason);
            }
            Trouble::Outage if lasted > LONGEST_OUTAGE => {
                return Failure::Temporary(format!(
                    "{service} has been out for {} s: {reason}",
                    lasted.as_secs()
                ));
            }
            Trouble::ReadRefused | Trouble::WriteRefused | Trouble::Outage => {}
        }
    }
}
