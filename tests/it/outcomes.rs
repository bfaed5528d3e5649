//! A whole library ends as planted, and a second run does nothing.

use serde_json::json;

use crate::harness::{Bench, assert_clean, is_protected, picture, quick, saved_versions, until};
use common::outcome::Outcome;

#[tokio::test(flavor = "multi_thread")]
async fn every_asset_ends_as_planted_and_a_second_run_touches_nothing() {
    let bench = Bench::new(sandbox::Options { assets: 90, ..quick() }).await;
    let first = bench.sync().await;
    first.assert_code(6);
    assert_clean(&bench.sandbox.audit());
    bench.assert_ended_as_planted().await;
    let downloads = |bench: &Bench| bench.sandbox.stats().requests.get("bynder.download").copied();
    let before = downloads(&bench);
    let second = bench.sync().await;
    second.assert_code(0);
    assert_eq!(second.summary()["watermarked"], 0);
    assert_eq!(second.summary()["published"], 0, "{second:#?}");
    assert_eq!(downloads(&bench), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_summary_has_every_documented_field() {
    let (bench, _) = Bench::with_asset(picture("one.jpg", 1)).await;
    let summary = bench.sync().await.summary();
    let fields = [
        "run_id",
        "mode",
        "listed",
        "selected",
        "skipped_unchanged",
        "filtered_out",
        "published",
        "watermarked",
        "already_protected",
        "superseded",
        "awaiting_approval",
        "gone",
        "failed",
        "portal_requests",
        "bytes_downloaded",
        "bytes_uploaded",
        "seconds",
    ];
    let mut found: Vec<_> = summary.as_object().unwrap().keys().map(String::as_str).collect();
    found.sort_unstable();
    let mut wanted = fields.to_vec();
    wanted.sort_unstable();
    assert_eq!(found, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_library_costs_no_call_but_the_listing() {
    let bench = Bench::new(quick()).await;
    for seed in 0..5 {
        bench.sandbox.add_asset(picture("one.jpg", seed)).unwrap();
    }
    bench.sync().await.assert_code(0);
    let again = bench.sync().await;
    // The metaproperties, the portal's clock, one page.
    assert_eq!(again.summary()["portal_requests"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_run_takes_up_what_changed_and_nothing_else() {
    let bench = Bench::new(quick()).await;
    let ids: Vec<_> = (0..4).map(|seed| bench.sandbox.add_asset(picture("one.jpg", seed)).unwrap()).collect();
    bench.sync().await.assert_code(0);
    bench.sandbox.new_version(&ids[2], &sandbox::NewVersion::default()).unwrap().unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let delta = bench.run(&["sync", "--json", "--quiet"]).await;
    delta.assert_code(0);
    assert_eq!((&delta.summary()["mode"], &delta.summary()["watermarked"]), (&json!("delta"), &json!(1)));
    assert!(is_protected(&bench.asset(&ids[2])));
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_original_is_protected_again_from_the_same_watermark() {
    let (bench, id) = Bench::with_asset(picture("one.jpg", 1)).await;
    bench.sync().await.assert_code(0);
    let restore = sandbox::NewVersion { restore: Some(1), ..sandbox::NewVersion::default() };
    bench.sandbox.new_version(&id, &restore).unwrap().unwrap();
    // Until the listing counts as settled, a row with an older version counts as one from before the save.
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    bench.sync().await.assert_code(0);
    let asset = bench.asset(&id);
    assert_eq!((saved_versions(&asset), asset.media, is_protected(&asset)), (2, 1, true));
    assert_eq!(bench.outcome(&id).await, Some(Outcome::Watermarked { version: 3 }));
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_choose_and_the_rest_is_counted() {
    let bench = Bench::new(sandbox::Options { assets: 30, ..quick() }).await;
    let ran = bench
        .run(&[
            "sync",
            "--full",
            "--json",
            "--quiet",
            "--filter",
            "types=video",
            "--filter",
            "metaproperties.Asset_Type=Film",
        ])
        .await;
    ran.assert_code(0);
    let films = bench.sandbox.audit().assets.into_iter().filter(|asset| asset.kind == "video").count();
    assert!(films > 0);
    assert_eq!(ran.summary()["watermarked"], films);
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_knows_the_marker_and_not_the_version_does_no_harm() {
    let (bench, id) = Bench::with_asset(picture("one.jpg", 1)).await;
    bench.sync().await.assert_code(0);
    let marker = bench.asset(&id).marker;
    // As in a listing between the two writes: the older version active, the marker of the newer there.
    let restore = |number| sandbox::NewVersion { restore: Some(number), ..sandbox::NewVersion::default() };
    bench.sandbox.new_version(&id, &restore(1)).unwrap().unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    let mut child = bench.spawn(&["sync", "--full", "--quiet"]);
    until(|| bench.sandbox.stats().requests.get("bynder.download") > Some(&1)).await;
    bench.sandbox.new_version(&id, &restore(2)).unwrap().unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
    assert_clean(&bench.sandbox.audit());
    let asset = bench.asset(&id);
    assert!(is_protected(&asset) && asset.marker.is_some(), "{asset:#?}, before: {marker:?}");
}
