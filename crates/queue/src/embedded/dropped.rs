//! Deliveries that were dropped unsettled, until their jobs are ready again: `drop` cannot wait for the database.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::job::JobId;

/// A delivery that was dropped unsettled.
#[derive(Debug)]
pub(super) struct Dropped {
    pub(super) job: JobId,
    /// Whether a caller received it and so may have begun its step.
    pub(super) received: bool,
}

/// Clones share the deliveries.
#[derive(Debug, Clone, Default)]
pub(super) struct DroppedDeliveries(Arc<Mutex<Vec<Dropped>>>);

/// Deliveries of which a transaction makes the jobs ready. If it is not committed, they are kept for the next one.
#[derive(Debug)]
pub(super) struct Returned {
    kept_in: DroppedDeliveries,
    pub(super) deliveries: Vec<Dropped>,
}

impl DroppedDeliveries {
    fn lock(&self) -> MutexGuard<'_, Vec<Dropped>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, delivery: Dropped) {
        self.lock().push(delivery);
    }

    pub(super) fn take(&self) -> Returned {
        Returned { kept_in: self.clone(), deliveries: mem::take(&mut *self.lock()) }
    }
}

impl Returned {
    pub(super) fn are_ready(mut self) {
        self.deliveries.clear();
    }
}

impl Drop for Returned {
    fn drop(&mut self) {
        self.kept_in.lock().append(&mut self.deliveries);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(dropped: &DroppedDeliveries) -> Vec<String> {
        dropped.lock().iter().map(|delivery| delivery.job.0.clone()).collect()
    }

    #[test]
    fn deliveries_are_kept_until_a_transaction_with_them_is_committed() {
        let dropped = DroppedDeliveries::default();
        let push = |job: &str| dropped.push(Dropped { job: JobId(job.to_owned()), received: true });
        push("a");
        let rolled_back = dropped.take();
        push("b");
        assert_eq!(waiting(&dropped), ["b"], "no other transaction takes the same");
        drop(rolled_back);
        assert_eq!(waiting(&dropped), ["b", "a"]);
        dropped.take().are_ready();
        assert!(waiting(&dropped).is_empty());
    }
}
