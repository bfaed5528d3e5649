//! One file a command; `plan` is the producer's.

mod config;
mod demo;
mod failed;
mod init;
mod lookup;
mod pause;
mod report;
mod restore;
mod secrets;
mod state;
mod sync;
mod verify;

use common::failure::Failure;
use producer::plan;

use crate::arguments::{Arguments, Command};

/// Carries out the command.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let common = &arguments.common;
    match &arguments.command {
        Command::Demo(demo) => demo::run(common, demo).await,
        Command::Sync(run) if run.dry_run => plan::run(common, run).await,
        Command::Sync(run) => sync::run(common, run).await,
        Command::Plan(run) => plan::run(common, run).await,
        Command::Init(init) => init::run(common, init.clone()),
        Command::Doctor(doctor) => crate::doctor::run(common, doctor).await,
        Command::Trial(trial) => crate::trial::run(common, trial).await,
        Command::Status(status) => crate::status::run(common, status).await,
        Command::Pause(command) => pause::pause(common, command).await,
        Command::Resume(which) => pause::resume(common, which.embedded).await,
        Command::Failed(command) => failed::run(common, command).await,
        Command::Report(command) => report::run(common, command).await,
        Command::Lookup(command) => lookup::run(common, command).await,
        Command::Verify(command) => verify::run(common, command).await,
        Command::Restore(command) => restore::run(common, command).await,
        Command::State(command) => state::run(common, command).await,
        Command::Config(command) => config::run(common, command),
        Command::Secrets(command) => secrets::run(common, command).await,
    }
}
