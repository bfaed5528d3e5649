//! Long steps: no delivery is held longer than the broker allows, however large the file.
//!
//! A broker takes a message back from a consumer that holds it too long, by default half an hour. Before that, a
//! process that is still running the step exchanges the delivery for a new one: it publishes the job to its own hold
//! queue, takes it from there, and acknowledges the old delivery. If the process dies, the message soon expires from
//! the hold queue and returns to its step, marked as one whose effects may have happened.

use std::time::Duration;

use futures::StreamExt;
use lapin::Channel;
use lapin::options::{BasicCancelOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use tokio::time::Instant;

use super::RabbitConsumer;
use super::feed::{Counted, Received};
use super::message::job_properties;
use super::publisher::Message;
use super::topology::HOLD_RETURN;
use amqp::{ANSWER, Live, answered, consume};
use common::job::Job;
use queue::QueueError;

/// The timeout of publishing the message and finding it, shorter than the message stays.
const PATIENCE: Duration = HOLD_RETURN.saturating_sub(Duration::from_secs(2));
/// The prefetch: messages of other jobs that a renewal may have to take first.
const MOST_STRANGERS: u16 = 64;

impl RabbitConsumer {
    /// Exchanges a delivery for a new one of the same job.
    pub(super) async fn exchange(&self, old: &Received, job: &Job) -> Result<Received, QueueError> {
        let held = Job { held: true, ..job.clone() };
        let message = Message {
            exchange: self.shared.topology.hold(&self.shared.process),
            key: self.shared.topology.queue_of(job),
            properties: job_properties(job),
            body: held.encode()?,
        };
        // One renewal at a time: each takes messages from the same queue.
        let mut renewing = self.renewing.lock().await;
        if !old.is_valid() {
            return Err(QueueError::Unavailable("the delivery was void: its channel is gone".to_owned()));
        }
        // The channel is kept: closing it would void its deliveries.
        let known = renewing
            .take()
            .filter(|(live, channel)| !live.lost.is_cancelled() && channel.status().connected());
        let (live, channel) = if let Some(known) = known {
            known
        } else {
            let live = self.shared.consume_link.live()?;
            let channel = live.channel().await?;
            answered(channel.basic_qos(MOST_STRANGERS, BasicQosOptions::default())).await?;
            (live, channel)
        };
        let (live, channel) = renewing.insert((live, channel));
        answered(self.shared.topology.declare_hold(channel, &self.shared.process)).await?;
        let until = Instant::now() + PATIENCE;
        // Does not wait for a broker that accepts no messages: the step continues, and its worker tries again.
        self.shared.publisher.publish_now(&message).await?;
        let mut strangers = Vec::new();
        let found = self.search(job, live, channel, until, &mut strangers).await;
        for stranger in strangers {
            stranger.give_back().await;
        }
        // If the message is not found, it returns to its step; so does the old delivery, unless it is renewed later.
        // Two messages of a job are safe; losing the job is not.
        let taken = found?.ok_or_else(|| {
            QueueError::Unavailable("the job did not come back from its hold in time".to_owned())
        })?;
        if let Err(error) = old.acknowledge().await {
            // The broker may have redelivered the old one.
            taken.give_back().await;
            return Err(error);
        }
        Ok(taken)
    }

    /// Finds this job's message in the hold queue. Messages of other jobs, whose renewal failed, are collected in
    /// `strangers`.
    async fn search(
        &self,
        job: &Job,
        live: &Live,
        channel: &Channel,
        until: Instant,
        strangers: &mut Vec<Received>,
    ) -> Result<Option<Received>, QueueError> {
        let queue = self.shared.topology.hold(&self.shared.process);
        let at = Instant::now();
        let mut incoming =
            consume(channel, queue.clone(), ShortString::default(), FieldTable::default()).await?;
        let taken = |message| {
            let (lost, counted) = (live.lost.clone(), Some(Counted::new(&self.shared.in_hand)));
            Received { message, queue: queue.clone(), lost, at, slot: None, _counted: counted }
        };
        let mut found = None;
        while let Ok(Some(Ok(message))) = tokio::time::timeout_at(until, incoming.next()).await {
            let taken = taken(message);
            if taken.is_of(job) {
                found = Some(taken);
                break;
            }
            strangers.push(taken);
        }
        let ending = async {
            answered(channel.basic_cancel(incoming.tag(), BasicCancelOptions::default())).await?;
            while let Some(Ok(message)) = incoming.next().await {
                strangers.push(taken(message));
            }
            Ok::<_, QueueError>(())
        };
        if !matches!(tokio::time::timeout(ANSWER, ending).await, Ok(Ok(()))) {
            tracing::warn!("the broker did not end the search of the hold queue");
        }
        Ok(found)
    }
}
