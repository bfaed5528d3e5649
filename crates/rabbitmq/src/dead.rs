//! Messages that the broker gave up.

use lapin::types::ShortString;

use super::RabbitConsumer;
use super::feed::Feed;
use super::message::Failed;
use common::job::{Job, MessageError};
use queue::{Delivery, FailedJob, QueueError};

/// A message that the broker gave up.
#[derive(Debug)]
pub enum Dead {
    /// It is a job, whose end is still to be settled.
    Job(Box<Delivery>),
    /// It is no job that this release can read, and is kept as a failed one.
    Unreadable(Box<FailedJob>),
}

/// Takes the messages that the broker gave up.
pub struct DeadLetters {
    consumer: RabbitConsumer,
    feed: Feed,
}

impl RabbitConsumer {
    /// The messages that the broker gave up, whose jobs this consumer settles.
    pub fn dead_letters(&self) -> DeadLetters {
        DeadLetters { consumer: self.clone(), feed: Feed::new(&self.shared) }
    }
}

impl DeadLetters {
    /// The next message. Waits. One that is no job becomes a failed job here.
    ///
    /// # Errors
    /// The broker cannot be reached; the message stays where it is.
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
        let buried = async {
            shared.to_queue(shared.topology.failed(), &failed.event.job_id, failed.encode()?).await?;
            shared.report(&failed.event).await?;
            taken.acknowledge().await
        };
        if let Err(error) = buried.await {
            taken.give_back().await;
            return Err(error);
        }
        let Failed { event, job, unreadable } = failed;
        Ok(Dead::Unreadable(Box::new(FailedJob { job, event, unreadable })))
    }
}
