//! The only way to the terminal. Results go to stdout; logs and messages go to stderr.
//!
//! Names and reasons come from the portal, from services and from the broker, so a text may contain characters that move the
//! cursor, set a title or forge a line. Every function here writes one line and escapes such characters as `\u{…}`; text on
//! several lines takes several calls.

use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::OnceLock;

use clap::ValueEnum;
use jiff::Timestamp;
use nix::sys::stat::{FileStat, SFlag, fstat};
use nix::unistd::geteuid;
use serde::Serialize;
use tracing::Level;

pub use common::visible::{shown, shown_in_json};

/// Moves the cursor to the corner and clears the screen.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// The format of lines on stderr.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object per line, for programs.
    Json,
}

static FORMAT: OnceLock<LogFormat> = OnceLock::new();
static LOST: OnceLock<String> = OnceLock::new();

/// Sets the format of this process; only the first call has an effect. Returns the format in effect.
pub(crate) fn set_format(format: LogFormat) -> LogFormat {
    *FORMAT.get_or_init(|| format)
}

/// Writes a line to stdout. A reader that has gone away, as with `| head`, is no error; any other loss fails the command at
/// its end.
pub fn data(line: &str) {
    let _ = try_data(line);
}

/// Writes a line to stdout.
///
/// # Errors
/// Writing fails; a broken pipe if the reader has gone away.
pub fn try_data(line: &str) -> std::io::Result<()> {
    out(&format!("{}\n", shown(line)))
}

/// Writes a line of JSON to stdout; ignores errors.
pub fn json(value: &impl Serialize) {
    write_json(serde_json::to_string(value));
}

/// Writes a line of JSON to stdout.
///
/// # Errors
/// As [`try_data`].
pub fn try_json(value: &impl Serialize) -> std::io::Result<()> {
    out(&format!("{}\n", shown_in_json(&serde_json::to_string(value)?)))
}

/// Writes indented JSON to stdout, for a person.
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

/// Whether stdout is a terminal.
pub fn is_screen() -> bool {
    standard_output().is_terminal()
}

/// Whether stderr is a terminal.
pub fn is_watched() -> bool {
    standard_error().is_terminal()
}

/// Whether stdout is a file that other users can read.
pub fn is_file_open_to_others() -> bool {
    let found = fstat(standard_output());
    let is_file = |mode| SFlag::from_bits_truncate(mode) & SFlag::S_IFMT == SFlag::S_IFREG;
    let is_foreign = |owner| owner != 0 && owner != geteuid().as_raw();
    let is_read = |found: &FileStat| found.st_mode & 0o044 != 0 || is_foreign(found.st_uid);
    found.is_ok_and(|found| is_file(found.st_mode) && is_read(&found))
}

pub fn clear_screen() {
    let _ = out(CLEAR);
}

/// Writes a message for a person to stderr.
pub fn talk(line: &str) {
    say(Level::INFO, "", line);
}

/// Writes a warning to stderr.
pub fn warning(text: &str) {
    say(Level::WARN, "warning: ", text);
}

/// Writes an error to stderr.
pub fn error(text: &str) {
    say(Level::ERROR, "error: ", text);
}

/// Writes a question to stderr without a line break, so that the answer follows on the same line.
///
/// # Errors
/// Writing to stderr fails.
pub fn question(text: &str) -> std::io::Result<()> {
    let mut err = standard_error();
    write!(err, "{} ", shown(text))?;
    err.flush()
}

/// In the JSON format every line on stderr has to be a log line, so messages are written as such. Log filters do not apply to
/// them, because they are for a person.
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

/// Writes the text unchanged.
fn out(text: &str) -> std::io::Result<()> {
    let mut out = standard_output();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    if let Err(error) = &written
        && error.kind() != ErrorKind::BrokenPipe
    {
        LOST.get_or_init(|| error.to_string());
    }
    written
}

/// Why a part of this process's output is lost, as on a full disk. A reader that has gone away loses nothing that it wants.
pub(crate) fn lost() -> Option<&'static str> {
    LOST.get().map(String::as_str)
}

#[expect(clippy::disallowed_methods, reason = "this is the door")]
fn standard_output() -> std::io::Stdout {
    std::io::stdout()
}

/// For this module, and for the log, which escapes its fields itself.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub(crate) fn standard_error() -> std::io::Stderr {
    std::io::stderr()
}
