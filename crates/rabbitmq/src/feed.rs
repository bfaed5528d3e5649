//! Messages that the broker pushes, one to each consumer.
//!
//! A consumer may hold one message, so that none is held back by those before it: one that is worked on keeps its
//! consumer, and another consumer of the queue waits for the next, at most one for each queue. While every permit is in use, the
//! consumer whose step ends gets the next message. While permits are free, nearly each message makes a consumer and
//! cancels one, which costs the broker more than the message (docs/performance.md).
//! Where nobody asks for a queue any more, its waiting consumer is cancelled and what it holds is sent back.

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

use super::Shared;
use super::consumers::Tag;
use super::consuming::{close, consume};
use super::link::{ANSWER, Link, answered};
use super::received::{Counted, Received};
use super::source::{FIRST_ARRIVAL, Look, Opened, Opening, Source, State};
use queue::QueueError;

/// A caller that asks again does so at once; after this time nothing may be begun: a pause, an outage, no free permit.
const UNCLAIMED: Duration = Duration::from_secs(5);

/// Messages of some queues; clones share them.
#[derive(Clone)]
pub(super) struct Feed {
    inner: Arc<Inner>,
}

struct Inner {
    link: Arc<Link>,
    /// Messages in this process's hands.
    count: Arc<AtomicU64>,
    state: Mutex<State>,
    /// A message came, or a consumer was made or lost.
    changed: Notify,
    /// A caller that asked got what it wanted, or went away.
    left: Notify,
    stop: CancellationToken,
    _stop: DropGuard,
}

impl Feed {
    pub(super) fn new(shared: &Shared) -> Self {
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

    /// The next message of the first queue that has one. Waits; cancel-safe.
    pub(super) async fn next(&self, queues: &[ShortString]) -> Result<Received, QueueError> {
        let _asking = Asking::start(&self.inner, queues);
        loop {
            let changed = self.inner.changed.notified();
            tokio::pin!(changed);
            // Registered before looking: what comes in between wakes this up.
            changed.as_mut().enable();
            let looked = self.inner.lock().look(queues, Instant::now())?;
            match looked {
                Look::Message(taken) => return Ok(*taken),
                // On a task of its own, since this may be cancelled.
                Look::Missing(queues) => queues.into_iter().for_each(|queue| self.inner.open(queue)),
                Look::WaitUntil(until) => {
                    let _ = tokio::time::timeout_at(until, changed).await;
                    continue;
                }
                Look::Wait => {}
            }
            changed.await;
        }
    }

    /// Resolves when a queue that nobody asked for a while may hold messages; returns them, to be sent back.
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

    /// Cancels the waiting consumers of queues that nobody asked for this long, and takes out what they hold.
    pub(super) async fn retire(&self, age: Duration) -> Vec<Received> {
        for (opened, tag) in self.inner.retired(age) {
            let _ = answered(opened.channel.basic_cancel(tag, BasicCancelOptions::default())).await;
        }
        // What came before the broker has answered is read by then.
        let left = self.inner.until(|source| source.leaving.is_empty());
        let _ = tokio::time::timeout(ANSWER, left).await;
        let mut state = self.inner.lock();
        let unclaimed = state.queues.values_mut().filter(|source| source.is_unclaimed(age));
        unclaimed.flat_map(|source| std::mem::take(&mut source.waiting)).collect()
    }

    /// Hands nothing out any more, and makes no more consumers.
    pub(super) fn close(&self) {
        self.inner.lock().is_closed = true;
    }

    /// Waits until every consumer is there that was being made. It gets a message, wanted or not.
    pub(super) async fn is_made(&self) {
        self.inner.until(|source| !source.is_opening()).await;
    }
}

impl Inner {
    /// Makes a consumer of this queue.
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
                // The broker closes the channel for a queue that somebody deleted: it is made again.
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
                // Nobody may come for it.
                self.left.notify_one();
            }
        }
        self.changed.notify_waiters();
    }

    /// A consumer is gone: cancelled, or with its queue, its channel or its connection.
    async fn ended(&self, queue: &ShortString, tag: Tag, opened: &Opened) {
        let is_ours = {
            let mut state = self.lock();
            let source = state.queues.entry(queue.clone()).or_default();
            source.leaving.remove(&tag);
            let is_ours = !source.consumers.remove(tag);
            if !is_ours {
                // The broker has it back, or it is gone with its queue.
                source.waiting.retain(|taken| taken.slot.as_ref().is_none_or(|slot| slot.tag != tag));
            }
            is_ours
        };
        if !opened.channel.status().connected() {
            // A delivery is void when its channel closes, not only when its connection is lost.
            opened.lost.cancel();
        } else if !is_ours && let Ok(live) = self.link.live() {
            self.link.redeclare(&live).await;
        }
        self.changed.notify_waiters();
    }

    /// Waits until this is so of every queue.
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

    /// The free consumers of queues that nobody asked for this long. They count no more.
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

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes in what a consumer gets, until it is gone.
async fn read(inner: Weak<Inner>, queue: ShortString, tag: Tag, opened: Opened, mut consumer: Consumer) {
    while let Some(Ok(message)) = consumer.next().await {
        let Some(inner) = inner.upgrade() else { return };
        inner.arrived(&queue, tag, &opened, message);
    }
    if let Some(inner) = inner.upgrade() {
        inner.ended(&queue, tag, &opened).await;
    }
}

/// The consumer that a message came by.
pub(super) struct Slot {
    feed: Weak<Inner>,
    queue: ShortString,
    pub(super) tag: Tag,
    lost: CancellationToken,
}

impl Slot {
    /// Answers the broker about its message, with the consumer cancelled before where another one waits already.
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
            // Its only message is in hand, so that none can come for it any more: the answer need not be awaited.
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
            // Whether the broker was told is not known: with its channel, everything is as before.
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

/// A caller that waits for messages of some queues.
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
