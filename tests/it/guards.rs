//! Each guard is real: without it, the auditor finds the harm it prevents. The same scene with it is clean.

use std::time::Duration;

use sandbox::faults::{Action, Faults, Moment};
use sandbox::{NewAsset, ViolationKind};

use crate::harness::scene::{lost_once, once};
use crate::harness::{Bench, assert_clean, picture, quick, until};

const SYNC: [&str; 4] = ["sync", "--full", "--json", "--quiet"];

/// Runs one asset under a fault, with a guard switched off or with all of them.
async fn violations(asset: NewAsset, faults: &Faults, without: Option<&str>) -> Vec<ViolationKind> {
    let (bench, _) = Bench::with_asset(asset).await;
    bench.sandbox.set_faults(faults.clone());
    let guards = without.map(|guard| ("CONNECTOR_DISABLED_GUARDS", guard.to_owned()));
    bench.run_with(&SYNC, guards.as_slice()).await;
    bench.sandbox.audit().violations.into_iter().map(|found| found.kind).collect()
}

async fn assert_guards(guard: &str, asset: NewAsset, faults: Faults, harm: ViolationKind) {
    assert_eq!(violations(asset.clone(), &faults, None).await, [], "with {guard}");
    let found = violations(asset, &faults, Some(guard)).await;
    assert!(found.contains(&harm), "without {guard}: {found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_find_before_submit_a_file_is_watermarked_twice() {
    let faults = lost_once("imatag.submit");
    assert_guards("FindBeforeSubmit", picture("one.jpg", 1), faults, ViolationKind::DoneTwice).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_look_before_save_a_version_is_saved_twice() {
    let faults = lost_once("bynder.save");
    assert_guards("LookBeforeSave", picture("one.jpg", 1), faults, ViolationKind::DoneTwice).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_marker_before_save_a_protected_file_is_unknown() {
    let faults = Faults::default();
    assert_guards("MarkerBeforeSave", picture("one.jpg", 1), faults, ViolationKind::MarkerMissing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_hash_rule_a_watermarked_file_is_submitted_again() {
    for (guard, harmed) in [(None, false), (Some("HashRule"), true)] {
        // The seeded library holds assets whose record fits the file and not the version.
        let bench = Bench::new(sandbox::Options { assets: 30, ..quick() }).await;
        let guards = guard.map(|guard: &str| ("CONNECTOR_DISABLED_GUARDS", guard.to_owned()));
        bench.run_with(&SYNC, guards.as_slice()).await;
        let found = bench.sandbox.audit().violations;
        let again = found.iter().any(|found| found.kind == ViolationKind::WatermarkOfWatermark);
        assert_eq!(again, harmed, "{guard:?}: {found:#?}");
    }
}

/// A process dies while its save is on the way; the next one finds the job before the save has landed.
async fn save_that_lands_late(without: Option<&str>) -> Bench {
    let (bench, _) = Bench::with_asset(picture("one.jpg", 1)).await;
    // Later than a new process needs to come this far, sooner than the request would have timed out.
    bench.set_request_timeout(9);
    let late = Action::Delay(Duration::from_secs(8));
    bench.sandbox.set_faults(once("bynder.save", Moment::Before, late));
    let mut child = bench.spawn(&SYNC);
    until(|| bench.sandbox.stats().requests.contains_key("bynder.save")).await;
    child.kill().await.unwrap();
    let guards = without.map(|guard| ("CONNECTOR_DISABLED_GUARDS", guard.to_owned()));
    bench.run_with(&SYNC, guards.as_slice()).await;
    // The late save lands whatever the second process did.
    until(|| !bench.sandbox.is_busy()).await;
    bench
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_suspect_wait_a_dead_process_and_a_living_one_both_save() {
    assert_clean(&save_that_lands_late(None).await.sandbox.audit());
    let harmed = save_that_lands_late(Some("SuspectWait")).await.sandbox.audit().violations;
    assert!(harmed.iter().any(|found| found.kind == ViolationKind::DoneTwice), "{harmed:#?}");
}
