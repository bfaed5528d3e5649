//! Queues whose message says something by being there, such as a silence.
//!
//! RabbitMQ counts the messages of a quorum queue as none where its leader does not answer within 250 ms, is being elected, or has
//! not read its log after a restart. So a count of none is believed only while the queue was found empty before; otherwise the
//! message is fetched and put back, which no leader answers before it knows.

use std::time::Duration;

use lapin::Channel;
use lapin::options::{BasicGetOptions, BasicNackOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};

use super::link::answered;
use queue::QueueError;

/// Looks before a message that was there counts as gone: it seems to be while another process reads it.
const LOOKS: u32 = 3;
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A queue, and what the last look over this connection found.
pub(super) struct Presence {
    queue: ShortString,
    last: Last,
}

enum Last {
    Unknown,
    There,
    Absent,
}

impl Presence {
    pub(super) fn of(queue: ShortString) -> Self {
        Self { queue, last: Last::Unknown }
    }

    /// Whether the queue holds its message.
    pub(super) async fn is_there(&mut self, channel: &Channel) -> Result<bool, QueueError> {
        let is_there = match self.last {
            Last::Absent => self.is_counted(channel).await?,
            Last::Unknown => self.is_counted(channel).await? || self.is_fetched(channel).await?,
            Last::There => self.is_still_counted(channel).await? || self.is_fetched(channel).await?,
        };
        self.last = if is_there { Last::There } else { Last::Absent };
        Ok(is_there)
    }

    async fn is_still_counted(&self, channel: &Channel) -> Result<bool, QueueError> {
        for _ in 0..LOOKS {
            if self.is_counted(channel).await? {
                return Ok(true);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(false)
    }

    /// Without taking it, so that no other process misses it meanwhile.
    async fn is_counted(&self, channel: &Channel) -> Result<bool, QueueError> {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
        let declaring = channel.queue_declare(self.queue.clone(), passive, FieldTable::default());
        Ok(answered(declaring).await?.message_count() > 0)
    }

    async fn is_fetched(&self, channel: &Channel) -> Result<bool, QueueError> {
        let fetching = channel.basic_get(self.queue.clone(), BasicGetOptions::default());
        let Some(got) = answered(fetching).await? else { return Ok(false) };
        let back = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
        answered(got.delivery.acker.nack(back)).await?;
        Ok(true)
    }
}
