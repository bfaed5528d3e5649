//! Publishes new jobs, and the successors of deliveries.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lapin::types::ShortString;

use super::message::{encode_event, job_properties, properties};
use super::publisher::Message;
use super::{Broker, Connections};
use common::fault;
use common::job::{Job, JobId};
use common::outcome::OutcomeEvent;
use ledger::{Intent, Ledger};
use queue::{Depth, JobPublisher, QueueError};

/// How often to try to publish a delivery's successor before giving up.
const PUBLISH_TRIES: u32 = 3;

/// Publishes each new job once, by its id.
#[derive(Clone)]
pub struct RabbitPublisher {
    shared: Arc<Connections>,
    ledger: Ledger,
}

impl Broker {
    /// Publishes new jobs; the ledger records which ones were published.
    pub fn publisher(&self, ledger: Ledger) -> RabbitPublisher {
        RabbitPublisher { shared: Arc::clone(&self.shared), ledger }
    }
}

#[async_trait]
impl JobPublisher for RabbitPublisher {
    async fn publish(&self, job: &Job) -> Result<(), QueueError> {
        let mut job = Job { portal: Some(self.shared.topology.for_portal().to_owned()), ..job.clone() };
        match self.ledger.intend(&job).await? {
            Intent::Confirmed => return Ok(()),
            // It may be published already, and two copies must check before they act.
            Intent::Unconfirmed => job.suspect = true,
            Intent::New => {}
        }
        fault::crash_point("publish.before");
        let job_id = job.job_id.clone();
        self.shared.publish_job(job, None).await?;
        fault::crash_point("publish.confirmed");
        self.ledger.confirm(&job_id).await?;
        Ok(())
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        self.shared.depth().await
    }
}

impl Connections {
    pub(super) async fn report(&self, event: &OutcomeEvent) -> Result<(), QueueError> {
        self.to_queue(self.topology.results(), &event.job_id, encode_event(event)?).await
    }

    pub(super) async fn to_queue(
        &self,
        queue: ShortString,
        id: &JobId,
        body: Vec<u8>,
    ) -> Result<(), QueueError> {
        let properties = properties(&id.0, None);
        self.publish_surely(Message { exchange: ShortString::default(), key: queue, properties, body }).await
    }

    /// Publishes a message, with retries. After an unknown outcome a retry may duplicate the message; readers handle
    /// that.
    pub(super) async fn publish_surely(&self, message: Message) -> Result<(), QueueError> {
        self.publish_retrying(|_| Ok(message.clone())).await
    }

    /// Publishes a job to its next queue. After an unknown outcome there may be two copies, so the second one is marked
    /// suspect.
    pub(super) async fn publish_job(&self, mut job: Job, rung: Option<Duration>) -> Result<(), QueueError> {
        job.held = false;
        self.publish_as_it_is(job, rung).await
    }

    /// The same, but keeps the mark of a job that was held.
    pub(super) async fn publish_as_it_is(
        &self,
        mut job: Job,
        rung: Option<Duration>,
    ) -> Result<(), QueueError> {
        self.publish_retrying(|may_be_second| {
            job.suspect |= may_be_second;
            Ok(Message {
                exchange: rung.map_or_else(ShortString::default, |rung| self.topology.wait(rung)),
                key: self.topology.queue_of(&job),
                properties: job_properties(&job),
                body: job.encode()?,
            })
        })
        .await
    }

    /// Publishes a message that is made for each attempt. `message` gets whether the broker may have an earlier copy.
    async fn publish_retrying(
        &self,
        mut message: impl FnMut(bool) -> Result<Message, QueueError>,
    ) -> Result<(), QueueError> {
        let (mut tries, mut may_be_second) = (1, false);
        loop {
            let message = message(may_be_second)?;
            match self.publisher.publish(&message).await {
                Err(error) if error.is_retryable() && tries < PUBLISH_TRIES => {
                    let id = message.properties.message_id().as_ref().map(ShortString::as_str);
                    tracing::warn!(job_id = id, %error, "publishing again");
                    may_be_second |= matches!(error, QueueError::UnknownOutcome(_));
                    tries += 1;
                }
                ended => return ended,
            }
        }
    }
}
