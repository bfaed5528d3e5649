//! Messages that the broker pushes, one to each consumer.
//!
//! A consumer may hold one message, so that no message queues up behind another. A message whose step is running
//! occupies its consumer, and another consumer of the queue waits for the next message, at most one per queue. While
//! every permit is in use, the consumer whose step ends gets the next message. While permits are free, nearly every
//! message opens one consumer and cancels another, which costs the broker more than the message itself
//! (docs/performance.md). When a queue has had no caller for a while, its waiting consumer is cancelled and the message
//! that it holds is sent back.

mod consumers;
mod received;
mod source;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::StreamExt;
use lapin::Consumer;
use lapin::message::Delivery as Message;
use lapin::options::{BasicCancelOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Connections;
use amqp::{ANSWER, Link, answered, close, consume};
use consumers::Tag;
use queue::QueueError;
pub(super) use received::{Counted, Received};
use source::{FIRST_ARRIVAL, Next, Opened, Opening, Source, Sources};

/// A caller normally asks again at once. After this time it may not begin a step soon: a pause, an outage, no free
/// permit.
const UNCLAIMED: Duration = Duration::from_secs(5);

/// Messages of some queues; clones share them.
#[derive(Clone)]
pub(super) struct Feed {
    inner: Arc<Inner>,
}

struct Inner {
    link: Arc<Link>,
    /// Messages in hand.
    count: Arc<AtomicU64>,
    state: Mutex<Sources>,
    /// A message arrived, or a consumer was opened or lost.
    changed: Notify,
    /// A caller got a message or gave up, or a message arrived without a caller.
    left: Notify,
    stop: CancellationToken,
    _stop: DropGuard,
}

impl Feed {
    pub(super) fn new(shared: &Connections) -> Self {
        let stop = CancellationToken::new();
        let inner = Inner {
            link: Arc::clone(&shared.consume_link),
            count: Arc::clone(&shared.in_hand),
            state: Mutex::default(),
            changed: Notify::new(),
            left: Notify::new(),
            _stop: stop.clone().drop_guard(),
            stop,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Waits for the next message, from the first queue that has one. Cancel-safe.
    pub(super) async fn next(&self, queues: &[ShortString]) -> Result<Received, QueueError> {
        let _asking = Asking::start(&self.inner, queues);
        loop {
            let changed = self.inner.changed.notified();
            tokio::pin!(changed);
            // Enabled before the check, so that a change in between wakes this task.
            changed.as_mut().enable();
            let next = self.inner.lock().next(queues, Instant::now())?;
            match next {
                Next::Message(taken) => return Ok(*taken),
                // In a separate task, since this future may be cancelled.
                Next::Missing(queues) => queues.into_iter().for_each(|queue| self.inner.open(queue)),
                Next::WaitUntil(until) => {
                    let _ = tokio::time::timeout_at(until, changed).await;
                    continue;
                }
                Next::Wait => {}
            }
            changed.await;
        }
    }

    /// Waits until messages are held that no caller wants; returns them to be sent back.
    pub(super) async fn unclaimed(&self) -> Vec<Received> {
        loop {
            self.inner.left.notified().await;
            tokio::time::sleep(UNCLAIMED).await;
            let unclaimed = self.retire(UNCLAIMED).await;
            if !unclaimed.is_empty() {
                return unclaimed;
            }
        }
    }

    /// Cancels the waiting consumers of queues without a caller for `age`, and takes the messages that they hold.
    pub(super) async fn retire(&self, age: Duration) -> Vec<Received> {
        for (opened, tag) in self.inner.retired(age) {
            let _ = answered(opened.channel.basic_cancel(tag, BasicCancelOptions::default())).await;
        }
        // Messages that arrived before the broker confirmed the cancel are read by then.
        let left = self.inner.until(|source| source.leaving.is_empty());
        let _ = tokio::time::timeout(ANSWER, left).await;
        let mut state = self.inner.lock();
        let unclaimed = state.queues.values_mut().filter(|source| source.is_unclaimed(age));
        unclaimed.flat_map(|source| std::mem::take(&mut source.waiting)).collect()
    }

    /// Stops delivering messages and opening consumers.
    pub(super) fn close(&self) {
        self.inner.lock().is_closed = true;
    }

    /// Waits until no consumer is being opened. A new consumer may get a message although it is no longer wanted.
    pub(super) async fn is_made(&self) {
        self.inner.until(|source| !source.is_opening()).await;
    }
}

impl Inner {
    /// Opens a consumer of this queue.
    fn open(self: &Arc<Self>, queue: ShortString) {
        let (inner, stop) = (Arc::downgrade(self), self.stop.clone());
        tasks::lasting(stop.run_until_cancelled_owned(async move {
            let Some(inner) = inner.upgrade() else { return };
            let opened = inner.consume(&queue).await;
            let mut state = inner.lock();
            let source = state.queues.entry(queue.clone()).or_default();
            match opened {
                Ok((opened, tag, consumer)) => {
                    source.opening = Opening::Done;
                    source.arrived_by = Some(Instant::now() + FIRST_ARRIVAL);
                    source.consumers.made(tag);
                    source.channel = Some(opened.clone());
                    let (inner, stop) = (Arc::downgrade(&inner), inner.stop.clone());
                    let reading = read(inner, queue, tag, opened, consumer);
                    tasks::lasting(stop.run_until_cancelled_owned(reading));
                }
                Err(error) => {
                    source.channel = None;
                    source.opening = Opening::Failed(Instant::now(), error);
                }
            }
            drop(state);
            inner.changed.notify_waiters();
        }));
    }

    async fn consume(&self, queue: &ShortString) -> Result<(Opened, Tag, Consumer), QueueError> {
        let (known, tag) = {
            let mut state = self.lock();
            state.last_tag += 1;
            let tag = Tag(state.last_tag);
            (state.queues.get(queue).and_then(|source| source.channel.clone()), tag)
        };
        let live = self.link.wait(ANSWER).await?;
        let opened = if let Some(opened) =
            known.filter(|opened| opened.channel.status().connected() && !opened.lost.is_cancelled())
        {
            opened
        } else {
            let channel = live.channel().await?;
            answered(channel.basic_qos(1, BasicQosOptions::default())).await?;
            Opened { channel, lost: live.lost.child_token() }
        };
        match consume(&opened.channel, queue.clone(), tag.name(), FieldTable::default()).await {
            Ok(consumer) => Ok((opened, tag, consumer)),
            Err(error) => {
                opened.lost.cancel();
                // If the queue was deleted, the broker closed the channel: declare it again.
                self.link.redeclare(&live).await;
                Err(error)
            }
        }
    }

    fn arrived(self: &Arc<Self>, queue: &ShortString, tag: Tag, opened: &Opened, message: Message) {
        let slot = Slot { feed: Arc::downgrade(self), queue: queue.clone(), tag, lost: opened.lost.clone() };
        let taken = Received {
            message,
            queue: queue.clone(),
            lost: opened.lost.clone(),
            at: Instant::now(),
            slot: Some(slot),
            _counted: Some(Counted::new(&self.count)),
        };
        {
            let mut state = self.lock();
            let source = state.queues.entry(queue.clone()).or_default();
            source.consumers.got(tag);
            source.waiting.push(taken);
            if source.callers == 0 {
                // No caller may want it.
                self.left.notify_one();
            }
        }
        self.changed.notify_waiters();
    }

    /// Handles the end of a consumer: cancelled, or gone with its queue, channel or connection.
    async fn ended(&self, queue: &ShortString, tag: Tag, opened: &Opened) {
        let is_ours = {
            let mut state = self.lock();
            let source = state.queues.entry(queue.clone()).or_default();
            source.leaving.remove(&tag);
            let is_ours = !source.consumers.remove(tag);
            if !is_ours {
                // The broker requeued it, or it is gone with its queue.
                source.waiting.retain(|taken| taken.slot.as_ref().is_none_or(|slot| slot.tag != tag));
            }
            is_ours
        };
        if !opened.channel.status().connected() {
            // Closing a channel voids its deliveries, not only losing the connection.
            opened.lost.cancel();
        } else if !is_ours && let Ok(live) = self.link.live() {
            self.link.redeclare(&live).await;
        }
        self.changed.notify_waiters();
    }

    /// Waits until `holds` is true of every queue.
    async fn until(&self, holds: impl Fn(&Source) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.lock().queues.values().all(&holds) {
                return;
            }
            changed.await;
        }
    }

    /// Removes and returns the idle consumers of queues without a caller for `age`.
    fn retired(&self, age: Duration) -> Vec<(Opened, ShortString)> {
        let mut state = self.lock();
        let unclaimed = state.queues.values_mut().filter(|source| source.is_unclaimed(age));
        let mut retired = Vec::new();
        for source in unclaimed {
            let free = source.consumers.take_idle();
            let Some(opened) = &source.channel else { continue };
            source.leaving.extend(&free);
            retired.extend(free.into_iter().map(|tag| (opened.clone(), tag.name())));
        }
        retired
    }

    fn lock(&self) -> MutexGuard<'_, Sources> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stores a consumer's messages until it ends.
async fn read(inner: Weak<Inner>, queue: ShortString, tag: Tag, opened: Opened, mut consumer: Consumer) {
    while let Some(Ok(message)) = consumer.next().await {
        let Some(inner) = inner.upgrade() else { return };
        inner.arrived(&queue, tag, &opened, message);
    }
    if let Some(inner) = inner.upgrade() {
        inner.ended(&queue, tag, &opened).await;
    }
}

/// The consumer that received a message.
pub(super) struct Slot {
    feed: Weak<Inner>,
    queue: ShortString,
    tag: Tag,
    lost: CancellationToken,
}

impl Slot {
    /// Acknowledges or requeues the message. If another consumer is free already, cancels this one first.
    pub(super) async fn end(
        &self,
        answer: impl AsyncFnOnce() -> Result<bool, QueueError>,
    ) -> Result<bool, QueueError> {
        let Some(inner) = self.feed.upgrade() else { return answer().await };
        let surplus = {
            let mut state = inner.lock();
            let source = state.queues.entry(self.queue.clone()).or_default();
            let is_wanted = !source.is_unclaimed(UNCLAIMED) && !source.is_opening();
            let stays = is_wanted && source.consumers.answering(self.tag);
            if stays { None } else { source.channel.clone().filter(|_| source.consumers.remove(self.tag)) }
        };
        if let Some(opened) = surplus {
            // The consumer is at its limit of one message, so none can arrive any more: no need to wait for the answer.
            let cancelling =
                opened.channel.basic_cancel(self.tag.name(), BasicCancelOptions { nowait: true });
            let _ = answered(cancelling).await;
        }
        let answered = answer().await;
        let mut state = inner.lock();
        let source = state.queues.entry(self.queue.clone()).or_default();
        if matches!(answered, Ok(true)) {
            source.consumers.answered(self.tag);
        } else if source.consumers.remove(self.tag) {
            // The broker may have received the answer or not. Closing the channel requeues whatever is unanswered.
            self.lost.cancel();
            if let Some(opened) = source.channel.take_if(|known| known.lost.is_cancelled()) {
                close(&opened.channel);
            }
        }
        drop(state);
        inner.changed.notify_waiters();
        answered
    }
}

struct Asking<'a> {
    inner: &'a Inner,
    queues: &'a [ShortString],
}

impl<'a> Asking<'a> {
    fn start(inner: &'a Inner, queues: &'a [ShortString]) -> Self {
        let mut state = inner.lock();
        for queue in queues {
            state.queues.entry(queue.clone()).or_default().callers += 1;
        }
        Self { inner, queues }
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut state = self.inner.lock();
        for queue in self.queues {
            let source = state.queues.entry(queue.clone()).or_default();
            source.callers = source.callers.saturating_sub(1);
            source.left = Some(Instant::now());
        }
        self.inner.left.notify_one();
    }
}
