//! Messages to people who have no Prometheus: a run ended badly, a credential was refused, a limit was reached, nothing has been
//! protected for a day.
//!
//! [`Notifier`] delivers a [`Notice`] to each configured receiver, at most one of a kind in a time, which it keeps in the state
//! directory over restarts. [`Notices`] does that in the background: a receiver that fails, or does not answer, never holds work up.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use notify::{Kind, Notice, Notices, Notifier, Settings, Webhook};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let webhook = Webhook::new(&"https://chat.example.com/hooks/1".parse()?)?;
//! let settings = Settings {
//!     portal: "acme.bynder.com".to_owned(),
//!     every: Duration::from_secs(6 * 3600),
//!     details: false,
//!     state_directory: "state".into(),
//! };
//! let notices = Notices::start(Notifier::new(settings, Some(webhook), None));
//! notices.send(Notice::new(Kind::NothingProtected));
//! # Ok(())
//! # }
//! ```

mod background;
mod chat;
mod mail;
mod notice;
mod notifier;
mod record;
mod refusal;
mod webhook;

#[cfg(test)]
mod tests;

pub use background::Notices;
pub use mail::{Encryption, Mail, MailSettings};
pub use notice::{Kind, Notice};
pub use notifier::{Delivery, Notifier, Settings};
pub use refusal::{Refusal, Remedy};
pub use webhook::Webhook;
