//! Filters a connection, so that the broker's client receives only what it can read.
//!
//! The broker passes on a message's properties as the publisher wrote them, in one frame of any size, whatever size was
//! negotiated. The client parses nested tables by recursion, which overflows its stack, and closes the connection over
//! text that is not UTF-8; both again each time the message is delivered. It also queues whatever a broker delivers, however
//! much was asked for. So incoming frames pass through here first.

mod allowance;
mod closing;
mod frames;
mod methods;
mod properties;
mod received;
mod sent;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_rs::traits::Reactor;
use async_rs::util::RuntimeParts;
use async_rs::{Runtime, Tokio};
use futures::Stream;
use futures::io::{AsyncRead, AsyncWrite};
use lapin::tcp::{AMQPUriTcpExt, AsyncTcpStream, OwnedTLSConfig};
use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

pub use closing::Closing;
use frames::Frames;
use sent::Sent;

/// The frame size to negotiate, which is also the largest that the broker offers by default.
const FRAME_MAX: u32 = 128 * 1024;
const CHUNK: usize = 16 * 1024;

type Socket = AsyncTcpStream<<Tokio as Reactor>::TcpStream>;

/// Connects. If the future is dropped, the connection is closed.
pub(super) async fn connect(
    mut uri: AMQPUri,
    properties: ConnectionProperties,
    tls: OwnedTLSConfig,
) -> lapin::Result<Closing> {
    uri.query.frame_max = Some(FRAME_MAX);
    let tokio = Tokio::current();
    let runtime = Runtime::new(RuntimeParts::new(tokio.clone(), Sieving(tokio.clone())));
    let tokio = Runtime::new(tokio);
    let ended = closing::End::default();
    let end = ended.token();
    let connect = async move |uri: AMQPUri, _| {
        let connecting = uri.connect_with_config_async(tls.as_ref(), &tokio);
        let socket = end.run_until_cancelled(connecting).await.ok_or_else(given_up)??;
        Ok(AsyncTcpStream::Plain(Sieved::new(socket, end.clone())))
    };
    Ok(Closing::new(Connection::connector(uri, runtime, connect, properties).await?, ended))
}

fn given_up() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the connection was given up")
}

/// A connection whose incoming frames are cleaned; TLS is below it.
pub(super) struct Sieved {
    socket: Socket,
    frames: Frames,
    sent: Sent,
    /// Cleaned bytes; those up to `handed_out` were already read.
    clean: Vec<u8>,
    handed_out: usize,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Sieved {
    fn new(socket: Socket, end: CancellationToken) -> Self {
        let ended = Box::pin(end.cancelled_owned());
        Self {
            socket,
            frames: Frames::default(),
            sent: Sent::default(),
            clean: Vec::new(),
            handed_out: 0,
            ended,
        }
    }
}

impl AsyncRead for Sieved {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.ended.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(given_up()));
        }
        while this.handed_out == this.clean.len() {
            this.clean.clear();
            this.handed_out = 0;
            let mut chunk = [0; CHUNK];
            let read = ready!(Pin::new(&mut this.socket).poll_read(context, &mut chunk))?;
            if read == 0 {
                return Poll::Ready(Ok(0));
            }
            this.frames.clean(&chunk[..read], &mut this.clean)?;
        }
        let ready = &this.clean[this.handed_out..];
        let count = ready.len().min(buffer.len());
        buffer[..count].copy_from_slice(&ready[..count]);
        this.handed_out += count;
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for Sieved {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.socket).poll_write(context, bytes))?;
        this.sent.read(&bytes[..written], &mut this.frames.allowance);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.socket).poll_write_vectored(context, slices))?;
        let mut left = written;
        for slice in slices {
            let count = left.min(slice.len());
            this.sent.read(&slice[..count], &mut this.frames.allowance);
            left -= count;
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_close(context)
    }
}

/// Tokio's reactor, with [`Sieved`] connections.
#[derive(Debug, Clone)]
struct Sieving(Tokio);

impl Reactor for Sieving {
    type TcpStream = Sieved;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: io::Read + io::Write + AsFd + AsRawFd + Send + 'static>(
        &self,
        socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        self.0.register(socket)
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.0.sleep(duration)
    }

    fn interval(&self, duration: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(duration)
    }

    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Sieved>> + Send + 'static {
        let connecting = self.0.tcp_connect_addr(address);
        async move { Ok(Sieved::new(AsyncTcpStream::Plain(connecting.await?), CancellationToken::new())) }
    }
}

#[cfg(test)]
mod tests {
    use futures::io::{AsyncReadExt, AsyncWriteExt};
    use lapin::protocol::AMQPClass;
    use lapin::protocol::basic::{AMQPMethod, Ack};
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    use super::frames::tests::{delivery, method};
    use super::*;

    /// The deliveries of one round, which nothing bounds yet.
    const ROUND: u64 = 500;

    /// Delivers 800 MB in rounds, and answers each; returns whether the connection takes them all.
    async fn takes(answer: impl AsyncFn(&mut Sieved, u64) -> io::Result<()>) -> bool {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connecting = Sieving(Tokio::current()).tcp_connect_addr(address);
        let (connected, accepted) = tokio::join!(connecting, listener.accept());
        let (mut sieved, mut broker) = (connected.unwrap(), accepted.unwrap().0);
        sieved.write_all(b"AMQP\0\0\x09\x01").await.unwrap();
        for round in 0..6 {
            let tags = round * ROUND + 1..=(round + 1) * ROUND;
            let deliveries: Vec<u8> = tags.flat_map(|tag| delivery(tag, u64::MAX)).collect();
            broker.write_all(&deliveries).await.unwrap();
            // They pass with a shorter length of the body, but with as many bytes.
            let mut received = vec![0; deliveries.len()];
            if sieved.read_exact(&mut received).await.is_err() {
                return false;
            }
            answer(&mut sieved, (round + 1) * ROUND).await.unwrap();
        }
        true
    }

    fn ack(delivery_tag: u64) -> Vec<u8> {
        method(&AMQPClass::Basic(AMQPMethod::Ack(Ack { delivery_tag, multiple: true })))
    }

    #[tokio::test]
    async fn deliveries_without_end_pass_only_while_this_process_settles_them() {
        assert!(takes(async |sieved, last| sieved.write_all(&ack(last)).await).await);
        let vectored = async |sieved: &mut Sieved, last| {
            let frame = ack(last);
            let (head, rest) = frame.split_at(5);
            let written = sieved.write_vectored(&[head, rest].map(io::IoSlice::new)).await?;
            sieved.write_all(&frame[written..]).await
        };
        assert!(takes(vectored).await);
        assert!(!takes(async |_, _| Ok(())).await);
    }
}
