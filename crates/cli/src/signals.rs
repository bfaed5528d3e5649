//! Being asked to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::output;
use common::failure::Failure;

/// How the process ends at the second signal: the same command may work later.
const INTERRUPTED: i32 = 5;

fn listen(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::Unexpected(format!("cannot listen to signals: {error}")))
}

/// From now on, Ctrl-Z does nothing.
pub fn ignore_suspension() -> Result<(), Failure> {
    listen(SignalKind::from_raw(nix::sys::signal::Signal::SIGTSTP as i32)).map(drop)
}

/// The first signal asks to finish or park what is in flight, the second ends the process at once.
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
            asked.cancel();
        }
    });
    Ok(stop)
}
