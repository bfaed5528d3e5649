//! Failed jobs on the broker: listed, replayed, discarded.
//!
//! A queue can be read only by taking its messages. So a pass takes them one by one on a channel of its own, handles
//! those that match, and closes the channel: the broker requeues the rest in their old places.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use lapin::Channel;
use lapin::options::BasicGetOptions;
use lapin::types::ShortString;
use tokio::time::Instant;

use super::connection::{ANSWER, Live, answered};
use super::feed::Received;
use super::message::{Failed, job_properties};
use super::publisher::Message;
use super::{Broker, Connections};
use common::job::{Job, JobId};
use common::outcome::Outcome;
use queue::{FailedFilter, FailedJob, FailedJobs, QueueError};

/// The most failed jobs listed at once.
const MOST_SHOWN: usize = 1000;
/// The most failed jobs in one pass.
const MOST_PASSED: usize = 100_000;

/// The failed jobs of a deployment.
#[derive(Clone)]
pub struct RabbitFailedJobs {
    shared: Arc<Connections>,
}

impl Broker {
    /// The failed jobs of this deployment.
    pub fn failed_jobs(&self) -> RabbitFailedJobs {
        RabbitFailedJobs { shared: Arc::clone(&self.shared) }
    }
}

#[async_trait]
impl FailedJobs for RabbitFailedJobs {
    async fn list(&self, filter: &FailedFilter) -> Result<Vec<FailedJob>, QueueError> {
        Pass::start(&self.shared).await?.list(filter).await
    }

    async fn replay(&self, jobs: &HashSet<JobId>) -> Result<u64, QueueError> {
        Pass::start(&self.shared).await?.replay(jobs).await
    }

    async fn discard(&self, jobs: &HashSet<JobId>) -> Result<u64, QueueError> {
        Pass::start(&self.shared).await?.discard(jobs).await
    }
}

/// A pass over the failed jobs.
struct Pass<'a> {
    channel: Channel,
    live: Live,
    left: usize,
    shared: &'a Connections,
}

impl<'a> Pass<'a> {
    async fn start(shared: &'a Connections) -> Result<Self, QueueError> {
        let live = shared.consume_link.wait(ANSWER).await?;
        let channel = live.channel().await?;
        Ok(Self { channel, live, left: MOST_PASSED, shared })
    }

    /// The matching failed jobs, oldest first; of a job that failed more than once, only the latest record.
    async fn list(mut self, filter: &FailedFilter) -> Result<Vec<FailedJob>, QueueError> {
        let mut found: Vec<FailedJob> = Vec::new();
        while let Some((failed, _)) = self.next().await? {
            if found.len() < MOST_SHOWN && matches(filter, &failed) {
                found.retain(|known| known.event.job_id != failed.event.job_id);
                found.push(FailedJob { job: failed.job, event: failed.event, unreadable: failed.unreadable });
            }
        }
        self.end().await;
        Ok(found)
    }

    /// Sends jobs back to their step. A record is acknowledged only after the job is confirmed there.
    async fn replay(mut self, jobs: &HashSet<JobId>) -> Result<u64, QueueError> {
        // A job may be recorded twice; the later record has got further.
        let mut latest: HashMap<JobId, (Timestamp, Job, Vec<Received>)> = HashMap::new();
        while let Some((failed, taken)) = self.next().await? {
            let at = failed.event.at;
            let Some(job) = failed.job.filter(|job| jobs.contains(&job.job_id)) else { continue };
            let id = job.job_id.clone();
            let (known_at, known, records) =
                latest.entry(id).or_insert_with(|| (at, job.clone(), Vec::new()));
            if at > *known_at {
                (*known_at, *known) = (at, job);
            }
            records.push(taken);
        }
        let replayed = latest.len() as u64;
        for (_, mut job, records) in latest.into_values() {
            job.forget_attempts();
            // By replaying it, a person vouches that the job is for this portal, whose address may have changed.
            job.portal = job.portal.map(|_| self.shared.topology.for_portal().to_owned());
            let message = Message {
                exchange: ShortString::default(),
                key: self.shared.topology.queue_of(&job),
                properties: job_properties(&job),
                body: job.encode()?,
            };
            self.shared.publisher.publish(&message).await?;
            common::fault::crash_point("replay.published");
            for record in records {
                record.acknowledge().await?;
            }
        }
        self.end().await;
        Ok(replayed)
    }

    /// Deletes failed jobs.
    async fn discard(mut self, jobs: &HashSet<JobId>) -> Result<u64, QueueError> {
        let mut discarded = HashSet::new();
        while let Some((failed, taken)) = self.next().await? {
            if jobs.contains(&failed.event.job_id) {
                taken.acknowledge().await?;
                discarded.insert(failed.event.job_id);
            }
        }
        self.end().await;
        Ok(discarded.len() as u64)
    }

    async fn next(&mut self) -> Result<Option<(Failed, Received)>, QueueError> {
        while self.left > 0 {
            self.left -= 1;
            let queue = self.shared.topology.failed();
            let at = Instant::now();
            let Some(got) =
                answered(self.channel.basic_get(queue.clone(), BasicGetOptions::default())).await?
            else {
                break;
            };
            let (message, lost) = (got.delivery, self.live.lost.clone());
            let taken = Received { message, queue, lost, at, slot: None, _counted: None };
            if !self.shared.is_authentic(&taken.queue, &taken.message) {
                tracing::warn!("a failed job is not signed by a key of this fleet; it is left out");
                continue;
            }
            match Failed::decode(&taken.message.data) {
                Ok(failed) => return Ok(Some((failed, taken))),
                Err(error) => tracing::warn!(%error, "a failed job cannot be read; it stays where it is"),
            }
        }
        Ok(None)
    }

    /// Requeues whatever was not acknowledged. After an error, dropping the channel does the same.
    async fn end(self) {
        let _ = tokio::time::timeout(ANSWER, self.channel.close(200, "done".into())).await;
    }
}

fn matches(filter: &FailedFilter, failed: &Failed) -> bool {
    let event = &failed.event;
    let class = match &event.outcome {
        Outcome::Failed(failure) => Some(failure.class),
        _ => None,
    };
    filter.job.as_ref().is_none_or(|job| *job == event.job_id)
        && filter.asset.as_ref().is_none_or(|asset| *asset == event.asset_id)
        && filter.class.is_none_or(|wanted| Some(wanted) == class)
}
