//! Opens the queue that a command works on: the fleet's if a broker is configured, otherwise this machine's.

use std::sync::Arc;
use std::time::Duration;

use common::failure::Failure;
use config::Config;
use ledger::state::{State, StateError};
use queue::{EmbeddedQueue, FailedFilter, FailedJob, FailedJobs};
use rabbitmq::Broker;

/// How long a command waits for the broker.
const PATIENCE: Duration = Duration::from_secs(10);

/// A queue's failed jobs, and who takes replayed jobs.
pub(crate) struct Opened {
    pub(crate) failed: Arc<dyn FailedJobs>,
    pub(crate) taken_up_by: &'static str,
}

/// Opens the queue; `embedded` selects this machine's even if a broker is configured.
pub(crate) async fn open(config: &Config, embedded: bool) -> Result<Opened, Failure> {
    if config.broker.is_some() && !embedded {
        let failed = Arc::new(broker(config).await?.failed_jobs());
        return Ok(Opened { failed, taken_up_by: "the workers take them up" });
    }
    let directory = &config.producer.state_dir;
    let in_use = match State::open_when_free(directory).await {
        Ok(state) => {
            let failed = Arc::new(EmbeddedQueue::open(state).await?);
            return Ok(Opened { failed, taken_up_by: "`connector sync` or `connector serve` takes them up" });
        }
        Err(error @ StateError::InUse { .. }) => error,
        Err(error) => return Err(error.into()),
    };
    let state = State::open_to_append(directory)?.ok_or(in_use)?;
    Ok(Opened {
        failed: Arc::new(EmbeddedQueue::attach(state)),
        taken_up_by: "the running connector takes them up",
    })
}

/// The queue's failed jobs as people may see them, without stopping any process; empty if there is no state yet.
pub(crate) async fn failed(
    config: &Config,
    embedded: bool,
    filter: &FailedFilter,
) -> Result<Vec<FailedJob>, Failure> {
    if config.broker.is_some() && !embedded {
        return Ok(broker(config).await?.failed_jobs().list(filter).await?);
    }
    match State::open_to_read(&config.producer.state_dir)? {
        Some(state) => {
            let failed = EmbeddedQueue::failed_in(&state, filter).await?;
            Ok(failed.into_iter().map(FailedJob::shown).collect())
        }
        None => Ok(Vec::new()),
    }
}

/// Connects to the fleet's broker.
pub(crate) async fn broker(config: &Config) -> Result<Broker, Failure> {
    Ok(Broker::open(&wiring::broker(config, "connector")?, PATIENCE).await?)
}
