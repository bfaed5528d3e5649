//! What a process tells about itself: metrics, health and readiness.

mod endpoint;
mod healthcheck;
mod metrics;
mod readiness;

pub use endpoint::serve;
pub use healthcheck::healthcheck;
pub use metrics::{Metrics, RunResult, RunningStep, SkippedBy, StepResult};
pub use readiness::Readiness;
