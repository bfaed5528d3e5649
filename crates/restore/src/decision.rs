//! Decides from one view of an asset what to do about restoring its original. Pure.

use common::asset::AssetDetail;
use common::hash::ContentHash;
use common::marker::{Kin, Marker, Record};
use ledger::{Restoration, RestorationProgress};

/// What to do with an asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The active version is this record's protected file, as far as visible without its hash: restore its original.
    Restore(Record),
    /// One of these versions may be an original restored before; only their hashes show which.
    MaybeRestored(Vec<u32>),
    /// Its original was saved and is not visible: it waits for a person's approval, and saving it again would only add
    /// another version.
    Waiting,
    /// Leave it.
    Skip(Skip),
}

/// The result for one asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AssetResult {
    /// Its original is a version again, through this call or an earlier, interrupted one.
    Restored,
    /// It was left as it was.
    Skipped(Skip),
}

/// Why an asset is left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Skip {
    /// It has no file protected by the connector.
    NotProtected,
    /// The active version is a person's, not the protected one.
    NewerVersion,
    /// It is opted out, and the original is the active version.
    RestoredBefore,
    /// The protected file came from elsewhere, so its original is not recorded.
    OriginalUnknown,
    /// No version in the history has the recorded original's hash.
    OriginalLost,
    /// Its watermarked file is stored elsewhere, and the original is the active version: there is nothing to restore.
    OriginalInPlace,
    /// It is a copy, which never held the original.
    Copy,
    /// A job for it has no outcome yet.
    JobOpen,
    /// Another process is working on it.
    Busy,
    /// Bynder does not report its active version.
    VersionUnknown,
    /// It no longer exists.
    Gone,
}

impl Skip {
    /// The reason's name in counts.
    pub(crate) fn name(self) -> &'static str {
        self.into()
    }
}

/// Decides by a single GET. `wanted` is the watermarked file to remove, if only that one may be removed; `last` is the
/// latest record about restoring this asset's original.
pub(crate) fn decide(
    detail: &AssetDetail,
    marker: &Marker,
    wanted: Option<ContentHash>,
    last: Option<&Restoration>,
) -> Decision {
    let Marker::Ours(records) = marker else { return Decision::Skip(Skip::NotProtected) };
    let Some(active) = detail.active() else { return Decision::Skip(Skip::VersionUnknown) };
    if matches!(marker.kin(), Some(Kin::CopyOf(_))) {
        return Decision::Skip(Skip::Copy);
    }
    if let Some(begun) = last.filter(|last| last.progress.is_open()) {
        let candidates = restored_since(begun, detail);
        if !candidates.is_empty() {
            return Decision::MaybeRestored(candidates);
        }
    }
    let bytes = detail.version(active).and_then(|version| version.bytes);
    match bytes.and_then(|bytes| marker.record_of(active, bytes)) {
        Some(record) if wanted.is_some_and(|wanted| wanted != record.watermarked) => {
            Decision::Skip(Skip::NewerVersion)
        }
        // A person who removes the opt-out takes the restoration back, and may begin another.
        Some(record) if marker.opted_out() && last.is_some_and(|last| is_saved(last, record)) => {
            Decision::Waiting
        }
        Some(record) if record.original == record.watermarked => Decision::Skip(Skip::OriginalUnknown),
        Some(record) => Decision::Restore(record),
        None if records.iter().next().is_none() => Decision::Skip(Skip::NotProtected),
        None if last
            .is_some_and(|last| last.progress == RestorationProgress::Restored { version: active }) =>
        {
            Decision::Skip(Skip::RestoredBefore)
        }
        // Its record may be lost, but the opt-out shows that it was restored or opted out.
        None if marker.opted_out() => Decision::MaybeRestored(vec![active]),
        None => Decision::Skip(Skip::NewerVersion),
    }
}

fn is_saved(last: &Restoration, record: Record) -> bool {
    last.progress == RestorationProgress::Saved && last.record == record
}

