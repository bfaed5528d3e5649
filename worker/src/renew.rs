//! Keeps a delivery for as long as its step takes.

use std::pin::Pin;
use std::time::Duration;

use queue::{Delivery, JobConsumer, LONGEST_HELD, Unrenewed};
use tokio::time::Instant;

/// The wait after a failed renewal; it doubles up to the longest. A failed renewal may have left a second message
/// of the job, so there must be few.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(2);

/// Runs the work and renews the delivery every `longest_hold`. Returns the delivery that is valid at the end, with
/// the result of the work; `None` if the delivery is lost, which stops the work.
pub(crate) async fn run_while_renewing<T>(
    queue: &dyn JobConsumer,
    mut delivery: Delivery,
    mut work: Pin<Box<impl Future<Output = T>>>,
    longest_hold: Duration,
) -> Option<(Delivery, T)> {
    let (mut since, mut wait, mut pause) = (Instant::now(), longest_hold, FIRST_PAUSE);
    loop {
        tokio::select! {
            done = &mut work => return Some((delivery, done)),
            () = delivery.voided() => return None,
            () = tokio::time::sleep(wait) => {}
        }
        let (renewed, done) = renew(queue, delivery, &mut work).await;
        delivery = match renewed {
            Ok(renewed) => {
                (since, wait, pause) = (Instant::now(), longest_hold, FIRST_PAUSE);
                renewed
            }
            Err(Unrenewed { delivery, error }) => {
                let job_id = &delivery.job.job_id;
                let is_lost = delivery.is_void() || since.elapsed() >= LONGEST_HELD;
                if is_lost && done.is_none() {
                    tracing::warn!(%job_id, %error, "cannot keep the delivery");
                    return None;
                }
                tracing::info!(%job_id, %error, "cannot renew the delivery yet; its step continues");
                (wait, pause) = (pause, (pause * 2).min(LONGEST_PAUSE));
                *delivery
            }
        };
        if let Some(done) = done {
            return Some((delivery, done));
        }
    }
}

/// Renews the delivery while the work continues. A started renewal is awaited to its end: only then is it known
/// which delivery is valid.
async fn renew<T>(
    queue: &dyn JobConsumer,
    delivery: Delivery,
    work: &mut Pin<Box<impl Future<Output = T>>>,
) -> (Result<Delivery, Unrenewed>, Option<T>) {
    let voided = delivery.voided();
    let mut renewal = queue.renew(delivery);
    tokio::select! {
        renewed = &mut renewal => (renewed, None),
        done = work => (renewal.await, Some(done)),
        // The work pauses until the renewal has failed as well.
        () = voided => (renewal.await, None),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use common::job::{Job, Lane, RunId};
    use common::outcome::Outcome;
    use jiff::Timestamp;
    use ledger::state::State;
    use queue::{Depth, EmbeddedQueue, JobPublisher, QueueError, Settlement, StepSet};

    use super::*;

    const HOLD: Duration = Duration::from_mins(8);

    /// A queue whose renewals take a minute, end as planned, and then work, each with another delivery.
    struct Renewing {
        queue: EmbeddedQueue,
        failures: Mutex<u32>,
        renewed: Mutex<u32>,
        _folder: tempfile::TempDir,
    }

    impl Renewing {
        async fn failing(failures: u32) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let queue = EmbeddedQueue::open(State::open(folder.path()).unwrap()).await.unwrap();
            let job = Job::new(RunId("r".to_owned()), "A".parse().unwrap(), "", Lane::Fresh, 1, None, NOW);
            queue.publish(&job).await.unwrap();
            Self { queue, failures: Mutex::new(failures), renewed: Mutex::default(), _folder: folder }
        }

        /// Works for this long on the only job. Returns when the step ended, or `None` if it did not.
        async fn works_for(&self, long: Duration) -> Option<Duration> {
            let delivery = self.next(StepSet::ALL).await.unwrap();
            let began = Instant::now();
            let step = async move {
                // In small steps: a future that is not polled for a while ends later.
                for _ in 0..long.as_secs() {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                began.elapsed()
            };
            let (delivery, took) = run_while_renewing(self, delivery, Box::pin(step), HOLD).await?;
            let event = Box::new(delivery.job.ended(Outcome::AlreadyProtected, NOW));
            self.settle(delivery, Settlement::Finish(event)).await.unwrap();
            assert_eq!(self.queue.depth().await.unwrap(), Depth::default());
            Some(took)
        }
    }

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    #[async_trait]
    impl JobConsumer for Renewing {
        async fn renew(&self, delivery: Delivery) -> Result<Delivery, Unrenewed> {
            tokio::time::sleep(Duration::from_mins(1)).await;
            {
                let mut failures = self.failures.lock().unwrap();
                if *failures > 0 {
                    *failures -= 1;
                    let error = QueueError::Unavailable("no memory".to_owned());
                    return Err(Unrenewed { delivery: Box::new(delivery), error });
                }
                *self.renewed.lock().unwrap() += 1;
            }
            drop(delivery);
            Ok(self.next(StepSet::ALL).await.unwrap())
        }
        async fn next(&self, steps: StepSet) -> Result<Delivery, QueueError> {
            self.queue.next(steps).await
        }
        async fn settle(&self, delivery: Delivery, settlement: Settlement) -> Result<(), QueueError> {
            self.queue.settle(delivery, settlement).await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_continues_while_its_delivery_cannot_be_renewed_and_is_settled_once() {
        let queue = Renewing::failing(2).await;
        let long = Duration::from_mins(15);
        assert_eq!(queue.works_for(long).await, Some(long));
        assert_eq!((*queue.failures.lock().unwrap(), *queue.renewed.lock().unwrap()), (0, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_ends_during_a_renewal_is_settled_by_the_delivery_that_is_valid() {
        for failures in [0, 1] {
            let queue = Renewing::failing(failures).await;
            let long = HOLD + Duration::from_secs(30);
            assert_eq!(queue.works_for(long).await, Some(long));
            assert_eq!(*queue.renewed.lock().unwrap(), 1 - failures);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_delivery_that_cannot_be_renewed_is_given_back_before_the_broker_takes_it() {
        let queue = Renewing::failing(u32::MAX).await;
        let began = Instant::now();
        assert_eq!(queue.works_for(Duration::from_hours(5)).await, None);
        assert!(began.elapsed() < Duration::from_mins(30), "{:?}", began.elapsed());
        assert!(queue.next(StepSet::ALL).await.unwrap().redelivered);
    }
}
