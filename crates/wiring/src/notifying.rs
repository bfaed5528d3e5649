//! The people to notify, as the configuration names them.

use common::failure::Failure;
use config::{Config, MailEncryption, MailSection};
use notify::{Encryption, Mail, MailSettings, Notifier, Settings, Webhook};

/// Notifies the people of `[notify]`.
///
/// # Errors
/// A secret cannot be read, or an address is invalid.
pub fn notifier(config: &Config) -> Result<Notifier, Failure> {
    let section = &config.notify;
    let settings = Settings {
        portal: config.bynder.portal()?.host_str().unwrap_or_default().to_owned(),
        every: section.every.0,
        details: section.details,
        state_directory: config.producer.state_dir.clone(),
    };
    let wrong = |key: &'static str| move |reason: String| Failure::Configuration(format!("{key}: {reason}"));
    let webhook = section.webhook_url()?;
    let webhook = webhook
        .as_ref()
        .map(|url| Webhook::new(url).map_err(|error| wrong("notify.webhook")(error.to_string())));
    let mail = section
        .mail
        .as_ref()
        .map(|section| Mail::new(&mail_settings(section)?).map_err(wrong("notify.mail")));
    Ok(Notifier::new(settings, webhook.transpose()?, mail.transpose()?))
}

fn mail_settings(section: &MailSection) -> Result<MailSettings, Failure> {
    let password = section.password.as_ref().map(|secret| secret.resolve("notify.mail.password"));
    Ok(MailSettings {
        host: section.host.clone(),
        port: section.port(),
        encryption: match section.encryption {
            MailEncryption::StartTls => Encryption::StartTls,
            MailEncryption::Tls => Encryption::Tls,
            MailEncryption::None => Encryption::None,
        },
        login: section.user.clone().zip(password.transpose()?),
        from: section.from.clone(),
        to: section.to.clone(),
    })
}
