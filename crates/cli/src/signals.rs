//! Stopping at SIGINT and SIGTERM.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::output;
use common::failure::Failure;

/// The exit code at the second signal: temporary, a retry may succeed.
const INTERRUPTED: i32 = 5;

fn listen(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::Unexpected(format!("cannot listen to signals: {error}")))
}

/// Ignores Ctrl-Z from now on.
pub fn ignore_suspension() -> Result<(), Failure> {
    listen(SignalKind::from_raw(nix::sys::signal::Signal::SIGTSTP as i32)).map(drop)
}

/// Returns a token that the first signal cancels: work in flight is then finished or parked. The second signal ends the process
/// at once.
pub fn stop_on_signals() -> Result<CancellationToken, Failure> {
    let stop = CancellationToken::new();
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let asked = stop.clone();
    tasks::lasting(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if asked.is_cancelled() {
                std::process::exit(INTERRUPTED);
            }
            output::talk("stopping: what is in flight is finished or parked; once more to stop at once");
            tasks::stop();
            asked.cancel();
        }
    });
    Ok(stop)
}
