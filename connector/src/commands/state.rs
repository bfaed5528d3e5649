//! `connector state show | set | reset | archive | backup | restore`.

use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use cli::options::GlobalOptions;
use cli::output;
use common::failure::Failure;
use config::{Config, Span};
use jiff::Timestamp;
use ledger::backup;
use ledger::state::{ARCHIVE, State as StateDirectory};
use ledger::{Ledger, YOUNGEST};
use producer::full_run;
use queue::EmbeddedQueue;
use serde_json::json;

use crate::arguments::State;

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
        State::Backup { file } => back_up(global, directory, file).await,
        State::Restore { file } => restore(global, config, file).await,
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

async fn back_up(global: &GlobalOptions, directory: &Path, file: &Path) -> Result<(), Failure> {
    let Some(state) = StateDirectory::open_to_read(directory)? else {
        return Err(Failure::Usage(format!("{} holds no state yet", directory.display())));
    };
    let done = backup::write(&state, file).await?;
    if global.json {
        output::json(&json!({
            "file": file, "at": done.manifest.at, "state_bytes": done.bytes, "archive_files": done.archives
        }));
    }
    output::talk(&format!(
        "{} holds the state of {}: {} of records, {} files of the archive; keep it where other users cannot read it, since it \
         holds the names of assets",
        file.display(),
        done.manifest.at,
        ByteSize(done.bytes),
        done.archives
    ));
    Ok(())
}

/// What to expect after a state was restored, by the guarantees of docs/protocol.md.
const AFTER: [&str; 4] = [
    "No file that is protected is watermarked again: the marker of each asset says so, whatever the state holds, and Imatag is \
     asked before each submit. If the wire profile has no `find`, jobs of this state that wait to be submitted fail as ambiguous \
     instead, and what was submitted since and not yet saved may be watermarked twice.",
    "Done again: the next run goes over what changed since the cursor of this state, which costs calls; jobs that ended since come \
     back, check, and end; failed jobs that were replayed or dropped since are there again.",
    "May be done twice: what was saved for approval since is sent to the waiting room again. Limits do not count what was \
     published since.",
    "Not in the record: runs and outcomes since then. `report` and `lookup` do not find them; a fleet's outcomes of unknown jobs \
     are set aside (docs/operations.md).",
];

async fn restore(global: &GlobalOptions, config: &Config, file: &Path) -> Result<(), Failure> {
    let restored = backup::restore(&config.producer.state_dir, file, &config.bynder.origin()?).await?;
    let at = restored.manifest.map(|manifest| manifest.at);
    if global.json {
        output::json(&json!({"file": file, "at": at, "kept": restored.kept, "notes": AFTER}));
    }
    let of = at.map_or_else(String::new, |at| format!(" of {at}"));
    output::talk(&format!("the state{of} is restored from {}", file.display()));
    if let Some(copy) = &restored.kept {
        output::talk(&format!("{}; `connector state restore` takes it back", kept(copy)));
    }
    if !global.quiet {
        for note in AFTER {
            output::talk(note);
        }
    }
    Ok(())
}

/// Sets the cursor, or deletes it and the portal; returns the path of a copy of the previous state.
async fn change(directory: &Path, cursor: Option<Timestamp>) -> Result<PathBuf, Failure> {
    let state = StateDirectory::open_when_free(directory).await?;
    let copy = state.new_copy()?;
    state.copy_to(&copy).await?;
    let ledger = Ledger::new(state);
    match cursor {
        Some(_) => ledger.set_cursor(cursor).await?,
        None => ledger.start_over().await?,
    }
    Ok(copy)
}

fn kept(copy: &Path) -> String {
    format!("the state before is kept at {}", copy.display())
}
