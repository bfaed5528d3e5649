//! The sole right to an asset, kept beyond its step where others must not go on yet.
//!
//! A request without an answer may land long after its step ended. Its own job outwaits it, but another job of the same
//! asset knows nothing of it. So the lease stays taken for as long as the job itself waits, for all workers alike. It is
//! lost with the process, and the next worker that gets the job takes it anew.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::asset::AssetId;
use common::job::{Job, JobId, Step};
use common::permission::Permission;
use common::queue::{Lease, Locks, QueueError};
use common::task;
use tokio::time::Instant;

use crate::error::StepError;
use crate::step::StepEnd;

/// The most leases kept at once; beyond them a lease ends with its step.
const MOST_KEPT: usize = 4096;

/// The leases that this process holds beyond a step; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Leases {
    kept: Arc<Mutex<HashMap<AssetId, Kept>>>,
}

#[derive(Debug)]
struct Kept {
    lease: Lease,
    until: Instant,
    /// The job that may take it over, and from when on: before, a request of it may still land.
    job: JobId,
    from: Instant,
}

/// A lease for the time of a step. Dropped before the step's result is known, it is kept: a request may be under way.
#[derive(Debug)]
pub struct Held {
    leases: Leases,
    asset: AssetId,
    job: JobId,
    lease: Option<Lease>,
    /// How long a request of this step may still land after it was given up.
    doubt: Duration,
    /// How much longer the asset is then kept for this job alone.
    own: Duration,
    /// Until when the asset is kept for this job, should it not end here.
    reserved: Option<Instant>,
}

impl Leases {
    /// Takes the asset's lease for a step of this job; `None` while another job has it, or it is kept. `doubt` is how long
    /// a request of the step may still land after it was given up.
    pub async fn take(
        &self,
        locks: &dyn Locks,
        job: &Job,
        doubt: Duration,
    ) -> Result<Option<Held>, QueueError> {
        if job.step == Step::Save
            && let Some(held) = self.take_over(job, doubt)
        {
            return Ok(Some(held));
        }
        let lease = locks.lease(&job.asset_id).await?;
        Ok(lease.map(|lease| self.hold(job, lease, None, doubt)))
    }

    /// The lease that this process keeps for this job, if it does.
    pub fn take_over(&self, job: &Job, doubt: Duration) -> Option<Held> {
        let Kept { lease, until, .. } = self.remove(&job.asset_id, &job.job_id)?;
        Some(self.hold(job, lease, Some(until), doubt))
    }

    /// Keeps the asset no more for this job, which is over; returns the lease.
    pub fn release(&self, asset: &AssetId, job: &JobId) -> Option<Lease> {
        self.remove(asset, job).map(|kept| kept.lease)
    }

    fn remove(&self, asset: &AssetId, job: &JobId) -> Option<Kept> {
        let mut all = self.lock();
        let kept = all.get(asset)?;
        if kept.job == *job && kept.from <= Instant::now() { all.remove(asset) } else { None }
    }

    fn hold(&self, job: &Job, lease: Lease, reserved: Option<Instant>, doubt: Duration) -> Held {
        let (leases, asset, job) = (self.clone(), job.asset_id.clone(), job.job_id.clone());
        Held { leases, asset, job, lease: Some(lease), doubt, own: Duration::ZERO, reserved }
    }

