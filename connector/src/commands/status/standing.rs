//! How the work stands: from this machine's record, and from the broker by looking alone.

use std::collections::BTreeMap;
use std::time::Duration;

use budget::{OperatorPause, Records};
use common::failure::Failure;
use config::Config;
use jiff::Timestamp;
use ledger::state::State;
use ledger::{Ledger, RunStatus, Verification};
use producer::asked::{self, Asked, Held};
use producer::estimate::calls_an_asset;
use queue::{Depth, EmbeddedQueue};
use rabbitmq::{Inventory, Member, roll_call};
use serde_json::{Value, json};
use wiring::quiet_hours::{self, Effect};

use super::forecast::{Ended, Forecast, forecast};

/// Runs that are shown.
const RUNS: u32 = 5;
/// What the rate is measured over.
const LATELY: Duration = Duration::from_mins(5);

/// What is known on this machine and at the broker.
pub(super) struct Standing {
    pub(super) cursor: Option<Timestamp>,
    pub(super) runs: Vec<RunStatus>,
    /// Delta runs that published nothing.
    pub(super) empty_runs: u64,
    /// Failed jobs of the latest run, by class.
    pub(super) failed_by_reason: BTreeMap<String, u64>,
    pub(super) verified: Option<Verification>,
    /// Whether this machine has a state directory; a fleet's may be elsewhere.
    pub(super) has_state: bool,
    /// Why the queue cannot be looked at, if that is so.
    pub(super) depth: Result<Depth, Failure>,
    /// The processes at work; `None` without a broker, where there is one at most.
    pub(super) members: Option<Vec<Member>>,
    /// What a process on this machine cannot use, where there is no broker to tell it.
    pub(super) services_out: Vec<String>,
    /// This deployment, by its prefix on the broker.
    pub(super) deployment: String,
    /// A person's pause.
    pub(super) paused: Option<OperatorPause>,
    /// Whether nothing is sent to Bynder after a 429.
    pub(super) silent: bool,
    /// The quiet hours that it is, by this machine's clock.
    pub(super) quiet: Option<Effect>,
    pub(super) forecast: Option<Forecast>,
    /// Assets that failed and whose jobs the queue has no more.
    pub(super) not_replayable: u64,
    /// What was asked for of the library, where it was begun.
    pub(super) asked: Option<Asked>,
    /// What waits until it is asked for.
    pub(super) held: Option<Held>,
}

impl Standing {
    /// Looks once. `embedded` means this machine's own queue although there is a broker.
    pub(super) async fn now(config: &Config, embedded: bool) -> Result<Self, Failure> {
        let state = State::open_to_read(&config.producer.state_dir)?;
        let records = Records::new(&config.producer.state_dir);
        let now = Timestamp::now();
        let mut standing = Self {
            cursor: None,
            runs: Vec::new(),
            empty_runs: 0,
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
            standing.depth = EmbeddedQueue::depth_beside(state).await.map_err(Failure::from);
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
            if let Some(latest) = standing.runs.first() {
                standing.failed_by_reason = ledger.failures_of(&latest.run_id).await?;
            }
            standing.verified = ledger.last_verification().await?;
            let (count, first) = ledger.ended_since(now - LATELY).await?;
            let over = first.map_or(LATELY, |first| now.duration_since(first).unsigned_abs());
            ended = Some(Ended { count, over });
        }
        // A job in a worker's hands is in no queue; the record knows it, where it is at hand.
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
    // Where nothing is declared, nobody is at work.
    let members = if inventory.missing.is_empty() { roll_call(&settings).await? } else { Vec::new() };
    Ok((inventory, members))
}
