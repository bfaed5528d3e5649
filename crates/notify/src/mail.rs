//! Mail, handed to a mail server by SMTP.

use std::time::Duration;

use http_client::{LOCALHOST, authorities, is_loopback};
use jiff::Timestamp;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{
    Certificate, CertificateStore, Tls, TlsParameters, TlsParametersBuilder,
};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::notice::Notice;
use super::refusal::{Refusal, Remedy, innermost};

/// How long each answer of a mail server may take.
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
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl Mail {
    /// # Errors
    /// An address is invalid, mail would leave this machine without encryption, or the trusted certificates cannot be read.
    pub fn new(settings: &MailSettings) -> Result<Self, String> {
        let address = |key: &str, text: &str| {
            text.parse::<Mailbox>().map_err(|_| format!("{key}: {text:?} is not the address of a mailbox"))
        };
        let from = address("from", &settings.from)?;
        let to = settings.to.iter().map(|text| address("to", text)).collect::<Result<Vec<_>, _>>()?;
        let tls = match settings.encryption {
            Encryption::None if !is_here(&settings.host) => {
                return Err("encryption: \"none\" is only for a mail server on this machine".to_owned());
            }
            Encryption::None => Tls::None,
            Encryption::StartTls => Tls::Required(trusting(&settings.host)?),
            Encryption::Tls => Tls::Wrapper(trusting(&settings.host)?),
        };
        let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&settings.host)
            .port(settings.port)
            .tls(tls)
            .timeout(Some(TIMEOUT));
        let transport = match &settings.login {
            Some((user, password)) => {
                transport.credentials(Credentials::new(user.clone(), password.expose_secret().to_owned()))
            }
            None => transport,
        };
        Ok(Self { transport: transport.build(), from, to })
    }

    pub(crate) async fn send(&self, notice: &Notice, portal: &str, details: bool) -> Result<(), Refusal> {
        let message = self.message(notice, portal, details);
        let message = message.map_err(|error| Refusal::new(Remedy::Settings, error.to_string()))?;
        self.transport.send(message).await.map_err(|error| refusal(&error))?;
        Ok(())
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

fn is_here(host: &str) -> bool {
    host == LOCALHOST || Url::parse(&format!("http://{host}/")).is_ok_and(|url| is_loopback(&url))
}

/// The answer's number alone is repeated.
fn refusal(error: &Error) -> Refusal {
    let Some(code) = error.status() else {
        return Refusal::new(Remedy::TryAgain, format!("it cannot be reached: {}", innermost(error)));
    };
    let code: u16 = code.into();
    let remedy = match code {
        530 | 534 | 535 | 538 => Remedy::Credential,
        400..500 => Remedy::TryAgain,
        _ => Remedy::Settings,
    };
    Refusal::new(remedy, format!("it answered with the code {code}"))
}
