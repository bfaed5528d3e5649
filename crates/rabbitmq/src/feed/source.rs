//! The queues that messages come from, and which queue is next. Pure.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use lapin::Channel;
use lapin::types::ShortString;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::consumers::{Consumers, Tag};
use super::received::Received;
use queue::QueueError;

/// A queued message reaches the queue's first consumer within this time; a queue that takes longer loses its priority
/// meanwhile.
pub(super) const FIRST_ARRIVAL: Duration = Duration::from_millis(10);
/// A queue without a consumer after this time, such as one without a leader, no longer delays the others.
const SETTLE: Duration = Duration::from_secs(1);
/// How soon to try again to consume a queue that failed, while other queues have messages.
const TRY_AGAIN: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(super) struct Sources {
    /// Delivers nothing more.
    pub(super) is_closed: bool,
    pub(super) last_tag: u64,
    pub(super) queues: HashMap<ShortString, Source>,
}

#[derive(Default)]
pub(super) struct Source {
    pub(super) channel: Option<Opened>,
    pub(super) opening: Opening,
    pub(super) consumers: Consumers,
    /// Cancelled consumers that may have received a message before.
    pub(super) leaving: HashSet<Tag>,
    /// Messages delivered and not begun.
    pub(super) waiting: Vec<Received>,
    /// Callers that are waiting for its messages.
    pub(super) callers: usize,
    /// When the latest caller left.
    pub(super) left: Option<Instant>,
    /// By when its queued messages have reached its consumer.
    pub(super) arrived_by: Option<Instant>,
}

#[derive(Clone)]
pub(super) struct Opened {
    pub(super) channel: Channel,
    pub(super) lost: CancellationToken,
}

/// The state of opening the queue's next consumer.
#[derive(Debug, Default)]
pub(super) enum Opening {
    /// Not being opened.
    #[default]
    Done,
    /// Being opened since then.
    Since(Instant),
    Failed(Instant, QueueError),
}

/// What to do next to get a message.
pub(super) enum Next {
    Message(Box<Received>),
    /// First open consumers of these queues.
    Missing(Vec<ShortString>),
    /// Check again at this time.
    WaitUntil(Instant),
    Wait,
}

impl Source {
    pub(super) fn is_unclaimed(&self, age: Duration) -> bool {
        self.callers == 0 && self.left.is_none_or(|at| at.elapsed() >= age)
    }

    pub(super) fn is_opening(&self) -> bool {
        matches!(self.opening, Opening::Since(_))
    }

    fn first(&mut self) -> Option<Received> {
        self.waiting.retain(|taken| !taken.lost.is_cancelled());
        if self.waiting.is_empty() {
            return None;
        }
        let taken = self.waiting.remove(0);
        if let Some(slot) = &taken.slot {
            self.consumers.begun(slot.tag);
        }
        Some(taken)
    }
}

impl Sources {
    /// Takes the message of the first queue that has one, once the queues before it had time to deliver theirs. Fails
    /// if no queue has a message and one of them cannot be consumed.
    pub(super) fn next(&mut self, queues: &[ShortString], now: Instant) -> Result<Next, QueueError> {
        if self.is_closed {
            return Err(QueueError::Closed);
        }
        let (mut missing, mut settled, mut again): (Vec<_>, Option<Instant>, Option<Instant>) =
            (Vec::new(), None, None);
        for queue in queues {
            let source = self.queues.entry(queue.clone()).or_default();
            if settled.is_none()
                && let Some(taken) = source.first()
            {
                return Ok(Next::Message(Box::new(taken)));
            }
            let shows_by = match &source.opening {
                Opening::Since(since) => *since + SETTLE,
                Opening::Failed(at, _) if *at + TRY_AGAIN > now => {
                    again = Some(earlier(again, *at + TRY_AGAIN));
                    continue;
                }
                Opening::Failed(..) | Opening::Done => {
                    if source.consumers.is_one_free() || !source.waiting.is_empty() {
                        source.arrived_by.unwrap_or(now)
                    } else {
                        if let Opening::Failed(_, error) = &source.opening {
                            tracing::warn!(queue = queue.as_str(), %error, "cannot take jobs from a queue; trying again");
                        }
                        source.opening = Opening::Since(now);
                        missing.push(queue.clone());
                        now + SETTLE
                    }
                }
            };
            if shows_by > now {
                settled = Some(earlier(settled, shows_by));
            }
        }
        if !missing.is_empty() {
            return Ok(Next::Missing(missing));
        }
        if let Some(until) = settled {
            return Ok(Next::WaitUntil(until));
        }
        if let Some(error) = queues.iter().find_map(|queue| self.failure(queue)) {
            return Err(error);
        }
        Ok(again.map_or(Next::Wait, Next::WaitUntil))
    }

