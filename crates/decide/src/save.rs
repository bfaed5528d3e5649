//! What a fresh check of the asset means for a job that is about to change it.

use common::asset::{Asset, AssetDetail};
use common::hash::{ContentHash, FileFacts};
use common::marker::{Marker, Record};

/// What the job knows before the check.
#[derive(Debug, Clone, Copy)]
pub struct ExpectedAtSave<'a> {
    /// The version that the job protects.
    pub base: u32,
    /// The highest version at the job's last check.
    pub top: u32,
    /// Hash of the original.
    pub original: ContentHash,
    /// The watermarked file.
    pub watermarked: &'a FileFacts,
    /// The marker before the job wrote to it.
    pub marker_before: &'a Marker,
}

/// What to do after the check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SaveDecision {
    /// No person changed the asset, and the marker for the coming version is written: save.
    Clear,
    /// No person changed the active version, but the marker lacks this record: write it and check again.
    Mark(Record),
    /// These versions are newer than the job's last check, and as long as the watermarked file or of unknown
    /// length. One of them may be the job's own, saved by a request whose response was lost; only their hashes can
    /// show that.
    MaybeOurs {
        /// Version numbers, ascending.
        candidates: Vec<u32>,
    },
    /// A person activated another version: start over with it.
    Restart {
        /// The version to protect now.
        base: u32,
        /// The highest version now.
        top: u32,
    },
    /// Another version is active, and a record marks it as protected. The record may be the job's own, written
    /// ahead of a save that a person's upload overtook; only the file's hash can show that.
    ProtectedElsewhere(Record),
    /// A person opted the asset out while the job was running.
    OptedOut,
    /// The marker now holds text that the connector did not write.
    Foreign(String),
    /// The portal does not show which versions exist or which one is active, so no save is safe.
    VersionsUnknown,
}

/// Decides by one single-asset GET, never by the listing, which lags.
pub fn decide_from_asset(
    expected: ExpectedAtSave<'_>,
    detail: &AssetDetail,
    marker: &Marker,
) -> SaveDecision {
    let Some(top) = detail.top() else { return SaveDecision::VersionsUnknown };
    let candidates = candidates(expected, detail);
    if !candidates.is_empty() {
        return SaveDecision::MaybeOurs { candidates };
    }
    match marker {
        Marker::Foreign(text) => return SaveDecision::Foreign(text.clone()),
        Marker::Ours(_) if marker.opted_out() => return SaveDecision::OptedOut,
        Marker::Ours(_) | Marker::Absent | Marker::Legacy(_) => {}
    }
    match detail.active() {
        None => return SaveDecision::VersionsUnknown,
        Some(active) if active != expected.base => return elsewhere(detail, marker, active, top),
        Some(_) => {}
    }
    let record = coming(expected, top);
    match marker {
        Marker::Ours(records) if records.contains(&record) => SaveDecision::Clear,
        _ => SaveDecision::Mark(record),
    }
}

/// The record to write, from the asset's row in the listing alone; many jobs share the call for the row. `None` if
/// anything differs from what the job knows: then a single GET has to decide.
///
/// The row lags and does not show the highest version. The check before the save corrects a record that was based
/// on it.
pub fn record_from_listing_row(expected: ExpectedAtSave<'_>, row: &Asset, marker: &Marker) -> Option<Record> {
    let untouched = row.active_version == Some(expected.base) && marker == expected.marker_before;
    let ours_to_write = match marker {
        Marker::Absent | Marker::Legacy(_) => true,
        // A record above the highest known version means that a person restored an older one, so the next number is
        // not the one that the save will make. A record based on the row would replace a correct one.
        Marker::Ours(records) => {
            !marker.opted_out() && records.iter().all(|record| record.version <= expected.top)
        }
        Marker::Foreign(_) => false,
    };
    (untouched && ours_to_write).then(|| coming(expected, expected.top))
}

/// The record of the version that the save will make.
fn coming(expected: ExpectedAtSave<'_>, top: u32) -> Record {
    Record {
        original: expected.original,
        watermarked: expected.watermarked.sha256,
        version: top.saturating_add(1),
        bytes: expected.watermarked.bytes,
    }
}

/// What to do if the new versions turned out to be a person's: the same as if they had been known before. The
/// version that the job protects may still be the active one; starting over with it would pay for it twice.
pub fn not_ours(expected: ExpectedAtSave<'_>, detail: &AssetDetail, marker: &Marker) -> SaveDecision {
    decide_from_asset(
        ExpectedAtSave { top: detail.top().unwrap_or(expected.top), ..expected },
        detail,
        marker,
    )
}

