//! `connector verify`: whether protected assets still hold what their markers say.

use bynder::patience::Patience;
use cli::output;
use cli::signals::stop_on_signals;
use common::failure::Failure;
use ledger::state::State;
use ledger::{Ledger, Verification};
use producer::arguments::{self, Common, Scope};
use producer::portal::resolve;
use telemetry::Metrics;
use wiring::beside::Beside;

use crate::arguments::Verify;
use crate::verify::{self, Broken};

pub(crate) async fn run(common: &Common, command: &Verify) -> Result<(), Failure> {
    let filters = Scope { filters: command.filters.clone(), ..Scope::default() };
    let config = arguments::load(common, Some(&filters))?.config;
    let beside = Beside::open(&config, "verify").await?;
    let bynder = wiring::bynder(&config, &beside.budget, &Metrics::new())?;
    let resolved = resolve(&config, &bynder).await?;
    let scope = verify::Scope {
        bynder: &bynder,
        budget: &beside.budget,
        resolved: &resolved,
        sample: command.sample,
        concurrency: config.worker.concurrency,
    };
    let patience = Patience::until(stop_on_signals()?);
    let found = verify::verify(&scope, &patience, |broken| tell(common, broken)).await;
    beside.leave().await;
    let found = found?;
    let state = if filters.is_part() { None } else { State::open_to_append(&config.producer.state_dir)? };
    match state {
        Some(state) => Ledger::new(state).note_verification(&found).await?,
        None if common.quiet => {}
        // What the whole library was found to be stays on record, and so do the alerts that go by it.
        None if filters.is_part() => output::talk("not recorded: only a part of the library was checked"),
        None => output::talk(&format!(
            "not recorded: {} holds no state (the producer's may be elsewhere)",
            config.producer.state_dir.display()
        )),
    }
    if common.json {
        output::json(&found);
    } else if !common.quiet {
        output::data(&line(&found));
    }
    if found.broken > 0 { Err(Failure::Told(6)) } else { Ok(()) }
}

fn tell(common: &Common, broken: &Broken) {
    if common.json {
        return output::json(broken);
    }
    let Broken { asset_id, asset_name, version, finding, expected, found } = broken;
    output::data(&format!(
        "{asset_id}  {asset_name}  version {version}: {finding}: the marker says {expected}, there is {found}"
    ));
}

/// A verification in a sentence.
pub(super) fn line(found: &Verification) -> String {
    format!(
        "{} protected assets: {} hold what their marker says ({} hashed), {} do not, {} could not be looked at; \
         {} have another active version, {} are opted out, {} have no record",
        found.protected,
        found.held,
        found.hashed,
        found.broken,
        found.unchecked,
        found.other_version,
        found.opted_out,
        found.unprotected,
    )
}
