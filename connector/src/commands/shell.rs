//! `connector completions` and `connector man`: what a shell and `man` know of the programs, made from their command lines.

use std::path::Path;

use clap::CommandFactory;
use cli::options::GlobalOptions;
use cli::output;
use common::failure::Failure;
use files::private;
use serde_json::json;

use crate::arguments::{Arguments, Completions, Man, Program};

fn command_line(program: Program) -> clap::Command {
    match program {
        Program::Connector => Arguments::command(),
        Program::Producer => producer::command_line(),
        Program::Worker => worker::command_line(),
    }
}

pub(crate) fn completions(global: &GlobalOptions, asked: &Completions) {
    let mut command = command_line(asked.program);
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(asked.shell, &mut command, name, &mut script);
    let script = String::from_utf8_lossy(&script);
    if global.json {
        output::json(&json!({"script": script}));
    } else {
        script.lines().for_each(output::data);
    }
}

pub(crate) fn man(global: &GlobalOptions, asked: &Man) -> Result<(), Failure> {
    write_pages(&asked.folder)
        .map_err(|error| Failure::Usage(format!("cannot write into {}: {error}", asked.folder.display())))?;
    if global.json {
        output::json(&json!({"folder": asked.folder}));
    }
    Ok(())
}

fn write_pages(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    private::fixed(&folder.join("connector.1"))?;
    // Renamed into place: the target of a link would be overwritten.
    let staged = tempfile::tempdir_in(folder)?;
    for program in [Program::Connector, Program::Producer, Program::Worker] {
        clap_mangen::generate_to(command_line(program), &staged)?;
    }
    for page in std::fs::read_dir(&staged)? {
        let page = page?;
        std::fs::rename(page.path(), folder.join(page.file_name()))?;
    }
    Ok(())
}
