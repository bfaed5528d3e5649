//! Reads a file while the rest of it is still being received.

use std::io;
use std::ops::Range;

use bytes::Bytes;
use futures::Stream;
use tokio::sync::watch;

use super::content::Content;

/// The reading side of a file that is being received; clones share it.
#[derive(Debug, Clone)]
pub struct Arriving {
    bytes: u64,
    arrived: watch::Receiver<Arrived>,
}

/// The receiving side; dropped, it ends the wait of the reading side.
#[derive(Debug)]
pub struct Arrival(watch::Sender<Arrived>);

#[derive(Debug, Default)]
struct Arrived {
    /// A file that fits into memory is shown only once it is whole.
    content: Option<Content>,
    bytes: u64,
}

/// A part of a file whose bytes have arrived. It can be read repeatedly.
#[derive(Debug)]
pub struct ArrivedPart {
    content: Content,
    range: Range<u64>,
}

/// The two sides of a file of this announced length.
pub fn arrival(bytes: u64) -> (Arrival, Arriving) {
    let (sender, arrived) = watch::channel(Arrived::default());
    (Arrival(sender), Arriving { bytes, arrived })
}

impl Arrival {
    pub(super) fn note(&self, content: &Content, bytes: u64) {
        self.0.send_modify(|arrived| {
            arrived.content.get_or_insert_with(|| content.clone());
            arrived.bytes = bytes;
        });
    }
}

impl Arriving {
    pub(super) fn whole(content: Content, bytes: u64) -> Self {
        let (_, arrived) = watch::channel(Arrived { content: Some(content), bytes });
        Self { bytes, arrived }
    }

    /// The announced length.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Waits until these bytes have arrived; `None` if the receiving side ended before. That they arrived says nothing about
    /// the rest: the file is whole only once [`Spool::receive`](super::Spool::receive) returns it.
    pub async fn part(&self, range: Range<u64>) -> Option<ArrivedPart> {
        let mut watched = self.arrived.clone();
        let arrived = watched.wait_for(|arrived| arrived.content.is_some() && arrived.bytes >= range.end);
        let content = arrived.await.ok()?.content.clone()?;
        Some(ArrivedPart { content, range })
    }
}

impl ArrivedPart {
    pub fn bytes(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// Streams the part in pieces of at most 64 KiB.
    pub fn stream(&self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        self.content.stream(self.range.clone())
    }
}
