//! What this process sends, as far as it changes what the broker may send. Pure.

use super::allowance::Allowance;
use super::methods::{
    ACK, BASIC, CHANNEL, CLOSE_OK, CONFIRM, CONSUME, GET, HEAD, METHOD, NACK, OPEN, PUBLISH, REJECT, SELECT,
};

/// The length of the protocol header, which is sent before the first frame.
const PROTOCOL_HEADER: usize = 8;
/// The length of what is read of a frame's payload: class, method, delivery tag and flags.
const MOST: usize = 13;

/// Reads a stream of outgoing frames, however it is split into pieces.
pub(super) struct Sent {
    /// The beginning of the current frame.
    frame: Vec<u8>,
    /// How many bytes of the stream to skip next.
    skipped: usize,
}

impl Default for Sent {
    fn default() -> Self {
        Self { frame: Vec::with_capacity(HEAD + MOST), skipped: PROTOCOL_HEADER }
    }
}

impl Sent {
    /// Takes in a piece that was written to the broker.
    pub(super) fn read(&mut self, mut piece: &[u8], allowance: &mut Allowance) {
        while !piece.is_empty() {
            let skipped = self.skipped.min(piece.len());
            self.skipped -= skipped;
            piece = &piece[skipped..];
            let missing = self.wanted() - self.frame.len();
            let (taken, rest) = piece.split_at(missing.min(piece.len()));
            self.frame.extend_from_slice(taken);
            piece = rest;
            if self.frame.len() >= HEAD && self.frame.len() == self.wanted() {
                self.count(allowance);
                self.skipped = HEAD + self.size() + 1 - self.frame.len();
                self.frame.clear();
            }
        }
    }

    fn size(&self) -> usize {
        let size = self.frame.get(3..HEAD).and_then(|size| size.try_into().ok());
        size.map_or(0, |size| u32::from_be_bytes(size) as usize)
    }

    /// The length to wait for, as far as it is known yet.
    fn wanted(&self) -> usize {
        HEAD + self.size().min(MOST)
    }

    fn count(&self, allowance: &mut Allowance) {
        let Some((head, payload)) = self.frame.split_first_chunk::<HEAD>() else { return };
        let Some((id, rest)) = payload.split_first_chunk::<4>().filter(|_| head[0] == METHOD) else { return };
        let channel = [head[1], head[2]];
        let [class, method] = [[id[0], id[1]], [id[2], id[3]]].map(u16::from_be_bytes);
        match (class, method) {
            (CHANNEL, OPEN | CLOSE_OK) => allowance.close(channel),
            (BASIC, ACK | NACK | REJECT) => {
                if let Some((tag, [flags, ..])) = rest.split_first_chunk() {
                    let multiple = method != REJECT && flags & 1 == 1;
                    allowance.settle(channel, u64::from_be_bytes(*tag), multiple);
                }
            }
            (CONFIRM, SELECT) => allowance.confirms(channel),
            (BASIC, PUBLISH) => allowance.published(channel),
            (BASIC, GET) => allowance.requested(channel),
            (BASIC, CONSUME) => allowance.consumed(channel),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use lapin::protocol::AMQPClass;
    use lapin::protocol::basic::{self, AMQPMethod as Basic};
    use lapin::protocol::channel::{self, AMQPMethod as Channels};

    use super::*;
    use crate::sieve::frames::tests::{frame, method};

    const ONE: [u8; 2] = [0, 1];

    /// The tags that are unsettled after this stream, of the tags 1 to 4.
    fn left(stream: &[u8]) -> Vec<u64> {
        let lefts = [1, 3, 7, stream.len()].map(|size| {
            let (mut sent, mut allowance) = (Sent::default(), Allowance::default());
            (1..=4).for_each(|tag| allowance.deliver(ONE, tag).unwrap());
            stream.chunks(size).for_each(|piece| sent.read(piece, &mut allowance));
            (1..=4).filter(|tag| allowance.deliver(ONE, *tag).is_err()).collect::<Vec<_>>()
        });
        assert!(lefts.iter().all(|left| *left == lefts[0]), "{lefts:?}");
        lefts[0].clone()
    }

    #[test]
    fn what_this_process_asks_for_may_be_sent_once() {
        let select = frame(METHOD, b"\0\x55\0\x0A\0");
        let publish = frame(METHOD, b"\0\x3C\0\x28\0\0\0\x01q\0");
        let consume = frame(METHOD, b"\0\x3C\0\x14\0\0\x01q\0\0\0\0\0\0");
        let get = frame(METHOD, b"\0\x3C\0\x46\0\0\x01q\0");
        let (mut sent, mut allowance) = (Sent::default(), Allowance::default());
        sent.read(&[b"AMQP\0\0\x09\x01", &select[..], &publish, &consume, &get].concat(), &mut allowance);
        for allowed in [true, false] {
            assert_eq!(allowance.give_back(ONE).is_ok(), allowed);
            assert_eq!(allowance.cancel(ONE).is_ok(), allowed);
            assert_eq!(allowance.answer(ONE, true).is_ok(), allowed);
        }
    }

    #[test]
    fn what_this_process_settles_is_read_however_the_stream_is_split() {
        let ack = |delivery_tag, multiple| {
            method(&AMQPClass::Basic(Basic::Ack(basic::Ack { delivery_tag, multiple })))
        };
        let nack = |delivery_tag, multiple| {
            method(&AMQPClass::Basic(Basic::Nack(basic::Nack { delivery_tag, multiple, requeue: true })))
        };
        let reject = |delivery_tag| {
            method(&AMQPClass::Basic(Basic::Reject(basic::Reject { delivery_tag, requeue: true })))
        };
        let open = method(&AMQPClass::Channel(Channels::Open(channel::Open {})));
        let close_ok = method(&AMQPClass::Channel(Channels::CloseOk(channel::CloseOk {})));
        for (settling, wanted) in [
            (ack(2, false), &[1, 3, 4][..]),
            (ack(2, true), &[3, 4]),
            (ack(0, true), &[]),
            (nack(3, false), &[1, 2, 4]),
            (nack(3, true), &[4]),
            (reject(3), &[1, 2, 4]),
            (open, &[]),
            (close_ok, &[]),
            (Vec::new(), &[1, 2, 3, 4]),
        ] {
            let before =
                [frame(METHOD, b"\0\x3C\0\x28\0\0\0\x01q\0"), frame(8, b""), frame(3, &[0xCE; 300])].concat();
            assert_eq!(left(&[b"AMQP\0\0\x09\x01", &before[..], &settling].concat()), wanted);
        }
    }
}
