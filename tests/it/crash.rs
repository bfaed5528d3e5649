//! Killed at every point, the program leaves nothing lost, nothing done twice and nothing half done.

use futures::StreamExt;
use rand::{RngExt, SeedableRng};

use crate::harness::{Bench, MODES, assert_clean, is_protected, picture, quick, saved_versions};

const SYNC: [&str; 4] = ["sync", "--full", "--json", "--quiet"];

/// How many places a run over one asset passes where it may die.
async fn crash_points(mode: &str) -> u64 {
    let (bench, _) = Bench::with_asset_in(mode, picture("one.jpg", 1)).await;
    let count = bench.path("count");
    bench.run_with(&SYNC, &[("CONNECTOR_CRASH_COUNT", count.display().to_string())]).await.assert_code(0);
    std::fs::read_to_string(count).unwrap().lines().count() as u64
}

/// Returns whether the upload had begun by then.
async fn die_at(mode: &'static str, point: u64) -> bool {
    let (bench, id) = Bench::with_asset_in(mode, picture("one.jpg", point)).await;
    bench.run_with(&SYNC, &[("CONNECTOR_CRASH_AT", point.to_string())]).await;
    let begun = bench.sandbox.stats().requests.contains_key("bynder.upload_init");
    bench.take_in_again(&id, "another").await;
    let again = bench.sync().await;
    assert_eq!(again.code, Some(0), "{mode}, after dying at {point}: {again:#?}");
    let asset = bench.asset(&id);
    assert_clean(&bench.sandbox.audit());
    assert!(is_protected(&asset), "{mode}, after dying at {point}: {asset:#?}");
    assert_eq!((saved_versions(&asset), asset.media), (1, 1), "{mode}, after dying at {point}: {asset:#?}");
    let third = bench.sync().await;
    assert_eq!(third.summary()["selected"], 0, "{mode}, after dying at {point}: {third:#?}");
    begun
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_and_after_every_request_and_write_the_asset_ends_protected_once() {
    for mode in MODES {
        let points = crash_points(mode).await;
        assert!(points > 40, "only {points} crash points in the mode {mode}");
        let mut first = 1;
        if mode != "version" {
            // Up to the upload every mode passes the same points. How many those are depends on how often a busy
            // machine made the program ask again.
            first = points / 2;
            while die_at(mode, first).await {
                first -= 1;
            }
        }
        // Most of the time is waiting, so several runs share the machine.
        let deaths = futures::stream::iter(first..=points).map(|point| tokio::spawn(die_at(mode, point)));
        let ended: Vec<_> = deaths.buffer_unordered(6).collect().await;
        for ended in ended {
            ended.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_until_done_a_library_ends_as_planted() {
    let bench = Bench::new(sandbox::Options { assets: 100, seed: 7, ..quick() }).await;
    let seed = rand::random();
    println!("seed {seed}");
    println!("died {} times", die_until_done(&bench, 6, seed).await);
    bench.assert_ended_as_planted().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_until_done_each_asset_has_one_copy_or_one_additional_file() {
    for mode in ["copy", "additional"] {
        let bench = Bench::new(quick()).await;
        bench.set_mode(mode);
        for number in 0..30 {
            bench.sandbox.add_asset(picture(&format!("{number}.jpg"), number)).unwrap();
        }
        let seed = rand::random();
        println!("{mode}: seed {seed}");
        println!("{mode}: died {} times", die_until_done(&bench, 0, seed).await);
        for asset in bench.sandbox.audit().assets.iter().filter(|asset| asset.copy_of.is_none()) {
            assert_eq!((asset.made, asset.media, is_protected(asset)), (1, 1, true), "{mode}: {asset:#?}");
        }
    }
}

/// `code` is that of a run which nothing kills; returns how often it died.
async fn die_until_done(bench: &Bench, code: i32, seed: u64) -> u32 {
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let mut deaths = 0;
    loop {
        let point = random.random_range(20..900_u64).to_string();
        let ran = bench.run_with(&SYNC, &[("CONNECTOR_CRASH_AT", point)]).await;
        if ran.code.is_some() {
            ran.assert_code(if deaths == 0 { code } else { ran.code.unwrap_or_default() });
            break;
        }
        deaths += 1;
        assert!(deaths < 200, "it never ends");
    }
    assert_clean(&bench.sandbox.audit());
    deaths
}
