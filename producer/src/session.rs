//! One run over the library, from what was asked for to its summary: the same whether a fleet does its jobs or this machine.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bynder::patience::Patience;
use common::failure::Failure;
use config::Config;
use ledger::Tally;
use telemetry::RunResult;
use tokio_util::sync::CancellationToken;

use crate::allowance::Limit;
use crate::arguments::Scope;
use crate::asked::Held;
use crate::found::RunCounts;
use crate::mandate::{self, Purpose, Ready};
use crate::run::{self, Environment, Report, RunError};
use crate::summary::Summary;
use cli::options::GlobalOptions;

/// A run under way.
pub struct RunSession<'a> {
    config: &'a Config,
    environment: &'a Environment,
    patience: Patience,
    ready: Ready,
    started: Instant,
}

/// How a run ended.
pub struct RunEnd {
    /// What it found, and what became of it.
    pub summary: Summary,
    /// The limit that ended the walk early.
    pub limit: Option<Limit>,
    /// What waits until it is asked for.
    held: Option<Held>,
    /// Jobs that will never have an outcome, as far as can be told.
    without_outcome: u64,
}

impl<'a> RunSession<'a> {
    /// Decides what the run shall do.
    ///
    /// # Errors
    /// [`Failure::Limit`]: nobody asked for a first run over this library.
    pub async fn begin(
        config: &'a Config,
        environment: &'a Environment,
        scope: &Scope,
        stop: &CancellationToken,
    ) -> Result<Self, Failure> {
        let (started, patience) = (Instant::now(), Patience::until(stop.clone()));
        let ready = mandate::ready(config, environment, scope, Purpose::Work, &patience).await?;
        let session = Self { config, environment, patience, ready, started };
        session.show_held();
        Ok(session)
    }

    /// How long it takes so far.
    pub fn lasts(&self) -> Duration {
        self.started.elapsed()
    }

    /// Walks the library and publishes jobs; `observe` is called after each page.
    pub async fn walk(&self, observe: impl Fn(&RunCounts)) -> Result<Report, Failure> {
        let walked = run::run(self.environment, &self.ready.options, &self.patience, observe).await;
        let mode = self.ready.options.scope.mode();
        self.environment.metrics.run_ended(mode, result(&walked), self.lasts());
        Ok(walked?)
    }

    /// Notes what the walk changes of what was asked for.
    pub async fn conclude(&mut self, report: &Report) -> Result<(), Failure> {
        self.ready.conclude(self.config, &self.environment.ledger, report).await?;
        self.show_held();
        Ok(())
    }

    fn show_held(&self) {
        self.environment.metrics.held_is(self.ready.held.as_ref().map_or(0, |held| held.assets));
    }

    /// Puts together what the run found, what became of its jobs, and the portal calls that it took.
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
    /// Prints the summary, and tells how the command ends that did the run.
    pub fn tell(&self, global: &GlobalOptions) -> Result<(), Failure> {
        self.summary.print(global);
        if self.without_outcome > 0 {
            return Err(Failure::Temporary(format!(
                "incomplete: {} jobs have no outcome although every queue is empty; run again to take their assets up",
                self.without_outcome
            )));
        }
        self.summary.conclude(self.limit, self.held.as_ref())
    }
}

fn result(walked: &Result<Report, RunError>) -> RunResult {
    match walked {
        Ok(report) if report.found.limit.is_some() => RunResult::Limited,
        Ok(_) => RunResult::Done,
        Err(RunError::Stopped) => RunResult::Stopped,
        Err(RunError::Walk(_) | RunError::Bynder(_) | RunError::Ledger(_) | RunError::Queue(_)) => {
            RunResult::Failed
        }
    }
}
