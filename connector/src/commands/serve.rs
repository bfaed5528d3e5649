//! `connector serve`: the whole connector in one process, by a schedule, without a broker.

use std::time::Duration;

use breakers::Trouble;
use cli::options::GlobalOptions;
use cli::signals::stop_on_signals;
use common::failure::Failure;
use common::service::Service;
use config::Config;
use jiff::Timestamp;
use ledger::{Ledger, QueueCheck};
use notify::{Kind, Notice, Notices};
use producer::arguments::{self, RunArguments};
use producer::schedule::{Schedule, once_possible, scope_of_runs};
use producer::{RunEnd, RunSession, Runner, standstill};
use queue::JobPublisher;
use telemetry::{Metrics, Readiness};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wiring::quiet_hours;

use crate::parts::{self, Parts};
use crate::systemd;

/// The interval between runs if no schedule is configured.
const EVERY: Duration = Duration::from_secs(30);
/// How often the state of queue and services is reported.
const REPORT_EVERY: Duration = Duration::from_millis(500);
/// How often the queue is counted, and what the ledger knows is read.
const MEASURE_EVERY: Duration = Duration::from_secs(15);
/// How long a credential or a right is refused before people are notified: a service may be wrong for a moment.
const NOTIFY_AFTER: Duration = Duration::from_secs(10);

pub(crate) async fn run(global: &GlobalOptions, scope: &RunArguments) -> Result<(), Failure> {
    let scope = &scope_of_runs(scope, "give it to `connector sync`")?;
    let config = arguments::load(global, scope)?.config;
    // A secret that cannot be read ends the start: systemd would count the unit as started.
    config.bynder.credential()?;
    config.imatag.credential()?;
    let schedule = Schedule::of(&config.producer)?.unwrap_or(Schedule::Every(EVERY));
    let notices = Notices::start(wiring::notifier(&config)?);
    let (metrics, readiness, stop) = (Metrics::new(), Readiness::default(), stop_on_signals()?);
    metrics.deployment_is(&config.queue.prefix);
    metrics.run_interval_is(schedule.longest_interval());
    metrics.step_deadline_is(config.worker.step_deadline.0);
    metrics.set_budget(config.bynder.requests_per_5_minutes.get());
    metrics.leave_out_broker();
    readiness.set("Bynder", Err("not asked yet".to_owned()));
    // Health checks are answered until the very end, including the drain.
    let end = CancellationToken::new();
    let _end = end.clone().drop_guard();
    telemetry::serve(config.http.listen, metrics.clone(), readiness.clone(), end.clone()).await?;
    let page = page::serve(&config, readiness.clone(), end).await?;
    let _watchdog = systemd::ready(&metrics);

    let open = async || parts::parts(&config, metrics.clone()).await;
    let work = async || {
        let Some(parts) = once_possible("Bynder", &readiness, &stop, open).await? else { return Ok(()) };
        readiness.set("Bynder", Ok(()));
        let _attending = parts.attend(&config);
        let attached = page.as_ref().map(|page| page.attach(parts.live(&config)));
        // Not the stop itself: a worker that ends before the stop is noticed here would count as broken down.
        let working = CancellationToken::new();
        let mut consumer = parts.consume(&config, working.clone());
        let alone = Alone { config: &config, parts: &parts, metrics: &metrics, notices: &notices };
        let ended = tokio::select! {
            biased;
            // A walk resumes where it was; a call that takes long must not outlast the stop.
            () = stop.cancelled() => Ok(()),
            ended = schedule.keep(&alone, global, scope, &readiness, &stop) => ended,
            () = alone.report(&readiness) => Ok(()),
            () = standstill::watch(&alone, || parts.budget.operator_pause().is_some()) => Ok(()),
            ended = &mut consumer => {
                let why = ended.map_or_else(|error| error.to_string(), |()| "it ended".to_owned());
                return Err(Failure::Unexpected(format!("the worker broke down: {why}")));
            }
        };
        if stop.is_cancelled() {
            systemd::stopping();
        }
        if let Some(attached) = attached {
            attached.end().await;
        }
        working.cancel();
        consumer.await.map_err(|error| Failure::Unexpected(format!("the worker broke down: {error}")))?;
        ended
    };
    traces::start(&config, "connector")?;
    let ended = Box::pin(schedule.follow(&config.producer.state_dir, &readiness, &stop, work)).await;
    traces::flush().await;
    notices.conclude(&ended, stop.is_cancelled()).await;
    ended?;
    tracing::info!("stopped in order");
    Ok(())
}