/// Whether a person's version came between the last check and the save that made the record's version.
///
/// The check wrote the number that the save would make into the marker, so a marker that foretold exactly this
/// version rules it out. `top`, the highest version at the job's last check, may be older than that check: a job
/// that was duplicated when its worker died knows only what the first copy knew.
pub fn is_crossed(top: u32, saved: &Record, marker: &Marker) -> bool {
    let foretold = matches!(marker, Marker::Ours(records) if records.contains(saved));
    saved.version > top.saturating_add(1) && !foretold
}

fn elsewhere(detail: &AssetDetail, marker: &Marker, active: u32, top: u32) -> SaveDecision {
    let bytes = detail.version(active).and_then(|version| version.bytes);
    match bytes.and_then(|bytes| marker.record_of(active, bytes)) {
        Some(record) => SaveDecision::ProtectedElsewhere(record),
        None => SaveDecision::Restart { base: active, top },
    }
}

/// The versions newer than the job's last check that may hold the watermarked file, judging by their length.
fn candidates(expected: ExpectedAtSave<'_>, detail: &AssetDetail) -> Vec<u32> {
    let fitting = detail.may_hold(expected.top, expected.watermarked.bytes);
    fitting
        // A restored original is protected by the same medium as before, so its earlier version has the same file.
        .filter(|version| !recorded_before(expected, version.number))
        .map(|version| version.number)
        .collect()
}

fn recorded_before(expected: ExpectedAtSave<'_>, version: u32) -> bool {
    let Marker::Ours(records) = expected.marker_before else { return false };
    records
        .iter()
        .any(|record| record.version == version && record.watermarked == expected.watermarked.sha256)
}

#[cfg(test)]
mod tests {
    use common::asset::samples::detail;
    use common::marker::Records;

    use super::*;

    const LENGTH: u64 = 500;

    fn watermarked() -> FileFacts {
        let sha256 = ContentHash::from_bytes([2; 32]);
        FileFacts { sha256, bytes: LENGTH, media_type: None, pixels: None, content: None }
    }

    fn record(version: u32) -> Record {
        let original = ContentHash::from_bytes([1; 32]);
        Record { original, watermarked: watermarked().sha256, version, bytes: LENGTH }
    }

    fn decided(base: u32, top: u32, detail: &AssetDetail, marker: &str) -> SaveDecision {
        decided_after(base, top, detail, "", marker)
    }

    fn decided_after(base: u32, top: u32, detail: &AssetDetail, before: &str, marker: &str) -> SaveDecision {
        let (watermarked, marker_before) = (watermarked(), &Marker::parse(Some(before)));
        let original = ContentHash::from_bytes([1; 32]);
        let expected = ExpectedAtSave { base, top, original, watermarked: &watermarked, marker_before };
        decide_from_asset(expected, detail, &Marker::parse(Some(marker)))
    }

    fn found_not_ours(base: u32, top: u32, detail: &AssetDetail, marker: &str) -> SaveDecision {
        let (watermarked, marker_before) = (watermarked(), &Marker::Absent);
        let original = ContentHash::from_bytes([1; 32]);
        let expected = ExpectedAtSave { base, top, original, watermarked: &watermarked, marker_before };
        not_ours(expected, detail, &Marker::parse(Some(marker)))
    }

    #[test]
    fn an_untouched_asset_is_marked_then_saved() {
        let untouched = detail(&[400], 1);
        assert_eq!(decided(1, 1, &untouched, ""), SaveDecision::Mark(record(2)));
        assert_eq!(decided(1, 1, &untouched, &record(2).to_string()), SaveDecision::Clear);
    }

    #[test]
    fn a_restored_older_version_is_marked_for_the_number_after_the_highest() {
        let restored = detail(&[400, 300, 200], 1);
        assert_eq!(decided(1, 1, &restored, &record(2).to_string()), SaveDecision::Mark(record(4)));
    }

    #[test]
    fn a_persons_newer_version_starts_the_job_over() {
        let newer = detail(&[400, 300], 2);
        assert_eq!(decided(1, 1, &newer, &record(2).to_string()), SaveDecision::Restart { base: 2, top: 2 });
    }

    #[test]
    fn a_new_version_as_long_as_ours_is_never_trusted_by_its_length() {
        let newer = detail(&[400, LENGTH], 2);
        assert_eq!(
            decided(1, 1, &newer, &record(2).to_string()),
            SaveDecision::MaybeOurs { candidates: vec![2] }
        );
        assert_eq!(found_not_ours(1, 1, &newer, ""), SaveDecision::Restart { base: 2, top: 2 });
        // The job's own record, written ahead, does not make the person's version protected: the file's hash
        // decides.
        let foretold = record(2).to_string();
        assert_eq!(found_not_ours(1, 1, &newer, &foretold), SaveDecision::ProtectedElsewhere(record(2)));
    }

