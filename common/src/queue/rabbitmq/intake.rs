//! Taking messages one by one, only when somebody is free to work on one.
//!
//! Messages are fetched, not pushed. A consumer holds as many as its prefetch allows, for as long as its worker is
//! busy, and returns them marked as redelivered when it dies; with fetching, a message is either in its queue or
//! being worked on, the order of the steps is exact, and a drain has nothing to give back. It costs a request for
//! each look at a queue, which is little beside the dozens of requests a job makes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapin::Channel;
use lapin::message::{BasicGetMessage, Delivery as Message};
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicNackOptions};
use lapin::types::{AMQPValue, ShortString};
use tokio::sync::{Mutex as AsyncMutex, Notify};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::QueueError;
use super::link::{ANSWER, Link, Live, answered};
use crate::job::Job;

/// How soon an empty queue is looked at again; doubled each time, up to the longest.
const SHORTEST_IDLE: Duration = Duration::from_millis(50);
const LONGEST_IDLE: Duration = Duration::from_millis(800);

/// A message that was taken and is not settled.
pub(super) struct Taken {
    pub(super) message: Message,
    pub(super) lost: CancellationToken,
    /// When it was taken.
    pub(super) at: Instant,
}

impl Taken {
    /// How often it was handed out, this time included, as far as the broker tells.
    pub(super) fn deliveries(&self) -> u32 {
        let headers = self.message.properties.headers();
        let count = headers.as_ref().and_then(|headers| headers.inner().get("x-delivery-count"));
        let earlier = match count {
            Some(AMQPValue::LongLongInt(count)) => u32::try_from(*count).unwrap_or(u32::MAX),
            Some(AMQPValue::LongInt(count)) => u32::try_from(*count).unwrap_or(u32::MAX),
            Some(AMQPValue::LongUInt(count)) => *count,
            _ => 0,
        };
        earlier.max(u32::from(self.message.redelivered)).saturating_add(1)
    }

    /// Whether it is a message of this job.
    pub(super) fn is_of(&self, job: &Job) -> bool {
        self.message.properties.message_id().as_ref().is_some_and(|id| id.as_str() == job.job_id.0)
    }

    /// Whether the broker still waits for an answer about it: its channel may be gone while the connection stands.
    pub(super) fn is_valid(&self) -> bool {
        !self.lost.is_cancelled() && self.message.acker.usable()
    }

    /// Tells the broker that the message is done with.
    pub(super) async fn acknowledge(&self) -> Result<(), QueueError> {
        if answered(self.message.acker.ack(BasicAckOptions::default())).await? {
            Ok(())
        } else {
            Err(QueueError::Unavailable("the delivery was void: its connection is gone".to_owned()))
        }
    }

    /// Gives the message back; it comes again as redelivered.
    pub(super) async fn give_back(&self) {
        let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
        let _ = answered(self.message.acker.nack(options)).await;
    }
}

/// Fetches messages over one connection.
#[derive(Clone)]
pub(super) struct Intake {
    link: Arc<Link>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    channel: AsyncMutex<Option<(Live, Channel)>>,
    /// Fetched for somebody who went away meanwhile.
    stash: Mutex<Vec<(ShortString, Taken)>>,
    /// Something came into the stash.
    fetched: Notify,
    idle: Mutex<HashMap<ShortString, Idle>>,
}

#[derive(Clone, Copy)]
struct Idle {
    until: Instant,
    wait: Duration,
}

