//! Decides whether an asset gets a job, from its row and the ledger alone.

use common::asset::{Asset, AssetId};
use common::hash::ContentHash;
use common::job::Lane;
use common::marker::{Kin, Marker};
use imatag::profile::Limits;
use jiff::Timestamp;
use ledger::Known;

use crate::filter::{Filter, FilteredBy};

/// What to do with one row of the listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Publish a job that protects this version.
    Publish { base: u32 },
    /// The row does not show the active version: ask once, then decide again.
    AskVersion,
    /// The marker calls it a copy of this asset, but the connector did not make its file: ask that asset, since a
    /// person may have copied the marker along with other values.
    AskOriginal(AssetId),
    /// A copy of it waits for a person's approval: ask whether it shows by now.
    AskCopy(AssetId),
    /// An additional file of it waits for a person's approval: ask whether it shows by now.
    AskAdditional(ContentHash),
    /// Skip it, for this reason.
    Skip(SkipReason),
}

/// Why an asset gets no job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SkipReason {
    /// The marker names the active version and its size: protected.
    Unchanged,
    /// A filter excludes it.
    Filtered(FilteredBy),
    /// A person opted it out.
    OptedOut,
    /// It already has an open job.
    JobOpen,
    /// The listing does not yet show what a job saved recently.
    ListingBehind,
    /// What a job saved waits for a person's approval in Bynder.
    AwaitingApproval,
    /// Its job failed permanently at this version; `connector failed replay` takes it up again.
    FailedBefore,
    /// Bynder does not show its version even when asked: no save is safe.
    VersionUnknown,
    /// It is a copy of another asset, and a person changed its file: not an original.
    Copy,
    /// What Bynder says about it cannot be read or requested; the log names it.
    Unreadable,
    /// No run was requested that would take it: it matches only since the filters were widened.
    NotAskedFor,
    /// Its extension names a type that the wire profile does not list.
    Unsupported,
    /// Newer changes go first; the next run takes it up.
    Postponed,
}

/// The media type that the asset's extension names, if the wire profile lists no file with that extension.
pub(crate) fn unlisted(asset: &Asset, limits: &Limits) -> Option<&'static str> {
    let types = asset.extensions.iter().map(|extension| limits.refused_by_extension(extension));
    types.collect::<Option<Vec<_>>>()?.first().copied()
}

/// Decides for one row of a run that publishes to `lane`. The listing already shows outcomes before `settled`.
pub fn decide(
    asset: &Asset,
    marker: &Marker,
    filter: &Filter,
    limits: &Limits,
    known: Known,
    lane: Lane,
    settled: Timestamp,
) -> Decision {
    if let Err(by) = filter.check(asset) {
        return Decision::Skip(SkipReason::Filtered(by));
    }
    if marker.opted_out() {
        return Decision::Skip(SkipReason::OptedOut);
    }
    if is_under_way(asset, marker, known, lane) {
        return Decision::Skip(SkipReason::JobOpen);
    }
    let is_unlisted = unlisted(asset, limits).is_some();
    let Some(base) = asset.active_version else {
        // Without records it is not protected at any version, so the version need not be requested.
        let is_ours = matches!(marker, Marker::Ours(_));
        let unsupported = Decision::Skip(SkipReason::Unsupported);
        return if is_unlisted && !is_ours { unsupported } else { Decision::AskVersion };
    };
    if marker.protects(base, asset.bytes) {
        return Decision::Skip(SkipReason::Unchanged);
    }
    if is_behind(base, known, settled) {
        return Decision::Skip(SkipReason::ListingBehind);
    }
    // If neither the record of the coming version nor the tie to the copy is there, a person removed it and wants a
    // retry.
    if let Some(awaiting) = known.awaiting.filter(|awaiting| awaiting.over == base) {
        if let Some(Kin::CopiedTo(copy)) = marker.kin() {
            return Decision::AskCopy(copy.clone());
        }
        match marker.ahead_of(base) {
            Some(record) if awaiting.is_additional => return Decision::AskAdditional(record.watermarked),
            Some(_) => return Decision::Skip(SkipReason::AwaitingApproval),
            None => {}
        }
    }
    // The ledger does not store this, so a profile that lists the type takes effect with the next walk.
    if is_unlisted {
        return Decision::Skip(SkipReason::Unsupported);
    }
    if known.failed_version == Some(base) {
        return Decision::Skip(SkipReason::FailedBefore);
    }
    match marker.kin() {
        Some(Kin::CopyOf(original)) if *original != asset.id => Decision::AskOriginal(original.clone()),
        Some(Kin::CopyOf(_) | Kin::CopiedTo(_)) | None => Decision::Publish { base },
    }
}

