//! Asks the person at the terminal.

use std::io::{BufRead, IsTerminal};

use cli::output;
use common::failure::Failure;

/// Whether a person can be asked at the terminal.
pub(crate) fn can_ask() -> bool {
    std::io::stdin().is_terminal()
}

/// Asks for an answer. An empty line means the default; without a default the question is repeated.
pub(crate) fn ask(question: &str, default: Option<&str>) -> Result<String, Failure> {
    let hint = default.map(|default| format!(" [{default}]")).unwrap_or_default();
    loop {
        let mut answer = String::new();
        let asked = output::question(&format!("{question}{hint}:"));
        let read = asked
            .and_then(|()| std::io::stdin().lock().read_line(&mut answer))
            .map_err(|error| Failure::Unexpected(error.to_string()))?;
        match (answer.trim(), default, read) {
            ("", Some(default), _) => return Ok(default.to_owned()),
            ("", None, 0) => return Err(Failure::Usage(format!("no answer to: {question}"))),
            ("", None, _) => {}
            (answer, _, _) => return Ok(answer.to_owned()),
        }
    }
}

/// Whether a person agrees to `verb` them. Without a terminal this is a usage error.
pub(crate) fn confirmed(verb: &str) -> Result<bool, Failure> {
    if !can_ask() {
        return Err(Failure::Usage(format!("standard input is not a terminal; pass --yes to {verb} them")));
    }
    yes(&format!("{verb} them?"))
}

/// Whether a person answers this question with yes.
pub(crate) fn confirmed_once(question: &str) -> Result<bool, Failure> {
    if !can_ask() {
        return Err(Failure::Usage(format!(
            "standard input is not a terminal to ask at ({question}); pass --yes"
        )));
    }
    yes(question)
}

fn yes(question: &str) -> Result<bool, Failure> {
    let mut answer = String::new();
    let asked = output::question(&format!("{question} [y/N]"));
    asked
        .and_then(|()| std::io::stdin().lock().read_line(&mut answer))
        .map_err(|error| Failure::Unexpected(error.to_string()))?;
    let said_yes = ["y", "yes"].iter().any(|yes| answer.trim().eq_ignore_ascii_case(yes));
    if !said_yes {
        output::talk("not confirmed: nothing was done");
    }
    Ok(said_yes)
}
