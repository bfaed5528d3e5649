//! Running a job's next step: in the job's lane of the budget, and no longer than its deadline.

use common::job::Job;
use tokio::time::timeout;

use crate::end::StepEnd;
use crate::environment::Environment;
use crate::error::StepError;
use crate::step;

/// Runs the job's next step. The job is changed in place; what it carries is what was done, even on an error.
pub(crate) async fn run_step(environment: &Environment, job: &mut Job) -> Result<StepEnd, StepError> {
    let deadline = environment.settings.step_deadline;
    let in_lane = Environment { bynder: environment.bynder.in_lane(job.lane), ..environment.clone() };
    timeout(deadline, step::run(&in_lane, job)).await.unwrap_or(Err(StepError::Overran(deadline)))
}