/// A job that waits in the backlog is no reason to delay an asset that a person works on: the later of the two jobs
/// finds the work done. But a record above the active version shows that a job is about to save.
fn is_under_way(asset: &Asset, marker: &Marker, known: Known, lane: Lane) -> bool {
    match (known.open, lane) {
        (None, _) => false,
        (Some(Lane::Backlog), Lane::Fresh) => {
            asset.active_version.is_some_and(|active| marker.is_ahead_of(active))
        }
        (Some(_), _) => true,
    }
}

/// A row with an older version than the recently saved one was indexed before the save; one with the same version
/// but without its record, before the marker was written. Or a person has restored that older version since; then
/// the next run takes it up, as its overlap reaches further back than this.
fn is_behind(base: u32, known: Known, settled: Timestamp) -> bool {
    known.saved.is_some_and(|saved| saved.at > settled && saved.version >= base)
}

#[cfg(test)]
mod tests {
    use common::asset::samples;
    use jiff::SignedDuration;
    use ledger::{Awaiting, SavedVersion};

    use super::*;

    fn asset(active_version: Option<u32>) -> Asset {
        Asset { bytes: 500, active_version, ..samples::asset() }
    }

    fn decide_with(version: Option<u32>, marker: &str, known: Known) -> Decision {
        decide(
            &asset(version),
            &Marker::parse(Some(marker)),
            &Filter::default(),
            &Limits::default(),
            known,
            Lane::Backlog,
            Timestamp::UNIX_EPOCH,
        )
    }

    #[test]
    fn a_type_that_the_profile_does_not_list_gets_no_job_unless_more_is_known_of_the_asset() {
        let limits = Limits { content_types: vec!["image/".to_owned()], ..Limits::default() };
        let record = format!("{0} {0} v1 500", "ab".repeat(32));
        let none = Known::default();
        let failed = Known { failed_version: Some(1), ..none };
        let open = Known { open: Some(Lane::Fresh), ..none };
        let awaiting = Known { awaiting: Some(Awaiting { over: 1, is_additional: false }), ..none };
        let ahead = format!("{0} {0} v2 500", "ab".repeat(32));
        let skip = Decision::Skip;
        let table = [
            (vec!["WAV"], Some(1), "", none, skip(SkipReason::Unsupported)),
            (vec!["wav"], Some(2), record.as_str(), none, skip(SkipReason::Unsupported)),
            (vec!["wav"], Some(1), "copy-of B", none, skip(SkipReason::Unsupported)),
            (vec!["wav"], Some(1), "", failed, skip(SkipReason::Unsupported)),
            (vec!["wav"], None, "", none, skip(SkipReason::Unsupported)),
            (vec!["wav"], None, &record, none, Decision::AskVersion),
            (vec!["wav"], Some(1), &record, none, skip(SkipReason::Unchanged)),
            (vec!["wav"], Some(1), "opted-out; ", none, skip(SkipReason::OptedOut)),
            (vec!["wav"], Some(1), "", open, skip(SkipReason::JobOpen)),
            (vec!["wav"], Some(1), &ahead, awaiting, skip(SkipReason::AwaitingApproval)),
            (vec!["wav", "jpg"], Some(1), "", none, Decision::Publish { base: 1 }),
            (vec!["jpg"], Some(1), "", none, Decision::Publish { base: 1 }),
            (vec!["unheard"], Some(1), "", none, Decision::Publish { base: 1 }),
            (vec![""], Some(1), "", none, Decision::Publish { base: 1 }),
            (vec![], Some(1), "", none, Decision::Publish { base: 1 }),
        ];
        for (extensions, version, marker, known, wanted) in table {
            let extensions = extensions.into_iter().map(str::to_owned).collect();
            let asset = Asset { extensions, ..asset(version) };
            let (marker, filter) = (Marker::parse(Some(marker)), Filter::default());
            let found =
                decide(&asset, &marker, &filter, &limits, known, Lane::Backlog, Timestamp::UNIX_EPOCH);
            assert_eq!(found, wanted, "{asset:?} {marker:?} {known:?}");
        }
    }

    #[test]
    fn only_a_record_of_this_version_and_size_skips_an_asset() {
        let record = |version, bytes| format!("{0} {0} v{version} {bytes}", "ab".repeat(32));
        let none = Known::default();
        assert_eq!(decide_with(Some(3), &record(3, 500), none), Decision::Skip(SkipReason::Unchanged));
        for other in [record(2, 500), record(3, 501), String::new(), "foreign".to_owned()] {
            assert_eq!(decide_with(Some(3), &other, none), Decision::Publish { base: 3 }, "{other}");
        }
    }

