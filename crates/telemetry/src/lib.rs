//! Metrics, health and readiness of a process, and the endpoint that serves them.
//!
//! [`Metrics`] is the only place that knows the Prometheus client. Every series is there from the start, at 0.
//!
//! ```
//! let metrics = telemetry::Metrics::new();
//! assert!(metrics.render().contains("connector_build_info"));
//! ```

mod endpoint;
mod healthcheck;
mod metrics;
mod readiness;

pub use endpoint::serve;
pub use healthcheck::healthcheck;
pub use metrics::{Metrics, RunResult, RunningStep, SkippedBy, StepResult};
pub use readiness::Readiness;
