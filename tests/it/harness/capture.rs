//! A proxy that keeps what passes it: it ends each TLS connection itself and answers in the server's place.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use tokio_util::sync::{CancellationToken, DropGuard};

/// What was asked of whom.
#[derive(Debug, Clone)]
pub(crate) struct Captured {
    /// Host and port that a tunnel was asked for; `None` for a request in plain text.
    pub(crate) tunnel: Option<String>,
    /// The start of what was sent: the head, and the body as far as it came at once.
    pub(crate) sent: String,
}

/// The proxy.
pub(crate) struct Capture {
    pub(crate) url: String,
    captured: Arc<Mutex<Vec<Captured>>>,
    _stop: DropGuard,
}

impl Capture {
    /// Starts it, with a certificate for these hosts in this file. A path `/to/URL` is redirected to the URL; nothing else
    /// is found.
    pub(crate) async fn start(hosts: &[&str], certificates: &Path) -> Self {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>();
        let certified = rcgen::generate_simple_self_signed(hosts).unwrap();
        std::fs::write(certificates, certified.cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
        let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let tls = tls.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let tls = tls.with_single_cert(vec![certified.cert.der().clone()], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (captured, stop) = (Arc::default(), CancellationToken::new());
        let keeping = Arc::clone(&captured);
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, acceptor.clone(), Arc::clone(&keeping)));
            }
        }));
        Self { url, captured, _stop: stop.drop_guard() }
    }

    /// What passed since the last time.
    pub(crate) fn take(&self) -> Vec<Captured> {
        std::mem::take(&mut self.captured.lock().unwrap())
    }
}

async fn serve(mut connection: TcpStream, acceptor: TlsAcceptor, captured: Arc<Mutex<Vec<Captured>>>) {
    let asked = head(&mut connection).await;
    let tunnel = asked.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).map(str::to_owned);
    let keep = |tunnel: Option<&String>, sent: String| {
        captured.lock().unwrap().push(Captured { tunnel: tunnel.cloned(), sent });
    };
    let Some(host) = &tunnel else { return keep(None, asked) };
    keep(tunnel.as_ref(), asked);
    let _ = connection.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
    let Ok(mut inside) = acceptor.accept(connection).await else { return };
    let mut sent = head(&mut inside).await;
    sent.push_str(&rest(&mut inside).await);
    let path = sent.split(' ').nth(1).unwrap_or_default().to_owned();
    keep(Some(host), sent);
    let answer = match path.strip_prefix("/to/") {
        Some(target) => format!(
            "HTTP/1.1 302 Found\r\nlocation: {target}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        ),
        None => "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned(),
    };
    let _ = inside.write_all(answer.as_bytes()).await;
    let _ = inside.shutdown().await;
}

async fn head(connection: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match connection.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// The body, until nothing more comes for a moment.
async fn rest(connection: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> String {
    let mut body = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    while let Ok(Ok(length @ 1..)) =
        tokio::time::timeout(Duration::from_millis(200), connection.read(&mut buffer)).await
    {
        body.extend_from_slice(&buffer[..length]);
    }
    String::from_utf8_lossy(&body).into_owned()
}
