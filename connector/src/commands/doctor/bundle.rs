//! One file with what support needs. It holds no secret, and names of assets only if a person asked for them.

use std::io;
use std::path::Path;

use cli::output::shown_in_json;
use common::failure::Failure;
use common::outcome::{FailureClass, OutcomeEvent};
use config::{Config, Loaded};
use files::pack::Pack;
use files::private;
use ledger::state::{ARCHIVE, COPIES, State};
use ledger::{FailedFilter, FailedFrom, Ledger};
use serde_json::{Value, json};

use super::report::Report;
use crate::commands::{config as configuration, status};

/// How many runs it holds.
const RUNS: u32 = 50;
/// How many failed jobs of each class it holds, the latest.
const FAILED: usize = 50;
/// A shorter name would be found in any text.
const SHORTEST_NAME: usize = 2;

const README: &str = "What `connector doctor --bundle` wrote. Secrets are not in it. Read it before you send it.

versions.json       the release, the system, Imatag's wire profile
checks.json         what the doctor found
configuration.json  each value and where it came from; secrets are not shown
status.json         what `connector status --json` prints: runs, queues, the broker's members, pauses
runs.json           the last runs
failed.json         failed jobs by class, and of each class the latest; ids of assets and requests
state.json          the files of the state directory, by size
broker.json         the queues; empty without a broker

The names of assets are left out unless --with-names was given: of failed jobs the name, and the name where a reason repeats it. A
service's answer, which a reason quotes, may hold more.

There are no logs in it: the connector writes its log to standard error and keeps no file. Add what your system keeps:
  docker compose logs --no-color --since 24h producer worker > logs.txt
  journalctl -u connector --since -24h > logs.txt
Log lines hold no secrets, but ids and names of assets.
";

/// Writes the bundle into a new file.
pub(super) async fn write(
    loaded: Option<&Loaded>,
    report: &Report,
    path: &Path,
    with_names: bool,
) -> Result<(), Failure> {
    let mut contents = vec![("README.txt", README.to_owned())];
    let mut add = |name, value: Result<Value, Failure>| {
        let value = value.unwrap_or_else(|failure| json!({"error": failure.to_string()}));
        contents.push((name, format!("{}\n", shown_in_json(&format!("{value:#}")))));
    };
    add("checks.json", Ok(report.as_json()));
    add("versions.json", Ok(versions(loaded.map(|loaded| &loaded.config))));
    if let Some(loaded) = loaded {
        let config = &loaded.config;
        add("configuration.json", values(loaded));
        add("status.json", status::as_json(config).await);
        let recorded = recorded(config, with_names).await;
        let (runs, failed) = match recorded {
            Ok((runs, failed)) => (Ok(runs), Ok(failed)),
            Err(failure) => {
                let reason = failure.to_string();
                (Err(failure), Ok(json!({"error": reason})))
            }
        };
        add("runs.json", runs);
        add("failed.json", failed);
        add("state.json", Ok(files_of(&config.producer.state_dir)));
        add("broker.json", broker(config).await);
    }
    let pack = |file: &mut std::fs::File| {
        let mut pack = Pack::new(file);
        for (name, text) in &contents {
            pack.add(name, text.len() as u64, text.as_bytes())?;
        }
        pack.finish()
    };
    private::write_new(path, pack).map_err(|error: io::Error| {
        Failure::Usage(format!("cannot write the bundle {}: {error}", path.display()))
    })
}

fn values(loaded: &Loaded) -> Result<Value, Failure> {
    let origins = loaded.origins.iter().map(|(key, origin)| (key.clone(), origin.to_string().into()));
    Ok(
        json!({"values": configuration::shown(loaded)?, "origins": origins.collect::<serde_json::Map<_, _>>()}),
    )
}

fn versions(config: Option<&Config>) -> Value {
    let line_of = |path: &str, key: &str| {
        let text = std::fs::read_to_string(path).ok()?;
        text.lines().find_map(|line| Some(line.strip_prefix(key)?.trim_matches(['"', ' ']).to_owned()))
    };
    let profile = config.and_then(|config| config.imatag.wire().ok());
    json!({
        "connector": env!("CARGO_PKG_VERSION"),
        "wire_profile": profile.map(|profile| json!({"hash": profile.hash, "confirmed": profile.confirmed})),
        "system": line_of("/etc/os-release", "PRETTY_NAME="),
        "kernel": line_of("/proc/sys/kernel/osrelease", ""),
        "architecture": std::env::consts::ARCH,
        "processors": std::thread::available_parallelism().ok(),
        "memory": line_of("/proc/meminfo", "MemTotal:"),
        "in_docker": Path::new("/.dockerenv").exists(),
    })
}

