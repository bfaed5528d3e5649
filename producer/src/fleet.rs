//! A run whose jobs a fleet executes: publishes them to the broker, and collects their outcomes from there.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use budget::Budget;
use common::failure::Failure;
use common::job::RunId;
use config::Config;
use jiff::Timestamp;
use ledger::Ledger;
use ledger::state::State;
use notify::Notices;
use page::Live;
use queue::{Depth, Election, Leadership, QueueError};
use rabbitmq::{Broker, EgressGroup, Outcomes, ProducerElection};
use telemetry::{Metrics, Readiness};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use wiring::quiet_hours;

use crate::arguments::RunArguments;
use crate::portal::{bind_state_to_portal, resolve};
use crate::run::Environment;
use crate::runner::Runner;
use crate::session::{RunEnd, RunSession};
use crate::wiring::{Queues, environment};
use crate::{Delays, Progress};

/// How long a program that a person started waits for the broker.
const BROKER_PATIENCE: Duration = Duration::from_secs(30);
/// Outcomes that arrive within this time are written in one transaction with one acknowledgement: for the broker,
/// that costs no more than acknowledging a single outcome.
const GATHER: Duration = Duration::from_millis(100);
/// How often the producer checks for outcomes when there were none.
const OUTCOME_POLL: Duration = Duration::from_millis(300);
/// How often the ledger is checked for what other processes added.
const RECORD_POLL: Duration = Duration::from_secs(10);
/// How often the depth of the queues is measured while waiting.
const DEPTH_POLL: Duration = Duration::from_secs(2);
/// How much longer to wait if it is unknown which jobs the workers hold.
const MORE_FOR_UNKNOWN_HANDS: u32 = 3;
/// How often the depth is measured otherwise, only for the metrics.
const IDLE_DEPTH_POLL: Duration = Duration::from_secs(15);

/// The producer's side of a fleet.
pub(crate) struct Fleet {
    config: Config,
    budget: Budget,
    membership: AbortOnDropHandle<()>,
    _quiet: AbortOnDropHandle<()>,
    ledger: Ledger,
    broker: Broker,
    outcomes: Outcomes,
    group: EgressGroup,
    election: ProducerElection,
    leadership: Mutex<Leadership>,
    metrics: Metrics,
    environment: Environment,
    notices: Notices,
}

/// How long to wait for outcomes while nothing happens. If it is unknown what the workers hold, they may still hold
/// the jobs; but the wait for a process that never reports what it holds must end.
fn patience(lost_after: Duration, hands: Option<u64>) -> Duration {
    if hands.is_some() { lost_after } else { lost_after * MORE_FOR_UNKNOWN_HANDS }
}

impl Fleet {
    /// Opens the state and the broker, asks the portal for what the run needs, and becomes the one producer.
    pub(crate) async fn open(config: &Config, metrics: Metrics, notices: Notices) -> Result<Self, Failure> {
        let budget = Budget::of_group(config.bynder.requests_per_5_minutes);
        metrics.set_budget(config.bynder.requests_per_5_minutes.get());
        let quiet = quiet_hours::keep(config, &budget);
        let bynder = wiring::bynder(config, &budget, &metrics)?;
        let settings = wiring::broker(config, "producer")?;
        let ledger = Ledger::new(State::open_when_free(&config.producer.state_dir).await?);
        let broker = Broker::open(&settings, BROKER_PATIENCE).await?;
        let election = broker.producer_election();
        let leadership = Mutex::new(election.win(None).await?);
        metrics.set_cursor(ledger.cursor().await?);
        let group = broker.egress_group();
        let membership = group.join(&budget);
        let resolved = resolve(config, &bynder).await?;
        bind_state_to_portal(config, &ledger).await?;
        election.bind_prefix_to_portal().await?;
        let jobs = Arc::new(broker.publisher(ledger.clone()));
        let queues = Queues { jobs, failed: Arc::new(broker.failed_jobs()) };
        let environment = environment(config, bynder, ledger.clone(), queues, resolved, metrics.clone());
        let outcomes = broker.outcomes();
        let config = config.clone();
        Ok(Self {
            config,
            budget,
            membership,
            _quiet: quiet,
            ledger,
            broker,
            outcomes,
            group,
            election,
            leadership,
            metrics,
            environment,
            notices,
        })
    }

