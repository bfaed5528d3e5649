//! A message that the broker handed to this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lapin::message::Delivery as Message;
use lapin::options::{BasicAckOptions, BasicNackOptions};
use lapin::types::ShortString;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::feed::Slot;
use super::link::answered;
use common::job::Job;
use queue::QueueError;

/// A message that was taken and is not settled.
pub(super) struct Received {
    pub(super) message: Message,
    /// Where it was found.
    pub(super) queue: ShortString,
    /// Cancelled when its channel or its connection is lost, and the message is another process's.
    pub(super) lost: CancellationToken,
    /// When it was taken.
    pub(super) at: Instant,
    /// The consumer that got it, which may hold no other meanwhile.
    pub(super) slot: Option<Slot>,
    pub(super) _counted: Option<Counted>,
}

/// Counts a message as in this process's hands for as long as it is.
pub(super) struct Counted(Arc<AtomicU64>);

impl Counted {
    pub(super) fn new(count: &Arc<AtomicU64>) -> Self {
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
    /// Whether it is a message of this job.
    pub(super) fn is_of(&self, job: &Job) -> bool {
        self.message.properties.message_id().as_ref().is_some_and(|id| id.as_str() == job.job_id.0)
    }

    /// Whether the broker still waits for an answer about it: its channel may be gone while the connection stands.
    pub(super) fn is_valid(&self) -> bool {
        !self.lost.is_cancelled() && self.message.acker.usable()
    }

    /// Tells the broker that the message is done with.
    pub(super) async fn acknowledge(&self) -> Result<(), QueueError> {
        let ended = self.end(async || answered(self.message.acker.ack(BasicAckOptions::default())).await);
        if ended.await? {
            Ok(())
        } else {
            Err(QueueError::Unavailable("the delivery was void: its connection is gone".to_owned()))
        }
    }

    /// Gives the message back; it comes again as redelivered.
    pub(super) async fn give_back(&self) {
        let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
        let _ = self.end(async || answered(self.message.acker.nack(options)).await).await;
    }

    /// Answers the broker, after which the consumer may get the next message or is cancelled.
    async fn end(&self, answer: impl AsyncFnOnce() -> Result<bool, QueueError>) -> Result<bool, QueueError> {
        match &self.slot {
            Some(slot) => slot.end(answer).await,
            None => answer().await,
        }
    }
}
