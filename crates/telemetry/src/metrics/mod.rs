//! Metrics for Prometheus. Only this module uses its client library.
//!
//! The values of every label are a closed set, and every series starts at 0. So a first failure is a step from 0 to 1, which an
//! alert can detect, and not a new series. Only what a count of the library or a verification found has no series before.

mod broker;
mod budget;
mod jobs;
mod library;
mod machine;
mod register;
mod requests;
mod running;
mod runs;
mod verified;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use prometheus::TextEncoder;

pub use jobs::StepResult;
pub use running::RunningStep;
pub use runs::{RunResult, SkippedBy};

use broker::BrokerSeries;
use budget::BudgetSeries;
use jobs::JobSeries;
use library::LibrarySeries;
use machine::MachineSeries;
use register::Register;
use requests::RequestSeries;
use running::RunningSeries;
use runs::RunSeries;
use verified::VerifiedSeries;

/// The metrics of this process; clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    series: Arc<Series>,
}

#[derive(Debug)]
struct Series {
    register: Register,
    jobs: JobSeries,
    running: RunningSeries,
    broker: BrokerSeries,
    budget: BudgetSeries,
    requests: RequestSeries,
    runs: RunSeries,
    library: LibrarySeries,
    machine: MachineSeries,
    verified: VerifiedSeries,
}

impl Metrics {
    /// Creates every series at 0.
    pub fn new() -> Self {
        match Series::new() {
            Ok(series) => Self { series: Arc::new(series) },
            Err(error) => unreachable!("names and labels are constants: {error}"),
        }
    }

    /// Renders all series in Prometheus' text format.
    pub fn render(&self) -> String {
        self.series.running.measure();
        let families = self.series.register.gather();
        TextEncoder::new().encode_to_string(&families).unwrap_or_else(|error| {
            tracing::error!(%error, "the metrics cannot be written");
            String::new()
        })
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Series {
    fn new() -> prometheus::Result<Self> {
        let register = Register::default();
        Ok(Self {
            jobs: JobSeries::new(&register)?,
            running: RunningSeries::new(&register)?,
            broker: BrokerSeries::new(&register)?,
            budget: BudgetSeries::new(&register)?,
            requests: RequestSeries::new(&register)?,
            runs: RunSeries::new(&register)?,
            library: LibrarySeries::new(&register)?,
            machine: MachineSeries::new(&register)?,
            verified: VerifiedSeries::new(&register)?,
            register,
        })
    }
}
