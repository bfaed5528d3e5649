use clap::CommandFactory;

use super::*;

/// The lines of the documentation's shell blocks that start this program.
fn documented() -> Vec<String> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let pages = std::fs::read_dir(format!("{root}/docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = pages.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let mut lines = Vec::new();
    for page in pages.chain([format!("{root}/README.md").into()]) {
        let text = std::fs::read_to_string(page).unwrap();
        let blocks = text.split("```sh").skip(1).filter_map(|rest| rest.split("```").next());
        for line in blocks.flat_map(str::lines) {
            let command = line.split('#').next().unwrap_or_default();
            // It is the same command in a container, after a pipe or through cargo.
            let started = command.find("connector ").filter(|at| {
                let before = command[..*at].trim_end();
                before.is_empty() || before.ends_with('|') || before.ends_with("producer")
            });
            let ended = |text: &str| text.split(['>', '|']).next().unwrap_or_default().trim().to_owned();
            lines.extend(started.map(|at| ended(&command[at..])));
        }
    }
    lines
}

#[test]
fn every_documented_command_can_be_typed() {
    let lines = documented();
    assert!(lines.len() > 20, "{lines:#?}");
    for line in lines {
        let parsed = Arguments::try_parse_from(line.split_whitespace());
        assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
    }
}

#[test]
fn the_arguments_do_not_contradict_each_other() {
    Arguments::command().debug_assert();
}
