//! `connector pause | resume`: a person stops the work for any length of time.
//!
//! Unlike the silence after a 429, a pause does not end by itself, and does not interrupt a running step.

use budget::{OperatorPause, Records};
use cli::options::GlobalOptions;
use cli::output;
use common::failure::Failure;
use jiff::Timestamp;
use serde_json::json;

use crate::arguments::Pause;
use crate::queues;

/// Pauses every worker of the fleet, or `connector sync` on this machine: they take no more jobs.
pub(crate) async fn pause(global: &GlobalOptions, pause: &Pause) -> Result<(), Failure> {
    let config = wiring::load_for(global, &[])?.config;
    let wish = OperatorPause { since: Timestamp::now(), reason: pause.reason.clone() };
    let who = if config.broker.is_some() && !pause.embedded {
        queues::broker(&config).await?.egress_group().operator_pauses(&wish).await?;
        "no worker takes jobs any more"
    } else {
        let directory = &config.producer.state_dir;
        Records::new(directory).pause(&wish).map_err(|error| unwritable(directory, &error))?;
        "`connector sync` takes no jobs any more"
    };
    if global.json {
        output::json(&json!({"paused": true, "since": wish.since, "reason": wish.reason}));
    } else {
        output::data(&format!("paused: {who}; running steps still finish. `connector resume` continues"));
    }
    Ok(())
}

/// Ends the pause.
pub(crate) async fn resume(global: &GlobalOptions, embedded: bool) -> Result<(), Failure> {
    let config = wiring::load_for(global, &[])?.config;
    let was_paused = if config.broker.is_some() && !embedded {
        queues::broker(&config).await?.egress_group().operator_resumes().await?
    } else {
        let directory = &config.producer.state_dir;
        Records::new(directory).resume().map_err(|error| unwritable(directory, &error))?
    };
    if global.json {
        output::json(&json!({"paused": false, "was_paused": was_paused}));
    } else {
        output::data(if was_paused { "resumed" } else { "nothing was paused" });
    }
    Ok(())
}

fn unwritable(directory: &std::path::Path, error: &std::io::Error) -> Failure {
    Failure::Configuration(format!("producer.state_dir: cannot write to {}: {error}", directory.display()))
}
