//! Queues whose message is a record by its presence, such as that of a silence.
//!
//! RabbitMQ counts a quorum queue's messages as 0 if its leader does not answer within 250 ms, is being elected, or has
//! not read its log after a restart. The minter must not be misled, since no process makes a call without its tokens.
//! So it fetches the message and requeues it, which a leader answers only after it has read its log. It fetches only at
//! its first check and when the message seems to be gone, since a fetch that finds nothing turns a panel of RabbitMQ's
//! dashboard red for a minute.

use std::time::{Duration, Instant};

use lapin::Channel;
use lapin::options::{BasicGetOptions, BasicNackOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};

use amqp::answered;
use queue::QueueError;

/// Checks before a message that was present counts as gone: it seems to be while another process reads it.
const CHECKS: u32 = 3;
const BETWEEN_CHECKS: Duration = Duration::from_millis(50);
/// A count of 0 that takes longer may come from a leader that did not answer in time.
const SLOW: Duration = Duration::from_millis(200);

/// A queue, and what the last check over this connection found.
pub(super) struct Presence {
    queue: ShortString,
    proof: Proof,
    last: Last,
}

#[derive(PartialEq, Eq)]
enum Proof {
    Count,
    Fetch,
}

enum Last {
    Unknown,
    There,
    Absent,
}

enum Count {
    Some,
    None,
    Unclear,
}

impl Presence {
    /// Checks by the count.
    pub(super) fn of(queue: ShortString) -> Self {
        Self { queue, proof: Proof::Count, last: Last::Unknown }
    }

    /// Checks by the count, and by a fetch where the count is not proof enough.
    pub(super) fn proven(queue: ShortString) -> Self {
        Self { proof: Proof::Fetch, ..Self::of(queue) }
    }

    /// Whether the queue holds its message.
    pub(super) async fn is_there(&mut self, channel: &Channel) -> Result<bool, QueueError> {
        let is_counted = match self.last {
            Last::Unknown | Last::Absent => matches!(self.count(channel).await?, Count::Some),
            Last::There => self.is_still_counted(channel).await?,
        };
        let is_proven = self.proof == Proof::Count || matches!(self.last, Last::Absent);
        let is_there = is_counted || (!is_proven && self.is_fetched(channel).await?);
        self.last = if is_there { Last::There } else { Last::Absent };
        Ok(is_there)
    }

    async fn is_still_counted(&self, channel: &Channel) -> Result<bool, QueueError> {
        for _ in 0..CHECKS {
            match self.count(channel).await? {
                Count::Some | Count::Unclear => return Ok(true),
                Count::None => tokio::time::sleep(BETWEEN_CHECKS).await,
            }
        }
        Ok(false)
    }

    /// Counts without taking the message, so that other processes still see it.
    async fn count(&self, channel: &Channel) -> Result<Count, QueueError> {
        let asked = Instant::now();
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
        let declaring = channel.queue_declare(self.queue.clone(), passive, FieldTable::default());
        let count = answered(declaring).await?.message_count();
        Ok(match count {
            0 if asked.elapsed() >= SLOW => Count::Unclear,
            0 => Count::None,
            _ => Count::Some,
        })
    }

    async fn is_fetched(&self, channel: &Channel) -> Result<bool, QueueError> {
        let fetching = channel.basic_get(self.queue.clone(), BasicGetOptions::default());
        let Some(got) = answered(fetching).await? else { return Ok(false) };
        let back = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
        answered(got.delivery.acker.nack(back)).await?;
        Ok(true)
    }
}
