//! What a schedule needs to carry out its runs.

use common::failure::Failure;
use config::Config;
use ledger::Ledger;
use notify::Notices;
use tokio_util::sync::CancellationToken;

use crate::arguments::{Asker, RunArguments};
use crate::session::RunEnd;

/// Carries out runs: a fleet, or this machine alone.
pub trait Runner {
    fn config(&self) -> &Config;
    fn ledger(&self) -> &Ledger;
    /// Notifies people.
    fn notices(&self) -> &Notices;

    /// One run; does not wait for the outcomes of its jobs.
    fn run(
        &self,
        scope: &RunArguments,
        stop: &CancellationToken,
    ) -> impl Future<Output = Result<RunEnd, Failure>>;
}

/// Whether a walk over the whole library has at least begun: from then on, changes are protected without being requested.
pub(crate) async fn has_walked(ledger: &Ledger) -> Result<bool, Failure> {
    Ok(ledger.cursor().await?.is_some() || ledger.full_run_interrupted().await?)
}

/// What changed since the last finished run, or since the start of a running walk over the whole library.
pub(crate) async fn changes(ledger: &Ledger, scope: &RunArguments) -> Result<RunArguments, Failure> {
    if scope.since.is_some() || ledger.cursor().await?.is_some() {
        return Ok(scope.clone());
    }
    let walking = ledger.full_run_started().await?;
    let asker = if walking.is_some() { Asker::Schedule } else { scope.asker };
    Ok(RunArguments { since: walking, asker, ..scope.clone() })
}
