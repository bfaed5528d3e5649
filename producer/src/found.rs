//! What a run found and did, for its summary and for the metrics.

use std::collections::BTreeMap;

use common::asset::Asset;
use common::bynder::part_count;
use common::telemetry::SkippedBy;
use serde::Serialize;

use crate::allowance::Limit;
use crate::select::SkipReason;

/// What a run found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Rows looked at.
    pub listed: u64,
    /// Assets that need protection.
    pub selected: u64,
    /// Jobs published for them.
    pub published: u64,
    /// Assets left alone, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// The selected assets by type.
    pub by_type: BTreeMap<&'static str, Portion>,
    /// The selected assets by extension.
    pub by_extension: BTreeMap<String, Portion>,
    /// Bytes of the selected files.
    pub bytes: u64,
    /// Parts that these files are uploaded in beyond the first of each: a portal call each.
    pub further_parts: u64,
    /// Assets that need protection, and that nobody asked for.
    pub not_asked_for: Portion,
    /// Assets whose extension names a type that the wire profile does not list, by extension.
    pub unsupported: BTreeMap<String, Portion>,
    /// The limit that ended the run before the library did.
    pub limit: Option<Limit>,
}

/// Some of the selected assets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Portion {
    /// How many.
    pub assets: u64,
    /// Bytes of their files.
    pub bytes: u64,
}

impl Portion {
    fn add(&mut self, bytes: u64) {
        self.assets += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

impl Found {
    /// An asset needs protection.
    pub(crate) fn select(&mut self, asset: &Asset, part_size: u64) {
        self.selected += 1;
        self.bytes = self.bytes.saturating_add(asset.bytes);
        self.further_parts += part_count(asset.bytes, part_size) - 1;
        self.by_type.entry(asset.kind.name()).or_default().add(asset.bytes);
        self.by_extension.entry(extension(asset)).or_default().add(asset.bytes);
    }

    /// The type of an asset's file is not sent; returns how many of these there are by now.
    pub(crate) fn leave_unsupported(&mut self, asset: &Asset) -> u64 {
        self.unsupported.entry(extension(asset)).or_default().add(asset.bytes);
        self.unsupported()
    }

    /// Assets whose types are not sent.
    pub(crate) fn unsupported(&self) -> u64 {
        self.unsupported.values().map(|portion| portion.assets).sum()
    }

    /// An asset needs protection that nobody asked for.
    pub(crate) fn hold(&mut self, asset: &Asset) {
        self.not_asked_for.add(asset.bytes);
    }

    /// An asset gets no job; returns the reason as metrics know it.
    pub(crate) fn skip(&mut self, reason: SkipReason) -> SkippedBy {
        *self.skipped.entry(name(reason)).or_default() += 1;
        coarse(reason)
    }
}

fn extension(asset: &Asset) -> String {
    asset.extensions.first().map_or_else(|| "(none)".to_owned(), |own| own.to_lowercase())
}

/// The summary tells one filter from another.
fn name(reason: SkipReason) -> String {
    match reason {
        SkipReason::Filtered(by) => format!("filtered_by_{}", by.name()),
        other => coarse(other).name().to_owned(),
    }
}

fn coarse(reason: SkipReason) -> SkippedBy {
    match reason {
        SkipReason::Unchanged => SkippedBy::Unchanged,
        SkipReason::Filtered(_) => SkippedBy::Filter,
        SkipReason::OptedOut => SkippedBy::OptOut,
        SkipReason::JobOpen => SkippedBy::OpenJob,
        SkipReason::ListingBehind => SkippedBy::ListingBehind,
        SkipReason::AwaitingApproval => SkippedBy::Approval,
        SkipReason::FailedBefore => SkippedBy::EarlierFailure,
        SkipReason::VersionUnknown => SkippedBy::UnknownVersion,
        SkipReason::Copy => SkippedBy::Copy,
        SkipReason::Unreadable => SkippedBy::Unreadable,
        SkipReason::NotAskedFor => SkippedBy::NotAskedFor,
        SkipReason::Unsupported => SkippedBy::UnsupportedType,
    }
}

#[cfg(test)]
mod tests {
    use common::asset::samples;

    use super::*;

    #[test]
    fn files_of_any_size_are_counted() {
        let mut found = Found::default();
        for bytes in [0, u64::MAX, u64::MAX] {
            let asset = Asset { bytes, ..samples::asset() };
            found.select(&asset, 5 << 20);
            found.hold(&asset);
        }
        let all = Portion { assets: 3, bytes: u64::MAX };
        assert_eq!((found.selected, found.bytes, found.not_asked_for), (3, u64::MAX, all));
    }
}
