//! Delivers notices while the work continues.

use std::time::Duration;

use common::failure::Failure;
use tokio::sync::{mpsc, oneshot};

use super::notice::Notice;
use super::notifier::Notifier;

/// Notices that wait; more are of a kind that waits already.
const MOST_WAITING: usize = 16;
/// How long a program that ends waits for its last notice.
const PATIENCE: Duration = Duration::from_secs(45);
/// How long one that a person stopped waits: a service manager ends it soon.
const PATIENCE_AT_STOP: Duration = Duration::from_secs(5);

/// A way to notify people; clones share it. Without receivers, it does nothing.
#[derive(Debug, Clone)]
pub struct Notices {
    queue: Option<mpsc::Sender<Order>>,
}

#[derive(Debug)]
enum Order {
    Deliver(Notice),
    /// All before this one have been delivered, or cannot be.
    Report(oneshot::Sender<()>),
}

impl Notices {
    /// Delivers in the background from now on.
    pub fn start(mut notifier: Notifier) -> Self {
        if !notifier.has_receivers() {
            return Self { queue: None };
        }
        let (queue, mut orders) = mpsc::channel(MOST_WAITING);
        // It ends with the last sender.
        tasks::brief(async move {
            while let Some(order) = orders.recv().await {
                match order {
                    Order::Deliver(notice) => notifier.deliver(&notice).await,
                    Order::Report(delivered) => drop(delivered.send(())),
                }
            }
        });
        Self { queue: Some(queue) }
    }

    /// Delivers the notice in the background, unless one of its kind was delivered lately.
    pub fn send(&self, notice: Notice) {
        if let Some(queue) = &self.queue {
            // Those that wait are of the same kinds.
            let _ = queue.try_send(Order::Deliver(notice));
        }
    }

    /// Notifies of how a program ended, unless a person stopped it, and waits a while for this and earlier deliveries.
    pub async fn conclude(&self, ended: &Result<(), Failure>, was_stopped: bool) {
        let Some(queue) = &self.queue else { return };
        let patience = if was_stopped { PATIENCE_AT_STOP } else { PATIENCE };
        if let Some(notice) = ended.as_ref().err().and_then(Notice::of).filter(|_| !was_stopped) {
            self.send(notice);
        }
        let (report, delivered) = oneshot::channel();
        let concluding = async {
            queue.send(Order::Report(report)).await.ok();
            delivered.await.ok();
        };
        if tokio::time::timeout(patience, concluding).await.is_err() {
            tracing::warn!("the last notification is given up");
        }
    }
}
