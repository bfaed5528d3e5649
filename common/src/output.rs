//! Standard output is data, standard error is talk.

use std::io::Write;

use jiff::Timestamp;
use tracing::Level;

use crate::telemetry::{LogFormat, log_format};

/// Writes a line of data. A reader that went away, as with `| head`, is no failure.
pub fn data(line: &str) {
    let _ = try_data(line);
}

/// Writes a line of data.
///
/// # Errors
/// A broken pipe where nobody reads any more, and whatever else hinders.
pub fn try_data(line: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{line}")
}

/// Writes a line for a person.
pub fn talk(line: &str) {
    say(Level::INFO, "", line);
}

/// Says what a person should mend, and goes on.
pub fn warning(text: &str) {
    say(Level::WARN, "warning: ", text);
}

/// Says why the program ends.
pub fn error(text: &str) {
    say(Level::ERROR, "error: ", text);
}

/// Where programs read along, nothing on standard error may be anything but a log line; filters do not apply to it,
/// since it was meant for a person at once.
fn say(level: Level, prefix: &str, text: &str) {
    let line = match log_format() {
        LogFormat::Text => format!("{prefix}{text}"),
        LogFormat::Json => serde_json::json!({
            "timestamp": Timestamp::now(), "level": level.as_str(), "target": module_path!(), "message": text
        })
        .to_string(),
    };
    let _ = writeln!(std::io::stderr(), "{line}");
}
