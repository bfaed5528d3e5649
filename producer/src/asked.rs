//! Records what a person requested for a library, and what waits until it is requested.

use common::failure::Failure;
use config::Config;
use jiff::Timestamp;
use ledger::{Beginning, Ledger};
use serde::Serialize;
use serde_json::Value;
use standing::asked::{Asked, Unrequested, noted};
use standing::calls_an_asset;

use crate::estimate;
use crate::run::Report;

/// The assets of a report that no run was asked for, if there are any.
pub(crate) fn unrequested(report: &Report, config: &Config, filters: Value) -> Option<Unrequested> {
    let found = report.found.not_asked_for;
    let calls = found.assets as f64 * calls_an_asset(config.output.mode);
    (found.assets > 0).then(|| Unrequested {
        filters,
        assets: found.assets,
        bytes: found.bytes,
        calls: estimate::rounded(calls),
        counted: Timestamp::now(),
    })
}

/// The recorded request for a library; `None` if the library was not begun. `filters` is the fingerprint of the
/// current filters, `now` their text.
pub(crate) async fn asked(ledger: &Ledger, filters: &str, now: &Value) -> Result<Option<Asked>, Failure> {
    if let Some(asked) = noted(ledger).await? {
        return Ok(Some(asked));
    }
    let since = match ledger.beginning().await? {
        None => return Ok(None),
        Some(Beginning::Whole) => None,
        Some(Beginning::Since(since)) => Some(since),
    };
    let filters = ledger.last_ran_with(filters).await?.then(|| now.clone());
    Ok(Some(Asked { since, cap: None, filters }))
}

/// How many assets were requested in all, and how many of them are left, if the library was begun under a cap.
pub(crate) async fn left(ledger: &Ledger, cap: Option<u64>) -> Result<Option<(u64, u64)>, Failure> {
    let Some(cap) = cap else { return Ok(None) };
    Ok(Some((cap, cap.saturating_sub(ledger.published_by_walks().await?))))
}

/// Whether the library was begun under a cap that leaves nothing for a default walk.
pub(crate) async fn is_used_up(config: &Config, ledger: &Ledger) -> Result<bool, Failure> {
    let cap =
        noted(ledger).await?.and_then(|asked| asked.cap).filter(|_| config.limits.assets_per_run.is_none());
    Ok(left(ledger, cap).await?.is_some_and(|(_, left)| left == 0))
}

/// Widened filters count as requested once no asset waits any more.
pub(crate) async fn settle(
    ledger: &Ledger,
    held: Option<&Unrequested>,
    accepted: Asked,
) -> Result<(), Failure> {
    if held.is_none() {
        note(ledger, &accepted).await?;
    }
    Ok(ledger.set_held(held.map(text).transpose()?).await?)
}

pub(crate) async fn note(ledger: &Ledger, asked: &Asked) -> Result<(), Failure> {
    Ok(ledger.set_asked(text(asked)?).await?)
}

fn text(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| Failure::Unexpected(error.to_string()))
}
