//! What a process tells about itself: its log, and for one that runs on its own, metrics and health.

mod endpoint;
mod healthcheck;
mod log;
mod metrics;
mod panics;
mod readiness;

pub use crate::output::LogFormat;
pub use endpoint::serve;
pub use healthcheck::healthcheck;
pub use log::{Verbosity, init};
pub use metrics::{Metrics, RunResult, RunningStep, SkippedBy, StepResult};
pub use readiness::Readiness;