    #[test]
    fn a_restored_version_below_one_as_long_as_ours_is_gone_on_with_and_not_started_over() {
        let restored = detail(&[400, LENGTH], 1);
        assert_eq!(decided(1, 1, &restored, ""), SaveDecision::MaybeOurs { candidates: vec![2] });
        assert_eq!(found_not_ours(1, 1, &restored, ""), SaveDecision::Mark(record(3)));
        assert_eq!(found_not_ours(1, 1, &restored, &record(3).to_string()), SaveDecision::Clear);
    }

    #[test]
    fn an_earlier_version_of_the_same_file_is_not_this_jobs() {
        let restored = detail(&[400, LENGTH], 1);
        let before = record(2).to_string();
        assert_eq!(decided_after(1, 1, &restored, &before, &before), SaveDecision::Mark(record(3)));
        let saved = detail(&[400, LENGTH, LENGTH], 3);
        assert_eq!(
            decided_after(1, 1, &saved, &before, &before),
            SaveDecision::MaybeOurs { candidates: vec![3] }
        );
    }

    #[test]
    fn a_record_of_a_higher_version_is_not_written_over_by_the_row_alone() {
        let (watermarked, original) = (watermarked(), ContentHash::from_bytes([1; 32]));
        let changed_from_row = |base, before: &str, marker: &str| {
            let (before, row) = (Marker::parse(Some(before)), detail(&[400], 1).asset);
            let expected = ExpectedAtSave {
                base,
                top: base,
                original,
                watermarked: &watermarked,
                marker_before: &before,
            };
            record_from_listing_row(expected, &row, &Marker::parse(Some(marker)))
        };
        let from_row = |marker: &str| changed_from_row(1, marker, marker);
        assert_eq!(from_row(""), Some(record(2)));
        assert_eq!(from_row(&record(1).to_string()), Some(record(2)));
        assert_eq!(from_row(&record(2).to_string()), None);
        assert_eq!(from_row(&record(3).to_string()), None);
        assert_eq!(from_row("opted-out; "), None);
        assert_eq!(changed_from_row(2, "", ""), None, "another version is active");
        assert_eq!(changed_from_row(1, "", &record(1).to_string()), None, "the marker has changed");
    }

    #[test]
    fn an_active_version_that_the_marker_protects_ends_the_job() {
        let protected = record(1);
        let restored = detail(&[LENGTH, 300], 1);
        assert_eq!(
            decided(2, 2, &restored, &protected.to_string()),
            SaveDecision::ProtectedElsewhere(protected)
        );
    }

    #[test]
    fn a_persons_text_or_wish_stops_the_job() {
        let untouched = detail(&[400], 1);
        assert_eq!(decided(1, 1, &untouched, "hands off"), SaveDecision::Foreign("hands off".to_owned()));
        assert_eq!(decided(1, 1, &untouched, "opted-out; "), SaveDecision::OptedOut);
    }

    #[test]
    fn without_versions_or_without_the_active_one_nothing_is_saved() {
        assert_eq!(decided(1, 1, &detail(&[], 1), ""), SaveDecision::VersionsUnknown);
        for flag in [None, Some(true)] {
            let mut open = detail(&[400, 300, 200], 3);
            open.asset.active_version = None;
            open.versions.iter_mut().for_each(|version| version.active = flag);
            assert_eq!(decided(3, 3, &open, ""), SaveDecision::VersionsUnknown, "{flag:?}");
            // The job's own version is still recognised by its hash.
            open.versions[2].bytes = Some(LENGTH);
            assert_eq!(decided(2, 2, &open, ""), SaveDecision::MaybeOurs { candidates: vec![3] });
        }
    }

    #[test]
    fn the_highest_number_that_a_version_can_have_is_no_reason_to_crash() {
        let mut highest = detail(&[400], 1);
        highest.versions[0].number = u32::MAX;
        highest.asset.active_version = Some(u32::MAX);
        assert_eq!(decided(u32::MAX, u32::MAX, &highest, ""), SaveDecision::Mark(record(u32::MAX)));
        assert!(!is_crossed(u32::MAX, &record(u32::MAX), &Marker::Absent));
    }

    #[test]
    fn a_save_is_crossed_when_it_made_another_version_than_was_foretold() {
        let foretold = |version| Marker::Ours(Records::default().with(record(version)));
        for (top, saved, marker, crossed) in [
            (1, 2, foretold(2), false),
            (1, 3, foretold(2), true),
            (1, 3, foretold(3), false),
            (1, 2, Marker::Absent, false),
            (1, 3, Marker::Absent, true),
        ] {
            assert_eq!(is_crossed(top, &record(saved), &marker), crossed, "{top} {saved} {marker:?}");
        }
    }
}
