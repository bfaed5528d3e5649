//! A message that the broker delivered to this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lapin::message::Delivery as Message;
use lapin::options::{BasicAckOptions, BasicNackOptions};
use lapin::types::ShortString;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Slot;
use amqp::answered;
use common::job::Job;
use queue::QueueError;

/// A delivered message that is not settled.
pub(crate) struct Received {
    pub(crate) message: Message,
    /// The queue that it came from.
    pub(crate) queue: ShortString,
    /// Cancelled when its channel or connection is lost: the broker may then deliver it to another process.
    pub(crate) lost: CancellationToken,
    /// When it was received.
    pub(crate) at: Instant,
    /// Its consumer, which gets no other message meanwhile.
    pub(crate) slot: Option<Slot>,
    pub(crate) _counted: Option<Counted>,
}

/// Counts a message as in hand until dropped.
pub(crate) struct Counted(Arc<AtomicU64>);

impl Counted {
    pub(crate) fn new(count: &Arc<AtomicU64>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Received {
    /// Whether this is a message of the job.
    pub(crate) fn is_of(&self, job: &Job) -> bool {
        self.message.properties.message_id().as_ref().is_some_and(|id| id.as_str() == job.job_id.0)
    }

    /// Whether it can still be acknowledged: its channel may be closed while the connection is open.
    pub(crate) fn is_valid(&self) -> bool {
        !self.lost.is_cancelled() && self.message.acker.usable()
    }

    /// Acknowledges the message.
    pub(crate) async fn acknowledge(&self) -> Result<(), QueueError> {
        let ended = self.end(async || answered(self.message.acker.ack(BasicAckOptions::default())).await);
        if ended.await? {
            Ok(())
        } else {
            Err(QueueError::Unavailable("the delivery was void: its connection is gone".to_owned()))
        }
    }

    /// Requeues the message, which is then redelivered.
    pub(crate) async fn give_back(&self) {
        let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
        let _ = self.end(async || answered(self.message.acker.nack(options)).await).await;
    }

    /// Answers the broker; the consumer then gets the next message or is cancelled.
    async fn end(&self, answer: impl AsyncFnOnce() -> Result<bool, QueueError>) -> Result<bool, QueueError> {
        match &self.slot {
            Some(slot) => slot.end(answer).await,
            None => answer().await,
        }
    }
}
