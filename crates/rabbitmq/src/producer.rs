//! The election of the one producer.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ErrorKind};
use tokio::time::Instant;

use super::message::properties;
use super::portal_check::{ProducerCard, card, own_portal};
use super::publisher::Message;
use super::{Broker, Connections};
use amqp::{ANSWER, Live, said};
use queue::{Election, Leadership, QueueError};

/// `RESOURCE_LOCKED`: another connection holds the queue.
const LOCKED: u16 = 405;
/// How long a producer waits for its predecessor: the broker may notice late that a connection died.
const TAKEOVER: Duration = Duration::from_secs(30);
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// The election of the one producer; the role lasts as long as the lease connection.
#[derive(Clone)]
pub struct ProducerElection {
    shared: Arc<Connections>,
}

impl Broker {
    /// The election of the one producer.
    pub fn producer_election(&self) -> ProducerElection {
        ProducerElection { shared: Arc::clone(&self.shared) }
    }
}

#[async_trait]
impl Election for ProducerElection {
    async fn win(&self, patience: Option<Duration>) -> Result<Leadership, QueueError> {
        let deadline = Instant::now() + patience.unwrap_or(TAKEOVER);
        loop {
            let live = self.shared.lease_link.wait(ANSWER).await?;
            if take_exclusively(&live, self.shared.topology.producer()).await? {
                // Another portal's producer may have come since this process connected. An error of `leave_card` does
                // not lose the role: a busy broker refuses messages right after a queue is declared.
                let known = own_portal(&self.shared.topology, self.read_card().await)?;
                if let Err(error) = self.leave_card(known).await {
                    tracing::warn!(%error, "cannot record which process is the producer");
                }
                return Ok(Leadership { lost: live.lost });
            }
            if Instant::now() >= deadline {
                let card = self.read_card().await;
                return Err(QueueError::Taken(card.map_or_else(
                    || "another producer is at work".to_owned(),
                    |ProducerCard { process, host, since, .. }| {
                        format!("another producer is at work: process {process} on {host}, since {since}")
                    },
                )));
            }
            tokio::time::sleep(TRY_AGAIN).await;
        }
    }
}

impl ProducerElection {
    /// Ties the prefix to this portal. Call it only once the portal has answered: a misspelt one would keep the prefix
    /// for good. From now on, programs of another portal are refused at their next connection.
    ///
    /// # Errors
    /// The broker cannot be reached.
    pub async fn bind_prefix_to_portal(&self) -> Result<(), QueueError> {
        self.leave_card(Some(self.shared.topology.for_portal().to_owned())).await
    }

    async fn leave_card(&self, portal: Option<String>) -> Result<(), QueueError> {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let (host, process, since) = (host.trim().to_owned(), std::process::id(), jiff::Timestamp::now());
        let card = ProducerCard { host, process, since, portal };
        let body = serde_json::to_vec(&card).unwrap_or_default();
        let key = self.shared.topology.producer_card();
        let message =
            Message { exchange: ShortString::default(), key, properties: properties("card", None), body };
        self.shared.publisher.publish(&message).await
    }

    async fn read_card(&self) -> Option<ProducerCard> {
        let live = self.shared.lease_link.live().ok()?;
        card(&self.shared.topology, &self.shared.signer, &live.connection).await.ok()?
    }
}

/// Declares an exclusive queue; returns false if another connection holds it.
async fn take_exclusively(live: &Live, name: ShortString) -> Result<bool, QueueError> {
    let channel = live.channel().await?;
    let taken = declare_exclusively(&channel, name).await;
    let _ = tokio::time::timeout(ANSWER, channel.close(200, "done".into())).await;
    taken
}

/// Declares an exclusive queue; returns false if another connection holds it, which costs the channel.
async fn declare_exclusively(channel: &Channel, name: ShortString) -> Result<bool, QueueError> {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("classic".into()));
    let declaring = channel.queue_declare(name, QueueDeclareOptions::exclusive(), arguments);
    match tokio::time::timeout(ANSWER, declaring).await {
        Ok(Ok(_)) => Ok(true),
        Ok(Err(error)) => match error.kind() {
            ErrorKind::ProtocolError(refusal) if refusal.get_id() == LOCKED => Ok(false),
            _ => Err(QueueError::Unavailable(format!("cannot take the producer's place: {}", said(&error)))),
        },
        Err(_) => Err(QueueError::Unavailable("the broker did not answer".to_owned())),
    }
}
