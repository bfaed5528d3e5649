//! What can be typed after any command.

use std::path::PathBuf;

use clap::Args;

use crate::output::LogFormat;

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct GlobalOptions {
    /// The configuration file [default: connector.toml, if there is one]
    #[arg(long, global = true, help_heading = "Options of every command")]
    pub config: Option<PathBuf>,
    /// Print machine-readable output: the last line of standard output is one JSON object
    #[arg(long, global = true, help_heading = "Options of every command")]
    pub json: bool,
    /// Say only what is wrong
    #[arg(long, global = true, help_heading = "Options of every command")]
    pub quiet: bool,
    /// How log lines look: text for people, json for programs, one object a line
    #[arg(long, global = true, help_heading = "Options of every command", value_enum, hide_possible_values = true, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}
