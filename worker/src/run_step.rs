//! Runs a job's next step in the job's lane of the budget, until its end, its deadline or its panic.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use common::job::Job;
use futures::FutureExt;
use tokio::time::timeout;

use crate::context::StepContext;
use crate::end::StepEnd;
use crate::environment::Environment;
use crate::error::StepError;
use crate::step;

/// Runs the job's next step. Changes the job in place: even on an error, the job carries what was done.
pub(crate) async fn run_step(environment: &Environment, job: &mut Job) -> Result<StepEnd, StepError> {
    let deadline = environment.settings.step_deadline;
    let context = StepContext::of(environment).in_lane(job.lane);
    bounded(deadline, step::run(&context, job)).await
}

/// Contains a panic within its step: the job carries what was done before, as on any error, and what steps share is
/// behind locks that stay usable. Uncaught, the panic would lose the delivery, and the job would come back as if
/// its process had died.
async fn bounded(
    deadline: Duration,
    step: impl Future<Output = Result<StepEnd, StepError>>,
) -> Result<StepEnd, StepError> {
    match timeout(deadline, AssertUnwindSafe(step).catch_unwind()).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(StepError::Panicked(cli::panics::message(&*panic))),
        Err(_) => Err(StepError::Overran(deadline)),
    }
}

#[cfg(test)]
mod tests {
    use common::job::{Lane, RunId};
    use common::outcome::Outcome;
    use jiff::Timestamp;
    use queue::Settlement;

    use super::*;
    use crate::conclude::conclude;
    use crate::service_times::Expected;
    use crate::settings::samples::default_settings;
    use breakers::Blame;

    #[tokio::test(start_paused = true)]
    async fn a_step_that_panics_twice_fails_its_job_and_says_so() {
        let (run, asset, now) = (RunId("r".to_owned()), "A".parse().unwrap(), Timestamp::UNIX_EPOCH);
        let mut job = Job::new(run, asset, "", Lane::Fresh, 1, None, now);
        let mut waits = 0;
        let failed = loop {
            let panicked = bounded(Duration::from_mins(1), async { panic!("nothing there: SECRET") }).await;
            match conclude(
                &default_settings(),
                &Expected::usual(&default_settings().rungs),
                job,
                panicked,
                Blame::Job,
                now,
                &mut rand::rng(),
            ) {
                Settlement::Wait { job: waiting, .. } if waits < 5 => job = *waiting,
                settlement => break settlement,
            }
            assert!(job.suspect, "what it asked for last may still happen");
            waits += 1;
        };
        let Settlement::Fail { event, .. } = failed else { panic!("{failed:?}") };
        let Outcome::Failed(failure) = event.outcome else { panic!("{event:?}") };
        assert_eq!(waits, 1);
        assert!(
            failure.reason.contains("panicked") && failure.reason.contains("nothing there"),
            "{failure:?}"
        );
        assert!(!failure.reason.contains("SECRET"), "{failure:?}");
    }
}
