//! The end of messages that nobody could work on.

use std::time::Duration;

use common::job::Job;
use common::queue::{FailedJob, RabbitQueue};
use common::telemetry::Metrics;

use crate::settle::tell_end;

/// How often messages that the broker gave up on are looked for.
const BURY: Duration = Duration::from_secs(5);

/// Takes care of what nobody could work on; one of the workers gets each.
pub(crate) async fn bury(queue: RabbitQueue, metrics: Metrics) {
    loop {
        match queue.bury_dead().await {
            Ok(Some(FailedJob { job, event, .. })) => {
                let trace_id = job.as_ref().and_then(Job::trace_id);
                let (run_id, step) = (&event.run_id, job.as_ref().map(|job| job.step.name()));
                let span = tracing::error_span!("burial", %run_id, step, trace_id);
                span.in_scope(|| tell_end(&event));
                metrics.job_ended(&event.outcome, job.as_ref().map_or(event.at, |job| job.created_at));
                continue;
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "cannot look for dead letters"),
        }
        tokio::time::sleep(BURY).await;
    }
}
