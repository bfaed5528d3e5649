//! The help of every command, as the program prints it on a terminal of eighty columns, in one page.

use std::fmt::Write as _;
use std::process::Command;

use crate::documents::document;
use crate::harness::PROGRAM;
use crate::harness::fleet::{PRODUCER, WORKER};

const PAGE: &str = "docs/commands.md";
const HEAD: &str = "# Commands\n\nWhat `--help` says, written by \
                    `CONNECTOR_RENEW=1 cargo test -p system-tests --test it command_reference`. What it says below \
                    *Options of every command* is shown once for each program.\n";
const SHARED: &str = "Options of every command:";

fn help_of(program: &str, path: &[String]) -> String {
    let output = Command::new(program).args(path).arg("--help").env_clear().output().unwrap();
    assert!(output.status.success(), "{path:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = text.trim().lines().map(str::trim_end).collect();
    lines.join("\n")
}

/// The names under the heading `Commands:`.
fn commands_in(help: &str) -> Vec<String> {
    let below = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let below = below.take_while(|line| line.starts_with("  "));
    // A line that is further in goes on with what is above it.
    let names =
        below.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// The help of the program and of each of its commands, with the words that lead to it.
pub(crate) fn helps(program: &str) -> Vec<(Vec<String>, String)> {
    let (mut helps, mut open) = (Vec::new(), vec![Vec::new()]);
    while let Some(path) = open.pop() {
        let help = help_of(program, &path);
        open.extend(commands_in(&help).into_iter().rev().map(|command| [&path[..], &[command]].concat()));
        helps.push((path, help));
    }
    helps
}

#[test]
fn the_page_of_commands_is_what_their_help_says() {
    let mut page = HEAD.to_owned();
    for (name, program) in [("connector", PROGRAM), ("producer", PRODUCER), ("worker", WORKER)] {
        for (path, help) in helps(program) {
            let title = [&[name.to_owned()], &path[..]].concat().join(" ");
            let shown = if path.is_empty() { &*help } else { help.split(SHARED).next().unwrap().trim_end() };
            write!(page, "\n## {title}\n\n```text\n{shown}\n```\n").unwrap();
        }
    }
    if std::env::var_os("CONNECTOR_RENEW").is_some() {
        std::fs::write(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(PAGE), &page)
            .unwrap();
    }
    for line in page.lines().filter(|line| !line.starts_with("What `--help`")) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert!(document(PAGE) == page, "{PAGE} is not what --help says; renew it as its head says");
}
