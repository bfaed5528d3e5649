//! Reports a panic: its location, and its message without the values in it.

use std::any::Any;
use std::panic::PanicHookInfo;

use crate::output;

/// What precedes values in messages of the standard library, `expect` and `assert_eq`; values may be secrets.
const VALUES_BEGIN: [&str; 5] = [": ", "; ", "\n", " of `", " slicing `"];
const MOST_CHARACTERS: usize = 200;
/// The I/O thread of a connection to the broker; after a panic in it the connection still seems open, so the process ends.
const BROKER_CLIENT: &str = "lapin-io-loop";

/// Reports panics in the format of this process's other errors.
pub(super) fn install_hook() {
    std::panic::set_hook(Box::new(|panic| {
        output::error(&description(panic));
        if std::thread::current().name() == Some(BROKER_CLIENT) {
            tasks::break_down();
        }
    }));
}

fn description(panic: &PanicHookInfo<'_>) -> String {
    let message = panic.payload_as_str().map(without_values).unwrap_or_default();
    let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    format!("the program panicked at {place}: {message}")
}

/// The message of a caught panic, without the values in it.
pub fn message(panic: &(dyn Any + Send)) -> String {
    let message = panic.downcast_ref::<String>().map(String::as_str);
    let message = message.or_else(|| panic.downcast_ref::<&str>().copied());
    message.map_or_else(|| "without a message".to_owned(), without_values)
}

fn without_values(message: &str) -> String {
    let end = VALUES_BEGIN.iter().filter_map(|begin| message.find(begin)).min();
    message[..end.unwrap_or(message.len())].chars().take(MOST_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::log::{Verbosity, init};
    use crate::output::LogFormat;

    const FORMAT: &str = "CONNECTOR_TEST_PANIC";

    /// Does nothing except in the process that the test below starts.
    #[test]
    fn child_that_panics() {
        let format = match std::env::var(FORMAT).as_deref() {
            Ok("json") => LogFormat::Json,
            Ok(_) => LogFormat::Text,
            Err(_) => return,
        };
        init(format, Verbosity::Silent);
        panic!("a\u{1b}[2J\n{}: SECRET", "x".repeat(1000));
    }

    fn talk_of_child(format: &str) -> String {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "panics::tests::child_that_panics", "--nocapture"]);
        let output = child.env(FORMAT, format).env("RUST_BACKTRACE", "1").output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    }

    #[test]
    fn a_panic_is_one_safe_line_in_the_format_of_the_log() {
        let text = talk_of_child("text");
        let start = "error: the program panicked at crates/cli/src/panics.rs:";
        assert!(text.starts_with(start) && text.ends_with(": a\\u{1b}[2J\n"), "{text:?}");
        assert_eq!(text.lines().count(), 1, "{text:?}");

        let text = talk_of_child("json");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "ERROR");
        let message = line["message"].as_str().unwrap();
        assert!(
            message.starts_with(&start["error: ".len()..]) && message.ends_with(": a\u{1b}[2J"),
            "{text}"
        );
    }

    #[test]
    fn the_message_of_a_panic_holds_no_value_and_is_bounded() {
        for (message, shown) in [
            ("index out of bounds: the len is 3 but the index is 5", "index out of bounds"),
            (
                "called `Result::unwrap()` on an `Err` value: SECRET",
                "called `Result::unwrap()` on an `Err` value",
            ),
            ("end byte index 9 is out of bounds of `SECRET`", "end byte index 9 is out of bounds"),
            ("begin > end (3 > 1) when slicing `SECRET`", "begin > end (3 > 1) when"),
            ("byte index 2 is not a char boundary; it is inside 'é'", "byte index 2 is not a char boundary"),
            ("assertion `left == right` failed\n  left: SECRET", "assertion `left == right` failed"),
            (&"x".repeat(1000), &"x".repeat(MOST_CHARACTERS)),
        ] {
            assert_eq!(without_values(message), shown);
        }
    }
}
