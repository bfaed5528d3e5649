//! Messages of a newer release that works in the same fleet: this release puts them off instead of rejecting them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::feed::Received;
use super::message::properties;
use super::publisher::Message;
use super::{Broker, Connections};
use amqp::message::LOST;
use queue::QueueError;

/// How long such a message waits before it is delivered again, perhaps to a process that can read it.
const LATER: Duration = Duration::from_mins(1);
/// The prefix of headers that the broker adds.
const OF_THE_BROKER: &str = "x-";

impl Connections {
    /// Sends a message unchanged through a wait queue, back to the queue that it came from. The caller acknowledges it.
    pub(super) async fn put_off(&self, queue: &ShortString, message: &Delivery) -> Result<(), QueueError> {
        if self.newer.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(%queue, "a message of a newer release waits for a process that can read it; update this one");
        }
        let id = message.properties.message_id().as_ref().map_or("", ShortString::as_str);
        let properties = properties(id, None).with_headers(kept(message));
        let exchange = self.topology.wait(LATER);
        self.publish_surely(Message { exchange, key: queue.clone(), properties, body: message.data.clone() })
            .await
    }

    /// The same, and acknowledges the message. If that fails, the message is requeued.
    pub(super) async fn put_off_taken(&self, taken: &Received) -> Result<(), QueueError> {
        let put_off = async {
            self.put_off(&taken.queue, &taken.message).await?;
            taken.acknowledge().await
        };
        let ended = put_off.await;
        if ended.is_err() {
            taken.give_back().await;
        }
        ended
    }
}

impl Broker {
    /// How often this process put off a message of a newer release.
    pub fn put_off(&self) -> u64 {
        self.shared.newer.load(Ordering::Relaxed)
    }
}

/// The sender's headers, and the mark of a lost delivery.
fn kept(message: &Delivery) -> FieldTable {
    let mut kept = FieldTable::default();
    let headers = message.properties.headers().iter().flat_map(FieldTable::inner);
    for (name, value) in headers.filter(|(name, _)| !name.as_str().starts_with(OF_THE_BROKER)) {
        kept.insert(name.clone(), value.clone());
    }
    if message.redelivered {
        kept.insert(LOST.into(), AMQPValue::Boolean(true));
    }
    kept
}

/// Whether a delivery of the message may have been lost, now or before it was put off.
pub(super) fn may_be_lost(message: &Delivery) -> bool {
    let headers = message.properties.headers().as_ref();
    message.redelivered || headers.is_some_and(|headers| headers.inner().contains_key(LOST))
}
