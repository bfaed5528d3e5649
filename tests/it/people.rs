//! People work in the library while a run does: nothing of theirs is lost, nothing unprotected is called protected.

use std::time::Duration;

use common::outcome::Outcome;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use sandbox::faults::{Action, Faults, Moment, Rule};
use sandbox::{Attached, Edit, NewAsset, NewFile, NewVersion, Sandbox};

use crate::harness::fleet::Fleet;
use crate::harness::scene::{once, rule, unavailable};
use crate::harness::{Bench, Ran, assert_clean, client, is_protected, picture, quick, until, until_async};

/// One thing a person may do.
fn meddle(sandbox: &Sandbox, ids: &[String], random: &mut StdRng) {
    let Some(id) = ids.choose(random) else { return };
    let edit = |edit: Edit| {
        let _ = sandbox.edit(id, edit);
    };
    match random.random_range(0..10) {
        0..=3 => {
            let upload = NewVersion { seed: Some(random.random()), ..NewVersion::default() };
            let _ = sandbox.new_version(id, &upload).unwrap();
        }
        4 | 5 => {
            let restore = NewVersion { restore: Some(random.random_range(1..4)), ..NewVersion::default() };
            let _ = sandbox.new_version(id, &restore).unwrap();
        }
        6 => edit(Edit { description: Some(format!("note {}", random.random::<u16>())), ..Edit::default() }),
        7 => edit(Edit { tags: Some(vec!["by-hand".to_owned()]), ..Edit::default() }),
        8 => {
            let copied = sandbox.audit().assets.choose(random).and_then(|other| other.marker.clone());
            edit(Edit { marker: copied, ..Edit::default() });
        }
        _ if random.random_range(0..4) == 0 => {
            let _ = sandbox.delete(id);
        }
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_at_work_lose_nothing_and_the_library_ends_protected() {
    let seed = rand::random();
    println!("seed {seed}");
    people_at_work("version", 60, seed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_at_work_lose_nothing_where_the_file_goes_elsewhere() {
    for mode in ["copy", "additional"] {
        let seed = rand::random();
        println!("seed {seed}");
        people_at_work(mode, 30, seed).await;
    }
}

/// Adds pictures of many sizes: a copied marker must not fit by chance.
pub(crate) fn add_pictures(bench: &Bench, count: u32) -> Vec<String> {
    let picture = |number: u32| {
        let bytes = sample_files::file(sample_files::Format::Jpeg, number.into(), 60 + number, 40);
        bench.sandbox.add_asset(sandbox::NewAsset::new("picture.jpg", bytes)).unwrap()
    };
    (0..count).map(picture).collect()
}

async fn people_at_work(mode: &str, assets: u32, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let options = sandbox::Options { watermark_time: Duration::from_millis(300), ..quick() };
    let bench = Bench::new(options).await;
    bench.set_mode(mode);
    let ids = add_pictures(&bench, assets);
    for id in ids.iter().step_by(5) {
        bench.take_in_again(id, "another").await;
    }
    let mut child = bench.spawn(&["sync", "--full", "--quiet"]);
    let ended = tokio::select! {
        ended = child.wait() => ended.unwrap(),
        () = meddle_until_mostly_saved(&bench, &ids, &mut random) => child.wait().await.unwrap(),
    };
    assert!(matches!(ended.code(), Some(0 | 6)), "{ended:?}");
    // What fell between, the next runs put right; one within the time that a listing has to settle after a save, half a
    // second here, may leave an asset to the one after.
    for _ in 0..2 {
        bench.until_settled().await;
        bench.sync().await;
    }
    let audit = bench.sandbox.audit();
    assert_clean(&audit);
    let unprotected: Vec<_> =
        audit.assets.iter().filter(|asset| !asset.deleted && !is_protected(asset)).collect();
    assert!(unprotected.is_empty(), "{unprotected:#?}");
}

/// People edit at any time, but a library is never edited for ever: the tail shows that the work comes to its end.
pub(crate) async fn meddle_until_mostly_saved(bench: &Bench, ids: &[String], random: &mut StdRng) {
    loop {
        tokio::time::sleep(Duration::from_millis(random.random_range(5..60))).await;
        meddle(&bench.sandbox, ids, random);
        let requests = bench.sandbox.stats().requests;
        let saves =
            requests.iter().filter(|(name, _)| name.starts_with("bynder.save")).map(|(_, count)| count);
        if saves.sum::<u64>() > ids.len() as u64 * 3 / 4 {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_uploaded_during_the_import_is_protected_instead_of_buried() {
    let options = sandbox::Options { conversion_time: Duration::from_secs(2), ..quick() };
    let bench = Bench::new(options).await;
    let id = bench.sandbox.add_asset(crate::harness::picture("one.jpg", 1)).unwrap();
    let mut child = bench.spawn(&["sync", "--full", "--quiet"]);
    crate::harness::until(|| bench.asset(&id).marker.is_some()).await;
    let theirs = bench.sandbox.new_version(&id, &NewVersion::default()).unwrap().unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
    let asset = bench.asset(&id);
    assert_clean(&bench.sandbox.audit());
    assert_eq!((theirs, asset.versions.len(), is_protected(&asset)), (2, 3, true));
}

/// The asset of a library of one is crossed, the save's answer is lost, and two runs have to tell.
async fn assert_a_crossing_is_told_twice(bench: &Bench, sync: impl AsyncFn() -> Ran) {
    let id = bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    // What the look before the save sees is old when it arrives.
    let old = Rule {
        moment: Moment::After,
        // The process's first look is the one before its first submit.
        skip: 1,
        ..rule("bynder.asset", Some(1), Action::Delay(Duration::from_millis(2500)))
    };
    let lost = Rule { moment: Moment::After, ..rule("bynder.save", Some(1), Action::Reset) };
    bench.sandbox.set_faults(Faults { seed: 1, rules: vec![old, lost] });
    let upload = async {
        until(|| bench.sandbox.stats().carried_out.get("bynder.asset").is_some_and(|looks| *looks > 1)).await;
        bench
            .sandbox
            .new_version(&id, &NewVersion { seed: Some(9), ..NewVersion::default() })
            .unwrap()
            .unwrap()
    };
    let (first, theirs) = tokio::join!(sync(), upload);
    let crossed = Some(Outcome::Superseded { ours: Some(3), theirs });
    assert_eq!((theirs, bench.outcome(&id).await), (2, crossed.clone()), "{first:#?}");
    bench.until_settled().await;
    let next = sync().await;
    assert_eq!((&next.summary()["superseded"], bench.outcome(&id).await), (&1.into(), crossed), "{next:#?}");
    assert!(is_protected(&bench.asset(&id)));
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_uploaded_between_the_look_and_a_save_without_an_answer_is_named_by_that_run_and_the_next()
{
    let bench = Bench::new(quick()).await;
    bench.set_request_timeout(5);
    assert_a_crossing_is_told_twice(&bench, async || bench.sync().await).await;
    drop(bench);
    let fleet = Fleet::new(quick()).await;
    fleet.bench.set_request_timeout(5);
    let worker = fleet.worker();
    assert_a_crossing_is_told_twice(&fleet.bench, async || fleet.sync().await).await;
    drop(worker);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_hung_on_an_asset_stays_on_it_and_the_first_file_keeps_its_focus_point() {
    let attached = Attached {
        collections: vec!["COLLECTION-HEROES".to_owned()],
        thumbnails: vec!["Hero".to_owned()],
        usages: vec!["https://shop.invalid/lake".to_owned()],
        public_links: vec!["https://share.invalid/1".to_owned()],
        focus_point: Some((12, 34)),
    };
    let hung = NewAsset { attached, tags: vec!["lake".to_owned()], ..picture("one.jpg", 1) };
    let (bench, id) = Bench::with_asset(hung).await;
    bench.sync().await.assert_code(0);
    assert!(is_protected(&bench.asset(&id)));
    let announcement = bench.sandbox.announcement();
    let get = async |path: String| {
        let url = format!("{}/{path}", announcement.bynder.trim_end_matches('/'));
        let request = client().get(url).bearer_auth(&announcement.token);
        request.send().await.unwrap().json::<serde_json::Value>().await.unwrap()
    };
    let asset = get(format!("api/v4/media/{id}/?versions=1")).await;
    assert!(asset["thumbnails"]["Hero"].is_string() && asset["tags"][0] == "lake", "{asset}");
    let items = asset["mediaItems"].as_array().unwrap();
    let focus = |version: u32| {
        let own = items.iter().find(|item| item["type"] == "original" && item["version"] == version);
        own.unwrap()["focusPoint"].clone()
    };
    assert_eq!(focus(1), serde_json::json!({"x": 12, "y": 34}));
    // It belongs to a file, and nothing that the connector may call sets one.
    assert!(focus(2).is_null());
    until_async(async || {
        let collection = get("api/v4/media/?collectionId=COLLECTION-HEROES".to_owned()).await;
        collection[0]["id"] == *id
    })
    .await;
    // Collections, usage and public links are among what the audit holds against what people had.
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_could_not_be_taken_back_at_once_does_not_stay() {
    let (bench, id) = Bench::with_asset(picture("one.jpg", 1)).await;
    bench.set_request_timeout(15);
    bench.reconfigure("request_timeout", "max_attempts = 1\nrequest_timeout");
    let mut faults = once("bynder.poll", Moment::Before, unavailable());
    // The first writes the record ahead, the second is to take it back.
    faults.rules.push(Rule { skip: 1, ..rule("bynder.modify", Some(1), unavailable()) });
    bench.sandbox.set_faults(faults);
    bench.sync().await;
    bench.until_listed().await;
    let asset = bench.asset(&id);
    assert!(is_protected(&asset) || asset.marker.is_none(), "{asset:#?}");
    assert!(bench.sandbox.stats().requests["bynder.modify"] > 1, "nothing had to be taken back");
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_names_a_persons_version_is_taken_back_when_the_job_fails() {
    let bench = Bench::new(quick()).await;
    bench.set_request_timeout(15);
    bench.reconfigure("request_timeout", "max_attempts = 1\nrequest_timeout");
    // As long as the watermarked file will be: only its hash says that it is not the connector's.
    let long = Some(1 << 20);
    let id = bench
        .sandbox
        .add_asset(NewAsset { file: long.map(NewFile::Striped), ..picture("one.tif", 1) })
        .unwrap();
    for work in [
        NewVersion { large: long, seed: Some(9), ..NewVersion::default() },
        NewVersion { restore: Some(1), ..NewVersion::default() },
    ] {
        bench.sandbox.new_version(&id, &work).unwrap().unwrap();
    }
    bench.until_listed().await;
    // The job fails before it looks: the row, by which it marked, shows the active version and none above it.
    bench.sandbox.set_faults(once("bynder.poll", Moment::Before, unavailable()));
    bench.sync().await.assert_code(6);
    bench.until_listed().await;
    assert_eq!(bench.sandbox.stats().requests.get("bynder.save"), None);
    let asset = bench.asset(&id);
    assert_eq!((asset.marker.as_deref().unwrap_or_default(), asset.versions.len()), ("", 2));
    assert!(
        bench.sandbox.stats().requests["bynder.modify"] > 1,
        "no record was written; this proves nothing"
    );
    assert_clean(&bench.sandbox.audit());
    // Their version, made active again, is protected as any other.
    bench
        .sandbox
        .new_version(&id, &NewVersion { restore: Some(2), ..NewVersion::default() })
        .unwrap()
        .unwrap();
    bench.until_listed().await;
    bench.run(&["sync", "--full", "--retry-failed", "--json", "--quiet"]).await.assert_code(0);
    assert!(is_protected(&bench.asset(&id)));
    assert_clean(&bench.sandbox.audit());
}
