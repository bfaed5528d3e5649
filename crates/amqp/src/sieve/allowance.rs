//! What the broker may send without being asked, by what this process sent before. Pure.
//!
//! The client queues deliveries and returned messages without a limit, and relies on the broker: that it keeps the prefetch, and returns
//! only what was published. Every consumer of this program settles what it got, so what is unsettled bounds what the
//! client holds.

use std::collections::{BTreeMap, HashMap};
use std::{io, mem};

/// The most bytes of unsettled deliveries on one connection. Even 1024 jobs in work, or a whole batch of outcomes, take
/// less than a third of it.
const MOST: u64 = 256 << 20;
/// What a delivery takes besides its body and properties.
const OVERHEAD: u64 = 1024;

/// How often the broker may block one connection; then there is a new one.
const MOST_BLOCKED: u32 = 1000;

type Channel = [u8; 2];

/// What the broker may send on a connection.
#[derive(Default)]
pub(super) struct Allowance {
    channels: HashMap<Channel, OfChannel>,
    /// What all unsettled deliveries take.
    bytes: u64,
    /// How often the broker blocked the connection.
    blocked: u32,
}

/// What it may send on one channel.
#[derive(Default)]
struct OfChannel {
    /// The bytes of each unsettled delivery, by its tag.
    unsettled: BTreeMap<u64, u64>,
    /// The message whose properties come next.
    begun: Option<Begun>,
    /// Requests for a message that were not answered.
    requests: u64,
    /// Messages that were published since confirms were asked for, and those that the broker has confirmed; `None` without
    /// confirms, where none may be returned.
    published: Option<Published>,
    /// Consumers that were made and that the broker has not cancelled.
    consumers: u64,
}

/// The messages that were published on a channel with confirms.
#[derive(Debug, Default)]
struct Published {
    sent: u64,
    confirmed: u64,
    /// Returned and not confirmed yet: the client keeps those until then.
    returned: u64,
}

/// A message whose method was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begun {
    Delivery(u64),
    /// A returned message, or the answer to a request.
    Other,
}

impl Allowance {
    fn of(&mut self, channel: Channel) -> &mut OfChannel {
        self.channels.entry(channel).or_default()
    }

    /// Any method was received.
    ///
    /// # Errors
    /// It is within a message, of which the properties did not come yet.
    pub(super) fn method(&mut self, channel: Channel) -> io::Result<()> {
        match self.of(channel).begun {
            None => Ok(()),
            Some(_) => Err(io::Error::other("the broker began a message and sent none")),
        }
    }

    /// A delivery begins.
    ///
    /// # Errors
    /// Another one has the same tag.
    pub(super) fn deliver(&mut self, channel: Channel, tag: u64) -> io::Result<()> {
        let of_channel = self.of(channel);
        if of_channel.unsettled.insert(tag, 0).is_some() {
            return Err(io::Error::other("the broker sent two messages with one delivery tag"));
        }
        of_channel.begun = Some(Begun::Delivery(tag));
        Ok(())
    }

    /// A returned message begins.
    ///
    /// # Errors
    /// More are returned than wait for their confirm.
    pub(super) fn give_back(&mut self, channel: Channel) -> io::Result<()> {
        let of_channel = self.of(channel);
        let published = of_channel.published.as_mut();
        match published.filter(|published| published.returned < published.sent - published.confirmed) {
            Some(published) => published.returned += 1,
            None => return Err(io::Error::other("the broker returned more messages than were published")),
        }
        of_channel.begun = Some(Begun::Other);
        Ok(())
    }

    /// The broker confirms a published message, or with `multiple` all up to it. It returns a message before it confirms it.
    pub(super) fn confirm(&mut self, channel: Channel, tag: u64, multiple: bool) {
        let Some(published) = &mut self.of(channel).published else { return };
        let confirmed = match (multiple, tag) {
            // The client takes the tag 0 for all.
            (true, 0) => published.sent,
            (true, tag) => tag.max(published.confirmed),
            (false, _) => published.confirmed + 1,
        };
        published.confirmed = confirmed.min(published.sent);
        published.returned = published.returned.min(published.sent - published.confirmed);
    }

    /// A request for a message is answered, `with` one that begins or without.
    ///
    /// # Errors
    /// There was no request.
    pub(super) fn answer(&mut self, channel: Channel, with: bool) -> io::Result<()> {
        let of_channel = self.of(channel);
        let requests = of_channel.requests.checked_sub(1);
        of_channel.requests =
            requests.ok_or_else(|| io::Error::other("the broker answered a request that was not made"))?;
        of_channel.begun = with.then_some(Begun::Other);
        Ok(())
    }

