//! The log: one line per event on stderr, so that stdout has only results.

mod json;
#[cfg(test)]
mod kept;
mod text;

use tracing::Metadata;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::{Identity, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, registry};

use super::panics::install_hook;
use crate::output::{self, LogFormat, set_format, standard_error};
use json::JsonLines;
use text::TextFields;

/// The environment variable with the log filter, in the syntax of `tracing`.
const VARIABLE: &str = "CONNECTOR_LOG";

/// The project's own crates, which log at a higher level than libraries.
pub const OWN: [&str; 26] = [
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
    "amqp",
    "rabbitmq",
    "config",
    "decide",
    "breakers",
    "media",
    "notify",
    "telemetry",
    "traces",
    "standing",
    "restore",
    "page",
    "wiring",
    "producer",
    "worker",
    "connector",
];

/// The default log level, if the environment does not set one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verbosity {
    /// Nothing: the program prints everything itself.
    Silent,
    /// Problems only: for programs that a person watches.
    Trouble,
    /// Each job as well: for programs that only have a log.
    Work,
}

/// Libraries that are never logged, because they log data from and to a peer: the broker's password is in a frame, and the
/// host of a link may contain a code. Their failures are logged as errors of this program.
const UNHEARD: [&str; 6] =
    ["h2", "reqwest", "hyper_util", "lapin", "amq_protocol", "rustls_platform_verifier"];

fn is_heard(metadata: &Metadata<'_>) -> bool {
    !UNHEARD.iter().any(|library| metadata.target().starts_with(library))
}

/// Starts logging, and reports panics in the same format. A second call has no effect.
pub fn init(format: LogFormat, verbosity: Verbosity) {
    init_with(format, verbosity, Identity::new());
}

/// Like [`init`], with another layer for spans.
pub fn init_with(format: LogFormat, verbosity: Verbosity, other: impl Layer<Registry> + Send + Sync) {
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
    // Ignored: a logger that is already installed, as in tests, will do.
    let _ = match format {
        LogFormat::Text => {
            let colour = output::is_watched() && std::env::var_os("NO_COLOR").is_none();
            let lines = layer()
                .with_ansi(colour)
                .with_target(false)
                .fmt_fields(TextFields)
                .with_writer(standard_error);
            // Without the fields of spans: for a person, run and trace would only clutter the line.
            let events = filter.and(filter_fn(|metadata: &Metadata<'_>| metadata.is_event()));
            registry().with(other).with(lines.with_filter(events)).try_init()
        }
        LogFormat::Json => {
            let lines =
                layer().fmt_fields(JsonFields::new()).event_format(JsonLines).with_writer(standard_error);
            registry().with(other).with(lines.with_filter(filter)).try_init()
        }
    };
}
