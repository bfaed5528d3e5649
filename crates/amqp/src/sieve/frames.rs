//! The frames of AMQP 0-9-1, as far as messages pass through them. Pure.

use std::collections::HashMap;
use std::io;

use super::allowance::Allowance;
use super::methods::{
    ACK, BASIC, BLOCKED, CANCEL, CHANNEL, CLOSE_OK, CONFIRM, CONNECTION, DELIVER, GET_EMPTY, GET_OK, HEAD,
    METHOD, NACK, RETURN, START, after_text,
};
use super::properties;
use super::received::received;
use crate::message::MOST_RECORD_BYTES;

/// How much of a frame is held. Longer properties are cut there; no other frame is longer.
const MOST_FRAME: usize = super::FRAME_MAX as usize;
/// How much of a body is passed on: just enough that it is refused as too large.
const MOST_BODY: u64 = MOST_RECORD_BYTES as u64 + 1;

const PROPERTIES: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;
const END: u8 = 0xCE;
/// The length of class, weight and body size.
const PROPERTIES_HEAD: usize = 12;

/// The length of a delivery tag and the redelivered flag.
const NUMBER: usize = 9;
/// The methods that a broker sends, by class: those of AMQP 0-9-1 and RabbitMQ's own. The client parses the methods of
/// both sides, and recurses into the tables of those that clients send.
const OF_A_BROKER: [(u16, &[u16]); 7] = [
    (CONNECTION, &[START, 20, 30, 41, 50, 51, BLOCKED, 61, 71]),
    // Not `flow`: RabbitMQ stops reading instead, and each would be answered.
    (CHANNEL, &[11, 40, CLOSE_OK]),
    // Exchanges, queues.
    (40, &[11, 21, 31, 51]),
    (50, &[11, 21, 31, 41, 51]),
    (BASIC, &[11, 21, CANCEL, 31, RETURN, DELIVER, GET_OK, GET_EMPTY, ACK, 111, NACK]),
    // Confirms and transactions.
    (CONFIRM, &[11]),
    (90, &[11, 21, 31]),
];
/// The deepest nesting in a greeting: RabbitMQ's contains a table of capabilities, and nothing within that.
const MOST_LEVELS: usize = 4;

/// Cleans a stream of frames, however it is split into pieces.
#[derive(Default)]
pub(super) struct Frames {
    /// The incoming frame, without its skipped part.
    frame: Vec<u8>,
    /// How many bytes of the stream to skip next.
    skipped: usize,
    /// The stream is not AMQP: it is passed on, and the client reports it.
    is_foreign: bool,
    /// The incoming body on each channel, if it is too long.
    cut: HashMap<[u8; 2], Cut>,
    pub(super) allowance: Allowance,
}

/// A body that is too long: how much is still to be passed on, and how much to be left out.
struct Cut {
    passed: u64,
    left_out: u64,
}

impl Frames {
    /// Takes in a piece of the stream, and appends the frames that it completes to `clean`.
    ///
    /// # Errors
    /// A frame is larger than negotiated or holds a method that brokers do not send, the client cannot read the
    /// greeting, or the broker sends more than it may.
    pub(super) fn clean(&mut self, mut piece: &[u8], clean: &mut Vec<u8>) -> io::Result<()> {
        while !piece.is_empty() {
            if self.is_foreign {
                clean.extend_from_slice(piece);
                return Ok(());
            }
            let skipped = self.skipped.min(piece.len());
            self.skipped -= skipped;
            piece = &piece[skipped..];
            let missing = self.wanted()? - self.frame.len();
            let (taken, rest) = piece.split_at(missing.min(piece.len()));
            self.frame.extend_from_slice(taken);
            piece = rest;
            self.is_foreign =
                !matches!(self.frame.first(), None | Some(&(METHOD | PROPERTIES | BODY | HEARTBEAT)));
            if self.is_foreign {
                clean.append(&mut self.frame);
            } else if self.frame.len() > HEAD && self.frame.len() == self.wanted()? {
                self.skipped = self.size() + HEAD + 1 - self.frame.len();
                self.pass(clean)?;
                self.frame.clear();
            }
        }
        Ok(())
    }