/// This machine, which does the jobs of its runs itself.
struct Alone<'a> {
    config: &'a Config,
    parts: &'a Parts,
    metrics: &'a Metrics,
    notices: &'a Notices,
}

impl Runner for Alone<'_> {
    fn config(&self) -> &Config {
        self.config
    }

    fn ledger(&self) -> &Ledger {
        &self.parts.ledger
    }

    fn notices(&self) -> &Notices {
        self.notices
    }

    async fn run(&self, scope: &RunArguments, stop: &CancellationToken) -> Result<RunEnd, Failure> {
        let Parts { budget, ledger, producer, .. } = self.parts;
        let before = budget.used();
        ledger.give_up_lost(QueueCheck::Busy, Timestamp::now(), self.config.producer.lost_after.0).await?;
        let mut session = RunSession::begin(self.config, producer, scope, stop).await?;
        let report = session.walk_logged().await?;
        session.conclude(&report).await?;
        self.metrics.set_cursor(ledger.cursor().await?);
        let tally = ledger.tally_of(&report.run_id).await?;
        let unchecked = ledger.unchecked_of(&report.run_id).await?;
        Ok(session.sum_up(&report, &tally, unchecked, 0, budget.used().saturating_sub(before)))
    }
}

impl Alone<'_> {
    /// Reports the state of queue and services to readiness and metrics, for as long as it is polled.
    async fn report(&self, readiness: &Readiness) {
        let Parts { budget, ledger, queue, producer, worker } = self.parts;
        let mut measured: Option<Instant> = None;
        let mut is_proven = false;
        loop {
            self.metrics.budget_measured(&budget.figures());
            self.metrics.spool_measured(&worker.spool);
            self.metrics.imatag_paused(worker.imatag.paused().is_some());
            let quiet = quiet_hours::active(&self.config.quiet_hours, Timestamp::now());
            self.metrics.quiet_hours(quiet.is_some());
            for service in Service::ALL {
                self.metrics.breaker_open(service, worker.breakers.is_open(service));
            }
            let breaker = worker.breakers.worst();
            let refused = breaker.as_ref().filter(|breaker| {
                !matches!(breaker.trouble, Trouble::Outage | Trouble::Configuration)
                    && breaker.since.elapsed() >= NOTIFY_AFTER
            });
            let refused =
                refused.map(|breaker| Notice::new(Kind::CredentialRefused).because(&breaker.reason));
            readiness.set("services", breaker.map_or(Ok(()), |breaker| Err(breaker.public_reason())));
            if worker.breakers.is_wire_proven()
                && !is_proven
                && let Ok(wire) = self.config.imatag.wire()
            {
                is_proven = ledger.note_wire_proven(wire.hash).await.is_ok();
            }
            if measured.is_none_or(|at| at.elapsed() >= MEASURE_EVERY) {
                measured = Some(Instant::now());
                if let Some(notice) = refused {
                    self.notices.send(notice);
                }
                match queue.depth().await {
                    Ok(depth) => self.metrics.queue_measured(&depth),
                    Err(error) => tracing::warn!(%error, "cannot read the state"),
                }
                if let Err(error) = producer.measure_record().await {
                    tracing::warn!(%error, "cannot read the state");
                }
            }
            tokio::time::sleep(REPORT_EVERY).await;
        }
    }
}
