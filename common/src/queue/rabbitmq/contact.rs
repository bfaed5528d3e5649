//! How long ago the broker was heard of.
//!
//! A lease dies with its connection, but the broker may know of that before this process does: a paused process,
//! a black hole. So whoever is about to change something asks first whether the broker answered lately.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapin::options::BasicQosOptions;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::super::QueueError;
use super::link::{ANSWER, Link, Live, answered};
use crate::boot_clock::since_boot;
use crate::task;

/// Older contact gives no right to change anything. The broker gives a silent connection up after 20 s, twice the
/// heartbeat, so nobody else can hold the lease before.
const FRESH: Duration = Duration::from_secs(6);
/// How often the broker is asked for a sign of life.
const EVERY: Duration = Duration::from_secs(2);

/// When the broker last answered.
#[derive(Clone, Default)]
pub(super) struct Contact {
    /// Time since boot, suspended time included: [`std::time::Instant`] stands still while a machine sleeps.
    last: Arc<Mutex<Option<Duration>>>,
}

impl Contact {
    /// Keeps in contact over this connection, and over each that replaces it, until the guard is dropped.
    pub(super) fn keep(&self, link: Arc<Link>) -> DropGuard {
        let stop = CancellationToken::new();
        let (contact, stopped) = (self.clone(), stop.clone());
        task::lasting(async move {
            let keeping = async {
                loop {
                    if let Ok(live) = link.wait(ANSWER).await {
                        contact.keep_over(&live).await;
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            };
            stopped.run_until_cancelled(keeping).await;
        });
        stop.drop_guard()
    }

    async fn keep_over(&self, live: &Live) {
        let Ok(channel) = live.channel().await else { return };
        loop {
            let asked = since_boot();
            // Any answer will do; this one touches no queue.
            let answer =
                live.lost.run_until_cancelled(answered(channel.basic_qos(1, BasicQosOptions::default())));
            match answer.await {
                // The answer proves contact at the time of the question, not at its own.
                Some(Ok(())) => self.heard(asked),
                Some(Err(_)) | None => return,
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

/// Whether contact at `last` gives the right to change something now. Without a clock it does not.
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
