//! Delivers jobs and settles them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lapin::Channel;
use lapin::types::ShortString;
use tokio::runtime::Handle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::feed::{Feed, Received};
use super::message::Failed;
use super::newer::may_be_lost;
use super::topology::{Topology, WORK};
use super::{Broker, Connections, send_back};
use amqp::Live;
use common::fault;
use common::job::{Job, MessageError};
use queue::{
    Delivery, Guard, JobConsumer, LONGEST_HELD, QueueError, Receipt, Settlement, StepSet, Unrenewed,
};

/// Delivers jobs; clones share the deliveries in hand.
#[derive(Clone)]
pub struct RabbitConsumer {
    pub(super) shared: Arc<Connections>,
    feed: Feed,
    in_hand: Arc<InHand>,
    /// The channel for renewals, one renewal at a time.
    pub(super) renewing: Arc<tokio::sync::Mutex<Option<(Live, Channel)>>>,
    _sweeping: Arc<DropGuard>,
}

/// The messages of the deliveries in hand, by receipt number.
#[derive(Default)]
struct InHand {
    last: AtomicU64,
    messages: Mutex<HashMap<u64, Arc<Received>>>,
}

impl InHand {
    fn keep(&self, taken: Arc<Received>) -> u64 {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(number, taken);
        number
    }

    fn message(&self, number: u64) -> Option<Arc<Received>> {
        self.lock().get(&number).cloned()
    }

