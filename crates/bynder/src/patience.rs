//! Retries what may recover by itself while a run lists the library.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::BynderError;

/// The stop came before the end.
#[derive(Debug, thiserror::Error)]
#[error("stopped; the next run resumes where this one stopped")]
pub struct Stopped;

/// Waits between attempts during a run; after the last one the caller gets the error.
const DURING_A_RUN: &[Duration] = &[
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_mins(1),
];

/// Waits at the start, where a person may be watching and giving up loses nothing.
const AT_THE_START: &[Duration] =
    &[Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// How long to retry: these waits, but not beyond a stop.
#[derive(Debug, Clone)]
pub struct Patience {
    stop: CancellationToken,
    waits: &'static [Duration],
}

impl Patience {
    /// Retries until `stop` at the latest.
    pub fn until(stop: CancellationToken) -> Self {
        Self { stop, waits: DURING_A_RUN }
    }

    /// The short waits of a start.
    pub fn brief() -> Self {
        Self { stop: CancellationToken::new(), waits: AT_THE_START }
    }

    /// Whether the stop has come.
    pub fn is_over(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// What `read` returns, unless the stop comes first: an answer that arrives slowly must not delay it.
    pub async fn unless_over<T>(&self, read: impl Future<Output = T>) -> Result<T, Stopped> {
        self.stop.run_until_cancelled(read).await.ok_or(Stopped)
    }

    /// Waits; false if the stop came meanwhile.
    pub async fn wait(&self, duration: Duration) -> bool {
        self.stop.run_until_cancelled(tokio::time::sleep(duration)).await.is_some()
    }
}

/// Repeats a call that reads until it succeeds, fails permanently, or the waits are used up. A pause of the request
/// budget is not a failure.
pub async fn patiently<T, F>(patience: &Patience, mut call: impl FnMut() -> F) -> Result<T, BynderError>
where
    F: Future<Output = Result<T, BynderError>>,
{
    let mut waits = patience.waits.iter().copied();
    loop {
        let error = match call().await {
            Ok(value) => return Ok(value),
            Err(error) if !error.is_retryable() => return Err(error),
            Err(error) => error,
        };
        let wait = match &error {
            BynderError::Paused { remaining } => Some(*remaining),
            _ => waits.next(),
        };
        let Some(wait) = wait else { return Err(error) };
        tracing::warn!(%error, seconds = wait.as_secs(), "trying again");
        if !patience.wait(wait).await {
            return Err(error);
        }
    }
}