    /// The broker cancels a consumer.
    ///
    /// # Errors
    /// It cancels more than there are.
    pub(super) fn cancel(&mut self, channel: Channel) -> io::Result<()> {
        let of_channel = self.of(channel);
        let consumers = of_channel.consumers.checked_sub(1);
        of_channel.consumers = consumers
            .ok_or_else(|| io::Error::other("the broker cancelled more consumers than there are"))?;
        Ok(())
    }

    /// The broker says that it accepts no more messages for now, which is logged.
    ///
    /// # Errors
    /// It said so too often.
    pub(super) fn block(&mut self) -> io::Result<()> {
        self.blocked += 1;
        if self.blocked > MOST_BLOCKED {
            return Err(io::Error::other(format!("the broker blocked this connection {MOST_BLOCKED} times")));
        }
        Ok(())
    }

    /// This process requested a message.
    pub(super) fn requested(&mut self, channel: Channel) {
        self.of(channel).requests += 1;
    }

    /// This process asked for confirms.
    pub(super) fn confirms(&mut self, channel: Channel) {
        self.of(channel).published.get_or_insert_default();
    }

    /// This process published a message.
    pub(super) fn published(&mut self, channel: Channel) {
        if let Some(published) = &mut self.of(channel).published {
            published.sent += 1;
        }
    }

    /// This process made a consumer.
    pub(super) fn consumed(&mut self, channel: Channel) {
        self.of(channel).consumers += 1;
    }

    /// The properties of the begun message arrived. It takes this many bytes, including its body.
    ///
    /// # Errors
    /// No message was begun, or the deliveries take too much.
    pub(super) fn properties(&mut self, channel: Channel, bytes: u64) -> io::Result<()> {
        let of_channel = self.of(channel);
        let tag = match of_channel.begun.take() {
            Some(Begun::Delivery(tag)) => tag,
            Some(Begun::Other) => return Ok(()),
            None => return Err(io::Error::other("the broker sent properties of no message")),
        };
        let taken = OVERHEAD + bytes;
        of_channel.unsettled.insert(tag, taken);
        self.bytes += taken;
        if self.bytes > MOST {
            return Err(io::Error::other(format!(
                "the broker delivers more than was asked for: {} bytes are not acknowledged",
                self.bytes
            )));
        }
        Ok(())
    }

    /// This process settled a delivery, or with `multiple` all up to it; the tag 0 means the latest one.
    pub(super) fn settle(&mut self, channel: Channel, tag: u64, multiple: bool) {
        let unsettled = &mut self.of(channel).unsettled;
        let settled: u64 = match (multiple, tag) {
            (false, tag) => unsettled.remove(&tag).unwrap_or(0),
            (true, 0) => mem::take(unsettled).into_values().sum(),
            (true, tag) => {
                let later = unsettled.split_off(&tag.saturating_add(1));
                mem::replace(unsettled, later).into_values().sum()
            }
        };
        self.bytes -= settled;
    }

