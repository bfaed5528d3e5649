//! `connector status`: how the work stands, without changing anything.

use common::budget::{OperatorPause, Records};
use common::failure::Failure;
use common::ledger::{Ledger, RunStatus, Verification};
use common::output;
use common::queue::{Depth, EmbeddedQueue, JobQueue};
use common::quiet_hours::{self, Effect};
use common::state::State;
use jiff::Timestamp;
use producer::arguments::{self, Common};
use serde_json::json;

use super::verify;
use crate::arguments::Status;
use crate::queues;

/// Runs that are shown.
const RUNS: u32 = 5;

/// What is known on this machine and at the broker.
struct Standing {
    cursor: Option<Timestamp>,
    runs: Vec<RunStatus>,
    verified: Option<Verification>,
    /// Whether this machine has a state directory; a fleet's may be elsewhere.
    has_state: bool,
    /// Why the queue cannot be looked at, if that is so.
    depth: Result<Depth, String>,
    /// A person's pause.
    paused: Option<OperatorPause>,
    /// Whether nothing is sent to Bynder after a 429.
    silent: bool,
    /// The quiet hours that it is, by this machine's clock.
    quiet: Option<Effect>,
}

pub(crate) async fn run(common: &Common, status: Status) -> Result<(), Failure> {
    let config = arguments::load(common, None)?.config;
    let state = State::open_to_read(&config.producer.state_dir)?;
    let records = Records::new(&config.producer.state_dir);
    let (mut paused, mut silent) = (records.operator_pause(), records.silence().is_some());
    let depth = if config.broker.is_some() && !status.embedded {
        match queues::fleet(&config).await {
            Ok(queue) => {
                (paused, silent) = queue.pauses().await.unwrap_or_default();
                queue.depth().await.map_err(|error| error.to_string())
            }
            Err(failure) => Err(failure.to_string()),
        }
    } else if let Some(state) = &state {
        EmbeddedQueue::depth_beside(state).await.map_err(|error| error.to_string())
    } else {
        Ok(Depth::default())
    };
    let quiet = quiet_hours::active(&config.quiet_hours, Timestamp::now());
    let mut standing = Standing {
        cursor: None,
        runs: Vec::new(),
        verified: None,
        has_state: state.is_some(),
        depth,
        paused,
        silent,
        quiet,
    };
    if let Some(state) = state {
        let ledger = Ledger::new(state);
        standing.cursor = ledger.cursor().await?;
        standing.runs = ledger.latest_runs(RUNS).await?;
        standing.verified = ledger.last_verification().await?;
    }
    if common.json {
        output::data(&as_json(&standing).to_string());
    } else {
        print(&standing, &config.producer.state_dir.display().to_string());
    }
    match standing.depth {
        Ok(_) => Ok(()),
        Err(_) => Err(Failure::Told(5)),
    }
}

fn as_json(standing: &Standing) -> serde_json::Value {
    json!({
        "cursor": standing.cursor,
        "runs": standing.runs,
        "last_verification": standing.verified,
        "paused_by_operator": standing.paused,
        "silent_after_429": standing.silent,
        "quiet_hours": standing.quiet,
        "queues": standing.depth.as_ref().ok(),
        "queue_error": standing.depth.as_ref().err(),
    })
}

fn described(quiet: &Effect) -> String {
    let requests =
        quiet.requests_per_5_minutes.map(|requests| format!("at most {requests} calls in 5 minutes"));
    let backlog = quiet.backlog_paused.then(|| "the backlog waits".to_owned());
    let effects: Vec<String> = requests.into_iter().chain(backlog).collect();
    format!("quiet hours until {}: {}", quiet.until, effects.join(", "))
}

fn print(standing: &Standing, directory: &str) {
    if let Some(pause) = &standing.paused {
        let reason = pause.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        output::data(&format!(
            "paused by a person since {}{reason}; `connector resume` goes on",
            pause.since
        ));
    }
    if standing.silent {
        output::data("nothing is sent to Bynder: its request limit was reached; this passes by itself");
    }
    if let Some(quiet) = &standing.quiet {
        output::data(&described(quiet));
    }
    match &standing.depth {
        Ok(depth) => {
            let counts = [
                ("to submit, changed lately", depth.submit_fresh),
                ("to submit, backlog", depth.submit_backlog),
                ("to transfer", depth.transfer),
                ("to save", depth.save),
                ("waiting", depth.waiting),
                ("failed", depth.failed),
            ];
            for (name, count) in counts {
                output::data(&format!("{name:<28} {count:>10}"));
            }
        }
        Err(reason) => output::data(&format!("the queues cannot be looked at: {reason}")),
    }
    if !standing.has_state {
        output::data(&format!(
            "no runs are on record here ({directory} holds no state; the producer's may be elsewhere)"
        ));
        return;
    }
    let cursor = standing.cursor.map_or_else(|| "none yet".to_owned(), |at| at.to_string());
    output::data(&format!("{:<28} {cursor}", "last finished run started"));
    if let Some(verified) = &standing.verified {
        output::data(&format!("{:<28} {}: {}", "last verification", verified.at, verify::line(verified)));
    }
    for run in &standing.runs {
        output::data(&format!(
            "{}  {:<6} {:<12} {:>8} published {:>8} open {:>6} failed",
            run.run_id, run.mode, run.state, run.published, run.open, run.failed
        ));
    }
}
