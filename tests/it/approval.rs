//! A token whose user may only upload for approval: what is saved waits, and is not saved again.

use sandbox::{Edit, NewVersion};

use crate::harness::fleet::Fleet;
use crate::harness::{Bench, Ran, assert_clean, is_protected, picture, quick, saved_versions};

pub(crate) fn for_approval() -> sandbox::Options {
    sandbox::Options { for_approval: true, ..quick() }
}

fn saves(bench: &Bench) -> u64 {
    bench.sandbox.stats().requests.get("bynder.save").copied().unwrap_or_default()
}

/// How an asset's last job ended, as the ledger has it.
async fn recorded(bench: &Bench, id: &str) -> String {
    let report = bench.run(&["report", "--asset", id, "--format", "json"]).await;
    let last = report.assert_code(0).out.lines().last().unwrap().to_owned();
    let line: serde_json::Value = serde_json::from_str(&last).unwrap();
    line["outcome"].as_str().unwrap().to_owned()
}

/// A whole run, once the listing shows what was done before it.
async fn sync(bench: &Bench) -> Ran {
    bench.until_listed().await;
    bench.sync().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_approval_is_never_saved_again_and_settled_when_it_shows() {
    let bench = Bench::new(for_approval()).await;
    let [approved, refused] =
        [1, 2].map(|n| bench.sandbox.add_asset(picture(&format!("{n}.jpg"), n)).unwrap());
    let first = sync(&bench).await.assert_code(0).summary();
    assert_eq!((&first["awaiting_approval"], &first["watermarked"]), (&2.into(), &0.into()), "{first}");
    let again = sync(&bench).await.assert_code(0).summary();
    assert_eq!((&again["published"], saves(&bench)), (&0.into(), 2), "{again}");
    assert_eq!(recorded(&bench, &approved).await, "awaiting_approval");
    // Somebody approves the one, and refuses the other.
    bench.sandbox.approve(&approved).unwrap();
    bench.sandbox.turn_down(&refused).unwrap();
    sync(&bench).await.assert_code(0);
    assert!(is_protected(&bench.asset(&approved)));
    assert_eq!(recorded(&bench, &approved).await, "watermarked");
    assert_eq!((recorded(&bench, &refused).await.as_str(), saves(&bench)), ("awaiting_approval", 2));
    // Who wants another try empties the metaproperty.
    bench.sandbox.edit(&refused, Edit { marker: Some(String::new()), ..Edit::default() }).unwrap();
    sync(&bench).await.assert_code(0);
    assert_eq!((saves(&bench), bench.asset(&refused).media), (3, 1));
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_says_beforehand_that_saves_wait_for_approval() {
    for (options, word) in [(for_approval(), "WARN"), (quick(), "PASS")] {
        let bench = Bench::new(options).await;
        bench.set_request_timeout(15);
        let told = bench.run(&["doctor"]).await;
        let line = told.out.lines().find(|line| line.contains("Bynder right to upload")).unwrap();
        assert!(line.starts_with(word) && line.contains("approv") == (word == "WARN"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_waits_for_approval_is_not_made_again_and_counts_once_it_shows() {
    let bench = Bench::new(for_approval()).await;
    bench.set_mode("copy");
    let id = bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    let first = sync(&bench).await.assert_code(0).summary();
    assert_eq!(first["awaiting_approval"], 1, "{first}");
    sync(&bench).await.assert_code(0);
    assert_eq!((bench.asset(&id).made, bench.asset(&id).protected), (1, false));
    let copies = bench.sandbox.audit().assets;
    let copy = copies.into_iter().find(|asset| asset.copy_of.is_some()).unwrap().id;
    bench.sandbox.approve(&copy).unwrap();
    sync(&bench).await.assert_code(0);
    assert_eq!(recorded(&bench, &id).await, "watermarked");
    let asset = bench.asset(&id);
    assert_eq!((asset.made, asset.media, asset.protected), (1, 1, true));
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copys_new_version_that_waits_is_not_saved_again_and_protects_nothing_before_it_shows() {
    let bench = Bench::new(for_approval()).await;
    bench.set_mode("copy");
    let id = bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    sync(&bench).await.assert_code(0);
    let copies = bench.sandbox.audit().assets;
    let copy = copies.into_iter().find(|asset| asset.copy_of.is_some()).unwrap().id;
    bench.sandbox.approve(&copy).unwrap();
    sync(&bench).await.assert_code(0);
    assert!(bench.asset(&id).protected);
    // The original changes, and so must its copy.
    bench.sandbox.new_version(&id, &NewVersion::default()).unwrap().unwrap();
    let changed = sync(&bench).await.assert_code(0).summary();
    assert_eq!(changed["awaiting_approval"], 1, "{changed}");
    let again = sync(&bench).await.assert_code(0).summary();
    assert_eq!((&again["published"], bench.asset(&id).protected), (&0.into(), false), "{again}");
    bench.sandbox.approve(&copy).unwrap();
    sync(&bench).await.assert_code(0);
    let asset = bench.asset(&id);
    assert_eq!((asset.made, asset.media, asset.protected), (2, 2, true));
    assert_eq!(recorded(&bench, &id).await, "watermarked");
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_additional_file_that_waits_for_approval_is_not_saved_again_and_counts_once_it_shows() {
    let bench = Bench::new(for_approval()).await;
    bench.set_mode("additional");
    let [approved, refused] =
        [1, 2].map(|n| bench.sandbox.add_asset(picture(&format!("{n}.jpg"), n)).unwrap());
    let first = sync(&bench).await.assert_code(0).summary();
    assert_eq!((&first["awaiting_approval"], &first["failed"]), (&2.into(), &0.into()), "{first}");
    let again = sync(&bench).await.assert_code(0).summary();
    assert_eq!((&again["published"], bench.asset(&approved).protected), (&0.into(), false), "{again}");
    bench.sandbox.approve(&approved).unwrap();
    bench.sandbox.turn_down(&refused).unwrap();
    sync(&bench).await.assert_code(0);
    assert_eq!(recorded(&bench, &approved).await, "watermarked");
    assert_eq!(recorded(&bench, &refused).await, "awaiting_approval");
    let asset = bench.asset(&approved);
    assert_eq!((asset.made, asset.media, asset.protected), (1, 1, true));
    // Who wants another try empties the metaproperty.
    bench.sandbox.edit(&refused, Edit { marker: Some(String::new()), ..Edit::default() }).unwrap();
    let retried = sync(&bench).await.assert_code(0).summary();
    assert_eq!((&retried["awaiting_approval"], bench.asset(&refused).media), (&1.into(), 1), "{retried}");
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_looks_once_whether_its_saves_show_and_then_knows() {
    let fleet = Fleet::new(quick()).await;
    for number in 0..12 {
        fleet.bench.sandbox.add_asset(picture(&format!("{number}.jpg"), number)).unwrap();
    }
    fleet.bench.set_request_timeout(15);
    let _worker = fleet.worker();
    let ended = fleet.sync().await.assert_code(0).summary();
    assert_eq!(ended["watermarked"], 12, "{ended}");
    assert!(fleet.bench.sandbox.audit().assets.iter().all(|asset| saved_versions(asset) == 1));
    // One look before each save, one before the first submit, and one after the first save.
    assert_eq!(fleet.requests("bynder.asset"), 14);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_original_that_waits_for_approval_is_saved_once_and_is_restored_once_it_shows() {
    let bench = Bench::new(for_approval()).await;
    let id = bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    sync(&bench).await.assert_code(0);
    bench.sandbox.approve(&id).unwrap();
    bench.until_listed().await;
    let restore = ["restore", "--ids", &id, "--yes", "--json", "--quiet"];
    let waits = bench.run(&restore).await;
    assert!(waits.assert_code(6).out.contains("waits for approval in Bynder"), "{waits:#?}");
    assert_eq!(saves(&bench), 2, "the protected file and the original, each once");
    let again = bench.run(&restore).await;
    assert!(again.assert_code(6).out.contains("waits for approval in Bynder"), "{again:#?}");
    assert_eq!((saves(&bench), recorded(&bench, &id).await.as_str()), (2, "restore_saved"));
    bench.sandbox.approve(&id).unwrap();
    bench.until_listed().await;
    assert_eq!(bench.run(&restore).await.assert_code(0).summary()["restored"], 1);
    assert_eq!((saves(&bench), recorded(&bench, &id).await.as_str()), (2, "restored"));
    let asset = bench.asset(&id);
    let hashes: Vec<_> = asset.versions.iter().map(|version| version.sha256.as_str()).collect();
    assert_eq!((hashes.len(), hashes[2], asset.versions[2].active), (3, hashes[0], true), "{asset:#?}");
    assert_eq!(sync(&bench).await.summary()["selected"], 0);
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_original_that_was_refused_is_saved_again_once_its_opt_out_is_removed() {
    let bench = Bench::new(for_approval()).await;
    let id = bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    sync(&bench).await.assert_code(0);
    bench.sandbox.approve(&id).unwrap();
    let restore = ["restore", "--ids", &id, "--yes", "--json", "--quiet"];
    bench.run(&restore).await.assert_code(6);
    bench.sandbox.turn_down(&id).unwrap();
    bench.run(&restore).await.assert_code(6);
    assert_eq!(saves(&bench), 2, "the protected file and the original, each once");
    let marker = bench.asset(&id).marker.unwrap();
    let marker = Some(marker.strip_prefix("opted-out; ").unwrap().to_owned());
    bench.sandbox.edit(&id, Edit { marker, ..Edit::default() }).unwrap();
    bench.run(&restore).await.assert_code(6);
    assert_eq!(saves(&bench), 3);
    bench.sandbox.approve(&id).unwrap();
    assert_eq!(bench.run(&restore).await.assert_code(0).summary()["restored"], 1);
    assert_clean(&bench.sandbox.audit());
}