    /// The channel ended, which voids its deliveries.
    pub(super) fn close(&mut self, channel: Channel) {
        let of_channel = self.channels.remove(&channel).unwrap_or_default();
        self.bytes -= of_channel.unsettled.into_values().sum::<u64>();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Channel = [0, 1];
    const OTHER: Channel = [0, 2];

    fn deliver(allowance: &mut Allowance, channel: Channel, tag: u64, bytes: u64) -> io::Result<()> {
        allowance.method(channel)?;
        allowance.deliver(channel, tag)?;
        allowance.properties(channel, bytes)
    }

    fn with(deliveries: &[(Channel, u64)]) -> Allowance {
        let mut allowance = Allowance::default();
        for (channel, tag) in deliveries {
            deliver(&mut allowance, *channel, *tag, 10).unwrap();
        }
        allowance
    }

    fn left(allowance: &Allowance) -> u64 {
        let counted = allowance.channels.values().flat_map(|channel| channel.unsettled.values()).sum::<u64>();
        assert_eq!(counted, allowance.bytes);
        counted / (OVERHEAD + 10)
    }

    #[test]
    fn a_delivery_counts_until_it_is_settled_or_its_channel_ends() {
        let all = [(ONE, 1), (ONE, 2), (ONE, 3), (OTHER, 1), (OTHER, 2)];
        for (tag, multiple, wanted) in
            [(2, false, 4), (2, true, 3), (0, true, 2), (u64::MAX, true, 2), (9, false, 5), (0, false, 5)]
        {
            let mut allowance = with(&all);
            allowance.settle(ONE, tag, multiple);
            assert_eq!(left(&allowance), wanted, "{tag} {multiple}");
            allowance.close(OTHER);
            assert_eq!(left(&allowance), wanted - 2);
        }
    }

    #[test]
    fn the_answer_to_a_request_counts_as_no_delivery() {
        let mut allowance = with(&[(ONE, 1)]);
        allowance.requested(ONE);
        allowance.answer(ONE, true).unwrap();
        allowance.properties(ONE, 2 * MOST).unwrap();
        assert_eq!(left(&allowance), 1);
        assert!(allowance.answer(ONE, true).is_err(), "a second answer");
    }

    #[test]
    fn a_process_that_settles_what_it_gets_gets_any_number_of_deliveries() {
        let mut allowance = Allowance::default();
        for tag in 1..1_000_000 {
            deliver(&mut allowance, ONE, tag, 200_000).unwrap();
            allowance.settle(ONE, tag, tag % 3 == 0);
        }
        assert_eq!(left(&allowance), 0);
    }

    #[test]
    fn deliveries_that_stay_unsettled_end_the_connection() {
        for bytes in [0, 1 << 10, 1 << 18] {
            let mut allowance = Allowance::default();
            let most = (1..1_000_000).find(|tag| deliver(&mut allowance, ONE, *tag, bytes).is_err());
            assert_eq!(most, Some(MOST / (OVERHEAD + bytes) + 1));
        }
        assert!(deliver(&mut with(&[(ONE, 1)]), ONE, 1, 0).is_err(), "one tag for two messages");
    }

    #[test]
    fn nothing_comes_between_the_method_and_the_properties_of_a_message() {
        let begin: [fn(&mut Allowance) -> io::Result<()>; 3] = [
            |allowance| allowance.deliver(ONE, 1),
            |allowance| allowance.give_back(ONE),
            |allowance| allowance.answer(ONE, true),
        ];
        for begin in begin {
            let mut allowance = Allowance::default();
            allowance.confirms(ONE);
            allowance.published(ONE);
            allowance.requested(ONE);
            begin(&mut allowance).unwrap();
            assert!(allowance.method(ONE).is_err());
            allowance.method(OTHER).unwrap();
            allowance.properties(ONE, 10).unwrap();
            allowance.method(ONE).unwrap();
            assert!(allowance.properties(ONE, 10).is_err(), "properties of no message");
        }
    }

    #[test]
    fn a_message_is_returned_once_for_each_that_was_published_and_a_consumer_cancelled_once() {
        let mut allowance = Allowance::default();
        for channel in [ONE, OTHER] {
            allowance.confirms(channel);
            allowance.published(channel);
            allowance.consumed(channel);
        }
        allowance.give_back(ONE).unwrap();
        assert!(allowance.give_back(ONE).is_err());
        allowance.cancel(ONE).unwrap();
        assert!(allowance.cancel(ONE).is_err());
        allowance.close(OTHER);
        assert!(allowance.give_back(OTHER).is_err(), "published on a channel that ended");
    }

    #[test]
    fn no_more_messages_are_returned_than_wait_for_their_confirm() {
        let mut allowance = Allowance::default();
        allowance.published(ONE);
        assert!(allowance.give_back(ONE).is_err(), "without confirms");
        allowance.confirms(ONE);
        let mut returns = |published: u32, confirm: Option<(u64, bool)>, wanted: usize| {
            (0..published).for_each(|_| allowance.published(ONE));
            if let Some((tag, multiple)) = confirm {
                allowance.confirm(ONE, tag, multiple);
            }
            let taken = (0..9).take_while(|_| {
                let taken = allowance.give_back(ONE).is_ok();
                allowance.of(ONE).begun = None;
                taken
            });
            assert_eq!(taken.count(), wanted, "{published} {confirm:?}");
        };
        returns(3, None, 3);
        // One of them is confirmed, and with it a return forgotten: as many wait as are returned.
        returns(0, Some((1, false)), 0);
        returns(1, None, 1);
        returns(0, Some((3, true)), 0);
        returns(2, Some((99, true)), 0);
        returns(2, Some((0, true)), 0);
        returns(1, None, 1);
    }

    #[test]
    fn a_broker_that_blocks_a_connection_without_end_loses_it() {
        let mut allowance = Allowance::default();
        assert_eq!((1..10_000).find(|_| allowance.block().is_err()), Some(MOST_BLOCKED + 1));
    }
}