    fn size(&self) -> usize {
        let size = self.frame.get(3..HEAD).and_then(|size| size.try_into().ok());
        size.map_or(0, |size| u32::from_be_bytes(size) as usize)
    }

    /// The frame length to wait for, as far as it is known yet.
    fn wanted(&self) -> io::Result<usize> {
        if self.frame.len() < HEAD {
            return Ok(HEAD);
        }
        let size = self.size();
        if size > MOST_FRAME && self.frame[0] != PROPERTIES {
            return Err(io::Error::other(format!("the broker sent a frame of {size} bytes")));
        }
        Ok(HEAD + size.min(MOST_FRAME) + 1)
    }

    /// Appends the frame as the client may see it.
    fn pass(&mut self, clean: &mut Vec<u8>) -> io::Result<()> {
        let size = self.size().min(MOST_FRAME);
        let kind = self.frame[0];
        let channel = [self.frame[1], self.frame[2]];
        let payload = &mut self.frame[HEAD..HEAD + size];
        match kind {
            METHOD => {
                clean_method(payload)?;
                received(payload, channel, &mut self.allowance)?;
                add(clean, kind, channel, payload);
            }
            PROPERTIES => match payload.split_at_checked(PROPERTIES_HEAD) {
                Some((head, texts)) => {
                    let (about, bytes) = head.split_at(PROPERTIES_HEAD - 8);
                    let bytes = bytes.try_into().map_or(0, u64::from_be_bytes);
                    let passed = bytes.min(MOST_BODY);
                    if bytes > passed {
                        self.cut.insert(channel, Cut { passed, left_out: bytes - passed });
                    }
                    let kept = properties::kept(texts);
                    self.allowance.properties(channel, passed + kept.len() as u64)?;
                    add(clean, kind, channel, &[about, &passed.to_be_bytes(), &kept].concat());
                }
                None => add(clean, kind, channel, payload),
            },
            BODY => match self.cut.get_mut(&channel) {
                Some(cut) => {
                    let taken = usize::try_from(cut.passed).map_or(size, |left| left.min(size));
                    cut.passed -= taken as u64;
                    cut.left_out = cut.left_out.saturating_sub((size - taken) as u64);
                    let is_over = cut.passed == 0 && cut.left_out == 0;
                    if taken > 0 {
                        add(clean, kind, channel, &payload[..taken]);
                    }
                    if is_over {
                        self.cut.remove(&channel);
                    }
                }
                None => add(clean, kind, channel, payload),
            },
            _ => add(clean, kind, channel, payload),
        }
        Ok(())
    }
}

fn add(clean: &mut Vec<u8>, kind: u8, [high, low]: [u8; 2], payload: &[u8]) {
    let size = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    clean.extend_from_slice(&[kind, high, low]);
    clean.extend_from_slice(&size.to_be_bytes());
    clean.extend_from_slice(payload);
    clean.push(END);
}

