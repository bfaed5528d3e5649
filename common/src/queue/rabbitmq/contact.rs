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
        tokio::spawn(async move {
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
                Some(Ok(())) => self.heard_at(asked),
                Some(Err(_)) | None => return,
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    fn heard_at(&self, time: Duration) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(time);
    }

    /// Fails unless the broker answered within the last six seconds.
    pub(super) fn check(&self) -> Result<(), QueueError> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match last {
            Some(last) if since_boot().saturating_sub(last) < FRESH => Ok(()),
            Some(_) | None => Err(QueueError::Unavailable(
                "the broker was not heard of for six seconds; nothing is changed until it answers".to_owned(),
            )),
        }
    }
}
