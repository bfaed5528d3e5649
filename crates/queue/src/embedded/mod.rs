//! The queue of one machine, in the SQLite file of the state directory.

mod dropped;
mod locks;
mod rows;

#[cfg(test)]
mod budget_tests;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    Delivery, Depth, FailedFilter, FailedJob, FailedJobs, Guard, JobConsumer, JobPublisher, OnProgress,
    QueueError, Receipt, Selection, Settlement, StepSet, Unrenewed,
};
use common::job::{Job, JobId};
use dropped::{Dropped, DroppedDeliveries};
use ledger::state::{DatabaseError, State};
use locks::Leased;

/// Longer than any wait: a later due time comes from a clock that was wrong.
const LONGEST_WAIT_MS: i64 = 25 * 3600 * 1000;
/// The longest sleep before the queue is read again: the wall clock may be set while a job waits, and another process may replay a
/// failed job.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

/// One take in this many prefers jobs that have begun over the fresh lane: a flood of new pictures does not keep what is
/// paid for from its end. The budget divides calls alike.
const TURNS_OF_THE_BACKLOG: u32 = 5;

/// The most failed jobs changed in one transaction, which keeps other writers waiting.
const BATCH: usize = 500;

/// The embedded queue; clones share it.
#[derive(Debug, Clone)]
pub struct EmbeddedQueue {
    shared: Arc<SharedQueue>,
}

#[derive(Debug)]
struct SharedQueue {
    state: State,
    /// Notified when a job may be ready.
    changed: Notify,
    dropped: DroppedDeliveries,
    leased: Mutex<Leased>,
    /// The number of the next take among those that may take what has begun.
    turn: AtomicU32,
}

impl EmbeddedQueue {
    /// Opens the queue. Jobs in flight are an earlier process's, which has ended; they are delivered again as redelivered.
    pub async fn open(state: State) -> Result<Self, QueueError> {
        state.write(rows::recover).await?;
        Ok(Self::attach(state))
    }

