//! Channels of one connection that are used again: opening and closing one costs the broker more than what most are
//! opened for.

use std::sync::Arc;

use deadpool::managed::{Manager, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult, Timeouts};
use lapin::Channel;
use lapin::options::{BasicQosOptions, ConfirmSelectOptions};

use super::consuming::close;
use super::link::{ANSWER, Link, Live, answered};
use queue::QueueError;

/// A pool of channels, each for one user at a time.
#[derive(Clone)]
pub(super) struct Channels {
    pool: Pool<Opening>,
}

/// A channel, and the connection that it belongs to.
pub(super) struct Opened {
    pub(super) live: Live,
    pub(super) channel: Channel,
}

/// How the channels of a pool are opened.
pub(super) struct Opening {
    link: Arc<Link>,
    purpose: For,
}

/// What the channels of a pool are for.
#[derive(Clone, Copy)]
pub(super) enum For {
    /// Publishing what the broker confirms.
    Confirmed,
    /// Publishing what it does not.
    Unconfirmed,
    /// Consuming, with at most this many messages unacknowledged.
    Consuming(u16),
}

impl Channels {
    /// Over whatever connection the link has; at most `most` in use at once.
    pub(super) fn new(link: Arc<Link>, purpose: For, most: usize) -> Result<Self, QueueError> {
        let timeouts = Timeouts { wait: Some(ANSWER), create: None, recycle: None };
        let pool = Pool::builder(Opening { link, purpose })
            .max_size(most)
            .timeouts(timeouts)
            .runtime(deadpool::Runtime::Tokio1)
            .build()
            .map_err(|error| QueueError::Broken(error.to_string()))?;
        Ok(Self { pool })
    }

    /// A channel that is not in use.
    pub(super) async fn take(&self) -> Result<Object<Opening>, QueueError> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error,
            other => QueueError::Unavailable(format!("no channel to the broker: {other}")),
        })
    }
}

/// Closes a channel that must not be used again: an answer that is still to come would be taken for another's.
pub(super) fn discard(channel: Object<Opening>) {
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
