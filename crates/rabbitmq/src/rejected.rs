//! Messages that cannot be used: set aside for a person, so that they do not block the messages behind them.

use std::sync::atomic::Ordering;

use lapin::types::{AMQPValue, ShortString};

use super::message::properties;
use super::publisher::Message;
use super::{Broker, Connections};
use http_client::excerpt;
use queue::QueueError;

impl Connections {
    /// Publishes a copy of a message to the rejected queue, with the reason. The caller acknowledges the message
    /// itself.
    pub(super) async fn set_aside(&self, body: &[u8], reason: &str) -> Result<(), QueueError> {
        let reason = excerpt(reason);
        tracing::error!(reason, queue = %self.topology.rejected(), "a message is set aside");
        let mut properties = properties("rejected", None);
        let mut headers = properties.headers().clone().unwrap_or_default();
        headers.insert("reason".into(), AMQPValue::LongString(reason.into()));
        properties = properties.with_headers(headers);
        let (exchange, key) = (ShortString::default(), self.topology.rejected());
        self.publish_surely(Message { exchange, key, properties, body: body.to_vec() }).await?;
        self.rejected.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

impl Broker {
    /// How many messages this process has set aside.
    pub fn rejected(&self) -> u64 {
        self.shared.rejected.load(Ordering::Relaxed)
    }
}
