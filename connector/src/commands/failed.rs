//! `connector failed list | count | show | replay | drop`.

use std::collections::BTreeMap;

use cli::options::GlobalOptions;
use cli::output;
use common::failure::Failure;
use common::job::JobId;
use common::outcome::{FailureClass, Outcome, OutcomeEvent};
use common::parse_error::harmless;
use config::Config;
use ledger::state::State;
use ledger::{FailedFrom, Ledger};
use queue::{FailedFilter, FailedJobs, Selection};
use serde_json::json;

use crate::arguments::{Change, Failed, FailedPage, FailedSelection};
use crate::confirm::confirmed;
use crate::queues;

pub(crate) async fn run(global: &GlobalOptions, command: &Failed) -> Result<(), Failure> {
    let config = wiring::load_for(global, &[])?.config;
    match command {
        Failed::List(page) => list(global, &config, page).await?,
        Failed::Count(which) => count(global, &config, which).await?,
        Failed::Show(which) => {
            for failed in queues::failed(&config, which.embedded, &filter(which)?).await? {
                if global.json {
                    output::json(&failed);
                } else {
                    output::pretty_json(&failed);
                }
            }
        }
        Failed::Replay(change) => {
            let opened = queues::open(&config, change.which.embedded).await?;
            let jobs = chosen(global, opened.failed.as_ref(), change, "replay").await?;
            let progress = progress(global, "replayed", jobs.len());
            let replayed = opened.failed.replay(&jobs, &progress).await?;
            if !change.dry_run {
                output::talk(&format!("{replayed} jobs go back to their step; {}", opened.taken_up_by));
            }
            if global.json {
                output::json(&json!({"replayed": replayed, "dry_run": change.dry_run}));
            }
        }
        Failed::Drop(change) => {
            let opened = queues::open(&config, change.which.embedded).await?;
            let jobs = chosen(global, opened.failed.as_ref(), change, "drop").await?;
            let progress = progress(global, "dropped", jobs.len());
            let dropped = opened.failed.forget(&jobs, &progress).await?;
            if !change.dry_run {
                output::talk(&format!("{dropped} failed jobs are forgotten"));
            }
            if global.json {
                output::json(&json!({"dropped": dropped, "dry_run": change.dry_run}));
            }
        }
    }
    Ok(())
}

/// The ledger of these jobs, which needs no pass over the queue. `None` if it is on another machine, or has the jobs of a fleet
/// while this machine's own are asked for.
async fn ledger(config: &Config, which: &FailedSelection) -> Result<Option<Ledger>, Failure> {
    let is_fleet = config.broker.is_some();
    let state =
        if is_fleet && which.embedded { None } else { State::open_to_read(&config.producer.state_dir)? };
    let Some(ledger) = state.map(Ledger::new) else { return Ok(None) };
    let has_runs = !ledger.latest_runs(1).await?.is_empty();
    Ok(Some(ledger).filter(|_| has_runs || !is_fleet))
}

async fn list(global: &GlobalOptions, config: &Config, page: &FailedPage) -> Result<(), Failure> {
    let filter = filter(&page.which)?;
    let Some(ledger) = ledger(config, &page.which).await? else {
        let jobs = queues::failed(config, page.which.embedded, &filter).await?;
        for failed in &jobs {
            print(global, &failed.event);
        }
        if !global.quiet {
            output::talk(&format!("{} failed jobs", jobs.len()));
        }
        return Ok(());
    };
    let skip = (page.page - 1).saturating_mul(page.limit);
    let most = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let events = ledger.failed_page(&filter, FailedFrom::Skip(skip), most).await?.events;
    for event in &events {
        print(global, event);
    }
    if !global.quiet {
        let shown = events.len() as u64;
        // The last page itself says how many there are. To count, a part of a name is looked for in all of them again.
        let all = if (u64::from(skip > 0)..page.limit).contains(&shown) {
            skip + shown
        } else {
            ledger.failed_by_class(&filter).await?.values().sum()
        };
        output::talk(&match skip + shown < all {
            _ if shown == all => format!("{all} failed jobs"),
            true => format!("{shown} of {all} failed jobs; --page {} shows the next", page.page + 1),
            false => format!("{shown} of {all} failed jobs; this is the last page"),
        });
    }
    Ok(())
}

async fn count(global: &GlobalOptions, config: &Config, which: &FailedSelection) -> Result<(), Failure> {
    let filter = filter(which)?;
    let mut counts = BTreeMap::new();
    if let Some(ledger) = ledger(config, which).await? {
        counts = ledger.failed_by_class(&filter).await?;
    } else {
        for failed in queues::failed(config, which.embedded, &filter).await? {
            *counts.entry(failed_as(&failed.event).0).or_default() += 1;
        }
    }
    if global.json {
        output::json(&counts);
    } else {
        for (class, count) in &counts {
            output::data(&format!("{count:>9}  {class}"));
        }
        output::data(&format!("{:>9}  in all", counts.values().sum::<u64>()));
    }
    Ok(())
}

/// Shows how far a change has got.
fn progress(global: &GlobalOptions, verb: &'static str, all: usize) -> impl Fn(u64) + Send + Sync + use<> {
    let is_quiet = global.quiet;
    move |done| {
        if !is_quiet {
            output::talk(&format!("{done} of {all} {verb}"));
        }
    }
}

fn filter(which: &FailedSelection) -> Result<FailedFilter, Failure> {
    let class = which.class.as_deref().map(|wanted| {
        let known = FailureClass::ALL.into_iter().find(|class| class.name() == wanted);
        known.ok_or_else(|| {
            let names: Vec<_> = FailureClass::ALL.iter().map(|class| class.name()).collect();
            Failure::Usage(format!("--class {}: the classes are {}", harmless(wanted), names.join(", ")))
        })
    });
    let asset = which
        .asset
        .as_deref()
        .map(|id| id.parse().map_err(|error| Failure::Usage(format!("--asset: {error}"))));
    Ok(FailedFilter {
        job: which.job.clone().map(JobId),
        asset: asset.transpose()?,
        class: class.transpose()?,
        name: which.name.clone(),
    })
}

fn print(global: &GlobalOptions, event: &OutcomeEvent) {
    if global.json {
        return output::json(event);
    }
    let (class, reason) = failed_as(event);
    output::data(&format!("{}  {}  {class}  {}", event.job_id, event.asset_id, event.asset_name));
    output::data(&format!("    {reason}"));
}

fn failed_as(event: &OutcomeEvent) -> (&'static str, &str) {
    match &event.outcome {
        Outcome::Failed(failure) => (failure.class.name(), &failure.reason),
        other => (other.name(), ""),
    }
}

/// The selected jobs, after printing their number and asking for confirmation.
async fn chosen(
    global: &GlobalOptions,
    failed: &dyn FailedJobs,
    change: &Change,
    verb: &str,
) -> Result<Selection, Failure> {
    let is_quiet = global.quiet;
    let passed = move |passed: u64| {
        if !is_quiet {
            output::talk(&format!("{passed} failed jobs looked at"));
        }
    };
    let jobs = failed.select(&filter(&change.which)?, &passed).await?;
    output::talk(&format!("{} failed jobs to {verb}", jobs.len()));
    if change.dry_run || jobs.is_empty() {
        return Ok(Selection::new());
    }
    if change.yes || confirmed(verb)? { Ok(jobs) } else { Ok(Selection::new()) }
}
