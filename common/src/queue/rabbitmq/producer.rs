//! The place of the one producer.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lapin::options::BasicGetOptions;
use lapin::types::ShortString;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::super::{Election, Place, QueueError};
use super::lease::take_exclusively;
use super::link::{ANSWER, answered};
use super::message::{properties, small};
use super::publisher::Message;
use super::{Broker, Shared};

/// How long a producer waits for the one before: a connection that died may linger at the broker.
const TAKEOVER: Duration = Duration::from_secs(30);
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Who a producer is, for the one that comes second.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Card {
    host: String,
    process: u32,
    since: jiff::Timestamp,
}

/// The election of the one producer, which the connection of leases holds.
#[derive(Clone)]
pub struct ProducerElection {
    shared: Arc<Shared>,
}

impl Broker {
    /// The election of the one producer.
    pub fn producer_election(&self) -> ProducerElection {
        ProducerElection { shared: Arc::clone(&self.shared) }
    }
}

#[async_trait]
impl Election for ProducerElection {
    async fn win(&self, patience: Option<Duration>) -> Result<Place, QueueError> {
        let deadline = Instant::now() + patience.unwrap_or(TAKEOVER);
        loop {
            let live = self.shared.lease_link.wait(ANSWER).await?;
            if take_exclusively(&live, self.shared.topology.producer()).await? {
                // The place is taken all the same: a busy broker refuses what comes right after a queue was declared.
                if let Err(error) = self.leave_card().await {
                    tracing::warn!(%error, "cannot leave word who the producer is");
                }
                return Ok(Place { lost: live.lost });
            }
            if Instant::now() >= deadline {
                return Err(QueueError::Taken(self.read_card().await));
            }
            tokio::time::sleep(TRY_AGAIN).await;
        }
    }
}

impl ProducerElection {
    async fn leave_card(&self) -> Result<(), QueueError> {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let card =
            Card { host: host.trim().to_owned(), process: std::process::id(), since: jiff::Timestamp::now() };
        let body = serde_json::to_vec(&card).unwrap_or_default();
        let key = self.shared.topology.producer_card();
        let message =
            Message { exchange: ShortString::default(), key, properties: properties("card", None), body };
        self.shared.publisher.publish(&message).await
    }

    async fn read_card(&self) -> String {
        let read = async {
            let live = self.shared.lease_link.live()?;
            let channel = live.channel().await?;
            let card = self.shared.topology.producer_card();
            let got = answered(channel.basic_get(card, BasicGetOptions::default())).await?;
            // Closing the channel puts the card back.
            let _ = tokio::time::timeout(ANSWER, channel.close(200, "done".into())).await;
            Ok::<_, QueueError>(got.and_then(|got| small::<Card>(&got.delivery.data).ok()))
        };
        match read.await {
            Ok(Some(card)) => {
                format!(
                    "another producer is at work: process {} on {}, since {}",
                    card.process, card.host, card.since
                )
            }
            Ok(None) | Err(_) => "another producer is at work".to_owned(),
        }
    }
}
