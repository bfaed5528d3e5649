//! The person's tool: protects a Bynder library from one machine.
//!
//! `arguments` is what can be typed, `commands` what is done, [`common::failure`] how it ends for whoever called.

mod arguments;
mod commands;
mod confirm;
mod files;
mod parts;
mod queues;

use std::process::ExitCode;

use cli::log::Verbosity;
use cli::output::LogFormat;
use cli::program;

use arguments::{Arguments, Command};

/// Runs the program.
pub fn main() -> ExitCode {
    // A reader holds neither secrets nor settings.
    if let Some(code) = media::reader::run_if_asked() {
        return code;
    }
    program::harden();
    let arguments = match program::arguments::<Arguments>() {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    let (format, verbosity) = match (arguments.global.log_format, &arguments.command) {
        // Lines for a program: then the log is what there is to see.
        (LogFormat::Json, _) => (LogFormat::Json, Verbosity::Work),
        // The demo plants failures, and says itself how they came out.
        (LogFormat::Text, Command::Demo(_)) => (LogFormat::Text, Verbosity::Silent),
        (LogFormat::Text, _) => (LogFormat::Text, Verbosity::Trouble),
    };
    cli::log::init(format, verbosity);
    program::run(commands::run(arguments))
}
