//! What a run found and did, for its summary and for the metrics.

use std::collections::BTreeMap;

use common::asset::Asset;
use common::telemetry::SkippedBy;

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
    /// Bytes of the selected files, by extension.
    pub bytes_by_extension: BTreeMap<String, u64>,
    /// Bytes of the selected files.
    pub bytes: u64,
    /// The limit that ended the run before the library did.
    pub limit: Option<Limit>,
}

impl Found {
    /// An asset needs protection.
    pub(crate) fn select(&mut self, asset: &Asset) {
        self.selected += 1;
        self.bytes += asset.bytes;
        let extension = asset.extensions.first().cloned().unwrap_or_else(|| "(none)".to_owned());
        *self.bytes_by_extension.entry(extension).or_default() += asset.bytes;
    }

    /// An asset gets no job; returns the reason as metrics know it.
    pub(crate) fn skip(&mut self, reason: SkipReason) -> SkippedBy {
        *self.skipped.entry(name(reason)).or_default() += 1;
        coarse(reason)
    }
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
    }
}
