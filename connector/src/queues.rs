//! Which queue a command means: the fleet's, if a broker is configured, or this machine's own.

use std::sync::Arc;
use std::time::Duration;

use common::config::Config;
use common::failure::Failure;
use common::queue::{EmbeddedQueue, FailedFilter, FailedJob, JobQueue, RabbitQueue};
use common::state::State;
use common::wiring;

/// How long a command waits for the broker.
const PATIENCE: Duration = Duration::from_secs(10);

/// A queue, and who takes up what is put back into it.
pub(crate) struct Opened {
    pub(crate) queue: Arc<dyn JobQueue>,
    pub(crate) taken_up_by: &'static str,
}

/// Opens the queue that is meant; `embedded` means this machine's own in any case.
pub(crate) async fn open(config: &Config, embedded: bool) -> Result<Opened, Failure> {
    if config.broker.is_some() && !embedded {
        return Ok(Opened { queue: Arc::new(fleet(config).await?), taken_up_by: "the workers take them up" });
    }
    let queue = EmbeddedQueue::open(State::open_when_free(&config.producer.state_dir).await?).await?;
    Ok(Opened { queue: Arc::new(queue), taken_up_by: "`connector sync` takes them up" })
}

/// The failed jobs of the queue that is meant, which nobody has to stop for; none where there is no state yet.
pub(crate) async fn failed(
    config: &Config,
    embedded: bool,
    filter: &FailedFilter,
) -> Result<Vec<FailedJob>, Failure> {
    if config.broker.is_some() && !embedded {
        return Ok(fleet(config).await?.failed(filter).await?);
    }
    match State::open_to_read(&config.producer.state_dir)? {
        Some(state) => Ok(EmbeddedQueue::failed_beside(&state, filter).await?),
        None => Ok(Vec::new()),
    }
}

/// The fleet's queue.
pub(crate) async fn fleet(config: &Config) -> Result<RabbitQueue, Failure> {
    Ok(RabbitQueue::open(&wiring::broker(config, "connector")?, None, PATIENCE).await?)
}
