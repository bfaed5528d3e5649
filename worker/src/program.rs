//! The `worker` program: options, wiring, and the background tasks.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use budget::Budget;
use bynder::Bynder;
use bynder::patience::{Patience, patiently};
use clap::{CommandFactory, Parser, Subcommand};
use cli::log::Verbosity;
use cli::output::LogFormat;
use cli::program;
use cli::signals::stop_on_signals;
use common::failure::Failure;
use common::job::Step;
use common::permission::Permission;
use common::service::Service;
use config::Config;
use files::spool::Spool;
use imatag::Imatag;
use jiff::Timestamp;
use queue::{Locks, QueueError};
use rabbitmq::Broker;
use telemetry::{Metrics, Readiness};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use wiring::quiet_hours;
use wiring::written_fields;

use crate::approval::Approval;
use crate::concurrency::Concurrency;
use crate::dead_letters::settle_dead_letters;
use crate::environment::Environment;
use crate::probe::Probes;
use crate::service_times::ServiceTimes;
use crate::settings::Settings;
use breakers::Breakers;

/// How often the state of the broker and the services is reported.
const POLL_EVERY: Duration = Duration::from_millis(500);
/// How often the depth of the queues is measured.
const MEASURE: Duration = Duration::from_secs(15);
/// The pause between attempts to reach the portal at the start.
const START_AGAIN: Duration = Duration::from_secs(10);

/// Does the jobs of a fleet: takes them from the broker, has files watermarked, saves them.
#[derive(Debug, Parser)]
#[command(
    version,
    name = "worker",
    bin_name = "worker",
    max_term_width = 80,
    after_help = "Exit codes: 0 stopped in order, 1 unexpected, 2 usage, 3 configuration or secret, 4 authentication or \
    permission, 5 temporary."
)]
struct Arguments {
    /// The configuration file [default: connector.toml, if there is one]
    #[arg(long, global = true, help_heading = "Options of every command")]
    config: Option<PathBuf>,
    /// How log lines look: text for people, json for programs, one object a line
    #[arg(long, global = true, help_heading = "Options of every command", value_enum, hide_possible_values = true, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Command {
    /// Ask the worker of this machine whether it is alive
    Healthcheck,
}

/// For what is made of it: completions and man pages.
pub fn command_line() -> clap::Command {
    Arguments::command()
}

