//! Logs for programs: every line an object, every field documented, every job followed by its trace.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::documents::document;
use crate::harness::fleet::Fleet;
use crate::harness::{quick, until};

/// The words in backticks that begin the rows of the page's tables.
fn documented_fields() -> BTreeSet<String> {
    let page = document("docs/logging.md");
    let (_, fields) = page.split_once("## Fields").unwrap();
    let rows = fields.lines().filter(|line| line.starts_with("| `"));
    let first = rows.map(|row| row.trim_start_matches('|').split('|').next().unwrap_or_default());
    first.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// Names of fields in the events and spans of a source.
fn fields_in(source: &str, found: &mut BTreeSet<String>) {
    for macro_name in ["error_span!(", "error!(", "warn!(", "info!(", "debug!("] {
        for (start, _) in source.match_indices(&format!("tracing::{macro_name}")) {
            let arguments = &source[start + "tracing::".len() + macro_name.len()..];
            for argument in arguments_of(arguments) {
                let argument = argument.trim().trim_start_matches(['%', '?']);
                let name: String =
                    argument.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
                if !name.is_empty() {
                    found.insert(name);
                }
            }
        }
    }
}

/// The arguments of a call up to its closing bracket; texts are left out.
fn arguments_of(text: &str) -> Vec<String> {
    let (mut arguments, mut depth, mut in_text, mut escaped) = (vec![String::new()], 0, false, false);
    for c in text.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if in_text => escaped = true,
            '"' => in_text = !in_text,
            _ if in_text => {}
            ')' if depth == 0 => break,
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => arguments.push(String::new()),
            c if depth == 0 => arguments.last_mut().unwrap().push(c),
            _ => {}
        }
    }
    arguments
}

fn sources(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            // Tests that a file holds stand at its end; those of a file of their own are only named.
            fields_in(text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default(), found);
        }
    }
}

#[test]
fn every_field_of_a_log_line_is_documented_and_every_documented_one_is_there() {
    let mut found = BTreeSet::new();
    for part in ["common", "crates", "producer", "worker", "connector"] {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(part), &mut found);
    }
    assert_eq!(found, documented_fields());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_logs_each_end_once_as_json_and_under_the_trace_of_the_job() {
    let fleet = Fleet::new(sandbox::Options { assets: 40, ..quick() }).await;
    let _worker = fleet.worker_for_programs();
    let ran = fleet.sync().await;
    let published = usize::try_from(ran.summary()["published"].as_u64().unwrap()).unwrap();
    until(|| ends(&fleet.worker_logs()).len() == published).await;
    let log = fleet.worker_logs();
    let mut failures: BTreeMap<String, usize> = BTreeMap::new();
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for field in ["timestamp", "level", "target", "message"] {
            assert!(line[field].is_string(), "{field}: {line}");
        }
        if line["level"] == "ERROR" {
            *failures.entry(line["job_id"].to_string()).or_default() += 1;
        }
    }
    for line in ends(&log) {
        // The producer, another process, made the trace from the id of the job.
        assert_eq!(line["trace_id"], line["job_id"], "{line}");
        assert!(line["run_id"].is_string() && line["step"].is_string(), "{line}");
    }
    assert!(failures.len() > 2, "{failures:?}");
    assert!(failures.values().all(|lines| *lines == 1), "{failures:?}");
}

/// The lines that log the end of a job.
fn ends(log: &str) -> Vec<Value> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["message"] == "done" || line["message"] == "failed").collect()
}

/// Each crate is a target of its own: one that is not named would keep all but its warnings to itself.
#[test]
fn every_crate_of_the_programs_logs_its_work() {
    let mut logged: BTreeSet<_> = cli::log::OWN.map(str::to_owned).into();
    logged.extend(["bench", "laws", "sample_files", "sandbox", "system-tests"].map(str::to_owned));
    assert_eq!(logged, crate::arrows::crates().into_keys().collect());
}
