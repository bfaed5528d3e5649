//! What only the producer does on the broker: being alone, and taking the outcomes in.

use std::time::Duration;

use lapin::options::{BasicAckOptions, BasicGetOptions, BasicNackOptions};
use lapin::types::ShortString;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::{JobQueue, QueueError};
use super::RabbitQueue;
use super::intake::Taken;
use super::lease::take_exclusively;
use super::link::{ANSWER, answered};
use super::message::{decode_event, properties, small};
use super::publisher::Message;
use crate::ledger::{Ledger, QueueLook};

/// How long a producer waits for the one before: a connection that died may linger at the broker.
const TAKEOVER: Duration = Duration::from_secs(30);
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// Every process announces itself within this time.
const HANDS_KNOWN: Duration = Duration::from_secs(6);
const LOOK_AT_HANDS: Duration = Duration::from_millis(200);
/// Outcomes taken into the ledger in one transaction.
const BATCH: usize = 200;

/// Who a producer is, for the one that comes second.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Card {
    host: String,
    process: u32,
    since: jiff::Timestamp,
}

/// The place of the one producer, which ends with the connection that took it.
#[derive(Debug, Clone)]
pub struct ProducerPlace {
    lost: CancellationToken,
}

impl ProducerPlace {
    /// Resolves once the place is lost; also where another connection has replaced the lost one meanwhile.
    pub async fn lost(&self) {
        self.lost.cancelled().await;
    }
}

impl RabbitQueue {
    /// Makes this process the one producer, for as long as the place that it returns lasts.
    ///
    /// # Errors
    /// [`QueueError::Taken`], naming the other, after trying for `patience`, half a minute by default.
    pub async fn become_producer(&self, patience: Option<Duration>) -> Result<ProducerPlace, QueueError> {
        let deadline = Instant::now() + patience.unwrap_or(TAKEOVER);
        loop {
            let live = self.lease_link.wait(ANSWER).await?;
            if take_exclusively(&live, self.topology.producer()).await? {
                // The place is taken all the same: a busy broker refuses what comes right after a queue was declared.
                if let Err(error) = self.leave_card().await {
                    tracing::warn!(%error, "cannot leave word who the producer is");
                }
                return Ok(ProducerPlace { lost: live.lost });
            }
            if Instant::now() >= deadline {
                return Err(QueueError::Taken(self.read_card().await));
            }
            tokio::time::sleep(TRY_AGAIN).await;
        }
    }

    async fn leave_card(&self) -> Result<(), QueueError> {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let card =
            Card { host: host.trim().to_owned(), process: std::process::id(), since: jiff::Timestamp::now() };
        let body = serde_json::to_vec(&card).unwrap_or_default();
        let key = self.topology.producer_card();
        let message =
            Message { exchange: ShortString::default(), key, properties: properties("card", None), body };
        self.publisher.publish(&message).await
    }

    async fn read_card(&self) -> String {
        let read = async {
            let live = self.lease_link.live()?;
            let channel = live.channel().await?;
            let card = self.topology.producer_card();
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

    /// Looks at every place where a job can be: the queues, those that wait and the dead letters among them, and the hands
    /// of this deployment's processes.
    ///
    /// # Errors
    /// The broker cannot be asked.
    pub async fn look(&self) -> Result<QueueLook, QueueError> {
        let is_empty = async || {
            let depth = self.depth().await?;
            Ok::<_, QueueError>(depth.open() == 0 && self.ready_in(self.topology.dead()).await? == 0)
        };
        if !is_empty().await? {
            return Ok(QueueLook::Busy);
        }
        let known = async {
            loop {
                match self.in_hand() {
                    Some(jobs) => break jobs,
                    None => tokio::time::sleep(LOOK_AT_HANDS).await,
                }
            }
        };
        // Processes of an earlier release never say.
        let hands = tokio::time::timeout(HANDS_KNOWN, known).await;
        // What was in somebody's hands may be in a queue by now.
        let is_empty = hands == Ok(0) && is_empty().await?;
        Ok(if is_empty { QueueLook::Empty } else { QueueLook::Busy })
    }

    /// Takes outcomes into the ledger: there first, then away from the broker. Returns how many there were.
    pub async fn fold_outcomes(&self, ledger: &Ledger) -> Result<usize, QueueError> {
        let _alone = self.folding.lock().await;
        let mut events = Vec::new();
        let mut last: Option<Taken> = None;
        while events.len() < BATCH {
            let Some(taken) = self.results.fetch(&self.topology.results()).await? else { break };
            match decode_event(&taken.message.data) {
                Ok(event) => events.push(event),
                Err(error) => {
                    tracing::error!(%error, "an outcome cannot be read and is left out of the ledger");
                }
            }
            last = Some(taken);
        }
        let Some(last) = last else { return Ok(0) };
        let count = events.len();
        if let Err(error) = ledger.fold(events).await {
            // Still unacknowledged, they would be swept away by the next batch's acknowledgement.
            let back = BasicNackOptions { multiple: true, requeue: true };
            answered(last.message.acker.nack(back)).await?;
            return Err(error.into());
        }
        let options = BasicAckOptions { multiple: true };
        answered(last.message.acker.ack(options)).await?;
        Ok(count)
    }
}
