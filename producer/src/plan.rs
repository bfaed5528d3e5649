//! A plan: shows what a run would do, and does nothing else.

use std::io;
use std::sync::Arc;

use cli::output;
use cli::signals::stop_on_signals;
use common::asset::Asset;
use common::failure::Failure;
use config::Config;
use ledger::Ledger;
use ledger::state::State;
use queue::EmbeddedQueue;
use serde_json::json;
use telemetry::Metrics;
use tokio_util::sync::CancellationToken;
use wiring::command_budget::CommandBudget;

use crate::arguments::{self, RunArguments};
use crate::estimate::{calls, least_seconds, print};
use crate::mandate::{self, Purpose};
use crate::portal::resolve;
use crate::run::{self, Planned, Report, RunError};
use crate::wiring::{Queues, environment};
use bynder::patience::Patience;
use cli::options::GlobalOptions;

type WriteAsset = dyn Fn(&Asset, u32) -> io::Result<()> + Send + Sync;

/// How the assets are listed that a run would protect.
pub struct List {
    /// Writes an asset, and the version that would be protected.
    pub each: Box<WriteAsset>,
    /// Whether the assets are rows of a table, so that the summary must not follow them on stdout.
    pub is_table: bool,
}

/// Prints what a run over `scope` would do, after the assets that it would protect if a list is wanted.
pub async fn run(global: &GlobalOptions, scope: &RunArguments, list: Option<List>) -> Result<(), Failure> {
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
    let stop = stop_on_signals()?;
    let patience = Patience::until(stop.clone());
    let (is_table, unread) = (list.as_ref().is_some_and(|list| list.is_table), CancellationToken::new());
    let gone = unread.clone();
    let listed = list.map(|List { each, .. }| {
        Planned::new(move |asset, base| {
            // The plan ends when its reader is gone.
            if each(asset, base).is_err() {
                gone.cancel();
                stop.cancel();
            }
        })
    });
    let planned = async {
        let asking = Box::pin(mandate::ready(config, &environment, scope, Purpose::Plan, &patience));
        let mut ready = patience.unless_over(asking).await.map_err(RunError::from)??;
        ready.options.planned = listed;
        Ok::<_, Failure>(run::run(&environment, &ready.options, &patience, |_| {}).await?)
    };
    let report = planned.await;
    command_budget.leave().await;
    if unread.is_cancelled() {
        return Ok(());
    }
    let report = report?;
    let (asked, decided) = environment.filter.divided();
    if global.json {
        let mut line = as_json(&report, config);
        line["filters"] = json!({"asked_of_bynder": asked, "decided_here": decided});
        output::json(&line);
    } else {
        let line = if is_table { output::talk } else { output::data };
        for (what, filters) in [("asked of Bynder", asked), ("decided here", decided)] {
            if !filters.is_empty() {
                line(&format!("filters {what}: {}", filters.join(", ")));
            }
        }
        print(&report, config, line);
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