pub fn main() -> ExitCode {
    // A reader process holds neither secrets nor settings.
    if let Some(code) = media::reader::run_if_asked() {
        return code;
    }
    program::harden();
    let arguments = match program::arguments::<Arguments>() {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    cli::log::init_with(arguments.log_format, Verbosity::Work, traces::layer());
    program::run(run(arguments))
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let quiet = arguments.command.is_some();
    let config = wiring::load(arguments.config.as_deref(), &[], quiet)?.config;
    match arguments.command {
        Some(Command::Healthcheck) => telemetry::healthcheck(config.http.listen).await,
        None => {
            traces::start(&config, "connector-worker")?;
            let ended = work(&config).await;
            traces::flush().await;
            ended
        }
    }
}

async fn work(config: &Config) -> Result<(), Failure> {
    let stop = stop_on_signals()?;
    let budget = Budget::of_group(config.bynder.requests_per_5_minutes);
    let _quiet = quiet_hours::keep(config, &budget);
    let (metrics, readiness) = (Metrics::new(), Readiness::default());
    let concurrency = Concurrency::new(config.worker.concurrency, &metrics);
    let bynder = wiring::bynder_observed(config, &budget, Arc::new(concurrency.clone()))?;
    let imatag = wiring::imatag_observed(config, Arc::new(concurrency.clone()), None)?;
    let spool = wiring::spool(config)?;
    metrics.deployment_is(&config.queue.prefix);
    metrics.step_deadline_is(config.worker.step_deadline.0);
    metrics.set_budget(config.bynder.requests_per_5_minutes.get());
    readiness.set("broker", Err("not connected yet".to_owned()));
    readiness.set("Bynder", Err("not asked yet".to_owned()));
    // Health checks are answered until the very end, including the drain.
    let end = CancellationToken::new();
    let _end = end.clone().drop_guard();
    telemetry::serve(config.http.listen, metrics.clone(), readiness.clone(), end.clone()).await?;
    let broker = Broker::start(&wiring::broker(config, "worker")?)?;
    let breakers = Breakers::for_wire(config.imatag.wire()?.confirmed);
    tasks::lasting(end.clone().run_until_cancelled_owned(watch(
        broker.clone(),
        breakers.clone(),
        budget.clone(),
        spool.clone(),
        metrics.clone(),
        readiness.clone(),
    )));
    tasks::lasting(end.clone().run_until_cancelled_owned(watch_pauses(
        config.clone(),
        imatag.clone(),
        metrics.clone(),
    )));
    broker.wait_until_first_answer().await?;
    let group = broker.egress_group();
    let membership = group.join(&budget);
    // Jobs or queues that do not match the configuration: no worker can do anything but stop.
    let (fitting, ending) = (broker.clone(), stop.clone());
    let (said, mut configuration_mismatch) = oneshot::channel();
    let _fitting = AbortOnDropHandle::new(tasks::lasting(async move {
        // Sent before the stop, which may be quicker than the rest of this task.
        drop(said.send(fitting.misconfiguration().await));
        ending.cancel();
    }));
    let asked = stop.run_until_cancelled(settings(config, &bynder)).await;
    let Some(settings) = asked.transpose()? else {
        return fits(&mut configuration_mismatch);
    };
    readiness.set("Bynder", Ok(()));
    // Without a lease to check, sending requires recent contact with the broker.
    let (consumer, locks) = (broker.consumer(), broker.locks());
    let contact = locks.clone();
    let permission = Permission::new(move || contact.contact());
    let environment = Environment {
        bynder: Arc::new(bynder.under(permission.clone())),
        imatag: Arc::new(imatag.under(permission)),
        queue: Arc::new(consumer.clone()),
        locks: Arc::new(locks),
        spool,
        readers: Arc::new(crate::wiring::readers(config)),
        budget: budget.clone(),
        breakers,
        concurrency: concurrency.clone(),
        probes: Probes::default(),
        approval: Approval::default(),
        service_times: ServiceTimes::new(&settings.rungs),
        metrics,
        settings: Arc::new(settings),
    };
    tasks::lasting(
        end.run_until_cancelled_owned(settle_dead_letters(consumer.dead_letters(), environment.clone())),
    );
    tracing::info!(concurrency = concurrency.limit(), "at work");
    Box::pin(crate::consume(environment, stop, config.worker.grace.0)).await;
    drop(membership);
    let leaving = async {
        consumer.close().await;
        // No delivery is held any more.
        group.leave(&budget).await;
    };
    // When the connection closes, the broker requeues whatever has not been sent back by then.
    let _ = tokio::time::timeout(AFTER_GRACE, leaving).await;
    fits(&mut configuration_mismatch)?;
    tracing::info!("stopped in order");
    Ok(())
}

/// How long a stop may take after the grace: deliveries that were not started are sent back, and the egress group
/// learns that this member has left.
pub const AFTER_GRACE: Duration = Duration::from_secs(10);

fn fits(configuration_mismatch: &mut oneshot::Receiver<QueueError>) -> Result<(), Failure> {
    configuration_mismatch.try_recv().map_or(Ok(()), |error| Err(error.into()))
}

/// Asks the portal for its metaproperties until it answers, and builds the settings from them; an error that a
/// person has to fix ends the program.
async fn settings(config: &Config, bynder: &Bynder) -> Result<Settings, Failure> {
    loop {
        let known = match patiently(&Patience::brief(), || bynder.metaproperties()).await {
            Err(error) if error.is_retryable() => {
                tracing::warn!(%error, "Bynder cannot be asked; trying again");
                tokio::time::sleep(START_AGAIN).await;
                continue;
            }
            answer => answer?,
        };
        let fields =
            written_fields(&known, config).map_err(|error| Failure::Configuration(error.to_string()))?;
        return Ok(crate::wiring::settings(config, fields, known.clone()));
    }
}

/// Reports the state of the broker and the services to readiness and metrics.
async fn watch(
    broker: Broker,
    breakers: Breakers,
    budget: Budget,
    spool: Spool,
    metrics: Metrics,
    readiness: Readiness,
) {
    let mut measured: Option<tokio::time::Instant> = None;
    loop {
        let trouble = broker.trouble();
        let connected = trouble.is_none();
        metrics.broker_measured(connected, broker.unknown_outcomes());
        metrics.messages_not_taken(broker.rejected(), broker.put_off());
        metrics.budget_measured(&budget.figures());
        metrics.spool_measured(&spool);
        readiness.set("broker", trouble.map_or(Ok(()), |trouble| Err(trouble.to_string())));
        let mut out = Vec::new();
        for service in Service::ALL {
            let is_out = breakers.is_open(service);
            metrics.breaker_open(service, is_out);
            out.extend(is_out.then(|| service.label().to_owned()));
        }
        for step in Step::LATEST_FIRST {
            metrics.step_slowed(step, breakers.is_slowed(step));
        }
        budget.set_unavailable_services(out);
        let breaker = breakers.worst();
        readiness.set("services", breaker.map_or(Ok(()), |breaker| Err(breaker.public_reason())));
        if connected && measured.is_none_or(|at| at.elapsed() >= MEASURE) {
            measured = Some(tokio::time::Instant::now());
            if let Ok(depth) = broker.depth().await {
                metrics.queue_measured(&depth);
            }
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}

/// Reports to the metrics what keeps jobs waiting although no service is out.
async fn watch_pauses(config: Config, imatag: Imatag, metrics: Metrics) {
    loop {
        metrics.imatag_paused(imatag.paused().is_some());
        metrics.quiet_hours(quiet_hours::active(&config.quiet_hours, Timestamp::now()).is_some());
        tokio::time::sleep(POLL_EVERY).await;
    }
}
