//! The person's tool: protects a Bynder library from one machine.
//!
//! [`arguments`] is what can be typed, [`commands`] what is done, [`common::failure`] how it ends for whoever called.

mod arguments;
mod commands;
mod wiring;

use std::process::ExitCode;

use clap::Parser;
use common::output;
use common::telemetry::{self, LogFormat, Verbosity};

use arguments::{Arguments, Command};

/// Runs the program.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (format, verbosity) = match (arguments.common.log_format(), &arguments.command) {
        // Lines for a program: then the log is what there is to see.
        (LogFormat::Json, _) => (LogFormat::Json, Verbosity::Work),
        // The demo plants failures, and says itself how they came out.
        (LogFormat::Text, Command::Demo(_)) => (LogFormat::Text, Verbosity::Silent),
        (LogFormat::Text, _) => (LogFormat::Text, Verbosity::Trouble),
    };
    telemetry::init(format, verbosity);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::talk(&format!("error: cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(commands::run(arguments));
    // A blocking read of the disk must not keep the program from ending.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(message) = failure.message() {
                output::talk(&format!("error: {message}"));
            }
            failure.exit_code()
        }
    }
}
