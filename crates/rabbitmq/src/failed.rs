//! Failed jobs on the broker: listed, replayed, discarded.
//!
//! A queue can be read only by taking its messages. So a pass takes them one by one on a channel of its own, handles
//! those that match, and closes the channel: the broker requeues the rest in their old places.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use lapin::Channel;
use lapin::options::{BasicGetOptions, BasicNackOptions};
use lapin::types::ShortString;
use tokio::time::Instant;

use super::feed::Received;
use super::message::{Failed, encode_dropped, job_properties, properties};
use super::publisher::Message;
use super::{Broker, Connections};
use amqp::{ANSWER, Live, answered};
use common::job::{JobId, MessageError};
use queue::{FailedFilter, FailedJob, FailedJobs, OnProgress, QueueError, Records, Selection};

/// The most failed jobs listed at once.
const MOST_SHOWN: usize = 1000;
/// The most bytes of their messages: decoded, they take several times as much memory.
const MOST_SHOWN_BYTES: usize = 16 << 20;
/// The most failed jobs in one pass.
const MOST_PASSED: usize = 100_000;
/// How many jobs a pass handles between two reports of its progress.
const STRIDE: u64 = 1000;

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

    async fn select(&self, filter: &FailedFilter, progress: OnProgress<'_>) -> Result<Selection, QueueError> {
        Pass::start(&self.shared).await?.select(filter, progress).await
    }

    async fn replay(&self, jobs: &Selection, progress: OnProgress<'_>) -> Result<u64, QueueError> {
        Pass::start(&self.shared).await?.replay(jobs, progress).await
    }

    async fn forget(&self, jobs: &Selection, progress: OnProgress<'_>) -> Result<u64, QueueError> {
        Pass::start(&self.shared).await?.forget(jobs, progress).await
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
    left_out: LeftOut,
    shared: &'a Connections,
}

/// The messages that a pass left where they are. There may be many, so they are logged in one line of each kind, however the pass
/// ends.
#[derive(Default)]
struct LeftOut {
    unsigned: u64,
    /// Their number and the first one's error.
    unreadable: Option<(u64, MessageError)>,
}

impl LeftOut {
    fn note_unreadable(&mut self, error: MessageError) {
        self.unreadable.get_or_insert((0, error)).0 += 1;
    }

    fn lines(&self) -> impl Iterator<Item = String> {
        let unsigned = (self.unsigned > 0)
            .then(|| format!("failed jobs that no key of this fleet signed, left out: {}", self.unsigned));
        let unreadable = self.unreadable.as_ref().map(|(count, first)| {
            format!(
                "failed jobs that cannot be read and stay where they are: {count}, the first because {first}"
            )
        });
        unsigned.into_iter().chain(unreadable)
    }
}

impl Drop for LeftOut {
    fn drop(&mut self) {
        self.lines().for_each(|line| tracing::warn!("{line}"));
    }
}

impl<'a> Pass<'a> {
    async fn start(shared: &'a Connections) -> Result<Self, QueueError> {
        let live = shared.consume_link.wait(ANSWER).await?;
        let channel = live.channel().await?;
        Ok(Self { channel, live, left: MOST_PASSED, left_out: LeftOut::default(), shared })
    }

    /// The matching failed jobs, oldest first; of a job that failed more than once, only the latest record.
    async fn list(mut self, filter: &FailedFilter) -> Result<Vec<FailedJob>, QueueError> {
        let mut found: Vec<FailedJob> = Vec::new();
        let mut bytes = 0;
        while let Some((failed, taken)) = self.next().await? {
            if found.len() < MOST_SHOWN && bytes < MOST_SHOWN_BYTES && filter.matches(&failed.event) {
                bytes += taken.message.data.len();
                found.retain(|known| known.event.job_id != failed.event.job_id);
                let Failed { event, job, unreadable } = failed;
                found.push(FailedJob { job, event, unreadable }.shown());
            }
        }
        self.end().await;
        Ok(found)
    }

    /// The failed jobs of which a record matches.
    async fn select(
        mut self,
        filter: &FailedFilter,
        progress: OnProgress<'_>,
    ) -> Result<Selection, QueueError> {
        let (mut records, mut matching, mut passed) = (Selection::new(), HashSet::new(), 0);
        while let Some((failed, _)) = self.next().await? {
            passed += 1;
            report(passed, progress);
            let (event, has_job) = (failed.event, failed.job.is_some());
            if filter.matches(&event) {
                matching.insert(event.job_id.clone());
            }
            // A record that does not match may be later, and have got further.
            let records: &mut Records = records.entry(event.job_id).or_default();
            records.seen.insert(event.at);
            records.latest = records.latest.max(has_job.then_some(event.at));
        }
        self.end().await;
        records.retain(|job, _| matching.contains(job));
        Ok(records)
    }

