//! Closes a connection whose broker does not answer.
//!
//! The client reads in a thread of its own until the broker confirms the close, or until its heartbeats stop. With a
//! broker that keeps the socket open and sends heartbeats but answers nothing, each attempt would leave a thread and a
//! socket behind.

use std::ops::Deref;
use std::time::Duration;

use lapin::Connection;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// How long the broker has to confirm a close; then the connection is cut.
const CONFIRM: Duration = Duration::from_secs(3);

/// A connection that is closed when this is dropped, whatever the broker answers.
pub struct Closing {
    connection: Connection,
    _end: End,
}

impl Closing {
    pub(super) fn new(connection: Connection, end: End) -> Self {
        Self { connection, _end: end }
    }
}

impl Deref for Closing {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

/// Ends the reading of a connection [`CONFIRM`] after it is dropped.
#[derive(Default)]
pub(super) struct End(CancellationToken);

impl End {
    pub(super) fn token(&self) -> CancellationToken {
        self.0.clone()
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let end = self.0.clone();
        match Handle::try_current() {
            Ok(_) => {
                tasks::brief(async move {
                    tokio::time::sleep(CONFIRM).await;
                    end.cancel();
                });
            }
            Err(_) => end.cancel(),
        }
    }
}

#[cfg(test)]
mod tests {
    use lapin::ConnectionProperties;
    use lapin::tcp::OwnedTLSConfig;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::super::connect;
    use super::*;

    /// Longer than a close may take, so that a connection that stays open fails the test.
    const PATIENCE: Duration = Duration::from_secs(30);

    async fn listen() -> (TcpListener, lapin::uri::AMQPUri) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("amqp://guest:guest@{}/%2f", listener.local_addr().unwrap()).parse().unwrap();
        (listener, uri)
    }

    fn method(class: u8, method: u8, arguments: &[u8]) -> Vec<u8> {
        let length = u8::try_from(4 + arguments.len()).unwrap();
        [&[1, 0, 0, 0, 0, 0, length, 0, class, 0, method][..], arguments, &[0xCE]].concat()
    }

    /// Greets like a broker, and then answers nothing, not even a close.
    async fn greet(socket: &mut TcpStream) {
        // The client sends the protocol header, then start-ok, then tune-ok with open.
        let dialogue: [(&[u8], Vec<u8>); 3] = [
            (b"AMQP", method(10, 10, b"\0\x09\0\0\0\0\0\0\0\x05PLAIN\0\0\0\x05en_US")),
            (b"\0\x0A\0\x0B", method(10, 30, b"\x07\xFF\0\x02\0\0\0\x0A")),
            (b"\0\x0A\0\x28", method(10, 41, b"\0")),
        ];
        for (wanted, answer) in dialogue {
            let mut received = Vec::new();
            while !received.windows(wanted.len()).any(|window| window == wanted) {
                assert!(socket.read_buf(&mut received).await.unwrap() > 0);
            }
            socket.write_all(&answer).await.unwrap();
        }
    }

    /// Reads, and sends a heartbeat every second, until the other side closes.
    async fn wait_for_close(mut socket: TcpStream) {
        let mut received = [0; 4096];
        loop {
            tokio::select! {
                read = socket.read(&mut received) => if !matches!(read, Ok(1..)) { return },
                () = tokio::time::sleep(Duration::from_secs(1)) => {
                    let _ = socket.write_all(b"\x08\0\0\0\0\0\0\xCE").await;
                }
            }
        }
    }

    #[tokio::test]
    async fn an_attempt_that_was_given_up_keeps_no_connection() {
        let (listener, uri) = listen().await;
        let (properties, tls) = (ConnectionProperties::default(), OwnedTLSConfig::default());
        let attempt = tasks::brief(connect(uri, properties, tls));
        let (socket, _) = listener.accept().await.unwrap();
        attempt.abort();
        tokio::time::timeout(PATIENCE, wait_for_close(socket)).await.expect("the connection is still open");
    }

    #[tokio::test]
    async fn a_connection_is_closed_though_the_broker_confirms_nothing() {
        let (listener, uri) = listen().await;
        let (properties, tls) = (ConnectionProperties::default(), OwnedTLSConfig::default());
        let attempt = tasks::brief(connect(uri, properties, tls));
        let (mut socket, _) = listener.accept().await.unwrap();
        greet(&mut socket).await;
        drop(attempt.await.unwrap().unwrap());
        tokio::time::timeout(PATIENCE, wait_for_close(socket)).await.expect("the connection is still open");
    }
}
