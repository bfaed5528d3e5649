//! The command-line tool: protects a Bynder library from one machine.
//!
//! `arguments` defines the command line, `commands` carries it out, and [`common::failure`] defines the exit code and
//! message.

mod arguments;
mod commands;
mod confirm;
mod files;
mod parts;
mod queues;
mod systemd;

use std::path::PathBuf;
use std::process::ExitCode;

use cli::log::Verbosity;
use cli::output::LogFormat;
use cli::program;

use arguments::{Arguments, Command};

/// Runs the program: `producer` or `worker` under their names, else `connector`.
///
/// This program contains the other two, so an installation has one file with three names.
pub fn main() -> ExitCode {
    let path = std::env::args_os().next().map(PathBuf::from);
    match path.as_deref().and_then(|path| path.file_name()?.to_str()) {
        Some("producer") => producer::main(),
        Some("worker") => worker::main(),
        _ => run(),
    }
}

fn run() -> ExitCode {
    // A reader has neither secrets nor settings.
    if let Some(code) = media::reader::run_if_asked() {
        return code;
    }
    program::harden();
    let arguments = match program::arguments::<Arguments>() {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    let (format, verbosity) = match (arguments.global.log_format, &arguments.command) {
        // The log is for a program, so it shows the work.
        (LogFormat::Json, _) => (LogFormat::Json, Verbosity::Work),
        (LogFormat::Text, Command::Serve(_)) if !arguments.global.quiet => (LogFormat::Text, Verbosity::Work),
        // The demo plants failures, and reports their outcomes itself.
        (LogFormat::Text, Command::Demo(_)) => (LogFormat::Text, Verbosity::Silent),
        (LogFormat::Text, _) => (LogFormat::Text, Verbosity::Trouble),
    };
    cli::log::init_with(format, verbosity, traces::layer());
    program::run(commands::run(arguments))
}