/// Versions made since the restoration began that may hold the original, by their length.
pub(crate) fn restored_since(begun: &Restoration, detail: &AssetDetail) -> Vec<u32> {
    detail.may_hold(begun.top, begun.original_bytes).map(|version| version.number).collect()
}

/// The progress once version `ours` holds the original: if its number is higher than the next one at the start, it was
/// saved on top of a person's version.
pub(crate) fn landed(begun: &Restoration, ours: u32) -> RestorationProgress {
    if ours > begun.top.saturating_add(1) {
        RestorationProgress::Crossed { ours, theirs: ours.saturating_sub(1) }
    } else {
        RestorationProgress::Restored { version: ours }
    }
}

/// Versions that may hold this record's original, the likeliest first: `base` if it is known, then those below the
/// protected version.
pub(crate) fn originals(detail: &AssetDetail, record: Record, base: Option<u32>) -> Vec<u32> {
    let mut numbers: Vec<u32> = detail.versions.iter().map(|version| version.number).collect();
    numbers.retain(|number| *number != record.version);
    // Descending from the protected version; then the later ones.
    numbers.sort_by_key(|number| (Some(*number) != base, *number > record.version, u32::MAX - number));
    numbers
}

/// Whether the asset is as it was when the restoration began, so that the original can be saved.
pub(crate) fn is_untouched(begun: &Restoration, detail: &AssetDetail, marker: &Marker) -> bool {
    detail.active() == Some(begun.record.version)
        && detail.top() == Some(begun.top)
        && !matches!(marker, Marker::Foreign(_))
}

#[cfg(test)]
mod tests {
    use common::asset::samples::detail;
    use jiff::Timestamp;

    use super::*;

    fn hash(byte: u8) -> ContentHash {
        ContentHash::from_bytes([byte; 32])
    }

    fn record() -> Record {
        Record { original: hash(1), watermarked: hash(2), version: 2, bytes: 500 }
    }

    fn restoration(progress: RestorationProgress) -> Restoration {
        Restoration {
            run_id: common::job::RunId("r".to_owned()),
            asset_id: "A".parse().unwrap(),
            asset_name: String::new(),
            progress,
            record: record(),
            original_version: Some(1),
            original_bytes: 400,
            top: 2,
            opted_out_before: false,
            at: Timestamp::UNIX_EPOCH,
        }
    }

    fn decided(detail: &AssetDetail, marker: &str, last: Option<&Restoration>) -> Decision {
        decide(detail, &Marker::parse(Some(marker)), None, last)
    }

    #[test]
    fn only_the_recorded_protected_version_gives_way() {
        let (protected, named) = (detail(&[400, 500], 2), record().to_string());
        assert_eq!(decided(&protected, &named, None), Decision::Restore(record()));
        assert_eq!(decided(&protected, &format!("opted-out; {named}"), None), Decision::Restore(record()));
        let newer = Decision::Skip(Skip::NewerVersion);
        assert_eq!(decided(&detail(&[400, 500, 300], 3), &named, None), newer);
        assert_eq!(decided(&detail(&[400, 501], 2), &named, None), newer);
        assert_eq!(decide(&protected, &Marker::parse(Some(&named)), Some(hash(9)), None), newer);
        for nothing in ["", "see ticket 4711", "opted-out; "] {
            assert_eq!(decided(&protected, nothing, None), Decision::Skip(Skip::NotProtected), "{nothing}");
        }
        let mut unknown = protected.clone();
        unknown.asset.active_version = None;
        unknown.versions.iter_mut().for_each(|version| version.active = None);
        assert_eq!(decided(&unknown, &named, None), Decision::Skip(Skip::VersionUnknown));
        let from_elsewhere = Record { original: hash(2), ..record() }.to_string();
        assert_eq!(decided(&protected, &from_elsewhere, None), Decision::Skip(Skip::OriginalUnknown));
    }

