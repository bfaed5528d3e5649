//! Sends back messages that no step has begun: when a broker has waited half an hour for an ack, it closes the channel,
//! which voids every delivery on it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Connections;
use super::feed::{Feed, Received};
use super::newer::may_be_lost;
use common::job::{Job, MessageError};

/// Longer than a working broker needs. One short of memory or disk accepts no messages, but it does requeue these.
const PATIENCE: Duration = Duration::from_secs(20);

/// Publishes messages again, unchanged, to their queues. Requeued instead, they would look like jobs of a worker that
/// died, and would have to wait as suspect.
pub(super) async fn send_back(messages: Vec<Received>, shared: &Connections) {
    let until = Instant::now() + PATIENCE;
    for taken in messages.into_iter().filter(Received::is_valid) {
        let sending = async {
            match Job::decode(&taken.message.data) {
                // Only authentic messages, since publishing one signs it.
                Ok(job) if shared.is_authentic(&taken.queue, &taken.message) => {
                    let held = job.held || may_be_lost(&taken.message);
                    shared.publish_as_it_is(Job { held, ..job }, None).await.is_ok()
                }
                Err(MessageError::Newer(_)) if shared.is_authentic(&taken.queue, &taken.message) => {
                    shared.put_off(&taken.queue, &taken.message).await.is_ok()
                }
                Ok(_) | Err(_) => false,
            }
        };
        let sent = tokio::time::timeout_at(until, sending).await.unwrap_or(false);
        if !sent || taken.acknowledge().await.is_err() {
            taken.give_back().await;
        }
    }
}

/// Sends back unclaimed messages until stopped.
pub(super) fn keep_empty(feed: &Feed, shared: &Arc<Connections>, stop: CancellationToken) {
    let (feed, shared) = (feed.clone(), Arc::downgrade(shared));
    tasks::lasting(stop.run_until_cancelled_owned(sweep(feed, shared)));
}

async fn sweep(feed: Feed, shared: Weak<Connections>) {
    loop {
        let unclaimed = feed.unclaimed().await;
        let Some(shared) = shared.upgrade() else { return };
        send_back(unclaimed, &shared).await;
    }
}
