//! `connector state show | set | reset | archive`.

use std::path::{Path, PathBuf};

use cli::options::GlobalOptions;
use cli::output;
use common::failure::Failure;
use config::{Config, Span};
use files::private;
use jiff::Timestamp;
use ledger::state::{ARCHIVE, COPIES, State as StateDirectory};
use ledger::{Ledger, YOUNGEST};
use producer::full_run;
use queue::EmbeddedQueue;
use serde_json::json;

use crate::arguments::State;

/// Copies of the state to keep; the oldest are deleted.
const MOST_COPIES: usize = 10;

pub(crate) async fn run(global: &GlobalOptions, command: &State) -> Result<(), Failure> {
    let loaded = wiring::load_for(global, &[])?;
    let config = &loaded.config;
    let directory = &config.producer.state_dir;
    match command {
        State::Show => show(global, config).await,
        State::Set { since } => {
            let now = Timestamp::now();
            if *since > now {
                return Err(Failure::Usage(format!("--since {since} lies ahead; it is {now}")));
            }
            let copy = change(directory, Some(*since)).await?;
            if global.json {
                output::json(&json!({"cursor": since, "kept": copy}));
            }
            output::talk(&format!("the next run goes over what changed since {since}; {}", kept(&copy)));
            Ok(())
        }
        State::Reset => {
            let copy = change(directory, None).await?;
            if global.json {
                output::json(&json!({"cursor": null, "kept": copy}));
            }
            output::talk(&format!(
                "the next run goes over the whole library; open jobs are kept; {}",
                kept(&copy)
            ));
            Ok(())
        }
        State::Archive { before } => archive(global, directory, *before).await,
    }
}

async fn show(global: &GlobalOptions, config: &Config) -> Result<(), Failure> {
    let directory = &config.producer.state_dir;
    let Some(state) = StateDirectory::open_to_read(directory)? else {
        return Err(Failure::Usage(format!("{} holds no state yet", directory.display())));
    };
    let queue = EmbeddedQueue::depth_in(&state).await?;
    let ledger = Ledger::new(state);
    let cursor = ledger.cursor().await?;
    let last_full = ledger.last_full_run().await?;
    let until_full = full_run::until_due(config, &ledger, Timestamp::now()).await?;
    if global.json {
        let line = json!({
            "cursor": cursor,
            "overlap": config.producer.overlap,
            "last_full_run": last_full,
            "seconds_until_full_run": until_full.map(|wait| wait.as_secs()),
            "open": queue.open(),
            "failed": queue.failed,
        });
        output::json(&line);
        return Ok(());
    }
    let never = || "none: the next run goes over the whole library".to_owned();
    let overlap = config.producer.overlap;
    let cursor = cursor.map_or_else(never, |at| format!("{at}, less an overlap of {overlap}"));
    output::data(&format!("cursor: {cursor}"));
    // Counted from the very first run if no run over the whole library has ended yet.
    if let (Some(at), Some(wait)) = (last_full, until_full) {
        let wait = Span(wait);
        output::data(&format!("a run over the whole library is due in {wait}, counted from {at}"));
    }
    output::data(&format!("jobs on this machine: {} open, {} failed", queue.open(), queue.failed));
    Ok(())
}

async fn archive(global: &GlobalOptions, directory: &Path, before: Timestamp) -> Result<(), Failure> {
    let latest = Timestamp::now() - YOUNGEST;
    if before > latest {
        return Err(Failure::Usage(format!(
            "--before {before} is too recent: outcomes of the last {} hours stay, since copies of them may still arrive; \
             name {latest} or an earlier time",
            YOUNGEST.as_hours()
        )));
    }
    if StateDirectory::open_to_read(directory)?.is_none() {
        return Err(Failure::Usage(format!("{} holds no state yet", directory.display())));
    }
    let state = StateDirectory::open_when_free(directory).await?;
    let moved = Ledger::new(state.clone()).archive(before).await?;
    let folder = directory.join(ARCHIVE);
    if global.json {
        output::json(
            &json!({"outcomes": moved.outcomes, "jobs": moved.jobs, "files": moved.files, "folder": folder}),
        );
    }
    output::talk(&format!(
        "{} outcomes of {} jobs moved into {} files in {}",
        moved.outcomes,
        moved.jobs,
        moved.files,
        folder.display()
    ));
    // Nothing depends on it, and the free space is used for new outcomes.
    if let Err(error) = state.compact().await {
        output::talk(&format!("the free space in the state file was not given back to the disk: {error}"));
    }
    Ok(())
}

/// Sets the cursor, or deletes it and the portal; returns the path of a copy of the previous state.
async fn change(directory: &Path, cursor: Option<Timestamp>) -> Result<PathBuf, Failure> {
    let state = StateDirectory::open_when_free(directory).await?;
    let copies = directory.join(COPIES);
    let cannot = |error: std::io::Error| {
        Failure::Configuration(format!("cannot keep a copy of the state in {}: {error}", copies.display()))
    };
    private::folder(&copies, &["2"]).and_then(|()| private::unshared(&copies)).map_err(cannot)?;
    let copy = copies.join(Timestamp::now().strftime("%Y%m%dT%H%M%S.%6fZ.sqlite").to_string());
    state.copy_to(&copy).await?;
    drop_oldest(&copies).map_err(cannot)?;
    let ledger = Ledger::new(state);
    match cursor {
        Some(_) => ledger.set_cursor(cursor).await?,
        None => ledger.start_over().await?,
    }
    Ok(copy)
}

/// The file names are times, so they sort by age.
fn drop_oldest(copies: &Path) -> std::io::Result<()> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(copies)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "sqlite"));
    paths.sort();
    let surplus = paths.len().saturating_sub(MOST_COPIES);
    paths.into_iter().take(surplus).try_for_each(std::fs::remove_file)
}

fn kept(copy: &Path) -> String {
    format!("the state before is kept at {}", copy.display())
}
