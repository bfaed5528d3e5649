//! Mail, handed to a mail server by SMTP.

mod lockstep;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_client::{LOCALHOST, authorities};
use jiff::Timestamp;
use lettre::Message;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, AsyncTokioStream, Certificate, CertificateStore, TlsParameters, TlsParametersBuilder,
};
use lettre::transport::smtp::extension::ClientId;
use lockstep::Lockstep;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::notice::Notice;
use super::refusal::{Refusal, Remedy, innermost};

/// How long a connection to a mail server may take. The attempt as a whole has a limit, too.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// Begun in plain text; nothing is sent before it is encrypted.
    StartTls,
    /// From the first byte on.
    Tls,
    /// Only to this machine.
    None,
}

/// Which mail server, and whom it writes to.
#[derive(Debug, Clone)]
pub struct MailSettings {
    pub host: String,
    pub port: u16,
    pub encryption: Encryption,
    /// User and password.
    pub login: Option<(String, SecretString)>,
    pub from: String,
    pub to: Vec<String>,
}

/// A mail server with the people to write to.
#[derive(Debug, Clone)]
pub struct Mail {
    host: String,
    port: u16,
    security: Security,
    login: Option<(String, SecretString)>,
    from: Mailbox,
    to: Vec<Mailbox>,
}

/// How a connection is encrypted, with what that needs.
#[derive(Clone)]
enum Security {
    Plain,
    StartTls(TlsParameters),
    Tls(TlsConnector, ServerName<'static>),
}

impl std::fmt::Debug for Security {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Plain => "Plain",
            Self::StartTls(_) => "StartTls",
            Self::Tls(..) => "Tls",
        })
    }
}

impl Mail {
    /// # Errors
    /// An address is invalid, mail would leave this machine without encryption, or the trusted certificates cannot be read.
    pub fn new(settings: &MailSettings) -> Result<Self, String> {
        let address = |key: &str, text: &str| {
            text.parse::<Mailbox>().map_err(|_| format!("{key}: an entry is not the address of a mailbox"))
        };
        let from = address("from", &settings.from)?;
        let to = settings.to.iter().map(|text| address("to", text)).collect::<Result<Vec<_>, _>>()?;
        let host = settings.host.clone();
        let security = match settings.encryption {
            Encryption::None if !is_here(&host) => {
                return Err("encryption: \"none\" is only for a mail server on this machine".to_owned());
            }
            Encryption::None => Security::Plain,
            Encryption::StartTls => Security::StartTls(trusting(&host)?),
            Encryption::Tls => {
                let name = ServerName::try_from(host.clone());
                let name = name.map_err(|_| "host: it is neither a name nor an address".to_owned())?;
                Security::Tls(connector()?, name)
            }
        };
        Ok(Self { host, port: settings.port, security, login: settings.login.clone(), from, to })
    }

    pub(crate) async fn send(&self, notice: &Notice, portal: &str, details: bool) -> Result<(), Refusal> {
        let message = self.message(notice, portal, details);
        let message = message.map_err(|error| Refusal::new(Remedy::Settings, error.to_string()))?;
        let mut connection = tokio::time::timeout(TIMEOUT, self.connect())
            .await
            .unwrap_or_else(|_| Err(unreachable(&format!("no answer within {} s", TIMEOUT.as_secs()))))?;
        let sent = async {
            if let Some((user, password)) = &self.login {
                let credentials = Credentials::new(user.clone(), password.expose_secret().to_owned());
                connection.auth(DEFAULT_MECHANISMS, &credentials).await?;
            }
            connection.send(message.envelope(), &message.formatted()).await
        };
        sent.await.map_err(|error| refusal(&error))?;
        // The mail is accepted, whatever becomes of the connection.
        connection.abort().await;
        Ok(())
    }

    /// A connection that is encrypted as configured, after the greeting.
    async fn connect(&self) -> Result<AsyncSmtpConnection, Refusal> {
        let me = ClientId::default();
        // A resolver may take `localhost` for another machine, which plain text must not reach.
        let connected = if self.host == LOCALHOST {
            let here = [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()];
            TcpStream::connect(&here.map(|address| SocketAddr::new(address, self.port))[..]).await
        } else {
            TcpStream::connect((self.host.as_str(), self.port)).await
        };
        let stream = connected.map_err(|error| unreachable(&innermost(&error)))?;
        let peer = stream.peer_addr().map_err(|error| unreachable(&error.to_string()))?;
        let stream: Box<dyn AsyncTokioStream> = match &self.security {
            Security::Plain | Security::StartTls(_) => Box::new(Lockstep::new(stream, peer)),
            Security::Tls(connector, name) => {
                let stream = connector.connect(name.clone(), stream).await;
                Box::new(Lockstep::new(stream.map_err(|error| unreachable(&innermost(&error)))?, peer))
            }
        };
        let connected = async {
            let mut connection = AsyncSmtpConnection::connect_with_transport(stream, &me).await?;
            if let Security::StartTls(trusted) = &self.security {
                connection.starttls(trusted.clone(), &me).await?;
            }
            Ok(connection)
        };
        connected.await.map_err(|error| refusal(&error))
    }

    fn message(&self, notice: &Notice, portal: &str, details: bool) -> Result<Message, lettre::error::Error> {
        let number = Timestamp::now().as_nanosecond();
        let id = format!("<{number}.{}@{}>", notice.kind.name(), self.from.email.domain());
        let head = Message::builder().from(self.from.clone()).message_id(Some(id)).date_now();
        let head = self.to.iter().fold(head, |head, to| head.to(to.clone()));
        head.subject(notice.subject(portal))
            .header(ContentType::TEXT_PLAIN)
            .body(notice.body(details, str::to_owned))
    }
}

/// The certificates that all requests trust.
fn trusting(host: &str) -> Result<TlsParameters, String> {
    let trusted = authorities().map_err(|error| error.to_string())?;
    let builder = TlsParameters::builder(host.to_owned()).certificate_store(CertificateStore::None);
    let builder = trusted.iter().try_fold(builder, |builder, certificate| {
        Ok::<_, Error>(builder.add_root_certificate(Certificate::from_der(certificate.to_vec())?))
    });
    builder.and_then(TlsParametersBuilder::build_rustls).map_err(|error| innermost(&error))
}

/// The same for a connection that begins encrypted.
fn connector() -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authorities().map_err(|error| error.to_string())?);
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth())))
}

/// Whether this text is the name or the address of this machine: the connection is made to it as it is written.
fn is_here(host: &str) -> bool {
    host == LOCALHOST || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn unreachable(reason: &str) -> Refusal {
    Refusal::new(Remedy::TryAgain, format!("it cannot be reached: {reason}"))
}

/// The answer's number alone is repeated.
fn refusal(error: &Error) -> Refusal {
    let Some(code) = error.status() else { return unreachable(&innermost(error)) };
    let code: u16 = code.into();
    let remedy = match code {
        530 | 534 | 535 | 538 => Remedy::Credential,
        400..500 => Remedy::TryAgain,
        _ => Remedy::Settings,
    };
    Refusal::new(remedy, format!("it answered with the code {code}"))
}
