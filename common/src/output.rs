//! The one door to the terminal. Standard output is data, standard error is talk.
//!
//! Names and reasons come from the portal, from services and from the broker, so a text may hold what moves the cursor,
//! sets a title or forges a line. Every function here writes one line and shows such characters as `\u{…}`; what the
//! program lays out over several lines takes several calls.

use std::borrow::Cow;
use std::io::{IsTerminal, Write};
use std::sync::OnceLock;

use jiff::Timestamp;
use nix::sys::stat::{FileStat, SFlag, fstat};
use nix::unistd::geteuid;
use serde::Serialize;
use tracing::Level;

/// Moves to the corner and clears what was there.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// How lines on standard error look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for programs.
    Json,
}

static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// Sets the format of this process, once, and returns the one that holds.
pub(crate) fn set_format(format: LogFormat) -> LogFormat {
    *FORMAT.get_or_init(|| format)
}

/// The text with every character shown as `\u{…}` that a terminal or an editor acts on.
pub fn shown(text: &str) -> Cow<'_, str> {
    replaced(text, |c| is_acted_on(c) || is_unseen(c), |c| c.escape_unicode().to_string())
}

/// JSON escapes control characters below U+0020 and no others. Outside of strings it has only line breaks of them.
pub(crate) fn shown_in_json(text: &str) -> Cow<'_, str> {
    let is_left = |c| (is_acted_on(c) || is_unseen(c)) && c != '\n';
    replaced(text, is_left, |c| {
        c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<Vec<_>>().concat()
    })
}

/// Control characters (C0, DEL, C1), separators of lines and paragraphs, what sets the direction of writing, and what has no
/// width, except the joiners that words and emoji need.
pub(crate) fn is_acted_on(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'
                | '\u{2066}'..='\u{2069}'
                | '\u{feff}'
        )
}

/// What is nothing to see in a name, or a blank that is a letter to programs, and may carry a text that no person sees: what
/// Unicode's `Default_Ignorable_Code_Point` has beyond [`is_acted_on`] and the joiners, and the marks of annotations.
pub(crate) fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{34f}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{2061}'..='\u{2065}'
            | '\u{206a}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

fn replaced(text: &str, is_wrong: impl Fn(char) -> bool, escaped: impl Fn(char) -> String) -> Cow<'_, str> {
    if !text.contains(&is_wrong) {
        return Cow::Borrowed(text);
    }
    let mut right = String::with_capacity(text.len());
    for c in text.chars() {
        if is_wrong(c) { right.push_str(&escaped(c)) } else { right.push(c) }
    }
    Cow::Owned(right)
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
    let _ = try_json(value);
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
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    let _ = out(&format!("{}\n", shown_in_json(&text)));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that a terminal or an editor acts on.
    const HOSTILE: &str = "a\u{1b}]0;t\u{7}\r\n\t\u{7f}\u{85}\u{9b}31m\u{2028}\u{2029}\u{202e}\u{2066}\u{2069}\u{34f}\u{1160}\u{2063}\u{3164}\u{e0041}\u{206a}\u{17b4}\u{180b}\u{fe0f}\u{e0100}\u{fff9}\u{1bca0}\u{1d173}\u{e0fff}\u{ad}\u{61c}\u{200b}\u{200e}\u{200f}\u{2060}\u{feff}é\u{200c}\u{200d}日\\";

    #[test]
    fn what_a_terminal_acts_on_is_shown_and_the_rest_stays_as_it_is() {
        let expected = [r"a\u{1b}]0;t\u{7}\u{d}\u{a}\u{9}\u{7f}\u{85}\u{9b}31m\u{2028}\u{2029}\u{202e}\u{2066}\u{2069}\u{34f}\u{1160}\u{2063}\u{3164}\u{e0041}\u{206a}\u{17b4}\u{180b}\u{fe0f}\u{e0100}\u{fff9}\u{1bca0}\u{1d173}\u{e0fff}\u{ad}\u{61c}\u{200b}\u{200e}\u{200f}\u{2060}\u{feff}é", "\u{200c}\u{200d}日\\"].concat();
        assert_eq!(shown(HOSTILE), expected);
        for c in '\0'..=char::MAX {
            let is_text = !c.is_control() && c.to_string() == shown(&c.to_string());
            assert!(is_text || shown(&c.to_string()).is_ascii(), "{c:?}");
        }
        assert!(matches!(shown("Brand guide 2.0 – été"), Cow::Borrowed(_)));
    }

    #[test]
    fn json_means_the_same_and_holds_nothing_that_a_terminal_acts_on() {
        let value = serde_json::json!({"name": HOSTILE, "list": [HOSTILE, 1]});
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let safe = shown_in_json(&text);
            assert!(!safe.contains(|c| (is_acted_on(c) || is_unseen(c)) && c != '\n'), "{safe:?}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
        }
    }
}