/// The last runs, and the failed jobs.
async fn recorded(config: &Config, with_names: bool) -> Result<(Value, Value), Failure> {
    let Some(state) = State::open_to_read(&config.producer.state_dir)? else {
        return Ok((json!([]), json!({})));
    };
    let ledger = Ledger::new(state);
    let runs = ledger.latest_runs(RUNS).await?;
    let mut failed = serde_json::Map::new();
    for class in FailureClass::ALL {
        let filter = FailedFilter { class: Some(class), ..FailedFilter::default() };
        let count: u64 = ledger.failed_by_class(&filter).await?.values().sum();
        if count > 0 {
            let from = FailedFrom::Skip(count.saturating_sub(FAILED as u64));
            let latest = ledger.failed_page(&filter, from, FAILED).await?.events;
            let latest: Vec<_> = latest.into_iter().map(|event| shown(event, with_names)).collect();
            failed.insert(class.name().to_owned(), json!({"count": count, "latest": latest}));
        }
    }
    Ok((json!(runs), Value::Object(failed)))
}

fn shown(event: OutcomeEvent, with_names: bool) -> Value {
    let mut value = json!(event);
    if !with_names {
        let stem = Path::new(&event.asset_name).file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let names = [Some(event.asset_name), stem].into_iter().flatten();
        let names: Vec<_> = names.filter(|name| name.chars().count() >= SHORTEST_NAME).collect();
        value.as_object_mut().into_iter().for_each(|fields| {
            fields.retain(|key, _| key != "asset_name" && key != "placed");
        });
        if let Some(Value::String(reason)) = value.get_mut("reason") {
            *reason = names.iter().fold(std::mem::take(reason), |reason, name| reason.replace(name, "…"));
        }
    }
    value
}

/// The sizes of the files in the state directory.
fn files_of(directory: &Path) -> Value {
    let sizes = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let files = entries.filter_map(|entry| {
            let found = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
            Some((entry.file_name().to_string_lossy().into_owned(), found.len().into()))
        });
        files.collect::<serde_json::Map<_, _>>()
    };
    json!({
        "files": sizes(directory), "archive": sizes(&directory.join(ARCHIVE)), "copies": sizes(&directory.join(COPIES))
    })
}

async fn broker(config: &Config) -> Result<Value, Failure> {
    if config.broker.is_none() {
        return Ok(json!({}));
    }
    let inventory = rabbitmq::Inventory::take(&wiring::broker(config, "connector doctor")?).await?;
    Ok(json!({
        "jobs": inventory.depth,
        "queues_not_declared": inventory.missing,
        "queues_away": inventory.without_home(),
        "silent_after_429": inventory.is_silent,
        "paused_by_operator": inventory.operator_pause,
    }))
}

#[cfg(test)]
mod tests {
    use common::job::{Job, Lane, RunId};
    use common::outcome::{Failure, Outcome};
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_name_is_left_out_wherever_the_failure_repeats_it() {
        let named = |name: &str| {
            let (run, id) = (RunId("r".to_owned()), "A".parse().unwrap());
            let job = Job::new(run, id, name, Lane::Fresh, 1, None, Timestamp::UNIX_EPOCH);
            let reason = format!("{name} is refused, as is Lake_marked.jpg: a text").into();
            let failure = Failure { class: FailureClass::Refused, reason, request_id: None };
            job.ended(Outcome::Failed(failure), Timestamp::UNIX_EPOCH)
        };
        let hidden = shown(named("Lake.jpg"), false);
        assert_eq!(hidden["reason"], "… is refused, as is …_marked.jpg: a text");
        assert!(!hidden.to_string().contains("Lake"), "{hidden}");
        assert_eq!(shown(named("a"), false)["reason"], "a is refused, as is Lake_marked.jpg: a text");
        let kept = shown(named("Lake.jpg"), true);
        assert_eq!((&kept["asset_name"], kept["reason"].as_str().unwrap().len()), (&json!("Lake.jpg"), 50));
    }
}
