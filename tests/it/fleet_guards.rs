//! The guards of a fleet are real: without a lease, without waiting out the requests of the dead, or without keeping their assets, the auditor finds the harm.

use std::time::Duration;

use common::job::Lane;
use queue::{JobConsumer, StepSet};
use sandbox::ViolationKind;

use crate::broker_faults::{job, publish_once_more};
use crate::harness::fleet::Fleet;
use crate::harness::scene::{slow, slow_once};
use crate::harness::{assert_clean, is_protected, job_of, picture, quick, until};

fn without(guard: Option<&str>) -> Vec<(&str, String)> {
    guard.map(|guard| ("CONNECTOR_DISABLED_GUARDS", guard.to_owned())).into_iter().collect()
}

/// Two messages of one job, as a lost confirmation leaves them, and two workers to take them at once.
async fn a_doubled_message(guard: Option<&str>) -> Fleet {
    let fleet = Fleet::new(quick()).await;
    let id = fleet.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    fleet.bench.sandbox.set_faults(slow("imatag.submit", Duration::from_millis(700)));
    publish_once_more(&fleet, &job(&id)).await;
    publish_once_more(&fleet, &job(&id)).await;
    let _workers = [fleet.worker_with(&without(guard)), fleet.worker_with(&without(guard))];
    until(|| is_protected(&fleet.bench.asset(&id))).await;
    until(|| !fleet.bench.sandbox.is_busy()).await;
    fleet
}

/// The scene is clean with every guard, and does harm without these.
async fn assert_guards(guards: &str, scene: impl AsyncFn(Option<&str>) -> Fleet) {
    assert_clean(&scene(None).await.bench.sandbox.audit());
    let harmed = scene(Some(guards)).await.bench.sandbox.audit().violations;
    assert!(harmed.iter().any(|found| found.kind == ViolationKind::DoneTwice), "{harmed:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_lease_two_workers_have_one_file_watermarked_twice() {
    assert_guards("Lease", a_doubled_message).await;
}

/// A worker died while its save was on the way, and the save has not landed.
async fn a_late_save() -> (Fleet, String) {
    let fleet = Fleet::new(quick()).await;
    let id = fleet.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    // Later than a new worker needs to come this far, sooner than the request would have timed out.
    fleet.bench.set_request_timeout(9);
    fleet.bench.sandbox.set_faults(slow_once("bynder.save", Duration::from_secs(8)));
    publish_once_more(&fleet, &job(&id)).await;
    let mut doomed = fleet.worker();
    until(|| fleet.requests("bynder.save") > 0).await;
    doomed.kill().await.unwrap();
    (fleet, id)
}

/// Another worker takes the job before the save has landed.
async fn a_save_that_lands_late(guard: Option<&str>) -> Fleet {
    let (fleet, id) = a_late_save().await;
    let _heir = fleet.worker_with(&without(guard));
    until(|| is_protected(&fleet.bench.asset(&id))).await;
    // The late save lands whatever the second worker did.
    until(|| !fleet.bench.sandbox.is_busy()).await;
    fleet
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_suspect_wait_and_the_doubt_a_dead_worker_and_a_living_one_both_save() {
    assert_guards("SuspectWait,Doubt", a_save_that_lands_late).await;
}

/// Before any worker gets the dead one's job, another job of the asset comes.
async fn another_job_after_a_death(guard: Option<&str>) -> Fleet {
    let (fleet, id) = a_late_save().await;
    let queue = fleet.queue().await;
    let kept_back = queue.consumer.next(StepSet::ALL).await.unwrap();
    publish_once_more(&fleet, &job_of("delta", &id, Lane::Fresh)).await;
    let _heir = fleet.worker_with(&without(guard));
    until(|| fleet.worker_logs().contains("outcome=")).await;
    until(|| !fleet.bench.sandbox.is_busy()).await;
    drop(kept_back);
    fleet
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_doubt_a_dead_workers_save_and_that_of_another_job_both_land() {
    assert_guards("Doubt", another_job_after_a_death).await;
}
