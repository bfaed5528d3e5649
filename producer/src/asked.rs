//! What a person requested for a library, as recorded in the ledger.

use bytesize::ByteSize;
use common::failure::Failure;
use config::Config;
use jiff::Timestamp;
use ledger::{Beginning, Ledger};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::estimate;
use crate::run::Report;

/// A person's request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// The earliest change to cover; absent for the whole library.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// The maximum number of assets, if the library was begun with `--max-assets`.
    #[serde(default)]
    pub cap: Option<u64>,
    /// The filters at that time; absent if an earlier release did not record them.
    #[serde(default)]
    pub filters: Option<Value>,
}

/// Assets that match since the filters were widened, and wait until they are requested.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unrequested {
    /// The widened filters.
    pub filters: Value,
    pub assets: u64,
    /// Total size of their files, in bytes.
    pub bytes: u64,
    /// The approximate number of Bynder calls for them.
    pub calls: u64,
    pub counted: Timestamp,
}

impl Asked {
    /// A description for people.
    pub fn in_words(&self) -> String {
        let from =
            self.since.map_or_else(|| "all of it".to_owned(), |since| format!("what changed since {since}"));
        let cap = self.cap.map(|cap| format!(", {cap} assets at most")).unwrap_or_default();
        format!("{from}{cap}")
    }
}

impl Unrequested {
    /// A description for people.
    pub fn in_words(&self) -> String {
        format!(
            "{} assets ({}) match since the filters were widened, and no run was asked for that takes them: {} paid \
             watermarks, about {} Bynder calls. What changes is protected all the same. Run with --full, or under a cap \
             (--max-assets, limits.assets_per_run), to take them",
            self.assets,
            ByteSize::b(self.bytes),
            self.assets,
            self.calls
        )
    }

    pub(crate) fn of(report: &Report, config: &Config, filters: Value) -> Option<Self> {
        let found = report.found.not_asked_for;
        let calls = found.assets as f64 * estimate::calls_an_asset(config.output.mode);
        (found.assets > 0).then(|| Self {
            filters,
            assets: found.assets,
            bytes: found.bytes,
            calls: estimate::rounded(calls),
            counted: Timestamp::now(),
        })
    }
}

/// The recorded request; `None` if no run of this release has recorded it yet.
pub async fn noted(ledger: &Ledger) -> Result<Option<Asked>, Failure> {
    Ok(ledger.asked().await?.and_then(|text| serde_json::from_str(&text).ok()))
}

/// The recorded assets that wait until they are requested.
pub async fn held(ledger: &Ledger) -> Result<Option<Unrequested>, Failure> {
    Ok(ledger.held().await?.and_then(|text| serde_json::from_str(&text).ok()))
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
