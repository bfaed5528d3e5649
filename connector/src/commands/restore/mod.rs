//! `connector restore`: the undo.

mod choose;

use std::sync::Arc;

use bynder::patience::Patience;
use cli::options::GlobalOptions;
use cli::output;
use cli::signals::stop_on_signals;
use common::failure::Failure;
use common::job::RunId;
use config::Config;
use decide::Rungs;
use jiff::Timestamp;
use ledger::Ledger;
use ledger::state::State;
use producer::arguments::{self, RunArguments};
use producer::portal::{bind_state_to_portal, resolve};
use queue::{EmbeddedQueue, Locks};
use restore::{RestoreContext, Totals};
use serde_json::{Value, json};
use telemetry::Metrics;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use wiring::command_budget::CommandBudget;
use worker::wiring::longest_unseen;

use crate::arguments::Restore;
use crate::confirm::confirmed;
use crate::queues;

pub(crate) async fn run(global: &GlobalOptions, command: &Restore) -> Result<(), Failure> {
    let filters = RunArguments { filters: command.which.filters.clone(), ..RunArguments::default() };
    let config = arguments::load(global, &filters)?.config;
    let (ledger, locks) = open(&config).await?;
    let command_budget = match &config.broker {
        Some(_) => CommandBudget::open(&config, "restore").await?,
        None => CommandBudget::in_place_of_sync(&config),
    };
    let bynder = wiring::bynder(&config, &command_budget.budget, &Metrics::new())?;
    let resolved = resolve(&config, &bynder).await?;
    bind_state_to_portal(&config, &ledger).await?;
    let stop = stop_on_signals()?;
    let patience = Patience::until(stop.clone());
    let targets = if let Some(run) = &command.which.run {
        choose::of_run(&ledger, &RunId(run.clone())).await?
    } else if command.which.ids.is_empty() {
        choose::of_filter(&bynder, &resolved, &patience).await?
    } else {
        choose::of_ids(&command.which.ids)
    };
    let rungs = Rungs::new(config.queue.rungs.iter().map(|rung| rung.0).collect());
    let context = RestoreContext {
        bynder,
        ledger,
        locks,
        spool: wiring::spool(&config)?,
        fields: resolved.fields,
        run_id: new_run_id(),
        patience,
        pause: rungs.moment(),
        longest_unseen: longest_unseen(&config),
        suspect_wait: rungs.suspect(config.worker.request_timeout.0),
        concurrency: config.worker.fixed_concurrency(),
    };
    let (to_restore, mut sum) = restore::survey(&context, targets).await?;
    output::talk(&survey_line(&sum));
    let go = if to_restore.is_empty() || command.dry_run {
        Ok(false)
    } else if command.yes {
        Ok(true)
    } else {
        asked(&stop).await
    };
    let ended = match go {
        Ok(true) => {
            restore::restore(&context, to_restore, &mut sum, |target, result| {
                if global.json {
                    output::json(&json!({"asset_id": target.id, "result": result}));
                } else if result != "restored" {
                    output::data(&format!("{}  {result}", target.id));
                }
            })
            .await
        }
        Ok(false) => Ok(()),
        Err(failure) => Err(failure),
    };
    report(global, command.dry_run, &context.run_id, &sum, command_budget.budget.used());
    command_budget.leave().await;
    ended?;
    if sum.failed > 0 { Err(Failure::Reported(6)) } else { Ok(()) }
}

/// Asks a person. Reading the terminal cannot be interrupted, so a detached thread does it.
async fn asked(stop: &CancellationToken) -> Result<bool, Failure> {
    let (asked, answer) = oneshot::channel();
    std::thread::spawn(move || asked.send(confirmed("restore")));
    let stopped = || Failure::Temporary("stopped before there was an answer: nothing was done".to_owned());
    stop.run_until_cancelled(answer).await.and_then(Result::ok).ok_or_else(stopped)?
}

/// The ledger, and the leases that keep workers away: the fleet's, or this machine's own, whose lock keeps a sync out.
async fn open(config: &Config) -> Result<(Ledger, Arc<dyn Locks>), Failure> {
    let directory = &config.producer.state_dir;
    if config.broker.is_none() {
        let state = State::open_when_free(directory).await?;
        let queue = EmbeddedQueue::open(state.clone()).await?;
        return Ok((Ledger::new(state), Arc::new(queue)));
    }
    let state = State::open_to_append(directory)?.ok_or_else(|| {
        Failure::Configuration(format!(
            "producer.state_dir: {} holds no state; restored assets are recorded in the producer's state, so run this where its state is",
            directory.display()
        ))
    })?;
    Ok((Ledger::new(state), Arc::new(queues::broker(config).await?.locks())))
}

fn new_run_id() -> RunId {
    let time = jiff::fmt::strtime::format("%Y%m%dT%H%M%SZ", Timestamp::now()).unwrap_or_default();
    RunId(format!("restore-{time}-{:08x}", rand::random::<u32>()))
}

fn survey_line(sum: &Totals) -> String {
    let skipped: Vec<_> = sum.skipped.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    let skipped = if skipped.is_empty() { "none left alone".to_owned() } else { skipped.join(", ") };
    format!("{} assets meant: {} to restore; {skipped}", sum.chosen, sum.to_restore)
}

fn report(global: &GlobalOptions, dry_run: bool, run: &RunId, sum: &Totals, calls: u64) {
    if global.json {
        let mut line = json!(sum);
        if let Value::Object(fields) = &mut line {
            fields.insert("run_id".to_owned(), json!(run));
            fields.insert("dry_run".to_owned(), json!(dry_run));
            fields.insert("portal_requests".to_owned(), json!(calls));
        }
        output::json(&line);
    } else if sum.restored + sum.failed > 0 && !global.quiet {
        output::data(&format!(
            "{} originals restored and opted out, {} failed; recorded as {run} ({calls} Bynder calls)",
            sum.restored, sum.failed
        ));
    }
}
