//! What the consumers of one queue hold. Pure.

use std::collections::HashMap;
use std::time::Duration;

use lapin::types::ShortString;
use tokio::time::Instant;

/// A message that lies in a queue reaches a consumer that waits within this time.
pub(super) const FIRST_ARRIVAL: Duration = Duration::from_millis(10);
/// After a message was begun that came into an empty queue, one whose work ends is waited for before another consumer is made:
/// making and cancelling one costs the broker twice as much as the message.
const REST: Duration = Duration::from_millis(200);

/// Names a consumer on its channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Tag(pub(super) u64);

impl Tag {
    pub(super) fn name(self) -> ShortString {
        ShortString::from(self.0.to_string())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// No message.
    Nothing,
    /// One that nobody works on yet.
    Waiting,
    /// One that is worked on.
    Begun,
    /// One that the broker is being answered about, after which it gets another.
    Answering,
}

/// The consumers of one queue.
#[derive(Debug, Default)]
pub(super) struct Consumers {
    all: HashMap<Tag, Holds>,
    /// Since when one waits, or waited for the latest message.
    free_since: Option<Instant>,
    /// How long the latest message was waited for.
    waited: Duration,
    /// When the latest message was begun.
    begun: Option<Instant>,
}

impl Consumers {
    pub(super) fn made(&mut self, tag: Tag, now: Instant) {
        self.all.insert(tag, Holds::Nothing);
        self.free_since = Some(now);
    }

    pub(super) fn got(&mut self, tag: Tag, now: Instant) {
        self.set(tag, Holds::Waiting);
        self.waited = self.free_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
    }

    pub(super) fn begun(&mut self, tag: Tag, now: Instant) {
        self.set(tag, Holds::Begun);
        self.begun = Some(now);
    }

    /// When another is to be made, unless the work of one ends before; `None` while one gets or has a message that nobody
    /// works on.
    pub(super) fn wanted_at(&self, now: Instant) -> Option<Instant> {
        let rest = if self.waited > FIRST_ARRIVAL { REST } else { Duration::ZERO };
        let rested = self.begun.filter(|_| !self.all.is_empty()).map_or(now, |begun| begun + rest);
        (!self.is_one_free()).then_some(rested.max(now))
    }

    /// Whether one of them gets or has a message that nobody works on.
    fn is_one_free(&self) -> bool {
        self.all.values().any(|holds| *holds != Holds::Begun)
    }

    /// The work on a consumer's message is over; whether it may get another, since no other consumer waits.
    pub(super) fn answering(&mut self, tag: Tag, now: Instant) -> bool {
        let may = !self.is_one_free() && self.all.contains_key(&tag);
        if may {
            self.set(tag, Holds::Answering);
            self.free_since = Some(now);
        }
        may
    }

    /// The broker was answered. The next message may have come before this.
    pub(super) fn answered(&mut self, tag: Tag) {
        if self.all.get(&tag) == Some(&Holds::Answering) {
            self.set(tag, Holds::Nothing);
        }
    }

    /// Forgets a consumer; whether it was known.
    pub(super) fn remove(&mut self, tag: Tag) -> bool {
        self.all.remove(&tag).is_some()
    }

    /// Forgets those that hold nothing.
    pub(super) fn take_idle(&mut self) -> Vec<Tag> {
        self.all.extract_if(|_, holds| *holds == Holds::Nothing).map(|(tag, _)| tag).collect()
    }

    fn set(&mut self, tag: Tag, holds: Holds) {
        if let Some(known) = self.all.get_mut(&tag) {
            *known = holds;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_has_one_consumer_that_waits_and_one_for_each_message_in_work() {
        let mut consumers = Consumers::default();
        let (first, second, now) = (Tag(1), Tag(2), Instant::now());
        assert!(!consumers.is_one_free());
        consumers.made(first, now);
        assert!(consumers.is_one_free());
        consumers.got(first, now);
        assert!(consumers.is_one_free(), "its message waits for somebody to work on it");
        consumers.begun(first, now);
        assert!(!consumers.is_one_free());
        consumers.made(second, now);
        assert!(!consumers.answering(first, now), "the second one waits");
        consumers.got(second, now);
        assert!(!consumers.answering(first, now));
        consumers.begun(second, now);
        assert!(consumers.answering(first, now));
        assert!(!consumers.answering(second, now), "the first one gets the next message");
        consumers.answered(first);
        assert!(consumers.is_one_free());
        assert_eq!(consumers.take_idle(), [first]);
        assert!(!consumers.remove(first) && consumers.remove(second));
    }

    #[test]
    fn a_message_that_comes_before_the_answer_was_noted_is_not_forgotten() {
        let (mut consumers, now) = (Consumers::default(), Instant::now());
        consumers.made(Tag(1), now);
        consumers.got(Tag(1), now);
        consumers.begun(Tag(1), now);
        assert!(consumers.answering(Tag(1), now));
        consumers.got(Tag(1), now);
        consumers.answered(Tag(1));
        consumers.begun(Tag(1), now);
        assert!(!consumers.is_one_free());
        assert!(consumers.take_idle().is_empty());
    }

    #[test]
    fn one_whose_work_ends_soon_is_used_again_before_another_is_made() {
        let (mut consumers, start) = (Consumers::default(), Instant::now());
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        assert_eq!(consumers.wanted_at(start), Some(start), "without a consumer none can end");
        consumers.made(Tag(1), start);
        assert_eq!(consumers.wanted_at(start), None);
        consumers.got(Tag(1), at(5));
        consumers.begun(Tag(1), at(5));
        assert_eq!(consumers.wanted_at(at(6)), Some(at(6)), "messages lie in the queue");
        consumers.made(Tag(2), at(25));
        consumers.got(Tag(2), at(100));
        consumers.begun(Tag(2), at(100));
        assert_eq!(consumers.wanted_at(at(101)), Some(at(300)), "the queue was empty");
        assert_eq!(consumers.wanted_at(at(400)), Some(at(400)));
        assert!(consumers.answering(Tag(1), at(150)));
        assert_eq!(consumers.wanted_at(at(151)), None);
        consumers.got(Tag(1), at(152));
        consumers.answered(Tag(1));
        consumers.begun(Tag(1), at(153));
        assert_eq!(consumers.wanted_at(at(153)), Some(at(153)));
        assert!(consumers.remove(Tag(1)) && consumers.remove(Tag(2)));
        assert_eq!(consumers.wanted_at(at(160)), Some(at(160)));
    }
}
