//! From the configuration to the environment of a run.

use std::sync::Arc;
use std::time::Duration;

use bynder::Bynder;
use config::Config;
use imatag::profile::Limits;
use ledger::Ledger;
use queue::{FailedJobs, JobPublisher};
use telemetry::Metrics;

use crate::allowance::DayAllowance;
use crate::portal::Resolved;
use crate::run::Environment;

/// Under load the listing may lag by this many times `bynder.index_lag`.
const INDEX_LAGS_UNDER_LOAD: u32 = 10;

/// The queues for a run's jobs.
pub struct Queues {
    /// New jobs.
    pub jobs: Arc<dyn JobPublisher>,
    /// Failed jobs of earlier runs.
    pub failed: Arc<dyn FailedJobs>,
}

/// The environment of a run.
pub fn environment(
    config: &Config,
    bynder: Bynder,
    ledger: Ledger,
    queues: Queues,
    resolved: Resolved,
    metrics: Metrics,
) -> Environment {
    Environment {
        bynder,
        queue: queues.jobs,
        failed_jobs: queues.failed,
        filter: resolved.filter,
        destinations: resolved.destinations,
        sent: sent(config),
        metaproperty: resolved.fields.hash.name,
        metrics,
        limits: config.limits.clone(),
        day: Arc::new(DayAllowance::new(&config.limits, ledger.clone())),
        ledger,
        taking_up: Arc::default(),
        publishing: Arc::default(),
        overlap: config.producer.overlap.0,
        part_size: config.bynder.part_size.as_u64(),
        listing_settles_in: listing_settles_in(config),
    }
}

/// What may be sent to Imatag. A producer in a fleet needs no wire profile: without one, the workers decide by the
/// content.
fn sent(config: &Config) -> Limits {
    match config.imatag.wire() {
        Ok(profile) => profile.limits,
        Err(error) => {
            tracing::warn!(%error, "assets are not filtered by file type while listing; the workers decide on each");
            Limits::default()
        }
    }
}

/// A version restored within this time is taken up by the next run, so that run's overlap has to reach as far back.
fn listing_settles_in(config: &Config) -> Duration {
    (config.bynder.index_lag.0 * INDEX_LAGS_UNDER_LOAD).min(config.producer.overlap.0)
}
