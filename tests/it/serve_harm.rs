//! Deaths, people and faults change under `connector serve` as little as under `sync`: nothing is lost, nothing done twice.

use std::time::Duration;

use futures::StreamExt;
use nix::sys::signal::Signal;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sandbox::Options;
use sandbox::faults::{Faults, of_all_kinds};

use crate::harness::fleet::{ended, signal};
use crate::harness::serving::{Serving, stop};
use crate::harness::{assert_clean, is_protected, picture, quick, saved_versions, until, until_async};
use crate::people::{add_pictures, meddle_until_mostly_saved};

/// How many places it passes where it may die, until the only asset is protected and a run finds nothing.
async fn crash_points() -> u64 {
    let serving = Serving::new(quick()).await;
    let id = serving.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    let count = serving.bench.path("count");
    let running = serving.start(&["--full"], &[("CONNECTOR_CRASH_COUNT", count.to_str().unwrap())]);
    until(|| is_protected(&serving.bench.asset(&id))).await;
    stop(running).await;
    std::fs::read_to_string(count).unwrap().lines().count() as u64
}

async fn die_at(point: u64) {
    let serving = Serving::new(quick()).await;
    let bench = &serving.bench;
    let id = bench.sandbox.add_asset(picture("one.jpg", point)).unwrap();
    // Runs that find nothing pass such places as well.
    let mut doomed = serving.start(&["--full"], &[("CONNECTOR_CRASH_AT", &point.to_string())]);
    let died = doomed.wait().await.unwrap();
    assert_eq!(died.code(), None, "at {point}");
    bench.take_in_again(&id, "another").await;
    let running = serving.start(&["--full"], &[]);
    until(|| is_protected(&bench.asset(&id))).await;
    serving.until_idle().await;
    stop(running).await;
    let asset = bench.asset(&id);
    assert_clean(&bench.sandbox.audit());
    assert_eq!((saved_versions(&asset), asset.media), (1, 1), "after dying at {point}: {asset:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_and_after_requests_and_writes_the_asset_ends_protected_once() {
    let points = crash_points().await;
    assert!(points > 40, "only {points} crash points");
    // A third of the places, others each time: `crash` tries every one.
    let first = rand::rng().random_range(1..=3);
    println!("from {first} of {points}");
    let deaths = (first..=points).step_by(3).map(|point| tokio::spawn(die_at(point)));
    let ended: Vec<_> = futures::stream::iter(deaths).buffer_unordered(6).collect().await;
    for ended in ended {
        ended.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_at_work_lose_nothing_and_the_library_ends_protected_without_another_run() {
    let seed = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let serving = Serving::new(Options { watermark_time: Duration::from_millis(300), ..quick() }).await;
    let bench = &serving.bench;
    let ids = add_pictures(bench, 60);
    let running = serving.start(&["--full"], &[]);
    meddle_until_mostly_saved(bench, &ids, &mut random).await;
    let unprotected = || {
        let audit = bench.sandbox.audit();
        audit.assets.into_iter().filter(|asset| !asset.deleted && !is_protected(asset)).count()
    };
    until(|| unprotected() == 0).await;
    stop(running).await;
    assert_clean(&bench.sandbox.audit());
    assert_eq!(unprotected(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_library_under_random_faults_ends_as_planted() {
    let seed = rand::random();
    println!("seed {seed}");
    let serving = Serving::new(Options { assets: 100, ..quick() }).await;
    let bench = &serving.bench;
    bench.set_request_timeout(4);
    bench.sandbox.set_faults(of_all_kinds(seed, 0.03));
    let running = serving.start(&["--full"], &[]);
    until_async(async || bench.surprises().await.is_empty()).await;
    bench.sandbox.set_faults(Faults::default());
    stop(running).await;
    bench.assert_ended_as_planted().await;
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_while_it_postpones_changes_it_leaves_none_and_repeats_none() {
    const BULK: u64 = 100;
    let mut random = rand::rng();
    let serving = Serving::new(quick()).await;
    let bench = &serving.bench;
    bench.sandbox.add_asset(picture("first.jpg", 1)).unwrap();
    // About sixty changes a run.
    let budget = ("CONNECTOR_BYNDER__REQUESTS_PER_5_MINUTES", "4000");
    let running = serving.start(&["--full"], &[budget]);
    until(|| bench.sandbox.audit().assets.iter().all(is_protected)).await;
    serving.until_idle().await;
    stop(running).await;
    for number in 0..BULK {
        bench.sandbox.add_asset(picture(&format!("{number}.jpg"), 10 + number)).unwrap();
    }
    // Delta runs alone have to find them.
    let running = serving.start(&[], &[budget]);
    until_async(async || serving.postponed().await > 0).await;
    signal(&running, Signal::SIGKILL);
    ended(running).await;
    for _ in 0..3 {
        let point = random.random_range(30..300_u32).to_string();
        let mut doomed = serving.start(&[], &[budget, ("CONNECTOR_CRASH_AT", &point)]);
        assert_eq!(doomed.wait().await.unwrap().code(), None, "at {point}");
    }
    let running = serving.start(&[], &[budget]);
    until(|| bench.sandbox.audit().assets.iter().all(is_protected)).await;
    stop(running).await;
    let audit = bench.sandbox.audit();
    assert!(audit.assets.iter().all(|asset| (saved_versions(asset), asset.media) == (1, 1)));
    assert_clean(&audit);
}
