//! Waiting out what passes by itself while a run lists the library.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::BynderError;

/// Waits before the next try in the middle of a run; the last error is the caller's.
const DURING_A_RUN: &[Duration] = &[
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_mins(1),
];

/// Waits at the start, where a person may be watching and nothing is lost by giving up.
const AT_THE_START: &[Duration] =
    &[Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// How long to be patient with what may pass by itself: until told to stop, at most.
#[derive(Debug, Clone)]
pub struct Patience {
    stop: CancellationToken,
    waits: &'static [Duration],
}

impl Patience {
    /// Patience that ends with `stop`.
    pub fn until(stop: CancellationToken) -> Self {
        Self { stop, waits: DURING_A_RUN }
    }

    /// The short patience of a start.
    pub fn brief() -> Self {
        Self { stop: CancellationToken::new(), waits: AT_THE_START }
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Waits; false if patience ended meanwhile.
    pub async fn wait(&self, duration: Duration) -> bool {
        self.stop.run_until_cancelled(tokio::time::sleep(duration)).await.is_some()
    }
}

/// Repeats a call that reads until it answers, fails for good, or patience ends. A pause of the request budget
/// counts as no failure.
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