    fn keep(&self, asset: &AssetId, kept: Kept) {
        let until = kept.until;
        {
            let mut all = self.lock();
            if all.len() >= MOST_KEPT {
                tracing::warn!(asset_id = %asset, "too many leases are kept; this one is given back early");
                return;
            }
            all.insert(asset.clone(), kept);
        }
        let (leases, asset) = (self.clone(), asset.clone());
        task::lasting(async move {
            tokio::time::sleep_until(until).await;
            let mut all = leases.lock();
            if all.get(&asset).is_some_and(|kept| kept.until <= until) {
                all.remove(&asset);
            }
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<AssetId, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Fails unless the lease is still held, as far as can be known.
    pub fn check(&self) -> Result<(), QueueError> {
        self.lease.as_ref().map_or(Ok(()), Lease::check)
    }

    /// The right that comes with the lease.
    pub fn permission(&self) -> Permission {
        self.lease.as_ref().map_or_else(|| Permission::new(|| Ok(())), Lease::permission)
    }

    /// Keeps the asset for this job after the step, until the job saves or this time is over.
    pub fn reserve(&mut self, time: Duration) {
        self.reserved = Some(Instant::now() + time);
    }

    /// Keeps the asset for this job for this much longer than a request of the step may land: only this job knows where
    /// to look for what it did.
    pub fn keep_own(&mut self, time: Duration) {
        self.own = time;
    }

    /// Ends with the step, and keeps the asset from every job for this much longer.
    pub fn end_after(mut self, time: Duration) {
        (self.doubt, self.own) = (time, Duration::ZERO);
    }

    /// Ends with the step: gives the lease back, unless the asset is reserved or a request of the step may still land.
    pub fn end(mut self, result: &Result<StepEnd, StepError>) {
        if matches!(result, Err(StepError::UnknownOutcome(_))) {
            return;
        }
        let lease = self.lease.take();
        let is_over = matches!(result, Ok(StepEnd::Ended(_)));
        if let (Some(lease), Some(until), false) = (lease, self.reserved, is_over) {
            self.leases.keep(&self.asset, Kept { lease, until, job: self.job.clone(), from: Instant::now() });
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            let from = Instant::now() + self.doubt;
            let kept = Kept { lease, until: from + self.own, job: self.job.clone(), from };
            self.leases.keep(&self.asset, kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use common::bynder::BynderError;
    use common::http::Sent;
    use common::job::{Lane, RunId};
    use common::outcome::Outcome;
    use common::queue::EmbeddedQueue;
    use common::state::State;
    use jiff::Timestamp;

    use super::*;

    const DOUBT: Duration = Duration::from_mins(2);

    struct Scene {
        queue: EmbeddedQueue,
        leases: Leases,
        _folder: tempfile::TempDir,
    }

    impl Scene {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let queue = EmbeddedQueue::open(State::open(folder.path()).unwrap()).await.unwrap();
            Self { queue, leases: Leases::default(), _folder: folder }
        }

        async fn take(&self, job: &Job) -> Option<Held> {
            self.leases.take(&self.queue, job, DOUBT).await.unwrap()
        }
    }

    fn job(run: &str, step: Step) -> Job {
        let (run, asset) = (RunId(run.to_owned()), "A".parse().unwrap());
        Job { step, ..Job::new(run, asset, "", Lane::Fresh, 1, None, Timestamp::UNIX_EPOCH) }
    }

    fn lost_answer() -> Result<StepEnd, StepError> {
        let (operation, reason) = ("o".to_owned(), "504".to_owned());
        let error = BynderError::Unavailable { operation, reason, sent: Sent::Maybe };
        Err(StepError::from(error).of_effect())
    }

    #[tokio::test(start_paused = true)]
    async fn an_asset_stays_taken_for_as_long_as_a_request_without_an_answer_may_land() {
        let scene = Scene::new().await;
        let (one, other) = (job("one", Step::Submit), job("other", Step::Submit));
        scene.take(&one).await.unwrap().end(&lost_answer());
        // Not even its own job goes on at once: it may have been doubled.
        for job in [&one, &other, &job("one", Step::Save)] {
            assert!(scene.take(job).await.is_none());
        }
        tokio::time::sleep(DOUBT + Duration::from_secs(1)).await;
        scene.take(&other).await.unwrap().end(&Ok(StepEnd::Next(Step::Transfer)));
        assert!(scene.take(&one).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_job_alone_may_find_keeps_its_asset_for_it_once_its_request_cannot_land_any_more() {
        let scene = Scene::new().await;
        let (save, other) = (job("one", Step::Save), job("other", Step::Save));
        let mut held = scene.take(&save).await.unwrap();
        held.keep_own(DOUBT);
        held.end(&lost_answer());
        assert!(scene.take(&save).await.is_none());
        tokio::time::sleep(DOUBT + Duration::from_secs(1)).await;
        assert!(scene.take(&other).await.is_none());
        scene.take(&save).await.unwrap().end_after(DOUBT);
        assert!(scene.take(&other).await.is_none());
        assert!(scene.leases.release(&save.asset_id, &save.job_id).is_none());
        tokio::time::sleep(DOUBT + Duration::from_secs(1)).await;
        assert!(scene.take(&other).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_is_cut_short_keeps_the_asset_as_well() {
        let scene = Scene::new().await;
        drop(scene.take(&job("one", Step::Save)).await.unwrap());
        assert!(scene.take(&job("other", Step::Save)).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reserved_asset_is_for_its_own_job_to_save_and_for_others_after_its_end() {
        let scene = Scene::new().await;
        let (one, other) = (job("one", Step::Submit), job("other", Step::Submit));
        let mut held = scene.take(&one).await.unwrap();
        held.reserve(DOUBT);
        held.end(&Ok(StepEnd::Later(Step::Transfer)));
        assert!(scene.take(&other).await.is_none());
        assert!(scene.take(&one).await.is_none(), "a copy of the job submits again");
        let save = job("one", Step::Save);
        scene.take(&save).await.unwrap().end(&Ok(StepEnd::NotYet(crate::step::Wait::Moment)));
        assert!(scene.take(&other).await.is_none());
        assert!(scene.leases.take_over(&other, DOUBT).is_none());
        let mut held = scene.leases.take_over(&job("one", Step::Transfer), DOUBT).unwrap();
        held.reserve(DOUBT * 3);
        held.end(&Ok(StepEnd::NotYet(crate::step::Wait::Service)));
        tokio::time::sleep(DOUBT * 2).await;
        assert!(scene.take(&other).await.is_none(), "it is reserved for longer by now");
        assert!(scene.leases.release(&other.asset_id, &other.job_id).is_none());
        scene.take(&save).await.unwrap().end(&Ok(StepEnd::Ended(Outcome::AlreadyProtected)));
        scene.take(&other).await.unwrap().end(&Ok(StepEnd::Next(Step::Transfer)));

        let mut held = scene.take(&one).await.unwrap();
        held.reserve(DOUBT);
        held.end(&Ok(StepEnd::Later(Step::Transfer)));
        drop(scene.leases.release(&one.asset_id, &one.job_id));
        assert!(scene.take(&other).await.is_some(), "its job ended without a lease");
    }
}
