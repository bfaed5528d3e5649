//! Delivers notices: to each receiver, with retries, and not more often than asked for.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use tokio::time::Instant;

use super::mail::Mail;
use super::notice::{Kind, Notice};
use super::record::Record;
use super::refusal::{Refusal, Remedy};
use super::webhook::Webhook;

/// The delays before another attempt.
const PAUSES: [Duration; 2] =
    if cfg!(test) { [Duration::ZERO; 2] } else { [Duration::from_secs(2), Duration::from_secs(8)] };
/// The longest that one attempt takes: a mail server answers several times.
const ATTEMPT: Duration = Duration::from_secs(20);
/// How long to leave a kind alone after no receiver took it.
const AFTER_FAILURE: Duration = Duration::from_mins(15);
/// A day without protection is not news again before another day.
const DAY: Duration = Duration::from_hours(24);

#[derive(Debug, Clone)]
pub struct Settings {
    /// The name of the portal, which each message begins with.
    pub portal: String,
    /// At most one message of a kind is sent in this time.
    pub every: Duration,
    /// Whether messages give the reason as it is logged.
    pub details: bool,
    pub state_directory: PathBuf,
}

/// Sends messages to the configured receivers.
#[derive(Debug)]
pub struct Notifier {
    settings: Settings,
    receivers: Vec<Receiver>,
    record: Record,
    failed: HashMap<Kind, Instant>,
}

#[derive(Debug)]
enum Receiver {
    Webhook(Webhook),
    Mail(Box<Mail>),
}

/// What a receiver made of a message.
#[derive(Debug)]
pub struct Delivery {
    pub receiver: &'static str,
    pub result: Result<(), Refusal>,
}

impl Receiver {
    fn name(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Mail(_) => "mail",
        }
    }

    async fn take(&self, notice: &Notice, settings: &Settings) -> Result<(), Refusal> {
        let Settings { portal, details, .. } = settings;
        let taking = async {
            match self {
                Self::Webhook(webhook) => webhook.post(notice, portal, *details).await,
                Self::Mail(mail) => mail.send(notice, portal, *details).await,
            }
        };
        tokio::time::timeout(ATTEMPT, taking).await.unwrap_or_else(|_| {
            let reason = format!("it did not answer within {} s", ATTEMPT.as_secs());
            Err(Refusal::new(Remedy::TryAgain, reason))
        })
    }

    async fn take_in_the_end(&self, notice: &Notice, settings: &Settings) -> Result<(), Refusal> {
        for pause in PAUSES {
            match self.take(notice, settings).await {
                Err(Refusal { remedy: Remedy::TryAgain, .. }) => tokio::time::sleep(pause).await,
                ended => return ended,
            }
        }
        self.take(notice, settings).await
    }
}

impl Notifier {
    pub fn new(settings: Settings, webhook: Option<Webhook>, mail: Option<Mail>) -> Self {
        let webhook = webhook.map(Receiver::Webhook);
        let mail = mail.map(|mail| Receiver::Mail(Box::new(mail)));
        let record = Record::new(&settings.state_directory);
        Self {
            settings,
            receivers: webhook.into_iter().chain(mail).collect(),
            record,
            failed: HashMap::new(),
        }
    }

    /// Whether any receiver is configured.
    pub fn has_receivers(&self) -> bool {
        !self.receivers.is_empty()
    }

    /// Sends the notice to each receiver once, whatever was sent before.
    pub async fn try_each(&self, notice: &Notice) -> Vec<Delivery> {
        let deliveries = self.receivers.iter().map(async |receiver| Delivery {
            receiver: receiver.name(),
            result: receiver.take(notice, &self.settings).await,
        });
        join_all(deliveries).await
    }

    /// Delivers the notice unless one of its kind was delivered lately. A receiver that fails is logged.
    pub(crate) async fn deliver(&mut self, notice: &Notice) {
        let kind = notice.kind;
        let every =
            if kind == Kind::NothingProtected { self.settings.every.max(DAY) } else { self.settings.every };
        let is_resting = self.failed.get(&kind).is_some_and(|failed| failed.elapsed() < AFTER_FAILURE);
        if is_resting || !self.record.is_due(kind, every, Timestamp::now()) {
            return;
        }
        let deliveries = self.receivers.iter().map(async |receiver| {
            let taken = receiver.take_in_the_end(notice, &self.settings).await;
            let (receiver, kind) = (receiver.name(), kind.name());
            match &taken {
                Ok(()) => tracing::info!(receiver, kind, "a person was notified"),
                Err(refusal) => tracing::warn!(receiver, kind, reason = %refusal, "cannot notify a person"),
            }
            taken.is_ok()
        });
        if !join_all(deliveries).await.contains(&true) {
            self.failed.insert(kind, Instant::now());
            return;
        }
        self.failed.remove(&kind);
        if let Err(error) = self.record.delivered(kind, Timestamp::now()) {
            tracing::warn!(%error, "cannot write into the state directory");
        }
    }
}
