//! One run over the library, from the request to its summary: the same whether a fleet or this machine executes its
//! jobs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bynder::patience::Patience;
use common::failure::Failure;
use config::Config;
use ledger::{RunMode, Tally};
use standing::asked::Unrequested;
use telemetry::RunResult;
use tokio_util::sync::CancellationToken;

use crate::allowance::Limit;
use crate::arguments::RunArguments;
use crate::found::RunCounts;
use crate::mandate::{self, Purpose, Ready};
use crate::run::{self, Environment, Report, RunError};
use crate::select::SkipReason;
use crate::summary::Summary;
use cli::options::GlobalOptions;

/// A running run.
pub struct RunSession<'a> {
    config: &'a Config,
    environment: &'a Environment,
    patience: Patience,
    ready: Ready,
    started: Instant,
}

/// The result of a run.
pub struct RunEnd {
    /// What it found, and the outcomes of its jobs.
    pub summary: Summary,
    /// The limit that ended the walk early.
    pub limit: Option<Limit>,
    /// The assets that wait until they are requested.
    held: Option<Unrequested>,
    /// Jobs that will never have an outcome, as far as is known.
    without_outcome: u64,
}

impl<'a> RunSession<'a> {
    /// Determines what the run has to do.
    ///
    /// # Errors
    /// [`Failure::Limit`]: no person requested a first run over this library.
    pub async fn begin(
        config: &'a Config,
        environment: &'a Environment,
        scope: &RunArguments,
        stop: &CancellationToken,
    ) -> Result<Self, Failure> {
        let (started, patience) = (Instant::now(), Patience::until(stop.clone()));
        let asking = Box::pin(mandate::ready(config, environment, scope, Purpose::Work, &patience));
        let ready = patience.unless_over(asking).await.map_err(RunError::from)??;
        let session = Self { config, environment, patience, ready, started };
        session.show_held();
        Ok(session)
    }

    /// How long the run has taken so far.
    pub fn lasts(&self) -> Duration {
        self.started.elapsed()
    }

    /// Walks the library and publishes jobs; calls `observe` after each page.
    pub async fn walk(&self, observe: impl Fn(&RunCounts)) -> Result<Report, Failure> {
        let walked = run::run(self.environment, &self.ready.options, &self.patience, observe).await;
        let mode = self.ready.options.scope.mode();
        self.environment.metrics.run_ended(mode, result(&walked), self.lasts());
        Ok(walked?)
    }

    /// As [`RunSession::walk`], with a log line a page. A delta run that finds nothing logs nothing: it comes every half minute.
    pub async fn walk_logged(&self) -> Result<Report, Failure> {
        let is_full = self.ready.options.scope == run::Scope::Full;
        let observe = |found: &RunCounts| {
            if is_full || found.selected > 0 {
                tracing::info!(
                    listed = found.listed,
                    selected = found.selected,
                    published = found.published,
                    "listing"
                );
            }
        };
        self.walk(observe).await
    }

    /// Records what the walk changes in the request.
    pub async fn conclude(&mut self, report: &Report) -> Result<(), Failure> {
        self.ready.conclude(self.config, &self.environment.ledger, report).await?;
        self.show_held();
        Ok(())
    }

    fn show_held(&self) {
        self.environment.metrics.held_is(self.ready.held.as_ref().map_or(0, |held| held.assets));
    }

    /// Combines what the run found, the outcomes of its jobs, and the number of its portal calls.
    pub fn sum_up(
        self,
        report: &Report,
        tally: &Tally,
        unchecked: BTreeMap<String, u64>,
        without_outcome: u64,
        calls: u64,
    ) -> RunEnd {
        let summary = Summary::new(report, tally, unchecked, calls, self.lasts().as_secs_f64());
        let summary = Summary { incomplete: without_outcome > 0, ..summary };
        RunEnd { summary, limit: report.found.limit, held: self.ready.held, without_outcome }
    }
}

impl RunEnd {
    /// Whether changes are left to the next run because newer ones go first.
    pub(crate) fn is_postponed(&self) -> bool {
        self.summary.left_alone.contains_key(&SkipReason::Postponed)
    }

    /// Whether it is a delta run after which everything is as before.
    pub(crate) fn found_nothing(&self) -> bool {
        let Summary { mode, selected, published, incomplete, .. } = &self.summary;
        *mode == RunMode::Delta.name()
            && (*selected, *published, *incomplete) == (0, 0, false)
            && self.limit.is_none()
    }

    /// Prints the summary, and returns how the command that did the run ends.
    pub fn print(&self, global: &GlobalOptions) -> Result<(), Failure> {
        self.summary.print(global);
        if self.without_outcome > 0 {
            return Err(Failure::Temporary(format!(
                "incomplete: {} jobs have no outcome although every queue is empty; run again to process their assets",
                self.without_outcome
            )));
        }
        self.summary.conclude(self.limit, self.held.as_ref())
    }
}

fn result(walked: &Result<Report, RunError>) -> RunResult {
    match walked {
        Ok(report) if report.found.limit.is_some() => RunResult::Limited,
        Ok(Report { mode: RunMode::Delta, found, .. }) if (found.selected, found.published) == (0, 0) => {
            RunResult::Empty
        }
        Ok(_) => RunResult::Done,
        Err(RunError::Stopped(_)) => RunResult::Stopped,
        Err(RunError::Walk(_) | RunError::Bynder(_) | RunError::Ledger(_) | RunError::Queue(_)) => {
            RunResult::Failed
        }
    }
}
