//! The deliveries that this process has not settled yet. Pure.
//!
//! The client queues deliveries without a limit, and relies on the broker to keep the prefetch. Every consumer of this
//! program settles what it got, so what is unsettled bounds what the client holds.

use std::collections::{BTreeMap, HashMap};
use std::io;

/// The most bytes of unsettled deliveries on one connection. Even 1024 jobs in work, or a whole batch of outcomes, take
/// less than a third of it.
const MOST: u64 = 256 << 20;
/// What a delivery takes besides its body and properties.
const OVERHEAD: u64 = 1024;

type Channel = [u8; 2];

/// What the deliveries of a connection take.
#[derive(Default)]
pub(super) struct Unsettled {
    channels: HashMap<Channel, Deliveries>,
    bytes: u64,
}

/// The deliveries of one channel.
#[derive(Default)]
struct Deliveries {
    /// The bytes of each, by its tag.
    bytes: BTreeMap<u64, u64>,
    /// The one whose properties come next.
    begun: Option<u64>,
}

impl Unsettled {
    /// A delivery begins.
    ///
    /// # Errors
    /// There are too many, or two with the same tag.
    pub(super) fn begin(&mut self, channel: Channel, tag: u64) -> io::Result<()> {
        let deliveries = self.channels.entry(channel).or_default();
        if deliveries.bytes.insert(tag, 0).is_some() {
            return Err(io::Error::other("the broker sent two messages with one delivery tag"));
        }
        deliveries.begun = Some(tag);
        self.add(channel, OVERHEAD)
    }

    /// The begun delivery of this channel takes so many bytes more. A message without a delivery takes none: it is the
    /// answer to a request.
    ///
    /// # Errors
    /// There are too many.
    pub(super) fn add(&mut self, channel: Channel, bytes: u64) -> io::Result<()> {
        let begun = self.channels.get_mut(&channel).and_then(|deliveries| {
            let tag = deliveries.begun?;
            deliveries.bytes.get_mut(&tag)
        });
        let Some(known) = begun else { return Ok(()) };
        *known += bytes;
        self.bytes += bytes;
        if self.bytes > MOST {
            return Err(io::Error::other(format!(
                "the broker delivers more than was asked for: {} bytes are not acknowledged",
                self.bytes
            )));
        }
        Ok(())
    }

    /// The message that begins on this channel is the answer to a request.
    pub(super) fn is_answer(&mut self, channel: Channel) {
        if let Some(deliveries) = self.channels.get_mut(&channel) {
            deliveries.begun = None;
        }
    }

    /// This process settled a delivery, or with `multiple` all up to it; the tag 0 means the latest one.
    pub(super) fn settle(&mut self, channel: Channel, tag: u64, multiple: bool) {
        let Some(deliveries) = self.channels.get_mut(&channel) else { return };
        let settled: u64 = match (multiple, tag) {
            (false, tag) => deliveries.bytes.remove(&tag).unwrap_or(0),
            (true, 0) => std::mem::take(&mut deliveries.bytes).into_values().sum(),
            (true, tag) => {
                let later = deliveries.bytes.split_off(&tag.saturating_add(1));
                std::mem::replace(&mut deliveries.bytes, later).into_values().sum()
            }
        };
        self.bytes -= settled;
    }

    /// The channel ended, which voids its deliveries.
    pub(super) fn close(&mut self, channel: Channel) {
        let deliveries = self.channels.remove(&channel).unwrap_or_default();
        self.bytes -= deliveries.bytes.into_values().sum::<u64>();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Channel = [0, 1];
    const OTHER: Channel = [0, 2];

    fn with(deliveries: &[(Channel, u64)]) -> Unsettled {
        let mut unsettled = Unsettled::default();
        for (channel, tag) in deliveries {
            unsettled.begin(*channel, *tag).unwrap();
            unsettled.add(*channel, 10).unwrap();
        }
        unsettled
    }

    fn left(unsettled: &Unsettled) -> u64 {
        let counted =
            unsettled.channels.values().flat_map(|deliveries| deliveries.bytes.values()).sum::<u64>();
        assert_eq!(counted, unsettled.bytes);
        counted / (OVERHEAD + 10)
    }

    #[test]
    fn a_delivery_counts_until_it_is_settled_or_its_channel_ends() {
        let all = [(ONE, 1), (ONE, 2), (ONE, 3), (OTHER, 1), (OTHER, 2)];
        for (tag, multiple, wanted) in
            [(2, false, 4), (2, true, 3), (0, true, 2), (u64::MAX, true, 2), (9, false, 5), (0, false, 5)]
        {
            let mut unsettled = with(&all);
            unsettled.settle(ONE, tag, multiple);
            assert_eq!(left(&unsettled), wanted, "{tag} {multiple}");
            unsettled.close(OTHER);
            assert_eq!(left(&unsettled), wanted - 2);
        }
    }

    #[test]
    fn the_answer_to_a_request_counts_as_no_delivery() {
        let mut unsettled = with(&[(ONE, 1)]);
        unsettled.is_answer(ONE);
        unsettled.add(ONE, 2 * MOST).unwrap();
        assert_eq!(left(&unsettled), 1);
    }

    #[test]
    fn a_process_that_settles_what_it_gets_gets_any_number_of_deliveries() {
        let mut unsettled = Unsettled::default();
        for tag in 1..1_000_000 {
            unsettled.begin(ONE, tag).unwrap();
            unsettled.add(ONE, 200_000).unwrap();
            unsettled.settle(ONE, tag, tag % 3 == 0);
        }
        assert_eq!(left(&unsettled), 0);
    }

    #[test]
    fn deliveries_that_stay_unsettled_end_the_connection() {
        for bytes in [0, 1 << 10, 1 << 18] {
            let mut unsettled = Unsettled::default();
            let most = (1..1_000_000).find(|tag| {
                let begun = unsettled.begin(ONE, *tag);
                begun.and_then(|()| unsettled.add(ONE, bytes)).is_err()
            });
            assert_eq!(most, Some(MOST / (OVERHEAD + bytes) + 1));
        }
        assert!(with(&[(ONE, 1)]).begin(ONE, 1).is_err(), "one tag for two messages");
    }
}