/// Replaces bytes of a routing key, which the publisher chose, that are not UTF-8. Refuses what the client would
/// recurse into: a greeting with deep tables, and methods of clients.
fn clean_method(payload: &mut [u8]) -> io::Result<()> {
    let Some((id, rest)) = payload.split_first_chunk_mut::<4>() else { return Ok(()) };
    let [class, method] = [[id[0], id[1]], [id[2], id[3]]].map(u16::from_be_bytes);
    let is_of_a_broker = OF_A_BROKER.iter().any(|(of, methods)| *of == class && methods.contains(&method));
    if !is_of_a_broker {
        return Err(io::Error::other(format!(
            "the broker sent the method {class}.{method}, which brokers do not send"
        )));
    }
    let rest = match (class, method) {
        (CONNECTION, START) => {
            // The table comes after the protocol version.
            let is_read = rest.get(2..).is_some_and(|table| properties::is_shallow_table(table, MOST_LEVELS));
            let refused = || io::Error::other("the broker's greeting cannot be read");
            return is_read.then_some(()).ok_or_else(refused);
        }
        (BASIC, GET_OK) => rest.get_mut(NUMBER..),
        (BASIC, DELIVER) => after_text(rest).and_then(|rest| rest.get_mut(NUMBER..)),
        (BASIC, RETURN) => rest.get_mut(2..).and_then(after_text),
        _ => None,
    };
    let key = rest.and_then(after_text).and_then(|key| {
        let (&mut length, key) = key.split_first_mut()?;
        key.get_mut(..usize::from(length))
    });
    if let Some(key) = key.filter(|key| std::str::from_utf8(key).is_err()) {
        key.iter_mut().filter(|byte| !byte.is_ascii()).for_each(|byte| *byte = b'?');
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use lapin::protocol::AMQPClass;

    use super::*;

    pub(in super::super) fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        add(&mut frame, kind, [0, 1], payload);
        frame
    }

    pub(in super::super) fn method(method: &AMQPClass) -> Vec<u8> {
        let payload = lapin::protocol::gen_class(method)(Vec::new().into()).unwrap().write;
        frame(METHOD, &payload)
    }

    fn about(bytes: u64, properties: &[u8]) -> Vec<u8> {
        frame(PROPERTIES, &[b"\0\x3C\0\0", &bytes.to_be_bytes()[..], properties].concat())
    }

    /// A message as the answer to a request, before its body.
    fn answer(bytes: u64, properties: &[u8]) -> Vec<u8> {
        let get_ok = frame(METHOD, b"\0\x3C\0\x47\0\0\0\0\0\0\0\x01\0\x01e\x01k\0\0\0\0");
        [get_ok, about(bytes, properties)].concat()
    }

    /// A delivery with the announcement of its body.
    pub(in super::super) fn delivery(tag: u64, bytes: u64) -> Vec<u8> {
        let deliver = [&b"\0\x3C\0\x3C\x01c"[..], &tag.to_be_bytes(), b"\0\x01e\x01k"].concat();
        [frame(METHOD, &deliver), about(bytes, b"\0\0")].concat()
    }

    /// The output, which is the same however the input is split.
    fn cleaned(stream: &[u8]) -> Vec<u8> {
        let whole = in_pieces(stream, stream.len());
        for size in [1, 2, 7, 8, 1000] {
            assert!(in_pieces(stream, size) == whole, "in pieces of {size}");
        }
        whole
    }

    fn in_pieces(stream: &[u8], size: usize) -> Vec<u8> {
        let (mut frames, mut clean) = (Frames::default(), Vec::new());
        for _ in 0..9 {
            frames.allowance.requested([0, 1]);
            frames.allowance.confirms([0, 1]);
            frames.allowance.published([0, 1]);
        }
        stream.chunks(size).for_each(|piece| frames.clean(piece, &mut clean).unwrap());
        clean
    }

    #[test]
    fn what_concerns_no_message_passes_as_it_is() {
        let start = frame(METHOD, b"\0\x0A\0\x0A\0\x09\0\0\0\x04\x01at\x01\0\0\0\x05PLAIN\0\0\0\0");
        let stream = [start, frame(HEARTBEAT, b""), frame(BODY, b"{}"), answer(2, b"\0\0")].concat();
        assert_eq!(cleaned(&stream), stream);
        for foreign in [&b"AMQP\0\0\x09\x01"[..], b"HTTP/1.1 400 Bad Request\r\n", b"\xFF"] {
            assert_eq!(cleaned(foreign), foreign);
            assert_eq!(cleaned(&[&stream, foreign].concat()), [&stream, foreign].concat());
        }
    }

    #[test]
    fn properties_of_any_length_are_rebuilt_and_the_next_frame_follows() {
        let empty = answer(2, b"\x20\0\0\0\0\0");
        for size in [10, MOST_FRAME, MOST_FRAME + 1, 3 * MOST_FRAME] {
            let value = u32::try_from(size).unwrap().to_be_bytes();
            let table = [b"\x01aS", &value[..], &vec![b'x'; size]].concat();
            let sized = [&u32::try_from(table.len()).unwrap().to_be_bytes()[..], &table].concat();
            let stream = [answer(2, &[b"\x20\0", &sized[..]].concat()), frame(BODY, b"{}")].concat();
            assert_eq!(cleaned(&stream), [empty.clone(), frame(BODY, b"{}")].concat(), "{size}");
        }
    }

    #[test]
    fn a_body_that_is_too_long_is_cut_and_the_next_message_is_not() {
        let part = vec![b'x'; MOST_FRAME];
        let [bytes, most] = [5 * MOST_FRAME as u64, 2 * MOST_FRAME as u64 + 1];
        assert_eq!(most, MOST_BODY);
        let parts = [frame(BODY, &part).repeat(5), answer(2, b"\0\0"), frame(BODY, b"{}")].concat();
        let wanted = [
            answer(most, b"\0\0"),
            frame(BODY, &part).repeat(2),
            frame(BODY, b"x"),
            answer(2, b"\0\0"),
            frame(BODY, b"{}"),
        ];
        assert!(cleaned(&[answer(bytes, b"\0\0"), parts].concat()) == wanted.concat());
    }

    #[test]
    fn a_routing_key_is_text() {
        let of = |key: &[u8]| {
            let number = b"\0\0\0\0\0\0\0\x01\0";
            let length = [u8::try_from(key.len()).unwrap()];
            let key = [&length, key].concat();
            let get_ok = [&b"\0\x3C\0\x47"[..], number, b"\x01e", &key, b"\0\0\0\xFF"].concat();
            let deliver = [&b"\0\x3C\0\x3C\x01c"[..], number, b"\x01e", &key].concat();
            let returned = [&b"\0\x3C\0\x32\0\xFF\x01t\x01e"[..], &key].concat();
            [get_ok, deliver, returned]
                .map(|method| [frame(METHOD, &method), about(0, b"\0\0")].concat())
                .concat()
        };
        assert_eq!(cleaned(&of("grüße".as_bytes())), of("grüße".as_bytes()));
        assert_eq!(cleaned(&of(b"a\xFF\xC3b")), of(b"a??b"));
    }

    #[test]
    fn a_greeting_that_the_client_would_recurse_into_ends_the_connection() {
        let nested = (0..10_000).fold(Vec::new(), |inner: Vec<u8>, _| {
            [b"F", &u32::try_from(inner.len() + 1).unwrap().to_be_bytes()[..], b"\0", &inner].concat()
        });
        let table = [b"\x01a", &nested[..]].concat();
        let size = u32::try_from(table.len()).unwrap().to_be_bytes();
        let start = frame(METHOD, &[b"\0\x0A\0\x0A\0\x09", &size[..], &table].concat());
        assert!(Frames::default().clean(&start, &mut Vec::new()).is_err());
    }

    #[test]
    fn a_method_that_only_clients_send_ends_the_connection() {
        // The methods with a table: start-ok, declare, bind, unbind, consume.
        for (class, method) in
            [(10, 11), (40, 10), (40, 30), (40, 40), (50, 10), (50, 20), (50, 50), (60, 20), (7, 7)]
        {
            let method = frame(METHOD, &[0, class, 0, method, 0, 0]);
            let refused = Frames::default().clean(&method, &mut Vec::new()).unwrap_err().to_string();
            assert!(refused.contains("which brokers do not send"), "{refused}");
        }
    }

    #[test]
    fn a_frame_larger_than_was_negotiated_ends_the_connection() {
        let stream = frame(BODY, &vec![0; MOST_FRAME + 1]);
        assert!(Frames::default().clean(&stream, &mut Vec::new()).is_err());
    }

    #[test]
    fn deliveries_that_nothing_acknowledges_end_the_connection() {
        for bytes in [0, 1000, MOST_BODY, u64::MAX] {
            let mut frames = Frames::default();
            let most =
                (1..1_000_000).find(|tag| frames.clean(&delivery(*tag, bytes), &mut Vec::new()).is_err());
            assert!(most.is_some_and(|most| most > 1000), "{bytes}: {most:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_stream_is_cleaned_or_refused_and_takes_no_more_memory_than_a_frame(stream: Vec<u8>, kind in 1_u8..5) {
            for stream in [stream.clone(), frame(kind, &stream)] {
                let (mut frames, mut clean) = (Frames::default(), Vec::new());
                let _ = frames.clean(&stream, &mut clean);
                proptest::prop_assert!(frames.frame.len() <= HEAD + MOST_FRAME + 1);
            }
        }
    }
}
