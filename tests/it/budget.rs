//! The request budget: used nearly to the last call, and never crossed, by a fleet whose members come and go.
//!
//! Times are divided by ten: the sandbox's window has 30 seconds instead of 300, and so have the processes' times.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use sandbox::RateLimit;
use tokio::process::Child;

use crate::harness::fleet::{Fleet, ended, signal};
use crate::harness::{Bench, assert_clean, is_protected, picture, quick, until};

/// Calls allowed and calls configured, in a window of thirty seconds.
const LIMIT: usize = 900;
const BUDGET: usize = 800;
const WINDOW: Duration = Duration::from_secs(30);

fn scaled() -> [(&'static str, String); 1] {
    [("CONNECTOR_TIME_SCALE", "10".to_owned())]
}

fn limited() -> sandbox::Options {
    sandbox::Options { rate_limit: Some(RateLimit { requests: LIMIT, window: WINDOW }), ..quick() }
}

async fn fleet(pictures: u64) -> Fleet {
    let fleet = Fleet::alone(limited()).await;
    fleet
        .bench
        .reconfigure("requests_per_5_minutes = 1000000", &format!("requests_per_5_minutes = {BUDGET}"));
    fleet.bench.reconfigure("request_timeout = '1s'\n", "request_timeout = '1s'\nmax_attempts = 40\n");
    for number in 0..pictures {
        fleet.bench.sandbox.add_asset(picture(&format!("{number}.jpg"), number)).unwrap();
    }
    fleet
}

fn protected(fleet: &Fleet) -> usize {
    fleet.bench.sandbox.audit().assets.iter().filter(|asset| is_protected(asset)).count()
}

fn producer(fleet: &Fleet) -> Child {
    fleet.producer_with(&["sync", "--full", "--wait", "--json", "--quiet"], &scaled())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_that_comes_and_goes_uses_the_budget_and_never_crosses_the_limit() {
    let fleet = fleet(240).await;
    let mut workers: Vec<Child> = (0..4).map(|_| fleet.worker_with(&scaled())).collect();
    let producing = producer(&fleet);
    let calls = || fleet.bench.sandbox.stats().portal_calls;
    // Everybody has a share by now.
    until(|| calls() > 100).await;
    let (started, before) = (Instant::now(), calls());
    until(|| protected(&fleet) > 60).await;
    workers.push(fleet.worker_with(&scaled()));
    // A command that a person runs meanwhile counts as well.
    fleet.bench.run_with(&["plan", "--full"], &scaled()).await.assert_code(0);
    until(|| protected(&fleet) > 100).await;
    signal(&workers[0], Signal::SIGKILL);
    until(|| protected(&fleet) > 150).await;
    signal(&workers[1], Signal::SIGTERM);
    workers.push(fleet.worker_with(&scaled()));
    until(|| protected(&fleet) > 210).await;
    let (took, made) = (started.elapsed(), calls() - before);
    let allowed = BUDGET as f64 * took.as_secs_f64() / WINDOW.as_secs_f64();
    let stats = fleet.bench.sandbox.stats();
    println!(
        "{made} calls in {:.0} s, {:.0} % of the budget; busiest window {} of {LIMIT}; {} refusals",
        took.as_secs_f64(),
        100.0 * made as f64 / allowed,
        stats.busiest_window,
        stats.refusals
    );
    assert!(made as f64 >= 0.95 * allowed, "{made} of {allowed}");
    ended(producing).await.assert_code(0);
    assert_eq!(fleet.bench.sandbox.stats().refusals, 0);
    assert!(fleet.bench.sandbox.stats().busiest_window <= LIMIT);
    fleet.assert_all_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_silences_every_process_and_latecomers_too_and_then_the_work_goes_on() {
    let fleet = fleet(100).await;
    let _workers: Vec<Child> = (0..3).map(|_| fleet.worker_with(&scaled())).collect();
    let producing = producer(&fleet);
    until(|| protected(&fleet) > 20).await;
    let began = Instant::now();
    fleet.bench.sandbox.block();
    until(|| fleet.bench.sandbox.stats().refusals > 0).await;
    // What was under way when the block began is refused as well; from then on nothing may be sent.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let before = fleet.bench.sandbox.stats().portal_calls;
    let latecomer = fleet.worker_with(&scaled());
    let status = fleet.bench.run_with(&["status", "--json"], &scaled()).await;
    assert_eq!(status.assert_code(0).summary()["silent_after_429"], true);
    let doctor = fleet.bench.run_with(&["doctor"], &scaled()).await;
    assert!(doctor.assert_code(5).out.contains("request limit was reached"), "{doctor:?}");
    tokio::time::sleep_until((began + Duration::from_secs(31)).into()).await;
    let made = fleet.bench.sandbox.stats().portal_calls;
    // The silence lasts 33 s here. Where it was missed, the audit still holds every call against the block.
    assert!(made == before || began.elapsed() > Duration::from_secs(32), "{made} calls, {before} before");
    drop(latecomer);
    ended(producing).await.assert_code(0);
    fleet.assert_all_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_pauses_the_fleet_until_they_resume_it() {
    let fleet = Fleet::new(quick()).await;
    let pausing = fleet.bench.run(&["pause", "--reason", "audit", "--json"]).await;
    assert_eq!(pausing.assert_code(0).summary()["paused"], true);
    let id = fleet.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    let _worker = fleet.worker();
    fleet.publish().await.assert_code(0);
    until(|| fleet.worker_logs().contains("paused by a person")).await;
    let status = fleet.bench.run(&["status"]).await;
    assert!(status.out.contains("(audit)"), "{status:?}");
    assert!(!is_protected(&fleet.bench.asset(&id)));
    assert_eq!(fleet.bench.run(&["resume", "--json"]).await.summary()["was_paused"], true);
    until(|| is_protected(&fleet.bench.asset(&id))).await;
    assert_eq!(fleet.bench.run(&["resume", "--json"]).await.summary()["was_paused"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_one_machine_a_block_outlives_the_process_and_a_person_can_pause_it() {
    let bench = Bench::new(limited()).await;
    for number in 0..40 {
        bench.sandbox.add_asset(picture(&format!("{number}.jpg"), number)).unwrap();
    }
    let scale = scaled();
    bench.run_with(&["pause"], &scale).await.assert_code(0);
    let mut paused = bench.command(&["sync", "--full", "--json", "--quiet"]);
    let mut paused = paused.envs(scale.clone()).spawn().unwrap();
    until(|| bench.sandbox.stats().requests.get("bynder.list").is_some_and(|count| *count > 1)).await;
    assert!(bench.sandbox.audit().assets.iter().all(|asset| !is_protected(asset)));
    bench.run_with(&["resume"], &scale).await.assert_code(0);
    until(|| bench.sandbox.audit().assets.iter().any(is_protected)).await;
    bench.sandbox.block();
    until(|| bench.sandbox.stats().refusals > 0).await;
    // What was under way gets its answers in this time, which only the process sees; it dies, and the next one knows of the block.
    tokio::time::sleep(Duration::from_secs(2)).await;
    paused.kill().await.unwrap();
    let before = bench.sandbox.stats().refusals;
    bench.run_with(&["sync", "--full", "--json", "--quiet"], &scale).await.assert_code(0);
    assert_eq!(bench.sandbox.stats().refusals, before);
    assert!(bench.sandbox.audit().assets.iter().all(is_protected));
    assert_clean(&bench.sandbox.audit());
}
