//! A prefix belongs to one portal: the producer's card names that portal, and each job names its own.

use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use lapin::Connection;
use lapin::options::{BasicConsumeOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use serde::{Deserialize, Serialize};

use super::Connections;
use super::authentic::Signer;
use super::feed::Received;
use super::message::{Failed, small};
use super::topology::Topology;
use amqp::{ANSWER, ConnectError, in_time, is_absence};
use common::job::Job;
use common::outcome::{Failure, FailureClass, Outcome};
use queue::QueueError;

/// How long to wait for an existing card.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// Identifies the producer to another one that is refused.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ProducerCard {
    pub(super) host: String,
    pub(super) process: u32,
    pub(super) since: Timestamp,
    /// The portal that the prefix belongs to, once that portal has answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) portal: Option<String>,
}

/// Reads the latest producer's card, and leaves it in place. `None` also if others hold it for too long.
pub(super) async fn card(
    topology: &Topology,
    signer: &Signer,
    connection: &Connection,
) -> Result<Option<ProducerCard>, ConnectError> {
    let queue = topology.producer_card();
    let channel = in_time(connection.create_channel()).await?;
    let checking = async {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
        let there = match channel.queue_declare(queue.clone(), passive, FieldTable::default()).await {
            Ok(there) => there.message_count(),
            Err(error) if is_absence(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut card = None;
        if there > 0 {
            let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
            let mut cards = channel.basic_consume(queue.clone(), "card".into(), options, none).await?;
            // Others may be reading the card; it arrives once they have returned it.
            card = tokio::time::timeout(ANSWER_WITHIN, cards.next()).await.ok().flatten().transpose()?;
        }
        Ok(card)
    };
    let found = in_time(checking).await;
    // Requeues the card, even one that arrives late.
    let _ = tokio::time::timeout(ANSWER, channel.close(200, "seen".into())).await;
    let found = found?;
    let own = found.filter(|card| signer.accepts(&[queue], &card.properties, &card.data));
    Ok(own.and_then(|card| small(&card.data).ok()))
}

/// Fails if the latest producer under this prefix was one of another portal.
pub(super) async fn compare_portal(
    topology: &Topology,
    signer: &Signer,
    connection: &Connection,
) -> Result<(), ConnectError> {
    let card = card(topology, signer, connection).await?;
    own_portal(topology, card).map(|_| ())
}

/// The portal on a card: this process's, or `None` while it is not known. Fails if it is another one.
pub(super) fn own_portal(
    topology: &Topology,
    card: Option<ProducerCard>,
) -> Result<Option<String>, ConnectError> {
    match card.and_then(|card| card.portal) {
        Some(portal) if portal != topology.for_portal() => {
            Err(ConnectError::Misconfigured(tied_to_another(topology, &portal)))
        }
        known => Ok(known),
    }
}

/// What a person can do about a prefix that belongs to another portal.
fn tied_to_another(topology: &Topology, portal: &str) -> String {
    format!(
        "queue.prefix {:?} belongs to another portal than bynder.domain, {}: its producer was at work for {}. Give this deployment \
         a queue.prefix of its own; or, if it is the same library and its address changed, stop producer and workers and run \
         `rabbitmqctl delete_queue {}`",
        topology.prefix(),
        topology.for_portal(),
        shown(portal),
        topology.producer_card()
    )
}

/// The portal that a message names, if it looks like an origin.
fn shown(portal: &str) -> &str {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._:/[]".contains(c);
    let is_origin = portal.len() <= 300 && portal.chars().all(is_plain);
    if is_origin { portal } else { "(no address)" }
}

impl Connections {
    /// Whether the job is for this process's portal, or from a release that does not name one.
    pub(super) fn is_for_portal(&self, job: &Job) -> bool {
        job.portal.as_deref().is_none_or(|portal| portal == self.topology.for_portal())
    }

    /// Stores a job of another portal as a failed job, which a person may replay. Here it would find another asset, or
    /// none.
    pub(super) async fn fail_foreign(&self, mut job: Job, taken: &Received) -> Result<(), QueueError> {
        let portal = shown(job.portal.as_deref().unwrap_or_default());
        let reason = format!(
            "the job is for the portal {portal}, and this process for {}: nothing was done. If it is the same library under another \
             address, replay the job; otherwise give each portal a queue.prefix of its own",
            self.topology.for_portal()
        );
        job.suspect |= taken.message.redelivered;
        let failure = Failure { class: FailureClass::Refused, reason: reason.into(), request_id: None };
        tracing::error!(job_id = %job.job_id, asset_id = %job.asset_id, reason = %failure.reason, "failed");
        let event = job.ended(Outcome::Failed(failure), Timestamp::now());
        let failed = Failed { event, job: Some(job), unreadable: None };
        let kept = async {
            self.to_queue(self.topology.failed(), &failed.event.job_id, failed.encode()?).await?;
            self.report(&failed.event).await?;
            taken.acknowledge().await
        };
        let kept = kept.await;
        if kept.is_err() {
            taken.give_back().await;
        }
        kept
    }
}
