//! Metrics, health and readiness of a process, and the endpoint that serves them. [`serve_router`] is a bounded HTTP
//! server for any pages.
//!
//! Only [`Metrics`] uses the Prometheus client. Every series exists from the start, with the value 0, except those that would be taken for
//! a result.
//!
//! ```
//! let metrics = telemetry::Metrics::new();
//! assert!(metrics.render().contains("connector_jobs_in_flight 0"));
//! ```

mod endpoint;
mod healthcheck;
mod metrics;
mod readiness;
mod server;

pub use endpoint::serve;
pub use healthcheck::healthcheck;
pub use metrics::{Metrics, RunResult, RunningStep, SkippedBy, StepResult};
pub use readiness::Readiness;
pub use server::{Connections, serve_router};