    #[test]
    fn an_unknown_version_is_asked_for_and_never_taken_for_the_first() {
        let record = format!("{0} {0} v1 500", "ab".repeat(32));
        assert_eq!(decide_with(None, &record, Known::default()), Decision::AskVersion);
    }

    #[test]
    fn a_row_from_before_the_save_is_not_taken_up_again() {
        let saved = SavedVersion { version: 2, at: Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1) };
        let known = Known { saved: Some(saved), ..Known::default() };
        // The marker is written before the save, so the index may show one without the other.
        let record = format!("{0} {0} v2 400", "ab".repeat(32));
        assert_eq!(decide_with(Some(1), "", known), Decision::Skip(SkipReason::ListingBehind));
        assert_eq!(decide_with(Some(1), &record, known), Decision::Skip(SkipReason::ListingBehind));
        assert_eq!(decide_with(Some(2), "", known), Decision::Skip(SkipReason::ListingBehind));
        assert_eq!(decide_with(Some(3), "", known), Decision::Publish { base: 3 });
        let long_ago = SavedVersion { at: Timestamp::UNIX_EPOCH, ..saved };
        let known = Known { saved: Some(long_ago), ..Known::default() };
        assert_eq!(decide_with(Some(1), "", known), Decision::Publish { base: 1 });
    }

    #[test]
    fn what_waits_for_approval_is_left_until_another_version_shows_or_a_person_takes_the_record_back() {
        let ahead = format!("{0} {0} v2 500", "ab".repeat(32));
        let awaiting =
            |is_additional| Known { awaiting: Some(Awaiting { over: 1, is_additional }), ..Known::default() };
        let known = awaiting(false);
        assert_eq!(decide_with(Some(1), &ahead, known), Decision::Skip(SkipReason::AwaitingApproval));
        assert_eq!(decide_with(Some(2), &ahead, known), Decision::Skip(SkipReason::Unchanged));
        assert_eq!(decide_with(Some(1), "", known), Decision::Publish { base: 1 });
        assert_eq!(decide_with(Some(3), &ahead, known), Decision::Publish { base: 3 });
        assert_eq!(decide_with(Some(1), "copied-to B", known), Decision::AskCopy("B".parse().unwrap()));
        let file = Decision::AskAdditional(ContentHash::from_bytes([0xab; 32]));
        assert_eq!(decide_with(Some(1), &ahead, awaiting(true)), file);
        assert_eq!(decide_with(Some(1), "", awaiting(true)), Decision::Publish { base: 1 });
    }

    #[test]
    fn a_copy_is_no_original_whatever_its_file_unless_its_original_knows_nothing_of_it() {
        let copy = |id: &str| format!("copy-of {id}; {0} {0} v1 500", "ab".repeat(32));
        let none = Known::default();
        assert_eq!(decide_with(Some(1), &copy("B"), none), Decision::Skip(SkipReason::Unchanged));
        assert_eq!(decide_with(Some(2), &copy("B"), none), Decision::AskOriginal("B".parse().unwrap()));
        assert_eq!(decide_with(Some(2), &copy("A"), none), Decision::Publish { base: 2 });
        let original = copy("B").replace("copy-of", "copied-to");
        assert_eq!(decide_with(Some(2), &original, none), Decision::Publish { base: 2 });
    }

    #[test]
    fn open_jobs_failed_versions_and_wishes_are_respected() {
        let open = Known { open: Some(Lane::Backlog), ..Known::default() };
        assert_eq!(decide_with(Some(1), "", open), Decision::Skip(SkipReason::JobOpen));
        let failed = Known { failed_version: Some(1), ..Known::default() };
        assert_eq!(decide_with(Some(1), "", failed), Decision::Skip(SkipReason::FailedBefore));
        assert_eq!(decide_with(Some(2), "", failed), Decision::Publish { base: 2 });
        assert_eq!(
            decide_with(Some(1), "opted-out; ", Known::default()),
            Decision::Skip(SkipReason::OptedOut)
        );
    }

    #[test]
    fn what_changed_goes_past_a_job_in_the_backlog_unless_that_is_about_to_save() {
        let waiting = Known { open: Some(Lane::Backlog), ..Known::default() };
        let fresh = |marker: &str| {
            let marker = Marker::parse(Some(marker));
            let (filter, limits) = (Filter::default(), Limits::default());
            decide(&asset(Some(1)), &marker, &filter, &limits, waiting, Lane::Fresh, Timestamp::UNIX_EPOCH)
        };
        assert_eq!(fresh(""), Decision::Publish { base: 1 });
        let ahead = format!("{} {} v2 700", "a".repeat(64), "b".repeat(64));
        assert_eq!(fresh(&ahead), Decision::Skip(SkipReason::JobOpen));
    }
}
