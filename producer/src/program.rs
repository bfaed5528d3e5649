//! The `producer` program: options, and one run or many.

use std::process::ExitCode;

use bynder::patience::Stopped;
use clap::{Args, CommandFactory, Parser, Subcommand};
use cli::log::Verbosity;
use cli::output::LogFormat;
use cli::program;
use cli::signals::stop_on_signals;
use common::failure::Failure;
use config::Config;
use notify::Notices;
use telemetry::{Metrics, Readiness};
use tokio_util::sync::CancellationToken;

use crate::arguments::{self, RunArguments};
use crate::fleet::Fleet;
use crate::plan;
use crate::run::RunError;
use crate::schedule::{Schedule, once_possible, scope_of_runs};
use crate::standstill;
use cli::options::GlobalOptions;

/// Finds the assets to protect and publishes a job for each.
#[derive(Debug, Parser)]
#[command(
    version,
    name = "producer",
    bin_name = "producer",
    max_term_width = 80,
    after_help = "Exit codes: 0 done, 1 unexpected, 2 usage, 3 configuration or secret, \
    4 authentication or permission, 5 temporary, 6 finished with failed jobs, 8 safety limit reached."
)]
struct Arguments {
    #[command(flatten)]
    global: GlobalOptions,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Publish a job for each asset that needs one; the default
    Sync(Sync),
    /// Say what a run would do, and do nothing
    Plan(RunArguments),
    /// Ask the producer of this machine whether it is alive
    Healthcheck,
}

/// `producer sync`
#[derive(Debug, Default, Args)]
struct Sync {
    #[command(flatten)]
    scope: RunArguments,
    /// Run once and wait until every job of the run has an outcome
    #[arg(long)]
    wait: bool,
    /// Run once, whatever the schedule in the configuration says
    #[arg(long)]
    once: bool,
}

/// For what is made of it: completions and man pages.
pub fn command_line() -> clap::Command {
    Arguments::command()
}

pub fn main() -> ExitCode {
    program::harden();
    let arguments = match program::arguments::<Arguments>() {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    let verbosity = match (arguments.global.log_format, arguments.global.quiet) {
        (LogFormat::Text, true) => Verbosity::Trouble,
        _ => Verbosity::Work,
    };
    cli::log::init_with(arguments.global.log_format, verbosity, traces::layer());
    program::run(run(arguments))
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let global = &arguments.global;
    match arguments.command {
        Some(Command::Plan(scope)) => Box::pin(plan::run(global, &scope, None)).await,
        Some(Command::Sync(sync)) if sync.scope.dry_run => {
            Box::pin(plan::run(global, &sync.scope, None)).await
        }
        Some(Command::Sync(sync)) => Box::pin(synchronise(global, &sync)).await,
        None => Box::pin(synchronise(global, &Sync::default())).await,
        Some(Command::Healthcheck) => {
            let config = wiring::load(global.config.as_deref(), &[], true)?.config;
            telemetry::healthcheck(config.http.listen).await
        }
    }
}

async fn synchronise(global: &GlobalOptions, sync: &Sync) -> Result<(), Failure> {
    let config = arguments::load(global, &sync.scope)?.config;
    traces::start(&config, "connector-producer")?;
    let ended = synchronise_with(global, sync, &config).await;
    traces::flush().await;
    ended
}

async fn synchronise_with(global: &GlobalOptions, sync: &Sync, config: &Config) -> Result<(), Failure> {
    let stop = stop_on_signals()?;
    let schedule = Schedule::of(&config.producer)?.filter(|_| !sync.once && !sync.wait);
    let notices = Notices::start(wiring::notifier(config)?);
    let ended = match schedule {
        None => Box::pin(once(global, config, sync, &notices, &stop)).await,
        Some(schedule) => {
            let scope = scope_of_runs(&sync.scope, "give --once or --wait as well")?;
            Box::pin(many(global, config, &scope, schedule, &notices, &stop)).await
        }
    };
    notices.conclude(&ended, stop.is_cancelled()).await;
    ended
}

async fn once(
    global: &GlobalOptions,
    config: &Config,
    sync: &Sync,
    notices: &Notices,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let opening = Box::pin(Fleet::open(config, Metrics::new(), notices.clone()));
    let fleet = stop.run_until_cancelled(opening).await.ok_or_else(|| RunError::from(Stopped))??;
    let ended = Box::pin(fleet.alone(fleet.once(&sync.scope, sync.wait, global.quiet, stop))).await;
    fleet.leave().await;
    ended?.print(global)
}

/// Follows the schedule until it is stopped. Neither a temporary failure nor the lack of a request for the first
/// run ends it: a container would restart again and again.
async fn many(
    global: &GlobalOptions,
    config: &Config,
    scope: &RunArguments,
    schedule: Schedule,
    notices: &Notices,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let (metrics, readiness) = (Metrics::new(), Readiness::default());
    readiness.set("broker", Err("not connected yet".to_owned()));
    let end = CancellationToken::new();
    let _end = end.clone().drop_guard();
    metrics.deployment_is(&config.queue.prefix);
    metrics.run_interval_is(schedule.longest_interval());
    telemetry::serve(config.http.listen, metrics.clone(), readiness.clone(), end.clone()).await?;
    let page = page::serve(config, readiness.clone(), end).await?;
    let open = async || Fleet::open(config, metrics.clone(), notices.clone()).await;
    let work = async || {
        let Some(fleet) = once_possible("broker", &readiness, stop, open).await? else { return Ok(()) };
        let attached = page.as_ref().map(|page| page.attach(fleet.live()));
        let keeping = async {
            tokio::select! {
                () = fleet.watch(&readiness) => Ok(()),
                () = fleet.watch_record() => Ok(()),
                () = standstill::watch(&fleet, || fleet.is_paused()) => Ok(()),
                ended = schedule.keep(&fleet, global, scope, &readiness, stop) => ended,
            }
        };
        let ended = Box::pin(fleet.alone(keeping)).await;
        if let Some(attached) = attached {
            attached.end().await;
        }
        // The process that does the first run by hand needs the producer's role.
        fleet.leave().await;
        ended
    };
    Box::pin(schedule.follow(&config.producer.state_dir, &readiness, stop, work)).await
}
