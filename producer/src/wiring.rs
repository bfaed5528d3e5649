//! From the configuration to what a run works with.

use std::sync::Arc;
use std::time::Duration;

use bynder::Bynder;
use config::Config;
use imatag::profile::Limits;
use ledger::Ledger;
use queue::{FailedJobs, JobPublisher};
use telemetry::Metrics;

use crate::allowance::Day;
use crate::portal::Resolved;
use crate::run::Environment;

/// Under load the listing may be behind this many times `bynder.index_lag`.
const INDEX_LAGS_UNDER_LOAD: u32 = 10;

/// Where a run's jobs go.
pub struct Queues {
    /// New jobs.
    pub jobs: Arc<dyn JobPublisher>,
    /// Those of earlier runs that failed.
    pub failed: Arc<dyn FailedJobs>,
}

/// What a run works with.
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
        metaproperty: resolved.metaproperty.name,
        metrics,
        limits: config.limits.clone(),
        day: Arc::new(Day::new(&config.limits, ledger.clone())),
        ledger,
        taking_up: Arc::default(),
        overlap: config.producer.overlap.0,
        part_size: config.bynder.part_size.as_u64(),
        listing_settles_in: listing_settles_in(config),
    }
}

/// What is sent to Imatag. A producer beside workers needs no wire profile: where it has none, the content decides.
fn sent(config: &Config) -> Limits {
    match config.imatag.wire() {
        Ok(profile) => profile.limits,
        Err(error) => {
            tracing::warn!(%error, "no type of file is left out at the listing; the workers decide on each");
            Limits::default()
        }
    }
}

/// A version restored within this time is taken up by the next run, so that run's overlap has to reach as far back.
fn listing_settles_in(config: &Config) -> Duration {
    (config.bynder.index_lag.0 * INDEX_LAGS_UNDER_LOAD).min(config.producer.overlap.0)
}
