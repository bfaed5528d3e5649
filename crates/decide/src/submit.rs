//! The state of an asset right before its file is submitted: a watermark is paid for, and the job may be old by
//! then.

use common::asset::{Asset, AssetDetail};
use common::marker::{Marker, Record};

/// What the job knew when it was published or at its last check.
#[derive(Debug, Clone, Copy)]
pub struct ExpectedAtSubmit<'a> {
    /// The version that the job protects.
    pub base: u32,
    /// The content of the hash metaproperty.
    pub marker: &'a Marker,
    /// The record that the job itself wrote ahead of a save.
    pub written: Option<Record>,
}

/// How the asset has changed since then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubmitDecision {
    /// It has not: submit.
    AsKnown,
    /// The active version is protected.
    Protected,
    /// Another version is active: start over with it.
    Superseded {
        /// The version to protect now.
        base: u32,
        /// The highest version now.
        top: u32,
    },
    /// The marker has changed, so the file has to be judged again.
    Remarked,
    /// A person opted the asset out; this version is active.
    OptedOut(u32),
    /// The portal does not show the asset's versions.
    VersionsUnknown,
}

/// Whether the asset's row in the listing matches what the job knows. If not, a single GET has to decide, since the
/// row lags.
pub fn matches_row(known: ExpectedAtSubmit<'_>, row: &Asset, marker: &Marker) -> bool {
    row.active_version == Some(known.base) && marker == known.marker
}

/// Decides by a single GET.
pub fn decide_submit(known: ExpectedAtSubmit<'_>, detail: &AssetDetail, marker: &Marker) -> SubmitDecision {
    let (Some(active), Some(top)) = (detail.active(), detail.top()) else {
        return SubmitDecision::VersionsUnknown;
    };
    if active == known.base && (marker == known.marker || is_own_work(known, marker)) {
        return SubmitDecision::AsKnown;
    }
    if marker.opted_out() {
        return SubmitDecision::OptedOut(active);
    }
    let bytes = detail.version(active).and_then(|version| version.bytes);
    let record = bytes.and_then(|bytes| marker.record_of(active, bytes));
    if record.is_some() && record != known.written {
        SubmitDecision::Protected
    } else if active == known.base {
        SubmitDecision::Remarked
    } else {
        SubmitDecision::Superseded { base: active, top }
    }
}

/// Whether the marker differs only by the record that the job itself wrote. If the job took this for the original
/// marker, it would never take the record back.
fn is_own_work(known: ExpectedAtSubmit<'_>, marker: &Marker) -> bool {
    let (Some(written), Marker::Ours(records)) = (known.written, marker) else { return false };
    known.marker.clone().into_records().unwrap_or_default().with(written) == *records
}

#[cfg(test)]
mod tests {
    use common::asset::samples::detail;
    use common::hash::ContentHash;

    use super::*;

    fn record(version: u32, bytes: u64) -> Record {
        let [original, watermarked] = [1, 2].map(|byte| ContentHash::from_bytes([byte; 32]));
        Record { original, watermarked, version, bytes }
    }

    #[test]
    fn only_an_asset_that_stands_as_the_job_knows_it_is_paid_for() {
        let protected = record(2, 500);
        let text = protected.to_string();
        let table = [
            (detail(&[400], 1), "", None, SubmitDecision::AsKnown),
            (detail(&[400, 500], 2), text.as_str(), None, SubmitDecision::Protected),
            (detail(&[400, 300], 2), "", None, SubmitDecision::Superseded { base: 2, top: 2 }),
            (detail(&[400, 300], 2), text.as_str(), None, SubmitDecision::Superseded { base: 2, top: 2 }),
            // The job's own record, written ahead of a save that did not happen, makes no person's version
            // protected.
            (
                detail(&[400, 500], 2),
                text.as_str(),
                Some(protected),
                SubmitDecision::Superseded { base: 2, top: 2 },
            ),
            (detail(&[400], 1), text.as_str(), Some(protected), SubmitDecision::AsKnown),
            (detail(&[400], 1), text.as_str(), None, SubmitDecision::Remarked),
            (detail(&[400], 1), "hands off", None, SubmitDecision::Remarked),
            (detail(&[400], 1), "opted-out; ", None, SubmitDecision::OptedOut(1)),
        ];
        for (detail, text, written, wanted) in table {
            let known = ExpectedAtSubmit { base: 1, marker: &Marker::Absent, written };
            let found = decide_submit(known, &detail, &Marker::parse(Some(text)));
            assert_eq!(found, wanted, "{text} {detail:?}");
        }
        let mut unknown = detail(&[], 1);
        unknown.asset.active_version = None;
        let known = ExpectedAtSubmit { base: 1, marker: &Marker::Absent, written: None };
        assert_eq!(decide_submit(known, &unknown, &Marker::Absent), SubmitDecision::VersionsUnknown);
    }

    #[test]
    fn a_row_that_differs_in_anything_is_for_a_single_get_to_explain() {
        let known = ExpectedAtSubmit { base: 1, marker: &Marker::Absent, written: None };
        let row = detail(&[400], 1).asset;
        assert!(matches_row(known, &row, &Marker::Absent));
        assert!(!matches_row(known, &row, &Marker::parse(Some("text"))));
        assert!(!matches_row(known, &Asset { active_version: None, ..row.clone() }, &Marker::Absent));
        assert!(!matches_row(known, &Asset { active_version: Some(2), ..row }, &Marker::Absent));
    }
}
