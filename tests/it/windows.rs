//! The edges of what is promised: each window of docs/protocol.md that a test can show, by what happens inside it.

use std::time::Duration;

use common::job::Lane;
use common::outcome::{FailureClass, Outcome};
use queue::{JobConsumer, StepSet};
use sandbox::{Edit, NewAsset, NewFile, NewVersion, Options, VersionFlags, ViolationKind};

use crate::approval::for_approval;
use crate::broker_faults::publish_once_more;
use crate::harness::fleet::Fleet;
use crate::harness::queue_laws::is_free;
use crate::harness::scene::{lost_once, slow_once};
use crate::harness::{Bench, is_protected, job_of, picture, quick, until, until_async};
use crate::modes::copies;
use crate::wires::link;

fn has(bench: &Bench, kind: ViolationKind) -> bool {
    bench.sandbox.audit().violations.iter().any(|found| found.kind == kind)
}

/// One asset; a person works on it once Imatag has its file.
async fn while_it_is_watermarked(bench: &Bench, id: &str, work: impl FnOnce(&Bench)) {
    let meddling = async {
        until(|| bench.asset(id).media == 1).await;
        work(bench);
    };
    tokio::join!(bench.sync(), meddling);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_writes_into_the_marker_is_overwritten_only_while_the_listing_does_not_show_it() {
    for (lag, overwritten) in [(50, false), (30_000, true)] {
        let (index_lag, watermark_time) = (Duration::from_millis(lag), Duration::from_millis(1500));
        let bench = Bench::new(Options { index_lag, watermark_time, ..quick() }).await;
        bench.set_request_timeout(15);
        let id = bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
        while_it_is_watermarked(&bench, &id, |bench| {
            let note = Edit { marker: Some("hands off".to_owned()), ..Edit::default() };
            bench.sandbox.edit(&id, note).unwrap();
        })
        .await;
        assert_eq!(has(&bench, ViolationKind::ForeignTextOverwritten), overwritten, "{lag}");
        let outcome = bench.outcome(&id).await;
        let refused =
            matches!(&outcome, Some(Outcome::Failed(failure)) if failure.class == FailureClass::Marker);
        assert_eq!(refused, !overwritten, "{outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_older_version_is_covered_only_where_no_get_names_the_active_one_and_the_listing_lags() {
    for (version_flags, names_active_version, covered) in
        [(VersionFlags::Active, true, false), (VersionFlags::Missing, false, true)]
    {
        let options =
            Options { version_flags, names_active_version, index_lag: Duration::from_secs(9), ..quick() };
        let bench = Bench::new(options).await;
        bench.set_request_timeout(15);
        let id = bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
        let upload = NewVersion { seed: Some(2), ..NewVersion::default() };
        bench.sandbox.new_version(&id, &upload).unwrap().unwrap();
        bench.until_listed().await;
        while_it_is_watermarked(&bench, &id, |bench| {
            let restore = NewVersion { restore: Some(1), ..NewVersion::default() };
            bench.sandbox.new_version(&id, &restore).unwrap().unwrap();
        })
        .await;
        let asset = bench.asset(&id);
        let active = asset.versions.iter().find(|version| version.active).unwrap();
        assert_eq!((active.number, asset.media), if covered { (3, 1) } else { (3, 2) });
        assert!(is_protected(&asset));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asset_that_is_deleted_after_the_look_before_the_submit_is_paid_for_and_gone() {
    let bench = Bench::new(Options { watermark_time: Duration::from_secs(1), ..quick() }).await;
    let id = bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    while_it_is_watermarked(&bench, &id, |bench| bench.sandbox.delete(&id).unwrap()).await;
    assert_eq!((bench.outcome(&id).await, bench.asset(&id).media), (Some(Outcome::Gone), 1));
}

/// A process dies while its save is on the way, which lands later than the next one waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_lands_later_than_the_timeout_after_its_senders_death_comes_on_top() {
    let (bench, _) = Bench::with_asset(picture("one.jpg", 1)).await;
    bench.set_request_timeout(2);
    bench.sandbox.set_faults(slow_once("bynder.save", Duration::from_secs(15)));
    let mut child = bench.spawn(&["sync", "--full", "--json", "--quiet"]);
    until(|| bench.sandbox.stats().requests.contains_key("bynder.save")).await;
    child.kill().await.unwrap();
    bench.sync().await;
    until(|| !bench.sandbox.is_busy()).await;
    assert!(has(&bench, ViolationKind::DoneTwice));
}

/// What is known of a request that may be under way is with the process, on one machine.
#[tokio::test(flavor = "multi_thread")]
async fn on_one_machine_another_job_that_comes_first_repeats_the_submit_of_a_process_that_died() {
    let late = Options { shown_when_done: true, watermark_time: Duration::from_secs(4), ..quick() };
    let (bench, id) = (Bench::new(late).await, picture("one.jpg", 1));
    let id = bench.sandbox.add_asset(id).unwrap();
    bench.sandbox.set_faults(slow_once("imatag.submit", Duration::from_secs(8)));
    let mut child = bench.spawn(&["sync", "--full", "--json", "--quiet"]);
    until(|| bench.sandbox.stats().requests.contains_key("imatag.submit")).await;
    child.kill().await.unwrap();
    bench.take_in_again(&id, "another").await;
    bench.sync().await;
    until(|| !bench.sandbox.is_busy()).await;
    // The first job looks again before it submits again, and finds what shows by then.
    assert!(bench.asset(&id).media > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_original_whose_marker_is_emptied_gets_another_copy() {
    let (bench, id) = Bench::with_asset_in("copy", picture("one.jpg", 1)).await;
    bench.sync().await.assert_code(0);
    // The portal takes a moment over the last write that it has answered.
    bench.until_settled().await;
    bench.sandbox.edit(&id, Edit { marker: Some(String::new()), ..Edit::default() }).unwrap();
    // A run within the time that a listing has to settle leaves the asset to the next one.
    until_async(async || {
        bench.sync().await.assert_code(0);
        copies(&bench).len() > 1
    })
    .await;
    assert_eq!(bench.asset(&id).media, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marker_copied_onto_an_asset_passes_where_version_number_and_size_are_the_same() {
    for (size, passes) in [(1 << 20, true), (2 << 20, false)] {
        let bench = Bench::new(quick()).await;
        bench.set_request_timeout(15);
        let striped = |size| NewAsset { file: Some(NewFile::Striped(size)), ..picture("one.tif", 1) };
        let id = bench.sandbox.add_asset(striped(1 << 20)).unwrap();
        bench.sync().await.assert_code(0);
        let marker = bench.asset(&id).marker;
        let other = bench.sandbox.add_asset(NewAsset { marker, ..striped(1 << 20) }).unwrap();
        let upload = NewVersion { large: Some(size), seed: Some(9), ..NewVersion::default() };
        bench.sandbox.new_version(&other, &upload).unwrap().unwrap();
        bench.until_settled().await;
        let ran = bench.sync().await;
        assert_eq!(ran.summary()["selected"], u32::from(!passes), "{ran:#?}");
        assert_eq!(is_protected(&bench.asset(&other)), !passes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_for_approval_whose_answer_is_lost_is_asked_for_twice() {
    let bench = Bench::new(for_approval()).await;
    bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    bench.sandbox.set_faults(lost_once("bynder.save"));
    assert_eq!(bench.sync().await.assert_code(0).summary()["awaiting_approval"], 1);
    assert_eq!(bench.sandbox.stats().requests["bynder.save"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_whose_answer_was_lost_is_not_found_by_a_clock_that_is_half_an_hour_ahead() {
    let (bench, _) = Bench::with_asset_in("copy", picture("one.jpg", 1)).await;
    bench.sandbox.set_faults(lost_once("bynder.save_new"));
    let ahead = [
        ("LD_PRELOAD", "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1".to_owned()),
        ("FAKETIME", "+2400".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    bench.run_with(&["sync", "--full", "--json", "--quiet"], &ahead).await.assert_code(0);
    assert_eq!(copies(&bench).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_find_a_submit_without_an_answer_is_repeated_where_that_is_wanted() {
    let (bench, id) = Bench::with_asset(picture("one.jpg", 1)).await;
    bench.configure_imatag(&format!("resubmit_unknown = true\n{}", link(&bench)), "");
    bench.sandbox.set_faults(lost_once("imatag.submit"));
    bench.sync().await.assert_code(0);
    assert_eq!((bench.asset(&id).media, is_protected(&bench.asset(&id))), (2, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_find_another_job_waits_for_the_one_that_paid_once_that_is_taken_up_after_the_process_died() {
    let bench = Bench::new(Options { watermark_time: Duration::from_secs(5), ..quick() }).await;
    let id = bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    bench.configure_imatag(&link(&bench), "");
    bench.set_request_timeout(5);
    // Without an answer the job is in its step when the process dies, and waits for nothing in the next one.
    bench.sandbox.set_faults(slow_once("imatag.status", Duration::from_mins(1)));
    let mut child = bench.spawn(&["sync", "--full", "--json", "--quiet"]);
    // Only a job that recorded its medium asks for it; one that died before would end as ambiguous.
    until(|| bench.sandbox.stats().requests.contains_key("imatag.status")).await;
    child.kill().await.unwrap();
    bench.take_in_again(&id, "another").await;
    bench.sync().await;
    assert_eq!((bench.asset(&id).media, is_protected(&bench.asset(&id))), (1, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_find_another_job_pays_again_after_the_first_one_ended_as_ambiguous() {
    let (bench, id) = Bench::with_asset(picture("one.jpg", 1)).await;
    bench.configure_imatag(&link(&bench), "");
    bench.sandbox.set_faults(lost_once("imatag.submit"));
    bench.sync().await.assert_code(6);
    assert_eq!(bench.asset(&id).media, 1);
    bench.take_in_again(&id, "another").await;
    bench.sync().await;
    assert_eq!((bench.asset(&id).media, is_protected(&bench.asset(&id))), (2, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_job_that_failed_before_it_looked_is_found_by_a_replay_and_not_by_a_later_versions_job() {
    for later_version in [false, true] {
        let (bench, id) = Bench::with_asset_in("copy", picture("one.jpg", 1)).await;
        bench.set_request_timeout(5);
        bench.reconfigure("request_timeout", "max_attempts = 1\nrequest_timeout");
        bench.sandbox.set_faults(lost_once("bynder.save_new"));
        bench.sync().await.assert_code(6);
        assert_eq!((copies(&bench).len(), bench.asset(&id).marker), (1, None));
        if later_version {
            bench.sandbox.new_version(&id, &NewVersion::default()).unwrap().unwrap();
        } else {
            bench.run(&["failed", "replay", "--yes"]).await.assert_code(0);
        }
        bench.until_settled().await;
        bench.sync().await.assert_code(0);
        assert_eq!(
            (copies(&bench).len(), is_protected(&bench.asset(&id))),
            (1 + usize::from(later_version), true)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_state_directories_that_are_used_at_the_same_time_pay_twice() {
    let (bench, id) = Bench::with_asset(picture("one.jpg", 1)).await;
    bench.set_request_timeout(15);
    bench.sandbox.set_faults(slow_once("imatag.submit", Duration::from_secs(10)));
    let mut first = bench.spawn(&["sync", "--full", "--quiet"]);
    until(|| bench.sandbox.stats().requests.contains_key("imatag.submit")).await;
    let other = [("CONNECTOR_PRODUCER__STATE_DIR", "state2"), ("CONNECTOR_WORKER__SPOOL_DIR", "spool2")];
    let other = other.map(|(name, folder)| (name, bench.path(folder).display().to_string()));
    bench.run_with(&["sync", "--full", "--quiet"], &other).await;
    first.wait().await.unwrap();
    assert_eq!(bench.asset(&id).media, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_approval_is_saved_again_only_by_a_state_that_does_not_know_of_it() {
    let bench = Bench::new(for_approval()).await;
    let id = bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    let saves = || bench.sandbox.stats().requests.get("bynder.save").copied();
    for _ in 0..2 {
        bench.sync().await.assert_code(0);
        assert_eq!(saves(), Some(1));
    }
    std::fs::remove_dir_all(bench.path("state")).unwrap();
    bench.sync().await.assert_code(0);
    assert_eq!((saves(), bench.asset(&id).media), (Some(2), 1));
}

/// The asset is kept for the job that alone knows of its copy, but not for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_made_again_where_its_job_comes_back_later_than_its_asset_is_kept_for_it() {
    let fleet = Fleet::new(quick()).await;
    fleet.configure("[output]\nmode = 'copy'\n");
    // The job waits longer than that before it comes back.
    fleet.bench.set_request_timeout(5);
    let id = fleet.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    fleet.bench.sandbox.set_faults(lost_once("bynder.save_new"));
    publish_once_more(&fleet, &job_of("full", &id, Lane::Backlog)).await;
    let _worker = fleet.worker();
    until(|| fleet.requests("bynder.save_new") > 0).await;
    fleet.bench.run(&["pause"]).await.assert_code(0);
    let (queue, asset) = (fleet.queue().await, id.parse().unwrap());
    until_async(async || queue.connection.depth().await.unwrap().save == 1).await;
    let kept_back = queue.consumer.next(StepSet::ALL).await.unwrap();
    assert!(!is_free(&queue.locks, &asset, "another").await, "the asset is not kept");
    until_async(async || is_free(&queue.locks, &asset, "another").await).await;
    publish_once_more(&fleet, &job_of("delta", &id, Lane::Fresh)).await;
    fleet.bench.run(&["resume"]).await.assert_code(0);
    until(|| fleet.worker_logs().contains("outcome=")).await;
    drop(kept_back);
    assert_eq!(copies(&fleet.bench).len(), 2);
}