    /// Sends jobs back to their step. A record is acknowledged only after the job is confirmed there.
    async fn replay(mut self, jobs: &Selection, progress: OnProgress<'_>) -> Result<u64, QueueError> {
        let mut replayed = HashSet::new();
        let mut earlier: HashMap<JobId, Vec<Received>> = HashMap::new();
        while let Some((failed, mut taken)) = self.next().await? {
            let (id, at) = (failed.event.job_id, failed.event.at);
            let Some(records) = jobs.get(&id).filter(|records| records.seen.contains(&at)) else { continue };
            if replayed.contains(&id) {
                // A copy.
                taken.acknowledge().await?;
                continue;
            }
            let Some(mut job) = failed.job.filter(|_| records.latest == Some(at)) else {
                if records.latest.is_some() {
                    // Only acknowledged: there may be many, of any size.
                    taken.message.data = Vec::new();
                    earlier.entry(id).or_default().push(taken);
                }
                continue;
            };
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
            for record in earlier.remove(&id).into_iter().flatten().chain([taken]) {
                record.acknowledge().await?;
            }
            replayed.insert(id);
            report(replayed.len(), progress);
        }
        self.end().await;
        Ok(replayed.len() as u64)
    }

    /// Deletes failed jobs at a person's request, after a note of it is sent to the producer's ledger.
    async fn forget(mut self, jobs: &Selection, progress: OnProgress<'_>) -> Result<u64, QueueError> {
        let mut forgotten = HashSet::new();
        while let Some((failed, taken)) = self.next().await? {
            let (id, at) = (&failed.event.job_id, failed.event.at);
            if jobs.get(id).is_none_or(|records| !records.seen.contains(&at)) {
                continue;
            }
            let message = Message {
                exchange: ShortString::default(),
                key: self.shared.topology.results(),
                properties: properties(&id.0, None),
                body: encode_dropped(&failed.event)?,
            };
            self.shared.publisher.publish(&message).await?;
            taken.acknowledge().await?;
            forgotten.insert(failed.event.job_id);
            report(forgotten.len(), progress);
        }
        self.end().await;
        Ok(forgotten.len() as u64)
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
            if self.left == 0 {
                tracing::warn!(
                    "the queue of failed jobs has more than {MOST_PASSED}, and the later ones are not looked at"
                );
            }
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
                self.left_out.unsigned += 1;
                continue;
            }
            match Failed::decode(&taken.message.data) {
                Ok(failed) => return Ok(Some((failed, taken))),
                Err(error) => self.left_out.note_unreadable(error),
            }
        }
        Ok(None)
    }

    /// Requeues whatever was not acknowledged. After an error, dropping the channel does the same.
    async fn end(self) {
        // The next pass may begin before the queue notices that the channel is gone.
        let all = BasicNackOptions { multiple: true, requeue: true };
        let _ = answered(self.channel.basic_nack(0, all)).await;
        let _ = tokio::time::timeout(ANSWER, self.channel.close(200, "done".into())).await;
    }
}

fn report(changed: usize, progress: OnProgress<'_>) {
    if (changed as u64).is_multiple_of(STRIDE) {
        progress(changed as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Counts what is logged.
    struct Lines(AtomicUsize);

    impl tracing::Subscriber for Lines {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }
        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
        fn event(&self, _: &tracing::Event<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        fn enter(&self, _: &tracing::span::Id) {}
        fn exit(&self, _: &tracing::span::Id) {}
    }

    #[test]
    fn however_many_messages_are_left_out_a_line_of_each_kind_says_so_when_the_pass_ends() {
        let mut left_out = LeftOut::default();
        assert_eq!(left_out.lines().count(), 0);
        left_out.unsigned = 2;
        for length in 7..1000 {
            left_out.note_unreadable(MessageError::TooLarge(length));
        }
        let lines: Vec<_> = left_out.lines().collect();
        let first = MessageError::TooLarge(7);
        assert_eq!(
            lines,
            [
                "failed jobs that no key of this fleet signed, left out: 2".to_owned(),
                format!(
                    "failed jobs that cannot be read and stay where they are: 993, the first because {first}"
                ),
            ]
        );
        let logged = Arc::new(Lines(AtomicUsize::new(0)));
        tracing::subscriber::with_default(Arc::clone(&logged), || drop(left_out));
        assert_eq!(logged.0.load(Ordering::Relaxed), 2);
    }
}
