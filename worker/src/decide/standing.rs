//! How an asset stands right before its file is submitted: a watermark is paid for, and the job may be old by then.

use common::asset::{Asset, AssetDetail};
use common::marker::{Marker, Record};

/// What the job knew when it was published or last looked.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The version the job protects.
    pub base: u32,
    /// What the hash metaproperty said.
    pub marker: &'a Marker,
    /// The record that the job itself wrote ahead of a save.
    pub written: Option<Record>,
}

/// What became of the asset meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nothing: submit.
    AsKnown,
    /// The active version is protected.
    Protected,
    /// Another version is the active one: start over with it.
    Superseded {
        /// The version to protect now.
        base: u32,
        /// The highest version there is now.
        top: u32,
    },
    /// The marker says something else, by which the file has to be judged again.
    Remarked,
    /// A person opted the asset out; this version is the active one.
    OptedOut(u32),
    /// The portal does not tell the asset's versions.
    VersionsUnknown,
}

/// Whether the asset's row in the listing shows what the job knows. Anything else is for a single GET to tell: the row
/// lags.
pub fn stands_as_known(known: Known<'_>, row: &Asset, marker: &Marker) -> bool {
    row.active_version == Some(known.base) && marker == known.marker
}

/// Decides by a single GET.
pub fn standing(known: Known<'_>, detail: &AssetDetail, marker: &Marker) -> Standing {
    let (Some(active), Some(top)) = (detail.active(), detail.top()) else {
        return Standing::VersionsUnknown;
    };
    if active == known.base && (marker == known.marker || is_own_work(known, marker)) {
        return Standing::AsKnown;
    }
    if marker.opted_out() {
        return Standing::OptedOut(active);
    }
    let bytes = detail.version(active).and_then(|version| version.bytes);
    let record = bytes.and_then(|bytes| marker.record_of(active, bytes));
    if record.is_some() && record != known.written {
        Standing::Protected
    } else if active == known.base {
        Standing::Remarked
    } else {
        Standing::Superseded { base: active, top }
    }
}

/// Whether the marker differs only by the record that the job itself wrote. Taken for the marker as it was before, it would
/// never be taken back.
fn is_own_work(known: Known<'_>, marker: &Marker) -> bool {
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
            (detail(&[400], 1), "", None, Standing::AsKnown),
            (detail(&[400, 500], 2), text.as_str(), None, Standing::Protected),
            (detail(&[400, 300], 2), "", None, Standing::Superseded { base: 2, top: 2 }),
            (detail(&[400, 300], 2), text.as_str(), None, Standing::Superseded { base: 2, top: 2 }),
            // Its own record, written ahead of a save that did not come, makes nobody's version protected.
            (
                detail(&[400, 500], 2),
                text.as_str(),
                Some(protected),
                Standing::Superseded { base: 2, top: 2 },
            ),
            (detail(&[400], 1), text.as_str(), Some(protected), Standing::AsKnown),
            (detail(&[400], 1), text.as_str(), None, Standing::Remarked),
            (detail(&[400], 1), "hands off", None, Standing::Remarked),
            (detail(&[400], 1), "opted-out; ", None, Standing::OptedOut(1)),
        ];
        for (detail, text, written, wanted) in table {
            let known = Known { base: 1, marker: &Marker::Absent, written };
            let found = standing(known, &detail, &Marker::parse(Some(text)));
            assert_eq!(found, wanted, "{text} {detail:?}");
        }
        let mut unknown = detail(&[], 1);
        unknown.asset.active_version = None;
        let known = Known { base: 1, marker: &Marker::Absent, written: None };
        assert_eq!(standing(known, &unknown, &Marker::Absent), Standing::VersionsUnknown);
    }

    #[test]
    fn a_row_that_differs_in_anything_is_for_a_single_get_to_explain() {
        let known = Known { base: 1, marker: &Marker::Absent, written: None };
        let row = detail(&[400], 1).asset;
        assert!(stands_as_known(known, &row, &Marker::Absent));
        assert!(!stands_as_known(known, &row, &Marker::parse(Some("text"))));
        assert!(!stands_as_known(known, &Asset { active_version: None, ..row.clone() }, &Marker::Absent));
        assert!(!stands_as_known(known, &Asset { active_version: Some(2), ..row }, &Marker::Absent));
    }
}
