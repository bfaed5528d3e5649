//! Publishing with confirms, over a pool of channels.
//!
//! Each channel has at most one unconfirmed message: with several, lapin can attribute a returned message to the wrong
//! publish. Only an ack without a returned message is success.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::authentic::Signer;
use amqp::{ANSWER, Channels, For, Link, discard, said};
use queue::QueueError;
use queue::delivery::Guard;

/// How long a message waits while the broker accepts none.
const BLOCKED_PATIENCE: Duration = Duration::from_mins(5);
/// How long a message waits for the connection.
const DOWN_PATIENCE: Duration = Duration::from_secs(30);
/// How many messages may be unconfirmed at once.
const MOST_CHANNELS: usize = 16;

pub(super) struct Publisher {
    link: Arc<Link>,
    channels: Channels,
    signer: Signer,
    /// Messages whose publish has an unknown outcome.
    unknown: AtomicU64,
}

#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) exchange: ShortString,
    pub(super) key: ShortString,
    pub(super) properties: BasicProperties,
    pub(super) body: Vec<u8>,
}

impl Publisher {
    pub(super) fn new(link: Link, signer: Signer) -> Result<Self, QueueError> {
        let link = Arc::new(link);
        let channels = Channels::new(Arc::clone(&link), For::Confirmed, MOST_CHANNELS)?;
        Ok(Self { link, channels, signer, unknown: AtomicU64::new(0) })
    }

    pub(super) fn unknown_outcomes(&self) -> u64 {
        self.unknown.load(Ordering::Relaxed)
    }

    pub(super) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// Waits while the broker accepts no messages.
    pub(super) async fn unblocked(&self) -> Result<(), QueueError> {
        self.unblocked_until(Instant::now() + BLOCKED_PATIENCE).await
    }

    /// Waits while the broker accepts no messages, but not beyond `until`.
    pub(super) async fn unblocked_until(&self, until: Instant) -> Result<(), QueueError> {
        let live = self.link.wait(DOWN_PATIENCE).await?;
        let mut blocked = live.blocked.clone();
        let open = tokio::time::timeout_at(until, blocked.wait_for(|blocked| !blocked)).await;
        open.map_err(|_| takes_nothing()).map(|_| ())
    }

    /// Publishes a message, which is durable in its queue when this returns.
    ///
    /// # Errors
    /// [`QueueError::UnknownOutcome`]: the broker may have accepted it, and publishing it again may duplicate it.
    pub(super) async fn publish(&self, message: &Message) -> Result<(), QueueError> {
        self.unblocked().await?;
        self.publish_now(message).await
    }

    /// Like [`Publisher::publish`], but fails at once while the broker accepts no messages.
    pub(super) async fn publish_now(&self, message: &Message) -> Result<(), QueueError> {
        if *self.link.live()?.blocked.borrow() {
            return Err(takes_nothing());
        }
        let published = self.try_publish(message).await;
        if matches!(published, Err(QueueError::UnknownOutcome(_))) {
            self.unknown.fetch_add(1, Ordering::Relaxed);
        }
        published
    }

    async fn try_publish(&self, message: &Message) -> Result<(), QueueError> {
        let opened = self.channels.take().await?;
        let (channel, runtime) = (opened.channel.clone(), Handle::current());
        // Unless it completes, the channel is discarded: a late confirm must not be taken for another message's.
        let unconfirmed = Guard::new(move || {
            let _entered = runtime.enter();
            discard(opened);
        });
        let (key, body) = (message.key.as_str(), &message.body);
        let properties = self.signer.signed(message.properties.clone(), key, body);
        match tokio::time::timeout(ANSWER, send(&channel, message, properties)).await {
            Ok(Ok(())) => {
                unconfirmed.disarm();
                Ok(())
            }
            Ok(Err(error)) => {
                drop(unconfirmed);
                if let Ok(live) = self.link.live() {
                    self.link.redeclare(&live).await;
                }
                Err(error)
            }
            Err(_) => {
                Err(QueueError::UnknownOutcome("the broker did not confirm a message in time".to_owned()))
            }
        }
    }
}

pub(super) fn takes_nothing() -> QueueError {
    QueueError::Unavailable("the broker takes no messages (memory or disk)".to_owned())
}

async fn send(channel: &Channel, message: &Message, properties: BasicProperties) -> Result<(), QueueError> {
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let (exchange, key) = (message.exchange.clone(), message.key.clone());
    let unknown = |error: lapin::Error| {
        QueueError::UnknownOutcome(format!(
            "whether the broker took a message is not known: {}",
            said(&error)
        ))
    };
    let confirm =
        channel.basic_publish(exchange, key, options, &message.body, properties).await.map_err(unknown)?;
    match confirm.await.map_err(unknown)? {
        Confirmation::Ack(None) => Ok(()),
        Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_)) => Err(QueueError::Unavailable(format!(
            "no queue takes messages for {:?}; it was deleted, and is made again at the next connection",
            message.key.as_str()
        ))),
        Confirmation::Nack(None) => {
            Err(QueueError::Unavailable("the broker refused a message; it may be full".to_owned()))
        }
        Confirmation::NotRequested => Err(QueueError::Broken("the channel confirms nothing".to_owned())),
    }
}