impl Intake {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self { link, shared: Arc::default() }
    }

    /// The next message of the first queue that has one. Waits; cancel-safe.
    pub(super) async fn next(&self, queues: &[ShortString]) -> Result<Taken, QueueError> {
        loop {
            for queue in queues {
                if let Some(taken) = self.try_next(queue).await? {
                    return Ok(taken);
                }
            }
            tokio::time::sleep_until(self.next_look(queues)).await;
        }
    }

    /// When the first of these queues is worth another look.
    fn next_look(&self, queues: &[ShortString]) -> Instant {
        let idle = self.idle();
        let soonest = queues.iter().filter_map(|queue| idle.get(queue)).map(|idle| idle.until).min();
        soonest.unwrap_or_else(|| Instant::now() + SHORTEST_IDLE)
    }

    /// A message of this queue, unless it was found empty a moment ago. Cancel-safe.
    async fn try_next(&self, queue: &ShortString) -> Result<Option<Taken>, QueueError> {
        if let Some(taken) = self.stashed(queue) {
            return Ok(Some(taken));
        }
        if self.idle().get(queue).is_some_and(|idle| idle.until > Instant::now()) {
            return Ok(None);
        }
        let (intake, wanted) = (self.clone(), queue.clone());
        // On a task of its own: a message fetched for somebody who went away must not be lost sight of.
        let fetched = tokio::spawn(async move {
            let taken = intake.fetch(&wanted).await?;
            intake.note(&wanted, taken.is_some());
            if let Some(taken) = taken {
                intake.stash().push((wanted, taken));
                intake.shared.fetched.notify_one();
            }
            Ok::<_, QueueError>(())
        });
        fetched.await.map_err(|error| QueueError::Broken(error.to_string()))??;
        Ok(self.stashed(queue))
    }

    /// Fetches a message right now.
    pub(super) async fn fetch(&self, queue: &ShortString) -> Result<Option<Taken>, QueueError> {
        let mut held = self.shared.channel.lock().await;
        let usable = held.take().filter(|(_, channel)| channel.status().connected());
        let (live, channel) = if let Some(usable) = usable {
            usable
        } else {
            let live = self.link.wait(ANSWER).await?;
            let channel = live.channel().await?;
            (live, channel)
        };
        let at = Instant::now();
        let got = match answered(channel.basic_get(queue.clone(), BasicGetOptions::default())).await {
            Ok(got) => got,
            Err(error) => {
                // The broker closes the channel for a queue that somebody deleted: it is made again.
                self.link.redeclare(&live).await;
                return Err(error);
            }
        };
        // A delivery is void when its channel closes, not only when its connection is lost.
        let lost = live.lost.clone();
        *held = Some((live, channel));
        Ok(got.map(|BasicGetMessage { delivery, .. }| Taken { message: delivery, lost, at }))
    }

    fn stashed(&self, queue: &ShortString) -> Option<Taken> {
        let mut stash = self.stash();
        stash.retain(|(_, taken)| !taken.lost.is_cancelled());
        let place = stash.iter().position(|(of, _)| of == queue)?;
        Some(stash.swap_remove(place).1)
    }

    /// This process put something into a queue: it is worth a look at once.
    pub(super) fn stir(&self, queue: &ShortString) {
        self.idle().remove(queue);
    }

    fn note(&self, queue: &ShortString, found: bool) {
        let mut idle = self.idle();
        if found {
            idle.remove(queue);
            return;
        }
        let before = idle.get(queue).map_or(SHORTEST_IDLE / 2, |idle| idle.wait);
        let wait = (before * 2).min(LONGEST_IDLE);
        idle.insert(queue.clone(), Idle { until: Instant::now() + wait, wait });
    }

    fn stash(&self) -> std::sync::MutexGuard<'_, Vec<(ShortString, Taken)>> {
        self.shared.stash.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, HashMap<ShortString, Idle>> {
        self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many were fetched for somebody who went away.
    pub(super) fn stashed_count(&self) -> usize {
        self.stash().len()
    }

    /// Resolves when a message was fetched.
    pub(super) async fn fetched(&self) {
        self.shared.fetched.notified().await;
    }

    /// Takes out what was fetched this long ago, for a caller that went away.
    pub(super) fn unclaimed(&self, age: Duration) -> Vec<Taken> {
        self.stash().extract_if(.., |(_, taken)| taken.at.elapsed() >= age).map(|(_, taken)| taken).collect()
    }
}
