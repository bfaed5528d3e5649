//! Standard output is data, standard error is talk.

use std::io::Write;

/// Writes a line of data. A reader that went away, as with `| head`, is no failure.
pub fn data(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Writes a line for a person.
pub fn talk(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
