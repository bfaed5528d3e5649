//! Where messages arrive: a webhook and a mail server, both real and on this machine.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::StatusCode;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_util::task::AbortOnDropHandle;

/// A webhook that keeps what it receives.
pub(crate) struct Webhook {
    pub(crate) url: String,
    received: Arc<Mutex<Vec<String>>>,
    status: Arc<AtomicU16>,
    _task: AbortOnDropHandle<()>,
}

impl Webhook {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks/t0p-s3cr3t", listener.local_addr().unwrap());
        let (received, status) = (Arc::<Mutex<Vec<String>>>::default(), Arc::new(AtomicU16::new(200)));
        let (keep, answer) = (received.clone(), status.clone());
        let handler = move |body: String| {
            keep.lock().unwrap().push(body);
            let status = StatusCode::from_u16(answer.load(Ordering::Relaxed)).unwrap();
            async move { (status, "ok") }
        };
        let task = tokio::spawn(async move {
            axum::serve(listener, Router::new().fallback(handler)).await.unwrap();
        });
        Self { url, received, status, _task: AbortOnDropHandle::new(task) }
    }

    /// Answers with another status from now on.
    pub(crate) fn answer_with(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    pub(crate) fn received(&self) -> Vec<String> {
        self.received.lock().unwrap().clone()
    }
}

/// A mail as it arrived.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mail {
    pub(crate) is_encrypted: bool,
    /// User and password.
    pub(crate) credentials: Option<String>,
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    /// Headers and body.
    pub(crate) text: String,
}

/// A mail server for `localhost` with TLS, which wants the user `alerts` and the password `mail-s3cr3t`.
pub(crate) struct MailServer {
    pub(crate) port: u16,
    /// The file with the certificate to trust.
    pub(crate) authority: tempfile::NamedTempFile,
    received: Arc<Mutex<Vec<Mail>>>,
    _task: AbortOnDropHandle<()>,
}

/// How a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encryption {
    None,
    StartTls,
    Tls,
}

impl MailServer {
    pub(crate) async fn start(encryption: Encryption) -> Self {
        let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let authority = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(authority.path(), key.cert.pem()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![key.cert.der().clone()],
                key.signing_key.serialize_der().try_into().unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let received = Arc::<Mutex<Vec<Mail>>>::default();
        let keep = received.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that breaks off is its own affair.
                tokio::spawn(serve(stream, encryption, acceptor.clone(), keep.clone()));
            }
        });
        Self { port, authority, received, _task: AbortOnDropHandle::new(task) }
    }

    pub(crate) fn received(&self) -> Vec<Mail> {
        self.received.lock().unwrap().clone()
    }
}

async fn serve(
    stream: TcpStream,
    encryption: Encryption,
    acceptor: TlsAcceptor,
    keep: Arc<Mutex<Vec<Mail>>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    if encryption == Encryption::Tls {
        let stream = acceptor.accept(stream.into_inner()).await?;
        return talk(&mut BufReader::new(stream), true, true, false, &keep).await.map(|_| ());
    }
    let offers_tls = encryption == Encryption::StartTls;
    if talk(&mut stream, true, false, offers_tls, &keep).await? {
        let stream = acceptor.accept(stream.into_inner()).await?;
        talk(&mut BufReader::new(stream), false, true, false, &keep).await?;
    }
    Ok(())
}

/// Speaks SMTP until the client ends, or wants TLS: `true`.
async fn talk(
    stream: &mut BufReader<impl AsyncRead + AsyncWrite + Unpin>,
    greets: bool,
    is_encrypted: bool,
    offers_tls: bool,
    keep: &Mutex<Vec<Mail>>,
) -> std::io::Result<bool> {
    let mut mail = Mail { is_encrypted, ..Mail::default() };
    if greets {
        stream.write_all(b"220 localhost\r\n").await?;
    }
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(false);
        }
        let command = line.trim_end().to_owned();
        let upper = command.to_ascii_uppercase();
        let angled = || command.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        let answer = match upper.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" if offers_tls => "250-localhost\r\n250 STARTTLS\r\n",
            "EHLO" => "250-localhost\r\n250 AUTH PLAIN\r\n",
            "STARTTLS" if offers_tls => {
                stream.write_all(b"220 go ahead\r\n").await?;
                return Ok(true);
            }
            "AUTH" => {
                let given = BASE64_STANDARD.decode(command.rsplit(' ').next().unwrap_or_default());
                let given = String::from_utf8(given.unwrap_or_default()).unwrap_or_default();
                let given = given.trim_start_matches('\0').replace('\0', ":");
                let is_right = given == "alerts:mail-s3cr3t";
                mail.credentials = Some(given);
                if is_right { "235 welcome\r\n" } else { "535 wrong user or password\r\n" }
            }
            "MAIL" => {
                mail.from = angled();
                "250 ok\r\n"
            }
            "RCPT" => {
                mail.to.push(angled());
                "250 ok\r\n"
            }
            "DATA" => {
                stream.write_all(b"354 go ahead\r\n").await?;
                loop {
                    line.clear();
                    if stream.read_line(&mut line).await? == 0 || line == ".\r\n" {
                        break;
                    }
                    mail.text.push_str(&line);
                }
                keep.lock().unwrap().push(mail.clone());
                "250 kept\r\n"
            }
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                return Ok(false);
            }
            "NOOP" | "RSET" | "HELO" => "250 ok\r\n",
            _ => "500 what?\r\n",
        };
        stream.write_all(answer.as_bytes()).await?;
        stream.flush().await?;
    }
}
