//! What a person requested for a library, as recorded in the ledger.

use bytesize::ByteSize;
use common::failure::Failure;
use jiff::Timestamp;
use ledger::Ledger;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
}

/// The recorded request; `None` if no run of this release has recorded it yet.
pub async fn noted(ledger: &Ledger) -> Result<Option<Asked>, Failure> {
    Ok(ledger.asked().await?.and_then(|text| serde_json::from_str(&text).ok()))
}

/// The recorded assets that wait until they are requested.
pub async fn held(ledger: &Ledger) -> Result<Option<Unrequested>, Failure> {
    Ok(ledger.held().await?.and_then(|text| serde_json::from_str(&text).ok()))
}
