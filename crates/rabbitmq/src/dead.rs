//! Messages that the broker gave up on.

use lapin::types::ShortString;

use super::RabbitConsumer;
use super::feed::Feed;
use super::message::Failed;
use common::job::{Job, MessageError};
use queue::{Delivery, FailedJob, QueueError};

/// A message that the broker gave up on.
#[derive(Debug)]
pub enum Dead {
    /// A job; the caller settles it.
    Job(Box<Delivery>),
    /// A message that this release cannot read as a job, stored as a failed job.
    Unreadable(Box<FailedJob>),
}

/// Receives the messages that the broker gave up on.
pub struct DeadLetters {
    consumer: RabbitConsumer,
    feed: Feed,
}

impl RabbitConsumer {
    /// The messages that the broker gave up on; this consumer settles their jobs.
    pub fn dead_letters(&self) -> DeadLetters {
        DeadLetters { consumer: self.clone(), feed: Feed::new(&self.shared) }
    }
}

impl DeadLetters {
    /// Waits for the next message. One that is not a job is stored as a failed job here.
    ///
    /// # Errors
    /// The broker cannot be reached; the message stays in its queue.
    pub async fn next(&self) -> Result<Dead, QueueError> {
        let shared = &self.consumer.shared;
        let (taken, failed) = loop {
            let taken = self.feed.next(&[shared.topology.dead()]).await?;
            if !shared.is_authentic(&taken.queue, &taken.message) {
                shared.refuse(&taken).await?;
                continue;
            }
            let message = &taken.message;
            match Job::decode(&message.data) {
                Ok(job) if !shared.is_for_portal(&job) => shared.fail_foreign(job, &taken).await?,
                Ok(job) => return Ok(Dead::Job(Box::new(self.consumer.delivery(job, taken)))),
                Err(MessageError::Newer(_)) => shared.put_off_taken(&taken).await?,
                Err(error) => {
                    let id = message.properties.message_id().as_ref().map(ShortString::as_str);
                    let failed = Failed::unreadable(&message.data, id, &error);
                    break (taken, failed);
                }
            }
        };
        let ended = async {
            shared.to_queue(shared.topology.failed(), &failed.event.job_id, failed.encode()?).await?;
            shared.report(&failed.event).await?;
            taken.acknowledge().await
        };
        if let Err(error) = ended.await {
            taken.give_back().await;
            return Err(error);
        }
        let Failed { event, job, unreadable } = failed;
        Ok(Dead::Unreadable(Box::new(FailedJob { job, event, unreadable })))
    }
}