    /// The queue in which another process works, to list, replay and drop its failed jobs.
    pub fn attach(state: State) -> Self {
        let shared = SharedQueue {
            state,
            changed: Notify::new(),
            dropped: DroppedDeliveries::default(),
            leased: Mutex::default(),
            turn: AtomicU32::new(1),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Counts the jobs, also while another process works on them.
    pub async fn depth_in(state: &State) -> Result<Depth, QueueError> {
        let now = Timestamp::now().as_millisecond();
        Ok(state.read(move |connection| rows::depth(connection, now)).await?)
    }

    /// Lists failed jobs, also while another process works on others.
    pub async fn failed_in(state: &State, filter: &FailedFilter) -> Result<Vec<FailedJob>, QueueError> {
        let filter = filter.clone();
        Ok(state.read(move |connection| rows::failed(connection, &filter)).await?)
    }

    async fn write<T, F>(&self, change: F) -> Result<T, QueueError>
    where
        T: Send + 'static,
        F: FnOnce(&rusqlite::Transaction<'_>) -> Result<T, DatabaseError> + Send + 'static,
    {
        let value = self.shared.state.write(change).await?;
        self.shared.changed.notify_waiters();
        Ok(value)
    }

    /// Changes jobs in transactions of a bounded size; returns how many were there.
    async fn change<'a>(
        &self,
        jobs: impl Iterator<Item = &'a JobId> + Send,
        progress: OnProgress<'_>,
        change: impl Fn(&rusqlite::Transaction<'_>, &JobId) -> Result<bool, DatabaseError> + Copy + Send + 'static,
    ) -> Result<u64, QueueError> {
        let (mut changed, mut passed) = (0, 0);
        let jobs: Vec<_> = jobs.cloned().collect();
        for batch in jobs.chunks(BATCH) {
            let batch = batch.to_vec();
            passed += batch.len() as u64;
            changed += self
                .write(move |transaction| {
                    batch.iter().try_fold(0, |count, job| Ok(count + u64::from(change(transaction, job)?)))
                })
                .await?;
            progress(passed);
        }
        Ok(changed)
    }

    async fn take(&self, steps: StepSet) -> Result<Option<Delivery>, QueueError> {
        let (dropped, shared) = (self.shared.dropped.clone(), Arc::clone(&self.shared));
        let now = Timestamp::now().as_millisecond();
        let turn = self.shared.turn.load(Ordering::Relaxed);
        let has_begun = steps.begun_first().ne(steps.fresh_first());
        let kinds: Vec<_> = if turn.is_multiple_of(TURNS_OF_THE_BACKLOG) {
            steps.begun_first().collect()
        } else {
            steps.fresh_first().collect()
        };
        let received = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&received);
        let taken = self.shared.state.write_then(
            move |transaction| {
                let returned = dropped.take();
                rows::make_ready(transaction, &returned.deliveries)?;
                Ok((returned, rows::take(transaction, &kinds, now)?))
            },
            // This runs even if the caller is cancelled: the delivery then exists, is dropped, and so becomes ready again.
            move |(returned, row)| {
                returned.are_ready();
                row.map(|row| delivery(shared, row, noted))
            },
        );
        let taken = taken.await?;
        received.store(true, Ordering::Relaxed);
        if has_begun && taken.is_some() {
            self.shared.turn.fetch_add(1, Ordering::Relaxed);
        }
        Ok(taken)
    }

    async fn next_due(&self, steps: StepSet) -> Result<Duration, QueueError> {
        let due = self.shared.state.read(move |connection| rows::next_due(connection, steps)).await?;
        let now = Timestamp::now().as_millisecond();
        if due.is_some_and(|due| due - now > LONGEST_WAIT_MS) {
            // The clock was ahead when these jobs began to wait.
            self.shared.state.write(move |transaction| rows::end_waits_beyond(transaction, now)).await?;
            return Ok(Duration::ZERO);
        }
        let until = due.map(|due| u64::try_from(due - now).unwrap_or(0));
        Ok(until.map_or(LONGEST_SLEEP, Duration::from_millis).min(LONGEST_SLEEP))
    }
}

/// Makes the delivery of a row; its guard returns the job if it is dropped.
fn delivery(shared: Arc<SharedQueue>, row: rows::Taken, received: Arc<AtomicBool>) -> Delivery {
    let rows::Taken { job, redelivered } = row;
    let job_id = job.job_id.clone();
    let back = Guard::new(move || {
        shared.dropped.push(Dropped { job: job_id, received: received.load(Ordering::Relaxed) });
        shared.changed.notify_waiters();
    });
    // No number needed: rows are found by their job id. Never voided: no other process takes rows.
    let receipt = Receipt { number: 0, voided: CancellationToken::new(), back };
    Delivery { job, redelivered, receipt }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl JobPublisher for EmbeddedQueue {
    async fn publish(&self, job: &Job) -> Result<(), QueueError> {
        let (body, job) = (job.encode()?, job.clone());
        self.write(move |transaction| {
            if ledger::note_published(transaction, &job)? {
                rows::insert(transaction, &job, &body)?;
            }
            Ok(())
        })
        .await
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        Self::depth_in(&self.shared.state).await
    }
}

#[async_trait]
impl JobConsumer for EmbeddedQueue {
    async fn next(&self, steps: StepSet) -> Result<Delivery, QueueError> {
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            // Registered before `take`, so that a job that becomes ready after it still wakes this up.
            changed.as_mut().enable();
            if let Some(delivery) = self.take(steps).await? {
                return Ok(delivery);
            }
            let sleep = self.next_due(steps).await?;
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }

    async fn settle(&self, delivery: Delivery, settlement: Settlement) -> Result<(), QueueError> {
        let Delivery { job, receipt, .. } = delivery;
        let encoded = match &settlement {
            Settlement::Forward(job) | Settlement::Wait { job, .. } | Settlement::Fail { job, .. } => {
                job.encode()?
            }
            Settlement::Finish(_) => Vec::new(),
        };
        let now = Timestamp::now().as_millisecond();
        let change = move |transaction: &rusqlite::Transaction<'_>| {
            match settlement {
                Settlement::Forward(job) => rows::update(transaction, &job, &encoded, now)?,
                Settlement::Wait { job, rung } => {
                    let due = now.saturating_add(i64::try_from(rung.as_millis()).unwrap_or(i64::MAX));
                    rows::update(transaction, &job, &encoded, due)?;
                }
                Settlement::Finish(event) => {
                    rows::delete(transaction, &job.job_id)?;
                    ledger::note_outcome(transaction, &event)?;
                }
                Settlement::Fail { job, event } => {
                    rows::fail(transaction, &job, &encoded)?;
                    ledger::note_outcome(transaction, &event)?;
                }
            }
            Ok(())
        };
        // Disarmed after the commit: if that fails, the guard returns the job, as for any dropped delivery.
        self.shared.state.write_then(change, move |()| receipt.back.disarm()).await?;
        self.shared.changed.notify_waiters();
        Ok(())
    }

    /// Nothing to renew: no other process can take a row.
    async fn renew(&self, delivery: Delivery) -> Result<Delivery, Unrenewed> {
        Ok(delivery)
    }
}

#[async_trait]
impl FailedJobs for EmbeddedQueue {
    async fn list(&self, filter: &FailedFilter) -> Result<Vec<FailedJob>, QueueError> {
        Self::failed_in(&self.shared.state, filter).await
    }

    async fn select(&self, filter: &FailedFilter, _: OnProgress<'_>) -> Result<Selection, QueueError> {
        let filter = filter.clone();
        Ok(self.shared.state.read(move |connection| rows::select(connection, &filter)).await?)
    }

    async fn replay(&self, jobs: &Selection, progress: OnProgress<'_>) -> Result<u64, QueueError> {
        let now = Timestamp::now().as_millisecond();
        self.change(jobs.keys(), progress, move |transaction, job| rows::replay(transaction, job, now)).await
    }

    async fn forget(&self, jobs: &Selection, progress: OnProgress<'_>) -> Result<u64, QueueError> {
        self.change(jobs.keys(), progress, rows::forget).await
    }

    async fn discard(&self, jobs: &HashSet<JobId>) -> Result<u64, QueueError> {
        self.change(jobs.iter(), &|_| (), rows::discard).await
    }
}
