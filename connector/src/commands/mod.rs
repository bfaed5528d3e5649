//! One file or folder for each command; what a plan is made of is in the producer.

mod config;
mod demo;
mod doctor;
mod failed;
mod init;
mod lookup;
mod notify_test;
mod pause;
mod plan;
mod report;
mod restore;
mod secrets;
mod serve;
mod shell;
mod spreadsheet;
mod state;
mod status;
mod sync;
mod trial;
mod verify;

use cli::options::GlobalOptions;
use common::failure::Failure;

use crate::arguments::{Arguments, Command};

/// Runs the command.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let global = &arguments.global;
    match &arguments.command {
        Command::Demo(demo) => demo::run(global, demo).await,
        Command::Sync(run) if run.dry_run => Box::pin(producer::plan::run(global, run, None)).await,
        Command::Sync(run) => sync::run(global, run).await,
        Command::Serve(scope) => serve::run(global, scope).await,
        Command::Healthcheck => healthcheck(global).await,
        Command::Plan(plan) => Box::pin(plan::run(global, plan)).await,
        Command::Init(init) => init::run(global, init.clone()),
        Command::Doctor(doctor) => doctor::run(global, doctor).await,
        Command::Trial(trial) => trial::run(global, trial).await,
        Command::Status(status) => status::run(global, status).await,
        Command::Pause(command) => pause::pause(global, command).await,
        Command::Resume(which) => pause::resume(global, which.embedded).await,
        Command::Failed(command) => failed::run(global, command).await,
        Command::Report(command) => report::run(global, command).await,
        Command::Lookup(command) => lookup::run(global, command).await,
        Command::Verify(command) => verify::run(global, command).await,
        Command::Restore(command) => restore::run(global, command).await,
        Command::State(command) => state::run(global, command).await,
        Command::Config(command) => config::run(global, command),
        Command::NotifyTest => notify_test::run(global).await,
        Command::Secrets(command) => secrets::run(global, command).await,
        Command::Completions(asked) => {
            shell::completions(global, asked);
            Ok(())
        }
        Command::Man(asked) => shell::man(global, asked),
    }
}

/// Asks the `connector serve` of this machine whether it is alive.
async fn healthcheck(global: &GlobalOptions) -> Result<(), Failure> {
    let config = wiring::load(global.config.as_deref(), &[], true)?.config;
    telemetry::healthcheck(config.http.listen).await
}
