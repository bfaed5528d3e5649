//! Reuses the channels of a connection: opening and closing a channel costs the broker more than what most channels are
//! opened for.

use std::sync::Arc;

use deadpool::managed::{Manager, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult, Timeouts};
use lapin::Channel;
use lapin::options::{BasicQosOptions, ConfirmSelectOptions};

use super::connection::{ANSWER, Live, answered};
use super::consuming::close;
use super::link::Link;
use queue::QueueError;

/// A pool of channels, each with one user at a time.
#[derive(Clone)]
pub struct Channels {
    pool: Pool<Opening>,
}

/// A channel, and its connection.
pub struct Opened {
    pub live: Live,
    pub channel: Channel,
}

/// A channel that returns to its pool when it is dropped.
pub type Pooled = Object<Opening>;

/// How the channels of a pool are opened.
pub struct Opening {
    link: Arc<Link>,
    purpose: For,
}

/// What the channels of a pool are for.
#[derive(Clone, Copy)]
pub enum For {
    /// Publishing with confirms.
    Confirmed,
    /// Publishing without confirms.
    Unconfirmed,
    /// Consuming, with this prefetch limit.
    Consuming(u16),
}

impl Channels {
    /// Opens channels over the link's current connection, at most `most` of them in use at once.
    pub fn new(link: Arc<Link>, purpose: For, most: usize) -> Result<Self, QueueError> {
        let timeouts = Timeouts { wait: Some(ANSWER), create: None, recycle: None };
        let pool = Pool::builder(Opening { link, purpose })
            .max_size(most)
            .timeouts(timeouts)
            .runtime(deadpool::Runtime::Tokio1)
            .build()
            .map_err(|error| QueueError::Broken(error.to_string()))?;
        Ok(Self { pool })
    }

    /// Acquires an unused channel, or opens one.
    pub async fn take(&self) -> Result<Pooled, QueueError> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error,
            other => QueueError::Unavailable(format!("no channel to the broker: {other}")),
        })
    }
}

/// Closes a channel that must not be reused: a late answer would be taken for the answer to another request.
pub fn discard(channel: Pooled) {
    let Opened { channel, .. } = Object::take(channel);
    close(&channel);
}

impl Manager for Opening {
    type Type = Opened;
    type Error = QueueError;

    async fn create(&self) -> Result<Opened, QueueError> {
        let live = self.link.live()?;
        let channel = live.channel().await?;
        match self.purpose {
            For::Confirmed => answered(channel.confirm_select(ConfirmSelectOptions::default())).await?,
            For::Unconfirmed => {}
            For::Consuming(most) => answered(channel.basic_qos(most, BasicQosOptions::default())).await?,
        }
        Ok(Opened { live, channel })
    }

    async fn recycle(&self, opened: &mut Opened, _: &Metrics) -> RecycleResult<QueueError> {
        if opened.channel.status().connected() && !opened.live.lost.is_cancelled() {
            Ok(())
        } else {
            Err(RecycleError::message("the channel is closed"))
        }
    }
}
