//! Counts the methods of AMQP that pass through a proxy, by what they are about.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

const METHOD: u8 = 1;
/// The length of a frame's head: kind, channel and size.
const HEAD: usize = 7;
/// What a client says first, which is no frame.
const GREETING: &[u8] = b"AMQP\0\0\x09\x01";

/// How often each method was said about each queue or exchange.
pub(crate) type Counts = BTreeMap<(&'static str, String), u64>;

/// Counts what is said; clones share the counts.
#[derive(Clone, Default)]
pub(crate) struct Tally(Arc<Mutex<Counts>>);

impl Tally {
    pub(crate) fn counts(&self) -> Counts {
        self.0.lock().unwrap().clone()
    }

    /// Counts what is said in one direction of a connection, however it is split into pieces.
    pub(crate) fn listener(&self) -> impl FnMut(&[u8]) + Send + use<> {
        let (tally, mut rest) = (self.clone(), Vec::new());
        move |said| {
            rest.extend_from_slice(said);
            if rest.starts_with(GREETING) {
                rest.drain(..GREETING.len());
            }
            while let Some(end) = first_frame(&rest) {
                if let Some(method) = (rest[0] == METHOD).then(|| method(&rest[HEAD..end - 1])).flatten() {
                    *tally.0.lock().unwrap().entry(method).or_default() += 1;
                }
                rest.drain(..end);
            }
        }
    }
}

/// Where the first frame ends, if all of it is there.
fn first_frame(stream: &[u8]) -> Option<usize> {
    let length = u32::from_be_bytes(*stream.get(3..HEAD)?.first_chunk()?);
    let end = HEAD + length as usize + 1;
    (stream.len() >= end).then_some(end)
}

/// A method that costs a broker work, and the queue or the exchange that it is about, if it names one.
fn method(payload: &[u8]) -> Option<(&'static str, String)> {
    let arguments = &payload[4..];
    let queue = || text(&arguments[2..]).0;
    Some(match (payload[1], payload[3]) {
        (20, 10) => ("channel.open", String::new()),
        (50, 10) => ("queue.declare", queue()),
        (60, 20) => ("basic.consume", queue()),
        (60, 30) => ("basic.cancel", String::new()),
        (60, 40) => ("basic.publish", route(&arguments[2..])),
        (60, 60) => ("basic.deliver", route(&text(arguments).1[9..])),
        (60, 70) => ("basic.get", queue()),
        (60, 80) => ("basic.ack", String::new()),
        (60, 90 | 120) => ("basic.nack", String::new()),
        _ => return None,
    })
}

/// The exchange, or the queue's name where it is the default one.
fn route(arguments: &[u8]) -> String {
    let (exchange, rest) = text(arguments);
    if exchange.is_empty() { text(rest).0 } else { exchange }
}

/// A short text, and what follows it.
fn text(bytes: &[u8]) -> (String, &[u8]) {
    let (text, rest) = bytes[1..].split_at(bytes[0].into());
    (String::from_utf8_lossy(text).into_owned(), rest)
}
