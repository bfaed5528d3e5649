//! `connector lookup`: finds which asset a leaked file belongs to.

use std::fs::File;

use cli::options::GlobalOptions;
use cli::output;
use common::failure::Failure;
use common::hash::ContentHash;
use common::outcome::{Outcome, OutcomeEvent, Placed};
use serde_json::{Value, json};

use super::report::open;
use crate::arguments::Lookup;

pub(crate) async fn run(global: &GlobalOptions, lookup: &Lookup) -> Result<(), Failure> {
    let config = wiring::load_for(global, &[])?.config;
    let hash = hash(&lookup.file)?;
    let events = open(&config.producer.state_dir)?.outcomes_of_file(hash).await?;
    if global.json {
        let found: Vec<_> = events.iter().map(|event| as_json(hash, event)).collect();
        output::json(&json!({"sha256": hash, "found": found}));
        return Ok(());
    }
    for event in &events {
        output::data(&line(hash, event));
    }
    if events.is_empty() && !global.quiet {
        output::talk(&format!(
            "no recorded asset has a file with SHA-256 {hash}. A file that was changed since has another hash: \
             there only Imatag's detection helps"
        ));
    }
    Ok(())
}

fn hash(text: &str) -> Result<ContentHash, Failure> {
    if let Ok(hash) = text.parse() {
        return Ok(hash);
    }
    let hashed = File::open(text).and_then(ContentHash::of);
    hashed.map_err(|error| {
        Failure::Usage(format!(
            "{text} is neither a SHA-256 in hex nor a readable file: {error}; give the file's path or its hash"
        ))
    })
}

/// Which of the asset's two files it is.
fn role(hash: ContentHash, event: &OutcomeEvent) -> &'static str {
    if event.watermarked == Some(hash) { "watermarked" } else { "original" }
}

fn as_json(hash: ContentHash, event: &OutcomeEvent) -> Value {
    let mut value = json!(event);
    value["file"] = role(hash, event).into();
    value
}

fn line(hash: ContentHash, event: &OutcomeEvent) -> String {
    let medium = event.media_id.as_deref().unwrap_or("unknown");
    let versions = match (&event.outcome, &event.placed) {
        (_, Some(Placed::Copy { asset_id, version })) => {
            format!("version {} went into version {version} of the copy {asset_id}", event.base)
        }
        (_, Some(Placed::Additional { file_name })) => {
            format!("version {} went into the additional file {file_name}", event.base)
        }
        (Outcome::Watermarked { version }, None) => format!("version {} became {version}", event.base),
        (
            Outcome::AlreadyProtected
            | Outcome::Superseded { .. }
            | Outcome::AwaitingApproval
            | Outcome::Gone
            | Outcome::Failed(_),
            None,
        ) => format!("version {}", event.base),
    };
    format!(
        "{}  {}  {} file, {versions}, {} {} in run {} (Imatag medium {medium})",
        event.asset_id,
        event.asset_name,
        role(hash, event),
        event.outcome.name(),
        event.at,
        event.run_id,
    )
}
