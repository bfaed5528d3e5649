//! The broker's address.

use std::net::Ipv4Addr;

use lapin::ConnectionProperties;
use lapin::tcp::OwnedTLSConfig;
use lapin::uri::{AMQPScheme, AMQPUri};
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use super::authority::trusted;
use super::connection::{ANSWER, ConnectError, in_time};
use super::redact;
use super::sieve::{self, Closing};
use http_client::{LOCALHOST, is_loopback};
use queue::QueueError;

const HEARTBEAT_SECONDS: u16 = 10;

/// Where the broker is, and what identifies each side.
#[derive(Clone)]
pub struct Address {
    uri: AMQPUri,
    /// The PEM certificates to trust, exclusively.
    authority: Option<String>,
    /// Shown in the broker's list of connections.
    program: String,
}

impl Address {
    /// Checks the address without connecting. `authority` holds PEM certificates to trust instead of the system's.
    ///
    /// # Errors
    /// [`QueueError::Refused`]: the URL is not a broker's address, or is plain text without permission, or there is no
    /// certificate to trust.
    pub fn new(
        url: &SecretString,
        allow_plain: bool,
        authority: Option<&str>,
        program: &str,
    ) -> Result<Self, QueueError> {
        let uri = read(url, allow_plain)?;
        Ok(Self { authority: trusted(&uri.scheme, authority)?, uri, program: program.to_owned() })
    }

    /// Opens a connection, and does nothing over it yet. `purpose` is its name in the broker's list of connections.
    pub async fn open(&self, purpose: &str) -> Result<Closing, ConnectError> {
        let mut uri = self.uri.clone();
        uri.query.heartbeat = Some(HEARTBEAT_SECONDS);
        uri.query.connection_timeout = u64::try_from(ANSWER.as_millis()).ok();
        let name = format!("{} {purpose} {}", self.program, std::process::id());
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let tls = OwnedTLSConfig { identity: None, cert_chain: self.authority.clone() };
        redact::remember(&uri.authority.userinfo.password);
        in_time(Box::pin(sieve::connect(uri, properties, tls))).await
    }
}

/// Parses the address. Without TLS, the password and the jobs can be read on the way to another machine, so that has to
/// be allowed.
fn read(url: &SecretString, allow_plain: bool) -> Result<AMQPUri, QueueError> {
    let mut uri: AMQPUri = url.expose_secret().parse().map_err(|_| {
        QueueError::Refused("broker.url is not a URL such as amqps://user:password@host:5671/%2f".to_owned())
    })?;
    // lapin would read an IPv6 address as localhost.
    if Url::parse(url.expose_secret()).is_ok_and(|url| matches!(url.host(), Some(Host::Ipv6(_)))) {
        let reason = "broker.url must hold the broker's name; an IPv6 address cannot be used there";
        return Err(QueueError::Refused(reason.to_owned()));
    }
    match uri.scheme {
        AMQPScheme::AMQP if !allow_plain && here(&uri.authority.host).is_none() => {
            let reason = "broker.url must use amqps://; amqp:// is only for this machine, or with \
                          broker.allow_plain = true for a broker on a network of its own";
            Err(QueueError::Refused(reason.to_owned()))
        }
        AMQPScheme::AMQP => {
            // A resolver may map the name elsewhere, even a name that is parsed as an IP address here, and no
            // certificate would reveal it.
            if let Some(number) = here(&uri.authority.host) {
                uri.authority.host = number;
            }
            Ok(uri)
        }
        AMQPScheme::AMQPS => Ok(uri),
    }
}

/// The loopback address that the host means, if it is this machine.
fn here(host: &str) -> Option<String> {
    let url = Url::parse(&format!("http://{host}")).ok().filter(is_loopback)?;
    url.host_str()
        .map(|host| if host == LOCALHOST { Ipv4Addr::LOCALHOST.to_string() } else { host.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_without_tls_is_this_machine_whatever_a_resolver_says() {
        for (url, host) in [
            ("amqp://u:w@localhost:5672", "127.0.0.1"),
            ("amqp://u:w@LOCALHOST", "127.0.0.1"),
            ("amqp://u:w@127.0.0.1.", "127.0.0.1"),
            ("amqp://u:w@127.0.0.2%2e", "127.0.0.2"),
            ("amqp://u:w@rabbitmq.internal", "rabbitmq.internal"),
            ("amqps://u:w@localhost", "localhost"),
        ] {
            assert_eq!(read(&SecretString::from(url), true).unwrap().authority.host, host, "{url}");
        }
    }

    #[test]
    fn plain_text_to_a_broker_on_another_machine_has_to_be_allowed() {
        for (url, allow_plain, wanted) in [
            ("amqp://u:hidden@rabbitmq.internal:5672/%2f", false, Some("must use amqps://")),
            ("amqp://u:hidden@10.0.0.1", false, Some("must use amqps://")),
            ("amqp://u:hidden@localhost.example.com", false, Some("must use amqps://")),
            ("http://u:hidden@localhost", true, Some("is not a URL")),
            ("amqp://u:hidden@[2001:db8::1]:5672", true, Some("IPv6")),
            ("amqps://u:hidden@[::1]", false, Some("IPv6")),
            ("amqp://u:hidden@rabbitmq.internal", true, None),
            ("amqps://u:hidden@rabbitmq.internal", false, None),
            ("amqp://u:hidden@127.0.0.1:5672/%2f", false, None),
            ("amqp://u:hidden@localhost", false, None),
        ] {
            let said = read(&SecretString::from(url), allow_plain).map_err(|error| error.to_string());
            assert_eq!(said.is_err(), wanted.is_some(), "{url} {said:?}");
            let said = said.err().unwrap_or_default();
            assert!(said.contains(wanted.unwrap_or_default()) && !said.contains("hidden"), "{url}: {said}");
        }
    }
}
