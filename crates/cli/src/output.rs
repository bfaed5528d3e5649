//! The one door to the terminal. Standard output is data, standard error is talk.
//!
//! Names and reasons come from the portal, from services and from the broker, so a text may hold what moves the cursor,
//! sets a title or forges a line. Every function here writes one line and shows such characters as `\u{…}`; what the
//! program lays out over several lines takes several calls.

use std::io::{IsTerminal, Write};
use std::sync::OnceLock;

use clap::ValueEnum;
use jiff::Timestamp;
use nix::sys::stat::{FileStat, SFlag, fstat};
use nix::unistd::geteuid;
use serde::Serialize;
use tracing::Level;

pub use common::visible::{shown, shown_in_json};

/// Moves to the corner and clears what was there.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// How lines on standard error look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// Sets the format of this process, once, and returns the one that holds.
pub(crate) fn set_format(format: LogFormat) -> LogFormat {
    *FORMAT.get_or_init(|| format)
}

/// Writes a line of data. A reader that went away, as with `| head`, is no failure.
pub fn data(line: &str) {
    let _ = try_data(line);
}

/// Writes a line of data.
///
/// # Errors
/// A broken pipe where the reader went away, and any other failure to write.
pub fn try_data(line: &str) -> std::io::Result<()> {
    out(&format!("{}\n", shown(line)))
}

/// Writes a line of JSON.
pub fn json(value: &impl Serialize) {
    write_json(serde_json::to_string(value));
}

/// Writes a line of JSON.
///
/// # Errors
/// As [`try_data`].
pub fn try_json(value: &impl Serialize) -> std::io::Result<()> {
    out(&format!("{}\n", shown_in_json(&serde_json::to_string(value)?)))
}

/// Writes JSON over several lines, for a person.
pub fn pretty_json(value: &impl Serialize) {
    write_json(serde_json::to_string_pretty(value));
}

fn write_json(text: serde_json::Result<String>) {
    match text {
        // A reader that went away is no failure.
        Ok(text) => drop(out(&format!("{}\n", shown_in_json(&text)))),
        Err(failed) => error(&format!("cannot be written as JSON: {failed}")),
    }
}

/// Whether standard output is a terminal.
pub fn is_screen() -> bool {
    standard_output().is_terminal()
}

/// Whether standard error is a terminal.
pub fn is_watched() -> bool {
    standard_error().is_terminal()
}

/// Whether standard output is a file that other users can read.
pub fn is_file_open_to_others() -> bool {
    let found = fstat(standard_output());
    let is_file = |mode| SFlag::from_bits_truncate(mode) & SFlag::S_IFMT == SFlag::S_IFREG;
    let is_foreign = |owner| owner != 0 && owner != geteuid().as_raw();
    let is_read = |found: &FileStat| found.st_mode & 0o044 != 0 || is_foreign(found.st_uid);
    found.is_ok_and(|found| is_file(found.st_mode) && is_read(&found))
}

/// Clears the screen.
pub fn clear_screen() {
    let _ = out(CLEAR);
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

/// Asks a person; the answer is written behind the question.
///
/// # Errors
/// Standard error cannot be written.
pub fn question(text: &str) -> std::io::Result<()> {
    let mut err = standard_error();
    write!(err, "{} ", shown(text))?;
    err.flush()
}

/// Where programs read along, nothing on standard error may be anything but a log line; filters do not apply to it,
/// since it was meant for a person at once.
fn say(level: Level, prefix: &str, text: &str) {
    let line = match FORMAT.get().copied().unwrap_or_default() {
        LogFormat::Text => format!("{prefix}{}", shown(text)),
        LogFormat::Json => {
            let line = serde_json::json!({
                "timestamp": Timestamp::now(), "level": level.as_str(), "target": module_path!(), "message": text
            });
            shown_in_json(&line.to_string()).into_owned()
        }
    };
    let _ = writeln!(standard_error(), "{line}");
}

/// The text is written as it is.
fn out(text: &str) -> std::io::Result<()> {
    let mut out = standard_output();
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[expect(clippy::disallowed_methods, reason = "this is the door")]
fn standard_output() -> std::io::Stdout {
    std::io::stdout()
}

/// For this module and for the log, which shows its fields itself.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub(crate) fn standard_error() -> std::io::Stderr {
    std::io::stderr()
}
