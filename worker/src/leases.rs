//! The exclusive right to change an asset during a step, and what protects the asset after the step.
//!
//! A request without a response may take effect long after its step ended. Its own job waits until it no longer
//! can, but another job of the same asset does not know about it. So the asset is kept, from all workers, for as
//! long as the job itself waits, whatever happens to this worker.

use std::time::Duration;

use common::job::{Job, JobId};
use common::permission::Permission;
use queue::{Attempt, Lease, Left, Lockout, Locks, QueueError, lease_patiently};

use crate::end::{StepEnd, Stop};
use crate::error::StepError;

/// A lease for the duration of a step. If it is dropped before the step's result is known, the asset stays in
/// doubt: a request may be under way.
#[derive(Debug)]
pub(crate) struct StepLease {
    lease: Lease,
    job: JobId,
    /// How long the asset is kept for this job if the job does not end with this step.
    reserved: Option<Duration>,
}

/// Takes the asset's lease for a step of this job. `doubt` is how long a request of the step may still take effect
/// after it was given up. The asset is then kept for this job for `own` longer, since only this job knows where to
/// look for its effects.
pub(crate) async fn take(
    locks: &dyn Locks,
    job: &Job,
    doubt: Duration,
    own: Option<Duration>,
) -> Result<Attempt<StepLease>, QueueError> {
    let own = own.map(|own| Lockout::for_job(doubt + own, &job.job_id));
    let in_doubt: Vec<_> = [Lockout::from_all(doubt)].into_iter().chain(own).collect();
    let attempt = lease_patiently(locks, &job.asset_id, &job.job_id, &in_doubt).await?;
    Ok(attempt.map(|lease| StepLease { lease, job: job.job_id.clone(), reserved: None }))
}

impl StepLease {
    /// The permission that comes with the lease.
    pub(crate) fn permission(&self) -> Permission<QueueError> {
        self.lease.permission()
    }

    /// Keeps the asset for this job after the step, until the job ends or this time has passed.
    pub(crate) fn reserve(&mut self, time: Duration) {
        self.reserved = Some(time);
    }

    /// Ends the lease with the step, and keeps the asset from every job for this much longer.
    pub(crate) fn end_after(self, time: Duration) {
        self.lease.end(Left::Lockout(Lockout::from_all(time)));
    }

    /// Ends the lease with nothing done: the asset is as before.
    pub(crate) fn end_unused(self) {
        self.lease.end(Left::AsFound);
    }

    /// Ends the lease with the job: the asset is free.
    pub(crate) fn end_with_job(self) {
        self.lease.end(Left::Nothing);
    }

    /// Ends the lease with the step: returns it, unless the asset is reserved or a request of the step may still
    /// take effect.
    pub(crate) fn end(self, result: &Result<StepEnd, Stop>) {
        let left = match (result, self.reserved) {
            (Err(Stop::Error(StepError::UnknownOutcome(_))), _) => Left::Doubt,
            (Ok(StepEnd::Ended(_)) | Err(Stop::End(StepEnd::Ended(_))), _) => Left::Nothing,
            (_, Some(time)) => Left::Lockout(Lockout::for_job(time, &self.job)),
            (_, None) => Left::AsFound,
        };
        self.lease.end(left);
    }
}

#[cfg(test)]
mod tests {
    use bynder::BynderError;
    use common::job::{Lane, RunId, Step};
    use common::outcome::Outcome;
    use http_client::Sent;
    use jiff::Timestamp;
    use ledger::state::State;
    use queue::EmbeddedQueue;

    use super::*;

    const DOUBT: Duration = Duration::from_mins(2);
    const BEYOND: Duration = Duration::from_secs(121);

    struct Scene {
        queue: EmbeddedQueue,
        _folder: tempfile::TempDir,
    }

    impl Scene {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let queue = EmbeddedQueue::open(State::open(folder.path()).unwrap()).await.unwrap();
            Self { queue, _folder: folder }
        }

        async fn take(&self, job: &Job) -> Option<StepLease> {
            self.take_with(job, None).await
        }

        async fn take_with(&self, job: &Job, own: Option<Duration>) -> Option<StepLease> {
            match take(&self.queue, job, DOUBT, own).await.unwrap() {
                Attempt::Taken(held) => Some(held),
                Attempt::Refused | Attempt::Busy => None,
            }
        }

        async fn is_free(&self, job: &Job) -> bool {
            self.take(job).await.map(StepLease::end_unused).is_some()
        }
    }

    fn job(run: &str) -> Job {
        let (run, asset) = (RunId(run.to_owned()), "A".parse().unwrap());
        Job::new(run, asset, "", Lane::Fresh, 1, None, Timestamp::UNIX_EPOCH)
    }

    fn lost_answer() -> Result<StepEnd, Stop> {
        let (operation, reason) = ("o".to_owned(), "504".to_owned());
        let error = BynderError::Unavailable { operation, reason, sent: Sent::Maybe };
        Err(StepError::from(error).of_effect().into())
    }

    #[tokio::test(start_paused = true)]
    async fn an_asset_stays_taken_for_as_long_as_a_request_without_an_answer_may_land() {
        let scene = Scene::new().await;
        let (one, other) = (job("one"), job("other"));
        scene.take(&one).await.unwrap().end(&lost_answer());
        // Not even its own job resumes at once: the job may have been duplicated.
        assert!(!scene.is_free(&one).await && !scene.is_free(&other).await);
        tokio::time::sleep(BEYOND).await;
        scene.take(&other).await.unwrap().end(&Ok(StepEnd::Next(Step::Transfer)));
        assert!(scene.is_free(&one).await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_job_alone_may_find_keeps_its_asset_for_it_once_its_request_cannot_land_any_more() {
        let scene = Scene::new().await;
        let (one, other) = (job("one"), job("other"));
        scene.take_with(&one, Some(DOUBT)).await.unwrap().end(&lost_answer());
        assert!(!scene.is_free(&one).await);
        tokio::time::sleep(BEYOND).await;
        assert!(!scene.is_free(&other).await);
        scene.take(&one).await.unwrap().end_after(DOUBT);
        assert!(!scene.is_free(&one).await && !scene.is_free(&other).await);
        tokio::time::sleep(BEYOND).await;
        assert!(scene.is_free(&other).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_is_cut_short_keeps_the_asset_as_well() {
        let scene = Scene::new().await;
        drop(scene.take(&job("one")).await.unwrap());
        assert!(!scene.is_free(&job("other")).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reserved_asset_is_for_its_own_job_and_for_others_after_its_end() {
        let scene = Scene::new().await;
        let (one, other) = (job("one"), job("other"));
        let mut held = scene.take(&one).await.unwrap();
        held.reserve(DOUBT);
        held.end(&Ok(StepEnd::Later(Step::Transfer)));
        assert!(!scene.is_free(&other).await);
        scene.take(&one).await.unwrap().end(&Ok(StepEnd::NotYet(crate::end::Wait::Moment)));
        assert!(!scene.is_free(&other).await);
        let mut held = scene.take(&one).await.unwrap();
        held.reserve(DOUBT * 3);
        held.end(&Ok(StepEnd::NotYet(crate::end::Wait::Service)));
        tokio::time::sleep(DOUBT * 2).await;
        assert!(!scene.is_free(&other).await, "it is reserved for longer by now");
        scene.take(&one).await.unwrap().end(&Ok(StepEnd::Ended(Outcome::AlreadyProtected)));
        assert!(scene.is_free(&other).await);
    }
}
