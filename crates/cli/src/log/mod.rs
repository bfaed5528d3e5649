//! Logs: one line an event on standard error, so that standard output stays data.

mod json;
#[cfg(test)]
mod kept;
mod text;

use tracing::Metadata;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, registry};

use super::panics::install_hook;
use crate::output::{self, LogFormat, set_format, standard_error};
use json::JsonLines;
use text::TextFields;

/// The variable that says what is logged, in `tracing` filter syntax.
const VARIABLE: &str = "CONNECTOR_LOG";

/// The crates of the programs, whose work is worth a line each.
pub const OWN: [&str; 18] = [
    "common",
    "tasks",
    "files",
    "http_client",
    "cli",
    "bynder",
    "imatag",
    "ledger",
    "budget",
    "queue",
    "rabbitmq",
    "config",
    "media",
    "telemetry",
    "wiring",
    "producer",
    "worker",
    "connector",
];

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

/// Libraries that log what a peer sent, at any length, and what is sent to it: the broker's password is in a frame, and a
/// code may be in the host of a link. What fails in them is an error of this program's, which is logged as such.
const UNHEARD: [&str; 6] =
    ["h2", "reqwest", "hyper_util", "lapin", "amq_protocol", "rustls_platform_verifier"];

fn is_heard(metadata: &Metadata<'_>) -> bool {
    !UNHEARD.iter().any(|library| metadata.target().starts_with(library))
}

/// Starts logging, and shows panics in the same format. A second call changes nothing.
pub fn init(format: LogFormat, verbosity: Verbosity) {
    let format = set_format(format);
    install_hook();
    let default = match verbosity {
        Verbosity::Silent => "off".to_owned(),
        Verbosity::Trouble => "warn".to_owned(),
        Verbosity::Work => format!("warn,{}=info", OWN.join("=info,")),
    };
    let wanted = std::env::var(VARIABLE).ok();
    let filter = wanted.as_deref().map(str::parse::<EnvFilter>).transpose();
    if let Err(error) = &filter {
        let example = "write for example info or worker=debug";
        output::warning(&format!("{VARIABLE}: {error}; {example}; it is left out of account"));
    }
    let filter = filter.ok().flatten().unwrap_or_else(|| EnvFilter::new(default));
    let filter = filter.and(filter_fn(is_heard));
    // A logger that is there already, as in tests, is as good.
    let _ = match format {
        LogFormat::Text => {
            let colour = output::is_watched() && std::env::var_os("NO_COLOR").is_none();
            let lines = layer()
                .with_ansi(colour)
                .with_target(false)
                .fmt_fields(TextFields)
                .with_writer(standard_error);
            // A person reads what happened; which run and trace it belongs to would only push that off the screen.
            let events = filter.and(filter_fn(|metadata: &Metadata<'_>| metadata.is_event()));
            registry().with(lines.with_filter(events)).try_init()
        }
        LogFormat::Json => {
            let lines =
                layer().fmt_fields(JsonFields::new()).event_format(JsonLines).with_writer(standard_error);
            registry().with(lines.with_filter(filter)).try_init()
        }
    };
}
