//! What each consumer of a queue holds. Pure.

use std::collections::HashMap;

use lapin::types::ShortString;

/// Identifies a consumer on its channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Tag(pub(super) u64);

impl Tag {
    pub(super) fn name(self) -> ShortString {
        ShortString::from(self.0.to_string())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Nothing,
    /// A message that no step has begun yet.
    Waiting,
    /// A message whose step is running.
    Begun,
    /// A message that is being acknowledged or requeued, after which the next one comes.
    Answering,
}

/// The consumers of one queue.
#[derive(Debug, Default)]
pub(super) struct Consumers {
    all: HashMap<Tag, Holds>,
}

impl Consumers {
    pub(super) fn made(&mut self, tag: Tag) {
        self.all.insert(tag, Holds::Nothing);
    }

    pub(super) fn got(&mut self, tag: Tag) {
        self.set(tag, Holds::Waiting);
    }

    pub(super) fn begun(&mut self, tag: Tag) {
        self.set(tag, Holds::Begun);
    }

    /// Whether a consumer holds no message, or one that is not begun.
    pub(super) fn is_one_free(&self) -> bool {
        self.all.values().any(|holds| *holds != Holds::Begun)
    }

    /// Call when the step of a consumer's message is over. Returns whether the consumer may get another message,
    /// because no other consumer is free.
    pub(super) fn answering(&mut self, tag: Tag) -> bool {
        let may = !self.is_one_free() && self.all.contains_key(&tag);
        if may {
            self.set(tag, Holds::Answering);
        }
        may
    }

    /// The message was acknowledged. The next one may have arrived before.
    pub(super) fn answered(&mut self, tag: Tag) {
        if self.all.get(&tag) == Some(&Holds::Answering) {
            self.set(tag, Holds::Nothing);
        }
    }

    /// Removes a consumer; returns whether it was known.
    pub(super) fn remove(&mut self, tag: Tag) -> bool {
        self.all.remove(&tag).is_some()
    }

    /// Removes the consumers that hold nothing.
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
        let (first, second) = (Tag(1), Tag(2));
        assert!(!consumers.is_one_free());
        consumers.made(first);
        assert!(consumers.is_one_free());
        consumers.got(first);
        assert!(consumers.is_one_free(), "its message waits for somebody to work on it");
        consumers.begun(first);
        assert!(!consumers.is_one_free());
        consumers.made(second);
        assert!(!consumers.answering(first), "the second one waits");
        consumers.got(second);
        assert!(!consumers.answering(first));
        consumers.begun(second);
        assert!(consumers.answering(first));
        assert!(!consumers.answering(second), "the first one gets the next message");
        consumers.answered(first);
        assert!(consumers.is_one_free());
        assert_eq!(consumers.take_idle(), [first]);
        assert!(!consumers.remove(first) && consumers.remove(second));
    }

    #[test]
    fn a_message_that_comes_before_the_answer_was_noted_is_not_forgotten() {
        let mut consumers = Consumers::default();
        consumers.made(Tag(1));
        consumers.got(Tag(1));
        consumers.begun(Tag(1));
        assert!(consumers.answering(Tag(1)));
        consumers.got(Tag(1));
        consumers.answered(Tag(1));
        consumers.begun(Tag(1));
        assert!(!consumers.is_one_free());
        assert!(consumers.take_idle().is_empty());
    }
}
