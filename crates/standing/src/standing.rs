//! The record and the queue together.

use std::collections::BTreeMap;
use std::time::Duration;

use common::failure::Failure;
use config::Config;
use jiff::Timestamp;
use ledger::state::State;
use ledger::{Exposure, Ledger, RunStatus, Verification};
use serde_json::{Value, json};
use wiring::quiet_hours::{self, Effect};

use crate::asked::{self, Asked, Unrequested};
use crate::cost::calls_an_asset;
use crate::forecast::{Ended, Forecast, forecast};
use crate::queues::Queues;

/// How many runs to show.
const RUNS: u32 = 5;
/// The period over which the rate is measured.
const LATELY: Duration = Duration::from_mins(5);
/// The period whose new versions are summed up.
const DAY: Duration = Duration::from_hours(24);

/// What this machine and the queue show.
pub struct Standing {
    pub cursor: Option<Timestamp>,
    pub runs: Vec<RunStatus>,
    /// How many delta runs published nothing.
    pub empty_runs: u64,
    /// How long new versions were unprotected, of those that were protected in the last day, among the latest 10,000 outcomes.
    pub exposure: Option<Exposure>,
    /// Failed jobs of the latest run, by failure class.
    pub failed_by_reason: BTreeMap<String, u64>,
    pub verified: Option<Verification>,
    /// Whether this machine has a state directory; a fleet's may be on another machine.
    pub has_state: bool,
    pub queues: Queues,
    /// This deployment's prefix on the broker.
    pub deployment: String,
    /// The current quiet hours, by this machine's clock.
    pub quiet: Option<Effect>,
    pub forecast: Option<Forecast>,
    /// Assets that failed and whose jobs are no longer in the queue.
    pub not_replayable: u64,
    /// What was asked for, if work on the library has begun.
    pub asked: Option<Asked>,
    /// What is held until it is asked for.
    pub held: Option<Unrequested>,
}

impl Standing {
    /// Inspects everything once. `embedded` selects this machine's queue even if there is a broker.
    pub async fn now(config: &Config, embedded: bool) -> Result<Self, Failure> {
        let state = State::open_to_read(&config.producer.state_dir)?;
        let queues = Queues::inspect(config, state.as_ref(), embedded).await;
        Self::of(config, state.map(Ledger::new).as_ref(), queues).await
    }

    /// What the record shows together with these queues.
    pub async fn of(config: &Config, ledger: Option<&Ledger>, queues: Queues) -> Result<Self, Failure> {
        let now = Timestamp::now();
        let mut standing = Self {
            cursor: None,
            runs: Vec::new(),
            empty_runs: 0,
            exposure: None,
            failed_by_reason: BTreeMap::new(),
            verified: None,
            has_state: ledger.is_some(),
            queues,
            deployment: config.queue.prefix.clone(),
            quiet: quiet_hours::active(&config.quiet_hours, now),
            forecast: None,
            not_replayable: 0,
            asked: None,
            held: None,
        };
        let mut ended = None;
        if let Some(ledger) = ledger {
            standing.cursor = ledger.cursor().await?;
            if let Ok(depth) = &standing.queues.depth {
                standing.not_replayable = ledger.failed_count().await?.saturating_sub(depth.failed);
            }
            standing.asked = asked::noted(ledger).await?;
            standing.held = asked::held(ledger).await?;
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
        standing.forecast = standing.queues.depth.as_ref().ok().map(|depth| {
            let requests = quiet_hours::requests(config, now).get();
            forecast(depth.open().max(recorded), ended, calls_an_asset(config.output.mode), requests)
        });
        Ok(standing)
    }

    pub fn as_json(&self) -> Value {
        let Queues { depth, members, services_out, paused, silent } = &self.queues;
        json!({
            "cursor": self.cursor,
            "runs": self.runs,
            "runs_without_jobs": self.empty_runs,
            "exposure": self.exposure,
            "failed_by_reason": self.failed_by_reason,
            "last_verification": self.verified,
            "paused_by_operator": paused,
            "silent_after_429": silent,
            "quiet_hours": self.quiet,
            "queues": depth.as_ref().ok(),
            "queue_error": depth.as_ref().err().map(ToString::to_string),
            "members": members,
            "services_out": services_out,
            "forecast": self.forecast,
            "failed_not_replayable": self.not_replayable,
            "asked_for": self.asked,
            "held": self.held,
        })
    }
}
