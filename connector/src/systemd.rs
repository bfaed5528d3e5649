//! Notifies systemd, if it started this process as `Type=notify`.

use std::time::Duration;

use sd_notify::NotifyState;
use telemetry::Metrics;
use tokio_util::task::AbortOnDropHandle;

/// Feeding it more often would be a load of its own.
const SHORTEST: Duration = Duration::from_millis(50);

/// Reports that the process works. The result feeds systemd's watchdog, if there is one, for as long as no step exceeds its
/// deadline: systemd then restarts a process that hangs.
pub(crate) fn ready(metrics: &Metrics) -> Option<AbortOnDropHandle<()>> {
    send(NotifyState::Ready);
    let every = (sd_notify::watchdog_enabled()? / 3).max(SHORTEST);
    let metrics = metrics.clone();
    Some(AbortOnDropHandle::new(tasks::lasting(async move {
        loop {
            if metrics.stuck_steps().is_empty() {
                send(NotifyState::Watchdog);
            }
            tokio::time::sleep(every).await;
        }
    })))
}

/// Reports that the process ends, once what it has in work is done.
pub(crate) fn stopping() {
    send(NotifyState::Stopping);
}

fn send(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "cannot notify systemd");
    }
}
