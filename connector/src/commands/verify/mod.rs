//! `connector verify`: whether protected assets still match their markers.

mod audit;

use bynder::patience::Patience;
use cli::options::GlobalOptions;
use cli::output;
use cli::signals::stop_on_signals;
use common::failure::Failure;
use ledger::state::State;
use ledger::{Ledger, Verification};
use producer::arguments::{self, RunArguments};
use producer::portal::resolve;
use telemetry::Metrics;
use wiring::command_budget::CommandBudget;

use crate::arguments::Verify;
use audit::Broken;

pub(crate) async fn run(global: &GlobalOptions, command: &Verify) -> Result<(), Failure> {
    let filters = RunArguments { filters: command.filters.clone(), ..RunArguments::default() };
    let config = arguments::load(global, &filters)?.config;
    let command_budget = CommandBudget::open(&config, "verify").await?;
    let bynder = wiring::bynder(&config, &command_budget.budget, &Metrics::new())?;
    let resolved = resolve(&config, &bynder).await?;
    let context = audit::AuditContext {
        bynder: &bynder,
        budget: &command_budget.budget,
        resolved: &resolved,
        sample: command.sample,
        concurrency: config.worker.fixed_concurrency(),
    };
    let patience = Patience::until(stop_on_signals()?);
    let found = audit::verify(&context, &patience, |broken| print(global, broken)).await;
    command_budget.leave().await;
    let found = found?;
    let state = if filters.is_part() { None } else { State::open_to_append(&config.producer.state_dir)? };
    match state {
        Some(state) => Ledger::new(state).note_verification(&found).await?,
        None if global.quiet => {}
        // A check of a part would replace the result for the whole library, and the alerts based on it.
        None if filters.is_part() => output::talk("not recorded: only a part of the library was checked"),
        None => output::talk(&format!(
            "not recorded: {} holds no state (the producer's may be elsewhere)",
            config.producer.state_dir.display()
        )),
    }
    if global.json {
        output::json(&found);
    } else if !global.quiet {
        output::data(&line(&found));
    }
    if found.broken > 0 { Err(Failure::Reported(6)) } else { Ok(()) }
}

fn print(global: &GlobalOptions, broken: &Broken) {
    if global.json {
        return output::json(broken);
    }
    let Broken { asset_id, asset_name, version, finding, expected, found } = broken;
    output::data(&format!(
        "{asset_id}  {asset_name}  version {version}: {finding}: the marker says {expected}, there is {found}"
    ));
}

/// A verification in one sentence.
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
