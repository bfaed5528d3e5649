//! Long steps: no delivery is held longer than the broker allows, however large the file.
//!
//! A broker takes a message back from a consumer that holds it for too long, half an hour by default. So before that,
//! a process that still works on a step exchanges the delivery for a new one: it publishes the job to its own hold
//! queue, takes it from there, and gives up the old delivery. If it dies, the message expires out of the hold at once
//! and goes back to its step, marked as one whose effects may have happened.

use std::time::Duration;

use super::super::QueueError;
use super::RabbitQueue;
use super::intake::Taken;
use super::link::answered;
use super::message::job_properties;
use super::publisher::Message;
use crate::job::Job;

/// How long to look for the message that was just published: a busy broker takes its time. Less than it stays there.
const LOOKS: u32 = 160;
const LOOK_EVERY: Duration = Duration::from_millis(25);

impl RabbitQueue {
    /// Exchanges a delivery for a new one of the same job.
    pub(super) async fn exchange(&self, old: &Taken, job: &Job) -> Result<Taken, QueueError> {
        let held = Job { held: true, ..job.clone() };
        let message = Message {
            exchange: self.topology.hold(&self.process),
            key: self.topology.queue_of(job),
            properties: job_properties(job),
            body: held.encode()?,
        };
        // One at a time, so that what is found in the hold is what was just put there.
        let _alone = self.renewing.lock().await;
        let live = self.consume_link.live()?;
        let channel = live.channel().await?;
        answered(self.topology.declare_hold(&channel, &self.process)).await?;
        self.publisher.publish(&message).await?;
        let queue = self.topology.hold(&self.process);
        for _ in 0..LOOKS {
            if let Some(taken) = self.work.fetch(&queue).await? {
                if let Err(error) = old.acknowledge().await {
                    // The old one is somebody else's by now. Two of a job are safe, none is not.
                    taken.give_back().await;
                    return Err(error);
                }
                return Ok(taken);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        // It went back to its step, where somebody will take it as suspect: this delivery is one too many.
        old.acknowledge().await?;
        Err(QueueError::Unavailable("the job went back to its step while it was being renewed".to_owned()))
    }
}
