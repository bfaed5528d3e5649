//! Asking whoever sits at the terminal.

use std::io::{BufRead, IsTerminal, Write};

use common::failure::Failure;

/// Whether a person says yes to `verb` them; where nobody can be asked, that is a mistake of the command line.
pub(crate) fn confirmed(verb: &str) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage(format!("nobody is there to ask; say --yes to {verb} them")));
    }
    let mut out = std::io::stderr();
    let mut answer = String::new();
    let asked = write!(out, "{verb} them? [y/N] ").and_then(|()| out.flush());
    asked
        .and_then(|()| std::io::stdin().lock().read_line(&mut answer))
        .map_err(|error| Failure::Unexpected(error.to_string()))?;
    Ok(answer.trim().eq_ignore_ascii_case("y"))
}
