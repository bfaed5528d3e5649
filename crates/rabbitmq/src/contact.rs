//! When a majority of the broker's nodes last answered.
//!
//! A lease dies with its connection, but the broker may notice that before this process does: after a suspended
//! process, with packets that vanish, or on a node cut off from the others. So a process checks, before it changes
//! anything, that the broker answered recently. The question is to purge a quorum queue that is always empty, over the
//! lease connection: a single node cannot answer it, and it needs no message, which a broker short of memory would not
//! accept.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapin::options::QueuePurgeOptions;
use lapin::types::ShortString;
use tokio_util::sync::{CancellationToken, DropGuard};

use amqp::{ANSWER, Link, Live, answered};
use common::boot_clock::since_boot;
use queue::QueueError;

/// Older contact does not allow any change. The broker drops a silent connection after 20 s, twice the heartbeat, so no
/// other process can hold the lease before then.
const FRESH: Duration = Duration::from_secs(6);
/// How often the broker is asked.
const EVERY: Duration = Duration::from_secs(2);

/// When the broker last answered.
#[derive(Clone, Default)]
pub(super) struct Contact {
    /// Time since boot, including suspension, during which [`std::time::Instant`] does not advance.
    last: Arc<Mutex<Option<Duration>>>,
}

impl Contact {
    /// Keeps contact over this connection and its successors until the guard is dropped.
    pub(super) fn keep(&self, link: Arc<Link>, queue: ShortString) -> DropGuard {
        let stop = CancellationToken::new();
        let (contact, stopped) = (self.clone(), stop.clone());
        tasks::lasting(async move {
            let keeping = async {
                loop {
                    if let Ok(live) = link.wait(ANSWER).await {
                        contact.keep_over(&link, &live, &queue).await;
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            };
            stopped.run_until_cancelled(keeping).await;
        });
        stop.drop_guard()
    }

    async fn keep_over(&self, link: &Link, live: &Live, queue: &ShortString) {
        let Ok(channel) = live.channel().await else { return };
        loop {
            let asked = since_boot();
            let purging = channel.queue_purge(queue.clone(), QueuePurgeOptions::default());
            let answer = live.lost.run_until_cancelled(answered(purging));
            match answer.await {
                // Proves contact at the time of the question, not of the answer.
                Some(Ok(_)) => self.heard(asked),
                Some(Err(error)) => {
                    tracing::warn!(%error, "no majority of the broker's nodes answers; nothing is changed for now");
                    return link.redeclare(live).await;
                }
                None => return,
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    fn heard(&self, at: Option<Duration>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    /// Fails unless the broker answered within the last six seconds.
    pub(super) fn check(&self) -> Result<(), QueueError> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if is_fresh(last, since_boot()) {
            return Ok(());
        }
        Err(QueueError::Unavailable(
            "the broker was not heard of for six seconds; nothing is changed until it answers".to_owned(),
        ))
    }
}

/// Whether contact at `last` allows a change at `now`. Without a clock nothing does.
fn is_fresh(last: Option<Duration>, now: Option<Duration>) -> bool {
    last.zip(now).is_some_and(|(last, now)| now.saturating_sub(last) < FRESH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contact_is_fresh_for_six_seconds_and_never_without_a_clock() {
        let at = |seconds| Some(Duration::from_secs(seconds));
        assert!(is_fresh(at(100), at(105)));
        assert!(!is_fresh(at(100), at(106)));
        assert!(!is_fresh(None, at(5)));
        assert!(!is_fresh(at(5), None));
        assert!(!is_fresh(None, None));
    }
}
