//! What a run found and did, for its summary and for the metrics.

use std::collections::BTreeMap;

use bynder::part_count;
use common::asset::Asset;
use serde::{Serialize, Serializer};
use telemetry::SkippedBy;

use crate::allowance::Limit;
use crate::select::SkipReason;

/// The maximum number of extensions that are counted separately.
const MOST_EXTENSIONS: usize = 200;

/// What a run found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunCounts {
    /// Listed rows.
    pub listed: u64,
    /// Assets that need protection.
    pub selected: u64,
    /// Jobs published for them.
    pub published: u64,
    /// Skipped assets, by reason.
    pub skipped: BTreeMap<SkipReason, u64>,
    /// The selected assets by type.
    pub by_type: BTreeMap<&'static str, Portion>,
    /// The selected assets by extension.
    pub by_extension: BTreeMap<String, Portion>,
    /// Total size of the selected files, in bytes.
    pub bytes: u64,
    /// Upload parts of these files beyond the first of each: one portal call each.
    pub further_parts: u64,
    /// Assets that need protection but were not requested.
    pub not_asked_for: Portion,
    /// Assets whose extension names a type that the wire profile does not list, by extension.
    pub unsupported: BTreeMap<String, Portion>,
    /// The limit that ended the run before the end of the library.
    pub limit: Option<Limit>,
}

/// Some of the selected assets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Portion {
    pub assets: u64,
    /// Total size of their files, in bytes.
    pub bytes: u64,
}

impl Portion {
    fn add(&mut self, bytes: u64) {
        self.assets += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

impl RunCounts {
    /// Counts an asset that needs protection.
    pub(crate) fn select(&mut self, asset: &Asset, part_size: u64) {
        self.selected += 1;
        self.bytes = self.bytes.saturating_add(asset.bytes);
        self.further_parts += part_count(asset.bytes, part_size) - 1;
        self.by_type.entry(asset.kind.name()).or_default().add(asset.bytes);
        count(&mut self.by_extension, asset);
    }

    /// Counts an asset whose file's type is not sent; returns how many there are by now.
    pub(crate) fn leave_unsupported(&mut self, asset: &Asset) -> u64 {
        count(&mut self.unsupported, asset);
        self.unsupported()
    }

    /// The number of assets whose types are not sent.
    pub(crate) fn unsupported(&self) -> u64 {
        self.unsupported.values().map(|portion| portion.assets).sum()
    }

    /// Counts an asset that needs protection but was not requested.
    pub(crate) fn hold(&mut self, asset: &Asset) {
        self.not_asked_for.add(asset.bytes);
    }

    /// Whether changes are left to the next run because newer ones go first.
    pub(crate) fn is_postponed(&self) -> bool {
        self.skipped.contains_key(&SkipReason::Postponed)
    }

    /// Counts an asset that gets no job; returns the reason under its name in the metrics.
    pub(crate) fn skip(&mut self, reason: SkipReason) -> SkippedBy {
        *self.skipped.entry(reason).or_default() += 1;
        coarse(reason)
    }
}

impl SkipReason {
    /// The reason's name in the summary, which distinguishes the filters.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Filtered(by) => format!("filtered_by_{}", by.name()),
            other => coarse(other).name().to_owned(),
        }
    }
}

impl Serialize for SkipReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name())
    }
}

/// Counts an asset by its extension, which the person who uploads a file chooses: texts that cannot be extensions, and new ones beyond
/// the maximum, are counted together.
fn count(by_extension: &mut BTreeMap<String, Portion>, asset: &Asset) {
    let own = asset.shown_extension();
    let is_own = by_extension.len() < MOST_EXTENSIONS || by_extension.contains_key(&own);
    let extension = if is_own { own } else { "(other)".to_owned() };
    by_extension.entry(extension).or_default().add(asset.bytes);
}

fn coarse(reason: SkipReason) -> SkippedBy {
    match reason {
        SkipReason::Unchanged => SkippedBy::Unchanged,
        SkipReason::Filtered(_) => SkippedBy::Filter,
        SkipReason::OptedOut => SkippedBy::OptedOut,
        SkipReason::JobOpen => SkippedBy::JobOpen,
        SkipReason::ListingBehind => SkippedBy::ListingBehind,
        SkipReason::AwaitingApproval => SkippedBy::AwaitingApproval,
        SkipReason::FailedBefore => SkippedBy::FailedBefore,
        SkipReason::VersionUnknown => SkippedBy::VersionUnknown,
        SkipReason::Copy => SkippedBy::Copy,
        SkipReason::Unreadable => SkippedBy::Unreadable,
        SkipReason::NotAskedFor => SkippedBy::NotAskedFor,
        SkipReason::Unsupported => SkippedBy::Unsupported,
        SkipReason::Postponed => SkippedBy::Postponed,
    }
}

#[cfg(test)]
mod tests {
    use common::asset::samples;

    use super::*;

    #[test]
    fn files_of_any_size_are_counted() {
        let mut found = RunCounts::default();
        for bytes in [0, u64::MAX, u64::MAX] {
            let asset = Asset { bytes, ..samples::asset() };
            found.select(&asset, 5 << 20);
            found.hold(&asset);
        }
        let all = Portion { assets: 3, bytes: u64::MAX };
        assert_eq!((found.selected, found.bytes, found.not_asked_for), (3, u64::MAX, all));
    }

    #[test]
    fn however_many_and_long_extensions_are_few_are_told_apart() {
        let mut found = RunCounts::default();
        let long = "x".repeat(100);
        for extension in (0..300).map(|number| format!("E{number}")).chain(["e0".to_owned(), long]) {
            found.select(&Asset { extensions: vec![extension], ..samples::asset() }, 1);
        }
        assert_eq!(found.by_extension.len(), MOST_EXTENSIONS + 1);
        assert_eq!((found.by_extension["e0"].assets, found.by_extension["(other)"].assets), (2, 101));
    }
}
