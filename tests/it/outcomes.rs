//! A whole library ends as planted, and a second run does nothing.

use common::outcome::{FailureClass, Outcome};
use sandbox::faults::{Action, Faults, Moment, Rule};
use sandbox::{Edit, NewAsset, NewVersion, Options};
use serde_json::json;

use crate::harness::scene::{every, rule};
use crate::harness::{Bench, assert_clean, is_protected, picture, quick, saved_versions, until, until_async};

#[tokio::test(flavor = "multi_thread")]
async fn every_asset_ends_as_planted_and_a_second_run_touches_nothing() {
    let bench = Bench::new(Options { assets: 90, ..quick() }).await;
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
    bench.set_request_timeout(15);
    bench.sync().await.assert_code(0);
    let again = bench.sync().await;
    // The metaproperties, the portal's clock, one page; its last second once more, the empty page that ends the walk, and
    // the way back from it.
    assert_eq!(again.summary()["portal_requests"], 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_library_of_many_protected_assets_costs_a_call_a_thousand() {
    let bench = Bench::new(Options { archive: 25_500, ..quick() }).await;
    bench.set_request_timeout(15);
    let id = bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    bench.sync().await.assert_code(0);
    assert!(is_protected(&bench.asset(&id)));
    let before = bench.sandbox.stats().requests["bynder.list"];
    let again = bench.sync().await.summary();
    assert_eq!((&again["listed"], &again["selected"]), (&25_501.into(), &0.into()), "{again}");
    let listings = bench.sandbox.stats().requests["bynder.list"] - before;
    // Pages overlap by the assets of one second, and by one page in all. Then the last second is read once more, the empty
    // page that ends the walk, and the way back from it.
    assert!(listings <= 30, "{listings}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_run_takes_up_what_changed_and_nothing_else() {
    let bench = Bench::new(quick()).await;
    let ids: Vec<_> = (0..4).map(|seed| bench.sandbox.add_asset(picture("one.jpg", seed)).unwrap()).collect();
    bench.sync().await.assert_code(0);
    bench.sandbox.new_version(&ids[2], &NewVersion::default()).unwrap().unwrap();
    bench.until_listed().await;
    let delta = bench.run(&["sync", "--json", "--quiet"]).await;
    delta.assert_code(0);
    assert_eq!((&delta.summary()["mode"], &delta.summary()["watermarked"]), (&json!("delta"), &json!(1)));
    assert!(is_protected(&bench.asset(&ids[2])));
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_or_archived_between_two_runs_is_an_outcome_and_no_error() {
    let bench = Bench::new(quick()).await;
    let ids: Vec<_> = (0..3).map(|seed| bench.sandbox.add_asset(picture("one.jpg", seed)).unwrap()).collect();
    bench.reconfigure("[worker]\n", "[filters]\narchived = false\n[worker]\n");
    // Published and not done: the program dies when all three wait at Imatag.
    bench.sandbox.set_faults(every("bynder.download", Moment::Before, Action::Hang));
    let mut dying = bench.spawn(&["sync", "--full", "--quiet"]);
    until(|| bench.sandbox.stats().requests.get("bynder.download") >= Some(&3)).await;
    until_async(async || !bench.run(&["state", "show", "--json"]).await.summary()["cursor"].is_null()).await;
    dying.kill().await.unwrap();
    bench.sandbox.set_faults(Faults::default());
    bench.sandbox.delete(&ids[0]).unwrap();
    let archived = Edit { archived: Some(true), ..Edit::default() };
    bench.sandbox.edit(&ids[1], archived).unwrap();
    let ran = bench.run(&["sync", "--json", "--quiet"]).await;
    ran.assert_code(0);
    assert_eq!(bench.outcome(&ids[0]).await, Some(Outcome::Gone));
    assert!(is_protected(&bench.asset(&ids[1])) && is_protected(&bench.asset(&ids[2])));
    // Changed once more, the archived one is none of the filter's any longer.
    bench.sandbox.new_version(&ids[1], &NewVersion::default()).unwrap().unwrap();
    bench.until_listed().await;
    let delta = bench.run(&["sync", "--json", "--quiet"]).await.assert_code(0).summary();
    assert_eq!((&delta["mode"], &delta["selected"]), (&json!("delta"), &json!(0)), "{delta}");
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_over_the_whole_library_comes_in_a_delta_runs_place_when_it_is_due() {
    let bench = Bench::new(quick()).await;
    bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    bench.reconfigure("[producer]\n", "[producer]\nfull_every = '7d'\n");
    bench.sync().await.assert_code(0);
    let mode = async |bench: &Bench, more: &[&str]| {
        let arguments = [&["sync", "--json", "--quiet"], more].concat();
        bench.run(&arguments).await.assert_code(0).summary()["mode"].as_str().unwrap().to_owned()
    };
    assert_eq!(mode(&bench, &[]).await, "delta");
    bench.reconfigure("full_every = '7d'", "full_every = '1s'");
    assert_eq!(mode(&bench, &["--delta"]).await, "delta");
    let planned = async || bench.run(&["plan", "--json"]).await.assert_code(0).summary()["mode"] == "full";
    until_async(planned).await;
    assert_eq!(mode(&bench, &[]).await, "full");
    let shown = bench.run(&["state", "show", "--json"]).await.assert_code(0).summary();
    assert_eq!((&shown["seconds_until_full_run"], &shown["open"]), (&json!(0), &json!(0)), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_sets_or_forgets_the_cursor_keeps_the_state_before() {
    let bench = Bench::new(quick()).await;
    bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    bench.sync().await.assert_code(0);
    let cursor =
        async |bench: &Bench| bench.run(&["state", "show", "--json"]).await.summary()["cursor"].clone();
    let before = cursor(&bench).await;
    let ahead = bench.run(&["state", "set", "--since", "2999-01-01T00:00:00Z"]).await;
    assert!(ahead.assert_code(2).talk.contains("lies ahead"), "{ahead:?}");
    bench.run(&["state", "set", "--since", "2020-01-01T00:00:00Z"]).await.assert_code(0);
    assert_eq!(cursor(&bench).await, "2020-01-01T00:00:00Z");
    for _ in 0..11 {
        bench.run(&["state", "reset"]).await.assert_code(0);
    }
    assert!(cursor(&bench).await.is_null());
    let copies =
        || std::fs::read_dir(bench.path("state/backups")).unwrap().map(|entry| entry.unwrap().path());
    assert_eq!(copies().count(), 10);
    // Put in the state's place, a copy is the state as it was.
    let set = bench.run(&["state", "set", "--since", "2021-01-01T00:00:00Z", "--json"]).await;
    let told = set.assert_code(0).summary();
    assert_eq!(told["cursor"], "2021-01-01T00:00:00Z");
    assert!(std::path::Path::new(told["kept"].as_str().unwrap()).is_file(), "{told}");
    bench.run(&["state", "reset"]).await.assert_code(0);
    let latest = copies().max().unwrap();
    for file in ["connector.sqlite", "connector.sqlite-wal", "connector.sqlite-shm"] {
        let _ = std::fs::remove_file(bench.path("state").join(file));
    }
    std::fs::copy(latest, bench.path("state/connector.sqlite")).unwrap();
    assert_eq!(cursor(&bench).await, "2021-01-01T00:00:00Z");
    assert_ne!(cursor(&bench).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_original_is_protected_again_from_the_same_watermark() {
    let (bench, id) = Bench::with_asset(picture("one.jpg", 1)).await;
    bench.sync().await.assert_code(0);
    let restore = NewVersion { restore: Some(1), ..NewVersion::default() };
    bench.sandbox.new_version(&id, &restore).unwrap().unwrap();
    // Until the listing counts as settled, a row with an older version counts as one from before the save.
    bench.until_settled().await;
    bench.sync().await.assert_code(0);
    let asset = bench.asset(&id);
    assert_eq!((saved_versions(&asset), asset.media, is_protected(&asset)), (2, 1, true));
    assert_eq!(bench.outcome(&id).await, Some(Outcome::Watermarked { version: 3 }));
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_choose_and_the_rest_is_counted() {
    let bench = Bench::new(Options { assets: 30, ..quick() }).await;
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
    let restore = |number| NewVersion { restore: Some(number), ..NewVersion::default() };
    bench.sandbox.new_version(&id, &restore(1)).unwrap().unwrap();
    bench.until_settled().await;
    let mut child = bench.spawn(&["sync", "--full", "--quiet"]);
    until(|| bench.sandbox.stats().requests.get("bynder.download") > Some(&1)).await;
    bench.sandbox.new_version(&id, &restore(2)).unwrap().unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
    assert_clean(&bench.sandbox.audit());
    let asset = bench.asset(&id);
    assert!(is_protected(&asset) && asset.marker.is_some(), "{asset:#?}, before: {marker:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_cannot_be_read_is_counted_and_named_and_the_run_does_not_end_well() {
    let (bench, id) = Bench::with_asset(picture("one.jpg", 1)).await;
    bench.sync().await.assert_code(0);
    let body = r#"[{"id": "00000000-0000-0000-0000-00000000ABCD", "dateCreated": null}]"#.to_owned();
    let answer = Action::Answer { status: 200, body, content_type: "application/json".to_owned() };
    // The first listing asks for the time alone.
    let rule = Rule { skip: 1, ..rule("bynder.list", Some(1), answer) };
    bench.sandbox.set_faults(Faults { seed: 1, rules: vec![rule] });
    let ran = bench.sync().await;
    ran.assert_code(6);
    assert_eq!(ran.summary()["left_alone"]["unreadable"], 1, "{ran:#?}");
    assert!(ran.talk.contains("00000000-0000-0000-0000-00000000ABCD"), "{ran:#?}");
    assert!(ran.talk.contains("1 assets were left alone that cannot be read"), "{ran:#?}");
    assert!(is_protected(&bench.asset(&id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asset_whose_marker_is_larger_than_a_message_fails_alone() {
    let bench = Bench::new(quick()).await;
    let long = Some("not the connector's ".repeat(10_000));
    let planted = bench.sandbox.add_asset(NewAsset { marker: long, ..picture("one.jpg", 1) }).unwrap();
    let other = bench.sandbox.add_asset(picture("two.jpg", 2)).unwrap();
    bench.sync().await.assert_code(6);
    assert!(is_protected(&bench.asset(&other)));
    let outcome = bench.outcome(&planted).await;
    let class = outcome.as_ref().and_then(|outcome| match outcome {
        Outcome::Failed(failure) => Some(failure.class),
        _ => None,
    });
    assert_eq!(class, Some(FailureClass::Marker), "{outcome:?}");
    assert_clean(&bench.sandbox.audit());
}
