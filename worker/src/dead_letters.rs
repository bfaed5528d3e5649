//! Ends the jobs of messages that the broker gave up.

use std::time::Duration;

use jiff::Timestamp;
use queue::{FailedJob, QueueError, Settlement};
use rabbitmq::{Dead, DeadLetters};
use tracing::Instrument;

use crate::close::close;
use crate::conclude::dead;
use crate::context::StepContext;
use crate::environment::Environment;
use crate::settle::{log_end, settle};
use crate::step;

const TRY_AGAIN: Duration = Duration::from_secs(5);

/// Settles the jobs that the broker gave up; each goes to one of the workers.
pub(crate) async fn settle_dead_letters(letters: DeadLetters, environment: Environment) {
    loop {
        if let Err(error) = settle_one(&letters, &environment).await {
            tracing::debug!(%error, "cannot settle a dead letter; trying again");
            tokio::time::sleep(TRY_AGAIN).await;
        }
    }
}

async fn settle_one(letters: &DeadLetters, environment: &Environment) -> Result<(), QueueError> {
    match letters.next().await? {
        Dead::Unreadable(failed) => {
            let FailedJob { event, .. } = *failed;
            tracing::error_span!("dead_letter", run_id = %event.run_id).in_scope(|| log_end(&event));
            environment.metrics.job_ended(&event, event.at);
        }
        Dead::Job(delivery) => {
            let job = delivery.job.clone();
            let span = tracing::error_span!(
                "dead_letter", run_id = %job.run_id, step = job.step.name(), trace_id = job.trace_id()
            );
            let settling = async {
                let settlement = dead(&environment.settings, job, Timestamp::now());
                if let Settlement::Wait { job, .. } = &settlement {
                    step::keep(&StepContext::of(environment), job).await;
                }
                let settlement = close(environment, settlement).await;
                settle(environment, *delivery, settlement).await
            };
            settling.instrument(span).await?;
        }
    }
    Ok(())
}