    /// Why a queue cannot be consumed. The next call of `next` tries again.
    fn failure(&mut self, queue: &ShortString) -> Option<QueueError> {
        let opening = &mut self.queues.get_mut(queue)?.opening;
        match std::mem::take(opening) {
            Opening::Failed(_, error) => Some(error),
            other => {
                *opening = other;
                None
            }
        }
    }
}

fn earlier(known: Option<Instant>, other: Instant) -> Instant {
    known.map_or(other, |known| known.min(other))
}

#[cfg(test)]
mod tests {
    use lapin::message::Delivery;

    use super::*;

    const SAVE: usize = 0;
    const TRANSFER: usize = 1;

    /// Two queues, the first one preferred, and a clock.
    struct Scene {
        state: Sources,
        queues: [ShortString; 2],
        now: Instant,
    }

    impl Scene {
        /// Neither queue has a consumer yet.
        fn new() -> Self {
            let mut scene = Self {
                state: Sources::default(),
                queues: ["save".into(), "transfer".into()],
                now: Instant::now(),
            };
            let next = scene.next();
            assert!(matches!(next, Ok(Next::Missing(missing)) if missing.len() == 2));
            scene
        }

        fn next(&mut self) -> Result<Next, QueueError> {
            self.state.next(&self.queues, self.now)
        }

        fn source(&mut self, number: usize) -> &mut Source {
            self.state.queues.get_mut(&self.queues[number]).unwrap()
        }

        fn fail(&mut self, number: usize) {
            let now = self.now;
            self.source(number).opening =
                Opening::Failed(now, QueueError::Unavailable("it has no leader".to_owned()));
        }

        /// The queue's consumer is open and gets a message.
        fn consume(&mut self, number: usize) {
            let (queue, tag, now) = (self.queues[number].clone(), Tag(number as u64), self.now);
            let source = self.source(number);
            source.opening = Opening::Done;
            source.consumers.made(tag);
            source.consumers.got(tag);
            source.waiting.push(Received {
                message: Delivery::mock(1, "".into(), queue.clone(), false, Vec::new()),
                queue,
                lost: CancellationToken::new(),
                at: now,
                slot: None,
                _counted: None,
            });
        }

        /// The queue whose message is taken, if any.
        fn taken(&mut self) -> Option<ShortString> {
            match self.next() {
                Ok(Next::Message(taken)) => Some(taken.queue),
                Ok(Next::WaitUntil(until)) => {
                    assert!(until > self.now, "it would try without end");
                    None
                }
                _ => None,
            }
        }
    }

    #[test]
    fn a_queue_whose_consumer_is_long_in_coming_holds_up_the_others_for_a_second() {
        let mut scene = Scene::new();
        scene.consume(TRANSFER);
        assert_eq!(scene.taken(), None, "the first queue may have a message, which goes first");
        scene.now += SETTLE;
        assert_eq!(scene.taken().unwrap().as_str(), "transfer");
        scene.consume(TRANSFER);
        scene.consume(SAVE);
        assert_eq!(scene.taken().unwrap().as_str(), "save");
    }

    #[test]
    fn a_queue_that_cannot_be_consumed_fails_the_call_only_where_no_message_came() {
        let mut scene = Scene::new();
        scene.fail(SAVE);
        scene.consume(TRANSFER);
        assert_eq!(scene.taken().unwrap().as_str(), "transfer");
        assert!(scene.next().is_err());
        let again = scene.next();
        assert!(
            matches!(again, Ok(Next::Missing(missing)) if missing == [ShortString::from("save")]),
            "it is tried again"
        );
    }

    #[test]
    fn a_queue_that_cannot_be_consumed_is_tried_again_while_others_have_messages() {
        let mut scene = Scene::new();
        scene.fail(SAVE);
        for _ in 0..10 {
            scene.consume(TRANSFER);
            assert_eq!(scene.taken().unwrap().as_str(), "transfer");
        }
        scene.consume(TRANSFER);
        scene.now += TRY_AGAIN;
        let again = scene.next();
        assert!(matches!(again, Ok(Next::Missing(missing)) if missing == [ShortString::from("save")]));
        scene.now += SETTLE;
        assert_eq!(scene.taken().unwrap().as_str(), "transfer");
    }
}
