//! Failed jobs on the broker: looked at, sent back, forgotten.
//!
//! A queue can be looked into only by taking its messages. So a pass takes them one by one on a channel of its own,
//! deals with those that are meant, and closes the channel: the broker puts the rest back where they were.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use lapin::Channel;
use lapin::options::BasicGetOptions;
use lapin::types::ShortString;
use tokio::time::Instant;

use super::super::{FailedFilter, FailedJob, QueueError};
use super::intake::Taken;
use super::link::{ANSWER, Live, answered};
use super::message::{Failed, job_properties};
use super::publisher::{Message, Publisher};
use super::topology::Topology;
use crate::job::{Job, JobId};
use crate::outcome::Outcome;

/// Failed jobs shown at once.
const MOST_SHOWN: usize = 1000;
/// Failed jobs that one pass goes over.
const MOST_PASSED: usize = 100_000;

/// A pass over the failed jobs.
pub(super) struct Pass<'a> {
    channel: Channel,
    live: Live,
    left: usize,
    topology: &'a Topology,
    publisher: &'a Publisher,
}

impl<'a> Pass<'a> {
    pub(super) async fn start(
        live: Live,
        topology: &'a Topology,
        publisher: &'a Publisher,
    ) -> Result<Self, QueueError> {
        let channel = live.channel().await?;
        Ok(Self { channel, live, left: MOST_PASSED, topology, publisher })
    }

    /// Failed jobs that match, the oldest first; of a job that failed more than once, the latest.
    pub(super) async fn list(mut self, filter: &FailedFilter) -> Result<Vec<FailedJob>, QueueError> {
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

    /// Sends jobs back to their step: confirmed there before it is taken away here.
    pub(super) async fn replay(mut self, jobs: &HashSet<JobId>) -> Result<u64, QueueError> {
        // A job may stand here twice; the later record has come further.
        let mut latest: HashMap<JobId, (Timestamp, Job, Vec<Taken>)> = HashMap::new();
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
            let message = Message {
                exchange: ShortString::default(),
                key: self.topology.queue_of(&job),
                properties: job_properties(&job),
                body: job.encode()?,
            };
            self.publisher.publish(&message).await?;
            crate::fault::crash_point("replay.published");
            for record in records {
                record.acknowledge().await?;
            }
        }
        self.end().await;
        Ok(replayed)
    }

    /// Forgets jobs.
    pub(super) async fn discard(mut self, jobs: &HashSet<JobId>) -> Result<u64, QueueError> {
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

    async fn next(&mut self) -> Result<Option<(Failed, Taken)>, QueueError> {
        while self.left > 0 {
            self.left -= 1;
            let queue = self.topology.failed();
            let at = Instant::now();
            let Some(got) = answered(self.channel.basic_get(queue, BasicGetOptions::default())).await? else {
                break;
            };
            let taken = Taken { message: got.delivery, lost: self.live.lost.clone(), at };
            match Failed::decode(&taken.message.data) {
                Ok(failed) => return Ok(Some((failed, taken))),
                Err(error) => tracing::warn!(%error, "a failed job cannot be read; it stays where it is"),
            }
        }
        Ok(None)
    }

    /// Puts back whatever was not acknowledged. An error on the way does so too, since the channel is dropped.
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
