//! A connection to a mail server that may send one reply to each command, and no more.
//!
//! lettre reads a line to its end however long it is, and keeps what it has read across the start of TLS: a machine on the way could
//! fill the memory with one line, or append replies that would then count as those of the encrypted server.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most bytes of a conversation: some ten replies, and a certificate chain.
const MOST_RECEIVED: usize = 256 << 10;
/// The first byte of each TLS record of a handshake. No command of SMTP begins with it.
const HANDSHAKE: u8 = 0x16;

#[derive(Debug)]
pub(super) struct Lockstep<S> {
    stream: S,
    peer: SocketAddr,
    received: usize,
    /// `None` once TLS has begun, which checks each byte itself.
    reply: Option<Reply>,
}

/// How much of a reply came since the last command.
#[derive(Debug, Default)]
struct Reply {
    /// Bytes of the line so far, and its fourth one: a hyphen says that more lines follow.
    length: usize,
    mark: u8,
    is_complete: bool,
    is_exceeded: bool,
}

impl Reply {
    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.is_exceeded |= self.is_complete;
            self.length += 1;
            if self.length == 4 {
                self.mark = *byte;
            }
            if *byte == b'\n' {
                self.is_complete = self.length < 4 || self.mark != b'-';
                self.length = 0;
            }
        }
    }
}

impl<S> Lockstep<S> {
    pub(super) fn new(stream: S, peer: SocketAddr) -> Self {
        Self { stream, peer, received: 0, reply: Some(Reply::default()) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lockstep<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let new = &buffer.filled()[before..];
        self.received += new.len();
        if self.received > MOST_RECEIVED {
            // After an error the buffer has to be as it was.
            buffer.set_filled(before);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "its replies are too long")));
        }
        if let Some(reply) = &mut self.reply {
            reply.take(new);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lockstep<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.reply.as_ref().is_some_and(|reply| reply.is_exceeded) {
            let excess = "it sent more than one reply, so the connection is not trusted";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, excess)));
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        self.reply =
            self.reply.take().filter(|_| bytes.first() != Some(&HANDSHAKE)).map(|_| Reply::default());
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug> AsyncTokioStream for Lockstep<S> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    fn here() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 25))
    }

    #[tokio::test]
    async fn each_command_gets_one_reply_and_what_follows_the_last_one_is_refused() {
        for (replies, is_trusted) in [
            (&["220 ready\r\n", "250-one\r\n250-two\r\n250 three\r\n", "220 go\r\n"][..], true),
            (&["220 ready\r\n", "220 go\r\n250 accepted\r\n"], false),
            (&["220 ready\r\n250"], false),
            (&["220\r\n"], true),
        ] {
            let (near, mut far) = duplex(1 << 10);
            let mut stream = Lockstep::new(near, here());
            let mut written = Ok(());
            for reply in replies {
                far.write_all(reply.as_bytes()).await.unwrap();
                stream.read_exact(&mut vec![0; reply.len()]).await.unwrap();
                written = written.and(stream.write_all(b"EHLO\r\n").await);
            }
            assert_eq!(written.is_ok(), is_trusted, "{replies:?}");
        }
    }

    #[tokio::test]
    async fn a_line_without_end_is_refused() {
        let (near, mut far) = duplex(1 << 10);
        let sending = tasks::brief(async move { while far.write_all(&[b'2'; 1 << 10]).await.is_ok() {} });
        let mut all = Vec::new();
        Lockstep::new(near, here()).read_to_end(&mut all).await.unwrap_err();
        assert!(all.len() <= MOST_RECEIVED);
        drop(sending);
    }
}