    #[test]
    fn what_was_restored_before_is_recognised_by_the_record_or_by_its_hash() {
        let (restored, marker) = (detail(&[400, 500, 400], 3), format!("opted-out; {}", record()));
        let done = restoration(RestorationProgress::Restored { version: 3 });
        assert_eq!(decided(&restored, &marker, Some(&done)), Decision::Skip(Skip::RestoredBefore));
        assert_eq!(decided(&restored, &marker, None), Decision::MaybeRestored(vec![3]));
        let begun = restoration(RestorationProgress::Begun);
        assert_eq!(decided(&restored, &marker, Some(&begun)), Decision::MaybeRestored(vec![3]));
        // A person uploaded on top of what a killed process had restored.
        let covered = detail(&[400, 500, 400, 300], 4);
        assert_eq!(decided(&covered, &marker, Some(&begun)), Decision::MaybeRestored(vec![3]));
        let untouched = detail(&[400, 500], 2);
        assert_eq!(decided(&untouched, &marker, Some(&begun)), Decision::Restore(record()));
    }

    #[test]
    fn what_was_saved_and_does_not_show_is_not_saved_again_unless_a_person_takes_it_back() {
        let (saved, marker) = (restoration(RestorationProgress::Saved), format!("opted-out; {}", record()));
        let (untouched, approved) = (detail(&[400, 500], 2), detail(&[400, 500, 400], 3));
        assert_eq!(decided(&untouched, &marker, Some(&saved)), Decision::Waiting);
        assert_eq!(decided(&approved, &marker, Some(&saved)), Decision::MaybeRestored(vec![3]));
        let covered = detail(&[400, 500, 400, 300], 4);
        assert_eq!(decided(&covered, &marker, Some(&saved)), Decision::MaybeRestored(vec![3]));
        assert_eq!(decided(&untouched, &record().to_string(), Some(&saved)), Decision::Restore(record()));
        let newer = Decision::MaybeRestored(vec![3]);
        assert_eq!(decided(&detail(&[400, 500, 300], 3), &marker, Some(&saved)), newer);
        // Protected again since: what was saved before belongs to an earlier file.
        let again = Record { watermarked: hash(3), ..record() };
        let marker = format!("opted-out; {again}");
        assert_eq!(decided(&untouched, &marker, Some(&saved)), Decision::Restore(again));
    }

    #[test]
    fn the_original_is_looked_for_where_it_most_likely_is() {
        let history = detail(&[400, 300, 500, 200], 3);
        let record = Record { version: 3, ..record() };
        assert_eq!(originals(&history, record, None), [2, 1, 4]);
        assert_eq!(originals(&history, record, Some(1)), [1, 2, 4]);
    }

    #[test]
    fn a_version_that_fell_between_the_look_and_the_save_is_named() {
        let begun = restoration(RestorationProgress::Begun);
        assert_eq!(landed(&begun, 3), RestorationProgress::Restored { version: 3 });
        assert_eq!(landed(&begun, 4), RestorationProgress::Crossed { ours: 4, theirs: 3 });
        let highest = Restoration { top: u32::MAX, ..begun };
        assert_eq!(landed(&highest, u32::MAX), RestorationProgress::Restored { version: u32::MAX });
    }

    #[test]
    fn nothing_is_saved_on_what_a_person_touched() {
        let (begun, marker) = (restoration(RestorationProgress::Begun), Marker::parse(Some("opted-out; ")));
        assert!(is_untouched(&begun, &detail(&[400, 500], 2), &marker));
        assert!(!is_untouched(&begun, &detail(&[400, 500, 300], 3), &marker));
        assert!(!is_untouched(&begun, &detail(&[400, 500, 300], 2), &marker));
        assert!(!is_untouched(&begun, &detail(&[400, 500], 1), &marker));
        assert!(!is_untouched(&begun, &detail(&[400, 500], 2), &Marker::parse(Some("hands off"))));
    }
}
