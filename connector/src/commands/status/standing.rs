//! The state of the work: from this machine's record, and from the broker without changing anything.

use std::collections::BTreeMap;
use std::time::Duration;

use budget::{OperatorPause, Records};
use common::failure::Failure;
use config::Config;
use jiff::Timestamp;
use ledger::state::State;
use ledger::{Exposure, Ledger, RunStatus, Verification};
use producer::asked::{self, Asked, Unrequested};
use producer::estimate::calls_an_asset;
use queue::{Depth, EmbeddedQueue};
use rabbitmq::{Inventory, Member, roll_call};
use serde_json::{Value, json};
use wiring::quiet_hours::{self, Effect};

use super::forecast::{Ended, Forecast, forecast};

/// How many runs to show.
const RUNS: u32 = 5;
/// The period over which the rate is measured.
const LATELY: Duration = Duration::from_mins(5);
/// The period whose new versions are summed up.
const DAY: Duration = Duration::from_hours(24);

/// What this machine and the broker show.
pub(super) struct Standing {
    pub(super) cursor: Option<Timestamp>,
    pub(super) runs: Vec<RunStatus>,
    /// How many delta runs published nothing.
    pub(super) empty_runs: u64,
    /// How long new versions were unprotected, of those that were protected in the last day, among the latest 10,000 outcomes.
    pub(super) exposure: Option<Exposure>,
    /// Failed jobs of the latest run, by failure class.
    pub(super) failed_by_reason: BTreeMap<String, u64>,
    pub(super) verified: Option<Verification>,
    /// Whether this machine has a state directory; a fleet's may be on another machine.
    pub(super) has_state: bool,
    /// The jobs by state, or why the queue cannot be inspected.
    pub(super) depth: Result<Depth, Failure>,
    /// The running processes; `None` without a broker, where there is at most one.
    pub(super) members: Option<Vec<Member>>,
    /// Services that a process on this machine cannot use, if there is no broker to announce them.
    pub(super) services_out: Vec<String>,
    /// This deployment's prefix on the broker.
    pub(super) deployment: String,
    /// A person's pause.
    pub(super) paused: Option<OperatorPause>,
    /// Whether the egress group keeps silent after a 429.
    pub(super) silent: bool,
    /// The current quiet hours, by this machine's clock.
    pub(super) quiet: Option<Effect>,
    pub(super) forecast: Option<Forecast>,
    /// Assets that failed and whose jobs are no longer in the queue.
    pub(super) not_replayable: u64,
    /// What was asked for, if work on the library has begun.
    pub(super) asked: Option<Asked>,
    /// What is held until it is asked for.
    pub(super) held: Option<Unrequested>,
}

impl Standing {
    /// Inspects everything once. `embedded` selects this machine's queue even if there is a broker.
    pub(super) async fn now(config: &Config, embedded: bool) -> Result<Self, Failure> {
        let state = State::open_to_read(&config.producer.state_dir)?;
        let records = Records::new(&config.producer.state_dir);
        let now = Timestamp::now();
        let mut standing = Self {
            cursor: None,
            runs: Vec::new(),
            empty_runs: 0,
            exposure: None,
            failed_by_reason: BTreeMap::new(),
            verified: None,
            has_state: state.is_some(),
            depth: Ok(Depth::default()),
            members: None,
            services_out: Vec::new(),
            deployment: config.queue.prefix.clone(),
            paused: records.operator_pause(),
            silent: records.silence().is_some(),
            quiet: quiet_hours::active(&config.quiet_hours, now),
            forecast: None,
            not_replayable: 0,
            asked: None,
            held: None,
        };
        if config.broker.is_some() && !embedded {
            match at_broker(config).await {
                Ok((inventory, members)) => {
                    (standing.paused, standing.silent) = (inventory.operator_pause, inventory.is_silent);
                    standing.members = Some(members);
                    standing.depth = Ok(inventory.depth);
                }
                Err(failure) => standing.depth = Err(failure),
            }
        } else if let Some(state) = &state {
            standing.services_out = records.services_out();
            standing.depth = EmbeddedQueue::depth_in(state).await.map_err(Failure::from);
        }
        let mut ended = None;
        if let Some(state) = state {
            let ledger = Ledger::new(state);
            standing.cursor = ledger.cursor().await?;
            if let Ok(depth) = &standing.depth {
                standing.not_replayable = ledger.failed_count().await?.saturating_sub(depth.failed);
            }
            standing.asked = asked::noted(&ledger).await?;
            standing.held = asked::held(&ledger).await?;
            standing.runs = ledger.latest_runs(RUNS).await?;
            standing.empty_runs = ledger.empty_runs().await?;
            standing.exposure = ledger.exposure_since(now - DAY).await?;
            if let Some(latest) = standing.runs.first() {
                standing.failed_by_reason = ledger.failures_of(&latest.run_id).await?;
            }
            standing.verified = ledger.last_verification().await?;
            let (count, first) = ledger.ended_since(now - LATELY).await?;
            let over = first.map_or(LATELY, |first| now.duration_since(first).unsigned_abs());
            ended = Some(Ended { count, over });
        }
        // A job in a worker's hands is in no queue, but the ledger counts it, if this machine has the ledger.
        let recorded = standing.runs.iter().map(|run| run.open).sum();
        standing.forecast = standing.depth.as_ref().ok().map(|depth| {
            let requests = quiet_hours::requests(config, now).get();
            forecast(depth.open().max(recorded), ended, calls_an_asset(config.output.mode), requests)
        });
        Ok(standing)
    }

    pub(super) fn as_json(&self) -> Value {
        json!({
            "cursor": self.cursor,
            "runs": self.runs,
            "runs_without_jobs": self.empty_runs,
            "exposure": self.exposure,
            "failed_by_reason": self.failed_by_reason,
            "last_verification": self.verified,
            "paused_by_operator": self.paused,
            "silent_after_429": self.silent,
            "quiet_hours": self.quiet,
            "queues": self.depth.as_ref().ok(),
            "queue_error": self.depth.as_ref().err().map(ToString::to_string),
            "members": self.members,
            "services_out": self.services_out,
            "forecast": self.forecast,
            "failed_not_replayable": self.not_replayable,
            "asked_for": self.asked,
            "held": self.held,
        })
    }
}

async fn at_broker(config: &Config) -> Result<(Inventory, Vec<Member>), Failure> {
    let settings = wiring::broker(config, "connector status")?;
    let inventory = Inventory::take(&settings).await?;
    // If anything is not declared, no process is running.
    let members = if inventory.missing.is_empty() { roll_call(&settings).await? } else { Vec::new() };
    Ok((inventory, members))
}