    /// What the operator's page shows and acts on.
    pub(crate) fn live(&self) -> Live {
        Live {
            ledger: self.ledger.clone(),
            failed: Arc::clone(&self.environment.failed_jobs),
            jobs: Arc::clone(&self.environment.queue),
            pause: Arc::new(self.group.clone()),
            budget: self.budget.clone(),
            pictures: Arc::new(self.environment.bynder.clone()),
        }
    }

    /// Returns this process's share of the budget to the others at once.
    pub(crate) async fn leave(self) {
        drop(self.membership);
        self.group.leave(&self.budget).await;
    }

    /// Runs `work` for as long as this is the one producer, and collects outcomes meanwhile.
    pub(crate) async fn alone<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            ended = work => ended,
            failure = self.stay_producer() => Err(failure),
            failure = self.fold() => Err(failure),
        }
    }

    /// A lost connection ends the producer's role; takes the role again unless another process was quicker.
    async fn stay_producer(&self) -> Failure {
        loop {
            let leadership = self.leadership().clone();
            leadership.lost().await;
            match self.election.win(None).await {
                Ok(taken) => *self.leadership() = taken,
                Err(error) if error.is_retryable() => {
                    tracing::warn!(%error, "the broker is away; waiting for it");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Err(error) => return error.into(),
            }
        }
    }

    fn leadership(&self) -> std::sync::MutexGuard<'_, Leadership> {
        self.leadership.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fold(&self) -> Failure {
        loop {
            let folding = async {
                self.outcomes.wait().await?;
                tokio::time::sleep(GATHER).await;
                self.outcomes.fold_into(&self.ledger).await
            };
            match folding.await {
                Ok(_) => {}
                Err(error) if error.is_retryable() => {
                    tracing::debug!(%error, "cannot take outcomes in; trying again");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Err(error) => return error.into(),
            }
        }
    }

    /// One run; with `wait`, until every job of it has an outcome.
    pub(crate) async fn once(
        &self,
        scope: &RunArguments,
        wait: bool,
        quiet: bool,
        stop: &CancellationToken,
    ) -> Result<RunEnd, Failure> {
        let before = self.budget.used();
        self.give_up_lost().await?;
        let mut session = RunSession::begin(&self.config, &self.environment, scope, stop).await?;
        let report = session.walk_logged().await?;
        session.conclude(&report).await?;
        self.metrics.set_cursor(self.ledger.cursor().await?);
        let without_outcome = if wait { self.outcomes_of(&report.run_id, quiet, stop).await? } else { 0 };
        if without_outcome > 0 {
            self.ledger.give_up_run(&report.run_id).await?;
        }
        // Outcomes of earlier runs that arrived while no producer was running.
        while self.outcomes.fold_into(&self.ledger).await.is_ok_and(|count| count > 0) {}
        let tally = self.ledger.tally_of(&report.run_id).await?;
        let unchecked = self.ledger.unchecked_of(&report.run_id).await?;
        let calls = self.budget.used().saturating_sub(before);
        Ok(session.sum_up(&report, &tally, unchecked, without_outcome, calls))
    }

    /// Gives up the jobs that are in no queue and that no worker holds any more: their assets are taken up again.
    async fn give_up_lost(&self) -> Result<(), Failure> {
        if !self.ledger.has_open().await? {
            return Ok(());
        }
        let queues = match self.broker.check_queues().await {
            Err(error) if error.is_retryable() => {
                tracing::debug!(%error, "cannot check the queues; the next run does");
                return Ok(());
            }
            queues => queues?,
        };
        // Outcomes that arrive after the check of the queues do not matter; earlier ones must be in the ledger.
        while self.outcomes.fold_into(&self.ledger).await? > 0 {}
        let apart = self.config.producer.lost_after.0;
        let lost = self.ledger.give_up_lost(queues, Timestamp::now(), apart).await?;
        if lost > 0 {
            tracing::warn!(
                jobs = lost,
                "jobs are neither queued nor held by a worker, or open for longer than a job lives; their assets are processed again"
            );
        }
        Ok(())
    }

    /// Waits for the outcomes of a run; returns how many will not arrive.
    async fn outcomes_of(&self, run: &RunId, quiet: bool, stop: &CancellationToken) -> Result<u64, Failure> {
        let mut progress = Progress::new(quiet);
        let mut depth = Depth::default();
        let mut measured: Option<Instant> = None;
        // The number of open jobs, and when there was last an outcome, or a job in a queue or held by a worker.
        let mut stirred = (u64::MAX, Instant::now());
        loop {
            let open = self.ledger.open_in(run).await?;
            if open == 0 {
                progress.end();
                return Ok(0);
            }
            if measured.is_none_or(|at| at.elapsed() >= DEPTH_POLL) {
                measured = Some(Instant::now());
                match self.broker.depth().await {
                    Ok(now) => {
                        depth = now;
                        self.metrics.queue_measured(&depth);
                    }
                    // A broker that is away says nothing about its jobs.
                    Err(QueueError::Unavailable(_)) => stirred = (open, Instant::now()),
                    Err(error) => return Err(error.into()),
                }
                let tally = self.ledger.tally_of(run).await?;
                let shown = Depth { in_flight: open.saturating_sub(depth.open()), ..depth };
                let quiet_hours = quiet_hours::active(&self.config.quiet_hours, Timestamp::now());
                let others = Delays { quiet_hours, ..Delays::default() };
                progress.show(&tally, &shown, &self.budget.figures(), &others);
            }
            let hands = self.broker.in_hand();
            if open != stirred.0 || depth.open() > 0 || hands.is_some_and(|jobs| jobs > 0) {
                stirred = (open, Instant::now());
            }
            if stirred.1.elapsed() > patience(self.config.producer.lost_after.0, hands) {
                progress.end();
                return Ok(open);
            }
            if stop.run_until_cancelled(tokio::time::sleep(OUTCOME_POLL)).await.is_none() {
                return Err(Failure::Temporary(format!(
                    "stopped while {open} jobs have no outcome yet; the workers continue with them"
                )));
            }
        }
    }

    /// Reports the state of the broker and the depth of its queues to readiness and metrics.
    pub(crate) async fn watch(&self, readiness: &Readiness) {
        let mut measured: Option<Instant> = None;
        loop {
            self.metrics.budget_measured(&self.budget.figures());
            let quiet = quiet_hours::active(&self.config.quiet_hours, Timestamp::now());
            self.metrics.quiet_hours(quiet.is_some());
            let trouble = self.broker.trouble();
            let connected = trouble.is_none();
            self.metrics.broker_measured(connected, self.broker.unknown_outcomes());
            self.metrics.messages_not_taken(self.broker.rejected(), self.broker.put_off());
            readiness.set("broker", trouble.map_or(Ok(()), |trouble| Err(trouble.to_string())));
            if connected && measured.is_none_or(|at| at.elapsed() >= IDLE_DEPTH_POLL) {
                measured = Some(Instant::now());
                if let Ok(depth) = self.broker.depth().await {
                    self.metrics.queue_measured(&depth);
                }
            }
            tokio::time::sleep(OUTCOME_POLL).await;
        }
    }

    /// Whether a person paused the work.
    pub(crate) fn is_paused(&self) -> bool {
        self.budget.operator_pause().is_some()
    }

    /// Reports to the metrics what is recorded in the ledger, also by other commands.
    pub(crate) async fn watch_record(&self) {
        loop {
            if let Err(error) = self.environment.measure_record().await {
                tracing::debug!(%error, "cannot read the state");
            }
            tokio::time::sleep(RECORD_POLL).await;
        }
    }
}

impl Runner for Fleet {
    fn config(&self) -> &Config {
        &self.config
    }

    fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    fn notices(&self) -> &Notices {
        &self.notices
    }

    async fn run(&self, scope: &RunArguments, stop: &CancellationToken) -> Result<RunEnd, Failure> {
        self.once(scope, false, true, stop).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hands_that_are_not_known_are_waited_for_longer_than_empty_ones_and_not_without_end() {
        let known = patience(Duration::from_mins(15), Some(0));
        assert_eq!(known, Duration::from_mins(15));
        assert!((known * 2..known * 4).contains(&patience(Duration::from_mins(15), None)));
    }
}
