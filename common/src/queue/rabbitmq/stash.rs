//! Messages that were fetched for a caller that went away. They are not kept: a broker that waits half an hour for an
//! acknowledgement closes the channel, and every delivery of the process is void.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Inner, RabbitQueue};
use crate::job::Job;

/// A caller that asks again does so at once; after this time nothing may be taken: a pause, an outage, no free place.
const UNCLAIMED: Duration = Duration::from_secs(5);

impl RabbitQueue {
    /// Sends back what was taken and not worked on. Given back instead, it would count as the job of a worker that
    /// died, and be outwaited.
    pub async fn close(&self) {
        self.send_back(Duration::ZERO).await;
    }

    /// Sends back what was fetched this long ago and is still unclaimed.
    async fn send_back(&self, age: Duration) {
        for taken in self.work.unclaimed(age) {
            let sent = match Job::decode(&taken.message.data) {
                Ok(job) if !taken.message.redelivered && !job.held => {
                    self.publish_job(job, None).await.is_ok()
                }
                Ok(_) | Err(_) => false,
            };
            if !sent || taken.acknowledge().await.is_err() {
                taken.give_back().await;
            }
        }
    }
}

/// Sends back what stays unclaimed, until it is stopped.
pub(super) fn keep_empty(inner: &Arc<Inner>, stop: CancellationToken) {
    let (work, inner) = (inner.work.clone(), Arc::downgrade(inner));
    tokio::spawn(async move { stop.run_until_cancelled(sweep(work, inner)).await });
}

async fn sweep(work: super::Intake, inner: Weak<Inner>) {
    loop {
        work.fetched().await;
        tokio::time::sleep(UNCLAIMED).await;
        let Some(inner) = inner.upgrade() else { return };
        RabbitQueue { inner }.send_back(UNCLAIMED).await;
    }
}
