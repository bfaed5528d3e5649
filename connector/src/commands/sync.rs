//! `connector sync`: the whole job on one machine, no broker.

use std::time::{Duration, Instant};

use common::config::Config;
use common::queue::JobQueue;
use producer::run::{Options, Report, scope};
use producer::{Patience, Summary};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use worker::breaker::{Breakers, Trouble};

use crate::arguments::{Common, Scope};
use crate::failure::Failure;
use crate::progress::Progress;
use crate::wiring::{self, Parts};
use crate::{commands::plan, output};

/// How long jobs in flight have to reach the end of their step.
const GRACE: Duration = Duration::from_secs(25);
/// How often progress and trouble are looked at.
const LOOK: Duration = Duration::from_millis(200);
/// An outage this long ends the run; its jobs stay.
const LONGEST_OUTAGE: Duration = Duration::from_mins(10);
/// A refused right may concern a few assets; this long without any success it concerns all.
const LONGEST_REFUSAL: Duration = Duration::from_secs(30);

pub(crate) async fn run(common: &Common, run: &Scope) -> Result<(), Failure> {
    let loaded = wiring::load(common, Some(run))?;
    let stop = stop_on_signals()?;
    let (summary, limit_reached) = sync(&loaded.config, run, common.quiet, &stop).await?;
    tell(common, &summary);
    if summary.failed > 0 {
        return Err(Failure::FailedJobs(summary.failed));
    }
    if limit_reached {
        return Err(Failure::Limit(
            "a limit was reached before the library's end; the next run goes on".to_owned(),
        ));
    }
    Ok(())
}

fn tell(common: &Common, summary: &Summary) {
    if !common.quiet && !common.json {
        output::data(&format!(
            "{} looked at, {} protected before, {} filtered out, {} to protect:\n  {} watermarked, {} already protected, \
             {} superseded, {} gone, {} failed\n  {} Bynder calls, {:.0} s",
            summary.listed,
            summary.skipped_unchanged,
            summary.filtered_out,
            summary.selected,
            summary.watermarked,
            summary.already_protected,
            summary.superseded,
            summary.gone,
            summary.failed,
            summary.portal_requests,
            summary.seconds,
        ));
    }
    if common.json {
        output::data(&serde_json::to_string(summary).unwrap_or_default());
    }
}

/// The first signal asks to finish or park what is in flight, the second ends the process at once.
pub(crate) fn stop_on_signals() -> Result<CancellationToken, Failure> {
    let stop = CancellationToken::new();
    let listen = |kind| {
        signal(kind).map_err(|error| Failure::Unexpected(format!("cannot listen to signals: {error}")))
    };
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let asked = stop.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if asked.is_cancelled() {
                std::process::exit(5);
            }
            output::talk("stopping: what is in flight is finished or parked; once more to stop at once");
            asked.cancel();
        }
    });
    Ok(stop)
}

/// Runs once, until every job has an outcome. Returns whether a limit ended the walk early.
pub(crate) async fn sync(
    config: &Config,
    run: &Scope,
    quiet: bool,
    stop: &CancellationToken,
) -> Result<(Summary, bool), Failure> {
    let started = Instant::now();
    let parts = wiring::parts(config).await?;
    let before = parts.ledger.latest_event().await?;
    let cursor = parts.ledger.cursor().await?;
    let options = Options {
        scope: scope(config.delta || run.delta, run.full, run.since, cursor, config.producer.overlap.0),
        max_assets: run.max_assets,
        dry_run: false,
    };
    guard_first_run(config, run, &parts, &options, cursor.is_some(), stop).await?;
    let working = CancellationToken::new();
    let consumer = tokio::spawn(worker::consume(parts.worker.clone(), working.clone(), GRACE));
    let mut progress = Progress::new(quiet);
    let ended = tokio::select! {
        ended = produce_and_wait(&parts, &options, before, &mut progress, stop) => ended,
        failure = unusable(&parts.worker.breakers) => Err(failure),
    };
    progress.end();
    working.cancel();
    if let Err(error) = consumer.await {
        return Err(Failure::Unexpected(format!("the worker broke down: {error}")));
    }
    let report = match ended {
        Ok(report) => report,
        Err(failure) => {
            let open = parts.queue.depth().await.map(|depth| depth.open()).unwrap_or_default();
            output::talk(&format!("{open} jobs are kept and go on with the next `connector sync`"));
            return Err(failure);
        }
    };
    let tally = parts.ledger.tally_after(before).await?;
    let summary = Summary::new(&report, &tally, parts.budget.used(), started.elapsed().as_secs_f64());
    Ok((summary, report.found.limit_reached))
}

async fn produce_and_wait(
    parts: &Parts,
    options: &Options,
    before: u64,
    progress: &mut Progress,
    stop: &CancellationToken,
) -> Result<Report, Failure> {
    let patience = Patience::until(stop.clone());
    let mut producing = Box::pin(producer::run::run(&parts.producer, options, &patience, |_| {}));
    let mut report = None;
    loop {
        tokio::select! {
            ended = &mut producing, if report.is_none() => report = Some(ended?),
            () = tokio::time::sleep(LOOK) => {}
        }
        let depth = parts.queue.depth().await?;
        progress.show(&parts.ledger.tally_after(before).await?, &depth, parts.budget.paused());
        if stop.is_cancelled() {
            return Err(Failure::Temporary("stopped before every job was done".to_owned()));
        }
        if let Some(report) = report.take_if(|_| depth.open() == 0) {
            return Ok(report);
        }
    }
}

/// Resolves when a service cannot be used and waiting will not help, or has not.
async fn unusable(breakers: &Breakers) -> Failure {
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(halt) = breakers.halt() else { continue };
        let (service, reason, lasted) = (halt.service.name(), halt.reason, halt.since.elapsed());
        match halt.trouble {
            Trouble::Credential => return Failure::Credential(reason),
            Trouble::Configuration => return Failure::Configuration(reason),
            Trouble::Permission if lasted > LONGEST_REFUSAL => return Failure::Credential(reason),
            Trouble::Outage if lasted > LONGEST_OUTAGE => {
                return Failure::Temporary(format!(
                    "{service} has been out for {} s: {reason}",
                    lasted.as_secs()
                ));
            }
            Trouble::Permission | Trouble::Outage => {}
        }
    }
}

/// The first run over a library would watermark all of it, and each watermark is paid for: it has to be asked for.
async fn guard_first_run(
    config: &Config,
    run: &Scope,
    parts: &Parts,
    options: &Options,
    ran_before: bool,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let capped = run.max_assets.is_some() || config.limits.assets_per_run.is_some();
    if ran_before || run.full || run.since.is_some() || capped {
        return Ok(());
    }
    let patience = Patience::until(stop.clone());
    let dry = Options { dry_run: true, ..options.clone() };
    let report = producer::run::run(&parts.producer, &dry, &patience, |_| {}).await?;
    output::talk("This is the first run over this library. It would do the following:");
    plan::print(&report, config, output::talk);
    Err(Failure::Limit(
        "nothing was done. Run again with --full to protect all of it, with --since to go on from a time, or with \
         --max-assets (or limits.assets_per_run) for a part"
            .to_owned(),
    ))
}
