//! A model of the broker's token queue, for tests: the simulation runs on it, and a system test replays scripts on it and on a
//! real broker.

use std::collections::VecDeque;
use std::time::Duration;

use super::token::{GOOD_FOR, MOST_QUEUED, PREFETCH};

/// A message in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<T> {
    pub body: T,
    /// When it is dropped unless it has been delivered; a requeue does not change this.
    expires: Duration,
    /// Its position, which a requeue restores.
    number: u64,
}

#[derive(Debug)]
struct Consumer<T> {
    member: usize,
    priority: i32,
    cancelled: bool,
    unacked: Vec<Message<T>>,
}

/// The queue and its consumers; at most one consumer per member.
#[derive(Debug)]
pub struct Model<T> {
    ready: VecDeque<Message<T>>,
    /// In round-robin order: the first is served next.
    consumers: Vec<Consumer<T>>,
    published: u64,
}

impl<T> Default for Model<T> {
    fn default() -> Self {
        Self { ready: VecDeque::new(), consumers: Vec::new(), published: 0 }
    }
}

impl<T: Copy + PartialEq> Model<T> {
    /// Publishes a message. Like the methods below, returns the deliveries that follow, as member and body.
    pub fn publish(&mut self, body: T, now: Duration) -> Vec<(usize, T)> {
        self.published += 1;
        self.ready.push_back(Message { body, expires: now + GOOD_FOR, number: self.published });
        self.deliver(now)
    }

    pub fn consume(&mut self, member: usize, priority: i32, now: Duration) -> Vec<(usize, T)> {
        self.consumers.push(Consumer { member, priority, cancelled: false, unacked: Vec::new() });
        self.deliver(now)
    }

    /// Cancels a member's consumer; it keeps its unacknowledged messages.
    pub fn cancel(&mut self, member: usize) {
        self.of(member, |consumer| consumer.cancelled = true);
        self.consumers.retain(|consumer| !consumer.cancelled || !consumer.unacked.is_empty());
    }

    pub fn acknowledge(&mut self, member: usize, body: T, now: Duration) -> Vec<(usize, T)> {
        self.remove(member, body);
        self.deliver(now)
    }

    /// Requeues a message of a member.
    pub fn give_back(&mut self, member: usize, body: T, now: Duration) -> Vec<(usize, T)> {
        let back = self.remove(member, body);
        self.requeue(back);
        self.deliver(now)
    }

    /// A member's connection is lost: its messages are requeued.
    pub fn lose(&mut self, member: usize, now: Duration) -> Vec<(usize, T)> {
        let (lost, kept) =
            std::mem::take(&mut self.consumers).into_iter().partition(|consumer| consumer.member == member);
        self.consumers = kept;
        let lost: Vec<Consumer<T>> = lost;
        self.requeue(lost.into_iter().flat_map(|consumer| consumer.unacked));
        self.deliver(now)
    }

    /// The broker restarts: connections and transient messages are lost.
    pub fn restart(&mut self) {
        *self = Self { published: self.published, ..Self::default() };
    }

    /// Number of messages that are ready.
    pub fn ready(&mut self, now: Duration) -> usize {
        self.ready.retain(|message| message.expires > now);
        self.ready.len()
    }

    /// Number of consumers that are not cancelled.
    pub fn consumers(&self) -> usize {
        self.consumers.iter().filter(|consumer| !consumer.cancelled).count()
    }

    fn of(&mut self, member: usize, change: impl FnMut(&mut Consumer<T>)) {
        self.consumers.iter_mut().filter(|consumer| consumer.member == member).for_each(change);
    }

    fn remove(&mut self, member: usize, body: T) -> Option<Message<T>> {
        let at = self.consumers.iter().position(|consumer| {
            consumer.member == member && consumer.unacked.iter().any(|message| message.body == body)
        })?;
        let mut consumer = self.consumers.remove(at);
        let place = consumer.unacked.iter().position(|message| message.body == body)?;
        let message = consumer.unacked.remove(place);
        if consumer.cancelled && consumer.unacked.is_empty() {
            return Some(message);
        }
        // RabbitMQ puts a consumer whose prefetch was exhausted at the end of the round.
        let was_full = consumer.unacked.len() + 1 == usize::from(PREFETCH);
        let at = if was_full { self.consumers.len() } else { at };
        self.consumers.insert(at, consumer);
        Some(message)
    }

    fn requeue(&mut self, messages: impl IntoIterator<Item = Message<T>>) {
        self.ready.extend(messages);
        self.ready.make_contiguous().sort_by_key(|message| message.number);
    }

    fn deliver(&mut self, now: Duration) -> Vec<(usize, T)> {
        let mut delivered = Vec::new();
        self.ready.retain(|message| message.expires > now);
        while let Some(message) = self.ready.front().copied() {
            let open = |consumer: &Consumer<T>| {
                !consumer.cancelled && consumer.unacked.len() < usize::from(PREFETCH)
            };
            let highest = self.consumers.iter().filter(|one| open(one)).map(|one| one.priority).max();
            let next = self.consumers.iter().position(|one| open(one) && Some(one.priority) == highest);
            let Some(next) = next else { break };
            self.ready.pop_front();
            let mut consumer = self.consumers.remove(next);
            consumer.unacked.push(message);
            delivered.push((consumer.member, message.body));
            self.consumers.push(consumer);
        }
        while self.ready.len() > MOST_QUEUED as usize {
            self.ready.pop_front();
        }
        delivered
    }
}
