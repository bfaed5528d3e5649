//! `connector failed list | show | replay | drop`.

use std::collections::HashSet;

use cli::options::GlobalOptions;
use cli::output;
use common::failure::Failure;
use common::job::JobId;
use common::outcome::{FailureClass, Outcome};
use common::parse_error::harmless;
use queue::{FailedFilter, FailedJob, FailedJobs};
use serde_json::json;

use crate::arguments::{Change, Failed, FailedSelection};
use crate::confirm::confirmed;
use crate::queues;

pub(crate) async fn run(global: &GlobalOptions, command: &Failed) -> Result<(), Failure> {
    let config = wiring::load_for(global, &[])?.config;
    match command {
        Failed::List(which) => {
            let jobs = queues::failed(&config, which.embedded, &filter(which)?).await?;
            for failed in &jobs {
                print(global, failed);
            }
            if !global.quiet {
                output::talk(&format!("{} failed jobs", jobs.len()));
            }
        }
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
            let jobs = chosen(opened.failed.as_ref(), change, "replay").await?;
            let replayed = opened.failed.replay(&jobs).await?;
            if !change.dry_run {
                output::talk(&format!("{replayed} jobs go back to their step; {}", opened.taken_up_by));
            }
            if global.json {
                output::json(&json!({"replayed": replayed, "dry_run": change.dry_run}));
            }
        }
        Failed::Drop(change) => {
            let opened = queues::open(&config, change.which.embedded).await?;
            let jobs = chosen(opened.failed.as_ref(), change, "drop").await?;
            let dropped = opened.failed.discard(&jobs).await?;
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
    })
}

fn print(global: &GlobalOptions, failed: &FailedJob) {
    let event = &failed.event;
    if global.json {
        return output::json(event);
    }
    let (class, reason) = match &event.outcome {
        Outcome::Failed(failure) => (failure.class.name(), &*failure.reason),
        other => (other.name(), ""),
    };
    output::data(&format!("{}  {}  {class}  {}", event.job_id, event.asset_id, event.asset_name));
    output::data(&format!("    {reason}"));
}

/// The selected jobs, after printing their number and asking for confirmation.
async fn chosen(failed: &dyn FailedJobs, change: &Change, verb: &str) -> Result<HashSet<JobId>, Failure> {
    let jobs: HashSet<JobId> =
        failed.list(&filter(&change.which)?).await?.into_iter().map(|job| job.event.job_id).collect();
    output::talk(&format!("{} failed jobs to {verb}", jobs.len()));
    if change.dry_run || jobs.is_empty() {
        return Ok(HashSet::new());
    }
    if change.yes || confirmed(verb)? { Ok(jobs) } else { Ok(HashSet::new()) }
}
