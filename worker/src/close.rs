//! What to do for the asset at the end of a job, before its delivery is settled.

use queue::{Attempt, Settlement};

use crate::conclude::close_later;
use crate::context::StepContext;
use crate::environment::Environment;
use crate::error::{StepError, Verdict};
use crate::step;

/// Waits beyond the last attempt, for the asset's lease or for Bynder, before a job ends without taking back its
/// marker.
const MOST_CLOSING_WAITS: u32 = 5;

/// Frees the asset of a job that ended. A failed job takes its marker back first, under the asset's lease: while a
/// request of the job may still take effect the asset is kept, and the job waits and checks again instead of
/// ending.
pub(crate) async fn close(environment: &Environment, settlement: Settlement) -> Settlement {
    let context = StepContext::of(environment);
    let (mut job, event) = match settlement {
        Settlement::Forward(_) | Settlement::Wait { .. } => return settlement,
        Settlement::Finish(event) => {
            step::free(&context, &event.asset_id, &event.job_id).await;
            return Settlement::Finish(event);
        }
        Settlement::Fail { job, event } => (job, event),
    };
    if !step::wrote_ahead(&job) {
        step::free(&context, &job.asset_id, &job.job_id).await;
        return Settlement::Fail { job, event };
    }
    let settings = &environment.settings;
    let withdrawn = match step::try_lease(&context, &job).await {
        // If a person adds a version between the search for the record's file and the write, it is not this job's:
        // the record goes.
        Ok(Attempt::Taken(held)) => {
            let withdrawn = step::withdraw_marker(&context.under(&held), &mut job, &event.outcome).await;
            match &withdrawn {
                Ok(()) => held.end_with_job(),
                Err(StepError::UnknownOutcome(_)) => drop(held),
                Err(_) => held.end_unused(),
            }
            withdrawn
        }
        Ok(Attempt::Refused | Attempt::Busy) => Err(StepError::Local("another job has the asset".to_owned())),
        Err(error) => Err(error.into()),
    };
    let Err(error) = withdrawn else { return Settlement::Fail { job, event } };
    let may_pass = !matches!(error.verdict(), Verdict::Fail(_));
    if may_pass && job.attempt < settings.max_attempts.saturating_add(MOST_CLOSING_WAITS) {
        return close_later(settings, *job);
    }
    // The record names a version that does not exist, and is replaced when the asset is protected.
    tracing::warn!(asset_id = %job.asset_id, %error, "the marker could not be taken back");
    Settlement::Fail { job, event }
}
