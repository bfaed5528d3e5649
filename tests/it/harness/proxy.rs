//! A TCP proxy that can be broken: cut, black-holed, deaf in one direction.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::tally::Tally;

/// A proxy before a broker.
pub(crate) struct Proxy {
    address: SocketAddr,
    to_server: Arc<watch::Sender<bool>>,
    to_client: Arc<watch::Sender<bool>>,
    /// What a client says behind which the server falls silent.
    last_words: Arc<watch::Sender<Option<Vec<u8>>>>,
    cut: Arc<watch::Sender<CancellationToken>>,
    /// What clients ask of the broker.
    pub(crate) asked: Tally,
    /// What the broker says to clients.
    pub(crate) said: Tally,
    _stop: DropGuard,
}

impl Proxy {
    pub(crate) async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (to_server, to_client) = (Arc::new(watch::Sender::new(true)), Arc::new(watch::Sender::new(true)));
        let cut = Arc::new(watch::Sender::new(CancellationToken::new()));
        let last_words = Arc::new(watch::Sender::new(None));
        let (words, silenced) = (Arc::clone(&last_words), Arc::clone(&to_client));
        let (asked, said) = (Tally::default(), Tally::default());
        let tallies = (asked.clone(), said.clone());
        let stop = CancellationToken::new();
        let (upstream, downstream, current) = (to_server.subscribe(), to_client.subscribe(), cut.subscribe());
        let accepting = async move {
            while let Ok((client, _)) = listener.accept().await {
                let (upstream, downstream) = (upstream.clone(), downstream.clone());
                let cut = current.borrow().clone();
                let (words, silenced) = (Arc::clone(&words), Arc::clone(&silenced));
                let (mut count_asked, count_said) = (tallies.0.listener(), tallies.1.listener());
                let listen = move |said: &[u8]| {
                    count_asked(said);
                    let is_said = |last: &Vec<u8>| said.windows(last.len()).any(|part| part == last);
                    if words.send_if_modified(|last| last.take_if(|last| is_said(last)).is_some()) {
                        silenced.send_replace(false);
                    }
                };
                tokio::spawn(cut.run_until_cancelled_owned(async move {
                    let Ok(server) = TcpStream::connect(target).await else { return };
                    let (client_reads, client_writes) = client.into_split();
                    let (server_reads, server_writes) = server.into_split();
                    tokio::select! {
                        () = pump(client_reads, server_writes, upstream, listen) => {}
                        () = pump(server_reads, client_writes, downstream, count_said) => {}
                    }
                }));
            }
        };
        tokio::spawn(stop.clone().run_until_cancelled_owned(accepting));
        Self { address, to_server, to_client, last_words, cut, asked, said, _stop: stop.drop_guard() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection there is.
    pub(crate) fn cut(&self) {
        self.cut.send_replace(CancellationToken::new()).cancel();
    }

    /// Holds everything back, in both directions and without a word, or lets it all go on.
    pub(crate) fn black_hole(&self, on: bool) {
        self.to_server.send_replace(!on);
        self.to_client.send_replace(!on);
    }

    /// Holds back what the server says: what it was told, it does, and nobody learns of it.
    pub(crate) fn silence_server(&self, on: bool) {
        self.to_client.send_replace(!on);
    }

    /// Silences the server once a client asks to consume this queue, which the server does.
    pub(crate) fn silence_server_at_consuming(&self, queue: &str) {
        let mut method = vec![0, 60, 0, 20, 0, 0, u8::try_from(queue.len()).unwrap()];
        method.extend_from_slice(queue.as_bytes());
        self.last_words.send_replace(Some(method));
    }

    /// Resolves when the server is silent.
    pub(crate) async fn is_silent(&self) {
        self.to_client.subscribe().wait_for(|open| !*open).await.unwrap();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut open: watch::Receiver<bool>,
    mut listen: impl FnMut(&[u8]),
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        listen(&buffer[..length]);
        if open.wait_for(|open| *open).await.is_err() || to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
