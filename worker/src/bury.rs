//! The end of messages that the broker gave up.

use std::time::Duration;

use common::queue::{Dead, FailedJob, JobQueue, QueueError, RabbitQueue, Settlement};
use jiff::Timestamp;
use tracing::Instrument;

use crate::environment::Environment;
use crate::handle::closing;
use crate::lost::dead;
use crate::settle::tell_end;
use crate::step;

/// How often messages that the broker gave up are looked for.
const BURY: Duration = Duration::from_secs(5);

/// Settles the jobs that the broker gave up; one of the workers gets each.
pub(crate) async fn bury(queue: RabbitQueue, environment: Environment) {
    loop {
        match bury_one(&queue, &environment).await {
            Ok(true) => {}
            Ok(false) => tokio::time::sleep(BURY).await,
            Err(error) => {
                tracing::debug!(%error, "cannot settle dead letters");
                tokio::time::sleep(BURY).await;
            }
        }
    }
}

/// Whether there was a dead letter.
async fn bury_one(queue: &RabbitQueue, environment: &Environment) -> Result<bool, QueueError> {
    match queue.dead().await? {
        None => return Ok(false),
        Some(Dead::Unreadable(buried)) => {
            let FailedJob { event, .. } = *buried;
            tracing::error_span!("burial", run_id = %event.run_id).in_scope(|| tell_end(&event));
            environment.metrics.job_ended(&event, event.at);
        }
        Some(Dead::Job(delivery)) => {
            let job = delivery.job.clone();
            let span = tracing::error_span!(
                "burial", run_id = %job.run_id, step = job.step.name(), trace_id = job.trace_id()
            );
            let published = job.created_at;
            let settling = async {
                let settlement = dead(&environment.settings, job, Timestamp::now());
                if let Settlement::Wait { job, .. } = &settlement {
                    step::keep(environment, job).await;
                }
                closing(environment, settlement).await
            };
            let settlement = settling.instrument(span).await;
            let ended = match &settlement {
                Settlement::Fail { event, .. } => Some(event.clone()),
                Settlement::Forward(_) | Settlement::Wait { .. } | Settlement::Finish(_) => None,
            };
            queue.settle(*delivery, settlement).await?;
            if let Some(event) = ended {
                environment.metrics.job_ended(&event, published);
            }
        }
    }
    Ok(true)
}
