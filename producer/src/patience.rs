//! Waiting out what passes by itself while a run lists the library.

use std::time::Duration;

use common::bynder::BynderError;
use tokio_util::sync::CancellationToken;

/// Waits before the next try; the last error is the caller's.
const WAITS: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_mins(1),
];

/// How long to be patient: until told to stop, at most.
#[derive(Debug, Clone)]
pub struct Patience {
    stop: CancellationToken,
}

impl Patience {
    /// Patience that ends with `stop`.
    pub fn until(stop: CancellationToken) -> Self {
        Self { stop }
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Waits; false if patience ended meanwhile.
    pub(crate) async fn wait(&self, duration: Duration) -> bool {
        self.stop.run_until_cancelled(tokio::time::sleep(duration)).await.is_some()
    }
}

/// Repeats a call that reads until it answers, fails for good, or patience ends. A pause of the request budget
/// counts as no failure.
pub(crate) async fn patiently<T, F>(
    patience: &Patience,
    mut call: impl FnMut() -> F,
) -> Result<T, BynderError>
where
    F: Future<Output = Result<T, BynderError>>,
{
    let mut waits = WAITS.into_iter();
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
