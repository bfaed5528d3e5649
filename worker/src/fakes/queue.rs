//! A queue and leases in memory.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use common::asset::AssetId;
use common::job::{Job, JobId};
use queue::{
    Attempt, Delivery, Guard, JobConsumer, Lease, Left, Lockout, Locks, QueueError, Receipt, Settlement,
    StepSet, Unrenewed,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Delivers what a test gave it, and records how it was settled.
#[derive(Default)]
pub(crate) struct FakeQueue {
    deliveries: Mutex<VecDeque<Result<Delivery, QueueError>>>,
    came: Notify,
    /// The settlement of each delivery, in order.
    pub(crate) settled: Mutex<Vec<Settlement>>,
    /// The error of the next settlement.
    pub(crate) refuses: Mutex<Option<QueueError>>,
    /// The requested steps, in order.
    pub(crate) asked: Mutex<Vec<StepSet>>,
}

pub(crate) fn delivery(job: Job, redelivered: bool) -> Delivery {
    let receipt = Receipt { number: 1, voided: CancellationToken::new(), back: Guard::new(|| ()) };
    Delivery { job, redelivered, receipt }
}

impl FakeQueue {
    pub(crate) fn gives(&self, answer: Result<Delivery, QueueError>) {
        self.deliveries.lock().unwrap().push_back(answer);
        self.came.notify_waiters();
    }

    /// The only settlement.
    pub(crate) fn settlement(&self) -> Settlement {
        let mut settled = std::mem::take(&mut *self.settled.lock().unwrap());
        assert_eq!(settled.len(), 1, "{settled:?}");
        settled.remove(0)
    }

    fn take(&self, steps: StepSet) -> Option<Result<Delivery, QueueError>> {
        let mut deliveries = self.deliveries.lock().unwrap();
        let fits = |answer: &Result<Delivery, QueueError>| {
            answer.as_ref().map_or(true, |delivery| steps.holds(delivery.job.step, delivery.job.lane))
        };
        let at = deliveries.iter().position(fits)?;
        deliveries.remove(at)
    }
}

#[async_trait]
impl JobConsumer for FakeQueue {
    async fn next(&self, steps: StepSet) -> Result<Delivery, QueueError> {
        self.asked.lock().unwrap().push(steps);
        loop {
            let came = self.came.notified();
            if let Some(answer) = self.take(steps) {
                return answer;
            }
            came.await;
        }
    }
    async fn settle(&self, delivery: Delivery, settlement: Settlement) -> Result<(), QueueError> {
        if let Some(error) = self.refuses.lock().unwrap().take() {
            return Err(error);
        }
        delivery.receipt.back.disarm();
        self.settled.lock().unwrap().push(settlement);
        Ok(())
    }
    async fn renew(&self, delivery: Delivery) -> Result<Delivery, Unrenewed> {
        Ok(delivery)
    }
}

/// Leases that are free unless a test says otherwise.
#[derive(Default)]
pub(crate) struct FakeLocks {
    /// The results of future attempts: `Refused` and `Busy`.
    pub(crate) attempts: Mutex<VecDeque<Result<Attempt, QueueError>>>,
    /// What each lease left behind, in order.
    pub(crate) left: Arc<Mutex<Vec<Left>>>,
    /// What each lease leaves behind if it is dropped.
    pub(crate) doubts: Mutex<Vec<Vec<Lockout>>>,
    /// Leases are lost from now on.
    pub(crate) lost: Arc<AtomicBool>,
    /// There is no contact with the lock service.
    pub(crate) silent: AtomicBool,
}

impl FakeLocks {
    pub(crate) fn left(&self) -> Vec<Left> {
        std::mem::take(&mut *self.left.lock().unwrap())
    }

    pub(crate) fn answers(&self, attempt: Result<Attempt, QueueError>) {
        self.attempts.lock().unwrap().push_back(attempt);
    }
}

fn lost() -> QueueError {
    QueueError::Unavailable("the lease was lost".to_owned())
}

#[async_trait]
impl Locks for FakeLocks {
    async fn lease(&self, _: &AssetId, _: &JobId, doubt: Vec<Lockout>) -> Result<Attempt, QueueError> {
        if let Some(attempt) = self.attempts.lock().unwrap().pop_front() {
            return attempt;
        }
        self.doubts.lock().unwrap().push(doubt);
        let (left, is_lost) = (Arc::clone(&self.left), Arc::clone(&self.lost));
        let check = move || if is_lost.load(Ordering::Relaxed) { Err(lost()) } else { Ok(()) };
        Ok(Attempt::Taken(Lease::held(move |what| left.lock().unwrap().push(what), check)))
    }
    fn contact(&self) -> Result<(), QueueError> {
        if self.silent.load(Ordering::Relaxed) { Err(lost()) } else { Ok(()) }
    }
}
