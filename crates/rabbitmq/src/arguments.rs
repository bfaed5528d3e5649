//! The arguments of queue declarations.

use std::time::Duration;

use lapin::types::{AMQPValue, FieldTable, ShortString};

/// The routing key for dead letters. The queue of the fleet's key stores the key's fingerprint here: the broker
/// compares this argument, and quotes it when it differs.
pub(super) const ROUTING_KEY: &str = "x-dead-letter-routing-key";

#[derive(Clone)]
pub(super) struct Arguments(pub(super) FieldTable);

impl Arguments {
    /// For messages that are worthless a moment later, and for exclusive consumers: quorum queues do not keep a second
    /// consumer out.
    pub(super) fn classic() -> Self {
        Self(FieldTable::default()).with("x-queue-type", AMQPValue::LongString("classic".into()))
    }

    pub(super) fn quorum(delivery_limit: i64) -> Self {
        Self(FieldTable::default())
            .with("x-queue-type", AMQPValue::LongString("quorum".into()))
            .with("x-delivery-limit", AMQPValue::LongLongInt(delivery_limit))
            // At-least-once dead-lettering requires this; without a length limit nothing is ever rejected.
            .with("x-overflow", AMQPValue::LongString("reject-publish".into()))
    }

    pub(super) fn with(mut self, key: &str, value: AMQPValue) -> Self {
        self.0.insert(key.into(), value);
        self
    }

    /// Dead-letters at least once: a message leaves only after the target confirmed it. Without `key` it keeps its
    /// routing key.
    pub(super) fn dead_letter(self, exchange: &str, key: Option<ShortString>) -> Self {
        let routed = self
            .with("x-dead-letter-exchange", AMQPValue::LongString(exchange.into()))
            .with("x-dead-letter-strategy", AMQPValue::LongString("at-least-once".into()));
        match key {
            Some(key) => routed.with(ROUTING_KEY, AMQPValue::LongString(key.as_str().into())),
            None => routed,
        }
    }

    /// Keeps at most `count` messages; the oldest are dropped.
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
