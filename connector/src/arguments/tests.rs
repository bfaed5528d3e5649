use clap::CommandFactory;
use clap::error::ErrorKind;

use super::*;

/// The commands in the documentation's shell blocks and in its running text.
fn documented() -> Vec<String> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let pages = std::fs::read_dir(format!("{root}/docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = pages.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let mut commands = Vec::new();
    for page in pages.chain([format!("{root}/README.md").into()]) {
        let text = std::fs::read_to_string(page).unwrap();
        for (number, part) in text.split("```").enumerate() {
            match part.strip_prefix("sh\n") {
                Some(block) if number % 2 == 1 => {
                    commands.extend(block.replace("\\\n", " ").lines().filter_map(in_a_shell));
                }
                Some(_) | None if number % 2 == 1 => {}
                Some(_) | None => {
                    let spans = part.split('`').skip(1).step_by(2).map(|span| span.replace('\n', " "));
                    commands.extend(spans.filter(|span| span.starts_with("connector ")).filter(|span| {
                        // Neither a choice nor a beginning.
                        !span.contains(['|', '[', '…'])
                    }));
                }
            }
        }
    }
    commands
}

/// The command of this program in a line: as it is, in a container, in a pod, as a job, or after a pipe.
fn in_a_shell(line: &str) -> Option<String> {
    let line = line.split(" #").next()?.replace("$(date +%F)", "2026-01-31");
    let words: Vec<_> = line.split_whitespace().collect();
    let is_start = |at: usize| match &words[..at] {
        [] | [.., "|" | "--" | "producer" | "connector"] | [.., "job", _] => true,
        before => before.iter().all(|word| word.contains('=')),
    };
    let start = words.iter().rposition(|word| *word == "connector").filter(|at| is_start(*at));
    // This service of the composition is the program.
    let service = || words.iter().position(|word| *word == "cli").filter(|_| words[0] == "docker");
    let arguments = &words[start.or_else(service)? + 1..];
    let arguments = arguments.iter().take_while(|word| !matches!(**word, "|" | ">" | ">>" | "&&" | ";"));
    Some(
        arguments
            .fold("connector".to_owned(), |command, word| command + " " + word.trim_matches(['\'', '"'])),
    )
}

#[test]
fn every_documented_command_can_be_typed() {
    let commands = documented();
    assert!(commands.len() > 100, "{commands:#?}");
    let broken: Vec<_> = commands
        .iter()
        .filter_map(|command| {
            let parsed = Arguments::try_parse_from(command.split_whitespace());
            parsed.err().filter(|error| {
                // The text may name a command without what it requires.
                !matches!(
                    error.kind(),
                    ErrorKind::MissingRequiredArgument
                        | ErrorKind::MissingSubcommand
                        | ErrorKind::DisplayHelp
                        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                        | ErrorKind::DisplayVersion
                )
            })
        })
        .map(|error| error.to_string())
        .collect();
    assert!(broken.is_empty(), "{}", broken.concat());
}

#[test]
fn the_arguments_do_not_contradict_each_other() {
    Arguments::command().debug_assert();
}
