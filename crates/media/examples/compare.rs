//! Compares two files as a worker does: `cargo run -p media --example compare -- ORIGINAL RESULT`.
//!
//! Prints `accepted` or `rejected`, each difference, and each check that could not be made.

#![expect(clippy::print_stdout, reason = "it is a program for people to read")]

use std::error::Error;
use std::fs::File;
use std::io::{BufReader, Seek};
use std::process::ExitCode;

use media::{Checks, ContentHash, FileFacts, check_result, read};

fn facts(path: &str, checks: &Checks) -> Result<FileFacts, Box<dyn Error>> {
    let mut file = File::open(path)?;
    let (hash, bytes) = (ContentHash::of(&file)?, file.metadata()?.len());
    file.rewind()?;
    Ok(read(BufReader::new(file), checks).into_facts(hash, bytes))
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [original, result] = arguments.as_slice() else {
        return Err("usage: compare ORIGINAL RESULT".into());
    };
    let checks = Checks::default();
    let found = check_result(&facts(original, &checks)?, &facts(result, &checks)?, &checks);
    let is_accepted = found.is_ok();
    let lines: Vec<_> = match found {
        Ok(unchecked) => unchecked.iter().map(|unchecked| format!("not checked: {unchecked}")).collect(),
        Err(bad) => vec![bad.to_string()],
    };
    println!("{}", if is_accepted { "accepted" } else { "rejected" });
    for line in lines {
        println!("  {line}");
    }
    Ok(if is_accepted { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
