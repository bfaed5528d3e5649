//! The arguments that a queue is declared with.

use std::time::Duration;

use lapin::types::{AMQPValue, FieldTable, ShortString};

/// Names the queue for dead letters. In the queue of the fleet's key it names the key: the broker compares it, and quotes it
/// where it differs.
pub(super) const ROUTING_KEY: &str = "x-dead-letter-routing-key";

/// Arguments of a queue.
#[derive(Clone)]
pub(super) struct Arguments(pub(super) FieldTable);

impl Arguments {
    /// For what is worth nothing a moment later, and where an exclusive consumer has to be the only one: quorum queues do not
    /// keep others away.
    pub(super) fn classic() -> Self {
        Self(FieldTable::default()).with("x-queue-type", AMQPValue::LongString("classic".into()))
    }

    pub(super) fn quorum(delivery_limit: i64) -> Self {
        Self(FieldTable::default())
            .with("x-queue-type", AMQPValue::LongString("quorum".into()))
            .with("x-delivery-limit", AMQPValue::LongLongInt(delivery_limit))
            // What at-least-once dead-lettering asks for; without a length limit nothing is ever rejected.
            .with("x-overflow", AMQPValue::LongString("reject-publish".into()))
    }

    pub(super) fn with(mut self, key: &str, value: AMQPValue) -> Self {
        self.0.insert(key.into(), value);
        self
    }

    /// At least once: a message leaves only when the target has confirmed it. Without a key it keeps its own.
    pub(super) fn dead_letter(self, exchange: &str, key: Option<ShortString>) -> Self {
        let routed = self
            .with("x-dead-letter-exchange", AMQPValue::LongString(exchange.into()))
            .with("x-dead-letter-strategy", AMQPValue::LongString("at-least-once".into()));
        match key {
            Some(key) => routed.with(ROUTING_KEY, AMQPValue::LongString(key.as_str().into())),
            None => routed,
        }
    }

    /// The most messages it keeps; the oldest are dropped.
    pub(super) fn most(self, count: i64) -> Self {
        self.with("x-max-length", AMQPValue::LongLongInt(count))
            .with("x-overflow", AMQPValue::LongString("drop-head".into()))
    }

    pub(super) fn ttl(self, ttl: Duration) -> Self {
        self.with("x-message-ttl", milliseconds(ttl))
    }

    pub(super) fn expires(self, after: Duration) -> Self {
        self.with("x-expires", milliseconds(after))
    }
}

fn milliseconds(duration: Duration) -> AMQPValue {
    AMQPValue::LongLongInt(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}
