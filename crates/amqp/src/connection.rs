//! An open connection to the broker, and what its answers and errors mean.

use std::sync::Arc;
use std::time::Duration;

use lapin::{Channel, ErrorKind};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::redact::said;
use super::sieve::Closing;
use queue::QueueError;

/// The timeout of opening a connection, and of any answer of the broker.
pub const ANSWER: Duration = Duration::from_secs(10);

/// An open connection.
#[derive(Clone)]
pub struct Live {
    pub connection: Arc<Closing>,
    /// Cancelled once the connection is lost, which voids everything delivered over it.
    pub lost: CancellationToken,
    /// True while the broker accepts no messages because it lacks memory or disk.
    pub blocked: watch::Receiver<bool>,
}

impl Live {
    /// Opens a channel, within [`ANSWER`].
    pub async fn channel(&self) -> Result<Channel, QueueError> {
        answered(self.connection.create_channel()).await
    }
}

/// Why there is no connection. A person has to act on all but the last.
#[derive(Clone, Debug)]
pub enum ConnectError {
    Refused(String),
    Misconfigured(String),
    Unreachable(String),
}

impl ConnectError {
    pub fn reason(&self) -> &str {
        match self {
            Self::Refused(reason) | Self::Misconfigured(reason) | Self::Unreachable(reason) => reason,
        }
    }
}

impl From<ConnectError> for QueueError {
    fn from(trouble: ConnectError) -> Self {
        match trouble {
            ConnectError::Refused(reason) => Self::Refused(reason),
            ConnectError::Misconfigured(reason) => Self::Misconfigured(reason),
            ConnectError::Unreachable(reason) => Self::Unavailable(reason),
        }
    }
}

/// Limits a request to the broker to [`ANSWER`]; no answer in time counts as an outage.
pub async fn answered<T>(request: impl Future<Output = lapin::Result<T>>) -> Result<T, QueueError> {
    match tokio::time::timeout(ANSWER, request).await {
        Ok(answer) => {
            answer.map_err(|error| QueueError::Unavailable(format!("the broker: {}", said(&error))))
        }
        Err(_) => {
            Err(QueueError::Unavailable(format!("the broker did not answer for {} s", ANSWER.as_secs())))
        }
    }
}

/// The broker's code for a queue that does not exist.
const NOT_FOUND: u16 = 404;

/// Whether the queue of a passive declaration does not exist.
pub fn is_absence(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(refusal) if refusal.get_id() == NOT_FOUND)
}

/// Like [`answered`], for what is done before a connection is used.
pub async fn in_time<T>(request: impl Future<Output = lapin::Result<T>>) -> Result<T, ConnectError> {
    match tokio::time::timeout(ANSWER, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(trouble(&error)),
        Err(_) => Err(ConnectError::Unreachable("the broker did not answer".to_owned())),
    }
}

/// `ACCESS_REFUSED` and `NOT_ALLOWED`: wrong credentials, permissions or virtual host.
const NOT_ALLOWED: [u16; 2] = [403, 530];
/// `PRECONDITION_FAILED`: a queue of that name has other arguments.
const OTHERWISE_DECLARED: u16 = 406;

/// What an error of the broker means, with what a person can do about it.
pub fn trouble(error: &lapin::Error) -> ConnectError {
    let reason = said(error);
    match error.kind() {
        ErrorKind::ProtocolError(refusal) if NOT_ALLOWED.contains(&refusal.get_id()) => {
            ConnectError::Refused(format!(
                "the broker refuses: {reason}; check user, password and virtual host in broker.url, and the user's rights"
            ))
        }
        ErrorKind::ProtocolError(refusal) if refusal.get_id() == OTHERWISE_DECLARED => {
            ConnectError::Misconfigured(format!(
                "the broker says: {reason}; a queue under queue.prefix has other \
                 arguments than this release declares: choose another queue.prefix, or delete that queue once it is empty"
            ))
        }
        _ => ConnectError::Unreachable(format!("cannot reach the broker: {reason}")),
    }
}
