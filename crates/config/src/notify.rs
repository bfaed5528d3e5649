//! `[notify]`: who is notified of what needs a person, without a Prometheus.

use std::time::Duration;

use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{ConfigError, SecretValue, Span, address};

/// A person cannot do much in less.
const SHORTEST: Duration = Duration::from_mins(1);

/// `[notify]`
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NotifySection {
    /// The address of a webhook that takes JSON with a `text`, such as Slack's. It is a secret: with it, anyone can post.
    pub webhook: Option<SecretValue>,
    /// Mail.
    pub mail: Option<MailSection>,
    /// At most one message of a kind is sent in this time.
    pub every: Span,
    /// Whether messages give the reason as it is logged, which may name assets and files.
    pub details: bool,
}

impl Default for NotifySection {
    fn default() -> Self {
        Self { webhook: None, mail: None, every: Span(Duration::from_hours(6)), details: false }
    }
}

/// `[notify.mail]`
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MailSection {
    /// The mail server's name.
    pub host: String,
    /// Its port; by default 465 for `tls`, 587 for `starttls` and 25 for `none`.
    #[serde(default)]
    pub port: Option<u16>,
    /// How the connection is encrypted.
    #[serde(default)]
    pub encryption: MailEncryption,
    /// The user to sign in as.
    #[serde(default)]
    pub user: Option<String>,
    /// The user's password.
    #[serde(default)]
    pub password: Option<SecretValue>,
    /// The sender.
    pub from: String,
    /// The people to write to.
    pub to: Vec<String>,
}

/// How the connection to a mail server is encrypted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MailEncryption {
    /// Begun in plain text, and encrypted before anything is sent.
    #[default]
    StartTls,
    /// From the first byte on.
    Tls,
    /// Only to a mail server on this machine.
    None,
}

impl MailSection {
    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.encryption {
            MailEncryption::StartTls => 587,
            MailEncryption::Tls => 465,
            MailEncryption::None => 25,
        })
    }
}

impl NotifySection {
    /// The webhook's address. An error does not repeat it.
    pub fn webhook_url(&self) -> Result<Option<Url>, ConfigError> {
        let key = "notify.webhook";
        let Some(secret) = &self.webhook else { return Ok(None) };
        let url = Url::parse(secret.resolve(key)?.expose_secret()).map_err(|_| {
            let reason = "is not an address; write for example https://chat.example.com/hooks/…";
            ConfigError::value(key, reason)
        })?;
        address::check(key, &url, None)?;
        Ok(Some(url))
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        if self.every.0 < SHORTEST {
            return Err(ConfigError::value("notify.every", "must be at least 1m"));
        }
        let Some(mail) = &self.mail else { return Ok(()) };
        if mail.to.is_empty() {
            return Err(ConfigError::value("notify.mail.to", "is empty; write at least one address"));
        }
        if mail.host.is_empty() || mail.host.contains(|c: char| c.is_whitespace() || "/@".contains(c)) {
            let reason = "is not the name of a host; write for example \"smtp.example.com\", and the port as notify.mail.port";
            return Err(ConfigError::value("notify.mail.host", reason));
        }
        if mail.user.is_some() != mail.password.is_some() {
            return Err(ConfigError::value(
                "notify.mail.user",
                "is only with notify.mail.password; write both or none",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_that_cannot_be_used_is_refused_by_its_key() {
        let said = |text: &str| {
            let section: NotifySection = toml::from_str(text).unwrap();
            section.validate().map_or_else(|error| error.to_string(), |()| String::new())
        };
        let mail = "[mail]\nhost = 'smtp.example.com'\nfrom = 'a@example.com'\nto = ['b@example.com']\n";
        let cases = [
            (String::new(), ""),
            (mail.to_owned(), ""),
            (format!("{mail}user = 'a'\npassword = {{ env = 'B' }}"), ""),
            ("every = '59s'".to_owned(), "notify.every: must be at least 1m"),
            (mail.replace("'b@example.com'", ""), "notify.mail.to: is empty"),
            (mail.replace("smtp.example.com", "smtps://smtp.example.com"), "notify.mail.host: is not"),
            (format!("{mail}user = 'a'"), "notify.mail.user: is only with"),
        ];
        for (text, expected) in cases {
            let said = said(&text);
            assert!(said.starts_with(expected) && said.is_empty() == expected.is_empty(), "{text}: {said}");
        }
    }

    #[test]
    fn the_port_follows_from_the_encryption() {
        for (encryption, port) in [("starttls", 587), ("tls", 465), ("none", 25)] {
            let text = format!("host = 'a'\nencryption = '{encryption}'\nfrom = 'a@b'\nto = ['a@b']");
            let mail: MailSection = toml::from_str(&text).unwrap();
            assert_eq!(mail.port(), port);
        }
    }
}
