//! A client of the broker that sends whatever a stranger may, also what the usual client cannot put together.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const METHOD: u8 = 1;
const PROPERTIES: u8 = 2;
const BODY: u8 = 3;
const FRAME_MAX: u32 = 128 * 1024;

/// A connection with one channel, on which the broker confirms.
pub(crate) struct Stranger {
    stream: TcpStream,
    published: u64,
    /// Messages that the broker has not confirmed.
    unconfirmed: BTreeSet<u64>,
}

impl Stranger {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let mut this = Self { stream, published: 0, unconfirmed: BTreeSet::new() };
        this.stream.write_all(b"AMQP\0\0\x09\x01").await.unwrap();
        this.expect([10, 10]).await;
        let signed_in = [&[0; 4][..], b"\x05PLAIN", &long(b"\0guest\0guest"), b"\x05en_US"];
        this.method(0, [10, 11], &signed_in.concat()).await;
        this.expect([10, 30]).await;
        let tuned = [&9_u16.to_be_bytes()[..], &FRAME_MAX.to_be_bytes(), &[0, 0]];
        this.method(0, [10, 31], &tuned.concat()).await;
        this.method(0, [10, 40], b"\x01/\0\0").await;
        this.expect([10, 41]).await;
        this.method(1, [20, 10], b"\0").await;
        this.expect([20, 11]).await;
        this.method(1, [85, 10], b"\0").await;
        this.expect([85, 11]).await;
        this
    }

    /// Publishes; the properties are their flags and what follows them. It is in its queues when this returns.
    pub(crate) async fn publish(&mut self, exchange: &str, key: &[u8], properties: &[u8], body: &[u8]) {
        self.send(exchange, key, properties, body).await;
        self.confirmed().await;
    }

    /// Publishes without waiting for it.
    pub(crate) async fn send(&mut self, exchange: &str, key: &[u8], properties: &[u8], body: &[u8]) {
        let to = [&[0, 0][..], &short(exchange.as_bytes()), &short(key), b"\0"];
        self.method(1, [60, 40], &to.concat()).await;
        let size = (body.len() as u64).to_be_bytes();
        self.frame(PROPERTIES, 1, &[&[0, 60, 0, 0][..], &size, properties].concat()).await;
        for part in body.chunks(FRAME_MAX as usize - 8) {
            self.frame(BODY, 1, part).await;
        }
        self.published += 1;
        self.unconfirmed.insert(self.published);
    }

    /// Waits until everything that was sent is in its queues.
    pub(crate) async fn confirmed(&mut self) {
        while !self.unconfirmed.is_empty() {
            let confirmed = self.expect([60, 80]).await;
            let tag = u64::from_be_bytes(confirmed[..8].try_into().unwrap());
            let is_multiple = confirmed[8] & 1 == 1;
            self.unconfirmed.retain(|sent| *sent != tag && !(is_multiple && *sent < tag));
        }
    }

    /// The properties and the body of the first message of a queue, which stays there.
    pub(crate) async fn first_of(&mut self, queue: &str) -> (Vec<u8>, Vec<u8>) {
        self.method(1, [60, 70], &[&[0, 0][..], &short(queue.as_bytes()), b"\0"].concat()).await;
        let found = self.expect([60, 71]).await;
        let properties = self.receive().await.split_off(12);
        let body = self.receive().await;
        let requeued = [&found[..8], b"\x02"].concat();
        self.method(1, [60, 120], &requeued).await;
        (properties, body)
    }

    /// Takes all messages out of a queue.
    pub(crate) async fn purge(&mut self, queue: &str) {
        self.method(1, [50, 30], &[&[0, 0][..], &short(queue.as_bytes()), b"\0"].concat()).await;
        self.expect([50, 31]).await;
    }

    /// Messages that are ready in a queue.
    pub(crate) async fn ready(&mut self, queue: &str) -> u32 {
        const PASSIVE: &[u8] = b"\x01";
        let asked = [&[0, 0][..], &short(queue.as_bytes()), PASSIVE, &[0; 4]];
        self.method(1, [50, 10], &asked.concat()).await;
        let found = self.expect([50, 11]).await;
        let count = found[found.len() - 8..found.len() - 4].try_into().unwrap();
        u32::from_be_bytes(count)
    }

    async fn method(&mut self, channel: u16, [class, method]: [u8; 2], arguments: &[u8]) {
        self.frame(METHOD, channel, &[&[0, class, 0, method][..], arguments].concat()).await;
    }

    async fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        let size = u32::try_from(payload.len()).unwrap();
        let head = [&[kind][..], &channel.to_be_bytes(), &size.to_be_bytes()].concat();
        self.stream.write_all(&[&head, payload, &[0xCE]].concat()).await.unwrap();
    }

    /// The arguments of the next method, which is this one.
    async fn expect(&mut self, [class, method]: [u8; 2]) -> Vec<u8> {
        let payload = self.receive().await;
        assert_eq!(payload[..4], [0, class, 0, method], "{}", String::from_utf8_lossy(&payload));
        payload[4..].to_vec()
    }

    /// The next frame's payload.
    async fn receive(&mut self) -> Vec<u8> {
        let mut head = [0; 7];
        self.stream.read_exact(&mut head).await.unwrap();
        let size = u32::from_be_bytes(head[3..].try_into().unwrap());
        let mut payload = vec![0; size as usize + 1];
        self.stream.read_exact(&mut payload).await.unwrap();
        payload.truncate(size as usize);
        payload
    }
}

/// A text as AMQP writes short ones.
pub(crate) fn short(text: &[u8]) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text].concat()
}

fn long(text: &[u8]) -> Vec<u8> {
    [&u32::try_from(text.len()).unwrap().to_be_bytes(), text].concat()
}

/// The property of headers, of which one holds this many tables within one another.
pub(crate) fn nested_tables(levels: usize) -> Vec<u8> {
    let value = (0..levels).fold(Vec::new(), |inner, level| {
        let inner = if level == 0 { inner } else { [b"\0", &inner[..]].concat() };
        [b"F", &long(&inner)[..]].concat()
    });
    headers(&[b"\x01a", &value[..]].concat())
}

/// The property of headers.
pub(crate) fn headers(table: &[u8]) -> Vec<u8> {
    [&[0x20, 0][..], &long(table)].concat()
}

/// The property of headers with one text.
pub(crate) fn header(name: &str, text: &[u8]) -> Vec<u8> {
    headers(&[&short(name.as_bytes())[..], b"S", &long(text)].concat())
}
