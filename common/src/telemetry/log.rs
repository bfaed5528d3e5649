//! Logs: one line an event on standard error, so that standard output stays data.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for programs.
    Json,
}

/// The variable that says what is logged, in `tracing` filter syntax.
const VARIABLE: &str = "CONNECTOR_LOG";

/// What is logged where the environment does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verbosity {
    /// Nothing: the program says itself what there is to say.
    Silent,
    /// What is wrong: for programs that a person watches.
    Trouble,
    /// Each job as well: for programs whose log is all there is to see.
    Work,
}

/// Starts logging. A second call changes nothing.
pub fn init(format: LogFormat, verbosity: Verbosity) {
    let default = match verbosity {
        Verbosity::Silent => "off",
        Verbosity::Trouble => "warn,lapin=off",
        Verbosity::Work => "warn,lapin=off,common=info,producer=info,worker=info,connector=info",
    };
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A logger that is there already, as in tests, is as good.
    let _ = match format {
        LogFormat::Text => {
            let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            builder.with_ansi(colour).with_target(false).try_init()
        }
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
    };
}
