//! The output modes: what is made, what it carries, what is left alone.

use std::collections::BTreeMap;
use std::time::Duration;

use common::outcome::{FailureClass, Outcome};
use sandbox::faults::{Action, Moment};
use sandbox::{AuditedAsset, Edit, Forgets, NewAsset, NewVersion, Restricted};

use crate::harness::scene::{every, lost_once};
use crate::harness::{Bench, MODES, assert_clean, is_protected, picture, quick, until};

pub(crate) fn copies(bench: &Bench) -> Vec<AuditedAsset> {
    bench
        .sandbox
        .audit()
        .assets
        .into_iter()
        .filter(|asset| asset.copy_of.is_some() && !asset.deleted)
        .collect()
}

fn rich() -> NewAsset {
    let mut asset = picture("Été, 1.jpg", 1);
    asset.tags = vec!["spring".to_owned(), "lake".to_owned()];
    let values = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    asset.properties = BTreeMap::from([
        ("Country".to_owned(), values(&["France", "Côte d'Ivoire"])),
        ("Source_ID".to_owned(), values(&["a, b; c"])),
        ("Shoot_Date".to_owned(), values(&["2026-01-02T00:00:00Z"])),
    ]);
    let dates = [("archiveDate", "2031-01-01T00:00:00Z"), ("datePublished", "2030-01-01T00:00:00Z")];
    asset.restricted.dates = dates.map(|(name, time)| (name.to_owned(), time.to_owned())).into();
    asset
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_carries_everything_from_its_first_moment_and_is_linked_both_ways() {
    let (bench, id) = Bench::with_asset(rich()).await;
    bench.configure("[output]\nmode = 'copy'\nlink_metaproperty = 'Imatag_Link'\n");
    bench.reconfigure("[imatag]", "status_metaproperty = 'imatag_status'\n[imatag]");
    bench.sync().await.assert_code(0);
    bench.until_settled().await;
    // The sandbox holds the copy against its original as it is saved.
    assert_clean(&bench.sandbox.audit());
    let (original, made) = (bench.asset(&id), copies(&bench));
    assert_eq!((made.len(), original.versions.len(), original.media), (1, 1, 1));
    let copy = &made[0];
    assert_eq!((copy.link.as_ref(), original.link.as_ref()), (Some(&id), Some(&copy.id)));
    assert!(copy.marker.as_ref().unwrap().starts_with(&format!("copy-of {id}; ")), "{copy:#?}");
    assert!(original.marker.as_ref().unwrap().starts_with(&format!("copied-to {}; ", copy.id)));
    assert!(copy.status.as_ref().unwrap().starts_with("protected "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_could_not_be_restricted_is_refused_by_name_before_it_is_paid_for() {
    let restricted = |limited, archived, watermarked| Restricted {
        limited,
        archived,
        watermarked,
        ..Restricted::default()
    };
    let bench = Bench::new(quick()).await;
    bench.set_mode("copy");
    let restrictions =
        [restricted(true, false, false), restricted(false, true, false), restricted(false, false, true)];
    let ids = restrictions.map(|restricted| {
        bench.sandbox.add_asset(NewAsset { restricted, ..picture("secret.jpg", 1) }).unwrap()
    });
    bench.sync().await.assert_code(6);
    assert_clean(&bench.sandbox.audit());
    for id in ids {
        let Some(Outcome::Failed(failure)) = bench.outcome(&id).await else { panic!("{id} did not fail") };
        assert_eq!(failure.class, FailureClass::Unsupported);
        assert!(failure.reason.contains("secret.jpg") && failure.reason.contains(&id), "{}", failure.reason);
        assert_eq!(bench.asset(&id).media, 0);
    }
    assert!(copies(&bench).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_original_makes_a_new_version_of_the_same_copy() {
    let (bench, id) = Bench::with_asset_in("copy", picture("one.jpg", 1)).await;
    bench.sync().await.assert_code(0);
    bench.until_settled().await;
    bench.sandbox.new_version(&id, &NewVersion::default()).unwrap().unwrap();
    bench.until_settled().await;
    bench.sync().await.assert_code(0);
    assert_clean(&bench.sandbox.audit());
    let made = copies(&bench);
    assert_eq!((made.len(), made[0].versions.len(), bench.asset(&id).versions.len()), (1, 2, 2));
    assert!(is_protected(&bench.asset(&id)));
    // What was in the copy before is not in it now, so the older original is taken up again, at no new watermark.
    bench.until_settled().await;
    bench
        .sandbox
        .new_version(&id, &NewVersion { restore: Some(1), ..NewVersion::default() })
        .unwrap()
        .unwrap();
    bench.until_settled().await;
    bench.sync().await.assert_code(0);
    assert_clean(&bench.sandbox.audit());
    assert_eq!((copies(&bench)[0].versions.len(), bench.asset(&id).media), (3, 2));
    assert!(is_protected(&bench.asset(&id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_whose_new_version_fails_for_good_says_nothing_of_it() {
    let (bench, id) = Bench::with_asset_in("copy", picture("one.jpg", 1)).await;
    bench.sync().await.assert_code(0);
    bench.until_settled().await;
    let before = copies(&bench)[0].marker.clone();
    bench.sandbox.new_version(&id, &NewVersion::default()).unwrap().unwrap();
    bench.until_settled().await;
    let action = Action::Answer { status: 400, body: "no".to_owned(), content_type: "text/plain".to_owned() };
    bench.sandbox.set_faults(every("bynder.save", Moment::Before, action));
    bench.sync().await.assert_code(6);
    bench.until_settled().await;
    assert_eq!(copies(&bench)[0].marker, before);
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_says_nothing_of_a_new_version_that_a_person_forestalls_in_the_original() {
    for opts_out in [false, true] {
        let (bench, id) = Bench::with_asset_in("copy", picture("one.jpg", 1)).await;
        bench.set_request_timeout(3);
        bench.sync().await.assert_code(0);
        bench.until_settled().await;
        let before = copies(&bench)[0].marker.clone();
        bench.sandbox.new_version(&id, &NewVersion::default()).unwrap().unwrap();
        bench.until_settled().await;
        let answer =
            |status| Action::Answer { status, body: "no".to_owned(), content_type: "text/plain".to_owned() };
        bench.sandbox.set_faults(every("bynder.save", Moment::Before, answer(503)));
        let mut sync = bench.spawn(&["sync", "--full", "--quiet"]);
        until(|| copies(&bench)[0].marker != before).await;
        if opts_out {
            let marker = bench.asset(&id).marker.unwrap_or_default();
            let marker = Some(format!("opted-out; {marker}"));
            bench.sandbox.edit(&id, Edit { marker, ..Edit::default() }).unwrap();
        } else {
            let another = NewVersion { seed: Some(9), ..NewVersion::default() };
            bench.sandbox.new_version(&id, &another).unwrap().unwrap();
        }
        bench.sandbox.set_faults(every("imatag.submit", Moment::Before, answer(400)));
        sync.wait().await.unwrap();
        bench.until_settled().await;
        assert_eq!(copies(&bench)[0].marker, before, "{opts_out}: {:?}", bench.outcome(&id).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_no_original_even_when_a_person_changes_its_file() {
    let (bench, id) = Bench::with_asset_in("copy", picture("one.jpg", 1)).await;
    bench.sync().await.assert_code(0);
    let copy = copies(&bench).remove(0).id;
    bench.until_settled().await;
    bench.sandbox.new_version(&copy, &NewVersion::default()).unwrap().unwrap();
    bench.until_settled().await;
    let ran = bench.sync().await;
    assert_eq!((ran.code, &ran.summary()["selected"]), (Some(0), &0.into()), "{ran:#?}");
    // And their file stays when the original changes.
    bench.sandbox.new_version(&id, &NewVersion::default()).unwrap().unwrap();
    bench.until_settled().await;
    bench.sync().await.assert_code(6);
    assert_clean(&bench.sandbox.audit());
    let Some(Outcome::Failed(failure)) = bench.outcome(&id).await else { panic!("it did not fail") };
    assert!(failure.reason.contains(&copy), "{}", failure.reason);
    assert_eq!(bench.asset(&copy).versions.len(), 2);
    // Deleted, the copy is made anew.
    bench.sandbox.delete(&copy).unwrap();
    bench.run(&["failed", "replay", "--yes"]).await.assert_code(0);
    bench.sync().await.assert_code(0);
    assert_clean(&bench.sandbox.audit());
    assert!(is_protected(&bench.asset(&id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marker_that_a_person_copied_from_elsewhere_ties_nothing() {
    let (bench, id) = Bench::with_asset_in("copy", picture("one.jpg", 1)).await;
    bench.sync().await.assert_code(0);
    let (of_original, of_copy) = (bench.asset(&id).marker, copies(&bench)[0].marker.clone());
    let size = |width: u32| sample_files::file(sample_files::Format::Jpeg, width.into(), width, 50);
    let others = [(of_original, 72), (of_copy, 73)].map(|(marker, number)| {
        bench.sandbox.add_asset(NewAsset { marker, ..NewAsset::new("other.jpg", size(number)) }).unwrap()
    });
    bench.until_settled().await;
    bench.sync().await.assert_code(0);
    assert_clean(&bench.sandbox.audit());
    assert_eq!(copies(&bench).len(), 3);
    for other in others {
        assert!(is_protected(&bench.asset(&other)), "{:#?}", bench.asset(&other));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_marker_of_a_copy_whose_original_is_gone_leaves_no_other_asset_unprotected() {
    let (bench, id) = Bench::with_asset_in("copy", picture("one.jpg", 1)).await;
    bench.sync().await.assert_code(0);
    let marker = copies(&bench)[0].marker.clone();
    bench.sandbox.delete(&id).unwrap();
    let bytes = sample_files::file(sample_files::Format::Jpeg, 2, 72, 50);
    let other = bench.sandbox.add_asset(NewAsset { marker, ..NewAsset::new("other.jpg", bytes) }).unwrap();
    bench.until_settled().await;
    bench.sync().await.assert_code(0);
    assert_clean(&bench.sandbox.audit());
    assert!(is_protected(&bench.asset(&other)), "{:#?}", bench.asset(&other));
    let before = bench.sandbox.stats().requests["bynder.download"];
    bench.until_settled().await;
    // The copy itself stays as it is.
    assert_eq!(bench.sync().await.assert_code(0).summary()["selected"], 0);
    assert_eq!((copies(&bench).len(), bench.sandbox.stats().requests["bynder.download"]), (2, before));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_additional_file_is_named_by_its_hash_and_a_changed_original_gets_another() {
    let (bench, id) = Bench::with_asset_in("additional", rich()).await;
    bench.sync().await.assert_code(0);
    bench.until_settled().await;
    bench.sandbox.new_version(&id, &NewVersion::default()).unwrap().unwrap();
    bench.until_settled().await;
    bench.sync().await.assert_code(0);
    assert_clean(&bench.sandbox.audit());
    let asset = bench.asset(&id);
    let marker = asset.marker.clone().unwrap();
    let mut names: Vec<_> =
        marker.split("; ").map(|record| record.split(' ').nth(1).unwrap()[..12].to_owned()).collect();
    names.reverse();
    assert_eq!((asset.versions.len(), asset.additional.len()), (2, 2));
    for (name, digits) in asset.additional.iter().zip(names) {
        assert!(name.ends_with(&format!("-{digits}.jpg")), "{name} {digits}");
    }
    assert!(is_protected(&asset));
}

#[tokio::test(flavor = "multi_thread")]
async fn switching_modes_on_a_protected_library_does_nothing_twice() {
    for first in MODES {
        let (bench, id) = Bench::with_asset_in(first, picture("one.jpg", 1)).await;
        bench.sync().await.assert_code(0);
        bench.until_settled().await;
        let before = bench.sandbox.stats();
        for second in MODES {
            bench.set_mode(second);
            let ran = bench.sync().await;
            assert_eq!((ran.code, &ran.summary()["selected"]), (Some(0), &0.into()), "{first} {second}");
        }
        let asset = bench.asset(&id);
        assert_clean(&bench.sandbox.audit());
        assert_eq!((asset.made, asset.media, is_protected(&asset)), (1, 1, true), "{first}");
        for call in ["bynder.asset", "bynder.download", "bynder.modify", "imatag.find"] {
            let after = bench.sandbox.stats();
            assert_eq!(before.requests.get(call), after.requests.get(call), "{first} {call}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_ends_in_the_mode_it_began_in() {
    let options = sandbox::Options { conversion_time: Duration::from_secs(1), ..quick() };
    let bench = Bench::new(options).await;
    let id = bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    let mut child = bench.spawn(&["sync", "--full", "--quiet"]);
    crate::harness::until(|| bench.asset(&id).marker.is_some()).await;
    child.kill().await.unwrap();
    bench.set_mode("copy");
    bench.sync().await.assert_code(0);
    assert_clean(&bench.sandbox.audit());
    let asset = bench.asset(&id);
    assert_eq!((asset.versions.len(), copies(&bench).len(), is_protected(&asset)), (2, 0, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asset_that_is_opted_out_is_neither_copied_nor_added_to() {
    for mode in ["copy", "additional"] {
        let (bench, id) = Bench::with_asset_in(mode, picture("one.jpg", 1)).await;
        let wish = Edit { marker: Some("opted-out; ".to_owned()), ..Edit::default() };
        bench.sandbox.edit(&id, wish).unwrap();
        bench.until_settled().await;
        bench.sync().await.assert_code(0);
        assert_clean(&bench.sandbox.audit());
        assert_eq!(bench.asset(&id).made, 0);
    }
}

/// One asset, and a person who does something to it while Imatag has its file.
async fn meddled_with(mode: &str, meddle: impl FnOnce(&Bench, &str)) -> AuditedAsset {
    let options = sandbox::Options { watermark_time: Duration::from_secs(2), ..quick() };
    let bench = Bench::new(options).await;
    bench.set_mode(mode);
    let id = bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    let meddling = async {
        until(|| bench.asset(&id).media == 1).await;
        meddle(&bench, &id);
    };
    tokio::join!(bench.sync(), meddling).0.assert_code(0);
    assert_clean(&bench.sandbox.audit());
    bench.asset(&id)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asset_that_is_opted_out_while_its_job_is_under_way_is_neither_copied_nor_added_to() {
    for mode in ["copy", "additional"] {
        let asset = meddled_with(mode, |bench, id| {
            let wish = Edit { marker: Some("opted-out; ".to_owned()), ..Edit::default() };
            bench.sandbox.edit(id, wish).unwrap();
        });
        let asset = asset.await;
        assert_eq!((asset.made, asset.media), (0, 1), "{mode}: {asset:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_uploads_while_a_job_is_under_way_is_what_is_put_elsewhere() {
    for mode in ["copy", "additional"] {
        let asset = meddled_with(mode, |bench, id| {
            bench.sandbox.new_version(id, &NewVersion::default()).unwrap().unwrap();
        });
        let asset = asset.await;
        assert_eq!((asset.made, asset.media, is_protected(&asset)), (1, 2, true), "{mode}: {asset:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_lost_its_marker_in_the_portal_gets_it_again_and_is_no_original() {
    let bench = Bench::new(sandbox::Options { forgets: vec![Forgets::Marker], ..quick() }).await;
    bench.set_mode("copy");
    let id = bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    bench.sync().await.assert_code(0);
    bench.until_settled().await;
    let again = bench.sync().await;
    assert_eq!(again.summary()["selected"], 0, "{again:#?}");
    assert_clean(&bench.sandbox.audit());
    assert!(copies(&bench)[0].marker.as_ref().unwrap().starts_with(&format!("copy-of {id}; ")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_did_not_keep_what_it_was_given_fails_and_says_what() {
    let bench = Bench::new(sandbox::Options { forgets: vec![Forgets::Copyright], ..quick() }).await;
    bench.set_mode("copy");
    let id = bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    bench.sync().await.assert_code(6);
    let copy = copies(&bench).remove(0).id;
    let Some(Outcome::Failed(failure)) = bench.outcome(&id).await else { panic!("it did not fail") };
    assert_eq!(failure.class, FailureClass::BadResult);
    assert!(failure.reason.contains(&copy) && failure.reason.contains("other copyright"), "{failure:?}");
    assert!(bench.asset(&id).marker.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_elsewhere_is_verified_there_and_leaves_nothing_to_put_back() {
    for mode in ["copy", "additional"] {
        let (bench, id) = Bench::with_asset_in(mode, picture("one.jpg", 1)).await;
        let run = bench.sync().await.summary()["run_id"].as_str().unwrap().to_owned();
        bench.until_settled().await;
        bench.run(&["verify", "--sample", "1", "--json"]).await.assert_code(0);
        for meant in [["--run", &run], ["--ids", &id]] {
            let ran = bench.run(&["restore", meant[0], meant[1], "--yes", "--json"]).await;
            assert_eq!(ran.code, Some(0), "{mode}: {ran:#?}");
            assert!(ran.out.contains("original_in_place"), "{mode}: {ran:#?}");
        }
        assert_eq!((bench.asset(&id).versions.len(), bench.asset(&id).made), (1, 1));
        let report = bench.run(&["report", "--asset", &id, "--format", "json"]).await;
        let placed = if mode == "copy" { "\"copy_id\":\"" } else { "\"additional_file\":\"one-" };
        assert!(report.out.contains(placed), "{report:#?}");
        let Some(copy) = copies(&bench).pop() else { continue };
        bench.run(&["restore", "--ids", &copy.id, "--yes"]).await.assert_code(0);
        bench.sandbox.delete(&copy.id).unwrap();
        let ran = bench.run(&["verify", "--sample", "1", "--json"]).await;
        assert!(ran.code == Some(6) && ran.out.contains("no_copy"), "{ran:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_whose_answer_was_lost_is_looked_for_once_the_listing_has_caught_up() {
    let bench = Bench::new(sandbox::Options { index_lag: Duration::from_secs(4), ..quick() }).await;
    bench.set_mode("copy");
    bench.reconfigure("index_lag = '50ms'", "index_lag = '5s'");
    let id = bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    bench.sandbox.set_faults(lost_once("bynder.save_new"));
    bench.sync().await.assert_code(0);
    assert_clean(&bench.sandbox.audit());
    assert_eq!((copies(&bench).len(), is_protected(&bench.asset(&id))), (1, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_whose_answer_was_lost_is_found_by_a_clock_that_is_ahead_of_the_portals() {
    let (bench, id) = Bench::with_asset_in("copy", picture("one.jpg", 1)).await;
    bench.sandbox.set_faults(lost_once("bynder.save_new"));
    let ahead = [
        ("LD_PRELOAD", "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1".to_owned()),
        ("FAKETIME", "+300".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    bench.run_with(&["sync", "--full", "--json", "--quiet"], &ahead).await.assert_code(0);
    assert_clean(&bench.sandbox.audit());
    assert_eq!((copies(&bench).len(), is_protected(&bench.asset(&id))), (1, true));
}