    fn take(&self, number: u64) -> Option<Arc<Received>> {
        self.lock().remove(&number)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Received>>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Broker {
    /// Delivers this deployment's jobs.
    pub fn consumer(&self) -> RabbitConsumer {
        let (shared, sweeping) = (Arc::clone(&self.shared), CancellationToken::new());
        let feed = Feed::new(&shared);
        send_back::keep_empty(&feed, &shared, sweeping.clone());
        RabbitConsumer {
            shared,
            feed,
            in_hand: Arc::default(),
            renewing: Arc::default(),
            _sweeping: Arc::new(sweeping.drop_guard()),
        }
    }
}

impl RabbitConsumer {
    /// Publishes again what was received but not begun. Requeued instead, it would look like the job of a worker that
    /// died, and would have to wait as suspect.
    pub async fn close(&self) {
        self.feed.close();
        send_back::send_back(self.feed.retire(Duration::ZERO).await, &self.shared).await;
        self.feed.is_made().await;
        send_back::send_back(self.feed.retire(Duration::ZERO).await, &self.shared).await;
    }

    pub(super) fn delivery(&self, job: Job, taken: Received) -> Delivery {
        let redelivered = may_be_lost(&taken.message) || job.held;
        let voided = taken.lost.child_token();
        let number = self.in_hand.keep(Arc::new(taken));
        let (in_hand, runtime) = (Arc::clone(&self.in_hand), Handle::current());
        let back = Guard::new(move || {
            if let Some(taken) = in_hand.take(number) {
                let _entered = runtime.enter();
                tasks::brief(async move { taken.give_back().await });
            }
        });
        Delivery { job, redelivered, receipt: Receipt { number, voided, back } }
    }

    /// The message of a delivery that is not settled yet.
    fn message(&self, delivery: &Delivery) -> Result<Arc<Received>, QueueError> {
        self.in_hand
            .message(delivery.receipt.number)
            .ok_or_else(|| QueueError::Broken("the delivery was settled before".to_owned()))
    }

    /// Moves a message that is not a job to the dead letters.
    async fn to_dead_letters(&self, taken: Received, error: &MessageError) -> Result<(), QueueError> {
        tracing::warn!(%error, "a message that is not a job goes to the dead letters");
        let id = taken.message.properties.message_id().as_ref().map(ShortString::as_str);
        let id = Failed::unreadable(&taken.message.data, id, error).event.job_id;
        // In a separate task: this future may be cancelled, and the message would be lost track of.
        let shared = Arc::clone(&self.shared);
        let sent = tasks::brief(async move {
            let sent = shared.to_queue(shared.topology.dead(), &id, taken.message.data.clone()).await;
            if sent.is_err() || taken.acknowledge().await.is_err() {
                taken.give_back().await;
            }
            sent
        });
        sent.await.map_err(|error| QueueError::Broken(error.to_string()))?
    }
}

#[async_trait]
impl JobConsumer for RabbitConsumer {
    async fn next(&self, steps: StepSet) -> Result<Delivery, QueueError> {
        let queues = queues(&self.shared.topology, steps);
        loop {
            // While the broker accepts no messages, a job's next message could not be published.
            self.shared.publisher.unblocked().await?;
            let taken = self.feed.next(&queues).await?;
            if !self.shared.is_authentic(&taken.queue, &taken.message) {
                // In a separate task, as in `to_dead_letters`.
                let shared = Arc::clone(&self.shared);
                let refused = tasks::brief(async move { shared.refuse(&taken).await });
                refused.await.map_err(|error| QueueError::Broken(error.to_string()))??;
                continue;
            }
            match Job::decode(&taken.message.data) {
                Ok(job) if !self.shared.is_for_portal(&job) => {
                    let shared = Arc::clone(&self.shared);
                    let failed = tasks::brief(async move { shared.fail_foreign(job, &taken).await });
                    failed.await.map_err(|error| QueueError::Broken(error.to_string()))??;
                }
                Ok(job) => return Ok(self.delivery(job, taken)),
                Err(MessageError::Newer(_)) => {
                    let shared = Arc::clone(&self.shared);
                    let put_off = tasks::brief(async move { shared.put_off_taken(&taken).await });
                    put_off.await.map_err(|error| QueueError::Broken(error.to_string()))??;
                }
                Err(error) => self.to_dead_letters(taken, &error).await?,
            }
        }
    }

    async fn settle(&self, delivery: Delivery, settlement: Settlement) -> Result<(), QueueError> {
        let taken = self.message(&delivery)?;
        // The step may have taken hours, so wait for the broker as long as the delivery may be held.
        tokio::select! {
            open = self.shared.publisher.unblocked_until(taken.at + LONGEST_HELD) => open?,
            () = taken.lost.cancelled() => {}
        }
        if !taken.is_valid() {
            // Another worker gets this job; publishing its successor would duplicate it.
            return Err(QueueError::Unavailable("the delivery was void before the step ended".to_owned()));
        }
        fault::crash_point("settle.before");
        match settlement {
            Settlement::Forward(job) => self.shared.publish_job(*job, None).await?,
            Settlement::Wait { job, rung } => self.shared.publish_job(*job, Some(rung)).await?,
            Settlement::Finish(event) => self.shared.report(&event).await?,
            Settlement::Fail { job, event } => {
                let failed = Failed { event: *event, job: Some(*job), unreadable: None };
                let (id, queue) = (&failed.event.job_id, self.shared.topology.failed());
                self.shared.to_queue(queue, id, failed.encode()?).await?;
                self.shared.report(&failed.event).await?;
            }
        }
        fault::crash_point("settle.published");
        // Even if the ack does not arrive, do not requeue the message: its successor is published.
        self.in_hand.take(delivery.receipt.number);
        taken.acknowledge().await?;
        fault::crash_point("settle.acknowledged");
        Ok(())
    }

    async fn renew(&self, delivery: Delivery) -> Result<Delivery, Unrenewed> {
        let exchanged = match self.message(&delivery) {
            Ok(old) => self.exchange(&old, &delivery.job).await.inspect_err(|_| {
                if !old.is_valid() {
                    delivery.receipt.voided.cancel();
                }
            }),
            Err(error) => Err(error),
        };
        match exchanged {
            Ok(taken) => {
                // The old message is acknowledged, so there is nothing to requeue.
                self.in_hand.take(delivery.receipt.number);
                Ok(self.delivery(delivery.job, taken))
            }
            Err(error) => Err(Unrenewed { delivery: Box::new(delivery), error }),
        }
    }
}

fn queues(topology: &Topology, steps: StepSet) -> Vec<ShortString> {
    let wanted = WORK.into_iter().filter(|(step, lane)| steps.holds(*step, *lane));
    wanted.map(|(step, lane)| topology.work(step, lane)).collect()
}
