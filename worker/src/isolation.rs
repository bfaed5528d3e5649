//! Runs a job that may be what kills its process alone, so that it takes no other job down with it. The job waits
//! for the others without holding them up, and stops the intake only for a bounded time.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::Instant;

/// More steps than can ever run at once.
const MOST: u32 = 1 << 16;
/// How often a job that has to run alone checks whether the others are done.
const POLL_EVERY: Duration = Duration::from_millis(200);
/// How long the intake stops at most for a job that has to run alone; longer steps continue, and the job comes
/// back.
const LONGEST_DRAIN: Duration = Duration::from_secs(30);

/// Which jobs run alone, and which run concurrently.
#[derive(Debug)]
pub(crate) struct Isolation {
    permits: Semaphore,
    /// Jobs that wait to run alone.
    waiting: watch::Sender<u32>,
}

impl Default for Isolation {
    fn default() -> Self {
        Self { permits: Semaphore::new(MOST as usize), waiting: watch::Sender::new(0) }
    }
}

/// Counts a job as waiting to run alone until dropped.
struct Waiting<'a>(&'a watch::Sender<u32>);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| *waiting -= 1);
    }
}

impl Isolation {
    /// Acquires a permit to run among others; waits while a job runs alone.
    pub(crate) async fn among_others(&self) -> Option<SemaphorePermit<'_>> {
        self.permits.acquire().await.ok()
    }

    /// Acquires all permits, to run alone. `None`: the others took too long.
    pub(crate) async fn alone(&self) -> Option<SemaphorePermit<'_>> {
        self.waiting.send_modify(|waiting| *waiting += 1);
        let _waiting = Waiting(&self.waiting);
        let begun = Instant::now();
        loop {
            // Does not queue: a fair queue would hold up the steps of jobs that were already taken.
            match self.permits.try_acquire_many(MOST) {
                Ok(permit) => return Some(permit),
                Err(_) if begun.elapsed() < LONGEST_DRAIN => tokio::time::sleep(POLL_EVERY).await,
                Err(_) => return None,
            }
        }
    }

    /// Resolves when jobs may be taken: when no job waits to run alone. Cancel-safe.
    pub(crate) async fn open(&self) {
        // The sender lives as long as `self`.
        let _ = self.waiting.subscribe().wait_for(|waiting| *waiting == 0).await;
    }

    /// Resolves when a job waits to run alone. Cancel-safe.
    pub(crate) async fn wanted(&self) {
        let _ = self.waiting.subscribe().wait_for(|waiting| *waiting > 0).await;
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_lone_job_waits_for_the_others_and_keeps_new_ones_out() {
        let isolation = Isolation::default();
        let other = isolation.among_others().await.unwrap();
        let mut alone = Box::pin(isolation.alone());
        assert!(alone.as_mut().now_or_never().is_none());
        assert!(isolation.open().now_or_never().is_none());
        isolation.wanted().await;
        drop(other);
        let permit = alone.await.unwrap();
        assert!(isolation.among_others().now_or_never().is_none());
        drop(permit);
        isolation.open().await;
        assert!(isolation.among_others().await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_step_neither_ends_nor_idles_the_worker_for_a_lone_job() {
        let isolation = Isolation::default();
        let film = isolation.among_others().await.unwrap();
        let began = Instant::now();
        assert!(isolation.alone().await.is_none());
        assert!(began.elapsed() <= LONGEST_DRAIN + POLL_EVERY);
        isolation.open().await;
        assert!(isolation.among_others().await.is_some());
        drop(film);
    }

    #[tokio::test(start_paused = true)]
    async fn steps_that_were_taken_already_begin_while_a_lone_job_waits() {
        let isolation = Isolation::default();
        let film = isolation.among_others().await.unwrap();
        let alone = isolation.alone();
        tokio::pin!(alone);
        assert!(alone.as_mut().now_or_never().is_none());
        assert!(isolation.among_others().now_or_never().is_some());
        drop(film);
    }
}
