//! A plan: shows what a run would do, and does nothing else.

use std::sync::Arc;

use cli::output;
use cli::signals::stop_on_signals;
use common::failure::Failure;
use config::Config;
use ledger::Ledger;
use ledger::state::State;
use queue::EmbeddedQueue;
use serde_json::json;
use telemetry::Metrics;
use wiring::command_budget::CommandBudget;

use crate::arguments::{self, Scope};
use crate::estimate::{calls, least_seconds, print};
use crate::mandate::{self, Purpose};
use crate::portal::resolve;
use crate::run::{self, Report, RunError};
use crate::wiring::{Queues, environment};
use bynder::patience::Patience;
use cli::options::GlobalOptions;

/// Prints what a run over `scope` would do.
pub async fn run(global: &GlobalOptions, scope: &Scope) -> Result<(), Failure> {
    let loaded = arguments::load(global, scope)?;
    let config = &loaded.config;
    let metrics = Metrics::new();
    let command_budget = CommandBudget::open(config, "plan").await?;
    let bynder = wiring::bynder(config, &command_budget.budget, &metrics)?;
    let resolved = resolve(config, &bynder).await?;
    // A missing state is not created: an empty one gives the same answers.
    let state = match State::open_to_read(&config.producer.state_dir)? {
        Some(state) => state,
        None => State::in_memory()?,
    };
    let ledger = Ledger::new(state);
    let queue = EmbeddedQueue::open(State::in_memory()?).await?;
    let queues = Queues { jobs: Arc::new(queue.clone()), failed: Arc::new(queue) };
    let environment = environment(config, bynder, ledger, queues, resolved, metrics);
    let patience = Patience::until(stop_on_signals()?);
    let planned = async {
        let asking = Box::pin(mandate::ready(config, &environment, scope, Purpose::Plan, &patience));
        let ready = patience.unless_over(asking).await.map_err(RunError::from)??;
        Ok::<_, Failure>(run::run(&environment, &ready.options, &patience, |_| {}).await?)
    };
    let report = planned.await;
    command_budget.leave().await;
    let report = report?;
    let (asked, decided) = environment.filter.divided();
    if global.json {
        let mut line = as_json(&report, config);
        line["filters"] = json!({"asked_of_bynder": asked, "decided_here": decided});
        output::json(&line);
    } else {
        for (what, filters) in [("asked of Bynder", asked), ("decided here", decided)] {
            if !filters.is_empty() {
                output::data(&format!("filters {what}: {}", filters.join(", ")));
            }
        }
        print(&report, config, output::data);
    }
    Ok(())
}

fn as_json(report: &Report, config: &Config) -> serde_json::Value {
    json!({
        "mode": report.mode.name(),
        "listed": report.found.listed,
        "selected": report.found.selected,
        "skipped": report.found.skipped,
        "bytes": report.found.bytes,
        "by_type": report.found.by_type,
        "by_extension": report.found.by_extension,
        "unsupported_by_extension": report.found.unsupported,
        "paid_watermarks": report.found.selected,
        "added_storage_bytes": report.found.bytes,
        "portal_calls": calls(report, config).ceil(),
        "least_seconds": least_seconds(report, config).ceil(),
        "limit_reached": report.found.limit.is_some(),
    })
}
